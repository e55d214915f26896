#ifndef AGENT_STATE_H
#define AGENT_STATE_H

#include "common/err.h"
#include "common/secret.h"
#include "common/span.h"

/*
 * The agent's state folder: agent.key, seal.key, agent.db, generation,
 * agent.lock and agent.sock.  It belongs to us alone: 0700, files 0600; what
 * is wider, somebody else's or, of the files, a symbolic link is refused,
 * never repaired.
 */
struct state {
	char dir[512];
	int dir_fd;
	int lock_fd; /* -1: not locked */
};

#define STATE_PATH_MAX 640

/**
 * state_open(out, dir, err):
 * Open the folder ${dir}, and make it (0700) if it is not there.  A NULL
 * ${dir} is ATTEST_AGENT_STATE, else $XDG_STATE_HOME/attest-agent, else
 * ~/.local/state/attest-agent.
 *   errors  ERR_USAGE: path too long or none known; ERR_IO; ERR_UNTRUSTED:
 *           not ours, or others may enter.  ${out} is then closed
 */
int state_open(struct state *out, const char *dir, struct err *err);

void state_close(struct state *s);

/** state_default(out, cap, err): the path that state_open() takes for NULL.
 * errors ERR_USAGE: there is none, or it is too long */
int state_default(char *out, size_t cap, struct err *err);

/** state_make_folders(dir, err): ${dir} and what is missing above it, 0700.
 *   errors  ERR_IO */
int state_make_folders(const char *dir, struct err *err);

/**
 * state_lock(s, wait_ms, err):
 * Take the one lock that lets a process open the store; held until
 * state_close() or the end of the process.
 *   errors  ERR_CONFLICT: another process held it for ${wait_ms}; ERR_IO
 */
int state_lock(struct state *s, unsigned wait_ms, struct err *err);

/** state_path(out, s, name): the path of a file of the folder. */
char *state_path(
    char out[STATE_PATH_MAX], const struct state *s, const char *name);

/**
 * state_read(out, s, name, max, err):
 * The whole of a file of at most ${max} bytes.
 *   errors  ERR_NOT_FOUND; ERR_UNTRUSTED: mode, owner or kind; ERR_LIMIT;
 *           ERR_IO; ERR_MEMORY
 */
int state_read(struct secret *out, const struct state *s, const char *name,
    size_t max, struct err *err);

/**
 * state_write(s, name, in, err):
 * All or nothing and durable: a new file (0600), synced, then named.
 *   errors  ERR_CONFLICT: it exists; ERR_IO
 */
int state_write(
    const struct state *s, const char *name, struct span in, struct err *err);

/** state_remove(s, name, err): overwrite a file with zeros and unlink it; one
 * that is not there is fine.  errors ERR_IO */
int state_remove(const struct state *s, const char *name, struct err *err);

/** state_replace(s, name, in, err): the same, instead of one that is there.
 *   errors  ERR_IO */
int state_replace(
    const struct state *s, const char *name, struct span in, struct err *err);

#endif
