#include "launch/wait.h"

#include <errno.h>
#include <poll.h>
#include <sys/pidfd.h>
#include <time.h>
#include <unistd.h>

int64_t
wait_now_ms(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_BOOTTIME, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

void
wait_rest_ms(int64_t ms)
{
	struct timespec t = { .tv_sec = ms / 1000,
		.tv_nsec = (ms % 1000) * 1000000 };

	while (nanosleep(&t, &t) != 0)
		;
}

bool
wait_end_ms(pid_t pid, int64_t ms)
{
	struct pollfd p = { .fd = pidfd_open(pid, 0), .events = POLLIN };
	int64_t until = wait_now_ms() + ms, left;
	int n = -1;

	if (p.fd < 0)
		return false;
	do {
		left = until - wait_now_ms();
		n = poll(&p, 1, left > 0 ? (int)left : 0);
	} while (n < 0 && errno == EINTR);
	(void)close(p.fd);
	return n > 0;
}
