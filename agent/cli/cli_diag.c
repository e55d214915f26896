#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "agent/cli/cli.h"
#include "agent/cli/doctor.h"
#include "agent/config.h"
#include "agent/file.h"
#include "common/tls.h"

static const char usage[] =
    "usage: attest-agent diag [--out FILE]\n"
    "\n"
    "One file (0600) for whoever helps you: versions, configuration, what\n"
    "`doctor` says, status, registrations, and the last lines of the log.  No\n"
    "secret, token or private key is in it; names of VMs, relays and hosts are,\n"
    "so read it before you send it.\n"
    "\n"
    "  --out FILE  a new file; attest-agent-diag.json by default\n"
    "\n"
    "example: attest-agent diag --out /tmp/diag.json\n";

#define LOG_LINES 200

/* Whoever wrote a password into a URL wrote it before the '@'. */
static json_t *
starred(const char *text)
{
	const char *at = text != NULL ? strrchr(text, '@') : NULL;

	if (at == NULL)
		return json_string(text != NULL ? text : "");
	return json_sprintf("***%s", at);
}

static json_t *
words_of(const struct conf_key *key, unsigned set)
{
	json_t *list = json_array();
	size_t i;

	for (i = 0; key->words[i] != NULL; i++)
		if ((set & (1u << i)) != 0)
			(void)json_array_append_new(
			    list, json_string(key->words[i]));
	return list;
}

static json_t *
texts_of(const struct conf_list *in)
{
	char *const *items = in->items;
	json_t *list = json_array();
	size_t i;

	for (i = 0; i < in->count; i++)
		(void)json_array_append_new(list, starred(items[i]));
	return list;
}

/* As set, or by default.  Of lists of maps, which hold tokens' hashes, only
 * how long they are. */
static json_t *
value_of(const struct conf_key *key, const struct config *config)
{
	union {
		char *text;
		bool yes;
		int64_t number;
		uint64_t size;
		uint16_t port;
		int word;
		unsigned set;
		struct conf_list list;
	} v;

	memset(&v, 0, sizeof(v));
#define TAKE(member)                                                           \
	memcpy(&v.member, (const uint8_t *)config + key->at, sizeof(v.member))
	switch (key->type) {
	case CONF_STRING:
	case CONF_PATH:
		TAKE(text);
		return starred(v.text);
	case CONF_BOOL:
		TAKE(yes);
		return json_boolean(v.yes);
	case CONF_INT:
		TAKE(number);
		return json_integer((json_int_t)v.number);
	case CONF_PORT:
		TAKE(port);
		return json_integer(v.port);
	case CONF_MS:
	case CONF_SIZE:
		TAKE(size);
		return json_integer((json_int_t)v.size);
	case CONF_ENUM:
		TAKE(word);
		return json_string(key->words[v.word]);
	case CONF_FLAGS:
		TAKE(set);
		return words_of(key, v.set);
	case CONF_STRINGS:
		TAKE(list);
		return texts_of(&v.list);
	case CONF_MAPS:
		TAKE(list);
		return json_sprintf("*** (%zu)", v.list.count);
	}
#undef TAKE
	return json_null();
}

static json_t *
tell_config(const struct config *config)
{
	json_t *out = json_object();
	size_t i;

	for (i = 0; i < config_table.count; i++)
		(void)json_object_set_new(out, config_table.keys[i].name,
		    value_of(&config_table.keys[i], config));
	return out;
}

static json_t *
tell_versions(void)
{
	struct utsname u = { 0 };

	(void)uname(&u);
	return json_pack("{s:s,s:s,s:s,s:s,s:s}", "attest-agent",
	    ATTEST_VERSION, "tls", tls_library(), "system", u.sysname,
	    "release", u.release, "machine", u.machine);
}

/* What the vault says, or why it says nothing. */
static json_t *
ask(const struct cli *cli, unsigned op, struct span in)
{
	struct err err = { 0 };
	json_t *v = NULL;

	if (cli_ask(&v, cli, op, in, &err) == 0)
		return v;
	return json_pack("{s:s}", "error", err.msg);
}

/* Their rules; secrets are only ever counted (agent/vault/owner.h). */
static json_t *
tell_vms(const struct cli *cli)
{
	json_t *reply = ask(cli, OWNER_LIST, (struct span){ 0 });
	const json_t *vms = json_object_get(reply, "vms");
	json_t *list = json_array();
	size_t i;

	for (i = 0; i < json_array_size(vms); i++)
		(void)json_array_append_new(list,
		    ask(cli, OWNER_SHOW,
			span_str(cli_text(json_array_get(vms, i), "vm"))));
	if (vms == NULL)
		(void)json_array_append(list, reply);
	json_decref(reply);
	return list;
}

static json_t *
tell_log(const struct cli *cli)
{
	json_t *count = ask(cli, OWNER_VERIFY, (struct span){ 0 });
	long long lines = cli_number(count, "lines");
	uint8_t in[12];
	struct writer w = writer_of(in, sizeof(in));
	json_t *out = json_object();

	writer_be64(&w, lines > LOG_LINES ? (uint64_t)(lines - LOG_LINES) : 0);
	writer_be32(&w, LOG_LINES);
	(void)json_object_set_new(out, "chain", count);
	(void)json_object_set_new(
	    out, "last", ask(cli, OWNER_LOG, writer_span(&w)));
	return out;
}

static json_t *
collect(const struct cli *cli)
{
	struct doctor *d = calloc(1, sizeof(*d));
	struct config config = { 0 };
	json_t *out = json_object();
	json_t *status = NULL;

	if (d == NULL) {
		json_decref(out);
		return NULL;
	}
	cli_examine(d, &status, &config, cli);
	(void)json_object_set_new(
	    out, "schema", json_string("attest-agent.diag/1"));
	(void)json_object_set_new(out, "versions", tell_versions());
	(void)json_object_set_new(out, "config", tell_config(&config));
	(void)json_object_set_new(out, "doctor", cli_checks(d));
	(void)json_object_set_new(
	    out, "status", status != NULL ? status : json_null());
	(void)json_object_set_new(out, "vms", tell_vms(cli));
	(void)json_object_set_new(out, "log", tell_log(cli));
	config_free(&config);
	free(d);
	return out;
}

int
cli_diag(const struct cli *cli, int argc, char **argv)
{
	const char *path = "attest-agent-diag.json";
	struct err err = { 0 };
	json_t *v;
	int rc = -1;
	int fd;
	int i;

	for (i = 1; i < argc; i++) {
		if (cli_flag(argv, i, "help"))
			return cli_help(usage);
		if (cli_value(&path, argc, argv, &i, "out") <= 0)
			return cli_misuse(usage, "diag: %s?", argv[i]);
	}
	fd = file_create(path, &err);
	if (fd < 0)
		return cli_fail(&err);
	v = collect(cli);
	if (v == NULL || json_dumpfd(v, fd, JSON_INDENT(2)) != 0)
		(void)err_set(&err, ERR_IO, "%s: cannot be written", path);
	else
		rc = file_write(fd, path, span_str("\n"), &err);
	json_decref(v);
	(void)close(fd);
	if (rc != 0) {
		(void)unlink(path);
		return cli_fail(&err);
	}
	(void)printf("%s: read it before you send it\n", path);
	return CLI_OK;
}
