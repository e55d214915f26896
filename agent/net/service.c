#include "agent/net/service.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "agent/json.h"
#include "common/base64.h"

#define SERVICE_BODY_MAX JSON_BODY_MAX

enum verb { VERB_NONE, VERB_LAUNCH, VERB_VALIDATE };

/* Outcome -> problem of docs/protocol.md 9.  Several causes share one name on
 * purpose; what they were is in the owner's log (T16). */
static const enum problem problems[VAULT_OUTCOMES] = {
	[VAULT_REFUSED] = PROBLEM_REFUSED,
	[VAULT_MISMATCH] = PROBLEM_MEASUREMENT_MISMATCH,
	[VAULT_BLOB_REUSED] = PROBLEM_LAUNCH_BLOB_REUSED,
	[VAULT_CLOSED] = PROBLEM_SESSION_CLOSED,
	[VAULT_RATE_LIMITED] = PROBLEM_RATE_LIMITED,
	[VAULT_TOO_MANY_OPEN] = PROBLEM_TOO_MANY_OPEN_SESSIONS,
	[VAULT_IDEM_MISMATCH] = PROBLEM_IDEMPOTENCY_MISMATCH,
	[VAULT_NO_CEK] = PROBLEM_CEK_UNAVAILABLE,
	[VAULT_PENDING] = PROBLEM_APPROVAL_PENDING,
	[VAULT_IN_PROGRESS] = PROBLEM_IN_PROGRESS,
	[VAULT_STORAGE] = PROBLEM_AGENT_STORAGE,
};

static void
body_put(struct service_answer *a, const char *text)
{
	if (buf_append(&a->body, span_str(text), NULL) != 0)
		a->kind = SERVICE_BROKEN;
}

/* ,"name":"<base64>" - names are ours and base64 needs no escapes. */
static void
body_bytes(struct service_answer *a, const char *name, struct span in)
{
	size_t len = base64_len(in.len);
	uint8_t *room;

	body_put(a, "\"");
	body_put(a, name);
	body_put(a, "\":\"");
	room = buf_reserve(&a->body, len + 1, NULL);
	if (room == NULL) {
		a->kind = SERVICE_BROKEN;
		return;
	}
	(void)base64_encode((char *)room, len + 1, in);
	buf_commit(&a->body, len);
	body_put(a, "\"");
}

static void
say_problem(struct service_answer *out, enum problem p, struct span request_id,
    const char *pointer, uint32_t retry_after_s)
{
	const struct problem_type *t = problem_get(p);
	uint8_t *room;
	struct writer w;

	service_answer_free(out);
	buf_init(&out->body, SERVICE_BODY_MAX, false);
	out->kind = SERVICE_ANSWER;
	out->status = t->status;
	out->content_type = PROBLEM_MEDIA_TYPE;
	out->retry_after_s =
	    retry_after_s != 0 ? retry_after_s : t->retry_after_s;
	room = buf_reserve(&out->body, PROBLEM_BODY_MAX, NULL);
	if (room == NULL) {
		out->kind = SERVICE_BROKEN;
		return;
	}
	w = writer_of(room, PROBLEM_BODY_MAX);
	problem_write(&w, p, PROBLEM_OF_AGENT, request_id,
	    pointer != NULL ? span_str(pointer) : (struct span){ 0 });
	buf_commit(&out->body, writer_span(&w).len);
}

static void
say_outcome(struct service_answer *out, enum vault_outcome o,
    uint32_t retry_after_s, struct span request_id)
{
	if (o == VAULT_NOT_MINE)
		out->kind = SERVICE_NOT_MINE;
	else if (o == VAULT_INTERNAL || o >= VAULT_OUTCOMES)
		out->kind = SERVICE_BROKEN;
	else
		say_problem(out, problems[o], request_id, NULL, retry_after_s);
}

/* "/vm/{uuid}/launch" and "/vm/{uuid}/validate"; the relay let no other by. */
static enum verb
read_path(struct uuid *vm, struct span path)
{
	struct reader r = reader_of(path);

	if (!span_is(reader_take(&r, 4), "/vm/") ||
	    uuid_parse(vm, reader_take(&r, UUID_TEXT_LEN), NULL) != 0)
		return VERB_NONE;
	if (span_is(r.rest, "/launch"))
		return VERB_LAUNCH;
	if (span_is(r.rest, "/validate"))
		return VERB_VALIDATE;
	return VERB_NONE;
}

bool
service_is_path(struct span path)
{
	struct uuid vm;

	return read_path(&vm, path) != VERB_NONE;
}

/* Absent is taken as JSON; parameters are ignored (docs/protocol.md 3). */
static bool
is_json(struct span type)
{
	static const char want[] = "application/json";
	size_t len = sizeof(want) - 1;

	if (type.ptr == NULL || type.len == 0)
		return true;
	if (type.len < len ||
	    strncasecmp((const char *)type.ptr, want, len) != 0)
		return false;
	return type.len == len || type.ptr[len] == ';' ||
	    type.ptr[len] == ' ' || type.ptr[len] == '\t';
}

/* A quoted string of at most VAULT_ID_MAX printable characters (7). */
static bool
key_is_good(struct span key)
{
	size_t i;

	if (key.len < 3 || key.len > VAULT_ID_MAX + 2 || key.ptr[0] != '"' ||
	    key.ptr[key.len - 1] != '"')
		return false;
	for (i = 1; i + 1 < key.len; i++)
		if (key.ptr[i] < ' ' || key.ptr[i] > '~' || key.ptr[i] == '"' ||
		    key.ptr[i] == '\\')
			return false;
	return true;
}

static void
copy_text(char *out, size_t cap, struct span in)
{
	size_t len = in.len < cap ? in.len : cap - 1;

	if (len > 0)
		memcpy(out, in.ptr, len);
	out[len] = '\0';
}

static void
fill_asker(struct vault_asker *out, const struct service_request *in)
{
	copy_text(out->request_id, sizeof(out->request_id), in->request_id);
	/* Cut short it might be the name of another. */
	copy_text(out->identity, sizeof(out->identity),
	    in->host_identity.len < sizeof(out->identity) ? in->host_identity
							  : span_str("none"));
	if (out->request_id[0] == '\0')
		copy_text(
		    out->request_id, sizeof(out->request_id), span_str("-"));
	if (out->identity[0] == '\0')
		copy_text(
		    out->identity, sizeof(out->identity), span_str("none"));
}

static void
write_launch(struct service_answer *out, const struct vault_launch_answer *a)
{
	char id[UUID_TEXT_LEN + 1];
	char tail[192];

	buf_init(&out->body, SERVICE_BODY_MAX, false);
	out->status = 200;
	out->content_type = "application/json";
	(void)uuid_format(id, &a->session_id);
	/* Relative to .../vm/{uuid}/launch, for {base} is the relay's. */
	(void)snprintf(out->location, sizeof(out->location), "sessions/%s", id);
	body_put(out, "{");
	body_bytes(
	    out, "session", span_of(a->session.blob, sizeof(a->session.blob)));
	body_put(out, ",");
	body_bytes(out, "owner-cert",
	    span_of(a->session.godh_cert, sizeof(a->session.godh_cert)));
	(void)snprintf(tail, sizeof(tail),
	    ",\"policy\":%u,\"session-id\":\"%s\",\"expires-in\":%u,"
	    "\"kernel-hashes\":%s,\"scheme\":\"%s\"}",
	    a->policy, id, a->expires_in_s, a->kernel_hashes ? "true" : "false",
	    registration_scheme_name(a->scheme));
	body_put(out, tail);
}

static void
write_validate(
    struct service_answer *out, const struct vault_validate_answer *a)
{
	struct span table = span_of(a->payload, a->payload_len);
	char id[UUID_TEXT_LEN + 1];
	char tail[128];

	buf_init(&out->body, SERVICE_BODY_MAX, false);
	out->status = 200;
	out->content_type = "application/json";
	body_put(out, "{");
	if (a->inject) {
		body_bytes(out, "secret-header",
		    span_of(a->header, sizeof(a->header)));
		body_put(out, ",");
		body_bytes(out, "secret-table", table);
		body_put(out, ",");
		body_bytes(out, "secret-payload", table);
		body_put(out, ",");
	}
	if (a->has_address) {
		(void)snprintf(tail, sizeof(tail), "\"secret-address\":%llu,",
		    (unsigned long long)a->address);
		body_put(out, tail);
	}
	(void)snprintf(tail, sizeof(tail),
	    "\"session-id\":\"%s\",\"inject\":%s}",
	    uuid_format(id, &a->session_id), a->inject ? "true" : "false");
	body_put(out, tail);
}

static bool
ask_launch(struct door_message *question, struct service_answer *out,
    const struct service_request *in)
{
	struct vault_launch *message = &question->u.launch;
	char pointer[SERVICE_POINTER_LEN];
	enum problem p;

	p = service_read_launch(message, pointer, in->body);
	if (p == PROBLEM_COUNT && in->idempotency_key.ptr != NULL &&
	    !key_is_good(in->idempotency_key))
		p = PROBLEM_BAD_REQUEST;
	if (p != PROBLEM_COUNT) {
		say_problem(out, p, in->request_id,
		    p == PROBLEM_INVALID_FIELD ? pointer : NULL, 0);
		return false;
	}
	fill_asker(&message->asker, in);
	message->has_key = in->idempotency_key.ptr != NULL;
	if (message->has_key &&
	    (sev_hash_sha256(message->key, in->idempotency_key, NULL) != 0 ||
		sev_hash_sha256(message->body, in->body, NULL) != 0)) {
		service_broken(out);
		return false;
	}
	question->kind = DOOR_LAUNCH;
	return true;
}

static bool
ask_validate(struct door_message *question, struct service_answer *out,
    const struct service_request *in)
{
	struct vault_validate *message = &question->u.validate;
	char pointer[SERVICE_POINTER_LEN];
	enum problem p;

	p = service_read_validate(message, pointer, in->body);
	if (p != PROBLEM_COUNT) {
		say_problem(out, p, in->request_id,
		    p == PROBLEM_INVALID_FIELD ? pointer : NULL, 0);
		return false;
	}
	fill_asker(&message->asker, in);
	question->kind = DOOR_VALIDATE;
	return true;
}

bool
service_ask(struct door_message *question, struct service_answer *out,
    const struct service_request *in)
{
	struct uuid vm;
	enum verb verb = read_path(&vm, in->path);

	*out = (struct service_answer){ .kind = SERVICE_ANSWER };
	if (verb == VERB_NONE)
		say_problem(out, PROBLEM_NOT_FOUND, in->request_id, NULL, 0);
	else if (!span_is(in->method, "POST"))
		say_problem(out, PROBLEM_HTTP_405, in->request_id, NULL, 0);
	else if (!is_json(in->content_type))
		say_problem(out, PROBLEM_HTTP_415, in->request_id, NULL, 0);
	else if (verb == VERB_LAUNCH && ask_launch(question, out, in))
		question->u.launch.vm = vm;
	else if (verb == VERB_VALIDATE && ask_validate(question, out, in))
		question->u.validate.vm = vm;
	else
		return false;
	return out->status == 0;
}

void
service_tell(struct service_answer *out, const struct door_message *reply,
    struct span request_id)
{
	const struct vault_launch_answer *launch = &reply->u.launch_answer;
	const struct vault_validate_answer *validate =
	    &reply->u.validate_answer;

	*out = (struct service_answer){ .kind = SERVICE_ANSWER };
	if (reply->kind == DOOR_LAUNCH && launch->outcome == VAULT_OK)
		write_launch(out, launch);
	else if (reply->kind == DOOR_LAUNCH)
		say_outcome(
		    out, launch->outcome, launch->retry_after_s, request_id);
	else if (reply->kind == DOOR_VALIDATE && validate->outcome == VAULT_OK)
		write_validate(out, validate);
	else if (reply->kind == DOOR_VALIDATE)
		say_outcome(out, validate->outcome, validate->retry_after_s,
		    request_id);
	else
		service_broken(out);
}

void
service_handle(struct service_answer *out, struct vault *v,
    const struct service_request *in)
{
	struct door_message question;
	struct door_message reply;

	if (!service_ask(&question, out, in))
		return;
	reply.kind = question.kind;
	if (question.kind == DOOR_LAUNCH)
		vault_launch(&reply.u.launch_answer, v, &question.u.launch);
	else
		vault_validate(
		    &reply.u.validate_answer, v, &question.u.validate);
	service_tell(out, &reply, in->request_id);
}

void
service_broken(struct service_answer *out)
{
	service_answer_free(out);
	out->kind = SERVICE_BROKEN;
}

void
service_storage(struct service_answer *out, struct span request_id)
{
	say_problem(out, PROBLEM_AGENT_STORAGE, request_id, NULL, 0);
}

void
service_answer_free(struct service_answer *a)
{
	buf_free(&a->body);
	*a = (struct service_answer){ 0 };
}
