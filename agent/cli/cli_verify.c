#include "agent/cli/cli_verify.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "agent/cli/offline_file.h"
#include "agent/cli/offline_launch.h"
#include "agent/cli/offline_report.h"
#include "common/base64.h"
#include "common/hex.h"

static const char usage[] =
    "usage: attest-agent verify --tik FILE --measurement BASE64\n"
    "           --api-major N --api-minor N --build-id N --policy N\n"
    "           (--digest HEX | --firmware FILE ...) [--json]\n"
    "\n"
    "Compares a launch measurement with what it should be.\n"
    "\n"
    "  --tik FILE           the session's integrity key, 16 raw bytes\n"
    "  --measurement TEXT   base64 of 48 bytes, as QEMU and libvirt print it\n"
    "  --api-major N --api-minor N --build-id N\n"
    "                       of the platform's firmware\n"
    "  --digest HEX         the launch digest; or the flags of\n"
    "                       attest-agent digest:\n" OFFLINE_LAUNCH_USAGE
    "  --json               print JSON\n"
    "\n"
    "Exit status, as virt-qemu-sev-validate: 0 match, 1 mismatch,\n"
    "2 unsupported usage.\n"
    "\n"
    "  attest-agent verify --tik tik.bin --digest \"$D\" --policy 3 \\\n"
    "      --measurement \"$M\" --api-major 1 --api-minor 55 --build-id 21\n";

#define SCHEMA "attest-agent.verify/1"

enum {
	OPT_TIK = 256,
	OPT_MEASUREMENT,
	OPT_MAJOR,
	OPT_MINOR,
	OPT_BUILD,
	OPT_DIGEST,
	OPT_OWN_END,
	OPT_JSON,
	OPT_HELP
};

static const struct option options[] = {
	OFFLINE_LAUNCH_OPTIONS,
	{ "tik", required_argument, NULL, OPT_TIK },
	{ "measurement", required_argument, NULL, OPT_MEASUREMENT },
	{ "api-major", required_argument, NULL, OPT_MAJOR },
	{ "api-minor", required_argument, NULL, OPT_MINOR },
	{ "build-id", required_argument, NULL, OPT_BUILD },
	{ "digest", required_argument, NULL, OPT_DIGEST },
	{ "json", no_argument, NULL, OPT_JSON },
	{ "help", no_argument, NULL, OPT_HELP },
	{ NULL, 0, NULL, 0 },
};

static const char *const own_names[] = { "--tik", "--measurement",
	"--api-major", "--api-minor", "--build-id", "--digest" };

/* The command line. */
struct request {
	struct offline_launch launch;
	const char *own[OPT_OWN_END - OPT_TIK];
	bool json, help;
};

#define OWN(q, option) ((q)->own[OPT_##option - OPT_TIK])

static int
read_options(struct request *q, int argc, char **argv, struct err *err)
{
	int opt;

	optind = 0; /* GNU: start anew */
	while ((opt = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (opt == OPT_HELP) {
			q->help = true;
			return 0;
		}
		if (opt == OPT_JSON) {
			q->json = true;
		} else if (opt >= OFFLINE_FIRMWARE) {
			if (offline_launch_take(&q->launch, opt, optarg, err) !=
			    0)
				return -1;
		} else if (opt < OPT_TIK) {
			return err_set(
			    err, ERR_USAGE, "see attest-agent verify --help");
		} else if (q->own[opt - OPT_TIK] != NULL) {
			return err_set(err, ERR_USAGE, "%s given twice",
			    own_names[opt - OPT_TIK]);
		} else {
			q->own[opt - OPT_TIK] = optarg;
		}
	}
	if (optind != argc)
		return err_set(
		    err, ERR_USAGE, "%s: not an option", argv[optind]);
	for (int i = OPT_TIK; i < OPT_DIGEST; i++)
		if (q->own[i - OPT_TIK] == NULL)
			return err_set(err, ERR_USAGE, "%s is needed",
			    own_names[i - OPT_TIK]);
	if (q->launch.given[OFFLINE_POLICY - OFFLINE_FIRMWARE] == NULL)
		return err_set(err, ERR_USAGE, "--policy is needed");
	if ((OWN(q, DIGEST) != NULL) == offline_launch_any(&q->launch))
		return err_set(err, ERR_USAGE,
		    "want either --digest or --firmware and its like");
	return 0;
}

static int
read_digest(uint8_t out[SEV_SHA256_LEN], struct request *q, struct err *err)
{
	const char *hex = OWN(q, DIGEST);
	struct offline_launch *l = &q->launch;

	if (hex == NULL) {
		if (offline_launch_load(l, err) != 0)
			return -1;
		return sev_digest_launch(out, &l->launch, err);
	}
	if (offline_number(&l->launch.policy,
		l->given[OFFLINE_POLICY - OFFLINE_FIRMWARE], UINT32_MAX,
		"--policy", err) != 0)
		return -1;
	if (hex_decode(out, SEV_SHA256_LEN, span_str(hex), err) != 0)
		return err_wrap(err, "--digest");
	return 0;
}

static int
read_build(struct sev_build *out, const struct request *q, struct err *err)
{
	uint32_t major, minor, build;

	if (offline_number(&major, OWN(q, MAJOR), 255, "--api-major", err) ||
	    offline_number(&minor, OWN(q, MINOR), 255, "--api-minor", err) ||
	    offline_number(&build, OWN(q, BUILD), 255, "--build-id", err) != 0)
		return -1;
	*out = (struct sev_build){ (uint8_t)major, (uint8_t)minor,
		(uint8_t)build };
	return 0;
}

/* base64 of too many or too few bytes is a wrong measurement, not a wrong
 * option. */
static int
read_measurement(struct sev_measure *out, const char *text, struct err *err)
{
	struct secret raw = { NULL, 0 };
	size_t len;
	int rc = -1;

	if (secret_alloc(&raw, strlen(text), err) != 0)
		return -1;
	if (base64_decode(raw.ptr, raw.len, &len, span_str(text), err) != 0) {
		err->code = ERR_USAGE;
		err_wrap(err, "--measurement");
		goto out;
	}
	rc = sev_measure_parse(out, span_of(raw.ptr, len), err);
	if (rc != 0)
		err->code = ERR_UNTRUSTED;
out:
	secret_free(&raw);
	return rc;
}

static int
run(struct request *q, char hex[2 * SEV_SHA256_LEN + 1], struct err *err)
{
	struct secret tik = { NULL, 0 };
	uint8_t digest[SEV_SHA256_LEN];
	struct sev_measure m;
	struct sev_build build;
	int rc = -1;

	if (read_build(&build, q, err) != 0 || read_digest(digest, q, err) != 0)
		goto out;
	hex_encode(
	    hex, 2 * SEV_SHA256_LEN + 1, span_of(digest, sizeof(digest)));
	if (offline_file_read(&tik, OWN(q, TIK), SEV_TK_LEN, err) != 0)
		goto out;
	if (tik.len != SEV_TK_LEN) {
		err_set(err, ERR_USAGE, "%s: %zu bytes, want %d", OWN(q, TIK),
		    tik.len, SEV_TK_LEN);
		goto out;
	}
	if (read_measurement(&m, OWN(q, MEASUREMENT), err) != 0)
		goto out;
	rc = sev_measure_verify(
	    &m, tik.ptr, &build, q->launch.launch.policy, digest, err);
out:
	secret_free(&tik);
	return rc;
}

static void
print(
    const struct request *q, int status, const char *hex, const struct err *err)
{
	json_t *root;

	if (!q->json) {
		if (status == 0)
			printf("match: launch digest %s\n", hex);
		else if (status == 1)
			printf("mismatch: %s\n", err->msg);
		return;
	}
	root = json_pack("{s:s, s:b, s:s, s:s?}", "schema", SCHEMA, "match",
	    status == 0, "launch-digest", hex, "reason",
	    status == 0 ? NULL : err->msg);
	if (root != NULL)
		json_dumpf(root, stdout, JSON_INDENT(2) | JSON_PRESERVE_ORDER);
	putchar('\n');
	json_decref(root);
}

int
cli_verify(int argc, char **argv)
{
	struct request q = { .json = false };
	struct err err = { ERR_NONE, "" };
	char hex[2 * SEV_SHA256_LEN + 1] = "";
	int status = 2;

	if (read_options(&q, argc, argv, &err) != 0)
		goto out;
	if (q.help) {
		fputs(usage, stdout);
		return 0;
	}
	if (run(&q, hex, &err) == 0)
		status = 0;
	else if (err.code == ERR_UNTRUSTED)
		status = 1;
	if (status < 2)
		print(&q, status, hex, &err);
out:
	if (status == 2)
		offline_report("verify", SCHEMA, q.json, &err);
	offline_launch_free(&q.launch);
	return offline_written("verify", status);
}
