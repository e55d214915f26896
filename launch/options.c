#include "launch/options.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define TIMEOUT_S_MAX 86400
#define LIBVIRT_TIMEOUT_S 120
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
parse_seconds(unsigned *out, const char *v, const char *name, struct err *err)
{
	unsigned long s = 0;

	if (parse_number(&s, v, TIMEOUT_S_MAX, name, err) != 0)
		return -1;
	if (s == 0)
		return err_set(
		    err, ERR_USAGE, "--%s: want a second or more", name);
	*out = (unsigned)s;
	return 0;
}

static int
set_timeout(struct options *o, const char *v, struct err *err)
{
	return parse_seconds(&o->service.timeout_s, v, "timeout", err);
}

static int
set_libvirt_timeout(struct options *o, const char *v, struct err *err)
{
	return parse_seconds(&o->libvirt_s, v, "libvirt-timeout", err);
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
	size_t at; /* of a const char *, if there is no set; of a bool if is */
	bool is;   /* it stands alone */
	int (*set)(struct options *, const char *, struct err *);
} flags[] = {
	{ "service", OPT_SERVICE, TEXT(service.url) },
	{ "ca", OPT_SERVICE, TEXT(service.ca) },
	{ "cert", OPT_SERVICE, TEXT(service.cert) },
	{ "key", OPT_SERVICE, TEXT(service.key) },
	{ "token-file", OPT_SERVICE, TEXT(service.token_file) },
	{ "in", OPT_IN, TEXT(in) },
	{ "qemu", OPT_QEMU, TEXT(qemu) },
	{ "domain", OPT_DOMAIN, TEXT(domain) },
	{ "connect", OPT_CONNECT, TEXT(connect) },
	{ "firmware", OPT_FIRMWARE, TEXT(firmware) },
	{ "state", OPT_STATE, TEXT(state) },
	{ "transient", OPT_DOMAIN, TEXT(transient), .is = true },
	{ "autodestroy", OPT_DOMAIN, TEXT(autodestroy), .is = true },
	{ "json", OPT_JSON, TEXT(json), .is = true },
	{ "timeout", OPT_SERVICE | OPT_QEMU, .set = set_timeout },
	{ "libvirt-timeout", OPT_CONNECT | OPT_STATE,
	    .set = set_libvirt_timeout },
	{ "tls-min", OPT_SERVICE, .set = set_tls },
	{ "uuid", OPT_UUID, .set = set_uuid },
	{ "policy", OPT_POLICY, .set = set_policy },
	{ "idempotency-key", OPT_KEY, .set = set_key },
};

static const struct flag *
find_flag(unsigned allowed, const char *word, size_t len)
{
	for (size_t k = 0; k < sizeof(flags) / sizeof(flags[0]); k++)
		if ((flags[k].of & allowed) != 0 &&
		    len == strlen(flags[k].name) + 2 &&
		    strncmp(word, "--", 2) == 0 &&
		    strncmp(word + 2, flags[k].name, len - 2) == 0)
			return &flags[k];
	return NULL;
}

/* "--name VALUE", "--name=VALUE" and "--name". */
static int
parse_flag(struct options *o, unsigned allowed, int argc, char **argv, int *i,
    struct err *err)
{
	const char *word = argv[*i];
	const char *is = strchr(word, '=');
	const char *value = is == NULL ? NULL : is + 1;
	const struct flag *f = find_flag(
	    allowed, word, is == NULL ? strlen(word) : (size_t)(is - word));

	if (f == NULL)
		return err_set(err, ERR_USAGE,
		    "%s: unknown word %.40s; see --help", argv[0], word);
	if (f->is) {
		if (value != NULL)
			return err_set(
			    err, ERR_USAGE, "--%s takes no value", f->name);
		*(bool *)((char *)o + f->at) = true;
		return 0;
	}
	if (value == NULL) {
		if (*i + 1 >= argc)
			return err_set(
			    err, ERR_USAGE, "--%s wants a value", f->name);
		value = argv[++*i];
	}
	if (f->set != NULL)
		return f->set(o, value, err);
	memcpy((char *)o + f->at, &value, sizeof(value));
	return 0;
}

int
options_parse(struct options *out, unsigned allowed, int argc, char **argv,
    struct err *err)
{
	memset(out, 0, sizeof(*out));
	out->in = "-";
	out->qemu = "qemu-system-x86_64";
	out->service.timeout_s = SERVICE_TIMEOUT_S;
	out->libvirt_s = LIBVIRT_TIMEOUT_S;
	for (int i = 1; i < argc; i++) {
		if ((allowed & OPT_REST) != 0 && strcmp(argv[i], "--") == 0) {
			out->rest = argv + i + 1;
			out->rest_count = (size_t)(argc - i - 1);
			break;
		}
		if ((allowed & OPT_DOMAIN) != 0 && out->file == NULL &&
		    (argv[i][0] != '-' || argv[i][1] == '\0')) {
			out->file = argv[i];
			continue;
		}
		if (parse_flag(out, allowed, argc, argv, &i, err) != 0)
			return -1;
	}
	if ((allowed & OPT_SERVICE) != 0 &&
	    (allowed & (OPT_DOMAIN | OPT_FIRMWARE)) == 0 &&
	    out->service.url == NULL)
		return err_set(err, ERR_USAGE, "--service URL is needed");
	return 0;
}
