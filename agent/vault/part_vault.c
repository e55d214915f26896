#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "agent/config.h"
#include "agent/part.h"
#include "agent/sandbox.h"
#include "agent/vault/gate.h"
#include "common/log.h"

static bool
is_zero(const struct uuid *u)
{
	static const struct uuid zero;

	return uuid_equal(u, &zero);
}

/* Each line of the owner's log, once it is on the disk. */
static void
echo(void *arg, const struct store_audit *row)
{
	char session[UUID_TEXT_LEN + 1] = "";
	char vm[UUID_TEXT_LEN + 1] = "";
	struct log_subject subject;

	(void)arg;
	if (!is_zero(&row->session))
		(void)uuid_format(session, &row->session);
	log_subject_set(&subject, "vm %s", uuid_format(vm, &row->vm));
	if (strcmp(row->event, "ALARM") == 0)
		log_error(&subject, "#%llu ALARM: %s%s%s",
		    (unsigned long long)row->seq, row->detail,
		    session[0] != '\0' ? "; session " : "", session);
	else
		log_info(&subject, "#%llu %s: %s%s%s",
		    (unsigned long long)row->seq, row->event, row->detail,
		    session[0] != '\0' ? "; session " : "", session);
}

/* Before any secret is in it. */
static int
lock_memory(bool required, struct err *err)
{
	if (sandbox_lock_memory(err) == 0)
		return 0;
	if (required)
		return -1;
	log_warn(NULL, "%s", err->msg);
	*err = (struct err){ 0 };
	return 0;
}

static int
serve(struct gate_options *gate, const struct config *config,
    struct state *state, struct err *err)
{
	struct vault_options options = { .clock = times_system(),
		.echo = echo };
	struct key *key = NULL;

	if (lock_memory(config->lock_memory != 0, err) != 0)
		return -1;
	if (key_load(&key, state, err) != 0) {
		if (err->code == ERR_NOT_FOUND)
			(void)err_set(err, ERR_NOT_FOUND,
			    "%s: no key yet: attest-agent key new", state->dir);
		return -1;
	}
	gate->key = options.key = key;
	options.keep_tik = config->keep_tik;
	gate->wait_ms = (int64_t)config->approval_ms;
	if (vault_open(&gate->vault, state, &options, err) != 0 ||
	    sandbox_vault(err) != 0)
		return -1;
	return gate_run(gate, err);
}

int
part_vault(const struct cli *cli, int argc, char **argv)
{
	struct gate_options gate = { .net_fd = PART_PAIR_FD,
		.owner_fd = PART_KEEPER_FD };
	struct state state = { .dir_fd = -1, .lock_fd = -1 };
	struct config config = { 0 };
	int status = CLI_FAILED;
	struct err err = { 0 };

	/* The parent says when to end. */
	(void)signal(SIGTERM, SIG_IGN);
	(void)signal(SIGPIPE, SIG_IGN);
	if (cli_run_config(&config, cli, argc, argv, &err) != 0 ||
	    state_open(&state, cli->state_dir, &err) != 0) {
		status = cli_fail(&err);
		goto out;
	}
	log_open(STDERR_FILENO, (enum log_level)config.log_level,
	    (enum log_format)config.log_format);
	state.lock_fd = PART_LOCK_FD;
	status =
	    serve(&gate, &config, &state, &err) == 0 ? CLI_OK : cli_fail(&err);
out:
	vault_close(gate.vault);
	/* Nothing that the C library does at the end is on the list of calls
	 * that are left. */
	_exit(status);
}
