#ifndef RELAY_INHERIT_H
#define RELAY_INHERIT_H

#include "common/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

/*
 * Listening sockets that were open before us: from the service manager
 * (sd_listen_fds(3)) or from the relay whose place we take.
 */

enum inherit_kind {
	INHERIT_PUBLIC,
	INHERIT_INTERNAL,
	INHERIT_ADMIN,
	INHERIT_CLUSTER,
	INHERIT_KINDS
};

/* "public", "internal", "admin", "cluster": FileDescriptorName= of a socket unit. */
extern const char *const inherit_names[INHERIT_KINDS];

#define INHERIT_MAX 64 /* more than relay.yaml can list */

struct inherit {
	struct inherit_one {
		int fd; /* owned; -1: taken */
		enum inherit_kind kind;
	} list[INHERIT_MAX];
	size_t count;
	/* The manager's sockets are used whatever relay.yaml says; those of
	 * another relay, and for operators, only as far as the addresses are
	 * the same. */
	bool by_manager;
};

/**
 * inherit_from_manager(out, err):
 * What $LISTEN_FDS and $LISTEN_FDNAMES name; none without them.
 *   errors  ERR_USAGE: a name that is none of ours, or no listening socket
 */
int inherit_from_manager(struct inherit *out, struct err *err);

/** inherit_add(list, fd, kind, err): take ${fd}, also after a failure.
 *   errors  ERR_USAGE: no listening stream socket; ERR_LIMIT */
int inherit_add(
    struct inherit *list, int fd, enum inherit_kind kind, struct err *err);

/** inherit_any(list, kind): is there one that was not taken? */
bool inherit_any(const struct inherit *list, enum inherit_kind kind);

/** inherit_take(list, kind, address): a socket bound to ${address} (port 0:
 * any port), or any one if it is NULL; -1: there is none. */
int inherit_take(struct inherit *list, enum inherit_kind kind,
    const struct sockaddr_storage *address);

/** inherit_close(list): what nobody took. */
void inherit_close(struct inherit *list);

#endif
