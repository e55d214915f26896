#include "common/siphash.h"

static inline uint64_t
rotl(uint64_t x, unsigned by)
{
	return x << by | x >> (64 - by);
}

static void
round_of(uint64_t v[4])
{
	v[0] += v[1];
	v[1] = rotl(v[1], 13) ^ v[0];
	v[0] = rotl(v[0], 32);
	v[2] += v[3];
	v[3] = rotl(v[3], 16) ^ v[2];
	v[0] += v[3];
	v[3] = rotl(v[3], 21) ^ v[0];
	v[2] += v[1];
	v[1] = rotl(v[1], 17) ^ v[2];
	v[2] = rotl(v[2], 32);
}

static void
absorb(uint64_t v[4], uint64_t m)
{
	v[3] ^= m;
	round_of(v);
	round_of(v);
	v[0] ^= m;
}

uint64_t
siphash(const uint8_t key[SIPHASH_KEY_LEN], struct span in)
{
	struct reader k = reader_of(span_of(key, SIPHASH_KEY_LEN));
	struct reader r = reader_of(in);
	uint64_t k0 = reader_le64(&k), k1 = reader_le64(&k);
	uint64_t v[4] = { k0 ^ 0x736f6d6570736575, k1 ^ 0x646f72616e646f6d,
		k0 ^ 0x6c7967656e657261, k1 ^ 0x7465646279746573 };
	uint64_t last = (uint64_t)in.len << 56;

	while (r.rest.len >= 8)
		absorb(v, reader_le64(&r));
	for (unsigned shift = 0; r.rest.len > 0; shift += 8)
		last |= (uint64_t)reader_u8(&r) << shift;
	absorb(v, last);
	v[2] ^= 0xff;
	for (int i = 0; i < 4; i++)
		round_of(v);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}
