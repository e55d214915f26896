#include "launch/qmp.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/buf.h"
#include "common/json_strict.h"
#include "launch/json.h"
#include "launch/wait.h"

#define READ_LEN 8192

struct qmp {
	int fd;
	uint64_t last_id;
	struct buf in;
};

static int
take_error(struct qmp_message *out, struct err *err)
{
	const json_t *error = json_object_get(out->object, "error");
	const char *desc = json_string_value(json_object_get(error, "desc"));

	if (desc == NULL)
		return err_set(
		    err, ERR_MALFORMED, "QMP: error without a description");
	out->kind = QMP_ERROR;
	(void)snprintf(out->words, sizeof(out->words), "%s", desc);
	return 0;
}

static int
take_event(struct qmp_message *out, struct err *err)
{
	const char *name =
	    json_string_value(json_object_get(out->object, "event"));

	if (name == NULL)
		return err_set(err, ERR_MALFORMED, "QMP: event without a name");
	out->kind = QMP_EVENT;
	(void)snprintf(out->words, sizeof(out->words), "%s", name);
	return 0;
}

/* Exactly one of these members says what a line is. */
static int
take_kind(struct qmp_message *out, struct err *err)
{
	static const struct {
		const char *member;
		enum qmp_kind kind;
	} kinds[] = {
		{ "QMP", QMP_GREETING },
		{ "return", QMP_RETURN },
		{ "error", QMP_ERROR },
		{ "event", QMP_EVENT },
	};
	const char *is = NULL;

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		json_t *v = json_object_get(out->object, kinds[i].member);

		if (v == NULL)
			continue;
		if (is != NULL)
			return err_set(err, ERR_MALFORMED,
			    "QMP: both %s and %s", is, kinds[i].member);
		is = kinds[i].member;
		out->kind = kinds[i].kind;
		out->value = v;
	}
	if (is == NULL)
		return err_set(err, ERR_MALFORMED,
		    "QMP: neither greeting, answer nor event");
	if (out->kind == QMP_ERROR)
		return take_error(out, err);
	if (out->kind == QMP_EVENT)
		return take_event(out, err);
	return 0;
}

int
qmp_decode(struct qmp_message *out, struct span line, struct err *err)
{
	const json_t *id;

	memset(out, 0, sizeof(*out));
	if (json_strict_deep(&out->object, line, QMP_DEPTH_MAX, err) != 0)
		return err_wrap(err, "QMP");
	if (take_kind(out, err) != 0)
		goto fail;
	id = json_object_get(out->object, "id");
	if (id != NULL) {
		/* We send integers, so no other can come back. */
		if (!json_is_integer(id) || json_integer_value(id) < 0) {
			err_set(err, ERR_MALFORMED, "QMP: id is not ours");
			goto fail;
		}
		out->has_id = true;
		out->id = (uint64_t)json_integer_value(id);
	}
	return 0;
fail:
	qmp_message_free(out);
	return -1;
}

void
qmp_message_free(struct qmp_message *m)
{
	json_decref(m->object);
	m->object = m->value = NULL;
}

/* Wait until ${fd} is ready; the time is up: ERR_IO. */
static int
await(struct qmp *q, short events, int64_t deadline_ms, struct err *err)
{
	struct pollfd p = { .fd = q->fd, .events = events };

	for (;;) {
		int64_t left = deadline_ms - wait_now_ms();
		int n;

		/* First of all: events without end are no answer, either. */
		if (left <= 0)
			return err_set(err, ERR_IO, "QMP: no answer in time");
		n = poll(&p, 1, (int)left);
		if (n > 0)
			return 0;
		if (n == 0)
			continue;
		if (errno != EINTR)
			return err_set(err, ERR_IO, "QMP: %s", strerror(errno));
	}
}

static int
receive(struct qmp *q, int64_t deadline_ms, struct err *err)
{
	uint8_t *room;
	ssize_t n;

	if (await(q, POLLIN, deadline_ms, err) != 0)
		return -1;
	room = buf_reserve(&q->in, READ_LEN, err);
	if (room == NULL)
		return -1;
	n = recv(q->fd, room, READ_LEN, MSG_DONTWAIT);
	if (n > 0) {
		buf_commit(&q->in, (size_t)n);
		return 0;
	}
	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return 0;
	return err_set(err, ERR_CLOSED, "QMP: QEMU has closed the connection");
}

/* The next line, decoded; its bytes are consumed. */
static int
next(struct qmp_message *out, struct qmp *q, int64_t deadline_ms,
    struct err *err)
{
	for (;;) {
		struct span in = buf_span(&q->in);
		const uint8_t *end =
		    in.len == 0 ? NULL : memchr(in.ptr, '\n', in.len);
		size_t len;
		int rc;

		if (end == NULL) {
			if (in.len > QMP_LINE_MAX)
				return err_set(err, ERR_LIMIT,
				    "QMP: line of over %d bytes", QMP_LINE_MAX);
			if (receive(q, deadline_ms, err) != 0)
				return -1;
			continue;
		}
		len = (size_t)(end - in.ptr);
		rc = qmp_decode(out, span_of(in.ptr, len), err);
		buf_consume(&q->in, len + 1);
		return rc;
	}
}

static int
put(struct qmp *q, struct span data, int64_t deadline_ms, struct err *err)
{
	while (data.len > 0) {
		ssize_t n;

		if (await(q, POLLOUT, deadline_ms, err) != 0)
			return -1;
		n = send(
		    q->fd, data.ptr, data.len, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (n < 0 && (errno == EINTR || errno == EAGAIN))
			continue;
		if (n < 0)
			return err_set(err, ERR_CLOSED,
			    "QMP: QEMU has closed the connection");
		data.ptr += n;
		data.len -= (size_t)n;
	}
	return 0;
}

static int
greeted(struct qmp *q, int timeout_ms, struct err *err)
{
	struct qmp_message m;
	json_t *none = NULL;
	char words[160];
	enum qmp_kind kind;

	if (next(&m, q, wait_now_ms() + timeout_ms, err) != 0)
		return -1;
	kind = m.kind;
	qmp_message_free(&m);
	if (kind != QMP_GREETING)
		return err_set(err, ERR_MALFORMED, "QMP: no greeting");
	if (qmp_call(&none, words, q, "qmp_capabilities", NULL, timeout_ms,
		err) != 0)
		return -1;
	json_decref(none);
	return 0;
}

int
qmp_open(struct qmp **out, int fd, int timeout_ms, struct err *err)
{
	struct qmp *q = calloc(1, sizeof(*q));

	if (q == NULL) {
		(void)close(fd);
		return err_set(err, ERR_MEMORY, "no memory for QMP");
	}
	q->fd = fd;
	buf_init(&q->in, QMP_LINE_MAX + READ_LEN, true);
	if (greeted(q, timeout_ms, err) != 0) {
		qmp_free(q);
		return -1;
	}
	*out = q;
	return 0;
}

void
qmp_free(struct qmp *q)
{
	if (q == NULL)
		return;
	(void)close(q->fd);
	buf_free(&q->in);
	free(q);
}

static int
ask(struct qmp *q, const char *command, json_t *arguments, int64_t deadline_ms,
    struct err *err)
{
	struct secret text = { 0 }, line = { 0 };
	json_t *o = json_pack("{s:s, s:o*, s:I}", "execute", command,
	    "arguments", arguments, "id", (json_int_t)++q->last_id);
	int rc = -1;

	if (o == NULL) {
		err_set(err, ERR_MEMORY, "no memory for %s", command);
		goto out;
	}
	if (json_write(&text, o, err) != 0 ||
	    secret_alloc(&line, text.len + 1, err) != 0)
		goto out;
	memcpy(line.ptr, text.ptr, text.len);
	line.ptr[text.len] = '\n';
	rc = put(q, secret_span(&line), deadline_ms, err);
out:
	json_decref(o);
	secret_free(&text);
	secret_free(&line);
	return rc;
}

/* The answer to the last command; what else comes is an event or a breach. */
static int
answer(struct qmp_message *out, struct qmp *q, int64_t deadline_ms,
    struct err *err)
{
	for (;;) {
		if (next(out, q, deadline_ms, err) != 0)
			return -1;
		if (out->kind == QMP_EVENT) {
			qmp_message_free(out);
			continue;
		}
		if (out->kind != QMP_GREETING && out->has_id &&
		    out->id == q->last_id)
			return 0;
		qmp_message_free(out);
		return err_set(
		    err, ERR_MALFORMED, "QMP: answer to another command");
	}
}

int
qmp_call(json_t **out, char words[160], struct qmp *q, const char *command,
    json_t *arguments, int timeout_ms, struct err *err)
{
	int64_t deadline_ms = wait_now_ms() + timeout_ms;
	struct qmp_message m = { 0 };

	words[0] = '\0';
	if (ask(q, command, arguments, deadline_ms, err) != 0 ||
	    answer(&m, q, deadline_ms, err) != 0)
		return err_wrap(err, "%s", command);
	if (m.kind == QMP_ERROR) {
		(void)snprintf(words, 160, "%s", m.words);
		qmp_message_free(&m);
		return err_set(
		    err, ERR_UNSUPPORTED, "QEMU: %s: %s", command, words);
	}
	*out = json_incref(m.value);
	qmp_message_free(&m);
	return 0;
}
