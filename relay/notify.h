#ifndef RELAY_NOTIFY_H
#define RELAY_NOTIFY_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>

/*
 * Words for the service manager (sd_notify(3)): datagrams to $NOTIFY_SOCKET.
 * Without one every call does nothing.
 */

struct notify {
	int fd; /* owned; -1: nobody listens */
	struct sockaddr_un to;
	socklen_t to_len;
	uint64_t watchdog_ms; /* 0: no watchdog is set on us */
};

/** notify_open(n): read the environment, and take it from our children.  A
 * socket that is none, or too long a name, is as none. */
void notify_open(struct notify *n);
void notify_close(struct notify *n);

/** notify_send(n, fmt, ...): "READY=1\nSTATUS=..."  Waits for a manager that
 * does not read, but a moment only. */
void notify_send(const struct notify *n, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/** notify_reloading(n): RELOADING=1 with the time that Type=notify-reload
 * wants beside it; READY=1 must follow. */
void notify_reloading(const struct notify *n);

#endif
