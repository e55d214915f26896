#include "common/conn.h"

#include "common/clock.h"
#include "common/conn_io.h"
#include "common/conn_impl.h"
#include "common/tls.h"
#include "common/tls_memory.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* For one message of a handshake and what OpenSSL adds, a third: hellos and
 * chains of certificates have some thousand bytes. */
#define HANDSHAKE_MAX (48 * 1024)
#define READ_MIN 4096              /* room worth a read */
#define READ_TURN_MAX (256 * 1024) /* bytes a turn, then it is others' turn */
#define LINGER_MAX (512 * 1024)    /* bytes dropped while finishing */
#define OUT_FIRST 8192             /* room for a request or an answer */
#define RECORD_MAX 16384           /* bytes of a TLS record */
#define OUT_NOW (64 * 1024) /* bytes that do not wait for the turn's end */

static void
release(void *arg)
{
	struct conn *c = arg;

	loop_fd_free(&c->watch);
	loop_timer_free(&c->timer);
	SSL_free(c->ssl);
	if (c->fd >= 0)
		close(c->fd);
	buf_free(&c->in);
	buf_free(&c->out);
	free(c);
}

void
conn_watch(struct conn *c)
{
	unsigned wants = 0;

	if (c->state == CONN_CLOSED)
		return;
	if (!c->paused && !c->eof)
		wants |= LOOP_READ;
	if (c->write_blocked)
		wants |= LOOP_WRITE;
	loop_fd_want(&c->watch, wants);
}

void
conn_close(struct conn *c, const char *why)
{
	if (c->state == CONN_CLOSED)
		return;
	/* Tell a peer that reads us; whether it hears does not matter. */
	if (c->ssl != NULL &&
	    (c->state == CONN_OPEN || c->state == CONN_FINISHING)) {
		ERR_clear_error();
		if (SSL_is_init_finished(c->ssl) &&
		    (SSL_get_shutdown(c->ssl) & SSL_SENT_SHUTDOWN) == 0)
			SSL_shutdown(c->ssl);
		ERR_clear_error();
	}
	c->state = CONN_CLOSED;
	if (c->why == NULL)
		c->why = why;
	loop_fd_free(&c->watch);
	loop_timer_free(&c->timer);
	loop_task_cancel(&c->flush);
	loop_task_cancel(&c->read);
	c->ops->closed(c->arg, c->why);
	loop_bury(c->loop, &c->grave, release, c);
}

static void
on_timer(void *arg)
{
	struct conn *c = arg;

	switch (c->state) {
	case CONN_HANDSHAKE:
		/* What waits for its turn with us is not late. */
		if (c->read.loop != NULL)
			loop_timer_set(&c->timer, c->settings->handshake_ms);
		else
			conn_close(c, "TLS handshake timed out");
		break;
	case CONN_LINGERING:
		conn_close(c, "peer did not close");
		break;
	default:
		conn_close(c, "write stalled");
		break;
	}
}

static void read_some(struct conn *c);

static void
step(struct conn *c)
{
	int rc, want;

	ERR_clear_error();
	tls_memory_most(HANDSHAKE_MAX);
	rc = c->ssl != NULL ? SSL_do_handshake(c->ssl) : 1;
	tls_memory_most(0);
	if (rc == 1) {
		c->state = CONN_OPEN;
		c->write_blocked = false;
		loop_timer_free(&c->timer);
		c->ops->open(c->arg);
		if (c->state == CONN_OPEN) {
			conn_watch(c);
			/* What came behind the handshake's end, and is not
			 * the loop's to tell. */
			if (c->ssl == NULL || SSL_has_pending(c->ssl) != 0)
				read_some(c);
		}
		return;
	}
	want = SSL_get_error(c->ssl, rc);
	if (want != SSL_ERROR_WANT_READ && want != SSL_ERROR_WANT_WRITE) {
		c->eof = want == SSL_ERROR_SYSCALL;
		conn_close(c, conn_io_fault(c->eof));
		ERR_clear_error();
		return;
	}
	c->write_blocked = want == SSL_ERROR_WANT_WRITE;
	conn_watch(c);
}

/*
 * The peer is done.  With close_notify it may still read what the turn has
 * produced for it, but no more: a half-open peer cannot be told from one that
 * is gone.
 */
static void
end_of_input(struct conn *c, bool clean)
{
	c->eof = true;
	if (!clean) {
		conn_close(c, "connection lost");
	} else if (c->state == CONN_FINISHING ||
	    (c->state == CONN_OPEN && buf_len(&c->out) > 0)) {
		conn_finish(c, "closed by the peer");
		conn_watch(c);
	} else {
		conn_close(c, "closed by the peer");
	}
}

static void
deliver(struct conn *c)
{
	size_t took;

	if (buf_len(&c->in) == 0 || c->reading)
		return;
	c->reading = true;
	took = c->ops->data(c->arg, buf_data(&c->in), buf_len(&c->in));
	c->reading = false;
	if (c->state == CONN_CLOSED)
		return;
	buf_consume(&c->in, took);
	buf_trim(&c->in);
}

/* What came in the shared buffer goes out at once; the rest is kept. */
static void
deliver_scratch(struct conn *c, uint8_t *ptr, size_t len)
{
	size_t took;

	c->reading = true;
	took = c->ops->data(c->arg, ptr, len);
	c->reading = false;
	if (c->state != CONN_OPEN || took == len)
		return;
	if (buf_append(&c->in, span_of(ptr + took, len - took), NULL) != 0)
		conn_close(c, "more sent ahead than we keep");
}

static void
drop(struct conn *c, size_t len)
{
	c->dropped += len;
	if (c->dropped > LINGER_MAX)
		conn_close(c, "sends on after our last word");
}

static void
read_some(struct conn *c)
{
	size_t total = 0, len;
	bool more = true, fatal = false, clean = false;

	while (more && !fatal && c->state != CONN_CLOSED && !c->paused &&
	    !c->eof) {
		uint8_t *ptr = loop_scratch(c->loop);
		size_t cap = LOOP_SCRATCH_LEN;
		bool own = buf_len(&c->in) > 0 && c->state == CONN_OPEN;

		if (own) {
			cap = buf_room(&c->in);
			if (cap > LOOP_SCRATCH_LEN)
				cap = LOOP_SCRATCH_LEN;
			ptr = cap == 0 ? NULL : buf_reserve(&c->in, cap, NULL);
			if (ptr == NULL) {
				/* Its user is busy and has enough in hand. */
				conn_pause(c);
				return;
			}
		} else if (cap > c->in.max) {
			/* All that is left untaken must find room. */
			cap = c->in.max;
		}
		len = conn_io_fill(
		    c->ssl, c->fd, ptr, cap, &more, &fatal, &clean);
		total += len;
		if (own)
			buf_commit(&c->in, len);
		if (c->state != CONN_OPEN)
			drop(c, len);
		else if (own)
			deliver(c);
		else if (len > 0)
			deliver_scratch(c, ptr, len);
		if (more && total >= READ_TURN_MAX) {
			if (c->state != CONN_CLOSED)
				loop_soon(c->loop, &c->read);
			return;
		}
	}
	if (fatal && c->state != CONN_CLOSED)
		end_of_input(c, clean);
}

/* Queued by a handshake's bytes, or by a turn that had to end. */
static void
on_read_task(void *arg)
{
	struct conn *c = arg;

	if (c->state == CONN_HANDSHAKE) {
		step(c);
		return;
	}
	if (c->state == CONN_OPEN && !c->paused) {
		deliver(c);
		if (c->state == CONN_CLOSED)
			return;
		conn_watch(c);
	}
	read_some(c);
}

/* As much of the queue as the socket takes; false: the connection is lost. */
static bool
write_records(struct conn *c)
{
	struct span rest;
	bool progress = false;
	size_t n;

	while ((rest = buf_span(&c->out)).len > 0) {
		int rc = conn_io_send(c->ssl, c->fd, rest, &n);

		if (rc < 0)
			return false;
		if (rc > 0) {
			buf_consume(&c->out, n);
			progress = true;
			continue;
		}
		c->write_blocked = true;
		if (progress || c->timer.due_ms == 0)
			loop_timer_set(&c->timer, c->settings->stall_ms);
		conn_watch(c);
		return true;
	}
	if (c->write_blocked) {
		c->write_blocked = false;
		loop_timer_free(&c->timer);
		conn_watch(c);
	}
	return true;
}

static bool
write_some(struct conn *c)
{
	size_t len = buf_len(&c->out);
	bool many = len > RECORD_MAX, alive;

	c->out_first = len > OUT_FIRST ? len : OUT_FIRST;
	/* One packet for all records, as each is work for both ends. */
	if (many)
		conn_io_cork(c->fd, true);
	alive = write_records(c);
	if (many)
		conn_io_cork(c->fd, false);
	return alive;
}

/* All is written: end our direction, and wait for the peer to end its own. */
static void
linger(struct conn *c)
{
	if (c->ssl != NULL) {
		ERR_clear_error();
		SSL_shutdown(c->ssl);
		ERR_clear_error();
	}
	shutdown(c->fd, SHUT_WR);
	c->state = CONN_LINGERING;
	if (c->eof) {
		conn_close(c, "finished");
		return;
	}
	c->paused = false;
	loop_timer_set(&c->timer, c->settings->linger_ms);
	conn_watch(c);
	loop_soon(c->loop, &c->read);
}

/* Who closed its end may have said something before, and an answer among it
 * is one that need not be asked for again. */
static void
last_words(struct conn *c)
{
	buf_consume(&c->out, buf_len(&c->out));
	c->lost = false;
	if (c->state == CONN_OPEN)
		read_some(c);
	if (c->state != CONN_CLOSED)
		conn_close(c, "connection lost");
}

static void
on_flush(void *arg)
{
	struct conn *c = arg;

	if (c->state != CONN_OPEN && c->state != CONN_FINISHING)
		return;
	if (c->overrun) {
		conn_close(c, "reads too slowly");
		return;
	}
	if (c->lost || !write_some(c)) {
		last_words(c);
		return;
	}
	buf_trim(&c->out);
	if (c->congested && buf_len(&c->out) <= c->settings->out_low) {
		c->congested = false;
		if (c->state == CONN_OPEN && c->ops->drained != NULL)
			c->ops->drained(c->arg);
	}
	if (c->state == CONN_FINISHING && buf_len(&c->out) == 0)
		linger(c);
}

static void
on_event(void *arg, unsigned events)
{
	struct conn *c = arg;

	if (c->state == CONN_HANDSHAKE) {
		/* Most have their turn at once.  Who has not is silent until
		 * then, or the loop would spin on it. */
		if (c->read.loop != NULL)
			loop_fd_want(&c->watch, 0);
		loop_slowly(c->loop, &c->read);
		return;
	}
	if ((events & LOOP_WRITE) != 0 || c->write_blocked)
		loop_soon(c->loop, &c->flush);
	if ((events & LOOP_READ) != 0)
		read_some(c);
}

int
conn_begin(struct conn **out, struct loop *loop, struct ssl_ctx_st *ctx, int fd,
    const char *name, const struct conn_settings *settings,
    const struct conn_ops *ops, void *arg, struct err *err)
{
	struct conn *c;

	*out = NULL;
	c = calloc(1, sizeof(*c));
	if (c == NULL) {
		close(fd);
		return err_set(err, ERR_MEMORY, "no memory for a connection");
	}
	c->loop = loop;
	c->fd = fd;
	c->settings = settings;
	c->ops = ops;
	c->arg = arg;
	buf_init(&c->in, settings->in_max, false);
	buf_init(&c->out, settings->out_max, false);
	c->out_first = OUT_FIRST;
	loop_timer_init(&c->timer, loop, on_timer, c);
	loop_task_init(&c->flush, on_flush, c);
	loop_task_init(&c->read, on_read_task, c);
	if (ctx != NULL) {
		c->ssl = SSL_new(ctx);
		if (c->ssl == NULL || SSL_set_fd(c->ssl, fd) != 1 ||
		    (name != NULL && SSL_set1_host(c->ssl, name) != 1)) {
			release(c);
			return tls_error(err, "TLS connection");
		}
		if (name != NULL)
			SSL_set_connect_state(c->ssl);
		else
			SSL_set_accept_state(c->ssl);
	}
	if (loop_fd_init(&c->watch, loop, fd, on_event, c, err) != 0) {
		release(c);
		return -1;
	}
	/* Who dials has the first word, once the socket can be written. */
	c->write_blocked = name != NULL;
	loop_timer_set(&c->timer, settings->handshake_ms);
	conn_watch(c);
	if (ctx == NULL)
		loop_soon(loop, &c->read);
	*out = c;
	return 0;
}

int
conn_accept(struct conn **out, struct loop *loop, struct ssl_ctx_st *ctx,
    int fd, const struct conn_settings *settings, const struct conn_ops *ops,
    void *arg, struct err *err)
{
	return conn_begin(out, loop, ctx, fd, NULL, settings, ops, arg, err);
}

void
conn_adopt(struct conn *c, const struct conn_settings *settings,
    const struct conn_ops *ops, void *arg)
{
	c->settings = settings;
	c->ops = ops;
	c->arg = arg;
	c->in.max = settings->in_max;
	c->out.max = settings->out_max;
	loop_soon(c->loop, &c->read);
}

static size_t
least(size_t a, size_t b)
{
	return a < b ? a : b;
}

void
conn_write(struct conn *c, struct span bytes)
{
	if (c->state != CONN_OPEN || bytes.len == 0 || c->overrun || c->lost)
		return;
	/* Not byte by byte to the size that most writes come to. */
	if (c->out.ptr == NULL)
		buf_reserve(&c->out, least(c->out_first, c->out.max), NULL);
	if (buf_append(&c->out, bytes, NULL) != 0) {
		/* Not closed here: writers are in the middle of something that
		 * the closing would take from under them. */
		c->overrun = true;
		loop_soon(c->loop, &c->flush);
		return;
	}
	if (c->write_blocked) {
		if (buf_len(&c->out) > c->settings->out_low)
			c->congested = true;
		return;
	}
	loop_soon(c->loop, &c->flush);
	/* Records are full by now: to gather more would only make the peer
	 * wait, and the queue grow beyond what the processor keeps at hand. */
	if (buf_len(&c->out) >= OUT_NOW && !write_some(c))
		c->lost = true;
	if (buf_len(&c->out) > c->settings->out_low)
		c->congested = true;
}

size_t
conn_queued(const struct conn *c)
{
	return buf_len(&c->out);
}

bool
conn_congested(const struct conn *c)
{
	return c->congested;
}

void
conn_pause(struct conn *c)
{
	c->paused = true;
	conn_watch(c);
}

void
conn_resume(struct conn *c)
{
	if (c->state != CONN_OPEN || (!c->paused && buf_len(&c->in) == 0))
		return;
	c->paused = false;
	conn_watch(c);
	loop_soon(c->loop, &c->read);
}

void
conn_finish(struct conn *c, const char *why)
{
	if (c->state == CONN_HANDSHAKE) {
		conn_close(c, why);
		return;
	}
	if (c->state != CONN_OPEN)
		return;
	c->state = CONN_FINISHING;
	c->why = why;
	loop_soon(c->loop, &c->flush);
}

bool
conn_closing(const struct conn *c)
{
	return c->state >= CONN_FINISHING || c->overrun || c->lost;
}

struct ssl_st *
conn_ssl(struct conn *c)
{
	return c->ssl;
}
