#include "tests/bench/driver/host.h"

#include "tests/bench/driver/talk.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct host {
	const struct host_target *target;
	struct loop *loop;
	struct wire *wire; /* NULL: not connected */
	bool open;
	bool asking;
	uint32_t vm;
	unsigned status;
	struct loop_task fail; /* a connection that could not begin */
	host_done_fn *done;
	void *arg;
};

static void
send_request(struct host *h)
{
	const struct host_target *t = h->target;
	struct uuid vm = talk_vm(h->vm);
	char uuid[UUID_TEXT_LEN + 1], head[512];
	int n;

	n = snprintf(head, sizeof(head),
	    "POST %s/vm/%s/%s HTTP/1.1\r\nHost: localhost\r\n"
	    "Content-Type: application/json\r\nAuthorization: Bearer %s\r\n"
	    "Content-Length: %d\r\n\r\n",
	    t->base, uuid_format(uuid, &vm), t->action, t->token,
	    TALK_REQUEST_LEN);
	wire_write(h->wire, span_of(head, (size_t)n));
	wire_write(h->wire, talk_request_body());
}

static void
finish(struct host *h, enum host_result result)
{
	h->asking = false;
	if (h->target->fresh || result == HOST_LOST) {
		wire_close(h->wire);
		h->wire = NULL;
		h->open = false;
	}
	h->done(h->arg, h, result);
}

static void
on_open(void *arg)
{
	struct host *h = arg;

	h->open = true;
	if (h->asking)
		send_request(h);
}

/* The number behind a field's name; 0 without it. */
static size_t
content_length(struct span head)
{
	static const char name[] = "\ncontent-length:";
	size_t len = sizeof(name) - 1;

	for (size_t i = 0; i + len < head.len; i++)
		if (head.ptr[i] == '\n' &&
		    strncasecmp((const char *)head.ptr + i, name, len) == 0)
			return strtoul(
			    (const char *)head.ptr + i + len, NULL, 10);
	return 0;
}

static size_t
on_data(void *arg, const uint8_t *ptr, size_t len)
{
	struct host *h = arg;
	const uint8_t *end = memmem(ptr, len, "\r\n\r\n", 4);
	struct uuid vm = talk_vm(h->vm);
	enum host_result result = HOST_OK;
	size_t head_len, body_len;

	if (end == NULL || len < 12)
		return 0;
	head_len = (size_t)(end - ptr) + 4;
	body_len = content_length(span_of(ptr, head_len));
	if (len < head_len + body_len)
		return 0;
	h->status = (unsigned)strtoul((const char *)ptr + 9, NULL, 10);
	if (!h->asking || len > head_len + body_len)
		result = HOST_WRONG;
	else if (h->status != 200)
		result = HOST_REFUSED;
	else if (!talk_is_answer(span_of(ptr + head_len, body_len), &vm))
		result = HOST_WRONG;
	finish(h, result);
	return len;
}

static void
on_gone(void *arg, const char *why)
{
	struct host *h = arg;

	(void)why;
	h->wire = NULL;
	h->open = false;
	if (h->asking)
		finish(h, HOST_LOST);
}

static const struct wire_ops host_wire = {
	.open = on_open,
	.data = on_data,
	.gone = on_gone,
};

static void
on_fail(void *arg)
{
	finish(arg, HOST_LOST);
}

struct host *
host_new(const struct host_target *target, struct loop *loop,
    host_done_fn *done, void *arg)
{
	struct host *h = calloc(1, sizeof(*h));

	if (h == NULL)
		return NULL;
	h->target = target;
	h->loop = loop;
	h->done = done;
	h->arg = arg;
	loop_task_init(&h->fail, on_fail, h);
	return h;
}

void
host_post(struct host *h, uint32_t vm)
{
	h->vm = vm;
	h->asking = true;
	if (h->open) {
		send_request(h);
		return;
	}
	if (wire_dial(&h->wire, h->loop, h->target->ctx, &h->target->to,
		&host_wire, h, NULL) != 0)
		loop_soon(h->loop, &h->fail);
}

uint32_t
host_vm(const struct host *h)
{
	return h->vm;
}

unsigned
host_status(const struct host *h)
{
	return h->status;
}

void
host_free(struct host *h)
{
	if (h == NULL)
		return;
	wire_close(h->wire);
	loop_task_cancel(&h->fail);
	free(h);
}
