#include "tests/emulator/pump.h"

#include <errno.h>
#include <jansson.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "common/buf.h"
#include "tests/emulator/memory.h"
#include "tests/mock_qemu/fault.h"
#include "tests/mock_qemu/record.h"
#include "tests/mock_qemu/sev.h"

#define LINE_MAX_LEN (8 << 20) /* a probe's answers are long */
#define READ_LEN 65536

/* One connection of libvirt, and ours to QEMU that belongs to it. */
struct talk {
	int libvirt, qemu;
	struct buf asked, answered;
};

int
pump_socket(int *out, struct err *err)
{
	struct sockaddr_un any = { .sun_family = AF_UNIX };
	/* QEMU moves its listener from one thread to another as it starts, and
	 * may accept a connection twice: the second shall not wait for ever. */
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);

	/* An address of the kernel's choice, in no folder (unix(7)). */
	if (fd < 0 ||
	    bind(fd, (struct sockaddr *)&any, sizeof(sa_family_t)) != 0 ||
	    listen(fd, 4) != 0)
		return err_set(err, ERR_IO, "socket: %s", strerror(errno));
	*out = fd;
	return 0;
}

static int
connect_to(int listener)
{
	struct sockaddr_un at;
	socklen_t len = sizeof(at);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 ||
	    getsockname(listener, (struct sockaddr *)&at, &len) != 0 ||
	    connect(fd, (struct sockaddr *)&at, len) != 0)
		return -1;
	return fd;
}

static void
send_all(int fd, struct span in)
{
	while (in.len > 0) {
		ssize_t n = send(fd, in.ptr, in.len, MSG_NOSIGNAL);

		if (n <= 0)
			return;
		in.ptr += n;
		in.len -= (size_t)n;
	}
}

static void
say(const struct talk *t, json_t *answer, json_t *id)
{
	char *text;

	if (id != NULL)
		(void)json_object_set(answer, "id", id);
	text = json_dumps(answer, 0);
	send_all(t->libvirt, span_str(text));
	send_all(t->libvirt, span_str("\r\n"));
	free(text);
	json_decref(answer);
}

/* Where the secure processor has put it, the guest finds it. */
static void
to_memory(const struct pump *p)
{
	struct err err = { 0 };

	if (memory_put(p->pid, p->guest->address,
		secret_span(&p->guest->memory), &err) != 0)
		record("not-in-memory", json_pack("{s:s}", "why", err.msg));
	else
		record("in-memory",
		    json_pack(
			"{s:I}", "address", (json_int_t)p->guest->address));
}

/* Until the test has seen that we wait, and takes its file "fault" away. */
static void
wait_for_test(void)
{
	const struct timespec pause = { 0, 20000000 };
	const char *path = getenv("SEV_EMULATOR_FAULT_FILE");

	record("waiting", NULL);
	while (path != NULL && access(path, F_OK) == 0)
		(void)nanosleep(&pause, NULL);
}

/* What the secure processor says to a command; NULL: QEMU has a word, too. */
static json_t *
judge(struct pump *p, const char *name, const json_t *request)
{
	json_t *out;

	if (fault_is(name, "@die"))
		_exit(1);
	if (fault_is(name, "@wait"))
		wait_for_test();
	if (strcmp(name, "cont") == 0 && p->guest->handle != 0 &&
	    !p->guest->running) {
		if (psp_launch_finish(p->guest->psp, p->guest->handle) !=
		    PSP_SUCCESS)
			return sev_refusal("SEV: LAUNCH_FINISH failed");
		p->guest->running = true;
		record("running", NULL);
		return NULL;
	}
	out =
	    sev_command(p->guest, name, json_object_get(request, "arguments"));
	if (out != NULL && strcmp(name, "sev-inject-launch-secret") == 0 &&
	    json_object_get(out, "return") != NULL)
		to_memory(p);
	return out;
}

static void
ask(struct pump *p, struct talk *t, struct span line)
{
	json_t *o = json_loadb((const char *)line.ptr, line.len, 0, NULL);
	const char *name = json_string_value(json_object_get(o, "execute"));
	json_t *answer = name == NULL ? NULL : judge(p, name, o);

	if (answer == NULL)
		send_all(t->qemu, line);
	else
		say(t, answer, json_object_get(o, "id"));
	json_decref(o);
}

/* What has come, in whole lines; false: the connection is over. */
static bool
receive(struct buf *b, int fd)
{
	uint8_t *room = buf_reserve(b, READ_LEN, NULL);
	ssize_t n = room == NULL ? -1 : recv(fd, room, READ_LEN, 0);

	if (n <= 0)
		return false;
	buf_commit(b, (size_t)n);
	return true;
}

static size_t
line_len(const struct buf *b)
{
	struct span in = buf_span(b);
	const uint8_t *end = in.len == 0 ? NULL : memchr(in.ptr, '\n', in.len);

	return end == NULL ? 0 : (size_t)(end - in.ptr) + 1;
}

/* One connection; false: QEMU has ended. */
static bool
converse(struct pump *p, struct talk *t)
{
	struct pollfd set[] = { { t->libvirt, POLLIN, 0 },
		{ t->qemu, POLLIN, 0 }, { p->child, POLLIN, 0 } };
	size_t len;

	for (;;) {
		if (poll(set, 3, -1) < 0)
			continue;
		if (set[1].revents != 0 && !receive(&t->answered, t->qemu))
			return false;
		while ((len = line_len(&t->answered)) > 0) {
			send_all(t->libvirt,
			    span_of(buf_span(&t->answered).ptr, len));
			buf_consume(&t->answered, len);
		}
		if (set[2].revents != 0)
			return false;
		if (set[0].revents != 0 && !receive(&t->asked, t->libvirt))
			return true;
		while ((len = line_len(&t->asked)) > 0) {
			ask(p, t, span_of(buf_span(&t->asked).ptr, len));
			buf_consume(&t->asked, len);
		}
	}
}

void
pump_run(struct pump *p)
{
	struct pollfd set[] = { { p->listener, POLLIN, 0 },
		{ p->child, POLLIN, 0 } };
	bool lives = true;

	while (lives) {
		struct talk t;

		if (poll(set, 2, -1) < 0)
			continue;
		if (set[1].revents != 0)
			return;
		t.libvirt = accept(p->listener, NULL, NULL);
		t.qemu = connect_to(p->qmp);
		if (t.libvirt < 0 || t.qemu < 0)
			return;
		buf_init(&t.asked, LINE_MAX_LEN, false);
		buf_init(&t.answered, LINE_MAX_LEN, false);
		lives = converse(p, &t) && !p->once;
		buf_free(&t.asked);
		buf_free(&t.answered);
		(void)close(t.libvirt);
		(void)close(t.qemu);
	}
}
