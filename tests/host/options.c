#include "tests/host/options.h"

#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "tests/psp/secret_table.h"

const char options_usage[] =
    "usage: compute-host launch OPTION...       the whole launch\n"
    "       compute-host step-launch OPTION... --out STATE\n"
    "                                           up to the measurement\n"
    "       compute-host step-start --from STATE --out STATE2\n"
    "                                           another guest, same session\n"
    "       compute-host step-validate STATE [--measurement-of STATE2]\n"
    "            [--corrupt measurement|nonce|build|session-id] [--out FILE]\n"
    "       compute-host step-open STATE FILE   inject and read the secret\n"
    "       compute-host serve OPTION...        a machine for a test that posts\n"
    "                                           itself; tests/host/serve.h\n"
    "service:  --service URL --uuid U | --uuid-file FILE ('UUID [SECRET]')\n"
    "          --ca FILE --cert FILE --key FILE --token-file FILE\n"
    "          --resolve HOST:PORT:ADDR --timeout S --no-keepalive\n"
    "machine:  --platform DIR --firmware F [--kernel K] [--initrd I]\n"
    "          [--cmdline S]\n"
    "          [--vcpus N] [--cpu-sig 0xN] [--vmsa legacy|init2]\n"
    "          [--kernel-hashes auto|on|off] [--policy N] [--no-es]\n"
    "          [--api MAJOR.MINOR.BUILD to report instead of its own]\n"
    "          [--chain qemu|signed|sevctl|full]\n"
    "requests: [--thread-only] [--idempotent] [--no-session-id]\n"
    "          [--launch-set NAME=JSON] [--validate-set NAME=JSON]\n"
    "          [--request-out FILE]\n"
    "load:     [--hosts N] [--launches N | --seconds S [--rate R]] [--cross]\n"
    "          R: launches a second of all hosts, each begun when it is due\n"
    "result:   [--transcript] [--json] [--secret-guid G]\n"
    "          [--expect-secret-file FILE]\n"
    "exit: 0 ok, 1 refused, 2 usage, 3 unreachable, 4 secure processor\n"
    "      refused, 5 answer or secret not as agreed\n";

enum kind { TEXT, FLAG, NUMBER, SET, WORD };

/* Words that an option of kind WORD takes, by the value they stand for. */
static const char *const on_off_words[] = { "auto", "on", "off", NULL };
static const char *const chain_words[] = { "qemu", "signed", "sevctl", "full",
	NULL };
static const char *const vmsa_words[] = { "legacy", "init2", NULL };

#define AT(field) offsetof(struct options, field)

static const struct row {
	const char *name;
	enum kind kind;
	size_t at;
	const char *const *words;
} rows[] = {
	{ "service", TEXT, AT(service) },
	{ "uuid", TEXT, AT(uuid) },
	{ "uuid-file", TEXT, AT(uuid_file) },
	{ "platform", TEXT, AT(platform) },
	{ "firmware", TEXT, AT(firmware) },
	{ "kernel", TEXT, AT(kernel) },
	{ "initrd", TEXT, AT(initrd) },
	{ "cmdline", TEXT, AT(cmdline) },
	{ "ca", TEXT, AT(ca) },
	{ "cert", TEXT, AT(cert) },
	{ "key", TEXT, AT(key) },
	{ "token-file", TEXT, AT(token_file) },
	{ "resolve", TEXT, AT(resolve) },
	{ "secret-guid", TEXT, AT(secret_guid) },
	{ "expect-secret-file", TEXT, AT(expect_secret_file) },
	{ "api", TEXT, AT(api) },
	{ "out", TEXT, AT(out) },
	{ "request-out", TEXT, AT(request_out) },
	{ "from", TEXT, AT(from) },
	{ "measurement-of", TEXT, AT(measurement_of) },
	{ "corrupt", TEXT, AT(corrupt) },
	{ "launch-set", SET, AT(launch_set) },
	{ "validate-set", SET, AT(validate_set) },
	{ "thread-only", FLAG, AT(thread_only) },
	{ "cross", FLAG, AT(cross) },
	{ "idempotent", FLAG, AT(idempotent) },
	{ "transcript", FLAG, AT(transcript) },
	{ "json", FLAG, AT(json) },
	{ "no-session-id", FLAG, AT(no_session_id) },
	{ "no-keepalive", FLAG, AT(no_keepalive) },
	{ "no-es", FLAG, AT(no_es) },
	{ "policy", NUMBER, AT(policy) },
	{ "cpu-sig", NUMBER, AT(cpu_sig) },
	{ "vcpus", NUMBER, AT(vcpus) },
	{ "hosts", NUMBER, AT(hosts) },
	{ "launches", NUMBER, AT(launches) },
	{ "seconds", NUMBER, AT(seconds) },
	{ "rate", NUMBER, AT(rate) },
	{ "timeout", NUMBER, AT(timeout_s) },
	{ "kernel-hashes", WORD, AT(kernel_hashes), on_off_words },
	{ "chain", WORD, AT(chain), chain_words },
	{ "vmsa", WORD, AT(init2), vmsa_words },
};

#define ROWS (sizeof(rows) / sizeof(rows[0]))

void
options_default(struct options *o)
{
	*o = (struct options){
		.secret_guid = SECRET_TABLE_DISK,
		.cpu_sig = 0x00a00f11, /* EPYC-Milan */
		.vcpus = 1,
		.hosts = 1,
		.launches = 1,
		.timeout_s = 120,
	};
}

static int
read_number(uint32_t *out, const char *name, const char *text, struct err *err)
{
	unsigned long v;
	char *end;

	errno = 0;
	v = strtoul(text, &end, 0);
	if (errno != 0 || end == text || *end != '\0' || text[0] == '-' ||
	    v > UINT32_MAX)
		return err_set(err, ERR_USAGE, "--%s: not a number", name);
	*out = (uint32_t)v;
	return 0;
}

static int
read_word(
    unsigned *out, const struct row *row, const char *text, struct err *err)
{
	for (unsigned i = 0; row->words[i] != NULL; i++) {
		if (strcmp(row->words[i], text) == 0) {
			*out = i;
			return 0;
		}
	}
	return err_set(err, ERR_USAGE, "--%s: unknown word", row->name);
}

static int
add_set(const char **sets, const char *name, const char *text, struct err *err)
{
	if (strchr(text, '=') == NULL)
		return err_set(err, ERR_USAGE, "--%s: want NAME=JSON", name);
	for (size_t i = 0; i < OPTIONS_SETS; i++) {
		if (sets[i] == NULL) {
			sets[i] = text;
			return 0;
		}
	}
	return err_set(
	    err, ERR_USAGE, "--%s: more than %d", name, OPTIONS_SETS);
}

static int
store(
    struct options *o, const struct row *row, const char *text, struct err *err)
{
	unsigned char *field = (unsigned char *)o + row->at;
	unsigned word = 0;

	switch (row->kind) {
	case TEXT:
		memcpy(field, &text, sizeof(text));
		return 0;
	case FLAG:
		*(bool *)field = true;
		return 0;
	case SET:
		return add_set(
		    (const char **)(void *)field, row->name, text, err);
	case WORD:
		if (read_word(&word, row, text, err) != 0)
			return -1;
		if (row->at == AT(init2))
			o->init2 = word == 1;
		else if (row->at == AT(chain))
			o->chain = (enum chain_form)word;
		else
			o->kernel_hashes = (enum on_off)word;
		return 0;
	case NUMBER:
		if (row->at == AT(policy))
			o->has_policy = true;
		return read_number(
		    (uint32_t *)(void *)field, row->name, text, err);
	}
	return 0;
}

int
options_parse(
    struct options *o, int operands, int argc, char **argv, struct err *err)
{
	struct option longs[ROWS + 1] = { 0 };
	int at = 0;

	for (size_t i = 0; i < ROWS; i++) {
		longs[i].name = rows[i].name;
		longs[i].has_arg =
		    rows[i].kind == FLAG ? no_argument : required_argument;
	}
	optind = 0; /* start anew: a state file's words are read first */
	opterr = 0;
	for (;;) {
		int c = getopt_long(argc, argv, "", longs, &at);

		if (c == -1)
			break;
		if (c != 0)
			return err_set(err, ERR_USAGE,
			    "%.64s: unknown, or its value is missing",
			    argv[optind - 1]);
		if (store(o, &rows[at], optarg, err) != 0)
			return -1;
	}
	if (argc - optind != operands)
		return err_set(err, ERR_USAGE, "%d operands, want %d",
		    argc - optind, operands);
	if (o->hosts == 0 || o->hosts > 1024 || o->launches == 0 ||
	    o->vcpus == 0 || o->vcpus > 1024)
		return err_set(err, ERR_USAGE,
		    "hosts and vcpus are 1..1024, launches 1 or more");
	if (o->rate > 0 && o->seconds == 0)
		return err_set(err, ERR_USAGE, "--rate wants --seconds");
	return 0;
}
