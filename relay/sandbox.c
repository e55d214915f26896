#include "relay/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/landlock.h>
#include <sched.h>
#include <seccomp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZED 1
#endif
#elif defined(__SANITIZE_ADDRESS__)
#define SANITIZED 1
#endif

/*
 * Files.  Rights that Debian's header is too old to know are numbers
 * (Linux, include/uapi/linux/landlock.h).
 */

#define FS_TRUNCATE (UINT64_C(1) << 14)  /* from ABI 3 on */
#define FS_IOCTL_DEV (UINT64_C(1) << 15) /* from ABI 5 on */
#define FS_ABI_1 ((UINT64_C(1) << 13) - 1)

static const uint64_t rights[SANDBOX_ACCESSES] = {
	[SANDBOX_READ] =
	    LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR,
	[SANDBOX_FILE] =
	    LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR,
	[SANDBOX_STATE] = LANDLOCK_ACCESS_FS_READ_FILE |
	    LANDLOCK_ACCESS_FS_READ_DIR | LANDLOCK_ACCESS_FS_WRITE_FILE |
	    LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_REMOVE_FILE |
	    FS_TRUNCATE,
	[SANDBOX_SOCKET] =
	    LANDLOCK_ACCESS_FS_MAKE_SOCK | LANDLOCK_ACCESS_FS_REMOVE_FILE,
};

static uint64_t
handled_of(int abi)
{
	uint64_t handled = FS_ABI_1;

	if (abi >= 2)
		handled |= LANDLOCK_ACCESS_FS_REFER;
	if (abi >= 3)
		handled |= FS_TRUNCATE;
	if (abi >= 5)
		handled |= FS_IOCTL_DEV;
	return handled;
}

static int
add_rule(int rules, const char *path, uint64_t access, struct err *err)
{
	/* Rights that only folders have make the kernel refuse a file. */
	static const uint64_t of_files = LANDLOCK_ACCESS_FS_READ_FILE |
	    LANDLOCK_ACCESS_FS_WRITE_FILE | FS_TRUNCATE;
	struct landlock_path_beneath_attr rule = { .allowed_access = access };
	struct stat st;
	long rc;

	rule.parent_fd = open(path, O_PATH | O_CLOEXEC);
	if (rule.parent_fd < 0)
		return 0;
	if (fstat(rule.parent_fd, &st) == 0 && !S_ISDIR(st.st_mode))
		rule.allowed_access &= of_files;
	rc = syscall(
	    SYS_landlock_add_rule, rules, LANDLOCK_RULE_PATH_BENEATH, &rule, 0);
	close(rule.parent_fd);
	if (rc != 0)
		return err_set(
		    err, ERR_IO, "landlock: %s: %s", path, strerror(errno));
	return 0;
}

/* The folder of ${path}. */
static int
add_folder(int rules, const char *path, uint64_t access, struct err *err)
{
	const char *slash = strrchr(path, '/');
	char folder[PATH_MAX];

	if (slash == NULL)
		return add_rule(rules, ".", access, err);
	snprintf(folder, sizeof(folder), "%.*s",
	    slash == path ? 1 : (int)(slash - path), path);
	return add_rule(rules, folder, access, err);
}

/* A renewed file takes the place of the old one by a rename, or a link is
 * turned to it: so it is folders that stay readable. */
static int
add_path(
    int rules, const struct sandbox_path *p, uint64_t handled, struct err *err)
{
	uint64_t access = rights[p->access] & handled;
	char *real;
	int rc;

	if (p->path == NULL || p->path[0] == '\0')
		return 0;
	if (p->access == SANDBOX_STATE || p->access == SANDBOX_FILE)
		return add_rule(rules, p->path, access, err);
	if (add_folder(rules, p->path, access, err) != 0)
		return -1;
	real = realpath(p->path, NULL);
	if (real == NULL)
		return 0;
	rc = add_folder(rules, real, access, err);
	free(real);
	return rc;
}

int
sandbox_files(
    const struct sandbox_path *paths, size_t count, int *abi, struct err *err)
{
	struct landlock_ruleset_attr attr = { 0 };
	int rules, rc = -1;

	*abi = (int)syscall(SYS_landlock_create_ruleset, NULL, 0,
	    LANDLOCK_CREATE_RULESET_VERSION);
	if (*abi < 1) {
		*abi = 0;
		return 0;
	}
	attr.handled_access_fs = handled_of(*abi);
	rules =
	    (int)syscall(SYS_landlock_create_ruleset, &attr, sizeof(attr), 0);
	if (rules < 0)
		return err_set(err, ERR_IO, "landlock: %s", strerror(errno));
	for (size_t i = 0; i < count; i++)
		if (add_path(rules, &paths[i], attr.handled_access_fs, err) !=
		    0)
			goto out;
#ifdef SANITIZED
	if (add_rule(rules, "/proc", rights[SANDBOX_READ], err) != 0)
		goto out;
#endif
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
	    syscall(SYS_landlock_restrict_self, rules, 0) != 0) {
		err_set(err, ERR_IO, "landlock: %s", strerror(errno));
		goto out;
	}
	rc = 0;
out:
	close(rules);
	return rc;
}

/*
 * System calls.  What is on no list gives EPERM; what only an intruder would
 * want ends the process.
 */

static const int allowed[] = {
	/* bytes and descriptors */
	SCMP_SYS(read),
	SCMP_SYS(readv),
	SCMP_SYS(pread64),
	SCMP_SYS(write),
	SCMP_SYS(writev),
	SCMP_SYS(pwrite64),
	SCMP_SYS(close),
	SCMP_SYS(dup),
	SCMP_SYS(fcntl),
	SCMP_SYS(lseek),
	SCMP_SYS(poll),
	SCMP_SYS(ppoll),
	SCMP_SYS(epoll_create1),
	SCMP_SYS(epoll_ctl),
	SCMP_SYS(epoll_wait),
	SCMP_SYS(epoll_pwait),
	SCMP_SYS(epoll_pwait2),
	SCMP_SYS(eventfd2),
	SCMP_SYS(timerfd_create),
	SCMP_SYS(timerfd_settime),
	SCMP_SYS(pipe2),
	/* files: what Landlock leaves */
	SCMP_SYS(stat),
	SCMP_SYS(fstat),
	SCMP_SYS(lstat),
	SCMP_SYS(newfstatat),
	SCMP_SYS(statx),
	SCMP_SYS(statfs),
	SCMP_SYS(fstatfs),
	SCMP_SYS(access),
	SCMP_SYS(faccessat),
	SCMP_SYS(faccessat2),
	SCMP_SYS(readlink),
	SCMP_SYS(readlinkat),
	SCMP_SYS(getdents64),
	SCMP_SYS(getcwd),
	SCMP_SYS(flock),
	SCMP_SYS(ftruncate),
	SCMP_SYS(fsync),
	SCMP_SYS(fdatasync),
	SCMP_SYS(unlink),
	SCMP_SYS(unlinkat),
	SCMP_SYS(rename),
	SCMP_SYS(renameat),
	SCMP_SYS(renameat2),
	SCMP_SYS(chmod),
	SCMP_SYS(fchmod),
	SCMP_SYS(fchmodat),
	SCMP_SYS(fchown),
	SCMP_SYS(umask),
	SCMP_SYS(utimensat),
	/* network */
	SCMP_SYS(socketpair),
	SCMP_SYS(bind),
	SCMP_SYS(listen),
	SCMP_SYS(accept),
	SCMP_SYS(accept4),
	SCMP_SYS(connect),
	SCMP_SYS(getsockname),
	SCMP_SYS(getpeername),
	SCMP_SYS(getsockopt),
	SCMP_SYS(setsockopt),
	SCMP_SYS(sendto),
	SCMP_SYS(sendmsg),
	SCMP_SYS(sendmmsg),
	SCMP_SYS(recvfrom),
	SCMP_SYS(recvmsg),
	SCMP_SYS(recvmmsg),
	SCMP_SYS(shutdown),
	/* memory and threads */
	SCMP_SYS(munmap),
	SCMP_SYS(mremap),
	SCMP_SYS(madvise),
	SCMP_SYS(brk),
	SCMP_SYS(mlock),
	SCMP_SYS(munlock),
	SCMP_SYS(futex),
	SCMP_SYS(set_robust_list),
	SCMP_SYS(get_robust_list),
	SCMP_SYS(rseq),
	SCMP_SYS(sched_yield),
	SCMP_SYS(sched_getaffinity),
	SCMP_SYS(sched_setaffinity),
	SCMP_SYS(membarrier),
	SCMP_SYS(getcpu),
	/* ourselves, signals, time */
	SCMP_SYS(gettid),
	SCMP_SYS(getpid),
	SCMP_SYS(getppid),
	SCMP_SYS(getuid),
	SCMP_SYS(geteuid),
	SCMP_SYS(getgid),
	SCMP_SYS(getegid),
	SCMP_SYS(getrusage),
	SCMP_SYS(getrlimit),
	SCMP_SYS(tgkill),
	SCMP_SYS(exit),
	SCMP_SYS(exit_group),
	SCMP_SYS(rt_sigaction),
	SCMP_SYS(rt_sigprocmask),
	SCMP_SYS(rt_sigreturn),
	SCMP_SYS(sigaltstack),
	SCMP_SYS(restart_syscall),
	SCMP_SYS(clock_gettime),
	SCMP_SYS(clock_getres),
	SCMP_SYS(clock_nanosleep),
	SCMP_SYS(nanosleep),
	SCMP_SYS(gettimeofday),
	SCMP_SYS(time),
	SCMP_SYS(getrandom),
	SCMP_SYS(uname),
	SCMP_SYS(sysinfo),
#ifdef SANITIZED
	/* The leak checker stops the threads by a tracer of its own. */
	SCMP_SYS(clone),
	SCMP_SYS(ptrace),
	SCMP_SYS(wait4),
	SCMP_SYS(prctl),
	SCMP_SYS(tkill),
	SCMP_SYS(kill),
	SCMP_SYS(mmap),
	SCMP_SYS(mprotect),
	SCMP_SYS(prlimit64),
	SCMP_SYS(process_vm_readv),
	SCMP_SYS(getdents),
#endif
};

static const int deadly[] = {
	SCMP_SYS(execve),
	SCMP_SYS(execveat),
	SCMP_SYS(bpf),
	SCMP_SYS(init_module),
	SCMP_SYS(finit_module),
	SCMP_SYS(kexec_load),
	SCMP_SYS(kexec_file_load),
	SCMP_SYS(mount),
	SCMP_SYS(umount2),
	SCMP_SYS(pivot_root),
	SCMP_SYS(chroot),
	SCMP_SYS(setns),
	SCMP_SYS(unshare),
	SCMP_SYS(userfaultfd),
	SCMP_SYS(keyctl),
	SCMP_SYS(add_key),
	SCMP_SYS(request_key),
	SCMP_SYS(perf_event_open),
	SCMP_SYS(process_vm_writev),
	SCMP_SYS(io_uring_setup),
#ifndef SANITIZED
	SCMP_SYS(ptrace),
	SCMP_SYS(process_vm_readv),
#endif
};

/* Calls that are fine with some arguments only. */
static const struct shaped {
	int call;
	struct scmp_arg_cmp want;
} shaped[] = {
	{ SCMP_SYS(socket), SCMP_A0(SCMP_CMP_EQ, AF_UNIX) },
	{ SCMP_SYS(socket), SCMP_A0(SCMP_CMP_EQ, AF_INET) },
	{ SCMP_SYS(socket), SCMP_A0(SCMP_CMP_EQ, AF_INET6) },
	/* getaddrinfo() asks for our addresses. */
	{ SCMP_SYS(socket), SCMP_A0(SCMP_CMP_EQ, AF_NETLINK) },
	/* Who may read a file may cut it, by Landlock before ABI 3. */
	{ SCMP_SYS(open), SCMP_A1(SCMP_CMP_MASKED_EQ, O_TRUNC, 0) },
	{ SCMP_SYS(openat), SCMP_A2(SCMP_CMP_MASKED_EQ, O_TRUNC, 0) },
	{ SCMP_SYS(ioctl), SCMP_A1(SCMP_CMP_EQ, FIONREAD) },
	{ SCMP_SYS(ioctl), SCMP_A1(SCMP_CMP_EQ, FIONBIO) },
	{ SCMP_SYS(ioctl), SCMP_A1(SCMP_CMP_EQ, TCGETS) },
#ifndef SANITIZED
	/* Threads, not processes. */
	{ SCMP_SYS(clone),
	    SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD, CLONE_THREAD) },
	/* No memory becomes code. */
	{ SCMP_SYS(mmap), SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0) },
	{ SCMP_SYS(mprotect), SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0) },
	{ SCMP_SYS(prctl), SCMP_A0(SCMP_CMP_EQ, PR_SET_NAME) },
	/* The limits may be read. */
	{ SCMP_SYS(prlimit64), SCMP_A2(SCMP_CMP_EQ, 0) },
#endif
};

#define COUNT(list) (sizeof(list) / sizeof((list)[0]))

static int
fill(scmp_filter_ctx ctx)
{
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < COUNT(allowed); i++)
		rc = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, allowed[i], 0);
	for (size_t i = 0; rc == 0 && i < COUNT(shaped); i++)
		rc = seccomp_rule_add(
		    ctx, SCMP_ACT_ALLOW, shaped[i].call, 1, shaped[i].want);
	for (size_t i = 0; rc == 0 && i < COUNT(deadly); i++)
		rc = seccomp_rule_add(ctx, SCMP_ACT_KILL_PROCESS, deadly[i], 0);
	/* Its flags lie in memory, where no filter sees them: the C library
	 * takes clone() instead. */
	if (rc == 0)
		rc = seccomp_rule_add(
		    ctx, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
	return rc;
}

int
sandbox_calls(struct err *err)
{
	scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_ERRNO(EPERM));
	int rc = -ENOMEM;

	if (ctx != NULL)
		rc = fill(ctx);
	if (rc == 0)
		rc = seccomp_load(ctx);
	if (ctx != NULL)
		seccomp_release(ctx);
	if (rc != 0)
		return err_set(err, ERR_IO, "seccomp: %s", strerror(-rc));
	return 0;
}
