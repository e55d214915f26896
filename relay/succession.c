#include "relay/serve_impl.h"

#include "common/log.h"
#include "common/secret.h"
#include "relay/reload.h"

#include <stdlib.h>
#include <unistd.h>

/*
 * Taking the place of another, and giving ours.
 */

/*
 * While our tunnels last, rights are what the relay after us says.
 */

static void reread(struct server *s);

static void
serve_on(struct server *s)
{
	s->staying = false;
	if (s->draining)
		return;
	listeners_accept(s->listeners, INHERIT_PUBLIC, true);
	serve_tell_workers(s, MESSAGE_STAY);
}

static void
reread_done(struct registry_op *op, void *where)
{
	struct server *s = op->arg;
	bool again = s->reread == REREAD_AGAIN;

	(void)where;
	s->reread = REREAD_NONE;
	if (op->err.code == ERR_NONE)
		relay_judge(&s->relay);
	else
		log_error(NULL, "what the other relay changed is not known: %s",
		    op->err.msg);
	if (again)
		reread(s);
	else if (s->staying)
		serve_on(s);
}

static void
reread(struct server *s)
{
	struct registry_op *op;

	/* What came behind the beginning of this one is for another. */
	if (s->reread != REREAD_NONE) {
		s->reread = REREAD_AGAIN;
		return;
	}
	op = registry_op_new(REGISTRY_REREAD, s->loop, reread_done);
	if (op == NULL) {
		log_error(NULL, "no memory to read the registry again");
		if (s->staying)
			serve_on(s);
		return;
	}
	s->reread = REREAD_UNDER_WAY;
	op->arg = s;
	registry_send(s->relay.registry, op);
}

static void
follow_setup(struct server *s)
{
	char *said;

	log_info(NULL, "following the configuration of who takes over");
	reload_run(&s->relay, &said);
	free(said);
}

/*
 * What the other relay does.
 */

static void
on_give(void *arg, long pid)
{
	struct server *s = arg;

	log_info(NULL, "process %ld takes over: agents move there", pid);
	if (pid > 0)
		notify_send(&s->relay.notify, "MAINPID=%ld", pid);
	admin_leave(s->admin);
	if (s->listeners != NULL) /* else we are draining already */
		listeners_accept(s->listeners, INHERIT_PUBLIC, false);
	/* It may have been started with another configuration. */
	follow_setup(s);
	s->moved = 0;
	serve_tell_workers(s, MESSAGE_MOVE);
	loop_timer_set(&s->deadline, s->relay.setup->config.timeouts.drain);
}

static void
on_stay(void *arg)
{
	struct server *s = arg;

	log_warn(NULL, "who took over is gone: serving on");
	notify_send(&s->relay.notify, "MAINPID=%ld", (long)getpid());
	loop_timer_cancel(&s->deadline);
	/* First what it let in: agents take a refusal for final. */
	s->staying = true;
	reread(s);
}

static void
on_alone(void *arg)
{
	struct server *s = arg;
	struct err err;

	if (admin_again(s->admin, &err) != 0)
		log_error(NULL, "nobody can reach us: %s", err.msg);
	else
		log_info(NULL, "our sockets have their names again");
}

static void
on_handed(void *arg)
{
	struct server *s = arg;

	if (s->listeners == NULL)
		return; /* draining already */
	log_info(NULL, "taken over: hosts are accepted");
	serve_requests(s);
}

static void
on_changed(void *arg, enum parcel_change change)
{
	struct server *s = arg;

	if (change == PARCEL_SETUP)
		follow_setup(s);
	else
		reread(s);
	/* The one before us may still have tunnels, too. */
	handover_changed(s->handover, change);
}

static void
on_quiet(void *arg)
{
	serve_maybe_end(arg);
}

const struct handover_ops succession_ops = {
	.give = on_give,
	.stay = on_stay,
	.alone = on_alone,
	.changed = on_changed,
	.handed = on_handed,
	.quiet = on_quiet,
};

/* The sockets that are open already, and ticket keys, ours or the other's. */
static int
inherit(struct server *s, struct inherit *out, bool takeover, struct err *err)
{
	const char *path = s->relay.setup->config.takeover;
	struct inherit other = { 0 };
	int rc = 1;

	if (inherit_from_manager(out, err) != 0)
		return -1;
	if (takeover && path[0] != '\0')
		rc = handover_take(s->handover, &other, path, err);
	if (rc < 0)
		return -1;
	if (rc > 0) {
		if (takeover)
			log_info(NULL, "no relay runs: nothing to take over");
		return secret_random(
		    s->relay.ticket_keys, sizeof(s->relay.ticket_keys), err);
	}
	if (out->count == 0)
		*out = other;
	else
		inherit_close(&other);
	return 0;
}

int
succession_open(struct server *s, bool takeover, struct err *err)
{
	const char *path = s->relay.setup->config.takeover;
	struct inherit in = { 0 };
	struct err why;
	int rc;

	if (inherit(s, &in, takeover, err) != 0)
		return -1;
	rc = listeners_open(
	    &s->listeners, &s->relay, &in, s->ready, sizeof(s->ready), err);
	inherit_close(&in);
	if (rc == 0 && path[0] != '\0' &&
	    handover_listen(s->handover, path, &why) != 0)
		log_warn(NULL, "nobody can take over from us: %s", why.msg);
	return rc;
}
