#include "tests/bench/driver/commands.h"

#include "common/base64.h"
#include "tests/bench/driver/talk.h"

#include <openssl/evp.h>
#include <stdio.h>

static int
print_one(uint32_t n, struct err *err)
{
	uint8_t seed[TALK_KEY_LEN], key[TALK_KEY_LEN];
	char text[64], uuid[UUID_TEXT_LEN + 1];
	struct uuid vm = talk_vm(n);
	size_t len = sizeof(key);
	EVP_PKEY *pkey;
	int rc = -1;

	talk_seed(seed, n);
	pkey = EVP_PKEY_new_raw_private_key(
	    EVP_PKEY_ED25519, NULL, seed, sizeof(seed));
	if (pkey == NULL || EVP_PKEY_get_raw_public_key(pkey, key, &len) != 1)
		err_set(err, ERR_INTERNAL, "no Ed25519");
	else
		rc = 0;
	EVP_PKEY_free(pkey);
	if (rc == 0)
		printf("ed25519:%s %s\n",
		    base64_encode(text, sizeof(text), span_of(key, len)),
		    uuid_format(uuid, &vm));
	return rc;
}

int
command_keys(const struct options *o, struct loop *loop, struct err *err)
{
	(void)loop;
	for (uint32_t i = 0; i < o->count; i++)
		if (print_one(o->first + i, err) != 0)
			return -1;
	return 0;
}
