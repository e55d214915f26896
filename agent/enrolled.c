#include "agent/enrolled.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FILE_NAME "relay.yaml"
#define FILE_MAX 8192

int
enrolled_write(const struct state *s, const char *url, const char *ca,
    bool no_binding, struct err *err)
{
	char path[4096] = "", text[FILE_MAX];
	int n;

	if (ca != NULL && realpath(ca, path) == NULL)
		return err_set(err, ERR_IO, "%s: no such file", ca);
	if (strpbrk(path, "\"\\\n") != NULL)
		return err_set(
		    err, ERR_USAGE, "%s: a plainer path, please", path);
	n = snprintf(text, sizeof(text),
	    "# Written by attest-agent enrol.\n"
	    "relay:\n"
	    "  url: \"%s%s\"\n"
	    "  ca: \"%s\"\n"
	    "  pin-only: %s\n",
	    url, no_binding ? ",no-binding" : "", path,
	    ca == NULL ? "yes" : "no");
	if (n < 0 || (size_t)n >= sizeof(text))
		return err_set(err, ERR_USAGE, "the link is too long");
	return state_replace(s, FILE_NAME, span_of(text, (size_t)n), err);
}

static int
take(struct config *c, const struct config *from, struct err *err)
{
	const struct {
		const char *key, *value;
	} parts[] = {
		{ "relay.url", from->relay_url },
		{ "relay.ca", from->relay_ca },
		{ "relay.pin-only", from->pin_only ? "yes" : "no" },
		{ "relay.allow-no-binding",
		    from->allow_no_binding || c->allow_no_binding ? "yes"
								  : "no" },
	};

	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
		if (conf_set(c, &config_table, parts[i].key, parts[i].value,
			err) != 0)
			return -1;
	return 0;
}

int
enrolled_read(struct config *c, const char *dir, struct err *err)
{
	struct state state = { .dir_fd = -1, .lock_fd = -1 };
	struct conf_report report = { 0 };
	struct config file = { 0 };
	struct secret text = { 0 };
	struct err why;
	int rc = -1;

	if (c->relay_url[0] != '\0' || c->relay_urls.count > 0)
		return 0;
	if (state_open(&state, dir, err) != 0)
		return -1;
	if (state_read(&text, &state, FILE_NAME, FILE_MAX, &why) != 0) {
		if (why.code == ERR_NOT_FOUND)
			rc = 0;
		else
			*err = why;
		goto out;
	}
	if (conf_parse(&file, &config_table, FILE_NAME, secret_span(&text),
		&report) != 0) {
		(void)err_set(err, ERR_USAGE, "%s/%s is damaged: enrol again",
		    state.dir, FILE_NAME);
		goto out;
	}
	rc = take(c, &file, err);
out:
	conf_report_free(&report);
	config_free(&file);
	secret_free(&text);
	state_close(&state);
	return rc;
}
