#include <string.h>
#include <yaml.h>

#include "agent/json.h"
#include "agent/register/register_impl.h"
#include "common/conf_foreign.h"
#include "common/json_strict.h"

/*
 * YAML -> the same members as JSON.  Refused as in a configuration file:
 * anchors, aliases and tags (no alias bombs), duplicate keys, more than one
 * document, depth over JSON_STRICT_DEPTH_MAX.  A scalar is its text, so that 0x7 and
 * 1.50 arrive as they were written; but true, false and null mean themselves.
 */

#define NODES_MAX 4096

struct reading {
	yaml_parser_t parser;
	yaml_event_t event; /* the current one; owned */
	bool has_event;
	unsigned depth;
	size_t nodes;
	struct err *err;
};

static json_t *read_value(struct reading *r);

static void
complain(struct reading *r, const char *what)
{
	(void)err_set(r->err, ERR_MALFORMED, "%zu:%zu: %s",
	    r->event.start_mark.line + 1, r->event.start_mark.column + 1, what);
}

static void
drop_event(struct reading *r)
{
	if (r->has_event && r->event.type == YAML_SCALAR_EVENT)
		secret_wipe(
		    r->event.data.scalar.value, r->event.data.scalar.length);
	if (r->has_event)
		yaml_event_delete(&r->event);
	r->has_event = false;
}

/* The next event's type; YAML_NO_EVENT after a complaint. */
static yaml_event_type_t
next(struct reading *r)
{
	drop_event(r);
	if (yaml_parser_parse(&r->parser, &r->event) != 1) {
		(void)err_set(r->err, ERR_MALFORMED, "%zu:%zu: %s",
		    r->parser.problem_mark.line + 1,
		    r->parser.problem_mark.column + 1,
		    r->parser.problem != NULL ? r->parser.problem : "not YAML");
		return YAML_NO_EVENT;
	}
	r->has_event = true;
	if (conf_foreign(&r->event)) {
		complain(r, "anchors, aliases and tags are not read");
		return YAML_NO_EVENT;
	}
	if (++r->nodes > NODES_MAX) {
		complain(r, "too many values");
		return YAML_NO_EVENT;
	}
	return r->event.type;
}

static json_t *
read_scalar(struct reading *r)
{
	const char *text = (const char *)r->event.data.scalar.value;
	size_t len = r->event.data.scalar.length;
	json_t *v;

	if (r->event.data.scalar.style == YAML_PLAIN_SCALAR_STYLE) {
		if (strcmp(text, "true") == 0)
			return json_true();
		if (strcmp(text, "false") == 0)
			return json_false();
		if (len == 0 || strcmp(text, "null") == 0 ||
		    strcmp(text, "~") == 0)
			return json_null();
	}
	if (memchr(text, '\0', len) != NULL) {
		complain(r, "a NUL in a value");
		return NULL;
	}
	v = json_stringn(text, len);
	if (v == NULL)
		complain(r, "a value that is not UTF-8");
	return v;
}

static json_t *
read_list(struct reading *r)
{
	json_t *list = json_array();

	for (;;) {
		yaml_event_type_t type = next(r);
		json_t *v;

		if (type == YAML_SEQUENCE_END_EVENT)
			return list;
		v = type == YAML_NO_EVENT ? NULL : read_value(r);
		if (v == NULL || json_array_append_new(list, v) != 0) {
			json_decref(list);
			return NULL;
		}
	}
}

/* One key and its value; false after a complaint. */
static bool
read_member(struct reading *r, json_t *map)
{
	char name[64];
	json_t *v;

	if (r->event.type != YAML_SCALAR_EVENT ||
	    r->event.data.scalar.length >= sizeof(name) ||
	    strlen((const char *)r->event.data.scalar.value) !=
		r->event.data.scalar.length) {
		complain(r, "want a short name");
		return false;
	}
	memcpy(
	    name, r->event.data.scalar.value, r->event.data.scalar.length + 1);
	if (json_object_get(map, name) != NULL) {
		complain(r, "the name is there already");
		return false;
	}
	if (next(r) == YAML_NO_EVENT)
		return false;
	v = read_value(r);
	if (v == NULL)
		return false;
	if (json_object_set_new(map, name, v) == 0)
		return true;
	complain(r, "a name that is not UTF-8");
	return false;
}

static json_t *
read_map(struct reading *r)
{
	json_t *map = json_object();

	for (;;) {
		yaml_event_type_t type = next(r);

		if (type == YAML_MAPPING_END_EVENT)
			return map;
		if (type == YAML_NO_EVENT || !read_member(r, map)) {
			json_decref(map);
			return NULL;
		}
	}
}

/* The value whose first event is the current one; NULL after a complaint. */
static json_t *
read_value(struct reading *r)
{
	json_t *v = NULL;

	if (r->event.type == YAML_SCALAR_EVENT)
		return read_scalar(r);
	if (++r->depth > JSON_STRICT_DEPTH_MAX)
		complain(r, "too many levels");
	else if (r->event.type == YAML_SEQUENCE_START_EVENT)
		v = read_list(r);
	else if (r->event.type == YAML_MAPPING_START_EVENT)
		v = read_map(r);
	else
		complain(r, "want a value");
	r->depth--;
	return v;
}

static json_t *
read_document(struct reading *r)
{
	json_t *v;

	if (next(r) != YAML_STREAM_START_EVENT)
		return NULL;
	if (next(r) != YAML_DOCUMENT_START_EVENT) {
		if (r->has_event)
			complain(r, "empty");
		return NULL;
	}
	if (next(r) != YAML_MAPPING_START_EVENT) {
		if (r->has_event)
			complain(r, "want NAME: VALUE lines");
		return NULL;
	}
	v = read_value(r);
	if (v == NULL)
		return NULL;
	if (next(r) == YAML_DOCUMENT_END_EVENT &&
	    next(r) == YAML_STREAM_END_EVENT)
		return v;
	if (r->has_event)
		complain(r, "more than one document");
	json_decref(v);
	return NULL;
}

int
register_yaml(struct register_plan *p, struct span text, struct err *err)
{
	struct reading r = { .err = err };
	json_t *object;
	int rc = -1;

	if (text.len > REGISTER_JSON_MAX)
		return err_set(err, ERR_LIMIT, "YAML of %zu bytes, at most %d",
		    text.len, REGISTER_JSON_MAX);
	if (yaml_parser_initialize(&r.parser) != 1)
		return err_set(err, ERR_MEMORY, "no memory for YAML");
	yaml_parser_set_encoding(&r.parser, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&r.parser, text.ptr, text.len);
	object = read_document(&r);
	if (object != NULL)
		rc = register_members(p, object, err);
	json_decref(object);
	drop_event(&r);
	yaml_parser_delete(&r.parser);
	return rc;
}
