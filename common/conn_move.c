#include "common/conn_impl.h"

bool
conn_leave(struct conn *c)
{
	if (c->state != CONN_OPEN || c->paused || c->eof || c->congested ||
	    c->write_blocked || c->overrun || c->lost || c->reading ||
	    buf_len(&c->in) > 0 || buf_len(&c->out) > 0)
		return false;
	loop_fd_free(&c->watch);
	loop_timer_free(&c->timer);
	loop_task_cancel(&c->flush);
	loop_task_cancel(&c->read);
	c->loop = NULL;
	return true;
}

void
conn_enter(
    struct conn *c, struct loop *loop, const struct conn_settings *settings)
{
	c->loop = loop;
	c->settings = settings;
	loop_timer_init(&c->timer, loop, c->timer.fn, c);
	if (loop_fd_init(&c->watch, loop, c->fd, c->watch.fn, c, NULL) != 0) {
		conn_close(c, "no memory for an event");
		return;
	}
	conn_watch(c);
	/* TLS may hold what the last turn did not ask for. */
	loop_soon(loop, &c->read);
}
