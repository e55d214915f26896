#include <errno.h>
#include <jansson.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/config.h"
#include "agent/net/dialer.h"
#include "agent/net/direct.h"
#include "agent/net/keyserver.h"
#include "agent/part.h"
#include "agent/sandbox.h"
#include "common/log.h"

/* The process that strangers talk to. */
struct net {
	struct config config;
	struct dialer_relay relays[DIALER_ENDPOINTS_MAX];
	struct key *key; /* its public half; the vault has the other */
	struct worker *worker;
	struct dialer *dialer;   /* NULL: no relay */
	struct direct *direct;   /* NULL: no listener */
	struct conf_hosts hosts; /* of the listener */
	struct keyserver *keys;  /* NULL: offline */
	pthread_t thread;        /* listens to the parent */
	bool listens;
	int signal_fd, stop_fd;
};

static int
sign(uint8_t signature[KEY_SIG_LEN], void *arg, struct span in, struct err *err)
{
	struct net *n = arg;

	return worker_sign(signature, n->worker, in, err);
}

/* The parent notices, too, and ends it all. */
static void
lost(void *arg)
{
	(void)arg;
	_exit(CLI_FAILED);
}

static json_t *
describe_relay(const struct endpoint_status *s)
{
	char since[TIMES_TEXT_LEN] = "";

	/* A name that was never found yet has no state to date. */
	if (s->since_wall_ms != 0)
		(void)times_rfc3339(since, s->since_wall_ms);
	return json_pack("{s:s,s:s,s:s,s:s,s:s,s:s,s:b,s:I,s:I,s:I,s:I,s:I,"
			 "s:s}",
	    "relay", s->url, "address", s->address, "state",
	    endpoint_state_name(s->state), "since", since, "relay-name",
	    s->facts.relay_name, "tenant", s->facts.tenant, "channel-binding",
	    s->facts.binding ? 1 : 0, "session-number",
	    (json_int_t)s->facts.session_number, "claimed",
	    (json_int_t)s->facts.claimed, "denied", (json_int_t)s->facts.denied,
	    "standby", (json_int_t)s->facts.standby, "clock-skew-ms",
	    (json_int_t)s->facts.skew_ms, "last-error", s->last_error);
}

/* The relay that is best off speaks for all; then comes each by itself. */
static json_t *
describe(const struct dialer_status *s, size_t vms)
{
	json_t *v =
	    s->count > 0 ? describe_relay(&s->relays[s->best]) : json_object();
	json_t *head, *list = json_array();
	size_t i;

	head = json_pack("{s:s,s:s,s:I,s:I,s:I,s:I}", "schema",
	    "attest-agent.status/1", "version", ATTEST_VERSION, "vms",
	    (json_int_t)vms, "tunnels", (json_int_t)s->tunnels, "answers",
	    (json_int_t)s->answers, "relays-ready", (json_int_t)s->ready);
	for (i = 0; i < s->count; i++)
		if (json_array_append_new(
			list, describe_relay(&s->relays[i])) != 0)
			break;
	if (i < s->count || json_object_update(head, v) != 0 ||
	    json_object_set(head, "relays", list) != 0) {
		json_decref(head);
		head = NULL;
	}
	json_decref(v);
	json_decref(list);
	return head;
}

static void
tell_status(struct net *n)
{
	struct dialer_status s = { 0 };
	char bytes[PART_STATUS_MAX];
	size_t vms = 0;
	size_t len = 0;
	json_t *v;

	if (n->dialer != NULL)
		dialer_get_status(&s, n->dialer);
	if (n->direct != NULL)
		s.answers += direct_answers(n->direct);
	free(worker_names(n->worker, &vms));
	v = describe(&s, vms);
	if (v != NULL && n->direct != NULL &&
	    json_object_set_new(
		v, "direct", json_string(direct_address(n->direct))) != 0) {
		json_decref(v);
		v = NULL;
	}
	bytes[0] = PART_STATUS;
	if (v != NULL)
		len = json_dumpb(v, bytes + 1, sizeof(bytes) - 1,
		    JSON_COMPACT | JSON_PRESERVE_ORDER);
	json_decref(v);
	if (len > 0 && len < sizeof(bytes))
		(void)send(PART_KEEPER_FD, bytes, len + 1, MSG_NOSIGNAL);
}

static void
stop(struct net *n)
{
	if (n->dialer != NULL)
		dialer_stop(n->dialer);
	direct_end(n->direct);
}

static void *
listen_to_parent(void *arg)
{
	struct net *n = arg;
	struct pollfd fds[] = { { n->stop_fd, POLLIN, 0 },
		{ n->signal_fd, POLLIN, 0 }, { PART_KEEPER_FD, POLLIN, 0 } };
	struct signalfd_siginfo info;
	uint8_t ask;

	for (;;) {
		if (poll(fds, 3, -1) < 0 && errno != EINTR)
			return NULL;
		if (fds[0].revents != 0)
			return NULL;
		if (fds[1].revents != 0 &&
		    read(n->signal_fd, &info, sizeof(info)) == sizeof(info))
			stop(n);
		if (fds[2].revents == 0)
			continue;
		if (recv(PART_KEEPER_FD, &ask, 1, MSG_DONTWAIT) == 1 &&
		    ask == PART_STATUS)
			tell_status(n);
	}
}

static int
listen_start(struct net *n, const sigset_t *signals, struct err *err)
{
	n->signal_fd = signalfd(-1, signals, SFD_CLOEXEC);
	n->stop_fd = eventfd(0, EFD_CLOEXEC);
	if (n->signal_fd < 0 || n->stop_fd < 0)
		return err_set(err, ERR_INTERNAL, "%s", strerror(errno));
	if (pthread_create(&n->thread, NULL, listen_to_parent, n) != 0)
		return err_set(err, ERR_INTERNAL, "no thread for the parent");
	n->listens = true;
	return 0;
}

static void
listen_stop(struct net *n)
{
	const uint64_t one = 1;

	if (n->listens && write(n->stop_fd, &one, sizeof(one)) == sizeof(one))
		(void)pthread_join(n->thread, NULL);
	if (n->signal_fd >= 0)
		(void)close(n->signal_fd);
	if (n->stop_fd >= 0)
		(void)close(n->stop_fd);
}

static int
deliver(void *arg, const uint8_t cpu_id[KEYPLAN_CHIP_LEN], struct span cert,
    struct err *err)
{
	struct net *n = arg;

	return worker_put_cek(n->worker, cpu_id, cert, err);
}

static void
wants_cek(void *arg, const uint8_t cpu_id[VAULT_CPU_ID_LEN])
{
	keyserver_want(arg, cpu_id);
}

static int
start_keys(struct net *n, struct err *err)
{
	const struct keyserver_options options = {
		.url = n->config.key_url,
		.ca = n->config.key_ca[0] != '\0' ? n->config.key_ca : NULL,
		.proxy = config_key_proxy(&n->config),
		.gap_ms = (uint32_t)n->config.key_gap_ms,
		.deliver = deliver,
		.arg = n,
	};

	if (n->config.key_offline)
		return 0;
	return keyserver_start(&n->keys, &options, err);
}

/* From here on nobody but strangers is listened to. */
static int
confine(const struct net *n, struct err *err)
{
	/* Where OpenSSL looks for authorities if not in /etc. */
	static const char *const elsewhere[] = { "SSL_CERT_FILE",
		"SSL_CERT_DIR" };
	const char *const named[] = { n->config.relay_ca,
		n->config.relay_certificate, n->config.relay_key,
		n->config.relay_token_file, n->config.key_ca };
	const char *files[2 + sizeof(named) / sizeof(named[0])];
	size_t count = 0;
	size_t i;

	for (i = 0; i < 2; i++)
		if (getenv(elsewhere[i]) != NULL)
			files[count++] = getenv(elsewhere[i]);
	for (i = 0; i < sizeof(named) / sizeof(named[0]); i++)
		if (named[i][0] != '\0')
			files[count++] = named[i];
	if (sandbox_files(files, count, err) != 0) {
		if (n->config.landlock != 0)
			return err_wrap(err, "sandbox.landlock: require");
		log_warn(NULL, "%s", err->msg);
		*err = (struct err){ 0 };
	}
	return sandbox_net(err);
}

static int
start_dialer(struct net *n, size_t relay_count, struct err *err)
{
	struct dialer_options options = {
		.relays = n->relays,
		.relay_count = relay_count,
		.relay_name = n->config.relay_name[0] != '\0'
		    ? n->config.relay_name
		    : NULL,
		.allow_no_binding = n->config.allow_no_binding,
		.key = n->key,
		.clock = times_system(),
	};

	if (relay_count == 0)
		return 0;
	if (dialer_new(&n->dialer, &options, err) != 0)
		return -1;
	dialer_set_worker(n->dialer, n->worker);
	return 0;
}

/* Files are read and ports bound before we may do neither. */
static int
open_direct(struct net *n, struct err *err)
{
	struct direct_options options;

	if (n->config.direct.listen[0] == '\0')
		return 0;
	if (config_direct(&options, &n->hosts, &n->config, err) != 0)
		return -1;
	if (n->config.direct.auth == 0)
		log_warn(NULL,
		    "no host will be let in by %s: direct.auth is empty",
		    options.listen);
	return direct_open(&n->direct, &options, err);
}

static int
start(struct net *n, const sigset_t *signals, struct err *err)
{
	struct worker_ops ops = { 0 };
	size_t relay_count;

	if (config_relays(n->relays, &relay_count, &n->config, err) != 0 ||
	    worker_open(&n->worker, PART_PAIR_FD, err) != 0 ||
	    key_remote(&n->key, worker_public(n->worker), sign, n, err) != 0 ||
	    open_direct(n, err) != 0)
		return -1;
	/* The dialer has a thread for names, which must not be left out. */
	if (confine(n, err) != 0 || start_dialer(n, relay_count, err) != 0 ||
	    start_keys(n, err) != 0)
		return -1;
	if (n->dialer != NULL)
		ops = dialer_worker_ops(n->dialer);
	ops.lost = lost;
	if (n->keys != NULL) {
		ops.wants_cek = wants_cek;
		ops.cek_arg = n->keys;
	}
	if (worker_start(n->worker, &ops, err) != 0)
		return -1;
	if (n->direct != NULL && direct_start(n->direct, n->worker, err) != 0)
		return -1;
	return listen_start(n, signals, err);
}

/* A relay that will not have us is the end, but for hosts that need none. */
static int
serve(struct net *n)
{
	int rc = n->dialer != NULL ? dialer_run(n->dialer) : 0;

	direct_wait(n->direct);
	return n->direct != NULL ? 0 : rc;
}

static void
end(struct net *n)
{
	listen_stop(n);
	direct_end(n->direct);
	direct_wait(n->direct);
	/* Each of the two asks the other. */
	keyserver_stop(n->keys);
	worker_stop(n->worker);
	keyserver_free(n->keys);
	if (n->dialer != NULL)
		dialer_set_worker(n->dialer, NULL);
	dialer_free(n->dialer);
	direct_free(n->direct);
	conf_hosts_free(&n->hosts);
	key_free(n->key);
	config_free(&n->config);
}

int
part_net(const struct cli *cli, int argc, char **argv)
{
	struct net n = { .signal_fd = -1, .stop_fd = -1 };
	uint8_t word[2] = { PART_END, CLI_FAILED };
	struct err err = { 0 };
	sigset_t signals;

	(void)sigemptyset(&signals);
	(void)sigaddset(&signals, SIGTERM);
	(void)sigprocmask(SIG_BLOCK, &signals, NULL);
	(void)signal(SIGPIPE, SIG_IGN);
	if (cli_run_config(&n.config, cli, argc, argv, &err) != 0) {
		word[1] = (uint8_t)cli_fail(&err);
		goto out;
	}
	log_open(STDERR_FILENO, (enum log_level)n.config.log_level,
	    (enum log_format)n.config.log_format);
	if (start(&n, &signals, &err) != 0)
		word[1] = (uint8_t)cli_fail(&err);
	else
		word[1] = serve(&n) == 0 ? CLI_OK : CLI_REFUSED;
out:
	end(&n);
	(void)send(PART_KEEPER_FD, word, sizeof(word), MSG_NOSIGNAL);
	return word[1];
}
