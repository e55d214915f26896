#include "agent/cli/cli_ovmf.h"

#include <getopt.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "agent/cli/offline_file.h"
#include "agent/cli/offline_report.h"
#include "agent/sev/sev.h"
#include "common/hex.h"

static const char usage[] =
    "usage: attest-agent ovmf show [--json] FILE\n"
    "\n"
    "Shows what a firmware image offers to SEV guests: the reset vector for\n"
    "SEV-ES, the area for the launch secret, the area for kernel hashes.\n"
    "\n"
    "Exit status: 0 shown, 1 no OVMF table in it, 2 usage or unreadable.\n"
    "\n"
    "  attest-agent ovmf show /usr/share/OVMF/OVMF_CODE_4M.fd\n";

#define SCHEMA "attest-agent.ovmf/1"

enum { OPT_JSON = 256, OPT_HELP };

static const struct option options[] = {
	{ "json", no_argument, NULL, OPT_JSON },
	{ "help", no_argument, NULL, OPT_HELP },
	{ NULL, 0, NULL, 0 },
};

static json_t *
area_json(const struct sev_ovmf_area *area, bool usable)
{
	if (!area->named)
		return json_null();
	return json_pack("{s:I, s:I, s:b}", "base", (json_int_t)area->base,
	    "size", (json_int_t)area->size, "usable", usable);
}

static void
print_json(const struct sev_ovmf *o, const char *sha256)
{
	json_t *root = json_pack("{s:s, s:s, s:o, s:o, s:o, s:o}", "schema",
	    SCHEMA, "sha256", sha256, "reset-vector",
	    o->has_reset ? json_integer(o->reset) : json_null(), "secret-area",
	    area_json(&o->secret, sev_ovmf_takes_secret(o)), "hash-area",
	    area_json(&o->hashes, sev_ovmf_takes_hashes(o)),
	    "snp-metadata-offset",
	    o->has_snp ? json_integer(o->snp_offset) : json_null());

	if (root != NULL)
		json_dumpf(root, stdout, JSON_INDENT(2) | JSON_PRESERVE_ORDER);
	putchar('\n');
	json_decref(root);
}

static void
print_area(const char *name, const struct sev_ovmf_area *area, bool usable,
    const char *without)
{
	printf("%s  ", name);
	if (usable)
		printf("0x%08x, %u bytes\n", area->base, area->size);
	else if (area->named)
		printf("none (base 0x%x, %u bytes): %s\n", area->base,
		    area->size, without);
	else
		printf("missing: %s\n", without);
}

static void
print_text(const struct sev_ovmf *o, const char *sha256)
{
	printf("sha256        %s\n", sha256);
	if (o->has_reset)
		printf("reset vector  0x%08x\n", o->reset);
	else
		printf("reset vector  missing: no SEV-ES guest with more than "
		       "one vCPU\n");
	print_area("secret area ", &o->secret, sev_ovmf_takes_secret(o),
	    "no launch secret can be injected; use the AmdSev build");
	print_area("hash area   ", &o->hashes, sev_ovmf_takes_hashes(o),
	    "kernel-hashes=on is refused; use the AmdSev build");
	if (o->has_snp)
		printf(
		    "SNP metadata  %u bytes before the end\n", o->snp_offset);
	else
		printf("SNP metadata  missing: no SEV-SNP guest\n");
}

static int
show(const char *path, bool json, struct err *err)
{
	struct secret image = { NULL, 0 };
	char hex[2 * SEV_SHA256_LEN + 1];
	uint8_t digest[SEV_SHA256_LEN];
	struct sev_ovmf o;
	int status = 2;

	if (offline_file_read(&image, path, SEV_OVMF_LEN_MAX, err) != 0 ||
	    sev_hash_sha256(digest, secret_span(&image), err) != 0)
		goto out;
	hex_encode(hex, sizeof(hex), span_of(digest, sizeof(digest)));
	if (sev_ovmf_parse(&o, secret_span(&image), err) != 0) {
		err_wrap(err, "%s", path);
		status = 1;
		goto out;
	}
	if (json)
		print_json(&o, hex);
	else
		print_text(&o, hex);
	status = 0;
out:
	secret_free(&image);
	return status;
}

int
cli_ovmf(int argc, char **argv)
{
	struct err err = { ERR_NONE, "" };
	bool json = false;
	int opt, status;

	if (argc > 1 && strcmp(argv[1], "--help") == 0) {
		fputs(usage, stdout);
		return 0;
	}
	if (argc < 2 || strcmp(argv[1], "show") != 0) {
		fputs(usage, stderr);
		return 2;
	}
	optind = 0; /* GNU: start anew */
	while (
	    (opt = getopt_long(argc - 1, argv + 1, "", options, NULL)) != -1) {
		if (opt == OPT_HELP) {
			fputs(usage, stdout);
			return 0;
		}
		if (opt != OPT_JSON)
			return 2;
		json = true;
	}
	if (optind != argc - 2) {
		fputs(usage, stderr);
		return 2;
	}
	status = show(argv[optind + 1], json, &err);
	if (status != 0)
		offline_report("ovmf", SCHEMA, json, &err);
	return offline_written("ovmf", status);
}
