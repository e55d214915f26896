#ifndef RELAY_HANDOVER_IMPL_H
#define RELAY_HANDOVER_IMPL_H

#include "relay/handover.h"

#include <sys/stat.h>

/*
 * What handover.c (sockets and states), handover_wire.c (parcels on a socket),
 * handover_offer.c (the offer) and handover_job.c (requests) share.
 */

struct packet;

STAILQ_HEAD(packet_list, packet);

/* One end of a socket to another relay. */
struct wire {
	struct handover *all;
	int fd; /* owned; -1: none */
	bool watched;
	struct loop_fd watch;
	struct packet_list out; /* what the socket did not take yet */
	/* A parcel, or NULL at the end. */
	void (*got)(struct handover *h, const struct parcel *p);
};

enum giving { GIVING_NOTHING, FLUSHING, OFFERED, GIVING, GIVEN };

struct handover {
	struct relay *relay;
	struct loop *loop;
	const struct handover_ops *ops;
	void *arg;
	const struct listeners *listeners;
	const char *path; /* borrowed; NULL: nobody can ask us */
	int fd;           /* owned: listens at path */
	struct stat name; /* of the socket, there */
	struct loop_fd watch;
	struct wire from; /* the relay whose place we take */
	struct wire to;   /* the one that takes ours */
	bool taking;
	enum giving giving;
	bool asked;                 /* an offer is owed */
	uint32_t flush;             /* of the registry, before the last offer */
	struct loop_timer patience; /* with who asked, until its GO */
	struct slab sent;           /* jobs that are errands over there */
	uint8_t *buffer;            /* owned, PARCEL_MAX: one at a time */
};

/** wire_watch(w, err): read from its descriptor on.  errors ERR_MEMORY */
int wire_watch(struct wire *w, struct err *err);
/** wire_send(w, p): false: no memory, or no wire. */
bool wire_send(struct wire *w, const struct parcel *p);
/** wire_close(w): what was not sent is lost. */
void wire_close(struct wire *w);

/** handover_offer(h): once the registry has done what it has in hand. */
void handover_offer(struct handover *h);
/** handover_wait(h): for the other's next step, but not for ever. */
void handover_wait(struct handover *h);

/** handover_job_came(h, p): JOB or CANCEL, from the relay before us. */
void handover_job_came(struct handover *h, const struct parcel *p);

/** handover_answer_came(h, p): ANSWER, from the relay after us. */
void handover_answer_came(struct handover *h, const struct parcel *p);

/** handover_jobs_lost(h): nobody will answer what was sent. */
void handover_jobs_lost(struct handover *h);

/** handover_jobs_free(h): there are no workers any more. */
void handover_jobs_free(struct handover *h);

#endif
