#include "relay/handover_impl.h"

#include "common/log.h"
#include "common/secret.h"
#include "relay/registry.h"

#include <errno.h>
#include <string.h>

#define PATIENCE_SLACK_MS 2000

/*
 * The giving end: what is handed over, and when.
 */

void
handover_wait(struct handover *h)
{
	loop_timer_set(&h->patience,
	    h->relay->setup->config.timeouts.drain + PATIENCE_SLACK_MS);
}

static void
send_offer(struct handover *h)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(INHERIT_MAX * sizeof(int))];
	} control = { .bytes = { 0 } };
	struct inherit_one list[INHERIT_MAX];
	size_t count = listeners_fds(h->listeners, list);
	uint8_t kinds[INHERIT_MAX];
	struct parcel offer = { .kind = PARCEL_OFFER,
		.ticket_keys = span_of(
		    h->relay->ticket_keys, sizeof(h->relay->ticket_keys)),
		.session = atomic_load(&h->relay->next_session),
		.kinds = span_of(kinds, count) };
	struct writer w = writer_of(h->buffer, PARCEL_MAX);
	struct iovec part = { h->buffer, 0 };
	struct msghdr msg = { .msg_iov = &part,
		.msg_iovlen = 1,
		.msg_control = control.bytes,
		.msg_controllen = CMSG_SPACE(count * sizeof(int)) };
	struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
	ssize_t sent;

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(count * sizeof(int));
	for (size_t i = 0; i < count; i++) {
		kinds[i] = (uint8_t)list[i].kind;
		memcpy(
		    CMSG_DATA(c) + i * sizeof(int), &list[i].fd, sizeof(int));
	}
	parcel_put(&w, &offer);
	part.iov_len = w.len;
	sent = sendmsg(h->to.fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
	secret_wipe(h->buffer, w.len);
	h->giving = OFFERED;
	handover_wait(h);
	if (sent < 0)
		log_error(NULL, "handing over: %s", strerror(errno));
}

static void
flushed(struct registry_op *op, void *where)
{
	struct handover *h = op->arg;

	(void)where;
	/* Who asked may be gone, and another have asked. */
	if (h->giving == FLUSHING && op->limit == h->flush)
		send_offer(h);
}

void
handover_offer(struct handover *h)
{
	struct registry_op *op =
	    registry_op_new(REGISTRY_NOTE, h->loop, flushed);

	h->asked = false;
	if (op == NULL)
		return; /* it waits in vain, for as long as we let it */
	/* The other reads the registry as soon as it has our offer: what is
	 * under way there goes first, and nothing comes behind it. */
	h->giving = FLUSHING;
	atomic_store(&h->relay->offered, true);
	op->arg = h;
	op->limit = ++h->flush;
	registry_send(h->relay->registry, op);
}
