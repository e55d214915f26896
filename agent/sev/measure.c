#include "agent/sev/measure.h"

#include "common/secret.h"

/* 0x04, API, build, policy, LD, MNONCE. */
#define TEXT_LEN (1 + 3 + 4 + SEV_SHA256_LEN + SEV_NONCE_LEN)

int
sev_build_compare(const struct sev_build *a, const struct sev_build *b)
{
	if (a->api_major != b->api_major)
		return a->api_major < b->api_major ? -1 : 1;
	if (a->api_minor != b->api_minor)
		return a->api_minor < b->api_minor ? -1 : 1;
	if (a->build_id != b->build_id)
		return a->build_id < b->build_id ? -1 : 1;
	return 0;
}

int
sev_measure_parse(struct sev_measure *out, struct span in, struct err *err)
{
	struct reader r = reader_of(in);

	reader_copy(&r, out->mac, sizeof(out->mac));
	reader_copy(&r, out->nonce, sizeof(out->nonce));
	/* Other tools take trailing bytes, or a part of the nonce. */
	if (!reader_done(&r))
		return err_set(err, ERR_MALFORMED,
		    "measurement of %zu bytes, want %d (55766 6.5)", in.len,
		    SEV_MEASURE_BLOB_LEN);
	return 0;
}

int
sev_measure_compute(uint8_t out[SEV_MEASURE_LEN], const uint8_t tik[SEV_TK_LEN],
    const struct sev_build *build, uint32_t policy,
    const uint8_t digest[SEV_SHA256_LEN], const uint8_t nonce[SEV_NONCE_LEN],
    struct err *err)
{
	uint8_t text[TEXT_LEN];
	struct writer w = writer_of(text, sizeof(text));

	if (build->api_major == 0 && build->api_minor < 17)
		return err_set(err, ERR_UNSUPPORTED,
		    "firmware API 0.%u, want 0.17 or newer: older ones MAC "
		    "other inputs",
		    build->api_minor);
	writer_u8(&w, 0x04);
	writer_u8(&w, build->api_major);
	writer_u8(&w, build->api_minor);
	writer_u8(&w, build->build_id);
	writer_le32(&w, policy);
	writer_put(&w, span_of(digest, SEV_SHA256_LEN));
	writer_put(&w, span_of(nonce, SEV_NONCE_LEN));
	return sev_hash_hmac(
	    out, span_of(tik, SEV_TK_LEN), writer_span(&w), err);
}

int
sev_measure_verify(const struct sev_measure *m, const uint8_t tik[SEV_TK_LEN],
    const struct sev_build *build, uint32_t policy,
    const uint8_t digest[SEV_SHA256_LEN], struct err *err)
{
	uint8_t want[SEV_MEASURE_LEN];
	int rc = -1;

	if (sev_measure_compute(
		want, tik, build, policy, digest, m->nonce, err) != 0)
		goto out;
	if (!secret_equal(
		span_of(want, sizeof(want)), span_of(m->mac, sizeof(m->mac)))) {
		err_set(err, ERR_UNTRUSTED,
		    "launch measurement does not match the expected digest, "
		    "policy, build and key (55766 6.5)");
		goto out;
	}
	rc = 0;
out:
	secret_wipe(want, sizeof(want));
	return rc;
}
