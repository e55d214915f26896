#ifndef LAUNCH_QMP_H
#define LAUNCH_QMP_H

#include <jansson.h>

#include "common/err.h"
#include "common/span.h"

/*
 * QEMU's machine protocol, as much as a launch needs: one command at a time,
 * answers matched by id, events passed over.  QEMU docs/interop/qmp-spec.
 */

#define QMP_LINE_MAX 131072 /* the longest answer we want has 12 KiB */
#define QMP_DEPTH_MAX 32

enum qmp_kind { QMP_GREETING, QMP_RETURN, QMP_ERROR, QMP_EVENT };

struct qmp_message {
	enum qmp_kind kind;
	json_t *object; /* owned: the whole line */
	json_t *value;  /* borrowed of it: what "return" or "QMP" holds */
	bool has_id;
	uint64_t id;
	char words[160]; /* QMP_ERROR: its description; QMP_EVENT: its name */
};

/**
 * qmp_decode(out, line, err):
 * One line without its end.  errors ERR_MALFORMED, ERR_LIMIT
 */
int qmp_decode(struct qmp_message *out, struct span line, struct err *err);
void qmp_message_free(struct qmp_message *m);

struct qmp;

/**
 * qmp_open(out, fd, timeout_ms, err):
 * Read the greeting on the connected socket ${fd}, and leave its negotiation.
 *   lifetime  ${fd} is the client's from now on, also on failure
 *   errors    ERR_CLOSED: QEMU ended; ERR_IO: time is up; ERR_MALFORMED,
 *             ERR_LIMIT, ERR_MEMORY
 */
int qmp_open(struct qmp **out, int fd, int timeout_ms, struct err *err);
void qmp_free(struct qmp *q);

/**
 * qmp_call(out, words, q, command, arguments, timeout_ms, err):
 * What ${command} returned.  Takes ${arguments}, which may be NULL.  If QEMU
 * refused, ${words} (160 bytes) are its own, else "".
 *   lifetime  caller: json_decref()
 *   errors    ERR_UNSUPPORTED: QEMU refused; those of qmp_open()
 */
int qmp_call(json_t **out, char words[160], struct qmp *q, const char *command,
    json_t *arguments, int timeout_ms, struct err *err);

#endif
