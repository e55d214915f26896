#ifndef AGENT_API_API_SERVE_H
#define AGENT_API_API_SERVE_H

#include "agent/api/api.h"
#include "agent/state.h"

/*
 * The owner's API on its sockets: api.sock of the state folder, for the user
 * who runs the agent, and HTTPS on a loopback address, for who has the token.
 */

#define API_SOCKET "api.sock"

/**
 * api_unix_serve(state, ask, arg, err):
 * Serve api.sock, one request a connection and one connection at a time, and
 * never return.
 *   errors  ERR_IO, ERR_USAGE
 */
int api_unix_serve(
    const struct state *state, api_ask_fn *ask, void *arg, struct err *err);

struct api_https {
	const char *listen; /* ADDRESS:PORT, [ADDRESS]:PORT; port 0: any */
	const char *certificate;
	const char *key;
	uint8_t token[SEV_SHA256_LEN]; /* hash of it */
	api_ask_fn *ask;
	void *arg;
};

/**
 * api_https_serve(options, err):
 * Serve, and never return.
 *   errors  ERR_USAGE: an address that is not a loopback one; ERR_IO
 */
int api_https_serve(const struct api_https *options, struct err *err);

/** api_check_listen(text, err): for the configuration: a loopback address and
 * a port.  errors ERR_USAGE */
int api_check_listen(const char *text, struct err *err);

#endif
