#include "relay/watchdog.h"

#include "common/log.h"
#include "relay/worker.h"

#include <stdlib.h>

/* Twice in the manager's time (sd_watchdog_enabled(3)), and once to spare. */
#define PARTS 3

static void
ask_all(struct watchdog *d)
{
	d->asked++;
	for (size_t i = 0; i < d->relay->worker_count; i++) {
		struct message_beat *m = calloc(1, sizeof(*m));

		if (m == NULL)
			return; /* then it is late, and is asked again */
		m->m.kind = MESSAGE_BEAT;
		m->number = d->asked;
		loop_post(d->relay->workers[i]->loop, &m->m.mail);
	}
}

/* The index of a worker that has not answered, or their number. */
static size_t
find_late(const struct watchdog *d)
{
	size_t i = 0;

	while (i < d->relay->worker_count &&
	    atomic_load(&d->relay->workers[i]->beat) == d->asked)
		i++;
	return i;
}

static void
on_timer(void *arg)
{
	struct watchdog *d = arg;
	size_t late = find_late(d);

	loop_timer_set(&d->timer, d->every_ms);
	if (late == d->relay->worker_count) {
		notify_send(&d->relay->notify, "WATCHDOG=1");
		d->late_told = false;
	} else if (!d->late_told) {
		log_error(NULL, "worker %zu does not answer", late);
		d->late_told = true;
	}
	ask_all(d);
}

void
watchdog_start(struct watchdog *d, struct relay *relay)
{
	*d = (struct watchdog){ .relay = relay,
		.every_ms = relay->notify.watchdog_ms / PARTS };
	loop_timer_init(&d->timer, relay->main_loop, on_timer, d);
	if (relay->notify.watchdog_ms == 0)
		return;
	if (d->every_ms == 0)
		d->every_ms = 1;
	ask_all(d);
	loop_timer_set(&d->timer, d->every_ms);
}

void
watchdog_stop(struct watchdog *d)
{
	loop_timer_free(&d->timer);
}
