#include <stdlib.h>
#include <string.h>

#include "agent/registration.h"
#include "agent/vault/session.h"
#include "agent/vault/store_seal.h"

/* Stored records: what decodes encodes to the same bytes. */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int64_t
no_time(void *arg)
{
	(void)arg;
	return 0;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct times clock = { no_time, no_time, NULL };
	const uint8_t boot_id[TIMES_BOOT_ID_LEN] = { 1 };
	const uint8_t key[STORE_SEAL_KEY_LEN] = { 1 };
	struct registration *r = NULL;
	struct secret bytes = { 0 };
	struct session session;
	struct err err = { 0 };

	if (registration_decode(&r, span_of(data, size), &err) == 0) {
		if (registration_encode(&bytes, r, &err) != 0)
			__builtin_trap();
		secret_free(&bytes);
		registration_free(r);
	}
	(void)session_decode(
	    &session, span_of(data, size), &clock, boot_id, &err);
	if (store_unseal(&bytes, span_of(key, sizeof(key)), span_str("x"),
		span_of(data, size), &err) == 0)
		__builtin_trap(); /* 2^-128 */
	return 0;
}
