#include "relay/parcel.h"

#include "common/problem.h"
#include "relay/inherit.h"
#include "relay/job.h"

static void
put_short(struct writer *w, struct span bytes)
{
	writer_be16(w, (uint16_t)bytes.len);
	writer_put(w, bytes);
}

static void
put_long(struct writer *w, struct span bytes)
{
	writer_be32(w, (uint32_t)bytes.len);
	writer_put(w, bytes);
}

static void
put_name(struct writer *w, const struct parcel *p)
{
	writer_be32(w, p->slot);
	writer_be64(w, p->generation);
}

void
parcel_put(struct writer *w, const struct parcel *p)
{
	writer_u8(w, (uint8_t)p->kind);
	switch (p->kind) {
	case PARCEL_HELLO:
		writer_be32(w, p->version);
		break;
	case PARCEL_OFFER:
		writer_put(w, p->ticket_keys);
		writer_be64(w, p->session);
		writer_put(w, p->kinds);
		break;
	case PARCEL_GO:
	case PARCEL_HANDED:
		break;
	case PARCEL_JOB:
		put_name(w, p);
		writer_be32(w, p->due_ms);
		writer_u8(w, p->post ? 1 : 0);
		writer_put(w, span_of(p->source.addr, sizeof(p->source.addr)));
		put_short(w, p->path);
		put_short(w, p->headers);
		put_long(w, p->body);
		break;
	case PARCEL_CANCEL:
		put_name(w, p);
		break;
	case PARCEL_ANSWER:
		put_name(w, p);
		writer_be16(w, p->problem);
		writer_be16(w, p->status);
		put_short(w, p->headers);
		put_long(w, p->body);
		break;
	case PARCEL_CHANGED:
		writer_u8(w, (uint8_t)p->change);
		break;
	}
}

static void
take_name(struct reader *r, struct parcel *out)
{
	out->slot = reader_be32(r);
	out->generation = reader_be64(r);
}

static void
take_offer(struct reader *r, struct parcel *out)
{
	out->ticket_keys = reader_take(r, TLS_TICKET_KEYS_LEN);
	out->session = reader_be64(r);
	out->kinds = reader_take(r, r->rest.len);
}

static void
take_job(struct reader *r, struct parcel *out)
{
	take_name(r, out);
	out->due_ms = reader_be32(r);
	out->post = reader_u8(r) != 0;
	reader_copy(r, out->source.addr, sizeof(out->source.addr));
	out->path = reader_take(r, reader_be16(r));
	out->headers = reader_take(r, reader_be16(r));
	out->body = reader_take(r, reader_be32(r));
}

static void
take_answer(struct reader *r, struct parcel *out)
{
	take_name(r, out);
	out->problem = reader_be16(r);
	out->status = reader_be16(r);
	out->headers = reader_take(r, reader_be16(r));
	out->body = reader_take(r, reader_be32(r));
}

static int
check(const struct parcel *p, struct err *err)
{
	size_t headers_max =
	    p->kind == PARCEL_JOB ? JOB_HEADERS_MAX : PARCEL_ANSWER_HEADERS_MAX;

	if (p->kinds.len > INHERIT_MAX)
		return err_set(err, ERR_MALFORMED,
		    "an offer of %zu sockets, at most %d", p->kinds.len,
		    INHERIT_MAX);
	for (size_t i = 0; i < p->kinds.len; i++)
		if (p->kinds.ptr[i] >= INHERIT_KINDS)
			return err_set(err, ERR_MALFORMED,
			    "an offer of a socket of kind %u", p->kinds.ptr[i]);
	if (p->path.len > FRAME_PATH_MAX || p->headers.len > headers_max ||
	    p->body.len > JOB_BODY_MAX)
		return err_set(err, ERR_MALFORMED,
		    "path of %zu, headers of %zu, body of %zu bytes: over a "
		    "limit",
		    p->path.len, p->headers.len, p->body.len);
	if (p->kind == PARCEL_ANSWER && p->problem != PARCEL_ANSWERED &&
	    p->problem >= PROBLEM_COUNT)
		return err_set(
		    err, ERR_MALFORMED, "problem %u is none", p->problem);
	if (p->kind == PARCEL_CHANGED && p->change != PARCEL_REGISTRY &&
	    p->change != PARCEL_SETUP)
		return err_set(err, ERR_MALFORMED, "change %u is none",
		    (unsigned)p->change);
	return 0;
}

int
parcel_parse(struct parcel *out, struct span in, struct err *err)
{
	struct reader r = reader_of(in);

	*out = (struct parcel){ 0 };
	out->kind = (enum parcel_kind)reader_u8(&r);
	switch (out->kind) {
	case PARCEL_HELLO:
		out->version = reader_be32(&r);
		break;
	case PARCEL_OFFER:
		take_offer(&r, out);
		break;
	case PARCEL_GO:
	case PARCEL_HANDED:
		break;
	case PARCEL_JOB:
		take_job(&r, out);
		break;
	case PARCEL_CANCEL:
		take_name(&r, out);
		break;
	case PARCEL_ANSWER:
		take_answer(&r, out);
		break;
	case PARCEL_CHANGED:
		out->change = (enum parcel_change)reader_u8(&r);
		break;
	default:
		return err_set(err, ERR_MALFORMED, "parcel of kind %u",
		    (unsigned)out->kind);
	}
	if (!reader_done(&r))
		return err_set(err, ERR_MALFORMED,
		    "parcel of kind %u in %zu bytes: not a whole one",
		    (unsigned)out->kind, in.len);
	return check(out, err);
}
