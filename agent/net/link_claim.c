#include <stdlib.h>
#include <string.h>

#include "agent/net/link_impl.h"

#define NAMES_MAX 4096 /* docs/protocol.md 12.5 */

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
still_there(
    const struct worker_name *names, size_t count, const struct uuid *vm)
{
	size_t i;

	for (i = 0; i < count; i++)
		if (uuid_equal(&names[i].vm, vm))
			return true;
	return false;
}

/* Give back what is registered no more. */
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

			if (still_there(names, count, &name->vm) ||
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
remember(struct link *l, const struct uuid *vm)
{
	struct link_name *more =
	    reallocarray(l->names, l->name_count + 1, sizeof(*more));

	if (more == NULL)
		return -1;
	l->names = more;
	more[l->name_count++] =
	    (struct link_name){ .vm = *vm, .state = LINK_NAME_ASKED };
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

		l->facts.claimed += s == LINK_NAME_OK ? 1 : 0;
		l->facts.denied += s == LINK_NAME_DENIED ? 1 : 0;
		l->facts.standby += s == LINK_NAME_STANDBY ? 1 : 0;
		l->asked += s == LINK_NAME_ASKED ? 1 : 0;
	}
}

static void
send_claim(struct link *l, struct span list)
{
	struct frame_claim claim = { .names = list,
		.mode = FRAME_MODE_EXCLUSIVE };
	struct err err = { 0 };
	uint32_t number;

	if (tunnel_claim(l->tunnel, &number, &claim, &err) != 0)
		log_error(&l->subject, "claim: %s", err.msg);
}

static void
claim_new(struct link *l, const struct worker_name *names, size_t count)
{
	uint8_t list[FRAME_NAMES_MAX * (16 + 1 + FRAME_LABEL_MAX)];
	struct writer w = writer_of(list, sizeof(list));
	size_t n = 0;
	size_t i;

	for (i = 0; i < count; i++) {
		if (find_name(l, &names[i].vm) != NULL)
			continue;
		if (l->name_count >= l->max_claims ||
		    l->name_count >= NAMES_MAX) {
			log_warn(&l->subject,
			    "the relay takes %u claims; %zu VMs are "
			    "registered",
			    l->max_claims, count);
			break;
		}
		if (remember(l, &names[i].vm) != 0)
			break;
		frame_put_name(&w, &names[i].vm, span_str(names[i].label));
		if (++n == FRAME_NAMES_MAX) {
			send_claim(l, writer_span(&w));
			w = writer_of(list, sizeof(list));
			n = 0;
		}
	}
	if (n > 0)
		send_claim(l, writer_span(&w));
}

static void
check_ready(struct link *l)
{
	count_names(l);
	if (l->asked > 0 || !l->welcome)
		return;
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
link_on_claimed(void *arg, uint32_t number, const struct frame_claimed *claimed)
{
	struct span rest = claimed->results;
	enum frame_result result;
	struct link *l = arg;
	bool late = l->ready;
	struct uuid vm;

	(void)number;
	while (frame_next_result(&rest, &vm, &result)) {
		char text[UUID_TEXT_LEN + 1];
		struct link_name *name = find_name(l, &vm);

		if (name == NULL)
			continue;
		name->state = result == FRAME_CLAIM_OK ? LINK_NAME_OK
		    : result == FRAME_CLAIM_STANDBY    ? LINK_NAME_STANDBY
						       : LINK_NAME_DENIED;
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
	/* Something may have been removed while its claim was open. */
	if (late)
		link_claim(l);
}
