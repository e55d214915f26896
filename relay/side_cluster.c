#include "relay/side_impl.h"

#include "relay/claim.h"
#include "relay/directory.h"

#include <stdlib.h>
#include <string.h>

/*
 * Claims in a cluster: the directory judges first, then we; what we then deny
 * is given back to it.
 */

static void
fill_tunnel(struct directory_tunnel *out, const struct side *s)
{
	out->handle = s->handle;
	out->session = s->session;
	memcpy(out->key, s->key, sizeof(out->key));
	memcpy(out->boot, s->boot, sizeof(out->boot));
	out->slot = s->slot;
}

static void
withdraw(struct worker *w, const struct directory_tunnel *tunnel,
    const struct uuid *uuid)
{
	struct directory_op *op = directory_op_new(w, DIRECTORY_WITHDRAW);

	if (op == NULL)
		return; /* then others wait for the lease, and its fence */
	op->tunnel = *tunnel;
	if (uuid != NULL)
		op->claims[op->count++].uuid = *uuid;
	directory_send(w->relay->directory, op);
}

void
side_withdraw(struct side *s, const struct uuid *uuid)
{
	struct directory_tunnel tunnel = { 0 };

	if (s->asked == NULL)
		return; /* no directory, or nothing was ever claimed */
	fill_tunnel(&tunnel, s);
	withdraw(s->worker, &tunnel, uuid);
}

void
side_unbind(
    struct worker *w, const uint8_t key[FRAME_KEY_LEN], const struct uuid *uuid)
{
	struct directory_op *op = directory_op_new(w, DIRECTORY_RELEASE);

	if (op == NULL)
		return; /* then the operator has to release it */
	op->uuid = *uuid;
	op->of_key = true;
	memcpy(op->key, key, sizeof(op->key));
	directory_send(w->relay->directory, op);
}

/* Nobody is there any more to whom it was granted. */
static void
withdraw_granted(struct worker *w, const struct directory_op *op)
{
	for (size_t i = 0; i < op->count; i++) {
		const struct directory_claim *c = &op->claims[i];

		if (c->verdict != DIRECTORY_YES)
			continue;
		withdraw(w, &op->tunnel, &c->uuid);
		if (c->fresh)
			side_unbind(w, op->tunnel.key, &c->uuid);
	}
}

static void
answer(struct side *s, const struct directory_op *op)
{
	struct frame_claim claim = { .capabilities = op->capabilities,
		.names = span_of(op->raw, op->raw_len),
		.mode = op->mode,
		.rank = op->rank };
	struct side_grant grant = { 0 };

	for (size_t i = 0; i < op->count; i++) {
		const struct directory_claim *c = &op->claims[i];

		if (c->verdict != DIRECTORY_YES)
			continue;
		grant.yes |= UINT64_C(1) << i;
		if (c->fresh)
			grant.fresh |= UINT64_C(1) << i;
	}
	side_claim_granted(s, op->number, &claim, &grant);
}

/* A newer tunnel of the key stands at another relay. */
static bool
is_older(const struct directory_op *op)
{
	for (size_t i = 0; i < op->count; i++)
		if (op->claims[i].verdict == DIRECTORY_OLDER)
			return true;
	return false;
}

/* In the order of the CLAIMs, whatever order the answers come in. */
static void
on_judged(struct worker *w, struct directory_op *op)
{
	struct side *s = slab_get(&w->tunnels, op->tunnel.handle);
	struct side_asked *a = s != NULL ? s->asked : NULL;

	if (a == NULL || s->leaving) {
		withdraw_granted(w, op);
		directory_op_free(op);
		return;
	}
	for (size_t i = 0; i < a->count; i++)
		if (a->numbers[i] == op->number)
			a->back[i] = op;
	/* Looked at anew each time: an answer may make the tunnel leave, which
	 * gives back all that is still asked. */
	while ((a = s->asked) != NULL && a->count > 0 && a->back[0] != NULL) {
		op = a->back[0];
		a->count--;
		memmove(&a->numbers[0], &a->numbers[1],
		    a->count * sizeof(a->numbers[0]));
		memmove(
		    &a->back[0], &a->back[1], a->count * sizeof(a->back[0]));
		answer(s, op);
		if (is_older(op))
			side_supersede(w, s->handle);
		directory_op_free(op);
	}
}

/* What is the agent's to claim, whoever else wants it?  Nobody else can own
 * what is made of its key, or bound to it on our disk; what it claims first is
 * bound by the directory, too, or two relays would bind it to two keys. */
static bool
is_entitled(const struct side *s, const struct frame_claim_name *name,
    struct directory_claim *c)
{
	struct registry *registry = s->worker->relay->registry;
	struct registry_claim row;
	enum claim_verdict verdict = claim_judge(
	    s->worker->setup->tenants, registry, s->account, s->key, name);
	bool of_key =
	    registry_find_claim(registry, &name->uuid, &row) && row.of_key;

	c->certain = name->label.len > 0 || of_key;
	c->bind = verdict == CLAIM_FREE || of_key;
	/* The relay that takes our place has read the registry already: there
	 * the agent may bind it in a moment. */
	if (verdict == CLAIM_FREE && atomic_load(&s->worker->relay->offered))
		return false;
	return verdict != CLAIM_NO;
}

static struct directory_op *
make_op(struct side *s, uint32_t number, const struct frame_claim *claim)
{
	struct directory_op *op = directory_op_new(s->worker, DIRECTORY_CLAIM);
	struct span rest = claim->names;
	struct frame_claim_name name;

	if (op == NULL)
		return NULL;
	op->done = on_judged;
	op->number = number;
	op->capabilities = claim->capabilities;
	op->mode = claim->mode;
	op->rank = claim->rank;
	fill_tunnel(&op->tunnel, s);
	op->raw = malloc(claim->names.len);
	if (op->raw == NULL) {
		directory_op_free(op);
		return NULL;
	}
	memcpy(op->raw, claim->names.ptr, claim->names.len);
	op->raw_len = claim->names.len;
	/* What is not the agent's to claim stays with the verdict no. */
	while (frame_next_name(&rest, &name)) {
		struct directory_claim *c = &op->claims[op->count++];

		c->uuid = name.uuid;
		c->settled = !is_entitled(s, &name, c);
	}
	return op;
}

void
side_ask(struct side *s, uint32_t number, const struct frame_claim *claim)
{
	struct directory_op *op;

	if (s->asked == NULL)
		s->asked = calloc(1, sizeof(*s->asked));
	op = s->asked != NULL ? make_op(s, number, claim) : NULL;
	if (op == NULL || s->asked->count == TUNNEL_CLAIMS_OPEN_MAX) {
		directory_op_free(op);
		tunnel_close(s->tunnel, WS_CLOSE_INTERNAL, "no memory");
		return;
	}
	s->asked->numbers[s->asked->count] = number;
	s->asked->back[s->asked->count++] = NULL;
	directory_send(s->worker->relay->directory, op);
}

void
side_asked_free(struct side *s)
{
	if (s->asked == NULL)
		return;
	for (size_t i = 0; i < s->asked->count; i++) {
		if (s->asked->back[i] == NULL)
			continue;
		withdraw_granted(s->worker, s->asked->back[i]);
		directory_op_free(s->asked->back[i]);
	}
	/* Those that are still out have nobody to come back to. */
	if (s->asked->count > 0)
		side_withdraw(s, NULL);
	free(s->asked);
	s->asked = NULL;
}

void
side_unsettle(struct worker *w, struct handle tunnel)
{
	struct side *s = slab_get(&w->tunnels, tunnel);

	if (s != NULL)
		tunnel_close(s->tunnel, TUNNEL_CLOSE_DRAINING,
		    "its claims are to be made anew");
}
