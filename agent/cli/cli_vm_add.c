#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/cli/cli_vm.h"
#include "agent/cli/prompt.h"
#include "agent/cli/secret_command.h"
#include "agent/file.h"
#include "agent/json.h"
#include "agent/key.h"
#include "agent/register/register.h"

static const char usage[] =
    "usage: attest-agent vm add NAME|UUID --policy N --firmware F ... [options]\n"
    "       attest-agent vm add [NAME|UUID] --domain FILE|- [options]\n"
    "       attest-agent vm add [NAME|UUID] --yaml|--json FILE|- [options]\n"
    "\n"
    "Register a VM: what may start, where, and the secret it then gets.\n"
    "\n"
    "identity  --uuid U | --new-uuid      the latter (default) makes one that\n"
    "                                     only this agent's key can claim;\n"
    "                                     a NAME that is a UUID is the VM's\n"
    "          --shared-rank N            other agents answer for it, too;\n"
    "                                     the smallest N is asked first\n"
    "guest     --policy N|nodbg,noks,es   --scheme amd-sev|amd-sev-es\n"
    "          --firmware F...            all images that may be used\n"
    "          --domain FILE              what a libvirt domain says, where\n"
    "                                     no option says it\n"
    "          --kernel F... --initrd F... --cmdline S...\n"
    "                                     one initrd and command line for\n"
    "                                     all kernels, or one for each\n"
    "          --cpus N[,N]... --cpu-model EPYC-Milan | --cpu-sig N |\n"
    "            --cpu-family N --cpu-model N --cpu-stepping N |\n"
    "            --vmsa-cpu0 F --vmsa-cpu1 F                      (SEV-ES)\n"
    "          --vmsa legacy|init2|both   --digest HEX...\n"
    "          --allow-debug              accept a policy without NODBG\n"
    "platform  --cloud-cert F...          the cloud's OCA certificate\n"
    "          --chip FINGERPRINT|CHIPID=CEKFILE...   --deny-chip ...\n"
    "          --any-platform             every genuine AMD machine\n"
    "          --deny-generation NAME...  --allow-naples\n"
    "          --root F...                ARK and ASK besides AMD's\n"
    "          --cek F...                 signed CEKs of its chips\n"
    "          --min-api M.N --min-build N\n"
    "          --cek-blocklist FILE       fingerprints of CEKs to refuse\n"
    "limits    --max-instances N[/DURATION] --then refuse|allow|confirm\n"
    "          --approve never|first-use|always --approve-at launch|release\n"
    "          --valid-from TIME --valid-until TIME   2026-12-31[T23:59:59Z]\n"
    "          --allow-host IDENTITY...   as the relay names hosts\n"
    "secret    --secret-file F | --secret-fd N | --luks-prompt\n"
    "                                     the disk passphrase, exact bytes\n"
    "          --secret-command CMD       what it writes, without a shell and\n"
    "                                     less a newline at the end\n"
    "          --secret GUID=F...         others, also --secret-command\n"
    "                                     GUID=CMD; or --no-secret\n"
    "          --secret-address N\n"
    "other     --json FILE, --yaml FILE   a registration, - is stdin\n"
    "          --json                     as the last word, or ahead of a\n"
    "                                     flag: print JSON\n"
    "\n"
    "Secrets are never taken from arguments or the environment.\n"
    "\n"
    "example: attest-agent vm add web1 --domain web1.xml \\\n"
    "    --firmware OVMF.amdsev.fd --cloud-cert oca.cert --luks-prompt\n";

static int
read_file(void *arg, struct secret *out, const char *path, size_t max,
    struct err *err)
{
	(void)arg;
	return file_read(out, path, max, err);
}

static int
run_command(void *arg, struct secret *out, const char *line, size_t max,
    struct err *err)
{
	struct secret_command command;

	(void)arg;
	if (secret_command_parse(&command, line, err) != 0)
		return -1;
	return secret_command_run(out, &command, max, SECRET_COMMAND_MS, err);
}

/* A file in one of the forms of docs/protocol.md 14; "-" is stdin. */
static int
add_form(struct register_plan *p, const char *path, register_form_fn *form,
    struct err *err)
{
	struct secret text = { 0 };
	int rc;

	rc = strcmp(path, "-") == 0
	    ? file_read_fd(&text, STDIN_FILENO, REGISTER_JSON_MAX, err)
	    : file_read(&text, path, REGISTER_JSON_MAX, err);
	if (rc == 0 && form(p, secret_span(&text), err) != 0)
		rc = err_wrap(err, "%s", path);
	secret_free(&text);
	return rc;
}

static int
add_secret_fd(struct register_plan *p, const char *value, struct err *err)
{
	struct secret bytes = { 0 };
	struct sev_guid guid;
	uint64_t fd = 0;
	int rc = -1;

	if (!json_uint_text(&fd, value, 65535))
		return err_set(err, ERR_USAGE, "secret-fd: want a number");
	if (sev_guid_parse(&guid, span_str("luks-key"), err) == 0 &&
	    file_read_fd(&bytes, (int)fd, SEV_SECRET_AREA_MAX, err) == 0)
		rc = register_secret(p, &guid, secret_span(&bytes), err);
	secret_free(&bytes);
	return rc == 0 ? 0 : err_wrap(err, "secret-fd");
}

static int
add_secret_prompt(struct register_plan *p, struct err *err)
{
	char what[REGISTRATION_NAME_MAX + 40];
	struct secret bytes = { 0 };
	struct sev_guid guid;
	int rc = -1;

	(void)snprintf(
	    what, sizeof(what), "Passphrase for the disk of %s", p->r->name);
	if (sev_guid_parse(&guid, span_str("luks-key"), err) == 0 &&
	    prompt_secret(&bytes, what, err) == 0)
		rc = register_secret(p, &guid, secret_span(&bytes), err);
	secret_free(&bytes);
	return rc;
}

/* What the command line says besides the options of register.c. */
struct words {
	const char *name;
	const char *domain; /* read last: it says what nobody else has */
	bool ask;           /* for the passphrase */
};

/* One word of the command line, and its value if it takes one. */
static int
read_option(struct register_plan *p, struct words *w, int argc, char **argv,
    int *at, struct err *err)
{
	const char *value = NULL;
	char name[32];
	size_t len;
	int wants;

	if (cli_value(&value, argc, argv, at, "json") > 0)
		return add_form(p, value, register_json, err);
	if (cli_value(&value, argc, argv, at, "yaml") > 0)
		return add_form(p, value, register_yaml, err);
	if (cli_value(&w->domain, argc, argv, at, "domain") > 0)
		return 0;
	if (cli_value(&value, argc, argv, at, "secret-fd") > 0)
		return add_secret_fd(p, value, err);
	len = strcspn(argv[*at] + 2, "=");
	if (len >= sizeof(name))
		return err_set(
		    err, ERR_USAGE, "unknown option %.40s", argv[*at]);
	memcpy(name, argv[*at] + 2, len);
	name[len] = '\0';
	wants = register_wants_value(name);
	if (wants < 0)
		return err_set(err, ERR_USAGE, "unknown option --%s", name);
	if (wants > 0 && cli_value(&value, argc, argv, at, name) < 0)
		return err_set(err, ERR_USAGE, "--%s wants a value", name);
	return register_option(p, name, value, err);
}

/* --json with a file behind it is input; without one, it is how to print. */
static bool
wants_json(int argc, char **argv, int at)
{
	return cli_flag(argv, at, "json") &&
	    (at + 1 >= argc || strncmp(argv[at + 1], "--", 2) == 0);
}

static int
read_line(struct register_plan *p, struct words *w, int argc, char **argv,
    struct err *err)
{
	int i;

	for (i = 1; i < argc; i++) {
		if (strncmp(argv[i], "--", 2) != 0) {
			if (w->name != NULL)
				return err_set(err, ERR_USAGE, "%s?", argv[i]);
			w->name = argv[i];
		} else if (cli_flag(argv, i, "secret-prompt") ||
		    cli_flag(argv, i, "luks-prompt")) {
			w->ask = true;
		} else if (!wants_json(argc, argv, i) &&
		    read_option(p, w, argc, argv, &i, err) != 0) {
			return -1;
		}
	}
	if (w->name != NULL && register_option(p, "name", w->name, err) != 0)
		return -1;
	if (w->domain != NULL &&
	    add_form(p, w->domain, register_domain, err) != 0)
		return -1;
	return register_identity(p, err);
}

static int
load_public(uint8_t out[UUID_KEY_LEN], const struct cli *cli, bool needed,
    struct err *err)
{
	struct state state;
	struct key *key = NULL;
	int rc;

	memset(out, 0, UUID_KEY_LEN);
	if (!needed)
		return 0;
	if (state_open(&state, cli->state_dir, err) != 0)
		return -1;
	rc = key_load(&key, &state, err);
	state_close(&state);
	if (rc != 0)
		return err_wrap(err,
		    "a new UUID is made of the agent's key (attest-agent "
		    "key new)");
	memcpy(out, key_public(key), UUID_KEY_LEN);
	key_free(key);
	return 0;
}

static int
submit(json_t **vm, const struct cli *cli, struct register_plan *p,
    struct err *err)
{
	struct registration *r = NULL;
	struct secret bytes = { 0 };
	uint8_t key[UUID_KEY_LEN];
	int rc = -1;

	if (load_public(key, cli, !p->has_vm, err) != 0 ||
	    register_finish(&r, p, key, err) != 0 ||
	    registration_encode(&bytes, r, err) != 0)
		goto out;
	rc = cli_ask(vm, cli, OWNER_REGISTER, secret_span(&bytes), err);
out:
	secret_free(&bytes);
	registration_free(r);
	return rc;
}

/* All that is known is checked and shown before a passphrase is asked for. */
static int
add(const struct cli *cli, struct register_plan *p, const struct words *w,
    bool json, struct err *err)
{
	json_t *vm = NULL;

	if (register_check(p, err) != 0)
		return -1;
	if (!json)
		cli_vm_show_plan(p);
	if ((w->ask && add_secret_prompt(p, err) != 0) ||
	    submit(&vm, cli, p, err) != 0)
		return -1;
	if (json)
		cli_vm_print_json(vm, p);
	else
		cli_vm_show_end(cli, vm, p);
	json_decref(vm);
	return 0;
}

int
cli_vm_add(const struct cli *cli, int argc, char **argv)
{
	struct register_plan *p = calloc(1, sizeof(*p));
	struct words words = { 0 };
	struct err err = { 0 };
	int status = CLI_OK;
	bool json = false;
	int i;

	for (i = 1; i < argc; i++) {
		if (cli_flag(argv, i, "help")) {
			free(p);
			return cli_help(usage);
		}
		json = json || wants_json(argc, argv, i);
	}
	if (p == NULL || register_init(p, read_file, NULL, &err) != 0) {
		free(p);
		return CLI_FAILED;
	}
	p->run = run_command;
	if (read_line(p, &words, argc, argv, &err) != 0 ||
	    add(cli, p, &words, json, &err) != 0) {
		(void)err_wrap(&err, "vm add");
		status = cli_fail_as(json, &err);
	}
	register_free(p);
	free(p);
	return status;
}
