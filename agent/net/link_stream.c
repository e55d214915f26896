#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/json.h"
#include "agent/net/link_impl.h"

#define HEADERS_MAX 512

void
link_stream_free(struct link_stream *s)
{
	if (s == NULL)
		return;
	buf_free(&s->body);
	free(s->text);
	free(s);
}

static void
read_head(struct service_request *out, const struct frame_request *request)
{
	*out = (struct service_request){ .method = request->method,
		.path = request->path };
	(void)frame_find_header(
	    request->headers, "content-type", &out->content_type);
	(void)frame_find_header(
	    request->headers, "idempotency-key", &out->idempotency_key);
	(void)frame_find_header(
	    request->headers, "request-id", &out->request_id);
	(void)frame_find_header(
	    request->headers, "host-identity", &out->host_identity);
}

static void
post(struct link *l, uint32_t stream, const struct service_request *in)
{
	struct worker_job *job = worker_job_new(in);

	if (job == NULL) {
		tunnel_reset(
		    l->tunnel, stream, FRAME_RESET_INTERNAL, "no memory");
		return;
	}
	job->source = l->config->slot;
	job->link = l->id;
	job->stream = stream;
	if (worker_post(l->config->worker, job) != 0)
		tunnel_reset(l->tunnel, stream, FRAME_RESET_REFUSED,
		    "too many requests at once");
}

/* The head must live until the body is there: keep it as a copied job. */
static struct link_stream *
begin(const struct frame_request *request)
{
	struct link_stream *s = calloc(1, sizeof(*s));
	struct service_request in;
	struct worker_job *copy;

	if (s == NULL)
		return NULL;
	read_head(&in, request);
	copy = worker_job_new(&in);
	if (copy == NULL) {
		free(s);
		return NULL;
	}
	s->head = copy->in;
	s->text = (char *)copy->bytes;
	copy->bytes = NULL;
	worker_job_free(copy);
	buf_init(&s->body, JSON_BODY_MAX, false);
	return s;
}

void
link_on_request(
    void *arg, uint32_t stream, const struct frame_request *request, bool end)
{
	struct service_request in;
	struct link_stream *s;
	struct link *l = arg;

	if (request->body_length > JSON_BODY_MAX) {
		tunnel_reset(
		    l->tunnel, stream, FRAME_RESET_TOO_LARGE, "body too large");
		return;
	}
	if (end) {
		read_head(&in, request);
		in.body = request->body;
		post(l, stream, &in);
		tunnel_consumed(l->tunnel, stream, request->body.len);
		return;
	}
	s = begin(request);
	if (s == NULL || buf_append(&s->body, request->body, NULL) != 0) {
		link_stream_free(s);
		tunnel_reset(
		    l->tunnel, stream, FRAME_RESET_INTERNAL, "no memory");
		return;
	}
	tunnel_set_user(l->tunnel, stream, s);
	tunnel_consumed(l->tunnel, stream, request->body.len);
}

void
link_on_data(
    void *arg, uint32_t stream, void *user, struct span bytes, bool end)
{
	struct link_stream *s = user;
	struct link *l = arg;

	if (s == NULL || s->answering)
		return;
	if (buf_append(&s->body, bytes, NULL) != 0) {
		tunnel_set_user(l->tunnel, stream, NULL);
		link_stream_free(s);
		tunnel_reset(
		    l->tunnel, stream, FRAME_RESET_TOO_LARGE, "body too large");
		return;
	}
	tunnel_consumed(l->tunnel, stream, bytes.len);
	if (!end)
		return;
	s->head.body = buf_span(&s->body);
	post(l, stream, &s->head);
	tunnel_set_user(l->tunnel, stream, NULL);
	link_stream_free(s);
}

/* The host went away: what the vault has goes on, and is stored for its repeat
 * (docs/protocol.md 12.4); only the answer has nowhere to go. */
void
link_on_reset(
    void *arg, uint32_t stream, void *user, uint32_t code, struct span text)
{
	struct link *l = arg;

	(void)text;
	log_debug(&l->subject, "stream %u reset, code %u", stream, code);
	/* At the end of the process the worker goes before its links do. */
	if (l->config->worker != NULL)
		worker_cancel(l->config->worker, l->id, stream);
	link_stream_free(user);
}

void
link_on_writable(void *arg, uint32_t stream, void *user)
{
	struct link_stream *s = user;
	struct link *l = arg;
	struct span all;

	if (s == NULL || !s->answering)
		return;
	all = buf_span(&s->body);
	s->sent += tunnel_send(
	    l->tunnel, stream, span_of(all.ptr + s->sent, all.len - s->sent));
	if (s->sent < all.len)
		return;
	tunnel_set_user(l->tunnel, stream, NULL);
	link_stream_free(s);
}

static void
put_headers(struct writer *w, const struct service_answer *a)
{
	char number[16];

	frame_put_header(
	    w, span_str("content-type"), span_str(a->content_type));
	if (a->location[0] != '\0')
		frame_put_header(
		    w, span_str("location"), span_str(a->location));
	if (a->retry_after_s != 0) {
		(void)snprintf(number, sizeof(number), "%u", a->retry_after_s);
		frame_put_header(w, span_str("retry-after"), span_str(number));
	}
}

static void
send_answer(struct link *l, uint32_t stream, const struct service_answer *a)
{
	uint8_t headers[HEADERS_MAX];
	struct writer w = writer_of(headers, sizeof(headers));
	struct span body = buf_span(&a->body);
	struct frame_response response = { .status = (uint16_t)a->status };
	struct link_stream *s;
	struct err err = { 0 };
	size_t taken = 0;

	put_headers(&w, a);
	response.headers = writer_span(&w);
	response.body_length = (uint32_t)body.len;
	response.body = body;
	if (tunnel_respond(l->tunnel, stream, &response, &taken, &err) != 0) {
		if (err.code != ERR_NOT_FOUND)
			log_warn(&l->subject, "stream %u: %s", stream, err.msg);
		return;
	}
	if (taken >= body.len)
		return;
	s = calloc(1, sizeof(*s));
	if (s != NULL) {
		buf_init(&s->body, JSON_BODY_MAX, false);
		s->answering = true;
		if (buf_append(&s->body,
			span_of(body.ptr + taken, body.len - taken),
			NULL) == 0) {
			tunnel_set_user(l->tunnel, stream, s);
			return;
		}
	}
	link_stream_free(s);
	tunnel_reset(l->tunnel, stream, FRAME_RESET_INTERNAL, "no memory");
}

void
link_answer(struct link *l, const struct worker_job *job)
{
	if (l->tunnel == NULL)
		return;
	if (job->extend_ms != 0) {
		tunnel_pending(l->tunnel, job->stream, FRAME_REASON_APPROVAL,
		    job->extend_ms);
		return;
	}
	switch (job->out.kind) {
	case SERVICE_ANSWER:
		send_answer(l, job->stream, &job->out);
		break;
	case SERVICE_NOT_MINE:
		tunnel_reset(l->tunnel, job->stream, FRAME_RESET_NOT_MINE,
		    "not registered here");
		break;
	case SERVICE_BROKEN:
		tunnel_reset(
		    l->tunnel, job->stream, FRAME_RESET_INTERNAL, "internal");
		break;
	}
}
