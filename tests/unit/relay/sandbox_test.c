#include "relay/sandbox.h"

#include "tests/unit/relay/check.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>

#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* Each attempt is made by a child that is in the sandbox. */

static char folder[] = "/tmp/sandbox-test-XXXXXX";
static char config[96], key[96], state[64], secret[64];

static int
try_open(const char *path, int flags)
{
	int fd = open(path, flags, 0600);

	if (fd < 0)
		return errno;
	close(fd);
	return 0;
}

static int
read_other(void)
{
	return try_open("/etc/passwd", O_RDONLY);
}

static int
read_neighbour(void)
{
	return try_open(secret, O_RDONLY);
}

static int
read_config(void)
{
	return try_open(config, O_RDONLY);
}

static int
write_config(void)
{
	return try_open(config, O_WRONLY);
}

/* Landlock before ABI 3 takes this for reading. */
static int
cut_config(void)
{
	return try_open(config, O_RDONLY | O_TRUNC);
}

/* A certificate that is renewed is another file of that name. */
static int
read_key(void)
{
	return try_open(key, O_RDONLY);
}

static int
make_in_state(void)
{
	char path[80];

	snprintf(path, sizeof(path), "%s/new", state);
	return try_open(path, O_RDWR | O_CREAT);
}

static int
make_elsewhere(void)
{
	char path[80];

	snprintf(path, sizeof(path), "%s/new", folder);
	return try_open(path, O_RDWR | O_CREAT);
}

static int
remove_config(void)
{
	return unlink(config) == 0 ? 0 : errno;
}

static int
run_program(void)
{
	char *const argv[] = { NULL };

	execve("/bin/true", argv, argv);
	return errno;
}

static int
raw_socket(void)
{
	return socket(AF_PACKET, SOCK_RAW, 0) >= 0 ? 0 : errno;
}

static int
tcp_socket(void)
{
	return socket(AF_INET6, SOCK_STREAM, 0) >= 0 ? 0 : errno;
}

static int
type_into_terminal(void)
{
	return ioctl(0, TIOCSTI, "x") == 0 ? 0 : errno;
}

static int
become_root(void)
{
	return setuid(0) == 0 ? 0 : errno;
}

static int
new_namespace(void)
{
	return unshare(CLONE_NEWUSER) == 0 ? 0 : errno;
}

#define KILLED (-SIGSYS)

static const struct {
	const char *name;
	int (*attempt)(void);
	int want; /* errno, 0, or KILLED */
} tries[] = {
	{ "another file", read_other, EACCES },
	{ "a file beside the folders", read_neighbour, EACCES },
	{ "the configuration", read_config, 0 },
	{ "the configuration, to write", write_config, EACCES },
	{ "the configuration, to cut", cut_config, EPERM },
	{ "the configuration, to remove", remove_config, EACCES },
	{ "a renewed key", read_key, 0 },
	{ "a file of the state", make_in_state, 0 },
	{ "a file elsewhere", make_elsewhere, EACCES },
	{ "a program", run_program, KILLED },
	{ "a raw socket", raw_socket, EPERM },
	{ "a TCP socket", tcp_socket, 0 },
	{ "a terminal's input", type_into_terminal, EPERM },
	{ "another user", become_root, EPERM },
	{ "a namespace", new_namespace, KILLED },
};

static void
put(const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT, 0600);

	assert_true(fd >= 0);
	close(fd);
}

static int
make_files(void **state_)
{
	char sub[64];

	(void)state_;
	assert_non_null(mkdtemp(folder));
	snprintf(sub, sizeof(sub), "%s/etc", folder);
	assert_int_equal(mkdir(sub, 0700), 0);
	snprintf(config, sizeof(config), "%s/relay.yaml", sub);
	snprintf(sub, sizeof(sub), "%s/live", folder);
	assert_int_equal(mkdir(sub, 0700), 0);
	snprintf(key, sizeof(key), "%s/key", sub);
	snprintf(state, sizeof(state), "%s/state", folder);
	assert_int_equal(mkdir(state, 0700), 0);
	snprintf(secret, sizeof(secret), "%s/secret", folder);
	put(config);
	put(secret);
	/* The key is a link, as programs that renew certificates make them. */
	snprintf(sub, sizeof(sub), "%s/archive", folder);
	assert_int_equal(mkdir(sub, 0700), 0);
	snprintf(sub, sizeof(sub), "%s/archive/key1", folder);
	put(sub);
	assert_int_equal(symlink(sub, key), 0);
	return 0;
}

static int
remove_files(void **state_)
{
	char command[64];

	(void)state_;
	snprintf(command, sizeof(command), "rm -r %s", folder);
	return system(command);
}

static void
renew_key(void)
{
	char fresh[80], link[80];

	snprintf(fresh, sizeof(fresh), "%s/archive/key2", folder);
	snprintf(link, sizeof(link), "%s/live/key.new", folder);
	unlink(fresh);
	put(fresh);
	if (symlink(fresh, link) != 0 || rename(link, key) != 0)
		fail_msg("renew: %s", strerror(errno));
}

static void
confined(int (*attempt)(void), int in, int go)
{
	const struct sandbox_path paths[] = { { config, SANDBOX_READ },
		{ key, SANDBOX_READ }, { "", SANDBOX_READ },
		{ "/no/such/folder/x", SANDBOX_READ },
		{ state, SANDBOX_STATE } };
	struct err err;
	char byte;
	int abi;

	if (sandbox_files(paths, COUNT(paths), &abi, &err) != 0 ||
	    sandbox_calls(&err) != 0) {
		fprintf(stderr, "%s\n", err.msg);
		_exit(200);
	}
	/* The key is renewed while we are in it: not before. */
	if (write(in, "x", 1) != 1 || read(go, &byte, 1) != 1)
		_exit(201);
	_exit(attempt());
}

static int
outcome_of(int (*attempt)(void))
{
	int in[2], go[2], status;
	char byte;
	pid_t pid;

	assert_int_equal(pipe(in), 0);
	assert_int_equal(pipe(go), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0)
		confined(attempt, in[1], go[0]);
	close(in[1]);
	/* Nothing comes of one that could not get in; its status tells. */
	if (read(in[0], &byte, 1) == 1) {
		renew_key();
		assert_int_equal(write(go[1], "x", 1), 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	close(in[0]);
	close(go[0]);
	close(go[1]);
	return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

static void
only_what_a_relay_needs(void **state_)
{
	int abi, got;
	struct err err;

	(void)state_;
	/* A kernel without Landlock is for the second half only. */
	if (fork() == 0)
		_exit(sandbox_files(NULL, 0, &abi, &err) == 0 ? abi : 255);
	assert_true(wait(&abi) > 0);
	abi = WEXITSTATUS(abi);
	assert_int_not_equal(abi, 255);
	for (size_t i = 0; i < COUNT(tries); i++) {
		if (abi == 0 && tries[i].want == EACCES)
			continue;
		got = outcome_of(tries[i].attempt);
		if (got != tries[i].want)
			fail_msg("%s: %d, want %d", tries[i].name, got,
			    tries[i].want);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(only_what_a_relay_needs),
	};

	return cmocka_run_group_tests(tests, make_files, remove_files);
}
