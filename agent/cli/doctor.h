#ifndef AGENT_CLI_DOCTOR_H
#define AGENT_CLI_DOCTOR_H

#include "agent/config.h"
#include "agent/state.h"
#include "common/err.h"

/*
 * What may keep an agent from working, looked at from outside: each check
 * gives lines with a verdict, what was found, and what to do about it.
 * Nothing is changed but for a file that is made and removed at once.
 */

enum doctor_level { DOCTOR_OK, DOCTOR_WARN, DOCTOR_FAIL };

struct doctor_line {
	enum doctor_level level;
	const char *check; /* "dns", "tls" ... */
	char found[256];
	const char *fix; /* what to do; "" if it is ok */
};

#define DOCTOR_LINES_MAX 96

struct doctor {
	struct doctor_line lines[DOCTOR_LINES_MAX];
	size_t count;
	enum doctor_level worst;
};

/** doctor_say(d, level, check, fix, fmt, ...): one line; ${fix} is a
 * constant. */
void doctor_say(struct doctor *d, enum doctor_level level, const char *check,
    const char *fix, const char *fmt, ...)
    __attribute__((format(printf, 5, 6)));

/** doctor_level_name(level): "ok", "warn", "fail". */
const char *doctor_level_name(enum doctor_level level);

/** doctor_config(d, config, file, dir): the configuration, its ${file}, and the
 * relay of the state folder ${dir}; false: it cannot be used.  config_free()
 * ${config} in every case. */
bool doctor_config(
    struct doctor *d, struct config *config, const char *file, const char *dir);

/** doctor_state(d, dir): state folder, keys, store, disk. */
void doctor_state(struct doctor *d, const char *dir);

/** doctor_machine(d): locked memory, suspend. */
void doctor_machine(struct doctor *d);

/** doctor_relays(d, config): each relay's DNS, proxy, TCP, TLS, pin, and the
 * clock against it. */
void doctor_relays(struct doctor *d, const struct config *config);

/** doctor_key_server(d, config): can AMD's key server be reached? */
void doctor_key_server(struct doctor *d, const struct config *config);

/** doctor_direct(d, config): can the listener's files be used? */
void doctor_direct(struct doctor *d, const struct config *config);

#endif
