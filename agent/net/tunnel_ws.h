#ifndef AGENT_NET_TUNNEL_WS_H
#define AGENT_NET_TUNNEL_WS_H

#include "agent/relay_url.h"
#include "common/err.h"
#include "common/span.h"

/*
 * WebSockets to relays, by libwebsockets, on one poll thread; the only file
 * that includes it.  TLS 1.3 and its verification are always on: there is no
 * way to turn them off.  permessage-deflate is never offered, and a message
 * reaches the caller whole.
 *
 * Everything belongs to the thread of ws_run() but ws_wake().
 */

#define WS_NET_MESSAGE_MAX 16384
#define WS_NET_EXPORTER_LEN 32
#define WS_NET_STEP_MS 1000 /* longest time between two ticks */

struct ws_net;
struct ws_target;
struct ws_link;

/* One URL: where to dial, and who may answer. */
struct ws_options {
	struct relay_url url; /* with the pin, if there is one */
	const char *ca_file;  /* NULL: the system's authorities */
	bool pin_only;        /* the pin decides, and no authority */
	const char *proxy;    /* [http://][user:pass@]host[:port]; NULL: none */
	const char *subprotocol;
	/* Shown to the relay beside the key; NULL: none */
	const char *certificate; /* PEM file, with its chain */
	const char *key;         /* PEM file; there with it */
	const char *token_file;
};

/* Callbacks; closed is the last one of a link. */
struct ws_ops {
	void (*opened)(void *user);
	void (*message)(void *user, struct span message);
	/* code: of the peer's close frame, or 1006 if there was none */
	void (*closed)(void *user, unsigned code, const char *why);
	/* At least every WS_NET_STEP_MS; returns ms until the next one. */
	uint32_t (*tick)(void *arg);
	void (*woken)(void *arg);
};

/** ws_net_new(out, ops, arg, err): errors ERR_INTERNAL, ERR_MEMORY */
int ws_net_new(
    struct ws_net **out, const struct ws_ops *ops, void *arg, struct err *err);
/** ws_net_free(n): with all its targets and links. */
void ws_net_free(struct ws_net *n);

/**
 * ws_target_new(out, n, options, err):
 * Load the authorities and what we show; dial nothing yet.
 *   lifetime  ${n}'s, which frees it
 *   errors    ERR_USAGE: host, proxy or token; ERR_IO: a file; ERR_INTERNAL
 */
int ws_target_new(struct ws_target **out, struct ws_net *n,
    const struct ws_options *options, struct err *err);

/** ws_net_run(n): serve until ws_net_stop(). */
void ws_net_run(struct ws_net *n);

/** ws_net_stop(n): ws_net_run() returns soon.  From its thread. */
void ws_net_stop(struct ws_net *n);

/** ws_net_tick(n): ops.tick soon.  From its thread. */
void ws_net_tick(struct ws_net *n);

/** ws_net_wake(n): ops.woken soon.  From any thread. */
void ws_net_wake(struct ws_net *n);

/**
 * ws_dial(t, address, user, err):
 * One more link, to the numeric ${address}, or "" to the name in the URL;
 * whose certificate it must be is the URL's affair in both cases.  ops.opened
 * or ops.closed follows, never from inside this call.
 * NULL: errors ERR_MEMORY, ERR_IO
 */
struct ws_link *ws_dial(
    struct ws_target *t, const char *address, void *user, struct err *err);

/** ws_send(l, head, body): queue one binary message. */
void ws_send(struct ws_link *l, struct span head, struct span body);

/** ws_close(l, code, why): what is queued, then a close frame; ops.closed
 * follows.  Code 1006: just go. */
void ws_close(struct ws_link *l, unsigned code, const char *why);

/** ws_exporter(out, l, label): RFC 5705 keying material of the TLS under it.
 * errors -1 */
int ws_exporter(uint8_t out[WS_NET_EXPORTER_LEN], const struct ws_link *l,
    const char *label);

#endif
