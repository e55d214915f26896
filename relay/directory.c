#include "relay/directory.h"

#include "common/clock.h"
#include "common/hex.h"
#include "common/log.h"
#include "common/siphash.h"
#include "relay/directory_impl.h"
#include "relay/directory_read.h"
#include "relay/worker.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LAST_MS 500          /* to take back what we hold, at the end */
#define AHEAD_MAX_MS 3600000 /* of the directory's clock: else it is wrong */
#define COST (sizeof(struct directory_op) + 512) /* with its call */
#define AHEAD_STEP_MS 2 /* as exact as two clocks need to be */

static const struct log_subject subject = { "directory" };

int
directory_check_url(const char *text, struct err *err)
{
	struct redis_url url;

	return text[0] == '\0' ? 0 : redis_url_parse(&url, text, err);
}

struct directory_op *
directory_op_new(struct worker *w, enum directory_verb verb)
{
	struct directory_op *op = calloc(1, sizeof(*op));

	if (op == NULL)
		return NULL;
	op->m.kind = MESSAGE_DIRECTORY;
	op->verb = verb;
	op->from = w;
	if (verb == DIRECTORY_CLAIM) {
		/* Tunnels that stand go on, whoever has taken the memory: of
		 * each so many may wait, and there are no new ones by then. */
		relay_charge_anyway(w->relay, COST);
		op->charged = w->relay;
	} else if (verb == DIRECTORY_FIND) {
		if (!relay_charge(w->relay, COST)) {
			free(op);
			return NULL;
		}
		op->charged = w->relay;
	}
	return op;
}

void
directory_op_free(struct directory_op *op)
{
	if (op == NULL)
		return;
	if (op->charged != NULL)
		relay_discharge(op->charged, COST);
	free(op->raw);
	free(op);
}

void
directory_send(struct directory *d, struct directory_op *op)
{
	loop_post(d->loop, &op->m.mail);
}

void
directory_home(struct directory_op *op)
{
	loop_post(op->from->loop, &op->m.mail);
}

const char *
directory_node(const struct directory *d)
{
	return d->node;
}

bool
directory_is_up(const struct directory *d)
{
	return atomic_load(&d->up);
}

int64_t
directory_ahead_ms(const struct directory *d)
{
	return atomic_load(&d->ahead_ms);
}

bool
directory_call(struct directory *d, const struct directory_call *call,
    const char *const *args, size_t count)
{
	char key[DIRECTORY_UUID_TEXT];
	struct directory_call *copy = malloc(sizeof(*copy));

	if (copy == NULL)
		return false;
	*copy = *call;
	copy->sent_ms = clock_ms();
	hex_encode(key, sizeof(key),
	    span_of(call->uuid.bytes, sizeof(call->uuid.bytes)));
	if (!redis_run(d->redis, call->script, key, args, count, copy)) {
		free(copy);
		return false;
	}
	d->calls++;
	return true;
}

/*
 * Who serves a UUID.
 */

static void
found(struct directory_op *op, const struct redis_answer *a)
{
	op->found.reached = a != NULL && !a->is_number &&
	    directory_read_found(&op->found, a->texts, a->count);
}

static void
find(struct directory *d, struct directory_op *op)
{
	char most[16];
	const char *args[] = { d->node, most };
	struct directory_call call = {
		.script = SCRIPT_FIND, .op = op, .uuid = op->uuid
	};

	snprintf(most, sizeof(most), "%d", DIRECTORY_FOUND_MAX);
	if (!directory_call(d, &call, args, 2))
		directory_home(op);
}

static void
prefer(struct directory *d, struct directory_op *op)
{
	char key[DIRECTORY_KEY_TEXT], ms[16];
	const char *args[] = { key, ms };
	struct directory_call call = { .script = SCRIPT_PREFER,
		.uuid = op->uuid };

	hex_encode(key, sizeof(key), span_of(op->key, sizeof(op->key)));
	snprintf(ms, sizeof(ms), "%u", ROUTE_PREFER_MS);
	/* Without it the wrong agent is asked first, and says not-mine. */
	directory_call(d, &call, args, 2);
	directory_op_free(op);
}

/* Redis went away since the operator asked; that relay knows no more of it. */
static void
not_unbound(const struct uuid *uuid)
{
	char name[DIRECTORY_UUID_TEXT];

	hex_encode(
	    name, sizeof(name), span_of(uuid->bytes, sizeof(uuid->bytes)));
	log_warn(&subject,
	    "a released UUID may stay bound: redis-cli DEL " DIRECTORY_PREFIX
	    "bind:%s",
	    name);
}

static void
unbind(struct directory *d, struct directory_op *op)
{
	char key[DIRECTORY_KEY_TEXT] = "";
	const char *args[] = { key };
	struct directory_call call = { .script = SCRIPT_RELEASE,
		.uuid = op->uuid };

	if (op->of_key)
		hex_encode(key, sizeof(key), span_of(op->key, sizeof(op->key)));
	/* Or the next renewal, if its tunnel is still there, bound it again. */
	directory_unbind(d, &op->uuid, op->of_key ? op->key : NULL);
	if (!directory_call(d, &call, args, 1))
		not_unbound(&op->uuid);
	directory_op_free(op);
}

/*
 * What Redis says.
 */

/* ${again}: only if it does not know us any more, as its data was lost while
 * we were connected. */
static void
join(struct directory *d, bool again)
{
	const char *args[] = { d->node, d->incarnation, d->address,
		again ? "1" : "0" };
	struct directory_call call = { .script = SCRIPT_JOIN,
		.renewal = again };

	directory_call(d, &call, args, 4);
}

static void
joined(struct directory *d, const struct directory_call *call,
    const struct redis_answer *a)
{
	if (!call->renewal || a == NULL || !a->is_number || a->number != 2)
		return;
	log_warn(&subject, "its data was lost: claiming anew what is ours");
	directory_again(d);
}

static void
on_answer(void *arg, void *user, const struct redis_answer *a)
{
	struct directory_call *call = user;
	struct directory *d = arg;

	d->calls--;
	switch (call->script) {
	case SCRIPT_JOIN:
		joined(d, call, a);
		break;
	case SCRIPT_CLAIM:
		directory_claimed(d, call, a);
		break;
	case SCRIPT_WITHDRAW:
		directory_withdrawn(d, call, a);
		break;
	case SCRIPT_FIND:
		found(call->op, a);
		directory_home(call->op);
		break;
	case SCRIPT_RELEASE:
		if (a == NULL)
			not_unbound(&call->uuid);
		break;
	default:
		break;
	}
	free(call);
	if (d->closing && d->calls == 0)
		loop_stop(d->loop);
}

static void
on_up(void *arg)
{
	struct directory *d = arg;

	d->up_now = true;
	atomic_store(&d->up, true);
	log_info(&subject, "reached");
	join(d, false);
	directory_again(d);
}

static void
on_down(void *arg, const char *why)
{
	struct directory *d = arg;

	d->up_now = false;
	atomic_store(&d->up, false);
	log_error(&subject,
	    "not reached: %s; tunnels here are served on, UUIDs of other "
	    "relays are not",
	    why);
}

static void
on_heard(void *arg, struct span text)
{
	directory_heard(arg, text);
}

/* The answer is as wrong as its way was long.  What we have is kept where both
 * agree, so that the clocks of relays do not jump about. */
static void
on_clock(void *arg, uint64_t wall_ms, uint64_t took_ms)
{
	struct directory *d = arg;
	int64_t half = (int64_t)(took_ms / 2);
	int64_t ahead = (int64_t)wall_ms - (int64_t)clock_wall_ms() + half;
	int64_t differs = ahead - atomic_load(&d->ahead_ms);

	join(d, true);
	if (ahead > AHEAD_MAX_MS || ahead < -AHEAD_MAX_MS) {
		log_warn(&subject, "its clock is %lld s from ours: not used",
		    (long long)ahead / 1000);
		return;
	}
	if (differs > half + AHEAD_STEP_MS || differs < -half - AHEAD_STEP_MS)
		atomic_store(&d->ahead_ms, ahead);
}

static const struct redis_ops redis_ops = {
	.up = on_up,
	.down = on_down,
	.heard = on_heard,
	.clock = on_clock,
	.answer = on_answer,
};

/*
 * The thread.
 */

static void
on_mail(void *arg, struct mail *mail)
{
	struct directory *d = arg;
	struct message *m = (struct message *)mail;
	struct directory_op *op = (struct directory_op *)m;

	if (m->kind == MESSAGE_QUIT) {
		d->closing = true;
		free(m);
		if (d->calls == 0)
			loop_stop(d->loop);
		else
			loop_timer_set(&d->last_timer, LAST_MS);
		return;
	}
	switch (op->verb) {
	case DIRECTORY_CLAIM:
		directory_claim(d, op);
		break;
	case DIRECTORY_WITHDRAW:
		directory_withdraw(d, op);
		break;
	case DIRECTORY_FIND:
		find(d, op);
		break;
	case DIRECTORY_PREFER:
		prefer(d, op);
		break;
	case DIRECTORY_RELEASE:
		unbind(d, op);
		break;
	}
}

static void
on_last_timer(void *arg)
{
	struct directory *d = arg;

	loop_stop(d->loop);
}

/* Ten times in the life of a lease, so that each is renewed three times. */
static void
on_timer(void *arg)
{
	struct directory *d = arg;

	loop_timer_set(&d->timer, d->lease_ms / 10);
	directory_give_up(d);
	directory_renew(d);
}

static void *
run(void *arg)
{
	struct directory *d = arg;
	struct err err;

	redis_start(d->redis);
	loop_timer_set(&d->timer, d->lease_ms / 10);
	if (loop_run(d->loop, &err) != 0)
		log_error(&subject, "%s", err.msg);
	redis_free(d->redis);
	d->redis = NULL;
	directory_leases_free(d);
	loop_timer_free(&d->timer);
	loop_timer_free(&d->last_timer);
	return NULL;
}

static int
start(struct directory *d, struct err *err)
{
	sigset_t all, before;
	int rc;

	/* Signals are the main thread's. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	rc = pthread_create(&d->thread, NULL, run, d);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (rc != 0)
		return err_set(err, ERR_IO, "directory: %s", strerror(rc));
	d->running = true;
	return 0;
}

int
directory_open(struct directory **out, struct relay *relay,
    const struct directory_settings *settings, struct err *err)
{
	struct directory *d = calloc(1, sizeof(*d));
	char channel[DIRECTORY_NODE_MAX + 32];
	uint64_t incarnation;
	struct redis_url url;

	*out = NULL;
	if (d == NULL)
		return err_set(err, ERR_MEMORY, "no memory for the directory");
	d->relay = relay;
	d->lease_ms = settings->lease_ms;
	d->fence_ms = settings->fence_ms;
	TAILQ_INIT(&d->waiting);
	TAILQ_INIT(&d->leases);
	snprintf(d->node, sizeof(d->node), "%s", settings->node);
	snprintf(d->address, sizeof(d->address), "%s", settings->address);
	snprintf(channel, sizeof(channel), DIRECTORY_PREFIX "lost:%s", d->node);
	if (redis_url_parse(&url, settings->url, err) != 0 ||
	    loop_new(&d->loop, on_mail, d, err) != 0 ||
	    redis_new(&d->redis, d->loop, &url, settings->password, channel,
		&redis_ops, d, err) != 0)
		goto fail;
	/* Who takes our place has our ticket keys, and so is us: what we hold
	 * is not void before the agents have moved. */
	incarnation =
	    siphash(relay->ticket_keys + TLS_TICKET_KEYS_LEN - SIPHASH_KEY_LEN,
		span_str("attest-relay incarnation"));
	snprintf(d->incarnation, sizeof(d->incarnation), "%016llx",
	    (unsigned long long)incarnation);
	loop_timer_init(&d->timer, d->loop, on_timer, d);
	loop_timer_init(&d->last_timer, d->loop, on_last_timer, d);
	if (start(d, err) != 0)
		goto fail;
	*out = d;
	return 0;
fail:
	redis_free(d->redis);
	loop_free(d->loop);
	free(d);
	return -1;
}

void
directory_close(struct directory *d)
{
	struct message *m;
	struct mail *mail, *next;

	if (d == NULL)
		return;
	m = calloc(1, sizeof(*m));
	if (m == NULL)
		abort(); /* nothing can be ended in order any more */
	m->kind = MESSAGE_QUIT;
	loop_post(d->loop, &m->mail);
	pthread_join(d->thread, NULL);
	for (mail = loop_take(d->loop); mail != NULL; mail = next) {
		next = mail->next;
		message_free((struct message *)mail);
	}
	loop_free(d->loop);
	free(d);
}
