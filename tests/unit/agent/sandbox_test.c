#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/openat2.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/sandbox.h"
#include "agent/state.h"

#define COUNT(list) (sizeof(list) / sizeof((list)[0]))
/* Above an int: the kernel does not see it. */
#define HIGH (UINT64_C(1) << 40)

/* Each attempt (T14) is made by a child that is in the sandbox. */

static char file[] = "/tmp/agent-sandbox-XXXXXX";
static char listed[] = "/tmp/agent-sandbox-XXXXXX"; /* net may read it */

static int
result(long got)
{
	return got < 0 ? errno : 0;
}

static int
unix_socket(void)
{
	return result(socket(AF_UNIX, SOCK_STREAM, 0));
}

static int
unix_socket_high(void)
{
	return result(syscall(SYS_socket, AF_UNIX | HIGH, SOCK_STREAM, 0));
}

static int
tcp_socket(void)
{
	return result(socket(AF_INET6, SOCK_STREAM, 0));
}

static int
type_into_terminal(void)
{
	return result(ioctl(0, TIOCSTI, "x"));
}

static int
type_into_terminal_high(void)
{
	return result(syscall(SYS_ioctl, 0, TIOCSTI | HIGH, "x"));
}

static int
read_file(void)
{
	return result(open(file, O_RDONLY));
}

static int
read_listed(void)
{
	return result(open(listed, O_RDONLY));
}

/* Which needs the right to read alone, by Landlock before its third version. */
static int
cut_by_open(void)
{
	return result(syscall(SYS_open, listed, O_RDONLY | O_TRUNC));
}

static int
cut_by_openat(void)
{
	return result(open(listed, O_RDONLY | O_TRUNC));
}

static int
cut_by_openat2(void)
{
	struct open_how how = { .flags = O_RDONLY | O_TRUNC };

	return result(
	    syscall(SYS_openat2, AT_FDCWD, listed, &how, sizeof(how)));
}

static int
cut_file(void)
{
	return result(truncate(file, 0));
}

static int
open_to_all(void)
{
	return result(chmod(file, 0666));
}

static int
give_away(void)
{
	return result(chown(file, 0, 0));
}

static int
run_program(void)
{
	char *const argv[] = { NULL };

	return result(execve("/bin/true", argv, argv));
}

static int
signal_parent(void)
{
	return result(kill(getppid(), 0));
}

static void *
nothing(void *arg)
{
	return arg;
}

static int
start_thread(void)
{
	pthread_t thread;
	int rc = pthread_create(&thread, NULL, nothing, NULL);

	return rc != 0 ? rc : pthread_join(thread, NULL);
}

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define TRACED 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__)
#define TRACED 1
#endif

#ifndef TRACED /* such a build has a helper of its own at the end */
static int
start_process(void)
{
	return result(syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0));
}

static int
start_process_anew(void)
{
	struct clone_args args = { .exit_signal = SIGCHLD };

	return result(syscall(SYS_clone3, &args, sizeof(args)));
}
#endif

static const struct {
	const char *name;
	int (*attempt)(void);
	int net, api;  /* errno, or 0 */
	bool landlock; /* wanted of net only where the kernel has it */
} tries[] = {
	{ "Unix socket", unix_socket, EACCES, 0, false },
	{ "Unix socket, a bit above", unix_socket_high, EACCES, 0, false },
	{ "TCP socket", tcp_socket, 0, 0, false },
	{ "TIOCSTI", type_into_terminal, EPERM, EPERM, false },
	{ "TIOCSTI, a bit above", type_into_terminal_high, EPERM, EPERM,
	    false },
	{ "read a file", read_file, EACCES, 0, true },
	{ "read a file that is named", read_listed, 0, 0, false },
	{ "truncate by open", cut_by_open, EPERM, EPERM, false },
	{ "truncate by openat", cut_by_openat, EPERM, EPERM, false },
	{ "truncate by openat2", cut_by_openat2, ENOSYS, ENOSYS, false },
	{ "truncate", cut_file, EPERM, EPERM, false },
	{ "chmod", open_to_all, EPERM, EPERM, false },
	{ "chown", give_away, EPERM, EPERM, false },
	{ "execve", run_program, EPERM, EPERM, false },
	{ "kill", signal_parent, EPERM, EPERM, false },
	{ "thread", start_thread, 0, 0, false },
#ifndef TRACED
	{ "clone", start_process, EPERM, EPERM, false },
	{ "clone3", start_process_anew, ENOSYS, ENOSYS, false },
#endif
};

static int
outcome_of(int (*attempt)(void), bool net, bool *landlock)
{
	struct err err = { 0 };
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		const char *const named[] = { listed };
		int files = net ? sandbox_files(named, 1, &err) : 0;

		if (files != 0 && attempt == read_file)
			_exit(200);
		if ((net ? sandbox_net(&err) : sandbox_api(&err)) != 0)
			_exit(201);
		_exit(attempt());
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	*landlock = WEXITSTATUS(status) != 200;
	return WEXITSTATUS(status);
}

static void
only_what_it_needs(void **state)
{
	bool landlock;
	size_t i;
	int got;

	(void)state;
	for (i = 0; i < COUNT(tries); i++) {
		got = outcome_of(tries[i].attempt, true, &landlock);
		if (got != tries[i].net && (landlock || !tries[i].landlock))
			fail_msg("net, %s: %d, want %d", tries[i].name, got,
			    tries[i].net);
		got = outcome_of(tries[i].attempt, false, &landlock);
		if (got != tries[i].api)
			fail_msg("API, %s: %d, want %d", tries[i].name, got,
			    tries[i].api);
	}
}

/* A filter that is loaded late holds the threads that are there, too. */
static int pair[2];

static void *
wait_and_try(void *arg)
{
	uint8_t byte;

	if (read(pair[0], &byte, 1) != 1)
		return NULL;
	*(int *)arg = unix_socket();
	return NULL;
}

static void
all_threads(void **state)
{
	int status;
	pid_t pid;

	(void)state;
	assert_int_equal(pipe(pair), 0);
	pid = fork();
	if (pid == 0) {
		struct err err = { 0 };
		pthread_t thread;
		int got = -1;

		if (pthread_create(&thread, NULL, wait_and_try, &got) != 0)
			_exit(200);
		(void)sandbox_net(&err);
		if (write(pair[1], "x", 1) != 1)
			_exit(201);
		(void)pthread_join(thread, NULL);
		_exit(got);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, W_EXITCODE(EACCES, 0));
	(void)close(pair[0]);
	(void)close(pair[1]);
}

/* From here on ${number} is a call that the kernel does not have. */
static void
take_away(unsigned number)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
		    offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	const struct sock_fprog program = { COUNT(code), code };

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
	    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0)
		_exit(202);
}

static int
files(struct err *err)
{
	return sandbox_files(NULL, 0, err);
}

/* A kernel without one of them is noticed, never taken for one with it. */
static void
poor_kernels(void **state)
{
	static const struct {
		const char *name;
		unsigned without;
		int (*enter)(struct err *err);
		const char *says;
	} cases[] = {
		{ "Landlock", SYS_landlock_create_ruleset, files,
		    "no Landlock" },
		{ "Landlock's rules", SYS_landlock_restrict_self, files,
		    "Landlock: " },
		{ "vault", SYS_seccomp, sandbox_vault, "no filter" },
		{ "net", SYS_seccomp, sandbox_net, "no filter" },
		{ "API", SYS_seccomp, sandbox_api, "no filter" },
	};
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(cases); i++) {
		int status;
		pid_t pid = fork();

		assert_true(pid >= 0);
		if (pid == 0) {
			struct err err = { 0 };

			take_away(cases[i].without);
			_exit(cases[i].enter(&err) == -1 &&
				    err.code == ERR_UNSUPPORTED &&
				    strstr(err.msg, cases[i].says) != NULL
				? 0
				: 1);
		}
		assert_int_equal(waitpid(pid, &status, 0), pid);
		if (status != 0)
			fail_msg("%s: status %d", cases[i].name, status);
	}
}

/*
 * Without /proc a new file of the state has a name of its own for a while.  A
 * kill leaves it there, and after a restart in a container the process has the
 * number that it had.
 */
static void
what_a_kill_left(void **state_)
{
	char dir[] = "/tmp/agent-state-XXXXXX", path[64];
	int status, fd;
	pid_t pid;

	(void)state_;
	assert_non_null(mkdtemp(dir));
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		struct err err = { 0 };
		struct state s;

		if (state_open(&s, dir, &err) != 0)
			_exit(200);
		(void)snprintf(path, sizeof(path), ".name.%ld", (long)getpid());
		fd = openat(s.dir_fd, path, O_WRONLY | O_CREAT, 0600);
		if (fd < 0)
			_exit(201);
		take_away(SYS_access);
		_exit(state_write(&s, "name", span_str("new"), &err) == 0 &&
			    state_remove(&s, "name", &err) == 0
			? 0
			: 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	/* Nor is it left now. */
	assert_int_equal(rmdir(dir), 0);
	assert_int_equal(status, 0);
}

static int
make_file(void **state)
{
	int fd = mkstemp(file), other = mkstemp(listed);

	(void)state;
	return fd < 0 || other < 0 ? -1 : close(fd) | close(other);
}

static int
remove_file(void **state)
{
	(void)state;
	return unlink(file) | unlink(listed);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(only_what_it_needs),
		cmocka_unit_test(all_threads),
		cmocka_unit_test(poor_kernels),
		cmocka_unit_test(what_a_kill_left),
	};

	return cmocka_run_group_tests(tests, make_file, remove_file);
}
