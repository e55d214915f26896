#include "agent/cli/cli_chain.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "agent/cli/chain_print.h"
#include "agent/cli/offline_chain.h"
#include "agent/cli/offline_file.h"
#include "agent/cli/offline_report.h"

#define MANY 16 /* of each repeatable option */

static const char usage[] =
    "usage: attest-agent chain verify [--root FILE]... [--cek FILE]...\n"
    "           [--cloud-cert FILE]... [--full] [--json] FILE...\n"
    "       attest-agent chain show [--json] FILE...\n"
    "\n"
    "FILE holds certificates, raw or base64, in any split: pdh and cert-chain\n"
    "of QEMU or libvirt, an export of sevctl, single certificates; or it is\n"
    "what QEMU's query-sev-capabilities (JSON) or virsh nodesevinfo prints.\n"
    "\n"
    "  --root FILE        trust this ARK besides AMD's; its ASK, in the same\n"
    "                     file or another, helps chains without one\n"
    "  --cek FILE         the CEK as AMD signed it, for one that is unsigned\n"
    "  --cloud-cert FILE  the OCA must be this one, or another one given so\n"
    "  --full             the files themselves must hold ASK and ARK\n"
    "  --json             print JSON\n"
    "\n"
    "Exit status: 0 verified, 1 not trusted, 2 usage or unreadable.\n"
    "\n"
    "  attest-agent chain verify --cek cek.cert pdh.cert cert-chain.bin\n"
    "  attest-agent chain show query-sev-capabilities.json\n";

enum { OPT_ROOT = 256, OPT_CEK, OPT_CLOUD, OPT_FULL, OPT_JSON, OPT_HELP };

static const struct option options[] = {
	{ "root", required_argument, NULL, OPT_ROOT },
	{ "cek", required_argument, NULL, OPT_CEK },
	{ "cloud-cert", required_argument, NULL, OPT_CLOUD },
	{ "full", no_argument, NULL, OPT_FULL },
	{ "json", no_argument, NULL, OPT_JSON },
	{ "help", no_argument, NULL, OPT_HELP },
	{ NULL, 0, NULL, 0 },
};

/* The command line, and all that its files hold. */
struct request {
	struct offline_blobs chain_blobs;
	struct offline_blobs side_blobs; /* behind roots, ceks and clouds */
	struct sev_root roots[MANY];
	struct sev_amd_cert asks[MANY]; /* that came without their ARK */
	size_t ask_count;
	struct sev_cert ceks[MANY], clouds[MANY];
	struct sev_trust trust;
	struct sev_chain chain;
	bool json, help;
};

static int
full(size_t count, const char *option, struct err *err)
{
	if (count < MANY)
		return 0;
	return err_set(err, ERR_USAGE, "more than %d times %s", MANY, option);
}

static int
add_root(struct request *q, const char *path, struct err *err)
{
	size_t *n = &q->trust.root_count;
	struct offline_blobs *b = &q->side_blobs;
	struct sev_amd_cert *ask = &q->asks[q->ask_count];
	struct span in;

	if (full(*n + q->ask_count, "--root", err) != 0 ||
	    offline_chain_load(b, path, err) != 0)
		return -1;
	in = secret_span(&b->blob[b->count - 1]);
	if (sev_amd_cert_parse(ask, in, NULL) == 0 &&
	    ask->usage == SEV_USAGE_ASK) {
		q->ask_count++;
		return 0;
	}
	if (sev_root_parse(&q->roots[*n], in, err) != 0)
		return err_wrap(err, "%s", path);
	(*n)++;
	return 0;
}

/* ASKs find their ARKs when all of both are there. */
static int
join_roots(struct request *q, struct err *err)
{
	for (size_t i = 0; i < q->ask_count; i++)
		if (sev_root_add_ask(
			q->roots, q->trust.root_count, &q->asks[i], err) != 0)
			return err_wrap(err, "--root");
	return 0;
}

static int
add_cert(struct request *q, struct sev_cert *to, size_t *n,
    enum sev_place place, const char *path, struct err *err)
{
	if (full(*n, "the same option", err) != 0 ||
	    offline_chain_one(&to[*n], &q->side_blobs, path, place, err) != 0)
		return -1;
	(*n)++;
	return 0;
}

static int
take_option(struct request *q, int opt, const char *arg, struct err *err)
{
	switch (opt) {
	case OPT_ROOT:
		return add_root(q, arg, err);
	case OPT_CEK:
		return add_cert(
		    q, q->ceks, &q->trust.cek_count, SEV_CEK, arg, err);
	case OPT_CLOUD:
		q->trust.want_cloud = true;
		return add_cert(
		    q, q->clouds, &q->trust.cloud_count, SEV_OCA, arg, err);
	case OPT_FULL:
		q->trust.want_ca = true;
		return 0;
	case OPT_JSON:
		q->json = true;
		return 0;
	case OPT_HELP:
		q->help = true;
		return 0;
	default:
		return err_set(err, ERR_USAGE, "see attest-agent chain --help");
	}
}

/* Options and files; the chain is not parsed yet. */
static int
read_request(struct request *q, int argc, char **argv, struct err *err)
{
	int opt;

	q->trust.roots = q->roots;
	q->trust.ceks = q->ceks;
	q->trust.clouds = q->clouds;
	optind = 0; /* GNU: start anew */
	while ((opt = getopt_long(argc, argv, "", options, NULL)) != -1)
		if (take_option(q, opt, optarg, err) != 0)
			return -1;
	if (q->help)
		return 0;
	if (join_roots(q, err) != 0)
		return -1;
	if (optind == argc)
		return err_set(
		    err, ERR_USAGE, "no FILE: see attest-agent chain --help");
	for (int i = optind; i < argc; i++)
		if (offline_chain_load(&q->chain_blobs, argv[i], err) != 0)
			return -1;
	return 0;
}

static int
run_verify(struct request *q, struct err *err)
{
	struct sev_verdict v = { SEV_CHECK_NONE };
	int rc = offline_chain_parse(&q->chain, &q->chain_blobs, err);

	if (rc != 0 && err->code == ERR_NOT_FOUND)
		return 2;
	if (rc == 0)
		rc = sev_chain_verify(&v, &q->chain, &q->trust, err);
	if (rc != 0 && v.failed == SEV_CHECK_INTERNAL)
		return 2;
	if (chain_print_verdict(rc == 0, &v, err->msg, q->json) != 0)
		return 2;
	/* Told already, and not once more as an error. */
	err->code = ERR_NONE;
	return rc == 0 ? 0 : 1;
}

static int
run_show(struct request *q, struct err *err)
{
	if (offline_chain_parse(&q->chain, &q->chain_blobs, err) != 0 ||
	    chain_print_certs(&q->chain, q->json, err) != 0)
		return 2;
	return 0;
}

int
cli_chain(int argc, char **argv)
{
	struct request q = { .json = false };
	struct err err = { ERR_NONE, "" };
	const char *what = argc > 1 ? argv[1] : "";
	int status = 2;

	if (strcmp(what, "--help") == 0) {
		fputs(usage, stdout);
		return 0;
	}
	if (strcmp(what, "verify") != 0 && strcmp(what, "show") != 0) {
		fputs(usage, stderr);
		return 2;
	}
	if (read_request(&q, argc - 1, argv + 1, &err) != 0)
		goto out;
	if (q.help) {
		fputs(usage, stdout);
		status = 0;
	} else if (strcmp(what, "verify") == 0) {
		status = run_verify(&q, &err);
	} else {
		status = run_show(&q, &err);
	}
out:
	if (status == 2 && err.code != ERR_NONE)
		offline_report("chain",
		    strcmp(what, "verify") == 0 ? CHAIN_PRINT_VERDICT
						: CHAIN_PRINT_CERTS,
		    q.json, &err);
	offline_chain_free(&q.chain_blobs);
	offline_chain_free(&q.side_blobs);
	return offline_written("chain", status);
}
