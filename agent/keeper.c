#include "agent/keeper.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "agent/api/api_token.h"
#include "agent/control.h"
#include "agent/file.h"
#include "agent/keeper_lists.h"
#include "agent/part.h"
#include "common/log.h"

#define KEEPER_RESTART_MS 1000      /* the first is at once, then so long ... */
#define KEEPER_RESTART_MAX_MS 30000 /* ... and twice as long each time */
#define KEEPER_STABLE_MS 60000      /* a net that lived so long was well */
#define KEEPER_END_MS 10000         /* for net and vault to end */
#define KEEPER_STATUS_MS 3000
#define KEEPER_API_MS 5000 /* before the API is started again */

struct keeper {
	const struct cli *cli;
	int argc;
	char **argv;
	struct control *control;
	struct keeper_lists *lists;
	pid_t vault, net; /* 0: it does not run */
	pid_t api;        /* 0: it does not, or nobody wants it */
	bool wants_api;
	int64_t api_at_ms; /* to be started, if wanted */
	int pair[2];       /* net's and the vault's end */
	int owner[2];      /* ours and the vault's end */
	int status_fd[2];  /* ours and net's end */
	int lock_fd;
	int status;
	bool ending;
	int64_t began_ms; /* of net */
	int64_t restart_at_ms, restart_ms;
	int64_t end_at_ms;
};

static int64_t
now_ms(void)
{
	struct timespec t = { 0 };

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void
close_fd(int *fd)
{
	if (*fd >= 0)
		(void)close(*fd);
	*fd = -1;
}

static int
start_vault(struct keeper *k, struct err *err)
{
	const int fds[] = { k->pair[1], k->owner[1], k->lock_fd };

	if (part_spawn(&k->vault, PART_VAULT, k->cli, k->argc, k->argv, fds, 3,
		err) != 0)
		return -1;
	close_fd(&k->pair[1]);
	close_fd(&k->owner[1]);
	return 0;
}

/* The pair with the vault is the same as before: packets are whole, and a new
 * net drops what was meant for the old one. */
static int
start_net(struct keeper *k, struct err *err)
{
	const int fds[] = { k->pair[0], k->status_fd[1] };

	if (part_spawn(
		&k->net, PART_NET, k->cli, k->argc, k->argv, fds, 2, err) != 0)
		return -1;
	k->began_ms = now_ms();
	return 0;
}

static void
plan_restart(struct keeper *k)
{
	if (now_ms() - k->began_ms >= KEEPER_STABLE_MS)
		k->restart_ms = 0;
	k->restart_at_ms = now_ms() + k->restart_ms;
	k->restart_ms =
	    k->restart_ms == 0 ? KEEPER_RESTART_MS : 2 * k->restart_ms;
	if (k->restart_ms > KEEPER_RESTART_MAX_MS)
		k->restart_ms = KEEPER_RESTART_MAX_MS;
}

static void
over(struct keeper *k, int status)
{
	/* Net ends in the wake of the vault, and may be reaped behind it. */
	if (k->status != CLI_DIED)
		k->status = status;
	k->ending = true;
	control_end(k->control);
}

/* The status that net left behind, or -1: it did not mean to end. */
static int
last_word(struct keeper *k)
{
	uint8_t bytes[PART_STATUS_MAX];
	int status = -1;
	ssize_t n;

	while (
	    (n = recv(k->status_fd[0], bytes, sizeof(bytes), MSG_DONTWAIT)) > 0)
		if (n == 2 && bytes[0] == PART_END)
			status = bytes[1];
	return status;
}

static void
net_ended(struct keeper *k, int wait_status)
{
	int status = last_word(k);

	k->net = 0;
	if (status >= 0 || k->ending) {
		over(k, status >= 0 ? status : CLI_OK);
		return;
	}
	plan_restart(k);
	if (WIFSIGNALED(wait_status))
		log_error(NULL,
		    "net died of signal %d: no secret was there; starting it "
		    "again",
		    WTERMSIG(wait_status));
	else
		log_error(NULL, "net ended, status %d; starting it again",
		    WEXITSTATUS(wait_status));
}

static void
vault_ended(struct keeper *k, int wait_status)
{
	k->vault = 0;
	if (WIFSIGNALED(wait_status))
		log_error(
		    NULL, "vault died of signal %d", WTERMSIG(wait_status));
	else
		log_error(
		    NULL, "vault ended, status %d", WEXITSTATUS(wait_status));
	over(k, CLI_DIED);
}

static void
api_ended(struct keeper *k)
{
	k->api = 0;
	k->api_at_ms = now_ms() + KEEPER_API_MS;
	if (!k->ending)
		log_error(
		    NULL, "the owner's API ended; it will be started again");
}

static void
reap(struct keeper *k)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		if (pid == k->net)
			net_ended(k, status);
		else if (pid == k->vault)
			vault_ended(k, status);
		else if (pid == k->api)
			api_ended(k);
	}
}

static void
signalled(void *arg, int number)
{
	struct keeper *k = arg;

	if (number == SIGCHLD) {
		reap(k);
		return;
	}
	log_info(NULL, "ending: signal %d", number);
	if (k->net == 0) {
		over(k, CLI_OK);
		return;
	}
	(void)kill(k->net, k->ending ? SIGKILL : SIGTERM);
	k->ending = true;
	k->end_at_ms = now_ms() + KEEPER_END_MS;
}

static int64_t
earlier(int64_t a, int64_t b)
{
	return a < 0 || (b >= 0 && b < a) ? b : a;
}

/* Returns when there is more to do, -1: never. */
static int64_t
keep_api(struct keeper *k, int64_t now)
{
	struct err err = { 0 };

	if (!k->wants_api || k->api != 0 || k->ending)
		return -1;
	if (now < k->api_at_ms)
		return k->api_at_ms;
	if (part_spawn(&k->api, PART_API, k->cli, k->argc, k->argv, NULL, 0,
		&err) == 0)
		return -1;
	log_error(NULL, "%s", err.msg);
	k->api_at_ms = now + KEEPER_API_MS;
	return k->api_at_ms;
}

static int
tick(void *arg)
{
	struct keeper *k = arg;
	struct err err = { 0 };
	int64_t now = now_ms();
	int64_t due = -1;

	if (k->ending && k->net != 0 && now >= k->end_at_ms)
		(void)kill(k->net, SIGKILL);
	else if (k->ending && k->net != 0)
		due = k->end_at_ms;
	if (k->net == 0 && !k->ending) {
		if (now >= k->restart_at_ms && start_net(k, &err) != 0) {
			log_error(NULL, "%s", err.msg);
			plan_restart(k);
		}
		if (k->net == 0)
			due = k->restart_at_ms;
	}
	due = earlier(due, keep_api(k, now));
	due =
	    earlier(due, k->vault != 0 ? keeper_lists_look(k->lists, now) : -1);
	if (due < 0)
		return -1;
	return due > now ? (int)(due - now) : 0;
}

static int
ask_status(struct keeper *k, struct buf *out, struct err *err)
{
	const uint8_t ask = PART_STATUS;
	struct pollfd fd = { k->status_fd[0], POLLIN, 0 };
	uint8_t bytes[PART_STATUS_MAX];
	ssize_t n;

	if (k->net == 0)
		return err_set(err, ERR_CLOSED, "net is being started again");
	if (send(fd.fd, &ask, 1, MSG_DONTWAIT | MSG_NOSIGNAL) != 1 ||
	    poll(&fd, 1, KEEPER_STATUS_MS) != 1)
		return err_set(err, ERR_IO, "net does not answer");
	/* Its last word must stay for last_word(). */
	n = recv(fd.fd, bytes, sizeof(bytes), MSG_DONTWAIT | MSG_PEEK);
	if (n < 2 || bytes[0] != PART_STATUS)
		return err_set(err, ERR_CLOSED, "the agent is ending");
	n = recv(fd.fd, bytes, sizeof(bytes), MSG_DONTWAIT);
	if (n < 2)
		return err_set(err, ERR_IO, "net does not answer");
	return buf_append(out, span_of(bytes + 1, (size_t)n - 1), err);
}

static int
answer(void *arg, unsigned op, struct span in, struct buf *out, struct err *err)
{
	struct keeper *k = arg;

	if (op == OWNER_STATUS)
		return ask_status(k, out, err);
	if (owner_renames(op))
		keeper_lists_changed(k->lists);
	return control_ask_fd(out, k->owner[0], op, in, err);
}

/* The end of its pair tells the vault to end.  Returns its wait status, 0 also
 * if it ended before. */
static int
end_vault(struct keeper *k)
{
	const struct timespec step = { 0, 10 * 1000000 };
	int64_t until = now_ms() + KEEPER_END_MS;
	int status = 0;

	close_fd(&k->owner[0]);
	while (k->vault > 0 && waitpid(k->vault, &status, WNOHANG) == 0) {
		if (now_ms() >= until)
			(void)kill(k->vault, SIGKILL);
		(void)nanosleep(&step, NULL);
	}
	k->vault = 0;
	return status;
}

static void
end(struct keeper *k)
{
	const pid_t parts[] = { k->net, k->api };
	size_t i;

	for (i = 0; i < 2; i++) {
		if (parts[i] <= 0)
			continue;
		(void)kill(parts[i], SIGKILL);
		(void)waitpid(parts[i], NULL, 0);
	}
	(void)end_vault(k);
	control_close(k->control);
	keeper_lists_free(k->lists);
	close_fd(&k->pair[0]);
	close_fd(&k->pair[1]);
	close_fd(&k->owner[1]);
	close_fd(&k->status_fd[0]);
	close_fd(&k->status_fd[1]);
}

/* It has opened the store once it answers; if it cannot, it has said why.  It
 * may run and yet be unable to serve, as while another program keeps the store
 * for itself. */
static int
wait_for_vault(struct keeper *k)
{
	struct err err = { 0 };
	struct buf out;
	int status;
	int rc;

	buf_init(&out, OWNER_OUT_MAX + 1, false);
	rc = control_ask_fd(
	    &out, k->owner[0], OWNER_LIST, (struct span){ 0 }, &err);
	buf_free(&out);
	if (rc == 0)
		return 0;
	status = end_vault(k);
	if (status == 0)
		log_error(NULL, "vault: %s", err.msg);
	k->status = WIFEXITED(status) && WEXITSTATUS(status) != 0
	    ? WEXITSTATUS(status)
	    : CLI_DIED;
	return -1;
}

/* Better said now than every time its process is started. */
static int
check_api(
    const struct config *config, const struct state *state, struct err *err)
{
	uint8_t hash[SEV_SHA256_LEN];

	if (config->api_key[0] != '\0' &&
	    file_check_private(config->api_key, err) != 0)
		return err_wrap(err, "api.key");
	if (api_token_load(hash, state, err) == 0)
		return 0;
	if (err->code == ERR_NOT_FOUND)
		(void)err_set(err, ERR_NOT_FOUND,
		    "api.listen without a token: attest-agent api token");
	return -1;
}

int
keeper_run(int *status, const struct cli *cli, const struct state *state,
    const struct config *config, int argc, char **argv, struct err *err)
{
	struct keeper k = { .cli = cli,
		.argc = argc,
		.argv = argv,
		.pair = { -1, -1 },
		.owner = { -1, -1 },
		.status_fd = { -1, -1 },
		.lock_fd = state->lock_fd,
		.wants_api =
		    config->api_socket || config->api_listen[0] != '\0' };
	const struct control_ops ops = { answer, signalled, tick, &k };
	int rc = -1;

	if (config->api_listen[0] != '\0' && check_api(config, state, err) != 0)
		return -1;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, k.pair) !=
		0 ||
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, k.owner) != 0 ||
	    socketpair(
		AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, k.status_fd) != 0) {
		(void)err_set(err, ERR_INTERNAL, "%s", strerror(errno));
		goto out;
	}
	if (start_vault(&k, err) != 0)
		goto out;
	rc = 0;
	if (wait_for_vault(&k) != 0)
		goto out;
	rc = keeper_lists_start(&k.lists, k.owner[0], config->blocklist, err);
	if (rc == 0)
		rc = control_open(&k.control, state, &ops, err);
	if (rc == 0)
		control_run(k.control);
out:
	end(&k);
	*status = k.status;
	return rc;
}
