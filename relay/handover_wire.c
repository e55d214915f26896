#include "relay/handover_impl.h"

#include "common/log.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* One end of a socket to another relay: parcels, and their bounds. */

#define BUFFER (1024 * 1024)

struct packet {
	STAILQ_ENTRY(packet) link;
	size_t len;
	uint8_t bytes[];
};

void
wire_close(struct wire *w)
{
	struct packet *p;

	if (w->watched)
		loop_fd_free(&w->watch);
	w->watched = false;
	if (w->fd >= 0)
		close(w->fd);
	w->fd = -1;
	while ((p = STAILQ_FIRST(&w->out)) != NULL) {
		STAILQ_REMOVE_HEAD(&w->out, link);
		free(p);
	}
}

static void
wire_flush(struct wire *w)
{
	struct packet *p;

	while ((p = STAILQ_FIRST(&w->out)) != NULL) {
		if (send(w->fd, p->bytes, p->len, MSG_NOSIGNAL | MSG_DONTWAIT) <
		    0) {
			if (errno == EAGAIN || errno == EINTR)
				break;
			/* Its end is read, and dealt with there. */
			loop_fd_want(&w->watch, LOOP_READ);
			return;
		}
		STAILQ_REMOVE_HEAD(&w->out, link);
		free(p);
	}
	loop_fd_want(&w->watch,
	    STAILQ_EMPTY(&w->out) ? LOOP_READ : LOOP_READ | LOOP_WRITE);
}

bool
wire_send(struct wire *w, const struct parcel *parcel)
{
	struct writer out = writer_of(w->all->buffer, PARCEL_MAX);
	struct packet *p;

	parcel_put(&out, parcel);
	if (w->fd < 0 || !writer_ok(&out))
		return false;
	p = malloc(sizeof(*p) + out.len);
	if (p == NULL)
		return false;
	p->len = out.len;
	memcpy(p->bytes, out.ptr, out.len);
	STAILQ_INSERT_TAIL(&w->out, p, link);
	wire_flush(w);
	return true;
}

static void
on_wire(void *arg, unsigned events)
{
	struct wire *w = arg;
	struct handover *h = w->all;
	struct parcel parcel;
	struct err err;
	ssize_t n;

	if (events & LOOP_WRITE)
		wire_flush(w);
	while (w->fd >= 0) {
		n = recv(w->fd, h->buffer, PARCEL_MAX, MSG_DONTWAIT);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (n > 0 &&
		    parcel_parse(
			&parcel, span_of(h->buffer, (size_t)n), &err) != 0) {
			log_error(NULL, "handing over: %s", err.msg);
			n = 0;
		}
		if (n <= 0)
			wire_close(w);
		w->got(h, n > 0 ? &parcel : NULL);
	}
}

int
wire_watch(struct wire *w, struct err *err)
{
	int size = BUFFER;

	setsockopt(w->fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	if (loop_fd_init(&w->watch, w->all->loop, w->fd, on_wire, w, err) != 0)
		return -1;
	w->watched = true;
	loop_fd_want(&w->watch, LOOP_READ);
	return 0;
}
