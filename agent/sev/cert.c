#include "agent/sev/cert.h"

static void
read_sig(struct reader *r, struct sev_sig *out)
{
	out->usage = reader_le32(r);
	out->algo = reader_le32(r);
	out->bytes = reader_take(r, SEV_CERT_SIG_LEN);
}

/* The EC form; of any other key these are numbers that nobody reads. */
static void
read_key(struct reader *r, struct sev_cert *out)
{
	struct reader key = reader_of(reader_take(r, SEV_CERT_KEY_LEN));

	out->curve = reader_le32(&key);
	out->qx = reader_take(&key, SEV_EC_NUMBER_LEN);
	out->qy = reader_take(&key, SEV_EC_NUMBER_LEN);
}

int
sev_cert_parse(struct sev_cert *out, struct span in, struct err *err)
{
	struct reader r = reader_of(in);
	uint32_t version = reader_le32(&r);

	out->api_major = reader_u8(&r);
	out->api_minor = reader_u8(&r);
	reader_le16(&r);
	out->usage = reader_le32(&r);
	out->algo = reader_le32(&r);
	read_key(&r, out);
	read_sig(&r, &out->sig[0]);
	read_sig(&r, &out->sig[1]);
	if (!reader_done(&r))
		return err_set(err, ERR_MALFORMED,
		    "SEV certificate of %zu bytes, want %d (55766 C)", in.len,
		    SEV_CERT_LEN);
	if (version != 1)
		return err_set(err, ERR_MALFORMED,
		    "SEV certificate of version %u, want 1 (55766 C)", version);
	out->raw = in;
	r = reader_of(in);
	out->signed_raw = reader_take(&r, SEV_CERT_SIGNED_LEN);
	return 0;
}

bool
sev_cert_same_point(const struct sev_cert *a, const struct sev_cert *b)
{
	return a->curve == b->curve && span_equal(a->qx, b->qx) &&
	    span_equal(a->qy, b->qy);
}

bool
sev_cert_same_key(const struct sev_cert *a, const struct sev_cert *b)
{
	return a->algo == b->algo && sev_cert_same_point(a, b);
}

int
sev_cert_fingerprint(
    uint8_t out[SEV_SHA256_LEN], const struct sev_cert *cert, struct err *err)
{
	return sev_cert_fingerprint_as(out, cert, cert->algo, err);
}

int
sev_cert_fingerprint_as(uint8_t out[SEV_SHA256_LEN],
    const struct sev_cert *cert, uint32_t algo, struct err *err)
{
	uint8_t key[4 + 4 + 2 * SEV_EC_NUMBER_LEN];
	struct writer w = writer_of(key, sizeof(key));

	writer_le32(&w, algo);
	writer_le32(&w, cert->curve);
	writer_put(&w, cert->qx);
	writer_put(&w, cert->qy);
	return sev_hash_sha256(out, writer_span(&w), err);
}

static const struct {
	uint32_t code;
	const char *name;
} usages[] = {
	{ SEV_USAGE_ARK, "ARK" },
	{ SEV_USAGE_ASK, "ASK" },
	{ SEV_USAGE_NONE, "empty" },
	{ SEV_USAGE_OCA, "OCA" },
	{ SEV_USAGE_PEK, "PEK" },
	{ SEV_USAGE_PDH, "PDH" },
	{ SEV_USAGE_CEK, "CEK" },
}, algos[] = {
	{ SEV_ALGO_NONE, "none" },
	{ SEV_ALGO_RSA_SHA256, "RSA SHA-256" },
	{ SEV_ALGO_ECDSA_SHA256, "ECDSA SHA-256" },
	{ SEV_ALGO_ECDH_SHA256, "ECDH SHA-256" },
	{ SEV_ALGO_RSA_SHA384, "RSA SHA-384" },
	{ SEV_ALGO_ECDSA_SHA384, "ECDSA SHA-384" },
	{ SEV_ALGO_ECDH_SHA384, "ECDH SHA-384" },
};

bool
sev_cert_is_signed(const struct sev_cert *cert)
{
	for (size_t i = 0; i < 2; i++) {
		uint32_t algo = cert->sig[i].algo;

		if (cert->sig[i].usage == SEV_USAGE_NONE ||
		    algo == SEV_ALGO_NONE)
			continue;
		/* AMD's server once wrote 0x0010 into an empty slot. */
		for (size_t k = 0; k < sizeof(usages) / sizeof(*usages); k++)
			if (usages[k].code == cert->sig[i].usage)
				return true;
	}
	return false;
}

const char *
sev_usage_name(uint32_t usage)
{
	for (size_t i = 0; i < sizeof(usages) / sizeof(*usages); i++)
		if (usages[i].code == usage)
			return usages[i].name;
	return "unknown";
}

const char *
sev_algo_name(uint32_t algo)
{
	for (size_t i = 0; i < sizeof(algos) / sizeof(*algos); i++)
		if (algos[i].code == algo)
			return algos[i].name;
	return "unknown";
}
