#ifndef RELAY_QUEUE_H
#define RELAY_QUEUE_H

#include "relay/job.h"

/*
 * Jobs that wait for a stream of one tunnel, fair per source: sources take
 * turns, so a host that posts a hundred requests delays another one's single
 * request by one, not by a hundred.
 */

struct queue;

/** queue_new(void): NULL: no memory. */
struct queue *queue_new(void);
/** queue_free(q): must be empty.  NULL is fine. */
void queue_free(struct queue *q);

/** queue_put(q, job, max, source_max): false: full, or no memory. */
bool queue_put(struct queue *q, struct job *job, size_t max, size_t source_max);

/** queue_take(q): whose turn it is; NULL: empty. */
struct job *queue_take(struct queue *q);

/** queue_remove(q, host): the job of ${host}, taken out; NULL: not there. */
struct job *queue_remove(struct queue *q, struct handle host);

/** queue_len(q): of NULL: 0. */
size_t queue_len(const struct queue *q);

#endif
