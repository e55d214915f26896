#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/cli/cli.h"
#include "agent/json.h"
#include "common/base64.h"

static const char usage[] =
    "usage: attest-agent receipts list|show N|export N [--with-tik] [--json]\n"
    "                             [--to FOLDER]\n"
    "\n"
    "Evidence of each release, signed with this agent's key; its number is\n"
    "that of the release's line in the log.\n"
    "\n"
    "  list         all of them\n"
    "  show N       the signed statement of one\n"
    "  export N     all that a third party needs, as JSON; or\n"
    "  --to FOLDER  as files: statement, statement.sig and agent.pub (openssl\n"
    "               pkeyutl -verify -pubin -inkey agent.pub -rawin\n"
    "               -in statement -sigfile statement.sig), pdh.cert,\n"
    "               cert_chain.cert, godh.cert, launch_blob.bin (sevctl) and\n"
    "               measurement, in base64 (virt-qemu-sev-validate)\n"
    "  --with-tik   the session's TIK, too, by which the measurement can be\n"
    "               computed again; once the session has ended, and if\n"
    "               receipts.keep-tik was on\n"
    "\n"
    "A receipt says what SEV does not attest, too.\n";

/* RFC 8410: what comes ahead of an Ed25519 key in SubjectPublicKeyInfo. */
static const uint8_t spki_head[] = { 0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b,
	0x65, 0x70, 0x03, 0x21, 0x00 };

static int
write_file(
    const char *folder, const char *name, struct span in, struct err *err)
{
	char path[1024];
	int fd;
	int rc = 0;

	(void)snprintf(path, sizeof(path), "%s/%s", folder, name);
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0 || write(fd, in.ptr, in.len) != (ssize_t)in.len)
		rc = err_set(err, ERR_IO, "%s: %s", path, strerror(errno));
	if (fd >= 0 && close(fd) != 0 && rc == 0)
		rc = err_set(err, ERR_IO, "%s: %s", path, strerror(errno));
	return rc;
}

/* A member of the bundle that may be absent. */
static int
write_member(const char *folder, const char *name, const json_t *bundle,
    const char *member, struct err *err)
{
	const char *text = cli_text(bundle, member);
	uint8_t bytes[16384];
	size_t len = 0;

	if (text[0] == '\0')
		return 0;
	if (base64_decode(bytes, sizeof(bytes), &len, span_str(text), err) != 0)
		return -1;
	return write_file(folder, name, span_of(bytes, len), err);
}

static int
write_public(const char *folder, const json_t *bundle, struct err *err)
{
	const char *text = cli_text(bundle, "agent-key");
	uint8_t der[sizeof(spki_head) + 32];
	char pem[160];
	char b64[80];
	size_t len = 0;

	memcpy(der, spki_head, sizeof(spki_head));
	if (strncmp(text, "ed25519:", 8) != 0 ||
	    base64_decode(der + sizeof(spki_head), 32, &len, span_str(text + 8),
		err) != 0 ||
	    len != 32)
		return err_set(err, ERR_MALFORMED, "no key in the receipt");
	(void)snprintf(pem, sizeof(pem),
	    "-----BEGIN PUBLIC KEY-----\n%s\n-----END PUBLIC KEY-----\n",
	    base64_encode(b64, sizeof(b64), span_of(der, sizeof(der))));
	return write_file(folder, "agent.pub", span_str(pem), err);
}

static int
write_bundle(const char *folder, const json_t *bundle, struct err *err)
{
	static const struct {
		const char *file;
		const char *member;
	} files[] = {
		{ "statement.sig", "signature" },
		{ "pdh.cert", "pdh" },
		{ "cert_chain.cert", "cert-chain" },
		{ "godh.cert", "owner-cert" },
		{ "launch_blob.bin", "session" },
		{ "tik.bin", "tik" },
	};
	size_t i;

	if (mkdir(folder, 0700) != 0 && errno != EEXIST)
		return err_set(err, ERR_IO, "%s: %s", folder, strerror(errno));
	if (write_file(folder, "statement",
		span_str(cli_text(bundle, "statement")), err) != 0 ||
	    write_file(folder, "measurement",
		span_str(cli_text(bundle, "measurement")), err) != 0 ||
	    write_public(folder, bundle, err) != 0)
		return -1;
	for (i = 0; i < sizeof(files) / sizeof(files[0]); i++)
		if (write_member(folder, files[i].file, bundle, files[i].member,
			err) != 0)
			return -1;
	return 0;
}

/* The value of "name: " in a statement. */
static void
print_fact(const char *statement, const char *name, int width)
{
	const char *at = strstr(statement, name);
	size_t len;

	at = at != NULL ? at + strlen(name) : "";
	len = strcspn(at, "\n");
	(void)printf("%-*.*s  ", width, (int)len, at);
}

static int
list(const struct cli *cli, bool json)
{
	struct err err = { 0 };
	uint64_t after = 0;
	size_t count, i;

	do {
		uint8_t in[8];
		struct writer w = writer_of(in, sizeof(in));
		json_t *page = NULL;
		const json_t *all;

		writer_be64(&w, after);
		if (cli_ask(
			&page, cli, OWNER_RECEIPTS, writer_span(&w), &err) != 0)
			return cli_fail_as(json, &err);
		all = json_object_get(page, "receipts");
		count = json_array_size(all);
		for (i = 0; i < count; i++) {
			const json_t *one = json_array_get(all, i);
			const char *text = cli_text(one, "statement");

			after = (uint64_t)cli_number(one, "receipt");
			if (json) {
				cli_print_json(one);
				continue;
			}
			(void)printf("%6llu  ", (unsigned long long)after);
			print_fact(text, "\ntime: ", 24);
			print_fact(text, "\nname: ", 16);
			print_fact(text, "\ninstance: ", 0);
			(void)putchar('\n');
		}
		json_decref(page);
	} while (count > 0);
	return CLI_OK;
}

struct flags {
	const char *verb, *number, *to;
	bool json, with_tik;
};

static int
one(const struct cli *cli, const struct flags *f, uint64_t number)
{
	uint8_t in[9];
	struct writer w = writer_of(in, sizeof(in));
	struct err err = { 0 };
	json_t *bundle = NULL;
	int rc = 0;

	writer_be64(&w, number);
	writer_u8(&w, f->with_tik ? 1 : 0);
	if (cli_ask(&bundle, cli, OWNER_RECEIPT, writer_span(&w), &err) != 0)
		return cli_fail_as(f->json, &err);
	if (f->to != NULL)
		rc = write_bundle(f->to, bundle, &err);
	else if (strcmp(f->verb, "export") == 0 || f->json)
		cli_print_json(bundle);
	else
		(void)fputs(cli_text(bundle, "statement"), stdout);
	json_decref(bundle);
	return rc == 0 ? CLI_OK : cli_fail_as(f->json, &err);
}

int
cli_receipts(const struct cli *cli, int argc, char **argv)
{
	struct flags f = { 0 };
	uint64_t number = 0;
	int i;

	for (i = 1; i < argc; i++) {
		int got;

		if (cli_flag(argv, i, "help"))
			return cli_help(usage);
		got = cli_value(&f.to, argc, argv, &i, "to");
		if (got > 0)
			continue;
		if (cli_flag(argv, i, "json"))
			f.json = true;
		else if (cli_flag(argv, i, "with-tik"))
			f.with_tik = true;
		else if (f.verb == NULL && argv[i][0] != '-')
			f.verb = argv[i];
		else if (f.number == NULL && argv[i][0] != '-')
			f.number = argv[i];
		else
			return cli_misuse(usage, "receipts: %s?", argv[i]);
	}
	if (f.verb != NULL && strcmp(f.verb, "list") == 0 && f.number == NULL)
		return list(cli, f.json);
	if (f.verb == NULL ||
	    (strcmp(f.verb, "show") != 0 && strcmp(f.verb, "export") != 0) ||
	    f.number == NULL || !json_uint_text(&number, f.number, INT64_MAX))
		return cli_misuse(
		    usage, "receipts: want list, show N or export N");
	return one(cli, &f, number);
}
