#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "agent/api/api_serve.h"
#include "agent/api/api_token.h"
#include "agent/config.h"
#include "agent/control.h"
#include "agent/part.h"
#include "agent/sandbox.h"
#include "common/log.h"

/*
 * The process of the owner's API.  It is a client of agent.sock like the
 * command line, and holds nothing; so a fault in it costs no secret but those
 * that are being registered through it.
 */
struct api {
	struct state state;
	struct config config;
	struct api_https https;
};

/* Both sockets ask from their own threads; a connection of its own each. */
static int
ask(void *arg, unsigned op, struct span in, struct buf *out, struct err *err)
{
	const struct api *a = arg;

	return control_ask(out, &a->state, op, in, err);
}

static void *
serve_unix(void *arg)
{
	struct api *a = arg;
	struct err err = { 0 };

	(void)api_unix_serve(&a->state, ask, a, &err);
	log_error(NULL, "owner's API: %s", err.msg);
	_exit(CLI_FAILED);
}

static int
serve_https(struct api *a, struct err *err)
{
	a->https.listen = a->config.api_listen;
	a->https.certificate = a->config.api_certificate;
	a->https.key = a->config.api_key;
	a->https.ask = ask;
	a->https.arg = a;
	if (api_token_load(a->https.token, &a->state, err) != 0) {
		if (err->code == ERR_NOT_FOUND)
			(void)err_set(err, ERR_NOT_FOUND,
			    "no token yet: attest-agent api token");
		return -1;
	}
	return api_https_serve(&a->https, err);
}

int
part_api(const struct cli *cli, int argc, char **argv)
{
	struct api a = { .state = { .dir_fd = -1, .lock_fd = -1 } };
	struct err err = { 0 };
	pthread_t thread;

	(void)signal(SIGPIPE, SIG_IGN);
	if (cli_run_config(&a.config, cli, argc, argv, &err) != 0 ||
	    state_open(&a.state, cli->state_dir, &err) != 0)
		return cli_fail(&err);
	log_open(STDERR_FILENO, (enum log_level)a.config.log_level,
	    (enum log_format)a.config.log_format);
	if (sandbox_api(&err) != 0)
		return cli_fail(&err);
	if (a.config.api_socket &&
	    pthread_create(&thread, NULL, serve_unix, &a) != 0)
		return CLI_FAILED;
	if (a.config.api_listen[0] == '\0')
		(void)pthread_join(thread, NULL);
	else if (serve_https(&a, &err) != 0)
		return cli_fail(&err);
	return CLI_FAILED;
}
