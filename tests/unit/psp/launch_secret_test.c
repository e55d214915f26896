/* LAUNCH_SECRET: what opens, and what does not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/psp/crypto.h"
#include "tests/unit/psp/bench.h"

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
	uint32_t handle = bench_measured(b, &guest);

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
	uint32_t first = bench_measured(b, &one),
		 second = bench_measured(b, &two);
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
	uint32_t handle = bench_measured(b, &guest);

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

#define TEST(name)                                                             \
	cmocka_unit_test_setup_teardown(name, bench_setup, bench_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(secret_refuses),
		TEST(secret_opens_in_its_own_guest_only),
		TEST(secret_of_the_largest_size),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
