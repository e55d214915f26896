#include "agent/cli/cli_digest.h"

#include <jansson.h>
#include <stdio.h>

#include "agent/cli/offline_launch.h"
#include "agent/cli/offline_report.h"
#include "common/hex.h"

static const char usage[] =
    "usage: attest-agent digest --firmware FILE [--kernel FILE\n"
    "           [--initrd FILE] [--cmdline TEXT]] [--policy N] [--cpus N]\n"
    "           [--cpu-sig N | --cpu-family N --cpu-model N --cpu-stepping N |\n"
    "           --vmsa-cpu0 FILE --vmsa-cpu1 FILE] [--vmsa legacy|init2]\n"
    "           [--json]\n"
    "\n"
    "Prints the launch digest of an SEV or SEV-ES guest in hex.\n"
    "\n" OFFLINE_LAUNCH_USAGE "  --json               print JSON\n"
    "\n"
    "Without --policy, describing vCPUs means SEV-ES.\n"
    "Exit status: 0, or 2 for usage, unreadable files and launches that\n"
    "cannot be (a kernel for a firmware without a hash area).\n"
    "\n"
    "  attest-agent digest --firmware OVMF.amdsev.fd --kernel vmlinuz \\\n"
    "      --cmdline 'console=ttyS0' --policy 7 --cpus 2 --cpu-sig 0xa00f11\n";

#define SCHEMA "attest-agent.digest/1"

enum { OPT_JSON = 256, OPT_HELP };

static const struct option options[] = {
	OFFLINE_LAUNCH_OPTIONS,
	{ "json", no_argument, NULL, OPT_JSON },
	{ "help", no_argument, NULL, OPT_HELP },
	{ NULL, 0, NULL, 0 },
};

static int
print_json(const struct sev_launch *launch, const char *digest, struct err *err)
{
	char firmware[2 * SEV_SHA256_LEN + 1];
	char table_hex[2 * SEV_HASH_TABLE_LEN + 1];
	uint8_t hash[SEV_SHA256_LEN], table[SEV_HASH_TABLE_LEN];
	bool es = (launch->policy & SEV_POLICY_ES) != 0;
	json_t *root;
	int rc;

	if (sev_hash_sha256(hash, launch->firmware, err) != 0)
		return -1;
	hex_encode(firmware, sizeof(firmware), span_of(hash, sizeof(hash)));
	root = json_pack("{s:s, s:s, s:s, s:s, s:I}", "schema", SCHEMA,
	    "launch-digest", digest, "scheme", es ? "amd-sev-es" : "amd-sev",
	    "firmware-hash", firmware, "policy", (json_int_t)launch->policy);
	if (root != NULL && es)
		json_object_set_new(
		    root, "cpu-count", json_integer(launch->vcpus.count));
	if (root != NULL && launch->kernel != NULL) {
		sev_hash_table_build(table, launch->kernel);
		hex_encode(table_hex, sizeof(table_hex),
		    span_of(table, sizeof(table)));
		json_object_set_new(
		    root, "kernel-hash-table", json_string(table_hex));
	}
	rc = root == NULL ||
	    json_dumpf(root, stdout, JSON_INDENT(2) | JSON_PRESERVE_ORDER);
	json_decref(root);
	putchar('\n');
	return rc == 0 ? 0 : err_set(err, ERR_MEMORY, "no memory for JSON");
}

static int
run(struct offline_launch *l, bool json, struct err *err)
{
	uint8_t digest[SEV_SHA256_LEN];
	char hex[2 * SEV_SHA256_LEN + 1];

	if (offline_launch_load(l, err) != 0 ||
	    sev_digest_launch(digest, &l->launch, err) != 0)
		return -1;
	hex_encode(hex, sizeof(hex), span_of(digest, sizeof(digest)));
	if (json)
		return print_json(&l->launch, hex, err);
	puts(hex);
	return 0;
}

int
cli_digest(int argc, char **argv)
{
	struct offline_launch l = { .given = { NULL } };
	struct err err = { ERR_NONE, "" };
	bool json = false;
	int opt, rc = -1;

	optind = 0; /* GNU: start anew */
	while ((opt = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (opt == OPT_HELP) {
			fputs(usage, stdout);
			return 0;
		}
		if (opt == OPT_JSON) {
			json = true;
		} else if (opt < OFFLINE_FIRMWARE) {
			err_set(
			    &err, ERR_USAGE, "see attest-agent digest --help");
			goto out;
		} else if (offline_launch_take(&l, opt, optarg, &err) != 0) {
			goto out;
		}
	}
	if (optind != argc) {
		err_set(&err, ERR_USAGE, "%s: not an option", argv[optind]);
		goto out;
	}
	rc = run(&l, json, &err);
out:
	if (rc != 0)
		offline_report("digest", SCHEMA, json, &err);
	offline_launch_free(&l);
	return offline_written("digest", rc == 0 ? 0 : 2);
}
