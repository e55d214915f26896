#include "relay/redis_link.h"

#include "common/conn.h"

#include <hiredis/hiredis.h>
#include <stdio.h>
#include <stdlib.h>

#define IN_MAX (64 * 1024)
#define WORDS_MAX 24

_Static_assert(RESP_MAX <= IN_MAX, "an answer has room");

struct pending {
	STAILQ_ENTRY(pending) next;
	redis_link_fn *fn;
	void *user;
};

struct redis_link {
	struct loop *loop;
	struct conn *conn; /* NULL: over */
	const struct redis_link_ops *ops;
	void *arg;
	STAILQ_HEAD(, pending) pending; /* who asked first, first */
	bool heard;                     /* a whole answer */
	bool closing;                   /* by us: nobody wants to know */
	struct err why;
	struct loop_grave grave;
};

/* The queue to write is bounded by what we hold: every claim is said again
 * when its directory comes back. */
static const struct conn_settings settings = {
	.handshake_ms = 3000,
	.stall_ms = 3000,
	.linger_ms = 1000,
	.in_max = IN_MAX,
	.out_max = 1024u * 1024 * 1024,
	.out_low = 1024 * 1024,
};

static void
on_open(void *arg)
{
	struct redis_link *l = arg;

	l->ops->open(l->arg);
}

static void
take(struct redis_link *l, const struct resp *reply)
{
	struct pending *p = STAILQ_FIRST(&l->pending);

	l->heard = true;
	if (p == NULL) {
		l->ops->unasked(l->arg, reply);
		return;
	}
	STAILQ_REMOVE_HEAD(&l->pending, next);
	p->fn(l->arg, p->user, reply);
	free(p);
}

static size_t
on_data(void *arg, uint8_t *ptr, size_t len)
{
	struct redis_link *l = arg;
	struct span rest = span_of(ptr, len);
	struct resp reply;
	int rc = 1;

	while (rc == 1 && l->conn != NULL) {
		rc = resp_next(&reply, &rest, &l->why);
		if (rc == 1)
			take(l, &reply);
	}
	if (rc < 0)
		conn_close(l->conn, "no answer of a directory");
	return len - rest.len;
}

static void
release(void *arg)
{
	free(arg);
}

static void
on_conn_closed(void *arg, const char *why)
{
	struct redis_link *l = arg;
	struct pending *p;

	l->conn = NULL;
	while ((p = STAILQ_FIRST(&l->pending)) != NULL) {
		STAILQ_REMOVE_HEAD(&l->pending, next);
		p->fn(l->arg, p->user, NULL);
		free(p);
	}
	if (l->why.code != ERR_NONE)
		why = l->why.msg;
	else if (!l->heard)
		why = "nobody answers there";
	if (!l->closing)
		l->ops->closed(l->arg, why);
	loop_bury(l->loop, &l->grave, release, l);
}

static const struct conn_ops conn_ops = {
	.open = on_open,
	.data = on_data,
	.closed = on_conn_closed,
};

/* A socket on its way there; -1. */
static int
dial(const char *host, uint16_t port, struct err *err)
{
	redisContext *c = redisConnectNonBlock(host, port);
	int fd = -1;

	if (c == NULL)
		err_set(err, ERR_MEMORY, "no memory for a connection");
	else if (c->err != 0)
		err_set(err, ERR_IO, "%s", c->errstr);
	else
		fd = redisFreeKeepFd(c);
	if (fd < 0 && c != NULL)
		redisFree(c);
	return fd;
}

int
redis_link_open(struct redis_link **out, struct loop *loop, const char *host,
    uint16_t port, const struct redis_link_ops *ops, void *arg, struct err *err)
{
	struct redis_link *l = calloc(1, sizeof(*l));
	int fd;

	*out = NULL;
	if (l == NULL)
		return err_set(err, ERR_MEMORY, "no memory for a connection");
	l->loop = loop;
	l->ops = ops;
	l->arg = arg;
	STAILQ_INIT(&l->pending);
	fd = dial(host, port, err);
	if (fd < 0 ||
	    conn_accept(
		&l->conn, loop, NULL, fd, &settings, &conn_ops, l, err) != 0) {
		free(l);
		return -1;
	}
	*out = l;
	return 0;
}

void
redis_link_close(struct redis_link *l)
{
	if (l == NULL || l->conn == NULL)
		return;
	l->closing = true;
	conn_close(l->conn, "closed");
}

bool
redis_link_send(struct redis_link *l, const char *const *words, size_t count,
    redis_link_fn *fn, void *user)
{
	const char *argv[WORDS_MAX];
	struct pending *p;
	char *text;
	int len;

	if (l->conn == NULL || conn_closing(l->conn) || count > WORDS_MAX)
		return false;
	for (size_t i = 0; i < count; i++)
		argv[i] = words[i];
	p = calloc(1, sizeof(*p));
	len = p != NULL ? redisFormatCommandArgv(&text, (int)count, argv, NULL)
			: -1;
	if (len < 0) {
		free(p);
		return false;
	}
	p->fn = fn;
	p->user = user;
	STAILQ_INSERT_TAIL(&l->pending, p, next);
	conn_write(l->conn, span_of(text, (size_t)len));
	redisFreeCommand(text);
	return true;
}
