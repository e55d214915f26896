#include "launch/options.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define TIMEOUT_S_MAX 86400
#define KEY_MAX_LEN 64 /* docs/protocol.md 7 */

static int
parse_number(unsigned long *out, const char *text, unsigned long max,
    const char *name, struct err *err)
{
	char *end = NULL;

	errno = 0;
	*out = strtoul(text, &end, 0);
	if (text[0] < '0' || text[0] > '9' || *end != '\0' || errno != 0 ||
	    *out > max)
		return err_set(err, ERR_USAGE,
		    "--%s: want a number of at most "
		    "%lu",
		    name, max);
	return 0;
}

static int
set_uuid(struct options *o, const char *v, struct err *err)
{
	if (uuid_parse(&o->uuid, span_str(v), err) != 0) {
		err->code = ERR_USAGE;
		return err_wrap(err, "--uuid");
	}
	o->has_uuid = true;
	return 0;
}

static int
set_timeout(struct options *o, const char *v, struct err *err)
{
	unsigned long s = 0;

	if (parse_number(&s, v, TIMEOUT_S_MAX, "timeout", err) != 0)
		return -1;
	if (s == 0)
		return err_set(err, ERR_USAGE,
		    "--timeout: want a second or "
		    "more");
	o->service.timeout_s = (unsigned)s;
	return 0;
}

static int
set_policy(struct options *o, const char *v, struct err *err)
{
	unsigned long policy = 0;

	if (parse_number(&policy, v, UINT32_MAX, "policy", err) != 0)
		return -1;
	o->policy = (uint32_t)policy;
	o->has_policy = true;
	return 0;
}

static int
set_tls(struct options *o, const char *v, struct err *err)
{
	o->service.tls12 = strcmp(v, "1.2") == 0;
	if (!o->service.tls12 && strcmp(v, "1.3") != 0)
		return err_set(err, ERR_USAGE, "--tls-min: want 1.2 or 1.3");
	return 0;
}

static int
set_key(struct options *o, const char *v, struct err *err)
{
	if (v[0] == '\0' || strlen(v) > KEY_MAX_LEN)
		return err_set(err, ERR_USAGE,
		    "--idempotency-key: want 1 to "
		    "%d characters",
		    KEY_MAX_LEN);
	for (const char *c = v; *c != '\0'; c++)
		if (*c < ' ' || *c > '~' || *c == '"' || *c == '\\')
			return err_set(err, ERR_USAGE,
			    "--idempotency-key: "
			    "want visible ASCII without \" and \\");
	o->idempotency_key = v;
	return 0;
}

#define TEXT(field) .at = offsetof(struct options, field)

static const struct flag {
	const char *name;
	unsigned of;
	size_t at; /* of a const char *, if there is no set */
	int (*set)(struct options *, const char *, struct err *);
} flags[] = {
	{ "service", OPT_SERVICE, TEXT(service.url) },
	{ "ca", OPT_SERVICE, TEXT(service.ca) },
	{ "cert", OPT_SERVICE, TEXT(service.cert) },
	{ "key", OPT_SERVICE, TEXT(service.key) },
	{ "token-file", OPT_SERVICE, TEXT(service.token_file) },
	{ "in", OPT_IN, TEXT(in) },
	{ "qemu", OPT_QEMU, TEXT(qemu) },
	{ "timeout", OPT_SERVICE | OPT_QEMU, .set = set_timeout },
	{ "tls-min", OPT_SERVICE, .set = set_tls },
	{ "uuid", OPT_UUID, .set = set_uuid },
	{ "policy", OPT_POLICY, .set = set_policy },
	{ "idempotency-key", OPT_KEY, .set = set_key },
};

/* "--name VALUE" and "--name=VALUE". */
static int
parse_flag(struct options *o, unsigned allowed, int argc, char **argv, int *i,
    struct err *err)
{
	const char *word = argv[*i];
	const char *is = strchr(word, '=');
	size_t len = is == NULL ? strlen(word) : (size_t)(is - word);

	for (size_t k = 0; k < sizeof(flags) / sizeof(flags[0]); k++) {
		const struct flag *f = &flags[k];
		const char *value = is == NULL ? NULL : is + 1;

		if ((f->of & allowed) == 0 || len != strlen(f->name) + 2 ||
		    strncmp(word, "--", 2) != 0 ||
		    strncmp(word + 2, f->name, len - 2) != 0)
			continue;
		if (value == NULL) {
			if (*i + 1 >= argc)
				return err_set(err, ERR_USAGE,
				    "--%s wants a value", f->name);
			value = argv[++*i];
		}
		if (f->set != NULL)
			return f->set(o, value, err);
		memcpy((char *)o + f->at, &value, sizeof(value));
		return 0;
	}
	return err_set(err, ERR_USAGE, "%s: unknown word %.40s; see --help",
	    argv[0], word);
}

int
options_parse(struct options *out, unsigned allowed, int argc, char **argv,
    struct err *err)
{
	memset(out, 0, sizeof(*out));
	out->in = "-";
	out->qemu = "qemu-system-x86_64";
	out->service.timeout_s = SERVICE_TIMEOUT_S;
	for (int i = 1; i < argc; i++) {
		if ((allowed & OPT_REST) != 0 && strcmp(argv[i], "--") == 0) {
			out->rest = argv + i + 1;
			out->rest_count = (size_t)(argc - i - 1);
			break;
		}
		if ((allowed & OPT_JSON) != 0 &&
		    strcmp(argv[i], "--json") == 0) {
			out->json = true;
			continue;
		}
		if (parse_flag(out, allowed, argc, argv, &i, err) != 0)
			return -1;
	}
	if ((allowed & OPT_SERVICE) != 0 && out->service.url == NULL)
		return err_set(err, ERR_USAGE, "--service URL is needed");
	return 0;
}
