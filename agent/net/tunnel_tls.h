#ifndef AGENT_NET_TUNNEL_TLS_H
#define AGENT_NET_TUNNEL_TLS_H

#include "agent/net/tunnel_ws.h"
#include "common/secret.h"

/*
 * Who may be the relay, and what the agent shows it besides its key
 * (docs/protocol.md 12.3).  Files are read once, at the start.
 */

struct ssl_ctx_st;

#define TUNNEL_TOKEN_MAX 512

/**
 * tunnel_tls_new(out, url, options, err):
 * TLS 1.3 to the holder of a certificate for the host of ${url} and of the key
 * of its pin; both are judged in the handshake, so that nothing is sent to
 * anybody else.  With a certificate of our own, if ${options} names one.
 *   lifetime  SSL_CTX_free(); borrows ${url}, and only reads it
 *   errors    ERR_USAGE: host name; ERR_IO: a file, or a private key that is
 *             not the certificate's; ERR_INTERNAL.  ${out} may be set then,
 *             too
 */
int tunnel_tls_new(struct ssl_ctx_st **out, struct relay_url *url,
    const struct ws_options *options, struct err *err);

/**
 * tunnel_token_read(out, path, err):
 * The one line of a token file: visible ASCII, at most TUNNEL_TOKEN_MAX bytes.
 * NULL: no token.
 *   errors  those of file_read(); ERR_USAGE: it holds no token
 */
int tunnel_token_read(struct secret *out, const char *path, struct err *err);

#endif
