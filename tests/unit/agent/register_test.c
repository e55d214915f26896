#include "tests/unit/agent/lab.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/file.h"
#include "agent/json.h"
#include "common/base64.h"
#include "common/hex.h"

#define FW "firmware/synthetic-fw-a.bin"
#define BARE "firmware/ovmf_OvmfX64_suffix.bin" /* no secret area */
#define HASH64                                                                 \
	"00000000000000000000000000000000"                                     \
	"00000000000000000000000000000001"

#define FW_HASH                                                                \
	"5e090f7930b36c6e13ae1901f3692d2a2ab561f7b0fdf6d466e5d825fbba29e5"
#define SOME_UUID "57f669c2-c427-4132-bc7a-26f56b6a718c"
#define OTHER_UUID "57f669c2-c427-4132-bc7a-26f56b6a718d"

static const uint8_t agent_key[UUID_KEY_LEN] = { 7 };

static int
read_file(void *arg, struct secret *out, const char *path, size_t max,
    struct err *err)
{
	(void)arg;
	return file_read(out, path, max, err);
}

/* Options by name and value; "@x" is the fixture x.  What comes of it. */
static struct registration *
try(const char *const *words, const char *json, struct err *err)
{
	struct register_plan *p = calloc(1, sizeof(*p));
	struct registration *r = NULL;
	size_t i;
	int rc;

	assert_non_null(p);
	memset(err, 0, sizeof(*err));
	assert_int_equal(register_init(p, read_file, NULL, err), 0);
	rc = register_option(p, "name", "web1", err);
	if (rc == 0 && json != NULL)
		rc = register_json(p, span_str(json), err);
	for (i = 0; rc == 0 && words != NULL && words[i] != NULL; i += 2) {
		const char *value = words[i + 1];

		if (value != NULL && value[0] == '@')
			value = lab_fixture(value + 1);
		rc = register_option(p, words[i], value, err);
	}
	if (rc == 0)
		rc = register_finish(&r, p, agent_key, err);
	register_free(p);
	free(p);
	return rc == 0 ? r : NULL;
}

static void
expect(const char *const *words, const char *json, const char *says)
{
	struct err err;
	struct registration *r = try(words, json, &err);

	if (says == NULL && r == NULL)
		fail_msg("%s", err.msg);
	if (says != NULL && r != NULL)
		fail_msg("accepted; want \"%s\"", says);
	if (says != NULL && strstr(err.msg, says) == NULL)
		fail_msg("\"%s\" does not say \"%s\"", err.msg, says);
	registration_free(r);
}

#define OK_SEV "policy", "1", "firmware", "@" FW, "any-platform", NULL
#define OK_ES                                                                  \
	"policy", "5", "firmware", "@" FW, "any-platform", NULL, "no-secret",  \
	    NULL

static const struct {
	const char *const words[24];
	const char *says;
} flag_cases[] = {
	{ { OK_SEV, "no-secret", NULL, NULL }, NULL },
	{ { OK_SEV, NULL }, "no secret" },
	{ { "firmware", "@" FW, "any-platform", NULL, NULL }, "no policy" },
	{ { "policy", "1", "any-platform", NULL, "no-secret", NULL, NULL },
	    "no launch digest" },
	{ { "policy", "1", "firmware", "@" FW, "no-secret", NULL, NULL },
	    "no platform is allowed" },
	/* The five classic mistakes. */
	{ { "policy", "1", "firmware", "@" BARE, "any-platform", NULL,
	      "secret-file", "@SOURCES.md", NULL },
	    "area" },
	{ { "policy", "1", "firmware", "@" BARE, "any-platform", NULL, "kernel",
	      "@SOURCES.md", "no-secret", NULL, NULL },
	    "hash" },
	{ { "policy", "0", "firmware", "@" FW, "any-platform", NULL,
	      "no-secret", NULL, NULL },
	    "--allow-debug" },
	{ { "policy", "0", "firmware", "@" FW, "any-platform", NULL,
	      "no-secret", NULL, "allow-debug", NULL, NULL },
	    NULL },
	{ { "policy", "5", "firmware", "@" FW, "any-platform", NULL,
	      "no-secret", NULL, "scheme", "amd-sev", NULL },
	    "disagree" },
	{ { OK_SEV, "secret-file", "@" FW, NULL }, "bytes" },
	{ { OK_SEV, "no-secret", NULL, "shared-rank", "1", NULL },
	    "cannot be shared" },
	{ { OK_SEV, "no-secret", NULL, "new-uuid", NULL, "shared-rank", "1",
	      NULL },
	    "cannot be shared" },
	{ { OK_SEV, "no-secret", NULL, "shared-rank", "65536", NULL },
	    "0 to 65535" },
	{ { OK_SEV, "no-secret", NULL, "shared-rank", "-1", NULL },
	    "0 to 65535" },
	/* SEV-ES wants to know the vCPUs. */
	{ { OK_ES, NULL }, "--cpus" },
	{ { OK_ES, "cpus", "2", NULL }, "--cpu-sig" },
	{ { OK_ES, "cpus", "2", "cpu-sig", "0x00a00f11", NULL }, NULL },
	{ { OK_ES, "cpus", "2", "cpu-family", "25", "cpu-model", "1",
	      "cpu-stepping", "1", NULL },
	    NULL },
	{ { OK_ES, "cpus", "0", NULL }, "1 vCPU or more" },
	{ { OK_ES, "cpus", "1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16", "cpu-sig",
	      "1", "vmsa", "both", NULL },
	    "more than 16 launch digests" },
	/* Values. */
	{ { OK_SEV, "policy", "0x10001", NULL }, "no secret" },
	{ { OK_SEV, "policy", "nodbg,bogus", NULL }, "policy" },
	{ { OK_SEV, "policy", "0x41", "no-secret", NULL, NULL }, "reserved" },
	{ { OK_SEV, "digest", "00", NULL }, "digest" },
	{ { OK_SEV, "min-api", "1", NULL }, "MAJOR.MINOR" },
	{ { OK_SEV, "min-api", "1.256", NULL }, "0 to 255" },
	{ { OK_SEV, "min-build", "-1", NULL }, "0 to 255" },
	{ { OK_SEV, "max-instances", "0", NULL }, "1 instance" },
	{ { OK_SEV, "max-instances", "1/24", NULL }, "24h" },
	{ { OK_SEV, "max-instances", "1/0h", NULL }, "24h" },
	{ { OK_SEV, "then", "ask", NULL }, "refuse, allow or confirm" },
	{ { OK_SEV, "approve", "ask", NULL }, "first-use or always" },
	{ { OK_SEV, "approve-at", "boot", NULL }, "launch or release" },
	{ { OK_SEV, "chip", "12", NULL }, "fingerprint" },
	{ { OK_SEV, "chip", HASH64 HASH64, NULL },
	    "no certificate proves a chip id" },
	{ { OK_SEV, "chip", HASH64 HASH64 "=/nonexistent", NULL },
	    "nonexistent" },
	{ { OK_SEV, "cloud-cert", "@certs/synthetic-a/pek.cert", NULL },
	    "no OCA" },
	{ { OK_SEV, "cek", "@certs/synthetic-a/cek-unsigned.cert", NULL },
	    "no signature of AMD" },
	{ { OK_SEV, "root", "@certs/synthetic-a/ask.cert", "no-secret", NULL,
	      NULL },
	    "without its ARK" },
	{ { OK_SEV, "root", "@certs/synthetic-a/pek.cert", NULL }, "root" },
	{ { OK_SEV, "initrd", "@SOURCES.md", "no-secret", NULL, NULL },
	    "--kernel" },
	{ { OK_SEV, "firmware-hash", HASH64, "kernel", "@SOURCES.md",
	      "no-secret", NULL, NULL },
	    "give the image itself" },
	{ { "policy", "1", "firmware-hash", HASH64, "any-platform", NULL,
	      "no-secret", NULL, NULL },
	    NULL },
	{ { OK_SEV, "firmware-hash", FW_HASH, "kernel", "@SOURCES.md",
	      "no-secret", NULL, NULL },
	    NULL },
	/* Who it is. */
	{ { OK_SEV, "name", OTHER_UUID, "uuid", SOME_UUID, NULL },
	    "another VM" },
	{ { OK_SEV, "name", SOME_UUID, "new-uuid", NULL, NULL }, "another VM" },
	{ { OK_SEV, "name", "../x", "no-secret", NULL, NULL }, "letters" },
	{ { OK_SEV, "name", "", NULL }, "1 to 64" },
	{ { OK_SEV, "secret", "luks-key", NULL }, "GUID=FILE" },
	{ { OK_SEV, "uuid", "x", NULL }, "uuid" },
	{ { OK_SEV, "bogus", "x", NULL }, "unknown option" },
	{ { OK_SEV, "firmware", "/nonexistent", NULL }, "nonexistent" },
	{ { OK_SEV, "vmsa", "newest", NULL }, "vmsa" },
	{ { OK_SEV, "deny-generation", "zen9", NULL }, "deny-generation" },
};

static void
flags_that_will_not_do(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(flag_cases) / sizeof(flag_cases[0]); i++)
		expect(flag_cases[i].words, NULL, flag_cases[i].says);
}

static void
digests_are_computed(void **state)
{
	static const char *const words[] = { OK_ES, "cpus", "1,2", "cpu-sig",
		"0x00a00f11", "vmsa", "both", "firmware",
		"@firmware/synthetic-fw-b.bin", NULL };
	struct sev_launch in = { .policy = 5 };
	uint8_t want[SEV_SHA256_LEN];
	struct secret fw = { 0 };
	struct registration *r;
	struct err err;
	bool found = false;
	size_t i;

	(void)state;
	r = try(words, NULL, &err);
	assert_non_null(r);
	assert_int_equal(r->digest_count, 8);
	assert_int_equal(r->scheme, SCHEME_SEV_ES);
	lab_file(&fw, "firmware/synthetic-fw-b.bin");
	in.firmware = secret_span(&fw);
	in.vcpus = (struct sev_vcpus){ .source = SEV_VCPU_SIGNATURE,
		.count = 2,
		.signature = 0x00a00f11,
		.variant = SEV_VMSA_INIT2 };
	assert_int_equal(sev_digest_launch(want, &in, &err), 0);
	for (i = 0; i < r->digest_count; i++)
		found = found ||
		    memcmp(r->digests[i].digest, want, sizeof(want)) == 0;
	assert_true(found);
	secret_free(&fw);
	registration_free(r);
}

/* The thread's form, certificates inline. */
static void
thread_form(void **state)
{
	struct secret oca = { 0 };
	struct registration *r;
	struct err err;
	char cert[3000];
	char json[6000];

	(void)state;
	lab_file(&oca, "certs/synthetic-a/oca.cert");
	(void)snprintf(json, sizeof(json),
	    "{\"vm\":\"57F669C2-c427-4132-bc7a-26f56b6a718c\",\"policy\":"
	    "\"0x3\",\"cloud-cert\":\"%s\\n\",\"firmware-hashes\":[\"%s\"],"
	    "\"cpu-count\":2,\"min-api\":\"1.51\",\"min-build\":24,"
	    "\"max-instances\":{\"count\":1,\"per\":\"24h\",\"then\":"
	    "\"refuse\"},\"secrets\":[{\"type\":\"luks-passphrase\","
	    "\"passphrase\":\"open sesame\"}]}",
	    base64_encode(cert, sizeof(cert), secret_span(&oca)), HASH64);
	r = try(NULL, json, &err);
	if (r == NULL)
		fail_msg("%s", err.msg);
	assert_int_equal(r->policy, 3);
	assert_int_equal(r->cloud_count, 1);
	assert_int_equal(r->digest_count, 1);
	assert_int_equal(r->min.api_minor, 51);
	assert_int_equal(r->min.build_id, 24);
	assert_int_equal(r->max_instances, 1);
	assert_int_equal(r->per_s, 86400);
	assert_int_equal(r->secret_count, 1);
	assert_memory_equal(r->table.ptr + 40, "open sesame", 11);
	assert_int_equal(r->deny_generations, 1u << SEV_GEN_NAPLES);
	registration_free(r);
	secret_free(&oca);
}

/* The thread's form has neither name nor UUID, as that is in its path. */
static void
names_and_uuids(void **state)
{
	static const struct {
		const char *name; /* NULL: none */
		const char *uuid;
		const char *called; /* NULL: refused */
		bool itself;        /* the UUID is SOME_UUID */
	} cases[] = {
		{ "web1", SOME_UUID, "web1", true },
		{ NULL, SOME_UUID, SOME_UUID, true },
		{ "57F669C2-C427-4132-BC7A-26F56B6A718C", NULL, SOME_UUID,
		    true },
		{ SOME_UUID, SOME_UUID, SOME_UUID, true },
		{ "web1", NULL, "web1", false },
		{ NULL, NULL, NULL, false },
	};
	struct register_plan *p = calloc(1, sizeof(*p));
	struct uuid some;
	size_t i;

	(void)state;
	assert_non_null(p);
	assert_int_equal(uuid_parse(&some, span_str(SOME_UUID), NULL), 0);
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct err err = { 0 };

		assert_int_equal(register_init(p, read_file, NULL, &err), 0);
		if (cases[i].name != NULL)
			assert_int_equal(
			    register_option(p, "name", cases[i].name, &err), 0);
		if (cases[i].uuid != NULL)
			assert_int_equal(
			    register_option(p, "uuid", cases[i].uuid, &err), 0);
		if (register_identity(p, &err) != 0) {
			assert_null(cases[i].called);
			assert_non_null(strstr(err.msg, "give the VM a name"));
		} else {
			assert_non_null(cases[i].called);
			assert_string_equal(p->r->name, cases[i].called);
			assert_int_equal(
			    p->has_vm && uuid_equal(&p->r->vm, &some),
			    cases[i].itself);
		}
		register_free(p);
	}
	free(p);
}

/* The last word on a limit is the whole of it. */
static void
limits_are_replaced(void **state)
{
	static const char *const words[] = { OK_SEV, "no-secret", NULL,
		"max-instances", "1/24h", "max-instances", "5", NULL };
	struct registration *r;
	struct err err;

	(void)state;
	r = try(words, NULL, &err);
	if (r == NULL)
		fail_msg("%s", err.msg);
	assert_int_equal(r->max_instances, 5);
	assert_int_equal(r->per_s, 0);
	registration_free(r);
}

static void
json_that_will_not_do(void **state)
{
	static const struct {
		const char *json;
		const char *says;
	} cases[] = {
		{ "{\"polcy\":1}", "unknown member" },
		{ "{\"policy\":{}}", "wrong type" },
		{ "{\"policy\":[\"nodbg\",7]}", "names" },
		{ "{\"policy\":[\"nodbg\",\"noks\"]}", "no secret" },
		{ "{\"min-api\":1.51}", "quotes" },
		{ "{\"max-instances\":{\"count\":1,\"then\":\"ask\"}}",
		    "confirm" },
		{ "{\"max-instances\":{\"per\":\"1h\"}}", "count" },
		{ "{\"max-instances\":{\"count\":1,\"x\":1}}", "count" },
		{ "{\"approve\":\"often\"}", "first-use" },
		{ "{\"firmware\":[{\"sha512\":\"00\"}]}", "sha256" },
		{ "{\"firmware\":[[\"x\"]]}", "list in a list" },
		{ "{\"cloud-certs\":[7]}", "files or base64" },
		{ "{\"chips\":[]}", "want an object" },
		{ "{\"chips\":{\"permit\":[]}}", "allow, deny" },
		{ "{\"secrets\":{}}", "want a list" },
		{ "{\"secrets\":[{\"type\":\"luks-passphrase\"}]}",
		    "passphrase, file, command" },
		{ "{\"secrets\":[{\"passphrase\":\"x\"}]}",
		    "luks-passphrase, or a guid" },
		{ "{\"secrets\":[{\"guid\":\"x\",\"passphrase\":\"x\"}]}",
		    "secrets" },
		{ "{\"secrets\":[{\"type\":\"luks-passphrase\","
		  "\"source\":\"keyring\"}]}",
		    "secrets" },
		{ "[]", "object" },
		{ "{\"a\":1,\"a\":2}", "not JSON" },
	};
	static const char *const words[] = { OK_SEV, NULL };
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		expect(words, cases[i].json, cases[i].says);
}

/* The stored form: whatever byte is cut off or changed, no overrun and no
 * registration without a rule. */
static void
stored_form(void **state)
{
	static const char *const words[] = { OK_ES, "cpus", "1,2", "cpu-sig",
		"1", "cloud-cert", "@certs/synthetic-a/oca.cert", "cek",
		"@certs/synthetic-a/cek.cert", "root",
		"@certs/synthetic-a/ask.cert", "root",
		"@certs/synthetic-a/ark.cert", "allow-host", "token:x", NULL };
	struct secret bytes = { 0 };
	struct secret exact = { 0 };
	struct registration *r;
	struct registration *back = NULL;
	struct err err;
	size_t len;

	(void)state;
	r = try(words, NULL, &err);
	if (r == NULL)
		fail_msg("%s", err.msg);
	assert_int_equal(registration_encode(&bytes, r, &err), 0);
	assert_int_equal(
	    registration_decode(&back, secret_span(&bytes), &err), 0);
	assert_string_equal(back->name, "web1");
	assert_int_equal(back->digest_count, r->digest_count);
	assert_memory_equal(back->digests, r->digests, sizeof(r->digests));
	assert_string_equal(back->hosts[0].name, "token:x");
	assert_int_equal(back->root_count, 1);
	registration_free(back);
	back = NULL;
	for (len = 0; len < bytes.len; len += len < 200 ? 1 : 97) {
		assert_int_equal(
		    secret_copy(&exact, span_of(bytes.ptr, len), &err), 0);
		assert_int_equal(
		    registration_decode(&back, secret_span(&exact), &err), -1);
		secret_free(&exact);
	}
	bytes.ptr[3] = 4;
	assert_int_equal(
	    registration_decode(&back, secret_span(&bytes), &err), -1);
	assert_int_equal(err.code, ERR_UNSUPPORTED);
	secret_free(&bytes);
	registration_free(r);
}

/*
 * A record of the version before, which had one kernel or none where a list
 * of them stands now, and nothing behind the address.
 */
static void
stored_form_before(void **state)
{
	static const char *const words[] = { OK_SEV, "no-secret", NULL,
		"max-instances", "3/1h", NULL };
	const size_t rest = 4 + 8 + 4 + 4 + 4 + 4 + 1 + 8;
	struct registration *back = NULL;
	struct secret bytes = { 0 };
	struct registration *r;
	uint8_t old[4096];
	struct writer w = writer_of(old, sizeof(old));
	const uint8_t none[1 + 3 * SEV_SHA256_LEN] = { 0 };
	struct err err;
	size_t later, at;

	(void)state;
	r = try(words, NULL, &err);
	if (r == NULL)
		fail_msg("%s", err.msg);
	later = 4 + 4 + 4 + r->near.len + 8 + 8 + 4 + 4 + 1 + 4;
	assert_int_equal(registration_encode(&bytes, r, &err), 0);
	at = bytes.len - later - rest;
	writer_be32(&w, 1);
	writer_put(&w, span_of(bytes.ptr + 4, at - 4 - 4));
	writer_put(&w, span_of(none, sizeof(none)));
	writer_put(&w, span_of(bytes.ptr + at, rest));
	assert_true(writer_ok(&w));
	if (registration_decode(&back, writer_span(&w), &err) != 0)
		fail_msg("%s", err.msg);
	assert_string_equal(back->name, r->name);
	assert_int_equal(back->kernel_count, 0);
	assert_int_equal(back->max_instances, 3);
	assert_int_equal(back->per_s, 3600);
	assert_memory_equal(back->digests, r->digests, sizeof(r->digests));
	registration_free(back);
	/* The one between knew of no other agents. */
	bytes.ptr[3] = 2;
	assert_int_equal(
	    registration_decode(&back, span_of(bytes.ptr, bytes.len - 5), &err),
	    0);
	assert_false(back->shared);
	assert_int_equal(back->max_instances, 3);
	registration_free(back);
	secret_free(&bytes);
	registration_free(r);
}

/* A UUID that other agents have, too. */
static void
shared(void **state)
{
	static const char *const words[] = { OK_SEV, "no-secret", NULL, "uuid",
		"57f669c2-c427-4132-bc7a-26f56b6a718c", "shared-rank", "65535",
		NULL };
	struct registration *back = NULL;
	struct secret bytes = { 0 };
	struct registration *r;
	struct err err;

	(void)state;
	r = try(words, NULL, &err);
	if (r == NULL)
		fail_msg("%s", err.msg);
	assert_true(r->shared);
	assert_int_equal(r->rank, 65535);
	assert_int_equal(registration_encode(&bytes, r, &err), 0);
	assert_int_equal(
	    registration_decode(&back, secret_span(&bytes), &err), 0);
	assert_true(back->shared);
	assert_int_equal(back->rank, 65535);
	registration_free(back);
	/* The socket brings what no flag can say. */
	bytes.ptr[bytes.len - 3] = 1;
	assert_int_equal(
	    registration_decode(&back, secret_span(&bytes), &err), -1);
	assert_non_null(strstr(err.msg, "rank 131071"));
	secret_free(&bytes);
	r->rank = 1;
	r->shared = false;
	assert_int_equal(registration_check(r, &err), -1);
	r->shared = true;
	r->label[0] = 'x';
	assert_int_equal(registration_check(r, &err), -1);
	assert_non_null(strstr(err.msg, "cannot be shared"));
	registration_free(r);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(flags_that_will_not_do),
	cmocka_unit_test(digests_are_computed),
	cmocka_unit_test(thread_form),
	cmocka_unit_test(names_and_uuids),
	cmocka_unit_test(limits_are_replaced),
	cmocka_unit_test(json_that_will_not_do),
	cmocka_unit_test(stored_form),
	cmocka_unit_test(stored_form_before),
	cmocka_unit_test(shared),
};

int
main(void)
{
	json_setup();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
