/*
 * qemu-system-x86_64 as libvirt 9 calls it: the real one in TCG, with the SEV
 * part of it played by the software secure processor.  libvirt hands no
 * environment on, so what a test says lies beside the program: platform/ (the
 * machine), fault (see tests/mock_qemu/fault.h); record is written.
 */
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <libgen.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/emulator/args.h"
#include "tests/emulator/pump.h"
#include "tests/mock_qemu/fault.h"
#include "tests/mock_qemu/record.h"

#define REAL "/usr/bin/qemu-system-x86_64"

static void
say_where(const char *self)
{
	char folder[512], path[600], words[256] = "";
	FILE *f;

	(void)snprintf(folder, sizeof(folder), "%s", self);
	(void)dirname(folder);
	(void)snprintf(path, sizeof(path), "%s/platform", folder);
	(void)setenv("MOCK_QEMU_PLATFORM", path, 1);
	(void)snprintf(path, sizeof(path), "%s/record", folder);
	(void)setenv("MOCK_QEMU_RECORD", path, 1);
	(void)snprintf(path, sizeof(path), "%s/fault", folder);
	(void)setenv("SEV_EMULATOR_FAULT_FILE", path, 1);
	f = fopen(path, "r");
	if (f == NULL)
		return;
	if (fgets(words, sizeof(words), f) != NULL)
		(void)setenv("MOCK_QEMU_FAULT", words, 1);
	(void)fclose(f);
}

/* The real QEMU, which dies with us. */
static pid_t
start_real(const struct args *a)
{
	pid_t self = getpid(), pid = fork();

	if (pid != 0)
		return pid;
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) == 0 && getppid() == self)
		(void)execv(REAL, a->argv);
	_exit(127);
}

static int
listen_at(const char *path)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)snprintf(at.sun_path, sizeof(at.sun_path), "%s", path);
	if (fd < 0 || bind(fd, (struct sockaddr *)&at, sizeof(at)) != 0 ||
	    listen(fd, 4) != 0)
		return -1;
	return fd;
}

/* As -daemonize: the caller goes on when libvirt can connect.  It waits for
 * the end of our stdout, too, so that goes. */
static int
become_daemon(const struct args *a)
{
	int null = open("/dev/null", O_RDWR);
	FILE *f = fopen(a->pidfile, "w");

	if (f == NULL || null < 0)
		return -1;
	switch (fork()) {
	case -1:
		return -1;
	case 0:
		break;
	default:
		_exit(0);
	}
	(void)fprintf(f, "%d\n", (int)getpid());
	(void)fclose(f);
	(void)setsid();
	for (int fd = 0; fd < 3; fd++)
		(void)dup2(null, fd);
	return 0;
}

static int
play(struct args *a, struct pump *p, struct err *err)
{
	int status = 0;

	p->pid = start_real(a);
	p->child = p->pid < 0 ? -1 : (int)syscall(SYS_pidfd_open, p->pid, 0);
	if (p->child < 0)
		return err_set(err, ERR_IO, "fork: %s", strerror(errno));
	if (a->run)
		record("guest",
		    json_pack("{s:b, s:i, s:i, s:b, s:i}", "paused",
			a->line.paused, "policy", (int)a->line.policy,
			"cbitpos", (int)a->line.cbitpos, "kernel-hashes",
			a->line.kernel_hashes, "qemu", (int)p->pid));
	pump_run(p);
	(void)kill(p->pid, SIGTERM);
	(void)waitpid(p->pid, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

int
main(int argc, char **argv)
{
	static struct guest guest;
	struct pump p = { .guest = &guest };
	struct args a;
	struct err err = { 0 };

	(void)argc;
	say_where(argv[0]);
	if (pump_socket(&p.qmp, &err) != 0 ||
	    args_read(&a, argv, p.qmp, &err) != 0)
		goto fail;
	if (!a.run && a.probe == NULL) {
		(void)execv(REAL, argv);
		return 127;
	}
	if (guest_host(&guest, &err) != 0)
		goto fail;
	if (a.probe != NULL) {
		p.once = true;
		p.listener = listen_at(a.probe);
		if (p.listener < 0 || become_daemon(&a) != 0) {
			err_set(
			    &err, ERR_IO, "%s: %s", a.probe, strerror(errno));
			goto fail;
		}
		return play(&a, &p, &err);
	}
	p.listener = a.monitor;
	/* The real QEMU shall not hold libvirt's socket. */
	(void)fcntl(p.listener, F_SETFD, FD_CLOEXEC);
	if (fault_is("start", "@die") ||
	    (a.line.sev && guest_launch(&guest, &a.line, &err) != 0))
		goto fail;
	return play(&a, &p, &err);
fail:
	(void)fprintf(stderr, "qemu-system-x86_64: %s\n", err.msg);
	return 1;
}
