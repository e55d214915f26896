#include "launch/deadline.h"

#include <errno.h>
#include <signal.h>
#include <string.h>

static void
on_time(union sigval v)
{
	struct deadline *d = v.sival_ptr;
	struct itimerspec left = { 0 };

	/* Held to the end of the process: who is late stays where it is. */
	(void)pthread_mutex_lock(&d->lock);
	(void)timer_gettime(d->timer, &left);
	/* Else it is the next one that is set by now. */
	if (d->armed && left.it_value.tv_sec == 0 && left.it_value.tv_nsec == 0)
		d->late(d->ctx);
	(void)pthread_mutex_unlock(&d->lock);
}

int
deadline_start(
    struct deadline *d, void (*late)(void *ctx), void *ctx, struct err *err)
{
	struct sigevent event = { .sigev_notify = SIGEV_THREAD,
		.sigev_notify_function = on_time,
		.sigev_value.sival_ptr = d };

	(void)pthread_mutex_init(&d->lock, NULL);
	d->late = late;
	d->ctx = ctx;
	if (timer_create(CLOCK_MONOTONIC, &event, &d->timer) != 0)
		return err_set(err, ERR_MEMORY, "timer: %s", strerror(errno));
	d->made = true;
	return 0;
}

void
deadline_set(struct deadline *d, unsigned s)
{
	const struct itimerspec when = { .it_value.tv_sec = s };

	if (!d->made)
		return;
	(void)pthread_mutex_lock(&d->lock);
	d->armed = s != 0;
	(void)timer_settime(d->timer, 0, &when, NULL);
	(void)pthread_mutex_unlock(&d->lock);
}
