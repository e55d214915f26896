#include "common/uuid.h"

#include <openssl/evp.h>
#include <string.h>

#include "common/hex.h"

int
uuid_parse(struct uuid *out, struct span in, struct err *err)
{
	static const size_t dashes[] = { 8, 13, 18, 23 };
	uint8_t digits[32];
	size_t next = 0, at = 0;

	if (in.len != UUID_TEXT_LEN)
		return err_set(err, ERR_MALFORMED,
		    "UUID of %zu characters, want %d (RFC 9562 4)", in.len,
		    UUID_TEXT_LEN);
	for (size_t i = 0; i < in.len; i++) {
		if (next < 4 && i == dashes[next]) {
			if (in.ptr[i] != '-')
				return err_set(err, ERR_MALFORMED,
				    "UUID without '-' at character %zu "
				    "(RFC 9562 4)", i);
			next++;
		} else {
			digits[at++] = in.ptr[i];
		}
	}
	if (hex_decode(out->bytes, sizeof(out->bytes),
	    span_of(digits, sizeof(digits)), err) != 0)
		return err_wrap(err, "UUID");
	return 0;
}

char *
uuid_format(char out[UUID_TEXT_LEN + 1], const struct uuid *u)
{
	static const size_t groups[] = { 4, 2, 2, 2, 6 };
	size_t at = 0, from = 0;

	for (size_t g = 0; g < 5; g++) {
		if (g > 0)
			out[at++] = '-';
		hex_encode(out + at, 2 * groups[g] + 1,
		    span_of(u->bytes + from, groups[g]));
		from += groups[g];
		at += 2 * groups[g];
	}
	return out;
}

bool
uuid_equal(const struct uuid *a, const struct uuid *b)
{
	return memcmp(a->bytes, b->bytes, sizeof(a->bytes)) == 0;
}

static void
stamp(struct uuid *u, uint8_t version)
{
	u->bytes[6] = (uint8_t)((u->bytes[6] & 0x0f) | version << 4);
	u->bytes[8] = (uint8_t)((u->bytes[8] & 0x3f) | 0x80);
}

void
uuid_v4(struct uuid *out, const uint8_t random[16])
{
	memcpy(out->bytes, random, sizeof(out->bytes));
	stamp(out, 4);
}

int
uuid_self_certifying(struct uuid *out, const uint8_t key[UUID_KEY_LEN],
    struct span label, struct err *err)
{
	static const char tag[] = "attest-relay.vm"; /* hashed with its NUL */
	uint8_t digest[32];
	EVP_MD_CTX *md = EVP_MD_CTX_new();
	int rc = -1;

	if (md == NULL || EVP_DigestInit_ex2(md, EVP_sha256(), NULL) != 1 ||
	    EVP_DigestUpdate(md, tag, sizeof(tag)) != 1 ||
	    EVP_DigestUpdate(md, key, UUID_KEY_LEN) != 1 ||
	    EVP_DigestUpdate(md, label.ptr, label.len) != 1 ||
	    EVP_DigestFinal_ex(md, digest, NULL) != 1) {
		err_set(err, ERR_INTERNAL, "SHA-256 is not available");
		goto out;
	}
	memcpy(out->bytes, digest, sizeof(out->bytes));
	stamp(out, 8);
	rc = 0;
out:
	EVP_MD_CTX_free(md);
	return rc;
}
