#include "agent/api/api.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/file.h"
#include "agent/json.h"
#include "agent/vault/owner.h"
#include "common/http_head.h"

static const struct {
	enum err_code code;
	unsigned status;
} statuses[] = {
	{ ERR_MALFORMED, 400 },
	{ ERR_NOT_FOUND, 404 },
	{ ERR_CONFLICT, 409 },
	{ ERR_USAGE, 422 },
	{ ERR_LIMIT, 422 },
	{ ERR_UNTRUSTED, 422 },
	{ ERR_UNSUPPORTED, 422 },
	{ ERR_CLOSED, 503 },
};

void
api_answer_free(struct api_answer *a)
{
	buf_free(&a->body);
	*a = (struct api_answer){ 0 };
}

/* Takes ${v}. */
static void
say(struct api_answer *out, unsigned status, const char *type, json_t *v)
{
	size_t len = v != NULL ? json_dumpb(v, NULL, 0, JSON_COMPACT) : 0;
	uint8_t *room = NULL;

	if (len > 0)
		room = buf_reserve(&out->body, len, NULL);
	if (room != NULL) {
		(void)json_dumpb(
		    v, (char *)room, len, JSON_COMPACT | JSON_PRESERVE_ORDER);
		buf_commit(&out->body, len);
	}
	json_decref(v);
	out->status = room != NULL ? status : 500;
	out->content_type = type;
}

void
api_refuse(struct api_answer *out, unsigned status, const char *detail)
{
	json_t *words = json_string(detail);

	api_answer_free(out);
	buf_init(&out->body, OWNER_OUT_MAX + 1, true);
	if (words == NULL) /* a file's name need not be UTF-8 */
		words = json_string("the reason is not UTF-8");
	say(out, status, "application/problem+json",
	    json_pack("{s:s,s:s,s:i,s:o}", "type", "about:blank", "title",
		http_reason(status), "status", (int)status, "detail", words));
}

static void
refuse_err(struct api_answer *out, const struct err *err)
{
	unsigned status = 500;
	size_t i;

	for (i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++)
		if (statuses[i].code == err->code)
			status = statuses[i].status;
	api_refuse(out, status, err->msg);
}

static void
refuse_method(struct api_answer *out, const char *allow)
{
	api_refuse(out, 405, "the path does not take this method");
	out->allow = allow;
}

/* A regular file by its whole path: nothing that blocks, and nothing that
 * depends on where the agent was started. */
static int
read_file(void *arg, struct secret *out, const char *path, size_t max,
    struct err *err)
{
	const struct api_request *in = arg;
	struct stat st;
	int rc = -1;
	int fd;

	if (!in->may_read_files)
		return err_set(err, ERR_UNSUPPORTED,
		    "files are read for the Unix socket only");
	if (path[0] != '/')
		return err_set(
		    err, ERR_USAGE, "%.100s: want an absolute path", path);
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (fd < 0 || fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))
		(void)err_set(
		    err, ERR_USAGE, "%.100s: no file to be read", path);
	else
		rc = file_read_fd(out, fd, max, err);
	if (fd >= 0)
		(void)close(fd);
	return rc;
}

static void
ask(struct api_answer *out, unsigned status, api_ask_fn *fn, void *arg,
    unsigned op, struct span in)
{
	struct err err = { 0 };

	if (fn(arg, op, in, &out->body, &err) != 0) {
		refuse_err(out, &err);
		return;
	}
	out->status = status;
	out->content_type = "application/json";
}

static bool
is_json(struct span type)
{
	static const char want[] = "application/json";
	size_t len = sizeof(want) - 1;

	if (type.ptr == NULL)
		return true;
	return type.len >= len &&
	    strncasecmp((const char *)type.ptr, want, len) == 0 &&
	    (type.len == len || type.ptr[len] == ';' || type.ptr[len] == ' ');
}

static int
read_plan(struct register_plan *p, const struct api_request *in,
    struct span uuid, struct err *err)
{
	char text[UUID_TEXT_LEN + 1];
	struct uuid vm;

	if (register_json(p, in->body, err) != 0)
		return -1;
	/* The path says which one; a body that says another is a mistake. */
	memcpy(text, uuid.ptr, UUID_TEXT_LEN);
	text[UUID_TEXT_LEN] = '\0';
	if (uuid_parse(&vm, uuid, err) != 0)
		return -1;
	if (p->has_vm && !uuid_equal(&vm, &p->r->vm))
		return err_set(err, ERR_USAGE,
		    "the path names another VM than \"vm\" in the body");
	if (p->r->name[0] == '\0')
		return register_option(p, "name", text, err);
	return register_option(p, "uuid", text, err);
}

/* What the owner is told besides: warnings and notes. */
static void
add_notes(struct api_answer *out, const struct register_plan *p)
{
	struct span text = buf_span(&out->body);
	json_t *vm = NULL;
	json_t *notes;
	size_t i;

	if (json_read(&vm, text, OWNER_OUT_MAX, NULL) != 0)
		return;
	notes = json_array();
	for (i = 0; i < p->note_count; i++)
		(void)json_array_append_new(notes, json_string(p->note[i]));
	(void)json_object_set_new(vm, "notes", notes);
	buf_consume(&out->body, buf_len(&out->body));
	say(out, out->status, out->content_type, vm);
}

static void
do_register(struct api_answer *out, const struct api_request *in,
    struct span uuid, api_ask_fn *fn, void *arg)
{
	static const uint8_t no_key[UUID_KEY_LEN];
	struct register_plan *p = calloc(1, sizeof(*p));
	struct registration *r = NULL;
	struct secret bytes = { 0 };
	struct api_request files = *in;
	struct err err = { 0 };

	if (p == NULL || register_init(p, read_file, &files, &err) != 0) {
		free(p);
		api_refuse(out, 500, "no memory");
		return;
	}
	if (read_plan(p, in, uuid, &err) != 0 ||
	    register_finish(&r, p, no_key, &err) != 0 ||
	    registration_encode(&bytes, r, &err) != 0) {
		refuse_err(out, &err);
	} else {
		ask(out, 201, fn, arg, OWNER_REGISTER, secret_span(&bytes));
		if (out->status == 201)
			add_notes(out, p);
	}
	secret_free(&bytes);
	registration_free(r);
	register_free(p);
	free(p);
}

static void
handle_vm(struct api_answer *out, const struct api_request *in,
    struct span uuid, api_ask_fn *fn, void *arg)
{
	if (span_is(in->method, "GET"))
		ask(out, 200, fn, arg, OWNER_SHOW, uuid);
	else if (span_is(in->method, "DELETE"))
		ask(out, 200, fn, arg, OWNER_REMOVE, uuid);
	else if (!span_is(in->method, "POST"))
		refuse_method(out, "GET, POST, DELETE");
	else if (!is_json(in->content_type))
		api_refuse(out, 415, "want application/json");
	else
		do_register(out, in, uuid, fn, arg);
}

static void
get(struct api_answer *out, const struct api_request *in, unsigned op,
    api_ask_fn *fn, void *arg)
{
	if (span_is(in->method, "GET"))
		ask(out, 200, fn, arg, op, (struct span){ 0 });
	else
		refuse_method(out, "GET");
}

void
api_handle(struct api_answer *out, const struct api_request *in, api_ask_fn *fn,
    void *arg)
{
	struct reader r = reader_of(in->path);
	struct uuid vm;
	struct span uuid;

	*out = (struct api_answer){ 0 };
	buf_init(&out->body, OWNER_OUT_MAX + 1, true);
	if (in->has_query) {
		api_refuse(out, 400, "there are no queries here");
		return;
	}
	if (span_is(in->path, "/vm")) {
		get(out, in, OWNER_LIST, fn, arg);
		return;
	}
	if (span_is(in->path, "/status")) {
		get(out, in, OWNER_STATUS, fn, arg);
		return;
	}
	if (!span_is(reader_take(&r, 4), "/vm/")) {
		api_refuse(out, 404, "there is nothing at this path");
		return;
	}
	uuid = reader_take(&r, UUID_TEXT_LEN);
	if (!reader_done(&r) || uuid_parse(&vm, uuid, NULL) != 0)
		api_refuse(out, 404, "want /vm/{uuid}");
	else
		handle_vm(out, in, uuid, fn, arg);
}
