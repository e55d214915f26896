#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/cli/cli.h"
#include "agent/file.h"
#include "agent/vault/move_seal.h"
#include "common/base64.h"
#include "common/hex.h"

static const char export_usage[] =
    "usage: attest-agent export --sealed-to KEY --out FILE VM...\n"
    "       attest-agent export --again ID --out FILE\n"
    "       attest-agent export --list | --forget ID [--json]\n"
    "\n"
    "Hand VMs over to another agent: registration, secrets, and the count of\n"
    "releases so far.  From then on they are not served here.\n"
    "\n"
    "  --sealed-to KEY  as the other's `attest-agent key seal-to` prints it;\n"
    "                   nobody else can open the file\n"
    "  --out FILE       a new file\n"
    "  --again ID       write the file of that export once more\n"
    "  --list           what was handed over, and in which export\n"
    "  --forget ID      let go of the file, once the other agent has it\n"
    "\n"
    "exit status: 0 good, 1 failed or refused, 2 usage\n"
    "\n"
    "example: attest-agent export --sealed-to x25519:... --out m.export web1\n";

static const char import_usage[] =
    "usage: attest-agent import FILE --from KEY [--json]\n"
    "\n"
    "Take over what another agent exported, all of it or nothing; each export\n"
    "once.\n"
    "\n"
    "  --from KEY  of that agent, as its `attest-agent key show` prints it;\n"
    "              get it by another way than the file\n"
    "\n"
    "exit status: 0 good, 1 failed or refused, 2 usage\n"
    "\n"
    "example: attest-agent import m.export --from ed25519:...\n";

#define VMS_ARG_MAX 256
#define WORD_MAX UINT8_MAX

struct export_args {
	const char *to, *out, *again, *forget;
	const char *vms[VMS_ARG_MAX];
	size_t count;
	bool list, json;
};

/* Ask; what comes back goes to ${fd}, the new file of that name. */
static int
fetch_file(const struct cli *cli, unsigned op, struct span in, int fd,
    const struct export_args *a)
{
	struct secret file = { 0 };
	struct err err = { 0 };
	json_t *reply = NULL;
	const char *text;
	int status;

	if (cli_ask(&reply, cli, op, in, &err) != 0) {
		(void)unlink(a->out);
		return cli_fail_as(a->json, &err);
	}
	text = cli_text(reply, "file");
	if (secret_alloc(&file, MOVE_FILE_MAX, &err) != 0 ||
	    base64_decode(file.ptr, MOVE_FILE_MAX, &file.len, span_str(text),
		&err) != 0 ||
	    file_write(fd, a->out, secret_span(&file), &err) != 0) {
		(void)unlink(a->out);
		/* By now the VMs are handed over, whatever happened here. */
		(void)fprintf(stderr,
		    "attest-agent: the file is kept: attest-agent export "
		    "--again %s --out FILE\n",
		    cli_text(reply, "export"));
		status = cli_fail_as(a->json, &err);
	} else {
		(void)printf(a->json ? "{\"export\":\"%s\"}\n" : "export %s\n",
		    cli_text(reply, "export"));
		status = CLI_OK;
	}
	secret_free(&file);
	json_decref(reply);
	return status;
}

static int
ask_for_file(const struct cli *cli, unsigned op, struct span in,
    const struct export_args *a)
{
	struct err err = { 0 };
	int status;
	int fd;

	if (a->out == NULL)
		return cli_misuse(export_usage, "export: want --out FILE");
	/* Before anything is handed over. */
	fd = file_create(a->out, &err);
	if (fd < 0)
		return cli_fail_as(a->json, &err);
	status = fetch_file(cli, op, in, fd, a);
	(void)close(fd);
	return status;
}

static int
export_new(const struct cli *cli, const struct export_args *a)
{
	uint8_t in[MOVE_KEY_LEN + VMS_ARG_MAX * (1 + WORD_MAX)];
	struct writer w = writer_of(in, sizeof(in));
	uint8_t key[MOVE_KEY_LEN];
	struct err err = { 0 };
	size_t i;

	if (move_key_parse(key, a->to, &err) != 0)
		return cli_misuse(export_usage, "--sealed-to: %s", err.msg);
	if (a->count == 0)
		return cli_misuse(export_usage, "export: which VMs?");
	writer_put(&w, span_of(key, sizeof(key)));
	for (i = 0; i < a->count; i++) {
		struct span word = span_str(a->vms[i]);

		if (word.len > WORD_MAX)
			return cli_misuse(
			    export_usage, "export: %.40s...?", a->vms[i]);
		writer_u8(&w, (uint8_t)word.len);
		writer_put(&w, word);
	}
	return ask_for_file(cli, OWNER_EXPORT, writer_span(&w), a);
}

static int
read_id(uint8_t id[MOVE_ID_LEN], const char *text)
{
	return hex_decode(id, MOVE_ID_LEN, span_str(text), NULL);
}

static int
export_list(const struct cli *cli, bool json)
{
	struct err err = { 0 };
	json_t *reply = NULL;
	const json_t *vms;
	size_t i;

	if (cli_ask(&reply, cli, OWNER_EXPORTS, (struct span){ 0 }, &err) != 0)
		return cli_fail_as(json, &err);
	vms = json_object_get(reply, "vms");
	if (json)
		cli_print_json(reply);
	for (i = 0; !json && i < json_array_size(vms); i++) {
		const json_t *vm = json_array_get(vms, i);

		(void)printf("%-20s %s export %s %s %s\n", cli_text(vm, "name"),
		    cli_text(vm, "vm"), cli_text(vm, "export"),
		    cli_text(vm, "time"), cli_text(vm, "sealed-to"));
	}
	json_decref(reply);
	return CLI_OK;
}

static int
export_forget(const struct cli *cli, const struct export_args *a)
{
	uint8_t id[MOVE_ID_LEN];
	struct err err = { 0 };
	json_t *reply = NULL;

	if (read_id(id, a->forget) != 0)
		return cli_misuse(export_usage, "--forget: want an export id");
	if (cli_ask(&reply, cli, OWNER_EXPORT_FORGET, span_of(id, sizeof(id)),
		&err) != 0)
		return cli_fail_as(a->json, &err);
	if (a->json)
		cli_print_json(reply);
	else
		(void)printf("forgotten %s\n", cli_text(reply, "forgotten"));
	json_decref(reply);
	return CLI_OK;
}

/* 0, or the status to end with. */
static int
read_export(struct export_args *a, int argc, char **argv)
{
	int i;

	for (i = 1; i < argc; i++) {
		int got = cli_value(&a->to, argc, argv, &i, "sealed-to");

		if (got == 0)
			got = cli_value(&a->out, argc, argv, &i, "out");
		if (got == 0)
			got = cli_value(&a->again, argc, argv, &i, "again");
		if (got == 0)
			got = cli_value(&a->forget, argc, argv, &i, "forget");
		if (got < 0)
			return cli_misuse(
			    export_usage, "export: %s wants a value", argv[i]);
		if (got > 0)
			continue;
		if (cli_flag(argv, i, "list"))
			a->list = true;
		else if (cli_flag(argv, i, "json"))
			a->json = true;
		else if (argv[i][0] != '-' && a->count < VMS_ARG_MAX)
			a->vms[a->count++] = argv[i];
		else
			return cli_misuse(export_usage, "export: %s?", argv[i]);
	}
	return 0;
}

int
cli_export(const struct cli *cli, int argc, char **argv)
{
	struct export_args a = { 0 };
	uint8_t id[MOVE_ID_LEN];
	int status;

	if (argc > 1 && cli_flag(argv, 1, "help"))
		return cli_help(export_usage);
	status = read_export(&a, argc, argv);
	if (status != 0)
		return status;
	if ((a.to != NULL) + (a.again != NULL) + (a.forget != NULL) + a.list !=
	    1)
		return cli_misuse(export_usage,
		    "export: want one of --sealed-to, --again, --list and "
		    "--forget");
	if (a.to != NULL)
		return export_new(cli, &a);
	if (a.list)
		return export_list(cli, a.json);
	if (a.forget != NULL)
		return export_forget(cli, &a);
	if (read_id(id, a.again) != 0)
		return cli_misuse(export_usage, "--again: want an export id");
	return ask_for_file(
	    cli, OWNER_EXPORT_AGAIN, span_of(id, sizeof(id)), &a);
}

static int
import(const struct cli *cli, const char *path,
    const uint8_t sender[UUID_KEY_LEN], bool json)
{
	struct secret file = { 0 };
	struct secret in = { 0 };
	struct err err = { 0 };
	json_t *reply = NULL;
	struct writer w;
	int status;

	if (file_read(&file, path, MOVE_FILE_MAX, &err) != 0 ||
	    secret_alloc(&in, UUID_KEY_LEN + file.len, &err) != 0) {
		status = cli_fail_as(json, &err);
		goto out;
	}
	w = writer_of(in.ptr, in.len);
	writer_put(&w, span_of(sender, UUID_KEY_LEN));
	writer_put(&w, secret_span(&file));
	if (cli_ask(&reply, cli, OWNER_IMPORT, secret_span(&in), &err) != 0) {
		status = cli_fail_as(json, &err);
		goto out;
	}
	if (json)
		cli_print_json(reply);
	else
		(void)printf(
		    "imported %lld VMs\n", cli_number(reply, "imported"));
	status = CLI_OK;
out:
	json_decref(reply);
	secret_free(&in);
	secret_free(&file);
	return status;
}

int
cli_import(const struct cli *cli, int argc, char **argv)
{
	uint8_t sender[UUID_KEY_LEN];
	const char *path = NULL;
	const char *from = NULL;
	struct err err = { 0 };
	bool json = false;
	int i;

	for (i = 1; i < argc; i++) {
		int got = cli_value(&from, argc, argv, &i, "from");

		if (got < 0)
			return cli_misuse(
			    import_usage, "import: --from wants a value");
		if (got > 0)
			continue;
		if (cli_flag(argv, i, "help"))
			return cli_help(import_usage);
		if (cli_flag(argv, i, "json"))
			json = true;
		else if (path == NULL && argv[i][0] != '-')
			path = argv[i];
		else
			return cli_misuse(import_usage, "import: %s?", argv[i]);
	}
	if (path == NULL || from == NULL)
		return cli_misuse(
		    import_usage, "import: want FILE and --from KEY");
	if (key_parse(sender, from, &err) != 0)
		return cli_misuse(import_usage, "--from: %s", err.msg);
	return import(cli, path, sender, json);
}
