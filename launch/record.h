#ifndef LAUNCH_RECORD_H
#define LAUNCH_RECORD_H

#include <stdbool.h>

#include "common/err.h"
#include "common/span.h"
#include "common/uuid.h"
#include "launch/domain_xml.h"

/*
 * A launch under way, as a file of its own in a folder of ours, so that its
 * guest is found when launcher and guard were both killed (launch/sweep.h).
 * The file's name is the mark that the guest carries.  It is empty until the
 * guest is asked for; then it holds a line of JSON, and a word a line for each
 * step that matters.
 *
 * Launcher and guard share one lock on it (flock(2) on one open file), which
 * the kernel drops when the last of them is gone, however.  Who gets that lock
 * knows that nobody cares for this guest any more: no process id can be taken
 * for another's, and a restart of the machine is no case of its own.
 */

#define RECORD_URI_MAX 2047
#define RECORD_LEN_MAX 8192

enum record_word {
	RECORD_ANSWERED = 1U << 0, /* libvirt has answered the start */
	RECORD_RESUMING = 1U << 1, /* it may have been told to resume it */
	RECORD_FAILED = 1U << 2,   /* the launcher gave up */
	RECORD_DONE = 1U << 3,     /* the guest runs, and that is all */
	RECORD_BOUND = 1U << 4 /* it ends with the launcher, running or not */
};

struct record {
	int folder; /* borrowed */
	int fd;     /* -1: none; as long as it is open, the lock is held */
	char id[UUID_TEXT_LEN + 1];
};

struct record_view {
	bool asked; /* false: no guest can be there, and the rest is empty */
	unsigned words;
	char connect[RECORD_URI_MAX + 1]; /* of libvirt */
	char domain[DOMAIN_NAME_MAX + 1];
};

/**
 * record_folder(fd, path, err):
 * Open the folder, and make it if it is not there.  NULL: for root
 * /var/lib/attest-launch, for others the XDG state folder.
 *   errors  ERR_IO; ERR_USAGE: others could write there
 */
int record_folder(int *fd, const char *path, struct err *err);

/** record_new(out, folder, err): locked, under a fresh id.
 *   errors  ERR_IO, ERR_INTERNAL */
int record_new(struct record *out, int folder, struct err *err);

/** record_ask(r, uri, domain, err): on disk when it returns.
 *   errors  ERR_IO, ERR_LIMIT, ERR_MEMORY */
int record_ask(
    struct record *r, const char *uri, const char *domain, struct err *err);

/** record_say(r, word, err): on disk when it returns.  From any thread.
 *   errors  ERR_IO */
int record_say(const struct record *r, enum record_word word, struct err *err);

/** record_end(r): take the file away, and let go of the lock. */
void record_end(struct record *r);

/** record_leave(r): let go of our end of the lock; the file stays. */
void record_leave(struct record *r);

/** record_take(out, folder, id, err): lock one that nobody cares for.
 * ${out}->fd is -1 if somebody does, or if it is gone.  errors ERR_IO */
int record_take(
    struct record *out, int folder, const char *id, struct err *err);

/** record_read(out, r, err): errors ERR_IO, those of record_decode() */
int record_read(
    struct record_view *out, const struct record *r, struct err *err);

/** record_decode(out, text, err): a last line that was cut short is passed
 * over.  errors ERR_MALFORMED, ERR_LIMIT */
int record_decode(struct record_view *out, struct span text, struct err *err);

#endif
