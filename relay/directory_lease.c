#include "relay/directory_impl.h"

#include "common/clock.h"
#include "common/hex.h"
#include "common/log.h"
#include "relay/directory_read.h"
#include "relay/relay.h"
#include "relay/worker.h"

#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define GRACE_MS 2000   /* for who held something before its data was lost */
#define RENEW_TURN 4096 /* renewals of one turn */

/* What SCRIPT_CLAIM says. */
enum said { SAID_NO, SAID_YES, SAID_OLDER, SAID_LATER, SAID_FRESH };

static int
compare(const void *a, const void *b)
{
	const struct directory_lease *x = a, *y = b;
	int order = memcmp(x->uuid.bytes, y->uuid.bytes, sizeof(x->uuid.bytes));

	return order != 0
	    ? order
	    : memcmp(x->tunnel.key, y->tunnel.key, sizeof(x->tunnel.key));
}

static struct directory_lease *
find_lease(struct directory *d, const struct uuid *uuid,
    const uint8_t key[UUID_KEY_LEN])
{
	struct directory_lease want = { .uuid = *uuid }, **at;

	memcpy(want.tunnel.key, key, sizeof(want.tunnel.key));
	at = tfind(&want, &d->tree, compare);
	return at != NULL ? *at : NULL;
}

static void
drop_lease(struct directory *d, struct directory_lease *l)
{
	TAILQ_REMOVE(&d->leases, l, link);
	tdelete(l, &d->tree, compare);
	free(l);
}

/* The claim is granted: its lease, new or taken over from an older tunnel.
 * ${sure_ms}: when the directory was asked; 0: it was not.  NULL: no memory. */
static struct directory_lease *
keep(struct directory *d, const struct directory_op *op, size_t at,
    uint64_t sure_ms)
{
	const struct directory_claim *c = &op->claims[at];
	struct directory_lease *l = find_lease(d, &c->uuid, op->tunnel.key);

	if (l == NULL) {
		l = calloc(1, sizeof(*l));
		if (l == NULL)
			return NULL;
		l->uuid = c->uuid;
		l->tunnel = op->tunnel;
		l->sure_ms = clock_ms();
		if (tsearch(l, &d->tree, compare) == NULL) {
			free(l);
			return NULL;
		}
	} else {
		if (l->tunnel.session > op->tunnel.session)
			return l;
		TAILQ_REMOVE(&d->leases, l, link);
	}
	l->tunnel = op->tunnel;
	l->capabilities = op->capabilities;
	l->mode = op->mode;
	l->rank = op->rank;
	l->certain = c->certain;
	l->bind = c->bind;
	l->lost = l->owed = l->sent = false;
	if (sure_ms != 0)
		l->sure_ms = sure_ms;
	l->renew_ms = clock_ms() + d->lease_ms / 3;
	TAILQ_INSERT_TAIL(&d->leases, l, link);
	return l;
}

/* ${held}: it is ours already, if its data is still there. */
static bool
run_claim(struct directory *d, const struct directory_call *call,
    const struct directory_lease *l, bool held)
{
	char session[24], key[DIRECTORY_KEY_TEXT], boot[40], slot[8], rank[8];
	char capabilities[16], lease[16], fence[16], grace[16];
	const char *args[] = { d->node, d->incarnation, session, key, boot,
		slot, l->mode == FRAME_MODE_ORDERED ? "1" : "0", rank,
		capabilities, lease, fence, held || l->certain ? "1" : "0",
		l->bind ? "1" : "0", grace };

	snprintf(session, sizeof(session), "%020llu",
	    (unsigned long long)l->tunnel.session);
	hex_encode(
	    key, sizeof(key), span_of(l->tunnel.key, sizeof(l->tunnel.key)));
	hex_encode(boot, sizeof(boot),
	    span_of(l->tunnel.boot, sizeof(l->tunnel.boot)));
	snprintf(slot, sizeof(slot), "%u", l->tunnel.slot);
	snprintf(rank, sizeof(rank), "%u", l->rank);
	snprintf(capabilities, sizeof(capabilities), "%u", l->capabilities);
	snprintf(lease, sizeof(lease), "%u", d->lease_ms);
	snprintf(fence, sizeof(fence), "%u", d->fence_ms);
	snprintf(grace, sizeof(grace), "%u", GRACE_MS);
	return directory_call(d, call, args, sizeof(args) / sizeof(args[0]));
}

/* All verdicts are there? */
static void
settle(struct directory_op *op)
{
	if (--op->open == 0)
		directory_home(op);
}

static void
decide(struct directory *d, struct directory_op *op, size_t at,
    enum directory_verdict verdict, uint64_t sure_ms)
{
	if (verdict == DIRECTORY_YES && keep(d, op, at, sure_ms) == NULL)
		verdict = DIRECTORY_NO;
	op->claims[at].verdict = verdict;
	settle(op);
}

/*
 * A claim that cannot be put to the directory is granted if nobody else can be
 * the owner: by the nature of the UUID, or because the directory surely still
 * has it as ours (which bars others, also after the lease).  All else waits.
 */
static bool
claim_one(struct directory *d, struct directory_op *op, size_t at)
{
	struct directory_claim *c = &op->claims[at];
	struct directory_lease *held = find_lease(d, &c->uuid, op->tunnel.key);
	struct directory_lease l = { .uuid = c->uuid,
		.tunnel = op->tunnel,
		.capabilities = op->capabilities,
		.mode = op->mode,
		.rank = op->rank,
		.certain = c->certain,
		.bind = c->bind };
	struct directory_call call = { .script = SCRIPT_CLAIM,
		.op = op,
		.index = at,
		.uuid = c->uuid,
		.session = op->tunnel.session };

	memcpy(call.key, op->tunnel.key, sizeof(call.key));
	if (run_claim(d, &call, &l, held != NULL))
		return true;
	if ((held == NULL || held->sent) && !c->certain)
		return false;
	decide(d, op, at, DIRECTORY_YES, 0);
	return true;
}

/* One more wait for all that is open of it: the whole op goes again. */
static void
claim_open(struct directory *d, struct directory_op *op)
{
	size_t count = op->count, asked = 0;

	op->open++; /* so that it does not go home under us */
	for (size_t i = 0; i < count; i++) {
		if (op->claims[i].settled)
			continue;
		op->claims[i].settled = claim_one(d, op, i);
		asked += op->claims[i].settled ? 0 : 1;
	}
	if (asked > 0)
		TAILQ_INSERT_TAIL(&d->waiting, op, link);
	op->waits = asked > 0;
	settle(op);
}

void
directory_claim(struct directory *d, struct directory_op *op)
{
	for (size_t i = 0; i < op->count; i++)
		op->open += op->claims[i].settled ? 0 : 1;
	if (op->open == 0)
		directory_home(op);
	else
		claim_open(d, op);
}

static bool
tell(struct directory *d, const struct directory_lease *l,
    enum message_kind kind)
{
	struct message_tunnel *m = calloc(1, sizeof(*m));

	if (m == NULL)
		return false; /* the next renewal tells it again */
	m->m.kind = kind;
	m->tunnel = l->tunnel.handle;
	loop_post(d->relay->workers[m->tunnel.worker]->loop, &m->m.mail);
	return true;
}

/* A newer tunnel of its key has it.  Ours gives it back when it has left, and
 * bars other keys so long. */
static void
supersede(struct directory *d, struct directory_lease *l)
{
	if (!l->lost && !l->owed)
		l->lost = tell(d, l, MESSAGE_SUPERSEDE);
}

/* It is another key's, as data was lost, or may soon become it. */
static void
unsettle(struct directory *d, struct directory_lease *l)
{
	if (l->owed || l->lost || tell(d, l, MESSAGE_UNSETTLE))
		drop_lease(d, l);
}

static void
renewed(struct directory *d, const struct directory_call *call,
    const struct redis_answer *a)
{
	struct directory_lease *l = find_lease(d, &call->uuid, call->key);

	if (l == NULL || l->tunnel.session != call->session || a == NULL ||
	    !a->is_number)
		return;
	if (a->number == SAID_YES || a->number == SAID_FRESH)
		l->sure_ms = call->sent_ms;
	else if (a->number == SAID_OLDER)
		supersede(d, l);
	else if (a->number == SAID_NO)
		unsettle(d, l);
}

void
directory_claimed(struct directory *d, const struct directory_call *call,
    const struct redis_answer *a)
{
	struct directory_op *op = call->op;

	if (op == NULL) {
		renewed(d, call, a);
		return;
	}
	if (a == NULL || !a->is_number || a->number == SAID_LATER) {
		op->claims[call->index].settled = false;
		if (!op->waits)
			TAILQ_INSERT_TAIL(&d->waiting, op, link);
		op->waits = true;
		return;
	}
	op->claims[call->index].fresh = a->number == SAID_FRESH;
	decide(d, op, call->index,
	    a->number == SAID_YES || a->number == SAID_FRESH ? DIRECTORY_YES
		: a->number == SAID_OLDER                    ? DIRECTORY_OLDER
							     : DIRECTORY_NO,
	    call->sent_ms);
}

/*
 * Withdrawals.
 */

static void
run_withdraw(struct directory *d, struct directory_lease *l)
{
	char key[DIRECTORY_KEY_TEXT], session[24];
	const char *args[] = { d->node, key, session };
	struct directory_call call = { .script = SCRIPT_WITHDRAW,
		.uuid = l->uuid,
		.session = l->tunnel.session };

	memcpy(call.key, l->tunnel.key, sizeof(call.key));
	hex_encode(
	    key, sizeof(key), span_of(l->tunnel.key, sizeof(l->tunnel.key)));
	snprintf(session, sizeof(session), "%020llu",
	    (unsigned long long)l->tunnel.session);
	l->sent |= directory_call(d, &call, args, 3);
}

/* No claim of a tunnel that is gone waits any more. */
static void
drop_waiting(struct directory *d, struct handle tunnel)
{
	struct directory_op *op, *next;

	for (op = TAILQ_FIRST(&d->waiting); op != NULL; op = next) {
		next = TAILQ_NEXT(op, link);
		if (!handle_equal(op->tunnel.handle, tunnel))
			continue;
		for (size_t i = 0; i < op->count; i++) {
			if (op->claims[i].settled)
				continue;
			op->claims[i].settled = true;
			op->open--;
		}
		TAILQ_REMOVE(&d->waiting, op, link);
		op->waits = false;
		if (op->open == 0)
			directory_home(op);
	}
}

void
directory_withdraw(struct directory *d, struct directory_op *op)
{
	for (size_t i = 0; i < op->count; i++) {
		struct directory_lease *l =
		    find_lease(d, &op->claims[i].uuid, op->tunnel.key);

		if (l == NULL || l->tunnel.session != op->tunnel.session)
			continue;
		l->owed = true;
		run_withdraw(d, l);
	}
	if (op->count == 0)
		drop_waiting(d, op->tunnel.handle);
	directory_op_free(op);
}

void
directory_withdrawn(struct directory *d, const struct directory_call *call,
    const struct redis_answer *a)
{
	struct directory_lease *l = find_lease(d, &call->uuid, call->key);

	if (a != NULL && l != NULL && l->owed &&
	    l->tunnel.session == call->session)
		drop_lease(d, l);
}

/*
 * Renewals, and news.
 */

static void
renew_one(struct directory *d, struct directory_lease *l)
{
	struct directory_call call = { .script = SCRIPT_CLAIM,
		.renewal = true,
		.uuid = l->uuid,
		.session = l->tunnel.session };

	memcpy(call.key, l->tunnel.key, sizeof(call.key));
	l->renew_ms = clock_ms() + d->lease_ms / 3;
	TAILQ_REMOVE(&d->leases, l, link);
	TAILQ_INSERT_TAIL(&d->leases, l, link);
	if (l->owed)
		run_withdraw(d, l);
	else if (!l->lost)
		run_claim(d, &call, l, true);
}

static void
claim_waiting(struct directory *d)
{
	struct directory_ops ops = TAILQ_HEAD_INITIALIZER(ops);
	struct directory_op *op;

	TAILQ_CONCAT(&ops, &d->waiting, link);
	while ((op = TAILQ_FIRST(&ops)) != NULL) {
		TAILQ_REMOVE(&ops, op, link);
		op->waits = false;
		claim_open(d, op);
	}
}

void
directory_renew(struct directory *d)
{
	struct directory_lease *l;
	uint64_t now = clock_ms();

	if (!d->up_now)
		return;
	for (int i = 0; i < RENEW_TURN; i++) {
		l = TAILQ_FIRST(&d->leases);
		if (l == NULL || l->renew_ms > now)
			break;
		renew_one(d, l);
	}
	claim_waiting(d);
}

void
directory_again(struct directory *d)
{
	struct directory_lease *l, *next, *last;

	last = TAILQ_LAST(&d->leases, directory_leases);
	for (l = TAILQ_FIRST(&d->leases); l != NULL; l = next) {
		next = l != last ? TAILQ_NEXT(l, link) : NULL;
		renew_one(d, l);
	}
	claim_waiting(d);
}

void
directory_give_up(struct directory *d)
{
	struct directory_lease *l, *next;
	uint64_t now = clock_ms(), most = d->fence_ms - d->fence_ms / 10;

	/* By each claim's own renewals, not by the connection: a Redis that
	 * takes us and refuses to write looks well in between. */
	for (l = TAILQ_FIRST(&d->leases); l != NULL; l = next) {
		next = TAILQ_NEXT(l, link);
		if (!l->certain && now - l->sure_ms > most)
			unsettle(d, l);
	}
}

void
directory_unbind(
    struct directory *d, const struct uuid *uuid, const uint8_t *key)
{
	struct directory_lease *l =
	    key != NULL ? find_lease(d, uuid, key) : TAILQ_FIRST(&d->leases);

	for (; l != NULL; l = key != NULL ? NULL : TAILQ_NEXT(l, link))
		if (uuid_equal(&l->uuid, uuid))
			l->bind = l->certain = false;
}

void
directory_heard(struct directory *d, struct span text)
{
	struct directory_lease *l;
	uint8_t key[UUID_KEY_LEN];
	struct uuid uuid;
	uint64_t session;

	if (!directory_read_lost(&uuid, key, &session, text))
		return;
	l = find_lease(d, &uuid, key);
	if (l != NULL && l->tunnel.session == session)
		supersede(d, l);
}

void
directory_leases_free(struct directory *d)
{
	struct directory_lease *l;
	struct directory_op *op;

	while ((l = TAILQ_FIRST(&d->leases)) != NULL)
		drop_lease(d, l);
	while ((op = TAILQ_FIRST(&d->waiting)) != NULL) {
		TAILQ_REMOVE(&d->waiting, op, link);
		directory_op_free(op);
	}
}
