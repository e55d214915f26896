/* psp: makes and shows the platforms of the software secure processor. */
#include <getopt.h>
#include <jansson.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base64.h"
#include "common/hex.h"
#include "tests/psp/platform_file.h"
#include "tests/psp/psp.h"

static const char usage_text[] =
    "usage: psp platform new DIR [--generation 2048|4096] [--api 1.55.21]\n"
    "                            [--chip HEX] [--root DIR] [--oca-key FILE]\n"
    "       psp platform show DIR      as QEMU's query-sev-capabilities\n"
    "       psp platform rotate DIR    make a new PDH\n";

static int
usage(void)
{
	(void)fputs(usage_text, stderr);
	return 2;
}

static int
fail(const struct err *err)
{
	(void)fprintf(stderr, "psp: %s\n", err->msg);
	return err->code == ERR_USAGE ? 2 : 1;
}

struct new_options {
	struct psp_platform_spec spec;
	uint8_t chip[PSP_CHIP_ID_LEN];
	const char *root, *owner;
};

static int
read_options(struct new_options *o, int argc, char **argv, struct err *err)
{
	static const struct option longs[] = {
		{ "generation", required_argument, NULL, 'g' },
		{ "api", required_argument, NULL, 'a' },
		{ "chip", required_argument, NULL, 'c' },
		{ "root", required_argument, NULL, 'r' },
		{ "oca-key", required_argument, NULL, 'o' },
		{ NULL, 0, NULL, 0 },
	};
	int c;

	while ((c = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		switch (c) {
		case 'g':
			o->spec.bits = (unsigned)strtoul(optarg, NULL, 10);
			break;
		case 'a':
			if (psp_platform_file_api(&o->spec.api, optarg, err) !=
			    0)
				return -1;
			break;
		case 'c':
			if (hex_decode(o->chip, sizeof(o->chip),
				span_str(optarg), err) != 0)
				return err_set(err, ERR_USAGE,
				    "--chip: not 128 hex digits");
			o->spec.chip_id = span_of(o->chip, sizeof(o->chip));
			break;
		case 'r':
			o->root = optarg;
			break;
		case 'o':
			o->owner = optarg;
			break;
		default:
			return err_set(err, ERR_USAGE, "unknown option");
		}
	}
	return 0;
}

static int
platform_new(const char *dir, int argc, char **argv)
{
	struct new_options o = { .spec = {
				     .bits = 4096, .api = { 1, 55, 21 } } };
	struct psp_platform p = { 0 }, root = { 0 };
	struct err err = { 0 };
	int rc = -1;

	if (read_options(&o, argc, argv, &err) != 0) {
		(void)fail(&err);
		return usage();
	}
	if (o.root != NULL) {
		if (psp_platform_file_load(&root, o.root, &err) != 0)
			goto out;
		o.spec.root = &root;
	}
	if (o.owner != NULL && psp_key_load(&o.spec.owner, o.owner, &err) != 0)
		goto out;
	if (psp_platform_make(&p, &o.spec, &err) != 0 ||
	    psp_platform_file_save(&p, dir, &err) != 0)
		goto out;
	rc = 0;
out:
	EVP_PKEY_free(o.spec.owner);
	psp_platform_free(&root);
	psp_platform_free(&p);
	return rc == 0 ? 0 : fail(&err);
}

static int
print_capabilities(struct psp *psp)
{
	uint8_t pdh[PSP_CERT_LEN], chain[PSP_CHAIN_LEN], id[PSP_CHIP_ID_LEN];
	char pdh_text[PSP_CERT_LEN * 2], chain_text[PSP_CHAIN_LEN * 2];
	char id_text[PSP_CHIP_ID_LEN * 2];
	json_t *root;
	int rc;

	if (psp_init(psp) != PSP_SUCCESS ||
	    psp_pdh_cert_export(pdh, chain, psp) != PSP_SUCCESS ||
	    psp_get_id(id, psp) != PSP_SUCCESS)
		return -1;
	root = json_pack("{s:s, s:s, s:s, s:i, s:i}", "pdh",
	    base64_encode(
		pdh_text, sizeof(pdh_text), span_of(pdh, sizeof(pdh))),
	    "cert-chain",
	    base64_encode(
		chain_text, sizeof(chain_text), span_of(chain, sizeof(chain))),
	    "cpu0-id",
	    base64_encode(id_text, sizeof(id_text), span_of(id, sizeof(id))),
	    "cbitpos", 51, "reduced-phys-bits", 1);
	rc = root == NULL ? -1 : json_dumpf(root, stdout, JSON_INDENT(2));
	json_decref(root);
	(void)putchar('\n');
	return rc;
}

static int
platform_show(const char *dir)
{
	struct psp_platform p = { 0 };
	struct err err = { 0 };
	struct psp *psp;
	int rc;

	if (psp_platform_file_load(&p, dir, &err) != 0)
		return fail(&err);
	psp = psp_new(&p, NULL, NULL);
	rc = psp == NULL ? -1 : print_capabilities(psp);
	psp_free(psp);
	psp_platform_free(&p);
	return rc == 0 ? 0 : 1;
}

static int
platform_rotate(const char *dir)
{
	struct psp_platform p = { 0 };
	struct err err = { 0 };
	int rc = -1;

	if (psp_platform_file_load(&p, dir, &err) == 0 &&
	    psp_platform_rotate(&p, &err) == 0 &&
	    psp_platform_file_save(&p, dir, &err) == 0)
		rc = 0;
	psp_platform_free(&p);
	return rc == 0 ? 0 : fail(&err);
}

int
main(int argc, char **argv)
{
	if (argc < 4 || strcmp(argv[1], "platform") != 0)
		return usage();
	if (strcmp(argv[2], "new") == 0)
		return platform_new(argv[3], argc - 3, argv + 3);
	if (argc != 4)
		return usage();
	if (strcmp(argv[2], "show") == 0)
		return platform_show(argv[3]);
	if (strcmp(argv[2], "rotate") == 0)
		return platform_rotate(argv[3]);
	return usage();
}
