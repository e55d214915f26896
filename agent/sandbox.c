#include "agent/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/landlock.h>
#include <sched.h>
#include <seccomp.h>
#include <stdbool.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The leak checker of a test build is a ptrace, and its shadow memory is
 * larger than any machine's: such a build does without two things. */
#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANDBOX_TRACED 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__)
#define SANDBOX_TRACED 1
#endif

/* All that the vault does once it serves: talk over its pairs, read and write
 * the open store, get memory, log, end.  docs/operations-agent.md lists the
 * same, and a test compares. */
static const char *const vault_calls[] = {
	"brk",
	"clock_gettime",
	"clock_nanosleep",
	"close",
	"exit_group",
	"fcntl",
	"fdatasync",
	"fstat",
	"fsync",
	"ftruncate",
	"futex",
	"getpid",
	"getrandom",
	"madvise",
	"mmap",
	"mremap",
	"munmap",
	"newfstatat",
	"poll",
	"pread64",
	"pwrite64",
	"recvfrom",
	"restart_syscall",
	"rt_sigreturn",
	"sendto",
	"unlink",
	"write",
};

#define COUNT(list) (sizeof(list) / sizeof((list)[0]))

/* What net has no use for, and whoever took it over would.  Landlock knows
 * nothing of modes, owners and attributes, and nothing of truncate() before
 * its third version. */
static const char *const net_denied[] = {
	"add_key",
	"bpf",
	"chmod",
	"chown",
	"chroot",
	"execve",
	"execveat",
	"fchmod",
	"fchmodat",
	"fchmodat2",
	"fchown",
	"fchownat",
	"fork",
	"fremovexattr",
	"fsetxattr",
	"io_uring_enter",
	"io_uring_register",
	"io_uring_setup",
	"keyctl",
	"kill",
	"lchown",
	"lremovexattr",
	"lsetxattr",
	"mount",
	"open_by_handle_at",
	"perf_event_open",
	"pidfd_getfd",
	"pidfd_open",
	"pidfd_send_signal",
	"process_vm_readv",
	"process_vm_writev",
	"removexattr",
	"request_key",
	"rt_sigqueueinfo",
	"setns",
	"setxattr",
	"tkill",
	"truncate",
	"unshare",
	"userfaultfd",
	"utimensat",
	"vfork",
#ifndef SANDBOX_TRACED
	"ptrace",
#endif
};

/* The kernel looks at the lower half of an int's register alone, and a filter
 * at all of it: what is not masked is let through with a bit above. */
#define INT_BITS UINT32_MAX

/* Where resolvers, TLS and the C library read. */
static const char *const net_reads[] = { "/etc", "/usr", "/lib", "/lib64",
	"/run/systemd/resolve", "/run/resolvconf", "/dev/null",
	"/dev/urandom" };

#define LANDLOCK_READ                                                          \
	(LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)
#define LANDLOCK_ALL                                                           \
	(LANDLOCK_READ | LANDLOCK_ACCESS_FS_EXECUTE |                          \
	    LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_REMOVE_DIR |    \
	    LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_MAKE_CHAR |    \
	    LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_MAKE_REG |        \
	    LANDLOCK_ACCESS_FS_MAKE_SOCK | LANDLOCK_ACCESS_FS_MAKE_FIFO |      \
	    LANDLOCK_ACCESS_FS_MAKE_BLOCK | LANDLOCK_ACCESS_FS_MAKE_SYM)

void
sandbox_harden(void)
{
	const struct rlimit none = { 0, 0 };

	(void)setrlimit(RLIMIT_CORE, &none);
#ifndef SANDBOX_TRACED
	(void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
#endif
}

int
sandbox_lock_memory(struct err *err)
{
#ifdef SANDBOX_TRACED
	(void)err;
	return 0;
#else
	struct rlimit limit = { 0, 0 };

	(void)getrlimit(RLIMIT_MEMLOCK, &limit);
	if (limit.rlim_cur < limit.rlim_max) {
		limit.rlim_cur = limit.rlim_max;
		(void)setrlimit(RLIMIT_MEMLOCK, &limit);
	}
	/* On fault: what is never touched takes no memory.  With a small
	 * limit this fails at once, rather than some allocation later. */
	if (mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT) == 0)
		return 0;
	return err_set(err, ERR_LIMIT,
	    "memory cannot be locked (RLIMIT_MEMLOCK is %llu KiB): secrets "
	    "may reach the swap; raise it (LimitMEMLOCK=infinity), or use no "
	    "swap or an encrypted one",
	    (unsigned long long)limit.rlim_cur / 1024);
#endif
}

/* Root's powers would undo the rest; the memory lock of pages to come is
 * judged by one of them, which the vault keeps. */
static void
drop_capabilities(bool keep_ipc_lock)
{
	struct __user_cap_header_struct head = {
		.version = _LINUX_CAPABILITY_VERSION_3
	};
	struct __user_cap_data_struct data[2];
	uint32_t keep = keep_ipc_lock ? 1u << CAP_IPC_LOCK : 0;

	memset(data, 0, sizeof(data));
	if (syscall(SYS_capget, &head, data) != 0)
		return;
	data[0].effective &= keep;
	data[0].permitted &= keep;
	data[0].inheritable = data[1].effective = data[1].permitted =
	    data[1].inheritable = 0;
	(void)syscall(SYS_capset, &head, data);
}

const char *const *
sandbox_vault_calls(size_t *count)
{
	*count = COUNT(vault_calls);
	return vault_calls;
}

static int
add_rule(scmp_filter_ctx ctx, uint32_t action, const char *name)
{
	int number = seccomp_syscall_resolve_name(name);

	/* Another machine may not have all of them. */
	if (number < 0)
		return 0;
	/* Memory that is both data and code is how strangers' code gets in. */
	if (strcmp(name, "mmap") == 0)
		return seccomp_rule_add(ctx, action, number, 1,
		    SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
	return seccomp_rule_add(ctx, action, number, 0);
}

static int
load(scmp_filter_ctx ctx, int failed, struct err *err)
{
	/* Of all threads, or of none. */
	if (ctx == NULL || failed != 0 ||
	    seccomp_attr_set(ctx, SCMP_FLTATR_CTL_TSYNC, 1) != 0 ||
	    seccomp_load(ctx) != 0) {
		seccomp_release(ctx);
		return err_set(err, ERR_UNSUPPORTED,
		    "the kernel takes no filter of system calls");
	}
	seccomp_release(ctx);
	return 0;
}

int
sandbox_vault(struct err *err)
{
	scmp_filter_ctx ctx;
	int failed = 0;
	size_t i;

	drop_capabilities(true);
	ctx = seccomp_init(SCMP_ACT_ERRNO(EPERM));
	for (i = 0; ctx != NULL && i < COUNT(vault_calls); i++)
		failed |= add_rule(ctx, SCMP_ACT_ALLOW, vault_calls[i]);
	return load(ctx, failed, err);
}

static int
allow_read(int ruleset, const char *path)
{
	struct landlock_path_beneath_attr rule = { 0 };
	struct stat st;
	int rc;

	rule.parent_fd = open(path, O_PATH | O_CLOEXEC);
	if (rule.parent_fd < 0)
		return 0; /* not there: not read either */
	rule.allowed_access = LANDLOCK_ACCESS_FS_READ_FILE;
	if (fstat(rule.parent_fd, &st) == 0 && S_ISDIR(st.st_mode))
		rule.allowed_access = LANDLOCK_READ;
	rc = (int)syscall(SYS_landlock_add_rule, ruleset,
	    LANDLOCK_RULE_PATH_BENEATH, &rule, 0);
	(void)close(rule.parent_fd);
	return rc;
}

int
sandbox_files(const char *const *files, size_t count, struct err *err)
{
	const struct landlock_ruleset_attr attr = { .handled_access_fs =
							LANDLOCK_ALL };
	int ruleset;
	int failed = 0;
	size_t i;

	ruleset =
	    (int)syscall(SYS_landlock_create_ruleset, &attr, sizeof(attr), 0);
	if (ruleset < 0)
		return err_set(err, ERR_UNSUPPORTED,
		    "the kernel has no Landlock: the network side of the "
		    "agent could read its state folder");
	for (i = 0; i < COUNT(net_reads); i++)
		failed |= allow_read(ruleset, net_reads[i]);
	for (i = 0; i < count; i++)
		failed |= allow_read(ruleset, files[i]);
	failed |= prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	failed |= (int)syscall(SYS_landlock_restrict_self, ruleset, 0);
	(void)close(ruleset);
	if (failed != 0)
		return err_set(
		    err, ERR_UNSUPPORTED, "Landlock: %s", strerror(errno));
	return 0;
}

/* Of net's and of the API's.  A terminal lets whoever holds it type into the
 * owner's shell. */
static int
deny(scmp_filter_ctx ctx)
{
	const uint32_t no = SCMP_ACT_ERRNO(EPERM);
	int failed = 0;
	size_t i;

	for (i = 0; i < COUNT(net_denied); i++)
		failed |= add_rule(ctx, no, net_denied[i]);
	failed |= seccomp_rule_add(ctx, no, SCMP_SYS(ioctl), 1,
	    SCMP_A1(SCMP_CMP_MASKED_EQ, INT_BITS, TIOCSTI));
	failed |= seccomp_rule_add(ctx, no, SCMP_SYS(ioctl), 1,
	    SCMP_A1(SCMP_CMP_MASKED_EQ, INT_BITS, TIOCLINUX));
	/* To read a file is enough to cut it so, for Landlock before its third
	 * version; what openat2() wants lies in memory. */
	failed |= seccomp_rule_add(ctx, no, SCMP_SYS(open), 1,
	    SCMP_A1(SCMP_CMP_MASKED_EQ, O_TRUNC, O_TRUNC));
	failed |= seccomp_rule_add(ctx, no, SCMP_SYS(openat), 1,
	    SCMP_A2(SCMP_CMP_MASKED_EQ, O_TRUNC, O_TRUNC));
	failed |=
	    seccomp_rule_add(ctx, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(openat2), 0);
#ifndef SANDBOX_TRACED
	/* Threads, but no process; what clone3() wants lies in memory, where
	 * a filter cannot look, and the C library does without it. */
	failed |= seccomp_rule_add(ctx, no, SCMP_SYS(clone), 1,
	    SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD, 0));
	failed |=
	    seccomp_rule_add(ctx, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
#endif
	return failed;
}

int
sandbox_net(struct err *err)
{
	scmp_filter_ctx ctx;
	int failed = 0;

	drop_capabilities(false);
	ctx = seccomp_init(SCMP_ACT_ALLOW);
	if (ctx != NULL)
		failed = deny(ctx) |
		    seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EACCES),
			SCMP_SYS(socket), 1,
			SCMP_A0(SCMP_CMP_MASKED_EQ, INT_BITS, AF_UNIX));
	return load(ctx, failed, err);
}

int
sandbox_api(struct err *err)
{
	scmp_filter_ctx ctx;
	int failed = 0;

	drop_capabilities(false);
	ctx = seccomp_init(SCMP_ACT_ALLOW);
	if (ctx != NULL)
		failed = deny(ctx);
	return load(ctx, failed, err);
}
