#include "agent/sev/amd_cert.h"

#include "agent/sev/cert.h"

/* The fixed head; ${out}->bits is 0 if the two sizes differ. */
static uint32_t
read_head(struct sev_amd_cert *out, struct reader *r)
{
	uint32_t version = reader_le32(r), exponent_bits;

	out->key_id = reader_take(r, SEV_AMD_KEY_ID_LEN);
	out->certifying_id = reader_take(r, SEV_AMD_KEY_ID_LEN);
	out->usage = reader_le32(r);
	reader_take(r, 16);
	exponent_bits = reader_le32(r);
	out->bits = reader_le32(r);
	if (out->bits != exponent_bits)
		out->bits = 0;
	return version;
}

int
sev_amd_cert_take(struct sev_amd_cert *out, struct reader *r, struct err *err)
{
	struct reader all = *r;
	size_t had = r->rest.len, len;
	uint32_t version = read_head(out, r);

	if (!reader_ok(r))
		return err_set(err, ERR_MALFORMED,
		    "AMD certificate of %zu bytes, want %d or %d (55766 B)",
		    had, SEV_AMD_CERT_2048_LEN, SEV_AMD_CERT_4096_LEN);
	if (version != 1)
		return err_set(err, ERR_MALFORMED,
		    "AMD certificate of version %u, want 1 (55766 B)", version);
	if (out->usage != SEV_USAGE_ARK && out->usage != SEV_USAGE_ASK)
		return err_set(err, ERR_MALFORMED,
		    "AMD certificate of usage 0x%04x, want ARK or ASK "
		    "(55766 B)",
		    out->usage);
	if (out->bits != 2048 && out->bits != 4096)
		return err_set(err, ERR_MALFORMED,
		    "%s whose exponent and modulus are not both of 2048 or "
		    "4096 bits (55766 B)",
		    sev_usage_name(out->usage));
	len = out->bits / 8;
	out->exponent = reader_take(r, len);
	out->modulus = reader_take(r, len);
	if (reader_done(r) && out->usage == SEV_USAGE_ARK && out->bits == 2048)
		out->signature = span_of(NULL, 0);
	else
		out->signature = reader_take(r, len);
	if (!reader_ok(r))
		return err_set(err, ERR_MALFORMED,
		    "%s of %zu bytes, want %zu (55766 B)",
		    sev_usage_name(out->usage), had,
		    SEV_AMD_HEAD_LEN + 3 * len);
	out->body = span_of(all.rest.ptr, SEV_AMD_HEAD_LEN + 2 * len);
	out->raw = reader_take(&all, out->body.len + out->signature.len);
	return 0;
}

int
sev_amd_cert_parse(struct sev_amd_cert *out, struct span in, struct err *err)
{
	struct reader r = reader_of(in);

	if (sev_amd_cert_take(out, &r, err) != 0)
		return -1;
	if (!reader_done(&r))
		return err_set(err, ERR_MALFORMED,
		    "%s of %zu bytes, want %zu (55766 B)",
		    sev_usage_name(out->usage), in.len, out->raw.len);
	return 0;
}

int
sev_amd_cert_fingerprint(uint8_t out[SEV_SHA256_LEN],
    const struct sev_amd_cert *cert, struct err *err)
{
	return sev_hash_sha256(out, cert->body, err);
}

uint32_t
sev_amd_cert_algo(const struct sev_amd_cert *cert)
{
	return cert->bits == 2048 ? SEV_ALGO_RSA_SHA256 : SEV_ALGO_RSA_SHA384;
}
