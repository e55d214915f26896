#ifndef RELAY_ADMIN_H
#define RELAY_ADMIN_H

#include "relay/listen.h"
#include "relay/relay.h"

/*
 * The operator's door (docs/operations.md): HTTP/1.1 and JSON on a Unix socket
 * of mode 0600, whose peers the kernel names, and by choice over TLS for
 * holders of a certificate.  It lives in the main thread; hosts and agents
 * never reach it, and it serves nothing of theirs (T29).
 */

struct admin;

struct admin_ops {
	/* Begin to end, as SIGTERM does. */
	void (*drain)(void *arg);
	/* reload_run(), as SIGHUP does. */
	int (*reload)(void *arg, char **said);
	/* What the registry grants is not what it was. */
	void (*changed)(void *arg);
};

/** admin_new(out, relay, ops, arg, err): errors ERR_MEMORY */
int admin_new(struct admin **out, struct relay *relay,
    const struct admin_ops *ops, void *arg, struct err *err);

/**
 * admin_listen(a, succeeds, listeners, err):
 * Bind admin.socket, before privileges are dropped, and share the sockets of
 * admin.listen, which are among the ${listeners}.  A socket file that is there
 * is replaced: nobody serves it, or a relay whose place we take (${succeeds}),
 * or one that drains; a warning tells of any other.
 *   errors  ERR_IO, ERR_USAGE
 */
int admin_listen(struct admin *a, bool succeeds,
    const struct listeners *listeners, struct err *err);

/** admin_start(a, loop, err): serve, once the workers are there. */
int admin_start(struct admin *a, struct loop *loop, struct err *err);

/** admin_leave(a): who comes to admin.listen is another relay's to serve. */
void admin_leave(struct admin *a);

/** admin_handed(a): and for good.  Were its sockets open until we end, nobody
 * could bind them anew should that relay end sooner. */
void admin_handed(struct admin *a);

/** admin_again(a, err): after somebody took the name of admin.socket and did
 * not serve: have it again, and who comes to admin.listen.  errors ERR_IO */
int admin_again(struct admin *a, struct err *err);

/** admin_mail(a, m): MESSAGE_REGISTRY and MESSAGE_TUNNELS come home; takes
 * ${m}. */
void admin_mail(struct admin *a, struct message *m);

/** admin_free(a): close all; while its loop is still there. */
void admin_free(struct admin *a);

#endif
