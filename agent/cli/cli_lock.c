#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "agent/cli/cli.h"
#include "agent/cli/prompt.h"
#include "agent/file.h"
#include "agent/json.h"
#include "agent/seal_key.h"

static const char lock_usage[] =
    "usage: attest-agent lock [--json]\n"
    "\n"
    "Make the running agent forget its keys and registrations: until unlock,\n"
    "hosts are told that no agent is there. Open sessions go on after that.\n";

static const char unlock_usage[] =
    "usage: attest-agent unlock [--passphrase-file FILE] [--json]\n"
    "\n"
    "Give the running agent its seal key back. Asks for the passphrase, if\n"
    "the key is kept under one (attest-agent key passphrase).\n"
    "\n"
    "  --passphrase-file FILE  or a descriptor as /dev/fd/N; without the\n"
    "                          newline at its end\n";

static const char passphrase_usage[] =
    "usage: attest-agent key passphrase [--passphrase-file FILE]\n"
    "\n"
    "Keep the seal key under a passphrase (scrypt) instead of in the clear:\n"
    "seal.scrypt takes the place of seal.key. From then on `run` asks for\n"
    "it, or waits for `unlock`. There is no way back to a lost passphrase.\n";

/* The newline that an editor leaves is not part of it. */
static int
read_passphrase(
    struct secret *out, const char *file, bool twice, struct err *err)
{
	if (file == NULL)
		return twice ? prompt_secret(out, "Passphrase", err)
			     : prompt_once(out, "Passphrase", err);
	if (file_read_private(out, file, SEAL_PASSPHRASE_MAX, err) != 0)
		return -1;
	if (out->len > 0 && out->ptr[out->len - 1] == '\n')
		out->len--;
	if (out->len == 0)
		return err_set(err, ERR_USAGE, "%s: no passphrase", file);
	return 0;
}

int
cli_seal_key(struct secret *out, const struct state *state, const char *file,
    struct err *err)
{
	struct secret passphrase = { 0 };
	struct err why = { 0 };
	int rc;

	if (seal_key_load(out, state, &why) == 0)
		return 0;
	if (why.code != ERR_CLOSED)
		return err_set(err, why.code, "%s", why.msg);
	if (read_passphrase(&passphrase, file, false, err) != 0)
		return -1;
	rc = seal_key_unwrap(out, state, secret_span(&passphrase), err);
	secret_free(&passphrase);
	return rc;
}

struct flags {
	const char *file;
	bool json, help;
};

static int
read_flags(struct flags *f, int argc, char **argv)
{
	int i;

	for (i = 1; i < argc; i++) {
		if (cli_flag(argv, i, "help"))
			f->help = true;
		else if (cli_flag(argv, i, "json"))
			f->json = true;
		else if (cli_value(
			     &f->file, argc, argv, &i, "passphrase-file") <= 0)
			return -1;
	}
	return 0;
}

int
cli_lock(const struct cli *cli, int argc, char **argv)
{
	struct flags f = { 0 };
	struct err err = { 0 };
	json_t *reply = NULL;

	if (read_flags(&f, argc, argv) != 0 || f.file != NULL)
		return cli_misuse(lock_usage, "lock: unknown option");
	if (f.help)
		return cli_help(lock_usage);
	if (cli_ask_running(
		&reply, cli, OWNER_LOCK, (struct span){ 0 }, &err) != 0)
		return cli_fail_as(f.json, &err);
	if (f.json)
		cli_print_json(reply);
	else
		(void)puts("locked; attest-agent unlock undoes it");
	json_decref(reply);
	return CLI_OK;
}

int
cli_unlock(const struct cli *cli, int argc, char **argv)
{
	struct secret key = { 0 };
	struct flags f = { 0 };
	struct err err = { 0 };
	json_t *reply = NULL;
	struct state state;
	int rc = -1;

	if (read_flags(&f, argc, argv) != 0)
		return cli_misuse(unlock_usage, "unlock: unknown option");
	if (f.help)
		return cli_help(unlock_usage);
	if (state_open(&state, cli->state_dir, &err) != 0)
		return cli_fail_as(f.json, &err);
	if (cli_seal_key(&key, &state, f.file, &err) == 0)
		rc = cli_ask_running(
		    &reply, cli, OWNER_UNLOCK, secret_span(&key), &err);
	secret_free(&key);
	state_close(&state);
	if (rc != 0)
		return cli_fail_as(f.json, &err);
	if (f.json)
		cli_print_json(reply);
	else
		(void)printf("unlocked, %lld VMs\n", cli_number(reply, "vms"));
	json_decref(reply);
	return CLI_OK;
}

int
cli_key_passphrase(const struct cli *cli, int argc, char **argv)
{
	struct secret passphrase = { 0 };
	struct secret key = { 0 };
	struct flags f = { 0 };
	struct err err = { 0 };
	struct state state;
	int rc = -1;

	if (read_flags(&f, argc, argv) != 0)
		return cli_misuse(
		    passphrase_usage, "key passphrase: unknown option");
	if (f.help)
		return cli_help(passphrase_usage);
	if (state_open(&state, cli->state_dir, &err) != 0)
		return cli_fail(&err);
	if (seal_key_load(&key, &state, &err) != 0) {
		if (err.code == ERR_NOT_FOUND)
			rc = seal_key_make(&key, &state, &err);
		else if (err.code == ERR_CLOSED)
			(void)err_set(&err, ERR_CONFLICT,
			    "it is under a passphrase already");
	} else {
		rc = 0;
	}
	if (rc == 0)
		rc = read_passphrase(&passphrase, f.file, true, &err);
	if (rc == 0)
		rc = seal_key_wrap(
		    &state, secret_span(&key), secret_span(&passphrase), &err);
	secret_free(&passphrase);
	secret_free(&key);
	state_close(&state);
	if (rc != 0)
		return cli_fail(&err);
	(void)puts("the seal key is under the passphrase now");
	return CLI_OK;
}
