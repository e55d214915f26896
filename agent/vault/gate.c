#include "agent/vault/gate.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "agent/control.h"
#include "agent/door.h"
#include "agent/vault/gate_wait.h"
#include "agent/vault/owner.h"
#include "common/log.h"
#include "common/tunnel.h"

#define GATE_SWEEP_MS 1000
#define GATE_BATCH_MAX 256 /* so that a flood does not delay them all */
#define GATE_OUT_MAX 512   /* answers that net has not taken yet */

/* An answer on its way to net. */
struct packet {
	struct packet *next;
	enum door_kind kind;
	uint64_t id;
	size_t len;
	uint8_t bytes[];
};

struct gate {
	struct gate_options o;
	struct packet *out, **out_last; /* committed, to be sent */
	size_t out_count;
	struct gate_wait waiting; /* for the owner's word */
	uint64_t asked;           /* vault_asked(), when last they were tried */
	struct packet *held, **held_last; /* of the batch, not yet committed */
	struct door_message in;           /* scratch, as is the next */
	struct door_message answer;
	uint8_t bytes[DOOR_MAX];
	bool disk_failed; /* the last batch was lost */
	bool over;
};

/* Said once when it begins and once when it is over: each request that comes
 * meanwhile fails in the same way. */
static void
tell_disk(struct gate *g, const struct err *err)
{
	if (err != NULL && !g->disk_failed)
		log_error(NULL, "state cannot be written: %s", err->msg);
	if (err == NULL && g->disk_failed)
		log_info(NULL, "state can be written again");
	g->disk_failed = err != NULL;
}

static struct packet *
packet_new(const struct door_message *m)
{
	uint8_t bytes[DOOR_MAX];
	struct writer w = writer_of(bytes, sizeof(bytes));
	struct span all;
	struct packet *p;

	door_write(&w, m, true);
	all = writer_span(&w);
	p = malloc(sizeof(*p) + all.len);
	if (p == NULL || all.len == 0) {
		free(p);
		return NULL;
	}
	*p = (struct packet){ .kind = m->kind, .id = m->id, .len = all.len };
	memcpy(p->bytes, all.ptr, all.len);
	return p;
}

/* Without memory there is no answer; net gives its host none either. */
static void
hold(struct gate *g, const struct door_message *m)
{
	struct packet *p = packet_new(m);

	if (p == NULL)
		return;
	*g->held_last = p;
	g->held_last = &p->next;
}

static void
drop(struct packet **list, struct packet ***last)
{
	while (*list != NULL) {
		struct packet *p = *list;

		*list = p->next;
		free(p);
	}
	*last = list;
}

static void
put_out(struct gate *g, struct packet *p)
{
	p->next = NULL;
	*g->out_last = p;
	g->out_last = &p->next;
	g->out_count++;
}

static void
forget_net(struct gate *g)
{
	drop(&g->out, &g->out_last);
	drop(&g->held, &g->held_last);
	gate_wait_free(&g->waiting);
	g->out_count = 0;
}

/* The text of a hello and nothing else: a receipt, say, is not for net to
 * have signed. */
static void
sign(struct door_sign *out, const struct gate *g, const struct door_sign *in)
{
	struct span text = span_of(in->text, in->text_len);

	memset(out, 0, sizeof(*out));
	if (tunnel_is_hello_text(text))
		out->signed_ =
		    key_sign(out->signature, g->o.key, text, NULL) == 0;
}

/* A disk that fails loses the batch; what AMD did not sign is refused. */
static void
put_cek(struct door_cek *out, const struct gate *g, const struct door_cek *in)
{
	struct err err = { 0 };

	memset(out, 0, sizeof(*out));
	out->kept = vault_put_cek(g->o.vault, in->cpu_id,
			span_of(in->cert, in->cert_len), &err) == 0;
	(void)snprintf(out->why, sizeof(out->why), "%.127s", err.msg);
}

static void
tell_names(struct door_names *out, const struct gate *g, uint32_t from)
{
	struct vault_vm_info *info = calloc(1, sizeof(*info));
	size_t i;

	memset(out, 0, sizeof(*out));
	out->from = from;
	out->total = (uint32_t)vault_count(g->o.vault);
	for (i = from;
	     info != NULL && i < out->total && out->count < DOOR_NAMES_MAX;
	     i++) {
		struct door_name *n = &out->names[out->count++];

		vault_info(info, g->o.vault, i);
		n->vm = info->vm;
		memcpy(n->label, info->label, sizeof(n->label));
		n->shared = info->shared;
		n->rank = info->rank;
	}
	free(info);
}

static int64_t
now_ms(void)
{
	struct timespec t = { 0 };

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* False: the owner has to say something first. */
static bool
ask_vault(struct gate *g, const struct door_message *in)
{
	struct vault_launch_answer *launch = &g->answer.u.launch_answer;
	struct vault_validate_answer *validate = &g->answer.u.validate_answer;

	g->answer.kind = in->kind;
	g->answer.id = in->id;
	if (in->kind == DOOR_LAUNCH) {
		vault_launch(launch, g->o.vault, &in->u.launch);
		return launch->outcome != VAULT_PENDING;
	}
	vault_validate(validate, g->o.vault, &in->u.validate);
	return validate->outcome != VAULT_PENDING;
}

static void
ask_or_wait(struct gate *g, const struct door_message *in)
{
	enum vault_outcome key = VAULT_OK;

	if (in->kind == DOOR_LAUNCH)
		key = gate_wait_key(&g->waiting, &in->u.launch);
	if (key != VAULT_OK) {
		memset(&g->answer, 0, sizeof(g->answer));
		g->answer.kind = in->kind;
		g->answer.id = in->id;
		g->answer.u.launch_answer.outcome = key;
	} else if (!ask_vault(g, in) &&
	    gate_wait_add(&g->waiting, in, now_ms(), g->o.wait_ms) == 0) {
		return;
	}
	hold(g, &g->answer);
}

/* Whoever waits is tried again when the owner has said something, is told to
 * be patient now and then, and gets 503 when it was long enough. */
static void
see_waiting(struct gate *g)
{
	bool again = vault_asked(g->o.vault) != g->asked;
	int64_t now = now_ms();
	struct gate_waiting *w;
	struct gate_waiting *next;

	for (w = g->waiting.first; w != NULL; w = next) {
		struct door_message note = { .kind = DOOR_PENDING,
			.id = w->m.id };

		next = w->next;
		if ((again || now >= w->until_ms) &&
		    (ask_vault(g, &w->m) || now >= w->until_ms)) {
			hold(g, &g->answer);
			gate_wait_remove(&g->waiting, w);
		} else if (now >= w->note_at_ms) {
			w->note_at_ms = now + GATE_NOTE_MS;
			note.u.pending.extend_ms = GATE_EXTEND_MS;
			hold(g, &note);
		}
	}
	g->asked = vault_asked(g->o.vault);
}

static void
cancel(struct gate *g, uint64_t id)
{
	struct gate_waiting *w = gate_wait_find(&g->waiting, id);

	if (w == NULL)
		return;
	memset(&g->answer, 0, sizeof(g->answer));
	g->answer.kind = w->m.kind;
	g->answer.id = id;
	if (w->m.kind == DOOR_LAUNCH)
		g->answer.u.launch_answer.outcome = VAULT_PENDING;
	else
		g->answer.u.validate_answer.outcome = VAULT_PENDING;
	hold(g, &g->answer);
	gate_wait_remove(&g->waiting, w);
}

static void
handle(struct gate *g)
{
	const struct door_message *in = &g->in;
	struct door_message *answer = &g->answer;

	answer->kind = in->kind;
	answer->id = in->id;
	switch (in->kind) {
	case DOOR_LAUNCH:
	case DOOR_VALIDATE:
		ask_or_wait(g, in);
		return;
	case DOOR_CANCEL:
		cancel(g, in->id);
		return;
	case DOOR_NAMES:
		tell_names(&answer->u.names, g, in->u.names.from);
		break;
	case DOOR_SIGN:
		sign(&answer->u.sign, g, &in->u.sign);
		break;
	case DOOR_CEK:
		put_cek(&answer->u.cek, g, &in->u.cek);
		break;
	case DOOR_HELLO:
		/* Answers to the one that is gone are nobody's. */
		forget_net(g);
		memcpy(answer->u.hello.key, key_public(g->o.key),
		    sizeof(answer->u.hello.key));
		break;
	case DOOR_PENDING:
	case DOOR_CHANGED:
		return;
	}
	hold(g, answer);
}

/* The batch is lost: who hoped for a record gets told so. */
static void
void_held(struct gate *g)
{
	struct packet *p = g->held;
	struct packet *next;

	g->held = NULL;
	g->held_last = &g->held;
	for (; p != NULL; p = next) {
		struct door_message m = { .kind = p->kind, .id = p->id };

		next = p->next;
		if (p->kind == DOOR_LAUNCH)
			m.u.launch_answer.outcome = VAULT_STORAGE;
		else if (p->kind == DOOR_VALIDATE)
			m.u.validate_answer.outcome = VAULT_STORAGE;
		else {
			put_out(g, p);
			continue;
		}
		free(p);
		p = packet_new(&m);
		if (p != NULL)
			put_out(g, p);
	}
}

static void
release_held(struct gate *g)
{
	while (g->held != NULL) {
		struct packet *p = g->held;

		g->held = p->next;
		put_out(g, p);
	}
	g->held_last = &g->held;
}

/* Whatever is there by now, in one transaction. */
static void
take_packets(struct gate *g)
{
	struct err err = { 0 };
	size_t n;

	for (n = 0; n < GATE_BATCH_MAX && g->out_count + n < GATE_OUT_MAX;
	     n++) {
		ssize_t got = recv(g->o.net_fd, g->bytes, sizeof(g->bytes),
		    MSG_DONTWAIT | MSG_TRUNC);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return;
		/* The parent holds net's end, so this is an empty packet. */
		if (got == 0 || (size_t)got > sizeof(g->bytes) ||
		    door_read(&g->in, span_of(g->bytes, (size_t)got), false,
			&err) != 0)
			continue; /* no answer: net is broken, or hostile */
		handle(g);
	}
}

static void
send_packets(struct gate *g)
{
	while (g->out != NULL) {
		struct packet *p = g->out;
		ssize_t n = send(
		    g->o.net_fd, p->bytes, p->len, MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return;
		g->out = p->next;
		if (g->out == NULL)
			g->out_last = &g->out;
		g->out_count--;
		free(p);
	}
}

static void
say_changed(struct gate *g)
{
	const struct door_message m = { .kind = DOOR_CHANGED };
	struct packet *p = packet_new(&m);

	if (p != NULL)
		put_out(g, p);
}

/* The owner's question, taken whole from the parent. */
struct question {
	struct control_head head;
	struct secret body;
	struct buf out;
	struct err err;
	bool asked;
	int rc;
};

static void
take_question(struct question *q, struct gate *g)
{
	if (control_read_question(&q->head, &q->body, g->o.owner_fd, &q->err) !=
	    0) {
		g->over = true;
		return;
	}
	q->asked = true;
	q->rc = owner_handle(
	    &q->out, g->o.vault, q->head.op, secret_span(&q->body), &q->err);
}

static bool
changes_names(const struct question *q)
{
	return q->asked && q->rc == 0 && owner_renames(q->head.op);
}

static void
batch(struct gate *g, bool net, bool owner)
{
	struct question q = { 0 };
	struct err err = { 0 };
	int rc;

	buf_init(&q.out, OWNER_OUT_MAX, true); /* a TIK may be in it */
	rc = vault_begin(g->o.vault, &err);
	/* Even if the disk fails: questions are read, and answered so. */
	if (net)
		take_packets(g);
	if (owner)
		take_question(&q, g);
	see_waiting(g);
	if (rc == 0 && vault_is_due(g->o.vault))
		vault_sweep(g->o.vault);
	if (rc == 0)
		rc = vault_commit(g->o.vault, &err);
	tell_disk(g, rc == 0 ? NULL : &err);
	if (rc == 0) {
		release_held(g);
	} else {
		void_held(g);
		if (q.rc == 0)
			q.err = err;
		q.rc = -1;
	}
	if (changes_names(&q))
		say_changed(g);
	if (q.asked)
		control_write_answer(g->o.owner_fd, q.rc, &q.out, &q.err);
	secret_free(&q.body);
	buf_free(&q.out);
}

static int
step(struct gate *g, struct err *err)
{
	struct pollfd fds[] = {
		{ g->o.net_fd, 0, 0 },
		{ g->o.owner_fd, POLLIN, 0 },
	};

	/* A net that takes no answers is not heard until it does. */
	if (g->out_count < GATE_OUT_MAX)
		fds[0].events |= POLLIN;
	if (g->out != NULL)
		fds[0].events |= POLLOUT;
	if (poll(fds, 2, GATE_SWEEP_MS) < 0 && errno != EINTR)
		return err_set(err, ERR_INTERNAL, "poll: %s", strerror(errno));
	if ((fds[0].revents & POLLOUT) != 0)
		send_packets(g);
	if ((fds[0].revents & POLLIN) != 0 || fds[1].revents != 0 ||
	    g->waiting.first != NULL || vault_is_due(g->o.vault)) {
		batch(g, (fds[0].revents & POLLIN) != 0, fds[1].revents != 0);
		send_packets(g);
	} else {
		vault_erase_traces(g->o.vault);
	}
	return 0;
}

int
gate_run(const struct gate_options *options, struct err *err)
{
	struct gate *g = calloc(1, sizeof(*g));
	int rc = 0;

	if (g == NULL)
		return err_set(err, ERR_MEMORY, "no memory for the vault");
	g->o = *options;
	g->out_last = &g->out;
	g->held_last = &g->held;
	while (rc == 0 && !g->over)
		rc = step(g, err);
	forget_net(g);
	free(g);
	return rc;
}
