#ifndef RELAY_SERVE_IMPL_H
#define RELAY_SERVE_IMPL_H

#include "relay/admin.h"
#include "relay/handover.h"
#include "relay/listen.h"
#include "relay/serve.h"
#include "relay/upkeep.h"
#include "relay/watchdog.h"

/*
 * What serve.c (start, life and end of the relay) and succession.c (one relay
 * after another) share: the main thread.
 */

#define SERVE_READY_MAX 2048

enum reread { REREAD_NONE, REREAD_UNDER_WAY, REREAD_AGAIN };

struct server {
	struct relay relay;
	struct loop *loop;
	struct listeners *listeners;
	struct handover *handover;
	struct admin *admin;
	struct watchdog watchdog;
	size_t started; /* workers */
	size_t moved;
	size_t drained;
	bool draining;
	enum reread reread; /* of the registry, which another relay changes */
	bool staying;       /* who took over is gone: serve on behind it */
	struct loop_timer deadline;
	struct upkeep upkeep;
	char ready[SERVE_READY_MAX];
};

/** serve_tell_workers(s, kind): a message without more to all. */
void serve_tell_workers(struct server *s, enum message_kind kind);

/** serve_maybe_end(s): has all that was here ended? */
void serve_maybe_end(struct server *s);

/** serve_requests(s): accept hosts, and other relays. */
void serve_requests(struct server *s);

extern const struct handover_ops succession_ops; /* their arg: the server */

/** succession_open(s, takeover, err): all sockets: the manager's, those of the
 * relay whose place we take, or new ones. */
int succession_open(struct server *s, bool takeover, struct err *err);

#endif
