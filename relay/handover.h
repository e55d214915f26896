#ifndef RELAY_HANDOVER_H
#define RELAY_HANDOVER_H

#include "relay/inherit.h"
#include "relay/listen.h"
#include "relay/parcel.h"
#include "relay/relay.h"

/*
 * One relay takes the place of another without a loss (docs/operations.md,
 * "Upgrade").  The new process asks the running one over a Unix socket for its
 * listening sockets and ticket keys; once it serves, agents are asked to move
 * to it while the old one still accepts the hosts, and other relays for theirs;
 * when they have, the new one accepts those too.  What reaches the old one on
 * connections that were open before goes over the same socket: a job there is
 * an errand here.
 *
 * All of it is the main thread's.
 */

struct handover;

struct handover_ops {
	/* The giving end: the new relay ${pid} serves; or it is gone, before
	 * we were done. */
	void (*give)(void *arg, long pid);
	void (*stay)(void *arg);
	/* Before that, or if it went before it served: names of sockets that
	 * it may have taken are to be ours again. */
	void (*alone)(void *arg);
	/* Rights are not what they were: the new relay's registry, or its
	 * configuration, has changed. */
	void (*changed)(void *arg, enum parcel_change change);
	/* The taking end: nobody else accepts hosts any more. */
	void (*handed)(void *arg);
	/* Nobody hands us errands any more, or goes on with our offer. */
	void (*quiet)(void *arg);
};

/** handover_new(out, relay, ops, arg, err): errors ERR_MEMORY */
int handover_new(struct handover **out, struct relay *relay,
    const struct handover_ops *ops, void *arg, struct err *err);
void handover_free(struct handover *h);

/**
 * handover_take(h, inherit, path, err):
 * Ask the relay at ${path}; blocks.  Returns 1 if nobody is there; after 0 the
 * sockets are in ${inherit}, and the relay's ticket keys are those of the
 * other.
 *   errors  ERR_IO, ERR_UNTRUSTED: run by another user; ERR_CONFLICT: it
 *           hands over already; ERR_MALFORMED
 */
int handover_take(struct handover *h, struct inherit *inherit, const char *path,
    struct err *err);

/** handover_listen(h, path, err): be the one at ${path} from now on. */
int handover_listen(struct handover *h, const char *path, struct err *err);

/** handover_start(h, loop, listeners, err): the sockets are those of
 * ${listeners}; say GO, if we took the place of another. */
int handover_start(struct handover *h, struct loop *loop,
    const struct listeners *listeners, struct err *err);

/** handover_taking(h): another relay still accepts hosts for us. */
bool handover_taking(const struct handover *h);

/** handover_giving(h): agents are moving to another relay. */
bool handover_giving(const struct handover *h);

/** handover_changed(h, change): if the relay whose place we took is still
 * there, it is to know. */
void handover_changed(struct handover *h, enum parcel_change change);

/** handover_refuse(h): the listeners are about to go, so there is nothing to
 * offer any more: who asks from now on starts as if nobody were there.  Who has
 * an offer already may go on with it. */
void handover_refuse(struct handover *h);

/** handover_done(h): we accept nothing any more. */
void handover_done(struct handover *h);

/** handover_give_back(h): we end.  If the relay whose place we take has not
 * handed all over yet, it is to go on as if we had died: ops->quiet follows. */
void handover_give_back(struct handover *h);

/** handover_busy(h): errands may still come; or who has our offer is still to
 * say GO, and would not start if we were gone by then, or to hear HANDED. */
bool handover_busy(const struct handover *h);

/** handover_mail(h, m): MESSAGE_JOB, MESSAGE_CANCEL, MESSAGE_ERRAND_BACK of a
 * worker; takes it. */
void handover_mail(struct handover *h, struct message *m);

#endif
