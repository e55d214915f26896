#include "agent/cli/cli.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/control.h"
#include "agent/json.h"

#define LOCK_WAIT_MS 2000

int
cli_help(const char *text)
{
	(void)fputs(text, stdout);
	return CLI_OK;
}

int
cli_misuse(const char *usage, const char *fmt, ...)
{
	va_list ap;

	(void)fputs("attest-agent: ", stderr);
	va_start(ap, fmt);
	(void)vfprintf(stderr, fmt, ap);
	va_end(ap);
	(void)fprintf(stderr, "\n%.*s\n", (int)strcspn(usage, "\n"), usage);
	return CLI_USAGE;
}

int
cli_fail(const struct err *err)
{
	(void)fprintf(stderr, "attest-agent: %s\n", err->msg);
	return err->code == ERR_USAGE ? CLI_USAGE : CLI_FAILED;
}

int
cli_fail_as(bool json, const struct err *err)
{
	json_t *words = json ? json_string(err->msg) : NULL;
	json_t *v;

	if (!json)
		return cli_fail(err);
	if (words == NULL) /* a file's name need not be UTF-8 */
		words = json_string("see stderr");
	v = json_pack(
	    "{s:s,s:o}", "schema", "attest-agent.error/1", "error", words);
	if (v != NULL)
		cli_print_json(v);
	json_decref(v);
	return cli_fail(err);
}

/* The log lies open; for anything else a passphrase may be wanted. */
static int
unlock(struct vault *v, const struct state *state, struct err *err)
{
	struct secret key = { 0 };
	int rc = -1;

	if (!vault_is_locked(v))
		return 0;
	if (cli_seal_key(&key, state, NULL, err) == 0)
		rc = vault_unlock(v, secret_span(&key), err);
	secret_free(&key);
	return rc;
}

/* No agent runs: be the vault ourselves, for one question. */
static int
ask_store(struct buf *out, struct state *state, unsigned op, struct span in,
    struct err *err)
{
	struct vault_options options = { .clock = times_system() };
	struct vault *v = NULL;
	struct key *key = NULL;
	int rc = -1;

	if (state_lock(state, LOCK_WAIT_MS, err) != 0)
		return -1;
	/* Few questions need it, and those say so. */
	if (key_load(&key, state, NULL) == 0)
		options.key = key;
	if (vault_open(&v, state, &options, err) != 0)
		goto out;
	if (vault_begin(v, err) != 0 || unlock(v, state, err) != 0)
		goto out;
	rc = owner_handle(out, v, op, in, err);
	if (vault_commit(v, rc == 0 ? err : NULL) != 0)
		rc = -1;
out:
	vault_close(v);
	key_free(key);
	return rc;
}

static int
ask(json_t **out, const struct cli *cli, unsigned op, struct span in,
    bool running, struct err *err)
{
	struct state state;
	json_error_t why;
	struct buf answer;
	struct span text;
	int rc = -1;
	int fd;

	buf_init(&answer, OWNER_OUT_MAX + 1, true);
	if (state_open(&state, cli->state_dir, err) != 0)
		return -1;
	fd = control_connect(&state, err);
	if (fd >= 0) {
		rc = control_ask_fd(&answer, fd, op, in, err);
		(void)close(fd);
	} else if (err->code == ERR_CLOSED && !running) {
		rc = ask_store(&answer, &state, op, in, err);
	}
	if (rc != 0)
		goto out;
	text = buf_span(&answer);
	*out = json_loadb((const char *)text.ptr, text.len, 0, &why);
	if (*out == NULL)
		rc = err_set(err, ERR_INTERNAL, "the answer is not JSON");
out:
	buf_free(&answer);
	state_close(&state);
	return rc;
}

int
cli_ask(json_t **out, const struct cli *cli, unsigned op, struct span in,
    struct err *err)
{
	return ask(out, cli, op, in, op == OWNER_STATUS, err);
}

int
cli_ask_running(json_t **out, const struct cli *cli, unsigned op,
    struct span in, struct err *err)
{
	return ask(out, cli, op, in, true, err);
}

void
cli_print_json(const json_t *v)
{
	(void)json_dumpf(v, stdout, JSON_COMPACT | JSON_PRESERVE_ORDER);
	(void)fputc('\n', stdout);
}

const char *
cli_text(const json_t *v, const char *name)
{
	const char *text = json_string_value(json_object_get(v, name));

	return text != NULL ? text : "";
}

long long
cli_number(const json_t *v, const char *name)
{
	return json_integer_value(json_object_get(v, name));
}

bool
cli_flag(char **argv, int at, const char *name)
{
	return strncmp(argv[at], "--", 2) == 0 &&
	    strcmp(argv[at] + 2, name) == 0;
}

int
cli_value(const char **out, int argc, char **argv, int *at, const char *name)
{
	size_t len = strlen(name);
	const char *word = argv[*at];

	if (strncmp(word, "--", 2) != 0 || strncmp(word + 2, name, len) != 0)
		return 0;
	if (word[2 + len] == '=') {
		*out = word + 3 + len;
		return 1;
	}
	if (word[2 + len] != '\0')
		return 0;
	if (*at + 1 >= argc)
		return -1;
	*out = argv[++*at];
	return 1;
}
