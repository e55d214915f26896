#include "tests/unit/agent/lab.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/json.h"
#include "common/base64.h"

static struct lab lab;
static char good_launch[20000];
static char good_validate[512];

static void
fill_launch(void)
{
	struct vault_launch m;
	char pdh[3000];
	char chain[9000];

	lab_message(&m, &lab);
	(void)snprintf(good_launch, sizeof(good_launch),
	    "{\"pdh\":\"%s\",\"cert-chain\":\"%s\"}",
	    base64_encode(pdh, sizeof(pdh), span_of(m.pdh, sizeof(m.pdh))),
	    base64_encode(chain, sizeof(chain), span_of(m.chain, m.chain_len)));
}

static void
fill_validate(const struct vault_validate *m)
{
	uint8_t blob[SEV_MEASURE_BLOB_LEN];
	char text[80];

	memcpy(blob, m->measure.mac, SEV_MEASURE_LEN);
	memcpy(blob + SEV_MEASURE_LEN, m->measure.nonce, SEV_NONCE_LEN);
	(void)snprintf(good_validate, sizeof(good_validate),
	    "{\"measurement\":\"%s\",\"api-major\":%u,\"api-minor\":%u,"
	    "\"build-id\":%u}",
	    base64_encode(text, sizeof(text), span_of(blob, sizeof(blob))),
	    m->build.api_major, m->build.api_minor, m->build.build_id);
}

static int
setup(void **state)
{
	(void)state;
	lab_open(&lab);
	lab_register(&lab, "web1", NULL);
	fill_launch();
	(void)snprintf(good_validate, sizeof(good_validate),
	    "{\"measurement\":\"%064d\",\"api-major\":1,\"api-minor\":55,"
	    "\"build-id\":21}",
	    0);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	lab_close(&lab);
	return 0;
}

/* One request in a batch of its own; every span in an exact buffer. */
static void
ask(struct service_answer *out, const char *path, const char *key,
    const char *type, struct span body)
{
	struct secret exact = { 0 };
	struct service_request in = {
		.method = span_str("POST"),
		.path = span_str(path),
		.request_id = span_str("req-77"),
		.host_identity = span_str("token:cn-17"),
	};
	struct err err = { 0 };

	assert_int_equal(secret_copy(&exact, body, &err), 0);
	in.body = secret_span(&exact);
	if (key != NULL)
		in.idempotency_key = span_str(key);
	if (type != NULL)
		in.content_type = span_str(type);
	assert_int_equal(vault_begin(lab.vault, &err), 0);
	service_handle(out, lab.vault, &in);
	assert_int_equal(vault_commit(lab.vault, &err), 0);
	secret_free(&exact);
}

static const char *
path_of(const char *verb)
{
	static char out[128];
	char uuid[UUID_TEXT_LEN + 1];

	(void)snprintf(
	    out, sizeof(out), "/vm/%s/%s", uuid_format(uuid, &lab.vm), verb);
	return out;
}

static json_t *
body_of(const struct service_answer *a)
{
	struct span text = buf_span(&a->body);
	json_t *v = json_loadb(
	    (const char *)text.ptr, text.len, JSON_REJECT_DUPLICATES, NULL);

	assert_non_null(v);
	return v;
}

static void
check_problem(const struct service_answer *a, unsigned status, const char *name,
    const char *pointer, const char *what)
{
	char type[128];
	json_t *v;

	if (a->kind != SERVICE_ANSWER || a->status != status)
		fail_msg("%s: kind %d status %u, want %u", what, (int)a->kind,
		    a->status, status);
	assert_string_equal(a->content_type, PROBLEM_MEDIA_TYPE);
	v = body_of(a);
	(void)snprintf(type, sizeof(type), "urn:attest-relay:problem:%s", name);
	if (strcmp(json_string_value(json_object_get(v, "type")), type) != 0)
		fail_msg("%s: type %s, want %s", what,
		    json_string_value(json_object_get(v, "type")), type);
	assert_int_equal(
	    json_integer_value(json_object_get(v, "status")), status);
	assert_string_equal(
	    json_string_value(json_object_get(v, "origin")), "agent");
	assert_string_equal(
	    json_string_value(json_object_get(v, "instance")), "req-77");
	if (pointer != NULL)
		assert_string_equal(
		    json_string_value(json_object_get(v, "pointer")), pointer);
	else
		assert_null(json_object_get(v, "pointer"));
	json_decref(v);
}

/* Ways to be wrong: a member put into a good request, or a whole body. */
struct bad {
	const char *name;
	const char *member; /* replaces, or is added; NULL: body is whole */
	const char *value;  /* JSON; NULL: the member is left out */
	unsigned status;
	const char *problem;
	const char *pointer;
};

static const struct bad bad_launch[] = {
	{ "empty", NULL, "", 400, "bad-request", NULL },
	{ "not an object", NULL, "[]", 400, "bad-request", NULL },
	{ "text", NULL, "\"x\"", 400, "bad-request", NULL },
	{ "open", NULL, "{", 400, "bad-request", NULL },
	{ "behind", NULL, "{} {}", 400, "bad-request", NULL },
	{ "BOM", NULL, "\xef\xbb\xbf{}", 400, "bad-request", NULL },
	{ "bad UTF-8", NULL, "{\"a\":\"\xc3\x28\"}", 400, "bad-request", NULL },
	{ "twice", NULL, "{\"pdh\":1,\"pdh\":2}", 400, "bad-request", NULL },
	{ "NaN", NULL, "{\"a\":NaN}", 400, "bad-request", NULL },
	{ "2^53+1", NULL, "{\"a\":9007199254740993}", 400, "bad-request",
	    NULL },
	{ "1e300", NULL, "{\"a\":1e300}", 400, "bad-request", NULL },
	{ "deep", NULL, "{\"a\":[[[[[[[[1]]]]]]]]}", 400, "bad-request", NULL },
	{ "no pdh", "pdh", NULL, 422, "invalid-field", "/pdh" },
	{ "no chain", "cert-chain", NULL, 422, "invalid-field", "/cert-chain" },
	{ "null pdh", "pdh", "null", 422, "invalid-field", "/pdh" },
	{ "pdh number", "pdh", "7", 422, "invalid-field", "/pdh" },
	{ "pdh short", "pdh", "\"AAAA\"", 422, "invalid-field", "/pdh" },
	{ "pdh alphabet", "pdh", "\"AA-A\"", 400, "bad-request", NULL },
	{ "pdh break", "pdh", "\"AA\\nAA\"", 400, "bad-request", NULL },
	{ "chain short", "cert-chain", "\"AAAA\"", 422, "invalid-field",
	    "/cert-chain" },
	{ "cpu-id short", "cpu-id", "\"AAAA\"", 422, "invalid-field",
	    "/cpu-id" },
	{ "cek-signed text", "cek-signed", "\"yes\"", 422, "invalid-field",
	    "/cek-signed" },
	{ "policy negative", "policy", "-1", 422, "invalid-field", "/policy" },
	{ "policy 2^32", "policy", "4294967296", 422, "invalid-field",
	    "/policy" },
	{ "policy real", "policy", "1.0", 422, "invalid-field", "/policy" },
	{ "policy octal text", "policy", "\"0o1\"", 422, "invalid-field",
	    "/policy" },
	{ "policy empty text", "policy", "\"\"", 422, "invalid-field",
	    "/policy" },
	{ "policy 0x", "policy", "\"0x\"", 422, "invalid-field", "/policy" },
	{ "policy list", "policy", "[1]", 422, "invalid-field", "/policy" },
	{ "api 256", "api-major", "256", 422, "invalid-field", "/api-major" },
	{ "hash short", "firmware-hash", "\"00\"", 422, "invalid-field",
	    "/firmware-hash" },
	{ "cpu-count text", "cpu-count", "\"two\"", 422, "invalid-field",
	    "/cpu-count" },
	{ "host text", "host", "\"cn\"", 422, "invalid-field", "/host" },
	{ "host name", "host", "{\"name\":7}", 422, "invalid-field",
	    "/host/name" },
	{ "scheme", "scheme", "\"amd-snp\"", 422, "scheme-unsupported", NULL },
	{ "scheme number", "scheme", "7", 422, "invalid-field", "/scheme" },
	{ "policy other", "policy", "3", 403, "refused", NULL },
	{ "es", "scheme", "\"amd-sev-es\"", 403, "refused", NULL },
	{ "another firmware", "firmware-hash",
	    "\"00000000000000000000000000000000"
	    "00000000000000000000000000000000\"",
	    403, "measurement-mismatch", NULL },
};

static const struct bad bad_validate[] = {
	{ "empty object", NULL, "{}", 422, "invalid-field", "/measurement" },
	{ "47 bytes", "measurement",
	    "\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
	    "A=\"",
	    422, "invalid-field", "/measurement" },
	{ "49 bytes", "measurement",
	    "\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
	    "AAAA==\"",
	    422, "invalid-field", "/measurement" },
	{ "no padding", "measurement", "\"AAA\"", 400, "bad-request", NULL },
	{ "no major", "api-major", NULL, 422, "invalid-field", "/api-major" },
	{ "no minor", "api-minor", NULL, 422, "invalid-field", "/api-minor" },
	{ "no build", "build-id", NULL, 422, "invalid-field", "/build-id" },
	{ "build 256", "build-id", "256", 422, "invalid-field", "/build-id" },
	{ "session number", "session-id", "1", 422, "invalid-field",
	    "/session-id" },
	{ "unknown", "unknown", "1", 403, "measurement-mismatch", NULL },
	{ "session text", "session-id", "\"x\"", 403, "measurement-mismatch",
	    NULL },
};

static char *
change(const char *good, const struct bad *b)
{
	json_t *v;
	char *text;

	if (b->member == NULL)
		return strdup(b->value);
	v = json_loads(good, 0, NULL);
	assert_non_null(v);
	if (b->value == NULL)
		(void)json_object_del(v, b->member);
	else
		(void)json_object_set_new(
		    v, b->member, json_loads(b->value, JSON_DECODE_ANY, NULL));
	text = json_dumps(v, JSON_COMPACT);
	json_decref(v);
	return text;
}

static void
free_text(const struct bad *b, char *text)
{
	json_free_t give_back;

	json_get_alloc_funcs(NULL, &give_back);
	if (b->member == NULL)
		free(text);
	else
		give_back(text);
}

static void
bad_requests_are_told_apart(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(bad_launch) / sizeof(bad_launch[0]); i++) {
		const struct bad *b = &bad_launch[i];
		char *text = change(good_launch, b);
		struct service_answer a;

		ask(&a, path_of("launch"), NULL, NULL, span_str(text));
		check_problem(&a, b->status, b->problem, b->pointer, b->name);
		service_answer_free(&a);
		free_text(b, text);
	}
	for (i = 0; i < sizeof(bad_validate) / sizeof(bad_validate[0]); i++) {
		const struct bad *b = &bad_validate[i];
		char *text = change(good_validate, b);
		struct service_answer a;

		lab.boot_ms += 60000; /* so that no bucket runs dry */
		ask(&a, path_of("validate"), NULL, NULL, span_str(text));
		check_problem(&a, b->status, b->problem, b->pointer, b->name);
		service_answer_free(&a);
		free_text(b, text);
	}
}

static void
heads_are_judged(void **state)
{
	static const struct {
		const char *type;
		unsigned status;
	} types[] = {
		{ NULL, 200 },
		{ "application/json", 200 },
		{ "Application/JSON; charset=utf-8", 200 },
		{ "application/json;x", 200 },
		{ "application/jsonx", 415 },
		{ "text/plain", 415 },
		{ "application/vnd.attest-relay.v2+json", 415 },
	};
	static const struct {
		const char *key;
		unsigned status;
	} keys[] = {
		{ "\"k1\"", 200 },
		{ "k1", 400 },
		{ "\"\"", 400 },
		{ "\"a\"b\"", 400 },
		{ "\"0123456789012345678901234567890123456789"
		  "012345678901234567890123\"",
		    200 },
		{ "\"0123456789012345678901234567890123456789"
		  "0123456789012345678901234\"",
		    400 },
	};
	struct service_answer a;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		ask(&a, path_of("launch"), NULL, types[i].type,
		    span_str(good_launch));
		assert_int_equal(a.status, types[i].status);
		service_answer_free(&a);
	}
	for (i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		ask(&a, path_of("launch"), keys[i].key, NULL,
		    span_str(good_launch));
		assert_int_equal(a.status, keys[i].status);
		service_answer_free(&a);
	}
	ask(&a, "/vm/x/launch", NULL, NULL, span_str(good_launch));
	check_problem(&a, 404, "not-found", NULL, "path");
	service_answer_free(&a);
	ask(&a, path_of("other"), NULL, NULL, span_str(good_launch));
	check_problem(&a, 404, "not-found", NULL, "verb");
	service_answer_free(&a);
	ask(&a, "/vm/00000000-0000-4000-8000-000000000000/launch", NULL, NULL,
	    span_str(good_launch));
	assert_int_equal(a.kind, SERVICE_NOT_MINE);
	service_answer_free(&a);
}

/* C11: 65,536 bytes are taken, one more is not. */
static void
size_limit(void **state)
{
	struct service_answer a;
	char *text = malloc(JSON_BODY_MAX + 2);
	size_t len = strlen(good_launch);

	(void)state;
	assert_non_null(text);
	memset(text, ' ', JSON_BODY_MAX + 1);
	memcpy(text, good_launch, len);
	ask(&a, path_of("launch"), NULL, NULL, span_of(text, JSON_BODY_MAX));
	assert_int_equal(a.status, 200);
	service_answer_free(&a);
	ask(&a, path_of("launch"), NULL, NULL,
	    span_of(text, JSON_BODY_MAX + 1));
	check_problem(&a, 413, "http-413", NULL, "one over");
	service_answer_free(&a);
	free(text);
}

/* C10, C19: unknown members, "0x1", newline at the end of base64. */
static void
liberal_in_what_is_harmless(void **state)
{
	json_t *v = json_loads(good_launch, 0, NULL);
	struct service_answer a;
	char *text;
	char pdh[3000];
	json_free_t give_back;

	(void)state;
	(void)snprintf(pdh, sizeof(pdh), "%s\n",
	    json_string_value(json_object_get(v, "pdh")));
	(void)json_object_set_new(v, "pdh", json_string(pdh));
	(void)json_object_set_new(v, "policy", json_string("0x1"));
	(void)json_object_set_new(v, "scheme", json_string("amd-sev"));
	(void)json_object_set_new(v, "cpu-count", json_integer(4));
	(void)json_object_set_new(v, "grease", json_pack("{s:[b]}", "x", 1));
	(void)json_object_set_new(v, "host",
	    json_pack("{s:s,s:s}", "name", "cn\n17\x1b[31m", "tool", "t"));
	text = json_dumps(v, 0);
	ask(&a, path_of("launch"), NULL, NULL, span_str(text));
	assert_int_equal(a.status, 200);
	/* T30: what a host claims cannot move a terminal. */
	assert_non_null(strstr(lab.last.detail, "cn?17?[31m"));
	service_answer_free(&a);
	json_get_alloc_funcs(NULL, &give_back);
	give_back(text);
	json_decref(v);
}

/* A member in front of those of a good request, as its bytes are. */
static unsigned
status_with(const char *member)
{
	struct service_answer a;
	char *text = malloc(JSON_BODY_MAX);
	unsigned status;
	int n;

	assert_non_null(text);
	n = snprintf(text, JSON_BODY_MAX, "{%s,%s", member, good_launch + 1);
	assert_true(n > 0 && n < JSON_BODY_MAX);
	ask(&a, path_of("launch"), NULL, NULL, span_str(text));
	status = a.status;
	service_answer_free(&a);
	free(text);
	return status;
}

/* docs/protocol.md 3, rule by rule, on both sides of each limit. */
static void
json_at_its_limits(void **state)
{
	static const struct {
		const char *member;
		unsigned status;
	} cases[] = {
		{ "\"x\":9007199254740992", 200 },
		{ "\"x\":9007199254740993", 400 },
		{ "\"x\":-9007199254740992", 200 },
		{ "\"x\":-9007199254740993", 400 },
		{ "\"x\":99999999999999999999", 400 },
		{ "\"x\":1e400", 400 },
		{ "\"x\":1e3", 200 },
		{ "\"x\":-0", 200 },
		{ "\"x\":01", 400 },
		{ "\"x\":.5", 400 },
		{ "\"x\":Infinity", 400 },
		{ "\"x\":[[[[[[[1]]]]]]]", 200 }, /* 8 deep */
		{ "\"x\":[[[[[[[[1]]]]]]]]", 400 },
		{ "\"x\":\"[[[[[[[[[\\\"[[[\"", 200 },
		{ "\"x\":\"\\ud800\"", 400 },
		{ "\"x\":\"\xed\xa0\x80\"", 400 },
		{ "\"x\":\"\xf4\x90\x80\x80\"", 400 },
		{ "\"x\":\"\x01\"", 400 },
		{ "\"x\":1,\"\\u0078\":2", 400 }, /* one name, two spellings */
		{ "\"x\":{\"y\":1,\"y\":1}", 400 },
		{ "\"x\":'y'", 400 },
		{ "\"x\":1,", 400 },
		{ "\"policy\":1", 200 },
		{ "\"policy\":\"1\"", 200 },
		{ "\"policy\":\"0x1\"", 200 },
		{ "\"policy\":\"0X0001\"", 200 },
		{ "\"policy\":\"01\"", 200 },
		{ "\"policy\":-0", 403 },
		{ "\"policy\":1.0", 422 },
		{ "\"policy\":1e0", 422 },
		{ "\"policy\":\" 1\"", 422 },
		{ "\"policy\":\"1 \"", 422 },
		{ "\"policy\":\"+1\"", 422 },
		{ "\"policy\":\"-1\"", 422 },
		{ "\"policy\":\"4294967296\"", 422 },
		{ "\"policy\":\"0x100000000\"", 422 },
		{ "\"policy\":\"99999999999999999999\"", 422 },
		{ "\"policy\":true", 422 },
		{ "\"cmdline-hash\":\"zz\"", 422 },
	};
	char many[64 * 8];
	size_t len = 0;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		if (status_with(cases[i].member) != cases[i].status)
			fail_msg(
			    "%s: want %u", cases[i].member, cases[i].status);
	/* With pdh and cert-chain, 64 members; then 65. */
	for (i = 0; i < 63; i++) {
		len += (size_t)snprintf(many + len, sizeof(many) - len,
		    "%s\"m%zu\":1", i > 0 ? "," : "", i);
		if (i == 61)
			assert_int_equal(status_with(many), 200);
	}
	assert_int_equal(status_with(many), 400);
}

static void
get_bytes(const json_t *v, const char *name, void *out, size_t want)
{
	size_t len = 0;

	assert_int_equal(
	    base64_decode(out, want, &len,
		span_str(json_string_value(json_object_get(v, name))), NULL),
	    0);
	assert_int_equal(len, want);
}

static void
whole_launch_in_json(void **state)
{
	struct vault_launch_answer launch = { .policy = 1 };
	struct vault_validate_answer *opened = calloc(1, sizeof(*opened));
	struct vault_validate m;
	struct service_answer first;
	struct service_answer again;
	struct service_answer a;
	uint32_t guest;
	json_t *v;

	(void)state;
	assert_non_null(opened);
	ask(&a, path_of("launch"), "\"k\"", NULL, span_str(good_launch));
	assert_int_equal(a.status, 200);
	ask(&again, path_of("launch"), "\"k\"", NULL, span_str(good_launch));
	assert_true(span_equal(buf_span(&a.body), buf_span(&again.body)));
	v = body_of(&a);
	get_bytes(v, "session", launch.session.blob, SEV_SESSION_LEN);
	get_bytes(v, "owner-cert", launch.session.godh_cert, SEV_CERT_LEN);
	assert_int_equal(json_integer_value(json_object_get(v, "policy")), 1);
	assert_int_equal(
	    json_integer_value(json_object_get(v, "expires-in")), 600);
	assert_true(json_is_false(json_object_get(v, "kernel-hashes")));
	assert_string_equal(
	    json_string_value(json_object_get(v, "scheme")), "amd-sev");
	assert_string_equal(a.location + strlen("sessions/"),
	    json_string_value(json_object_get(v, "session-id")));
	json_decref(v);
	service_answer_free(&a);
	service_answer_free(&again);

	guest = lab_start(&lab, &launch);
	lab_measure(&m, &lab, guest);
	fill_validate(&m);
	ask(&first, path_of("validate"), NULL, NULL, span_str(good_validate));
	assert_int_equal(first.status, 200);
	ask(&again, path_of("validate"), NULL, NULL, span_str(good_validate));
	assert_true(span_equal(buf_span(&first.body), buf_span(&again.body)));
	v = body_of(&first);
	assert_true(json_is_true(json_object_get(v, "inject")));
	assert_string_equal(
	    json_string_value(json_object_get(v, "secret-table")),
	    json_string_value(json_object_get(v, "secret-payload")));
	opened->payload_len = 256;
	get_bytes(v, "secret-header", opened->header, SEV_SECRET_HEADER_LEN);
	get_bytes(v, "secret-table", opened->payload, opened->payload_len);
	assert_true(lab_opens(&lab, guest, opened, "web1"));
	json_decref(v);
	service_answer_free(&first);
	service_answer_free(&again);
	free(opened);
}

static void
lost_disk_is_said(void **state)
{
	struct service_answer a = { 0 };

	(void)state;
	service_storage(&a, span_str("req-77"));
	check_problem(&a, 503, "agent-storage", NULL, "storage");
	assert_int_equal(a.retry_after_s, 30);
	service_answer_free(&a);
}

static const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	T(bad_requests_are_told_apart),
	T(heads_are_judged),
	T(size_limit),
	T(liberal_in_what_is_harmless),
	T(json_at_its_limits),
	T(whole_launch_in_json),
	T(lost_disk_is_said),
};

int
main(void)
{
	return cmocka_run_group_tests(tests, NULL, NULL);
}
