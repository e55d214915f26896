#include "relay/notify.h"

#include "tests/unit/relay/check.h"

#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

/* A service manager's end. */
static int
manager(char *path, size_t cap)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	snprintf(path, cap, "/tmp/notify-test-%ld", (long)getpid());
	snprintf(sa.sun_path, sizeof(sa.sun_path), "%s", path);
	unlink(path);
	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	return fd;
}

static void
says_what_the_manager_reads(void **state)
{
	char path[64], got[600], pid[24];
	struct notify n;
	ssize_t len;
	int fd = manager(path, sizeof(path));

	(void)state;
	snprintf(pid, sizeof(pid), "%ld", (long)getpid());
	setenv("NOTIFY_SOCKET", path, 1);
	setenv("WATCHDOG_PID", pid, 1);
	setenv("WATCHDOG_USEC", "30000000", 1);
	notify_open(&n);
	/* Children must not speak for us. */
	assert_null(getenv("NOTIFY_SOCKET"));
	assert_null(getenv("WATCHDOG_USEC"));
	assert_int_equal(n.watchdog_ms, 30000);
	notify_send(&n, "READY=1\nSTATUS=%s", "serving");
	len = recv(fd, got, sizeof(got), 0);
	assert_int_equal(len, 22);
	assert_memory_equal(got, "READY=1\nSTATUS=serving", 22);
	notify_reloading(&n);
	len = recv(fd, got, sizeof(got) - 1, 0);
	assert_true(len > 0);
	got[len] = '\0';
	assert_memory_equal(got, "RELOADING=1\nMONOTONIC_USEC=", 27);
	assert_true(strtoull(got + 27, NULL, 10) > 0);
	/* Too long is not cut: half a word may be another one. */
	memset(got, 'x', sizeof(got) - 1);
	got[sizeof(got) - 1] = '\0';
	notify_send(&n, "STATUS=%s", got);
	assert_int_equal(recv(fd, got, sizeof(got), MSG_DONTWAIT), -1);
	notify_close(&n);
	close(fd);
	unlink(path);
}

static void
says_nothing_where_nobody_listens(void **state)
{
	static const char *const names[] = { NULL, "", "@", "relative",
		"/no/such/socket" };
	char longest[200];
	struct notify n;

	(void)state;
	memset(longest, 'a', sizeof(longest) - 1);
	longest[0] = '/';
	longest[sizeof(longest) - 1] = '\0';
	for (size_t i = 0; i <= COUNT(names); i++) {
		const char *name = i < COUNT(names) ? names[i] : longest;

		if (name != NULL)
			setenv("NOTIFY_SOCKET", name, 1);
		notify_open(&n);
		notify_send(&n, "READY=1");
		notify_reloading(&n);
		notify_close(&n);
	}
}

/* It is there and does not read: its queue fills up. */
static void
goes_on_where_the_manager_hangs(void **state)
{
	struct notify n;
	char path[64];
	int fd = manager(path, sizeof(path)), queued = 0;

	(void)state;
	setenv("NOTIFY_SOCKET", path, 1);
	notify_open(&n);
	while (queued < 1 << 20 &&
	    sendto(n.fd, "X", 1, MSG_DONTWAIT, (struct sockaddr *)&n.to,
		n.to_len) == 1)
		queued++;
	alarm(30);
	notify_send(&n, "WATCHDOG=1");
	alarm(0);
	notify_close(&n);
	close(fd);
	unlink(path);
}

static void
another_ones_watchdog_is_not_ours(void **state)
{
	char path[64];
	struct notify n;
	int fd = manager(path, sizeof(path));

	(void)state;
	setenv("NOTIFY_SOCKET", path, 1);
	setenv("WATCHDOG_PID", "1", 1);
	setenv("WATCHDOG_USEC", "30000000", 1);
	notify_open(&n);
	assert_int_equal(n.watchdog_ms, 0);
	notify_close(&n);
	setenv("NOTIFY_SOCKET", path, 1);
	setenv("WATCHDOG_USEC", "30s", 1);
	notify_open(&n);
	assert_int_equal(n.watchdog_ms, 0);
	notify_close(&n);
	close(fd);
	unlink(path);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(says_what_the_manager_reads),
		cmocka_unit_test(says_nothing_where_nobody_listens),
		cmocka_unit_test(goes_on_where_the_manager_hangs),
		cmocka_unit_test(another_ones_watchdog_is_not_ours),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
