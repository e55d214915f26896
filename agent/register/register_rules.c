#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/file.h"
#include "agent/register/register_impl.h"
#include "agent/times.h"

#define SECRET_FILE_MAX SEV_SECRET_AREA_MAX
#define CERT_FILE_MAX 65536
#define LUKS_KEY "luks-key"

static int
with_file(struct register_plan *p, const char *path,
    int (*take)(struct register_plan *, struct span, struct err *),
    struct err *err)
{
	struct secret bytes = { 0 };
	int rc;

	if (register_read_named(p, &bytes, path, CERT_FILE_MAX, err) != 0)
		return -1;
	rc = take(p, secret_span(&bytes), err);
	secret_free(&bytes);
	return rc == 0 ? 0 : err_wrap(err, "%s", path);
}

int
register_add_cloud(struct register_plan *p, const char *value, struct err *err)
{
	return with_file(p, value, register_cloud, err);
}

int
register_add_cek(struct register_plan *p, const char *value, struct err *err)
{
	return with_file(p, value, register_cek, err);
}

int
register_add_root(struct register_plan *p, const char *value, struct err *err)
{
	return with_file(p, value, register_root, err);
}

int
register_add_chip(struct register_plan *p, const char *value, struct err *err)
{
	return register_chip(p, true, value, err);
}

int
register_add_deny_chip(
    struct register_plan *p, const char *value, struct err *err)
{
	return register_chip(p, false, value, err);
}

int
register_add_deny(struct register_plan *p, const char *value, struct err *err)
{
	enum sev_generation g;

	if (sev_generation_find(&g, span_str(value), err) != 0)
		return -1;
	p->r->deny_generations |= 1u << g;
	return 0;
}

int
register_set_any(struct register_plan *p, const char *value, struct err *err)
{
	(void)value;
	(void)err;
	p->r->any_platform = true;
	return 0;
}

int
register_set_naples(struct register_plan *p, const char *value, struct err *err)
{
	(void)value;
	(void)err;
	p->allow_naples = true;
	return 0;
}

int
register_set_debug(struct register_plan *p, const char *value, struct err *err)
{
	(void)value;
	(void)err;
	p->allow_debug = true;
	return 0;
}

int
register_set_min_api(
    struct register_plan *p, const char *value, struct err *err)
{
	size_t len = strcspn(value, ".");
	uint32_t major = 0;
	uint32_t minor = 0;
	char word[8];

	if (len >= sizeof(word) || value[len] != '.')
		return err_set(err, ERR_USAGE, "want MAJOR.MINOR, like 1.51");
	memcpy(word, value, len);
	word[len] = '\0';
	if (register_number32(&major, word, UINT8_MAX, err) != 0 ||
	    register_number32(&minor, value + len + 1, UINT8_MAX, err) != 0)
		return -1;
	p->r->min.api_major = (uint8_t)major;
	p->r->min.api_minor = (uint8_t)minor;
	return 0;
}

int
register_set_min_build(
    struct register_plan *p, const char *value, struct err *err)
{
	uint32_t n = 0;

	if (register_number32(&n, value, UINT8_MAX, err) != 0)
		return -1;
	p->r->min.build_id = (uint8_t)n;
	return 0;
}

static int
duration(uint64_t *out, const char *text, struct err *err)
{
	static const struct {
		char unit;
		uint64_t s;
	} units[] = { { 's', 1 }, { 'm', 60 }, { 'h', 3600 }, { 'd', 86400 } };
	size_t len = strlen(text);
	char word[16];
	uint64_t n = 0;
	size_t i;

	for (i = 0; len > 1 && len < sizeof(word) &&
	     i < sizeof(units) / sizeof(units[0]);
	     i++) {
		if (text[len - 1] != units[i].unit)
			continue;
		memcpy(word, text, len - 1);
		word[len - 1] = '\0';
		if (register_number(&n, word, 1000000, err) != 0 || n == 0)
			break;
		*out = n * units[i].s;
		return 0;
	}
	return err_set(err, ERR_USAGE, "\"%.20s\": want a time like 24h", text);
}

/* N, or N/DURATION */
int
register_set_instances(
    struct register_plan *p, const char *value, struct err *err)
{
	size_t len = strcspn(value, "/");
	char word[16];

	if (len >= sizeof(word))
		return err_set(err, ERR_USAGE, "want N or N/DURATION");
	memcpy(word, value, len);
	word[len] = '\0';
	if (register_number32(&p->r->max_instances, word, UINT32_MAX, err) != 0)
		return -1;
	if (p->r->max_instances == 0)
		return err_set(err, ERR_USAGE, "want 1 instance or more");
	p->r->per_s = 0;
	if (value[len] == '/')
		return duration(&p->r->per_s, value + len + 1, err);
	return 0;
}

/* The place of ${value} in ${words}. */
static int
word_of(uint32_t *out, const char *value, const char *const *words,
    size_t count, const char *want, struct err *err)
{
	size_t i;

	for (i = 0; i < count; i++)
		if (strcmp(value, words[i]) == 0) {
			*out = (uint32_t)i;
			return 0;
		}
	return err_set(err, ERR_USAGE, "\"%.20s\": want %s", value, want);
}

int
register_set_then(struct register_plan *p, const char *value, struct err *err)
{
	static const char *const words[] = { [THEN_REFUSE] = "refuse",
		[THEN_ALLOW] = "allow",
		[THEN_CONFIRM] = "confirm" };

	return word_of(
	    &p->r->then, value, words, 3, "refuse, allow or confirm", err);
}

int
register_set_approve(
    struct register_plan *p, const char *value, struct err *err)
{
	static const char *const words[] = { [APPROVE_NEVER] = "never",
		[APPROVE_FIRST] = "first-use",
		[APPROVE_ALWAYS] = "always" };

	return word_of(
	    &p->r->approve, value, words, 3, "never, first-use or always", err);
}

int
register_set_approve_at(
    struct register_plan *p, const char *value, struct err *err)
{
	static const char *const words[] = {
		[APPROVE_AT_LAUNCH] = "launch", [APPROVE_AT_RELEASE] = "release"
	};

	return word_of(
	    &p->r->approve_at, value, words, 2, "launch or release", err);
}

int
register_set_from(struct register_plan *p, const char *value, struct err *err)
{
	return times_parse(&p->r->from_ms, value, err);
}

int
register_set_until(struct register_plan *p, const char *value, struct err *err)
{
	return times_parse(&p->r->until_ms, value, err);
}

/* The agent reads it again later, from another folder perhaps. */
int
register_set_blocklist(
    struct register_plan *p, const char *value, struct err *err)
{
	char *path = realpath(value, NULL);
	int rc;

	if (path == NULL)
		return err_set(
		    err, ERR_IO, "%.100s: %s", value, strerror(errno));
	rc = register_copy_word(
	    p->r->blocklist, sizeof(p->r->blocklist), path, err);
	free(path);
	return rc;
}

int
register_add_host(struct register_plan *p, const char *value, struct err *err)
{
	if (p->r->host_count >= REGISTRATION_HOSTS_MAX)
		return err_set(err, ERR_LIMIT, "more than %d hosts",
		    REGISTRATION_HOSTS_MAX);
	if (register_copy_word(p->r->hosts[p->r->host_count].name,
		sizeof(p->r->hosts[0].name), value, err) != 0)
		return -1;
	p->r->host_count++;
	return 0;
}

int
register_set_shared(struct register_plan *p, const char *value, struct err *err)
{
	p->r->shared = true;
	return register_number32(
	    &p->r->rank, value, REGISTRATION_RANK_MAX, err);
}

int
register_secret(struct register_plan *p, const struct sev_guid *guid,
    struct span data, struct err *err)
{
	char text[SEV_GUID_TEXT_LEN + 1];
	size_t n = p->secret_count;

	if (n >= SEV_SECRET_ENTRIES_MAX)
		return err_set(err, ERR_LIMIT, "more than %d secrets",
		    SEV_SECRET_ENTRIES_MAX);
	if (data.len == 0)
		return err_set(err, ERR_USAGE, "the secret is empty");
	if (secret_copy(&p->secret_data[n], data, err) != 0)
		return -1;
	p->secret_guid[n] = *guid;
	p->secret_count++;
	if (data.ptr[data.len - 1] == '\n')
		register_note(p,
		    "warning: secret %s ends in a newline, which is part of "
		    "it",
		    sev_guid_format(text, guid));
	return 0;
}

static int
secret_from(struct register_plan *p, const struct sev_guid *guid,
    const char *path, struct err *err)
{
	struct secret bytes = { 0 };
	struct err why = { 0 };
	int rc;

	if (register_read_named(p, &bytes, path, SECRET_FILE_MAX, err) != 0)
		return -1;
	/* It may be there for this once, or on a disk of its own. */
	if (file_check_private(path, &why) != 0 && why.code == ERR_USAGE)
		register_note(p, "warning: %s", why.msg);
	rc = register_secret(p, guid, secret_span(&bytes), err);
	secret_free(&bytes);
	return rc;
}

int
register_add_secret_file(
    struct register_plan *p, const char *value, struct err *err)
{
	struct sev_guid guid;

	if (sev_guid_parse(&guid, span_str(LUKS_KEY), err) != 0)
		return -1;
	return secret_from(p, &guid, value, err);
}

/* GUID=FILE */
int
register_add_secret(struct register_plan *p, const char *value, struct err *err)
{
	const char *file = strchr(value, '=');
	struct sev_guid guid;

	if (file == NULL)
		return err_set(err, ERR_USAGE, "want GUID=FILE");
	if (sev_guid_parse(
		&guid, span_of(value, (size_t)(file - value)), err) != 0)
		return -1;
	return secret_from(p, &guid, file + 1, err);
}

/* [GUID=]COMMAND */
int
register_add_command(
    struct register_plan *p, const char *value, struct err *err)
{
	const char *line = strchr(value, '=');
	struct secret bytes = { 0 };
	struct sev_guid guid;
	int rc = -1;

	if (p->run == NULL)
		return err_set(
		    err, ERR_UNSUPPORTED, "commands are not run here");
	if (line != NULL &&
	    sev_guid_parse(
		&guid, span_of(value, (size_t)(line - value)), NULL) == 0)
		value = line + 1;
	else if (sev_guid_parse(&guid, span_str(LUKS_KEY), err) != 0)
		return -1;
	if (p->run(p->read_arg, &bytes, value, SECRET_FILE_MAX, err) == 0)
		rc = register_secret(p, &guid, secret_span(&bytes), err);
	secret_free(&bytes);
	return rc;
}

int
register_set_no_secret(
    struct register_plan *p, const char *value, struct err *err)
{
	(void)value;
	(void)err;
	p->no_secret = true;
	return 0;
}

int
register_set_address(
    struct register_plan *p, const char *value, struct err *err)
{
	p->r->has_address = true;
	if (register_number(&p->r->address, value, INT64_C(1) << 52, err) != 0)
		return -1;
	if (p->r->address % 16 != 0) /* 55766 6.6 */
		return err_set(
		    err, ERR_USAGE, "\"%.20s\": want a multiple of 16", value);
	return 0;
}
