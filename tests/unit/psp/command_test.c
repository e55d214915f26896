/* The commands: what each refuses, with which firmware status. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/psp/crypto.h"
#include "tests/unit/psp/fixture.h"

#define AREA 0x80c000

/* synthetic-a after INIT, and the owner's part of one known session. */
struct bench {
	struct psp_platform platform;
	struct psp *psp;
	json_t *root;
	struct secret godh, session;
	uint32_t policy;
};

static void
bench_session(struct bench *b, const char *name)
{
	json_t *one = fixture_case(b->root, name);

	secret_free(&b->godh);
	secret_free(&b->session);
	b->godh = fixture_base64(one, "godh_cert_b64_unsigned");
	b->session = fixture_base64(one, "session_b64");
	b->policy = fixture_number(one, "policy");
}

static int
setup(void **state)
{
	struct bench *b = calloc(1, sizeof(*b));

	assert_non_null(b);
	fixture_platform(&b->platform);
	b->psp = psp_new(&b->platform, NULL, NULL);
	b->root = fixture_json("kat/session.json");
	bench_session(b, "session-synthetic-policy-1");
	assert_int_equal(psp_init(b->psp), PSP_SUCCESS);
	*state = b;
	return 0;
}

static int
teardown(void **state)
{
	struct bench *b = *state;

	psp_free(b->psp);
	psp_platform_free(&b->platform);
	secret_free(&b->godh);
	secret_free(&b->session);
	json_decref(b->root);
	free(b);
	return 0;
}

static enum psp_status
start(struct bench *b, uint32_t *handle, uint32_t policy)
{
	return psp_launch_start(handle, b->psp, policy, secret_span(&b->godh),
	    secret_span(&b->session));
}

/* A measured guest, its context in ${guest}. */
static uint32_t
measured(struct bench *b, struct psp_guest_state *guest)
{
	static const uint8_t firmware[64] = { 1 };
	uint8_t out[PSP_MEASUREMENT_LEN];
	uint32_t handle = 0;

	assert_int_equal(start(b, &handle, b->policy), PSP_SUCCESS);
	assert_int_equal(psp_launch_update_data(b->psp, handle,
			     span_of(firmware, sizeof(firmware))),
	    PSP_SUCCESS);
	assert_int_equal(
	    psp_launch_measure(out, sizeof(out), b->psp, handle), PSP_SUCCESS);
	assert_int_equal(psp_guest_save(guest, b->psp, handle), PSP_SUCCESS);
	assert_memory_equal(out, guest->measure, sizeof(guest->measure));
	return handle;
}

static void
start_refuses(void **state)
{
	static const struct {
		const char *name;
		bool in_godh;
		size_t at;
		size_t len; /* of the changed input; 0: as it was */
		enum psp_status want;
	} bad[] = {
		{ "nonce", false, 0, 0, PSP_BAD_MEASUREMENT },
		{ "TEK", false, 16, 0, PSP_BAD_MEASUREMENT },
		{ "TIK", false, 47, 0, PSP_BAD_MEASUREMENT },
		{ "wrap IV", false, 48, 0, PSP_BAD_MEASUREMENT },
		{ "WRAP_MAC", false, 64, 0, PSP_BAD_MEASUREMENT },
		{ "POLICY_MAC", false, 127, 0, PSP_BAD_MEASUREMENT },
		{ "session one short", false, 0, 127, PSP_INVALID_LEN },
		{ "session one long", false, 0, 129, PSP_INVALID_LEN },
		{ "version", true, 0, 0, PSP_INVALID_CERTIFICATE },
		{ "usage", true, 8, 0, PSP_INVALID_CERTIFICATE },
		{ "algorithm", true, 12, 0, PSP_INVALID_CERTIFICATE },
		{ "curve", true, 16, 0, PSP_INVALID_CERTIFICATE },
		{ "point", true, 20, 0, PSP_INVALID_CERTIFICATE },
		{ "x of 2^384", true, 68, 0, PSP_INVALID_CERTIFICATE },
		{ "y of 2^384", true, 163, 0, PSP_INVALID_CERTIFICATE },
		{ "GODH one short", true, 0, 2083, PSP_INVALID_LEN },
		{ "GODH one long", true, 0, 2085, PSP_INVALID_LEN },
	};
	struct bench *b = *state;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct secret *in = bad[i].in_godh ? &b->godh : &b->session;
		size_t len = bad[i].len == 0 ? in->len : bad[i].len;
		struct span good = secret_span(in);
		uint8_t *copy = calloc(1, len);
		enum psp_status got;
		uint32_t handle = 77;

		memcpy(copy, good.ptr, len < good.len ? len : good.len);
		copy[bad[i].at] ^= 4;
		got = psp_launch_start(&handle, b->psp, b->policy,
		    bad[i].in_godh ? span_of(copy, len) : secret_span(&b->godh),
		    bad[i].in_godh ? secret_span(&b->session)
				   : span_of(copy, len));
		if (got != bad[i].want || handle != 77)
			fail_msg("%s: %s, want %s", bad[i].name,
			    psp_status_name(got), psp_status_name(bad[i].want));
		free(copy);
	}
}

static void
start_judges_the_policy(void **state)
{
	struct bench *b = *state;
	uint32_t handle = 0;

	assert_int_equal(start(b, &handle, b->policy ^ 2), PSP_BAD_MEASUREMENT);
	assert_int_equal(
	    start(b, &handle, b->policy | 2U << 16), PSP_POLICY_FAILURE);
	bench_session(b, "session-synthetic-minapi");
	assert_int_equal(start(b, &handle, b->policy), PSP_SUCCESS);
	b->platform.api.major = (uint8_t)(b->policy >> 16);
	b->platform.api.minor = (uint8_t)((b->policy >> 24) - 1);
	assert_int_equal(start(b, &handle, b->policy), PSP_POLICY_FAILURE);
	b->platform.api.minor++;
	assert_int_equal(start(b, &handle, b->policy), PSP_SUCCESS);
	bench_session(b, "session-synthetic-policy-7");
	b->platform.no_es = true;
	assert_int_equal(start(b, &handle, b->policy), PSP_POLICY_FAILURE);
	b->platform.no_es = false;
	assert_int_equal(start(b, &handle, b->policy), PSP_SUCCESS);
}

static void
start_without_an_owner(void **state)
{
	struct span none = span_of(NULL, 0);
	struct bench *b = *state;
	uint32_t handle = 0;

	assert_int_equal(
	    psp_launch_start(&handle, b->psp, 1, none, none), PSP_SUCCESS);
	assert_int_equal(psp_launch_start(&handle, b->psp, 1, none,
			     secret_span(&b->session)),
	    PSP_INVALID_LEN);
}

static void
a_rotated_pdh_ends_old_sessions(void **state)
{
	struct bench *b = *state;
	uint32_t handle = 0;

	assert_int_equal(start(b, &handle, b->policy), PSP_SUCCESS);
	assert_int_equal(psp_pdh_gen(b->psp), PSP_SUCCESS);
	assert_int_equal(start(b, &handle, b->policy), PSP_BAD_MEASUREMENT);
}

static void
commands_before_init(void **state)
{
	uint8_t pdh[PSP_CERT_LEN], chain[PSP_CHAIN_LEN], out[48];
	struct psp_platform_status status;
	struct psp_guest_state guest;
	struct bench *b = *state;
	enum psp_guest_phase phase;
	uint32_t handle = measured(b, &guest), policy;

	assert_int_equal(psp_init(b->psp), PSP_INVALID_PLATFORM_STATE);
	assert_int_equal(psp_shutdown(b->psp), PSP_SUCCESS);
	assert_int_equal(psp_platform_status(&status, b->psp), PSP_SUCCESS);
	assert_int_equal(status.state, PSP_UNINIT);
	assert_int_equal(status.guest_count, 0);
	assert_int_equal(
	    start(b, &handle, b->policy), PSP_INVALID_PLATFORM_STATE);
	assert_int_equal(psp_launch_measure(out, sizeof(out), b->psp, handle),
	    PSP_INVALID_PLATFORM_STATE);
	assert_int_equal(psp_pdh_cert_export(pdh, chain, b->psp),
	    PSP_INVALID_PLATFORM_STATE);
	assert_int_equal(psp_pdh_gen(b->psp), PSP_INVALID_PLATFORM_STATE);
	assert_int_equal(psp_guest_status(&phase, &policy, b->psp, handle),
	    PSP_INVALID_PLATFORM_STATE);
	assert_int_equal(psp_guest_restore(&handle, b->psp, &guest),
	    PSP_INVALID_PLATFORM_STATE);
}

static void
commands_to_no_guest(void **state)
{
	static const uint32_t handles[] = { 0, 1, PSP_GUESTS_MAX,
		PSP_GUESTS_MAX + 1, UINT32_MAX };
	uint8_t page[PSP_VMSA_LEN] = { 0 };
	struct span data = span_of(page, sizeof(page));
	struct bench *b = *state;

	for (size_t i = 0; i < sizeof(handles) / sizeof(handles[0]); i++) {
		uint32_t h = handles[i];

		assert_int_equal(
		    psp_launch_update_data(b->psp, h, data), PSP_INVALID_GUEST);
		assert_int_equal(
		    psp_launch_update_vmsa(b->psp, h, data), PSP_INVALID_GUEST);
		assert_int_equal(
		    psp_launch_measure(page, 48, b->psp, h), PSP_INVALID_GUEST);
		assert_int_equal(
		    psp_launch_secret(page, 16, b->psp, h, AREA, data, data),
		    PSP_INVALID_GUEST);
		assert_int_equal(
		    psp_launch_finish(b->psp, h), PSP_INVALID_GUEST);
		assert_int_equal(
		    psp_decommission(b->psp, h), PSP_INVALID_GUEST);
	}
}

static void
update_refuses(void **state)
{
	uint8_t page[PSP_VMSA_LEN + 16] = { 0 };
	static const size_t lens[] = { 0, 1, 15, 17, PSP_VMSA_LEN + 1 };
	struct bench *b = *state;
	uint32_t handle = 0;

	assert_int_equal(start(b, &handle, b->policy), PSP_SUCCESS);
	for (size_t i = 0; i < sizeof(lens) / sizeof(lens[0]); i++)
		assert_int_equal(psp_launch_update_data(
				     b->psp, handle, span_of(page, lens[i])),
		    PSP_INVALID_LEN);
	assert_int_equal(
	    psp_launch_update_vmsa(b->psp, handle, span_of(page, PSP_VMSA_LEN)),
	    PSP_UNSUPPORTED);
	bench_session(b, "session-synthetic-policy-7");
	assert_int_equal(start(b, &handle, b->policy), PSP_SUCCESS);
	assert_int_equal(psp_launch_update_vmsa(
			     b->psp, handle, span_of(page, PSP_VMSA_LEN - 1)),
	    PSP_INVALID_LEN);
	assert_int_equal(psp_launch_update_vmsa(
			     b->psp, handle, span_of(page, PSP_VMSA_LEN + 16)),
	    PSP_INVALID_LEN);
	assert_int_equal(
	    psp_launch_update_vmsa(b->psp, handle, span_of(page, PSP_VMSA_LEN)),
	    PSP_SUCCESS);
}

static void
each_phase_has_its_commands(void **state)
{
	uint8_t page[PSP_VMSA_LEN] = { 0 };
	struct span data = span_of(page, sizeof(page));
	struct psp_guest_state guest;
	enum psp_guest_phase phase;
	struct bench *b = *state;
	uint32_t handle = 0, policy = 0;

	assert_int_equal(start(b, &handle, b->policy), PSP_SUCCESS);
	/* LUPDATE: not measured yet. */
	assert_int_equal(
	    psp_launch_secret(page, 16, b->psp, handle, AREA, data, data),
	    PSP_INVALID_GUEST_STATE);
	assert_int_equal(
	    psp_launch_finish(b->psp, handle), PSP_INVALID_GUEST_STATE);
	assert_int_equal(
	    psp_guest_save(&guest, b->psp, handle), PSP_INVALID_GUEST_STATE);
	/* A short buffer changes nothing. */
	assert_int_equal(
	    psp_launch_measure(page, 47, b->psp, handle), PSP_INVALID_LEN);
	assert_int_equal(
	    psp_launch_update_data(b->psp, handle, data), PSP_SUCCESS);
	assert_int_equal(
	    psp_launch_measure(page, 48, b->psp, handle), PSP_SUCCESS);
	/* LSECRET: nothing more is measured. */
	assert_int_equal(psp_launch_measure(page, 48, b->psp, handle),
	    PSP_INVALID_GUEST_STATE);
	assert_int_equal(psp_launch_update_data(b->psp, handle, data),
	    PSP_INVALID_GUEST_STATE);
	assert_int_equal(psp_launch_finish(b->psp, handle), PSP_SUCCESS);
	/* RUNNING: too late for a secret, and the keys are gone. */
	assert_int_equal(
	    psp_launch_secret(page, 16, b->psp, handle, AREA, data, data),
	    PSP_INVALID_GUEST_STATE);
	assert_int_equal(
	    psp_launch_finish(b->psp, handle), PSP_INVALID_GUEST_STATE);
	assert_int_equal(
	    psp_guest_status(&phase, &policy, b->psp, handle), PSP_SUCCESS);
	assert_int_equal(phase, PSP_GUEST_RUNNING);
	assert_int_equal(policy, b->policy);
	assert_int_equal(psp_decommission(b->psp, handle), PSP_SUCCESS);
	assert_int_equal(psp_decommission(b->psp, handle), PSP_INVALID_GUEST);
}

static void
every_start_has_its_own_nonce(void **state)
{
	struct psp_guest_state one, two;
	struct bench *b = *state;

	(void)measured(b, &one);
	(void)measured(b, &two);
	assert_memory_equal(one.digest, two.digest, sizeof(one.digest));
	assert_memory_not_equal(one.mnonce, two.mnonce, sizeof(one.mnonce));
	assert_memory_not_equal(one.measure, two.measure, sizeof(one.measure));
}

/* What an owner makes (AMD 55766 6.6): header and payload of ${len} bytes,
 * all 'x'. */
static void
make_packet(uint8_t header[PSP_HEADER_LEN], uint8_t *payload, size_t len,
    const struct psp_guest_state *guest)
{
	size_t cap = 1 + 4 + 16 + 8 + len + 32;
	uint8_t *text = malloc(cap);
	struct writer w = writer_of(text, cap);

	memset(header, 0, PSP_HEADER_LEN);
	memset(header + 4, 9, 16);
	memset(payload, 'x', len);
	assert_int_equal(psp_crypto_ctr(payload, guest->tek, header + 4,
			     span_of(payload, len), NULL),
	    0);
	writer_u8(&w, 1);
	writer_put(&w, span_of(header, 20));
	writer_le32(&w, (uint32_t)len);
	writer_le32(&w, (uint32_t)len);
	writer_put(&w, span_of(payload, len));
	writer_put(&w, span_of(guest->measure, 32));
	assert_true(writer_ok(&w));
	assert_int_equal(psp_crypto_hmac(header + 20, span_of(guest->tik, 16),
			     writer_span(&w), NULL),
	    0);
	free(text);
}

static void
secret_refuses(void **state)
{
	static const struct {
		const char *name;
		size_t header_len, payload_len, memory_len;
		int flip; /* offset in header, or 1000 + offset in payload */
		uint64_t address;
		enum psp_status want;
	} bad[] = {
		{ "flags", 52, 48, 48, 0, AREA, PSP_UNSUPPORTED },
		{ "IV", 52, 48, 48, 4, AREA, PSP_BAD_MEASUREMENT },
		{ "MAC", 52, 48, 48, 51, AREA, PSP_BAD_MEASUREMENT },
		{ "payload", 52, 48, 48, 1000, AREA, PSP_BAD_MEASUREMENT },
		{ "payload end", 52, 48, 48, 1047, AREA, PSP_BAD_MEASUREMENT },
		{ "payload cut", 52, 32, 48, -1, AREA, PSP_BAD_MEASUREMENT },
		{ "header short", 51, 48, 48, -1, AREA, PSP_INVALID_LEN },
		{ "header long", 53, 48, 48, -1, AREA, PSP_INVALID_LEN },
		{ "no payload", 52, 0, 48, -1, AREA, PSP_INVALID_LEN },
		{ "odd payload", 52, 47, 48, -1, AREA, PSP_INVALID_LEN },
		{ "no room", 52, 48, 47, -1, AREA, PSP_INVALID_LEN },
		{ "address", 52, 48, 48, -1, AREA + 8, PSP_INVALID_ADDRESS },
	};
	struct psp_guest_state guest;
	struct bench *b = *state;
	uint32_t handle = measured(b, &guest);

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		uint8_t header[64] = { 0 }, payload[48], memory[48] = { 0 };
		uint8_t *h, *p;
		enum psp_status got;

		make_packet(header, payload, sizeof(payload), &guest);
		if (bad[i].flip >= 1000)
			payload[bad[i].flip - 1000] ^= 1;
		else if (bad[i].flip >= 0)
			header[bad[i].flip] ^= 1;
		h = fixture_exact(span_of(header, bad[i].header_len));
		p = fixture_exact(span_of(payload, bad[i].payload_len));
		got = psp_launch_secret(memory, bad[i].memory_len, b->psp,
		    handle, bad[i].address, span_of(h, bad[i].header_len),
		    span_of(p, bad[i].payload_len));
		if (got != bad[i].want)
			fail_msg("%s: %s, want %s", bad[i].name,
			    psp_status_name(got), psp_status_name(bad[i].want));
		assert_int_equal(memory[0], 0);
		free(h);
		free(p);
	}
}

static void
secret_opens_in_its_own_guest_only(void **state)
{
	uint8_t header[PSP_HEADER_LEN] = { 0 }, payload[48] = { 0 };
	uint8_t memory[48] = { 0 };
	struct span h = span_of(header, sizeof(header));
	struct span p = span_of(payload, sizeof(payload));
	struct psp_guest_state one, two;
	struct bench *b = *state;
	uint32_t first = measured(b, &one), second = measured(b, &two);
	uint32_t again = 0;

	make_packet(header, payload, sizeof(payload), &two);
	assert_int_equal(psp_launch_secret(
			     memory, sizeof(memory), b->psp, first, AREA, h, p),
	    PSP_BAD_MEASUREMENT);
	assert_int_equal(memory[0], 0);
	assert_int_equal(psp_launch_secret(memory, sizeof(memory), b->psp,
			     second, AREA, h, p),
	    PSP_SUCCESS);
	assert_int_equal(memory[0], 'x');
	assert_int_equal(memory[47], 'x');
	/* The same from its saved context. */
	assert_int_equal(psp_guest_restore(&again, b->psp, &two), PSP_SUCCESS);
	assert_int_equal(psp_launch_secret(
			     memory, sizeof(memory), b->psp, again, AREA, h, p),
	    PSP_SUCCESS);
}

static void
secret_of_the_largest_size(void **state)
{
	size_t max = PSP_PAYLOAD_MAX, more = max + 16;
	uint8_t *payload = calloc(1, more), *memory = calloc(1, more);
	uint8_t header[PSP_HEADER_LEN];
	struct psp_guest_state guest;
	struct bench *b = *state;
	uint32_t handle = measured(b, &guest);

	make_packet(header, payload, max, &guest);
	assert_int_equal(
	    psp_launch_secret(memory, more, b->psp, handle, AREA,
		span_of(header, sizeof(header)), span_of(payload, max)),
	    PSP_SUCCESS);
	make_packet(header, payload, more, &guest);
	assert_int_equal(
	    psp_launch_secret(memory, more, b->psp, handle, AREA,
		span_of(header, sizeof(header)), span_of(payload, more)),
	    PSP_INVALID_LEN);
	free(payload);
	free(memory);
}

static void
guests_run_out_and_come_back(void **state)
{
	struct psp_platform_status status;
	struct bench *b = *state;
	uint32_t handle = 0;

	for (int i = 0; i < PSP_GUESTS_MAX; i++)
		assert_int_equal(start(b, &handle, b->policy), PSP_SUCCESS);
	assert_int_equal(start(b, &handle, b->policy), PSP_RESOURCE_LIMIT);
	assert_int_equal(psp_platform_status(&status, b->psp), PSP_SUCCESS);
	assert_int_equal(status.guest_count, PSP_GUESTS_MAX);
	assert_int_equal(status.state, PSP_WORKING);
	for (uint32_t i = 1; i <= PSP_GUESTS_MAX; i++)
		assert_int_equal(psp_decommission(b->psp, i), PSP_SUCCESS);
	assert_int_equal(psp_platform_status(&status, b->psp), PSP_SUCCESS);
	assert_int_equal(status.state, PSP_INIT);
	assert_int_equal(start(b, &handle, b->policy), PSP_SUCCESS);
}

static int
broken_random(void *ctx, uint8_t *out, size_t len)
{
	(void)ctx;
	memset(out, 0, len);
	return -1;
}

static void
no_measurement_without_a_nonce(void **state)
{
	struct bench *b = *state;
	struct psp *psp = psp_new(&b->platform, broken_random, NULL);
	uint8_t out[PSP_MEASUREMENT_LEN];
	uint32_t handle = 0;

	assert_int_equal(psp_init(psp), PSP_SUCCESS);
	assert_int_equal(psp_launch_start(&handle, psp, b->policy,
			     secret_span(&b->godh), secret_span(&b->session)),
	    PSP_SUCCESS);
	assert_int_equal(psp_launch_measure(out, sizeof(out), psp, handle),
	    PSP_HWERROR_PLATFORM);
	psp_free(psp);
}

static void
status_names(void **state)
{
	(void)state;
	assert_string_equal(psp_status_name(PSP_SUCCESS), "SUCCESS");
	assert_string_equal(psp_status_name(11), "BAD_MEASUREMENT");
	assert_string_equal(psp_status_name(24), "SECURE_DATA_INVALID");
	assert_string_equal(psp_status_name(25), "unknown status");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(start_refuses),
		TEST(start_judges_the_policy),
		TEST(start_without_an_owner),
		TEST(a_rotated_pdh_ends_old_sessions),
		TEST(commands_before_init),
		TEST(commands_to_no_guest),
		TEST(update_refuses),
		TEST(each_phase_has_its_commands),
		TEST(every_start_has_its_own_nonce),
		TEST(secret_refuses),
		TEST(secret_opens_in_its_own_guest_only),
		TEST(secret_of_the_largest_size),
		TEST(guests_run_out_and_come_back),
		TEST(no_measurement_without_a_nonce),
		cmocka_unit_test(status_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
