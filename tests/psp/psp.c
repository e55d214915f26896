#include "tests/psp/psp.h"

#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#include "common/secret.h"
#include "tests/psp/guest.h"

static int
system_random(void *ctx, uint8_t *out, size_t len)
{
	(void)ctx;
	return secret_random(out, len, NULL);
}

struct psp *
psp_new(struct psp_platform *platform, psp_random_fn *random, void *ctx)
{
	struct psp *psp = calloc(1, sizeof(*psp));

	if (psp == NULL)
		return NULL;
	psp->platform = platform;
	psp->random = random == NULL ? system_random : random;
	psp->ctx = ctx;
	return psp;
}

static void
wipe_guests(struct psp *psp)
{
	for (size_t i = 0; i < PSP_GUESTS_MAX; i++)
		psp_guest_wipe(&psp->guests[i]);
}

void
psp_free(struct psp *psp)
{
	if (psp == NULL)
		return;
	wipe_guests(psp);
	free(psp);
}

enum psp_status
psp_init(struct psp *psp)
{
	if (psp->state != PSP_UNINIT)
		return PSP_INVALID_PLATFORM_STATE;
	psp->state = PSP_INIT;
	return PSP_SUCCESS;
}

enum psp_status
psp_shutdown(struct psp *psp)
{
	wipe_guests(psp);
	psp->state = PSP_UNINIT;
	return PSP_SUCCESS;
}

enum psp_status
psp_platform_status(struct psp_platform_status *out, const struct psp *psp)
{
	struct span api = psp_cert_api(psp->platform->cert[PSP_OCA]);

	*out = (struct psp_platform_status){
		.api = psp->platform->api,
		.state = psp->state,
		.es = !psp->platform->no_es,
		/* An external owner's certificate carries API 0.0. */
		.externally_owned = api.ptr[0] == 0 && api.ptr[1] == 0,
	};
	for (size_t i = 0; i < PSP_GUESTS_MAX; i++)
		if (psp->guests[i].s.phase != PSP_GUEST_UNINIT)
			out->guest_count++;
	return PSP_SUCCESS;
}

enum psp_status
psp_pdh_cert_export(uint8_t pdh[PSP_CERT_LEN], uint8_t chain[PSP_CHAIN_LEN],
    const struct psp *psp)
{
	static const enum psp_role order[] = { PSP_PEK, PSP_OCA, PSP_CEK };

	if (psp->state == PSP_UNINIT)
		return PSP_INVALID_PLATFORM_STATE;
	memcpy(pdh, psp->platform->cert[PSP_PDH], PSP_CERT_LEN);
	for (size_t i = 0; i < 3; i++)
		memcpy(chain + i * PSP_CERT_LEN, psp->platform->cert[order[i]],
		    PSP_CERT_LEN);
	psp_cert_strip(chain + (size_t)2 * PSP_CERT_LEN);
	return PSP_SUCCESS;
}

enum psp_status
psp_pdh_gen(struct psp *psp)
{
	if (psp->state == PSP_UNINIT)
		return PSP_INVALID_PLATFORM_STATE;
	if (psp_platform_rotate(psp->platform, NULL) != 0)
		return PSP_HWERROR_PLATFORM;
	return PSP_SUCCESS;
}

enum psp_status
psp_get_id(uint8_t out[PSP_CHIP_ID_LEN], const struct psp *psp)
{
	memcpy(out, psp->platform->chip_id, PSP_CHIP_ID_LEN);
	return PSP_SUCCESS;
}

enum psp_status
psp_guest_new(uint32_t *handle, struct psp *psp)
{
	for (uint32_t i = 0; i < PSP_GUESTS_MAX; i++) {
		struct psp_guest *g = &psp->guests[i];

		if (g->s.phase != PSP_GUEST_UNINIT)
			continue;
		g->running = EVP_MD_CTX_new();
		if (g->running == NULL ||
		    EVP_DigestInit_ex2(g->running, EVP_sha256(), NULL) != 1) {
			psp_guest_wipe(g);
			return PSP_HWERROR_PLATFORM;
		}
		g->s.phase = PSP_GUEST_LUPDATE;
		psp->state = PSP_WORKING;
		*handle = i + 1;
		return PSP_SUCCESS;
	}
	return PSP_RESOURCE_LIMIT;
}

enum psp_status
psp_guest_get(struct psp_guest **out, struct psp *psp, uint32_t handle)
{
	if (psp->state == PSP_UNINIT)
		return PSP_INVALID_PLATFORM_STATE;
	if (handle == 0 || handle > PSP_GUESTS_MAX ||
	    psp->guests[handle - 1].s.phase == PSP_GUEST_UNINIT)
		return PSP_INVALID_GUEST;
	*out = &psp->guests[handle - 1];
	return PSP_SUCCESS;
}

void
psp_guest_wipe(struct psp_guest *g)
{
	EVP_MD_CTX_free(g->running);
	secret_wipe(g, sizeof(*g));
}

enum psp_status
psp_decommission(struct psp *psp, uint32_t handle)
{
	struct psp_guest *g = NULL;
	struct psp_platform_status status;
	enum psp_status rc = psp_guest_get(&g, psp, handle);

	if (rc != PSP_SUCCESS)
		return rc;
	psp_guest_wipe(g);
	(void)psp_platform_status(&status, psp);
	if (status.guest_count == 0)
		psp->state = PSP_INIT;
	return PSP_SUCCESS;
}

enum psp_status
psp_guest_status(enum psp_guest_phase *phase, uint32_t *policy,
    const struct psp *psp, uint32_t handle)
{
	if (psp->state == PSP_UNINIT)
		return PSP_INVALID_PLATFORM_STATE;
	if (handle == 0 || handle > PSP_GUESTS_MAX)
		return PSP_INVALID_GUEST;
	*phase = psp->guests[handle - 1].s.phase;
	*policy = psp->guests[handle - 1].s.policy;
	return PSP_SUCCESS;
}

enum psp_status
psp_guest_save(
    struct psp_guest_state *out, const struct psp *psp, uint32_t handle)
{
	if (handle == 0 || handle > PSP_GUESTS_MAX)
		return PSP_INVALID_GUEST;
	if (psp->guests[handle - 1].s.phase < PSP_GUEST_LSECRET)
		return PSP_INVALID_GUEST_STATE;
	*out = psp->guests[handle - 1].s;
	return PSP_SUCCESS;
}

enum psp_status
psp_guest_restore(
    uint32_t *handle, struct psp *psp, const struct psp_guest_state *state)
{
	enum psp_status rc;
	struct psp_guest *g;

	if (psp->state == PSP_UNINIT)
		return PSP_INVALID_PLATFORM_STATE;
	if (state->phase == PSP_GUEST_UNINIT)
		return PSP_INVALID_GUEST_STATE;
	rc = psp_guest_new(handle, psp);
	if (rc != PSP_SUCCESS)
		return rc;
	g = &psp->guests[*handle - 1];
	g->s = *state;
	if (g->s.phase != PSP_GUEST_LUPDATE) {
		EVP_MD_CTX_free(g->running);
		g->running = NULL;
	}
	return PSP_SUCCESS;
}
