#include "tests/unit/psp/bench.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

void
bench_session(struct bench *b, const char *name)
{
	json_t *one = fixture_case(b->root, name);

	secret_free(&b->godh);
	secret_free(&b->session);
	b->godh = fixture_base64(one, "godh_cert_b64_unsigned");
	b->session = fixture_base64(one, "session_b64");
	b->policy = fixture_number(one, "policy");
}

int
bench_setup(void **state)
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

int
bench_teardown(void **state)
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

enum psp_status
bench_start(struct bench *b, uint32_t *handle, uint32_t policy)
{
	return psp_launch_start(handle, b->psp, policy, secret_span(&b->godh),
	    secret_span(&b->session));
}

uint32_t
bench_measured(struct bench *b, struct psp_guest_state *guest)
{
	static const uint8_t firmware[64] = { 1 };
	uint8_t out[PSP_MEASUREMENT_LEN];
	uint32_t handle = 0;

	assert_int_equal(bench_start(b, &handle, b->policy), PSP_SUCCESS);
	assert_int_equal(psp_launch_update_data(b->psp, handle,
			     span_of(firmware, sizeof(firmware))),
	    PSP_SUCCESS);
	assert_int_equal(
	    psp_launch_measure(out, sizeof(out), b->psp, handle), PSP_SUCCESS);
	assert_int_equal(psp_guest_save(guest, b->psp, handle), PSP_SUCCESS);
	assert_memory_equal(out, guest->measure, sizeof(guest->measure));
	return handle;
}
