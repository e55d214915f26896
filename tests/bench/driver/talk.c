#include "tests/bench/driver/talk.h"

#include <openssl/evp.h>
#include <string.h>

#define VM "/vm/"

static uint8_t filler[TALK_ANSWER_LEN];
static uint8_t request[TALK_REQUEST_LEN];

static void
fill(uint8_t *out, size_t len)
{
	for (size_t i = 0; i < len; i++)
		out[i] = (uint8_t)('a' + i % 26);
}

struct uuid
talk_vm(uint32_t n)
{
	struct uuid vm = { { 0 } };

	vm.bytes[6] = 0x40;
	vm.bytes[8] = 0x80;
	for (int i = 0; i < 4; i++)
		vm.bytes[15 - i] = (uint8_t)(n >> (8 * i));
	return vm;
}

void
talk_seed(uint8_t out[TALK_KEY_LEN], uint32_t n)
{
	uint8_t text[16] = "relay-bench";

	memcpy(text + 12, &n, sizeof(n));
	EVP_Digest(text, sizeof(text), out, NULL, EVP_sha256(), NULL);
}

struct span
talk_request_body(void)
{
	if (request[0] == 0)
		fill(request, sizeof(request));
	return span_of(request, sizeof(request));
}

bool
talk_answer(uint8_t out[TALK_ANSWER_LEN], struct span path)
{
	const uint8_t *at = memmem(path.ptr, path.len, VM, strlen(VM));
	size_t left =
	    at == NULL ? 0 : path.len - (size_t)(at - path.ptr) - strlen(VM);

	if (filler[0] == 0)
		fill(filler, sizeof(filler));
	if (left < UUID_TEXT_LEN)
		return false;
	memcpy(out, at + strlen(VM), UUID_TEXT_LEN);
	memcpy(out + UUID_TEXT_LEN, filler + UUID_TEXT_LEN,
	    TALK_ANSWER_LEN - UUID_TEXT_LEN);
	return true;
}

bool
talk_is_answer(struct span got, const struct uuid *vm)
{
	char text[UUID_TEXT_LEN + 1];

	if (filler[0] == 0)
		fill(filler, sizeof(filler));
	uuid_format(text, vm);
	return got.len == TALK_ANSWER_LEN &&
	    memcmp(got.ptr, text, UUID_TEXT_LEN) == 0 &&
	    memcmp(got.ptr + UUID_TEXT_LEN, filler + UUID_TEXT_LEN,
		TALK_ANSWER_LEN - UUID_TEXT_LEN) == 0;
}
