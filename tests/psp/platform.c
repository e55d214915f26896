#include "tests/psp/platform.h"

#include <openssl/evp.h>
#include <string.h>

#include "common/secret.h"

/* ARK and ASK: fresh ones, or those of another platform. */
static int
make_root(struct psp_platform *p, const struct psp_platform_spec *spec,
    struct err *err)
{
	uint8_t ark_id[PSP_KEY_ID_LEN], ask_id[PSP_KEY_ID_LEN];
	const struct psp_platform *root = spec->root;

	if (root != NULL) {
		if (root->ask == NULL)
			return err_set(err, ERR_NOT_FOUND,
			    "the root's ASK has no private key at hand");
		if ((root->ark != NULL && EVP_PKEY_up_ref(root->ark) != 1) ||
		    EVP_PKEY_up_ref(root->ask) != 1)
			return err_set(err, ERR_INTERNAL, "no key reference");
		p->ark = root->ark;
		p->ask = root->ask;
		memcpy(p->ark_cert, root->ark_cert, root->ark_len);
		memcpy(p->ask_cert, root->ask_cert, root->ask_len);
		p->ark_len = root->ark_len;
		p->ask_len = root->ask_len;
		return 0;
	}
	if (spec->bits != 2048 && spec->bits != 4096)
		return err_set(err, ERR_USAGE,
		    "generation of %u bits, want 2048 or 4096", spec->bits);
	if (secret_random(ark_id, sizeof(ark_id), err) != 0 ||
	    secret_random(ask_id, sizeof(ask_id), err) != 0 ||
	    psp_key_make_rsa(&p->ark, spec->bits, err) != 0 ||
	    psp_key_make_rsa(&p->ask, spec->bits, err) != 0 ||
	    psp_cert_make_amd(p->ark_cert, &p->ark_len, PSP_USAGE_ARK, p->ark,
		ark_id, p->ark, ark_id, err) != 0)
		return -1;
	return psp_cert_make_amd(p->ask_cert, &p->ask_len, PSP_USAGE_ASK,
	    p->ask, ask_id, p->ark, ark_id, err);
}

static int
make_pdh(struct psp_platform *p, struct err *err)
{
	uint8_t api[2] = { p->api.major, p->api.minor };
	uint8_t *cert = p->cert[PSP_PDH];

	if (psp_cert_make(cert, PSP_USAGE_PDH, PSP_ALGO_ECDH_SHA256, api,
		p->key[PSP_PDH], err) != 0)
		return -1;
	return psp_cert_sign(cert, 0, PSP_USAGE_PEK, p->key[PSP_PEK], err);
}

static int
make_certs(struct psp_platform *p, bool external, struct err *err)
{
	static const enum psp_usage usage[] = {
		[PSP_CEK] = PSP_USAGE_CEK,
		[PSP_OCA] = PSP_USAGE_OCA,
		[PSP_PEK] = PSP_USAGE_PEK,
	};
	static const struct {
		enum psp_role child;
		unsigned slot;
		enum psp_role parent;
	} links[] = {
		{ PSP_OCA, 0, PSP_OCA },
		{ PSP_PEK, 0, PSP_OCA },
		{ PSP_PEK, 1, PSP_CEK },
	};

	for (int i = PSP_CEK; i <= PSP_PEK; i++) {
		uint8_t api[2] = { p->api.major, p->api.minor };

		/* An external owner's tool writes 0.0. */
		if (i == PSP_OCA && external)
			memset(api, 0, sizeof(api));
		if (psp_cert_make(p->cert[i], usage[i], PSP_ALGO_ECDSA_SHA256,
			api, p->key[i], err) != 0)
			return -1;
	}
	for (size_t i = 0; i < sizeof(links) / sizeof(links[0]); i++)
		if (psp_cert_sign(p->cert[links[i].child], links[i].slot,
			usage[links[i].parent], p->key[links[i].parent],
			err) != 0)
			return -1;
	return psp_cert_sign(p->cert[PSP_CEK], 0, PSP_USAGE_ASK, p->ask, err);
}

int
psp_platform_make(struct psp_platform *out,
    const struct psp_platform_spec *spec, struct err *err)
{
	struct psp_platform p = { .api = spec->api };
	int rc = -1;

	if (spec->chip_id.len == PSP_CHIP_ID_LEN) {
		memcpy(p.chip_id, spec->chip_id.ptr, PSP_CHIP_ID_LEN);
	} else if (spec->chip_id.len != 0) {
		err_set(err, ERR_USAGE, "chip id of %zu bytes, want %d",
		    spec->chip_id.len, PSP_CHIP_ID_LEN);
		goto out;
	} else if (secret_random(p.chip_id, sizeof(p.chip_id), err) != 0) {
		goto out;
	}
	if (make_root(&p, spec, err) != 0)
		goto out;
	for (int i = 0; i < PSP_ROLES; i++) {
		if (i == PSP_OCA && spec->owner != NULL) {
			if (EVP_PKEY_up_ref(spec->owner) != 1) {
				err_set(err, ERR_INTERNAL, "no key reference");
				goto out;
			}
			p.key[i] = spec->owner;
		} else if (psp_key_make_ec(&p.key[i], err) != 0) {
			goto out;
		}
	}
	if (make_certs(&p, spec->owner != NULL, err) != 0 ||
	    make_pdh(&p, err) != 0)
		goto out;
	*out = p;
	memset(&p, 0, sizeof(p));
	rc = 0;
out:
	psp_platform_free(&p);
	return rc;
}

int
psp_platform_rotate(struct psp_platform *p, struct err *err)
{
	EVP_PKEY *fresh = NULL;

	if (p->key[PSP_PEK] == NULL)
		return err_set(
		    err, ERR_NOT_FOUND, "the PEK's private key is not at hand");
	if (psp_key_make_ec(&fresh, err) != 0)
		return -1;
	EVP_PKEY_free(p->key[PSP_PDH]);
	p->key[PSP_PDH] = fresh;
	return make_pdh(p, err);
}

void
psp_platform_free(struct psp_platform *p)
{
	if (p == NULL)
		return;
	EVP_PKEY_free(p->ark);
	EVP_PKEY_free(p->ask);
	for (int i = 0; i < PSP_ROLES; i++)
		EVP_PKEY_free(p->key[i]);
	memset(p, 0, sizeof(*p));
}
