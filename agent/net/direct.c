#include "agent/net/direct.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/net/direct_impl.h"
#include "common/tls.h"

#define BACKLOG 256
#define ACCEPT_TURN 16   /* connections a turn */
#define PAUSE_MS 5       /* while too many handshakes are under way */
#define FULL_MS 100      /* after running out of descriptors */
#define END_MS 3000      /* for requests under way, when we end */
#define CONNECTIONS 1024 /* an agent's hosts are few beside a relay's */
#define HANDSHAKES 64
#define PER_ADDRESS 512 /* as the relay's defaults, docs/operations.md */
#define PER_BLOCK 256

/* The relay's defaults for hosts (docs/protocol.md 8, relay.yaml.example). */
static const struct http_settings settings = {
	.conn = { .handshake_ms = 10000,
	    .stall_ms = 15000,
	    .linger_ms = 2000,
	    .in_max = 2 * HTTP_HEAD_MAX,
	    .out_max = 256 * 1024,
	    .out_low = 64 * 1024 },
	.head_ms = 5000,
	.body_ms = 10000,
	.rate_after_ms = 5000,
	.rate_min = 512,
	.idle_ms = 30000,
};

void
direct_answered(void *arg, struct worker_job *job)
{
	struct direct *d = arg;

	loop_post(d->loop, &job->mail);
}

static void
maybe_over(struct direct *d)
{
	if (d->ending && d->connections == 0)
		loop_stop(d->loop);
}

void
direct_gone(struct direct *d)
{
	d->connections--;
	maybe_over(d);
}

static void
stop_listening(struct direct *d)
{
	if (d->watching)
		loop_fd_free(&d->watch);
	d->watching = false;
	loop_timer_cancel(&d->pause);
	if (d->fd >= 0)
		(void)close(d->fd);
	d->fd = -1;
}

static void
on_deadline(void *arg)
{
	struct direct *d = arg;

	loop_stop(d->loop);
}

static void
begin_end(struct direct *d)
{
	d->ending = true;
	stop_listening(d);
	direct_hosts_drain(d);
	loop_timer_set(&d->deadline, END_MS);
	maybe_over(d);
}

static void
on_mail(void *arg, struct mail *mail)
{
	struct direct *d = arg;

	if (mail == &d->end)
		begin_end(d);
	else
		direct_host_back(d, (struct worker_job *)mail);
}

static void
pause_for(struct direct *d, uint64_t ms)
{
	loop_fd_want(&d->watch, 0);
	loop_timer_set(&d->pause, ms);
}

static void
on_pause_over(void *arg)
{
	struct direct *d = arg;

	loop_fd_want(&d->watch, LOOP_READ);
}

/* Over a limit of its address, its block, or in all: closed unheard. */
static bool
admit(struct direct *d, struct source s)
{
	if (d->connections >= CONNECTIONS ||
	    !tally_take(
		d->tally, TALLY_CONNECTIONS, source_one(s), PER_ADDRESS))
		return false;
	if (tally_take(d->tally, TALLY_HANDSHAKES, source_block(s), PER_BLOCK))
		return true;
	tally_give(d->tally, TALLY_CONNECTIONS, source_one(s));
	return false;
}

static void
on_accept(void *arg, unsigned events)
{
	struct direct *d = arg;
	int i;

	(void)events;
	for (i = 0; i < ACCEPT_TURN; i++) {
		struct sockaddr_storage sa = { 0 };
		socklen_t len = sizeof(sa);
		struct source source;
		int one = 1;
		int fd;

		/* Those that wait in the kernel's queue lose nothing. */
		if (d->handshakes >= HANDSHAKES) {
			pause_for(d, PAUSE_MS);
			return;
		}
		fd = accept4(d->fd, (struct sockaddr *)&sa, &len,
		    SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd < 0 && (errno == EINTR || errno == ECONNABORTED))
			continue;
		if (fd < 0 && errno != EAGAIN)
			pause_for(d, FULL_MS);
		if (fd < 0)
			return;
		source = source_of((const struct sockaddr *)&sa);
		if (!admit(d, source)) {
			(void)close(fd);
			continue;
		}
		(void)setsockopt(
		    fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
		direct_host_accept(d, fd, source, address_port(&sa));
	}
}

static int
load_tls(struct direct *d, struct err *err)
{
	const struct tls_source source = { d->options.certificate,
		d->options.key, d->options.client_ca };
	static const char *const names[] = { "direct.certificate", "direct.key",
		"direct.client-ca" };
	struct tls_identity *id = NULL;
	enum tls_part part = TLS_PART_CERTIFICATE;
	int rc;

	if (tls_identity_load(&id, &source, &part, err) != 0)
		return err_wrap(err, "%s", names[part]);
	rc = tls_server(&d->tls, id, false, span_of(NULL, 0), err);
	tls_identity_free(id);
	return rc;
}

int
direct_open(
    struct direct **out, const struct direct_options *options, struct err *err)
{
	struct direct *d = calloc(1, sizeof(*d));

	if (d == NULL)
		return err_set(err, ERR_MEMORY, "no memory for a listener");
	d->options = *options;
	d->settings = settings;
	d->fd = -1;
	TAILQ_INIT(&d->hosts);
	if (load_tls(d, err) != 0 || tally_new(&d->tally, err) != 0 ||
	    loop_new(&d->loop, on_mail, d, err) != 0)
		goto fail;
	d->fd = address_listen(options->listen, BACKLOG, err);
	if (d->fd < 0)
		goto fail;
	(void)address_text(d->where, d->fd);
	*out = d;
	return 0;
fail:
	direct_free(d);
	return -1;
}

static void *
serve(void *arg)
{
	struct direct *d = arg;
	struct err err = { 0 };

	if (loop_run(d->loop, &err) != 0)
		log_error(NULL, "listener: %s", err.msg);
	direct_hosts_close(d);
	stop_listening(d);
	return NULL;
}

int
direct_start(struct direct *d, struct worker *w, struct err *err)
{
	d->worker = w;
	loop_timer_init(&d->pause, d->loop, on_pause_over, d);
	loop_timer_init(&d->deadline, d->loop, on_deadline, d);
	if (loop_fd_init(&d->watch, d->loop, d->fd, on_accept, d, err) != 0)
		return -1;
	d->watching = true;
	loop_fd_want(&d->watch, LOOP_READ);
	if (pthread_create(&d->thread, NULL, serve, d) != 0)
		return err_set(err, ERR_INTERNAL, "no thread for hosts");
	d->running = true;
	log_info(
	    NULL, "ready: hosts at https://%s%s", d->where, d->options.base);
	return 0;
}

void
direct_end(struct direct *d)
{
	bool no = false;

	if (d != NULL &&
	    atomic_compare_exchange_strong(&d->end_posted, &no, true))
		loop_post(d->loop, &d->end);
}

void
direct_wait(struct direct *d)
{
	if (d == NULL || !d->running)
		return;
	(void)pthread_join(d->thread, NULL);
	d->running = false;
}

const char *
direct_address(const struct direct *d)
{
	return d->where;
}

uint64_t
direct_answers(const struct direct *d)
{
	return atomic_load(&d->answers);
}

void
direct_free(struct direct *d)
{
	struct mail *mail;

	if (d == NULL)
		return;
	if (d->running)
		direct_end(d);
	direct_wait(d);
	stop_listening(d);
	if (d->loop != NULL) {
		mail = loop_take(d->loop);
		while (mail != NULL) {
			struct mail *next = mail->next;

			if (mail != &d->end)
				worker_job_free((struct worker_job *)mail);
			mail = next;
		}
		loop_timer_free(&d->pause);
		loop_timer_free(&d->deadline);
		loop_free(d->loop);
	}
	tally_free(d->tally);
	tls_server_free(d->tls);
	free(d);
}
