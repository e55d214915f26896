#include <stdlib.h>
#include <string.h>

#include "agent/net/link_impl.h"

#define NAMES_MAX 4096 /* docs/protocol.md 12.5 */
#define ASK_FIRST_MS 1000
#define ASK_MOST_MS 60000

static struct link_name *
find_name(const struct link *l, const struct uuid *vm)
{
	size_t i;

	for (i = 0; i < l->name_count; i++)
		if (uuid_equal(&l->names[i].vm, vm))
			return &l->names[i];
	return NULL;
}

static bool
still_there(const struct worker_name *names, size_t count,
    const struct link_name *claimed)
{
	size_t i;

	for (i = 0; i < count; i++)
		if (uuid_equal(&names[i].vm, &claimed->vm))
			return names[i].shared == claimed->shared &&
			    names[i].rank == claimed->rank;
	return false;
}

/* Give back what is registered no more, or in another mode by now. */
static void
unclaim(struct link *l, const struct worker_name *names, size_t count)
{
	uint8_t list[FRAME_NAMES_MAX * 16];
	struct frame_unclaim frame;
	struct err err = { 0 };
	size_t at = 0;

	while (at < l->name_count) {
		struct writer w = writer_of(list, sizeof(list));
		size_t n = 0;

		while (at < l->name_count && n < FRAME_NAMES_MAX) {
			struct link_name *name = &l->names[at];

			if (still_there(names, count, name) ||
			    name->state == LINK_NAME_ASKED) {
				at++;
				continue;
			}
			frame_put_uuid(&w, &name->vm);
			n++;
			*name = l->names[--l->name_count];
		}
		frame.uuids = writer_span(&w);
		if (n > 0 && tunnel_unclaim(l->tunnel, &frame, &err) != 0)
			log_warn(&l->subject, "%s", err.msg);
	}
}

static int
remember(struct link *l, const struct worker_name *name)
{
	struct link_name *known = find_name(l, &name->vm);
	struct link_name *more;

	if (known != NULL) {
		known->state = LINK_NAME_ASKED;
		return 0;
	}
	more = reallocarray(l->names, l->name_count + 1, sizeof(*more));
	if (more == NULL)
		return -1;
	l->names = more;
	more[l->name_count++] = (struct link_name){ .vm = name->vm,
		.shared = name->shared,
		.rank = name->rank,
		.state = LINK_NAME_ASKED };
	return 0;
}

static void
count_names(struct link *l)
{
	size_t i;

	l->facts.claimed = l->facts.denied = l->facts.standby = 0;
	l->asked = 0;
	for (i = 0; i < l->name_count; i++) {
		enum link_claim_state s = l->names[i].state;
		bool again = s == LINK_NAME_AGAIN ||
		    (s == LINK_NAME_ASKED && l->names[i].told);

		l->facts.claimed += s == LINK_NAME_OK ? 1 : 0;
		l->facts.denied += again || s == LINK_NAME_DENIED ? 1 : 0;
		l->facts.standby += s == LINK_NAME_STANDBY ? 1 : 0;
		l->asked += s == LINK_NAME_ASKED ? 1 : 0;
	}
}

static void
send_claim(struct link *l, struct span list, const struct worker_name *like)
{
	struct frame_claim claim = { .names = list,
		.mode =
		    like->shared ? FRAME_MODE_ORDERED : FRAME_MODE_EXCLUSIVE,
		.has_rank = like->shared,
		.rank = like->rank };
	struct err err = { 0 };
	uint32_t number;

	if (tunnel_claim(l->tunnel, &number, &claim, &err) != 0)
		log_error(&l->subject, "claim: %s", err.msg);
	else
		l->claims_open++;
}

/* One CLAIM has one mode and one rank: those of a kind stand together. */
static int
by_mode(const void *one, const void *other)
{
	const struct worker_name *a = one;
	const struct worker_name *b = other;

	if (a->shared != b->shared)
		return a->shared ? 1 : -1;
	return (int)a->rank - (int)b->rank;
}

/* On to the next name that is not claimed yet; false: there is none. */
static bool
next_new(const struct link *l, const struct worker_name **at,
    const struct worker_name *end)
{
	for (; *at < end; (*at)++) {
		const struct link_name *known = find_name(l, &(*at)->vm);

		if (known == NULL || known->state == LINK_NAME_AGAIN)
			return true;
	}
	return false;
}

/* False: the relay takes no more claims. */
static bool
has_room(const struct link *l, const struct uuid *vm, size_t count)
{
	if (find_name(l, vm) != NULL)
		return true;
	if (l->name_count < l->max_claims && l->name_count < NAMES_MAX)
		return true;
	log_warn(&l->subject,
	    "the relay takes %u claims; %zu VMs are registered", l->max_claims,
	    count);
	return false;
}

static void
claim_new(struct link *l, struct worker_name *names, size_t count)
{
	const struct worker_name *at = names;
	const struct worker_name *end = names + count;
	bool room = true;

	qsort(names, count, sizeof(*names), by_mode);
	while (l->claims_open < TUNNEL_CLAIMS_OPEN_MAX && room &&
	    next_new(l, &at, end)) {
		uint8_t list[FRAME_NAMES_MAX * (16 + 1 + FRAME_LABEL_MAX)];
		struct writer w = writer_of(list, sizeof(list));
		const struct worker_name *like = at;
		size_t n = 0;

		while (n < FRAME_NAMES_MAX && next_new(l, &at, end) &&
		    by_mode(at, like) == 0) {
			room =
			    has_room(l, &at->vm, count) && remember(l, at) == 0;
			if (!room)
				break;
			frame_put_name(&w, &at->vm, span_str(at->label));
			n++;
		}
		if (n > 0)
			send_claim(l, writer_span(&w), like);
	}
	/* The others follow as answers come (docs/protocol.md 12.4). */
	l->claims_wait = room && next_new(l, &at, end);
}

/* The operator may give a UUID to its tenant, or another agent may go: none
 * of it is told (docs/protocol.md 12.3). */
static void
plan_next(struct link *l)
{
	if (l->facts.denied == 0) {
		l->ask_at_ms = 0;
		l->ask_ms = 0;
	} else if (l->ask_at_ms == 0) {
		l->ask_ms = l->ask_ms == 0        ? ASK_FIRST_MS
		    : l->ask_ms < ASK_MOST_MS / 2 ? l->ask_ms * 2
						  : ASK_MOST_MS;
		l->ask_at_ms = link_now_ms(l) + l->ask_ms;
	}
}

static void
check_ready(struct link *l)
{
	count_names(l);
	if (l->asked > 0 || l->claims_wait || !l->welcome)
		return;
	plan_next(l);
	if (l->ready) {
		l->config->changed(l->config->arg, l);
		return;
	}
	l->ready = true;
	l->config->ready(l->config->arg, l);
}

void
link_claim(struct link *l)
{
	struct worker_name *names;
	size_t count;

	if (!l->welcome || l->retired || l->ws == NULL)
		return;
	names = worker_names(l->config->worker, &count);
	if (names == NULL)
		return;
	unclaim(l, names, count);
	claim_new(l, names, count);
	free(names);
	check_ready(l);
}

void
link_claim_denied(struct link *l)
{
	l->ask_at_ms = 0;
	for (size_t i = 0; i < l->name_count; i++)
		if (l->names[i].state == LINK_NAME_DENIED)
			l->names[i].state = LINK_NAME_AGAIN;
	link_claim(l);
}

void
link_on_claimed(void *arg, uint32_t number, const struct frame_claimed *claimed)
{
	struct span rest = claimed->results;
	enum frame_result result;
	struct link *l = arg;
	bool late = l->ready; /* before this answer */
	struct uuid vm;

	(void)number;
	l->claims_open--;
	while (frame_next_result(&rest, &vm, &result)) {
		char text[UUID_TEXT_LEN + 1];
		struct link_name *name = find_name(l, &vm);

		if (name == NULL)
			continue;
		name->state = result == FRAME_CLAIM_OK ? LINK_NAME_OK
		    : result == FRAME_CLAIM_STANDBY    ? LINK_NAME_STANDBY
						       : LINK_NAME_DENIED;
		if (result == FRAME_CLAIM_DENIED && name->told)
			continue;
		name->told = result == FRAME_CLAIM_DENIED;
		if (result == FRAME_CLAIM_DENIED)
			log_warn(&l->subject,
			    "claim of %s denied: this key does not own it at "
			    "this relay, or another agent holds it",
			    uuid_format(text, &vm));
		else if (late)
			log_info(&l->subject, "claimed %s%s",
			    uuid_format(text, &vm),
			    result == FRAME_CLAIM_STANDBY ? " as a standby"
							  : "");
	}
	check_ready(l);
	/* Names may have come, gone or changed while this claim was open, also
	 * before the link was ready and anybody told it. */
	link_claim(l);
}
