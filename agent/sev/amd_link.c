#include "agent/sev/amd_link.h"

#include "agent/sev/key.h"

int
sev_amd_link_verify(const struct sev_amd_cert *parent,
    const struct sev_amd_cert *child, struct err *err)
{
	EVP_PKEY *key = NULL;
	int rc = -1;

	if (!span_equal(child->certifying_id, parent->key_id))
		return err_set(err, ERR_UNTRUSTED,
		    "its certifying key id is not the key id of the %s "
		    "(55766 B)",
		    sev_usage_name(parent->usage));
	if (child->bits != parent->bits)
		return err_set(err, ERR_UNTRUSTED,
		    "%u bits under a key of %u bits (55766 B)", child->bits,
		    parent->bits);
	if (sev_key_rsa(&key, parent, err) != 0)
		goto out;
	if (sev_key_verify(key, sev_amd_cert_algo(parent), child->body,
		child->signature, err) != 0)
		goto out;
	rc = 0;
out:
	EVP_PKEY_free(key);
	return rc;
}

int
sev_amd_link_cek(
    const struct sev_amd_cert *ask, const struct sev_cert *cek, struct err *err)
{
	uint32_t algo = sev_amd_cert_algo(ask);
	EVP_PKEY *key = NULL;
	int rc = -1;

	err_set(err, ERR_UNTRUSTED, "no slot with an %s signature of the ASK",
	    sev_algo_name(algo));
	for (size_t i = 0; i < 2 && rc != 0; i++) {
		const struct sev_sig *sig = &cek->sig[i];

		if (sig->usage != SEV_USAGE_ASK || sig->algo != algo)
			continue;
		if (key == NULL && sev_key_rsa(&key, ask, err) != 0)
			break;
		rc =
		    sev_key_verify(key, algo, cek->signed_raw, sig->bytes, err);
	}
	EVP_PKEY_free(key);
	return rc;
}
