/* The launch commands (AMD 55766, chapter 6). */
#include <openssl/evp.h>
#include <string.h>

#include "common/secret.h"
#include "tests/psp/crypto.h"
#include "tests/psp/guest.h"
#include "tests/psp/psp.h"

#define BLOCK 16

/* The owner's session (AMD 55766 6.2, table 45), and what unwraps it. */
struct session {
	struct span nonce, wrap_tk, wrap_iv, wrap_mac, policy_mac;
	uint8_t kek[PSP_KEY_LEN], kik[PSP_KEY_LEN];
};

static void
session_parse(struct session *out, struct span in)
{
	struct reader r = reader_of(in);

	out->nonce = reader_take(&r, 16);
	out->wrap_tk = reader_take(&r, (size_t)2 * PSP_KEY_LEN);
	out->wrap_iv = reader_take(&r, BLOCK);
	out->wrap_mac = reader_take(&r, PSP_SHA256_LEN);
	out->policy_mac = reader_take(&r, PSP_SHA256_LEN);
}

/* ECDH with the owner's key, then master secret, KEK and KIK. */
static enum psp_status
session_keys(struct session *s, const struct psp *psp, struct span godh)
{
	uint8_t z[PSP_ECDH_LEN] = { 0 }, master[PSP_KEY_LEN] = { 0 };
	struct span none = span_of(NULL, 0);
	EVP_PKEY *owner = NULL;
	enum psp_status rc = PSP_HWERROR_PLATFORM;

	if (psp_cert_key(&owner, godh, PSP_USAGE_PDH, NULL) != 0) {
		rc = PSP_INVALID_CERTIFICATE;
		goto out;
	}
	if (psp_key_ecdh(z, psp->platform->key[PSP_PDH], owner, NULL) != 0 ||
	    psp_crypto_kdf(master, span_of(z, sizeof(z)), "sev-master-secret",
		s->nonce, NULL) != 0 ||
	    psp_crypto_kdf(s->kek, span_of(master, sizeof(master)), "sev-kek",
		none, NULL) != 0 ||
	    psp_crypto_kdf(s->kik, span_of(master, sizeof(master)), "sev-kik",
		none, NULL) != 0)
		goto out;
	rc = PSP_SUCCESS;
out:
	secret_wipe(z, sizeof(z));
	secret_wipe(master, sizeof(master));
	EVP_PKEY_free(owner);
	return rc;
}

static enum psp_status
check_mac(struct span key, struct span text, struct span want)
{
	uint8_t mac[PSP_SHA256_LEN];

	if (psp_crypto_hmac(mac, key, text, NULL) != 0)
		return PSP_HWERROR_PLATFORM;
	return secret_equal(span_of(mac, sizeof(mac)), want)
	    ? PSP_SUCCESS
	    : PSP_BAD_MEASUREMENT;
}

/* TEK and TIK out of the session, both MACs checked. */
static enum psp_status
unwrap(struct psp_guest_state *g, struct session *s)
{
	uint8_t tk[2 * PSP_KEY_LEN], policy[4];
	struct writer w = writer_of(policy, sizeof(policy));
	enum psp_status rc;

	rc =
	    check_mac(span_of(s->kik, sizeof(s->kik)), s->wrap_tk, s->wrap_mac);
	if (rc != PSP_SUCCESS)
		return rc;
	if (psp_crypto_ctr(tk, s->kek, s->wrap_iv.ptr, s->wrap_tk, NULL) != 0)
		return PSP_HWERROR_PLATFORM;
	memcpy(g->tek, tk, PSP_KEY_LEN);
	memcpy(g->tik, tk + PSP_KEY_LEN, PSP_KEY_LEN);
	secret_wipe(tk, sizeof(tk));
	writer_le32(&w, g->policy);
	return check_mac(
	    span_of(g->tik, PSP_KEY_LEN), writer_span(&w), s->policy_mac);
}

static enum psp_status
check_policy(const struct psp *psp, uint32_t policy)
{
	unsigned major = policy >> 16 & 0xff, minor = policy >> 24;
	const struct psp_platform *p = psp->platform;

	if ((policy & PSP_POLICY_ES) != 0 && p->no_es)
		return PSP_POLICY_FAILURE;
	if (p->api.major < major ||
	    (p->api.major == major && p->api.minor < minor))
		return PSP_POLICY_FAILURE;
	return PSP_SUCCESS;
}

enum psp_status
psp_launch_start(uint32_t *handle, struct psp *psp, uint32_t policy,
    struct span godh, struct span session)
{
	struct psp_guest_state g = { .policy = policy };
	struct session s = { 0 };
	uint32_t made = 0;
	enum psp_status rc;

	if (psp->state == PSP_UNINIT)
		return PSP_INVALID_PLATFORM_STATE;
	rc = check_policy(psp, policy);
	if (rc != PSP_SUCCESS)
		return rc;
	g.phase = PSP_GUEST_LUPDATE;
	if (godh.len == 0 && session.len == 0) {
		if (psp->random(psp->ctx, g.tek, sizeof(g.tek)) != 0 ||
		    psp->random(psp->ctx, g.tik, sizeof(g.tik)) != 0)
			rc = PSP_HWERROR_PLATFORM;
	} else if (godh.len != PSP_CERT_LEN || session.len != PSP_SESSION_LEN) {
		rc = PSP_INVALID_LEN;
	} else {
		session_parse(&s, session);
		rc = session_keys(&s, psp, godh);
		if (rc == PSP_SUCCESS)
			rc = unwrap(&g, &s);
	}
	if (rc == PSP_SUCCESS)
		rc = psp_guest_restore(&made, psp, &g);
	if (rc == PSP_SUCCESS)
		*handle = made;
	secret_wipe(&s, sizeof(s));
	secret_wipe(&g, sizeof(g));
	return rc;
}

static enum psp_status
update(struct psp *psp, uint32_t handle, struct span data, bool vmsa)
{
	struct psp_guest *g = NULL;
	enum psp_status rc = psp_guest_get(&g, psp, handle);

	if (rc != PSP_SUCCESS)
		return rc;
	if (g->s.phase != PSP_GUEST_LUPDATE)
		return PSP_INVALID_GUEST_STATE;
	if (vmsa && (g->s.policy & PSP_POLICY_ES) == 0)
		return PSP_UNSUPPORTED;
	if (vmsa ? data.len != PSP_VMSA_LEN
		 : data.len == 0 || data.len % BLOCK != 0)
		return PSP_INVALID_LEN;
	if (EVP_DigestUpdate(g->running, data.ptr, data.len) != 1)
		return PSP_HWERROR_PLATFORM;
	return PSP_SUCCESS;
}

enum psp_status
psp_launch_update_data(struct psp *psp, uint32_t handle, struct span data)
{
	return update(psp, handle, data, false);
}

enum psp_status
psp_launch_update_vmsa(struct psp *psp, uint32_t handle, struct span page)
{
	return update(psp, handle, page, true);
}

enum psp_status
psp_launch_measure(uint8_t *out, size_t cap, struct psp *psp, uint32_t handle)
{
	const struct psp_api *api = &psp->platform->api;
	struct psp_guest *g = NULL;
	uint8_t text[56];
	struct writer w = writer_of(text, sizeof(text));
	enum psp_status rc = psp_guest_get(&g, psp, handle);

	if (rc != PSP_SUCCESS)
		return rc;
	if (g->s.phase != PSP_GUEST_LUPDATE)
		return PSP_INVALID_GUEST_STATE;
	if (cap < PSP_MEASUREMENT_LEN)
		return PSP_INVALID_LEN;
	if (psp->random(psp->ctx, g->s.mnonce, sizeof(g->s.mnonce)) != 0 ||
	    EVP_DigestFinal_ex(g->running, g->s.digest, NULL) != 1)
		return PSP_HWERROR_PLATFORM;
	writer_u8(&w, 0x04);
	writer_u8(&w, api->major);
	writer_u8(&w, api->minor);
	writer_u8(&w, api->build);
	writer_le32(&w, g->s.policy);
	writer_put(&w, span_of(g->s.digest, sizeof(g->s.digest)));
	writer_put(&w, span_of(g->s.mnonce, sizeof(g->s.mnonce)));
	if (psp_crypto_hmac(g->s.measure, span_of(g->s.tik, PSP_KEY_LEN),
		writer_span(&w), NULL) != 0)
		return PSP_HWERROR_PLATFORM;
	EVP_MD_CTX_free(g->running);
	g->running = NULL;
	g->s.phase = PSP_GUEST_LSECRET;
	memcpy(out, g->s.measure, sizeof(g->s.measure));
	memcpy(out + sizeof(g->s.measure), g->s.mnonce, sizeof(g->s.mnonce));
	return PSP_SUCCESS;
}

/* The packet's MAC (AMD 55766 6.6, table 55): over the ciphertext, bound to
 * one guest by MEASURE. */
static enum psp_status
check_packet(const struct psp_guest_state *g, uint32_t flags, struct span iv,
    struct span payload, struct span mac)
{
	static const size_t fixed = 1 + 4 + BLOCK + 4 + 4 + 32;
	struct secret text = { 0 };
	enum psp_status rc;
	struct writer w;

	if (secret_alloc(&text, fixed + payload.len, NULL) != 0)
		return PSP_HWERROR_PLATFORM;
	w = writer_of(text.ptr, text.len);
	writer_u8(&w, 0x01);
	writer_le32(&w, flags);
	writer_put(&w, iv);
	writer_le32(&w, (uint32_t)payload.len); /* GUEST_LENGTH */
	writer_le32(&w, (uint32_t)payload.len); /* TRANS_LENGTH */
	writer_put(&w, payload);
	writer_put(&w, span_of(g->measure, sizeof(g->measure)));
	rc = check_mac(span_of(g->tik, PSP_KEY_LEN), writer_span(&w), mac);
	secret_free(&text);
	return rc;
}

enum psp_status
psp_launch_secret(uint8_t *memory, size_t len, struct psp *psp, uint32_t handle,
    uint64_t address, struct span header, struct span payload)
{
	struct reader r = reader_of(header);
	struct psp_guest *g = NULL;
	enum psp_status rc = psp_guest_get(&g, psp, handle);
	struct span iv, mac;
	uint32_t flags;

	if (rc != PSP_SUCCESS)
		return rc;
	if (g->s.phase != PSP_GUEST_LSECRET)
		return PSP_INVALID_GUEST_STATE;
	flags = reader_le32(&r);
	iv = reader_take(&r, BLOCK);
	mac = reader_take(&r, PSP_SHA256_LEN);
	if (!reader_done(&r) || payload.len == 0 ||
	    payload.len > PSP_PAYLOAD_MAX || payload.len % BLOCK != 0 ||
	    len < payload.len)
		return PSP_INVALID_LEN;
	if (address % BLOCK != 0)
		return PSP_INVALID_ADDRESS;
	if (flags != 0)
		return PSP_UNSUPPORTED;
	rc = check_packet(&g->s, flags, iv, payload, mac);
	if (rc != PSP_SUCCESS)
		return rc;
	if (psp_crypto_ctr(memory, g->s.tek, iv.ptr, payload, NULL) != 0)
		return PSP_HWERROR_PLATFORM;
	return PSP_SUCCESS;
}

enum psp_status
psp_launch_finish(struct psp *psp, uint32_t handle)
{
	struct psp_guest *g = NULL;
	enum psp_status rc = psp_guest_get(&g, psp, handle);

	if (rc != PSP_SUCCESS)
		return rc;
	if (g->s.phase != PSP_GUEST_LSECRET)
		return PSP_INVALID_GUEST_STATE;
	g->s.phase = PSP_GUEST_RUNNING;
	/* The transport keys end with the launch. */
	secret_wipe(g->s.tek, sizeof(g->s.tek));
	secret_wipe(g->s.tik, sizeof(g->s.tik));
	return PSP_SUCCESS;
}
