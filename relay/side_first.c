#include "relay/side_impl.h"

#include "relay/claim.h"

#include <stdlib.h>
#include <string.h>

/*
 * UUIDs that are nobody's yet and that the tenant may claim first
 * (docs/protocol.md 12.3): bound to the key on the disk before they are
 * answered.  What comes behind such a CLAIM waits, as answers keep the order.
 */

struct first_claim {
	STAILQ_ENTRY(first_claim) link;
	uint32_t number;
	struct frame_claim claim; /* its names are below */
	struct side_grant grant;
	bool ready;
	uint8_t names[];
};

/* As far as answers are there. */
static void
pump(struct side *s)
{
	struct first_claim *f;

	while ((f = STAILQ_FIRST(&s->firsts)) != NULL && f->ready) {
		STAILQ_REMOVE_HEAD(&s->firsts, link);
		side_claim_bound(s, f->number, &f->claim, &f->grant);
		free(f);
	}
}

/* The registry answers in the order in which it was asked.  What it did not
 * take, as the tenant has enough, must not stay bound in the directory. */
static void
bound(struct registry_op *op, void *where)
{
	struct worker *w = where;
	struct side *s = slab_get(&w->tunnels, op->handle);
	struct first_claim *f;

	for (size_t i = 0; i < op->uuid_count; i++)
		if (op->fresh[i] && !op->taken[i])
			side_unbind(w, op->key.key, &op->uuids[i]);
	if (s == NULL)
		return;
	if (op->err.code != ERR_NONE)
		log_error(&s->subject, "first claim: %s", op->err.msg);
	STAILQ_FOREACH(f, &s->firsts, link)
	{
		if (f->ready)
			continue;
		f->ready = true;
		break;
	}
	pump(s);
}

/* The names that are free, as a wish; NULL: none, or no memory for it, and so
 * they are denied. */
static struct registry_op *
wish_for(struct side *s, const struct frame_claim *claim,
    const struct side_grant *grant)
{
	struct registry *registry = s->worker->relay->registry;
	struct registry_op *op = NULL;
	struct frame_claim_name name;
	struct span rest = claim->names;

	for (unsigned at = 0; frame_next_name(&rest, &name); at++) {
		if ((grant->yes >> at & 1) == 0 ||
		    claim_judge(s->worker->setup->tenants, registry, s->account,
			s->key, &name) != CLAIM_FREE)
			continue;
		if (op == NULL)
			op = registry_op_new(
			    REGISTRY_CLAIM_FIRST, s->worker->loop, bound);
		if (op == NULL || op->uuid_count == REGISTRY_UUIDS_MAX)
			break;
		op->fresh[op->uuid_count] = (grant->fresh >> at & 1) != 0;
		op->uuids[op->uuid_count++] = name.uuid;
	}
	if (op == NULL)
		return NULL;
	op->handle = s->handle;
	op->account = s->account;
	op->listed =
	    tenants_rules(s->worker->setup->tenants, s->account) == NULL;
	op->limit = atomic_load(&s->account->max[ACCOUNT_CLAIMS]);
	memcpy(op->key.key, s->key, sizeof(op->key.key));
	return op;
}

bool
side_first(struct side *s, uint32_t number, const struct frame_claim *claim,
    const struct side_grant *grant)
{
	struct registry_op *op = s->leaving ? NULL : wish_for(s, claim, grant);
	struct first_claim *f;

	if (op == NULL && STAILQ_EMPTY(&s->firsts))
		return false;
	f = malloc(sizeof(*f) + claim->names.len);
	if (f == NULL) {
		registry_op_free(op);
		tunnel_close(s->tunnel, WS_CLOSE_INTERNAL, "no memory");
		return true;
	}
	f->number = number;
	f->claim = *claim;
	f->grant = *grant;
	f->ready = op == NULL;
	memcpy(f->names, claim->names.ptr, claim->names.len);
	f->claim.names = span_of(f->names, claim->names.len);
	STAILQ_INSERT_TAIL(&s->firsts, f, link);
	if (op != NULL)
		registry_send(s->worker->relay->registry, op);
	return true;
}

void
side_first_leave(struct side *s)
{
	struct first_claim *f;

	STAILQ_FOREACH(f, &s->firsts, link)
	{
		struct span rest = f->claim.names;
		struct frame_claim_name name;

		for (unsigned at = 0; frame_next_name(&rest, &name); at++)
			if ((f->grant.yes >> at & 1) != 0)
				side_withdraw(s, &name.uuid);
		f->grant.yes = 0;
	}
}

void
side_first_free(struct side *s)
{
	struct first_claim *f;

	while ((f = STAILQ_FIRST(&s->firsts)) != NULL) {
		STAILQ_REMOVE_HEAD(&s->firsts, link);
		free(f);
	}
}
