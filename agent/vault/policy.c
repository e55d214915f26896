#include "agent/vault/policy.h"

#include <stdlib.h>
#include <string.h>

#include "agent/times.h"
#include "common/hex.h"

#define FINGER_TEXT_LEN 17 /* eight bytes, enough to recognise */

struct policy_trust {
	struct sev_root roots[REGISTRATION_ROOTS_MAX];
	struct sev_cert ceks[REGISTRATION_CERTS_MAX];
	struct sev_cert clouds[REGISTRATION_CERTS_MAX];
	struct sev_trust trust;
	uint8_t id[SEV_SHA256_LEN];
};

static char *
finger(char out[FINGER_TEXT_LEN], const uint8_t hash[SEV_SHA256_LEN])
{
	return hex_encode(out, FINGER_TEXT_LEN, span_of(hash, 8));
}

/* The id hashes each list with its lengths, so no two trusts share one. */
static int
trust_id(struct policy_trust *t, const struct registration *r, struct err *err)
{
	const struct secret *lists[] = { r->roots, r->ceks, r->clouds };
	const size_t counts[] = { r->root_count, r->cek_count, r->cloud_count };
	uint8_t bytes[2 * SEV_SHA256_LEN + 4];
	size_t i, k;

	memset(t->id, 0, sizeof(t->id));
	for (i = 0; i < 3; i++) {
		for (k = 0; k < counts[i]; k++) {
			struct writer w = writer_of(bytes, sizeof(bytes));
			uint8_t hash[SEV_SHA256_LEN];

			if (sev_hash_sha256(
				hash, secret_span(&lists[i][k]), err) != 0)
				return -1;
			writer_put(&w, span_of(t->id, sizeof(t->id)));
			writer_be32(&w, (uint32_t)i);
			writer_put(&w, span_of(hash, sizeof(hash)));
			if (sev_hash_sha256(t->id, writer_span(&w), err) != 0)
				return -1;
		}
	}
	return 0;
}

int
policy_trust_new(
    struct policy_trust **out, const struct registration *r, struct err *err)
{
	struct policy_trust *t = calloc(1, sizeof(*t));
	size_t i;

	if (t == NULL)
		return err_set(err, ERR_MEMORY, "no memory for trust");
	for (i = 0; i < r->root_count; i++)
		if (sev_root_parse(
			&t->roots[i], secret_span(&r->roots[i]), err) != 0)
			goto fail;
	for (i = 0; i < r->cek_count; i++)
		if (sev_cert_parse(
			&t->ceks[i], secret_span(&r->ceks[i]), err) != 0)
			goto fail;
	for (i = 0; i < r->cloud_count; i++)
		if (sev_cert_parse(
			&t->clouds[i], secret_span(&r->clouds[i]), err) != 0)
			goto fail;
	t->trust = (struct sev_trust){
		.roots = t->roots,
		.root_count = r->root_count,
		.ceks = t->ceks,
		.cek_count = r->cek_count,
		.clouds = t->clouds,
		.cloud_count = r->cloud_count,
		.want_cloud = r->cloud_count > 0,
	};
	if (trust_id(t, r, err) != 0)
		goto fail;
	*out = t;
	return 0;
fail:
	policy_trust_free(t);
	return -1;
}

void
policy_trust_free(struct policy_trust *t)
{
	free(t);
}

const uint8_t *
policy_trust_id(const struct policy_trust *t)
{
	return t->id;
}

int
policy_chain(struct sev_verdict *out, const struct policy_trust *t,
    struct span pdh, struct span chain, const struct sev_cert *cek,
    struct err *err)
{
	const struct span blobs[] = { pdh, chain };
	struct sev_cert ceks[REGISTRATION_CERTS_MAX + 1];
	struct sev_trust trust = t->trust;
	struct sev_chain parsed;

	memset(out, 0, sizeof(*out));
	out->failed = SEV_CHECK_INCOMPLETE;
	if (sev_chain_parse(&parsed, blobs, 2, err) != 0)
		return -1;
	/* The only CEK on file must not stand in for one that a host keeps
	 * back: it has to show the key that it wants judged. */
	if (!parsed.has[SEV_CEK])
		return err_set(err, ERR_NOT_FOUND, "cert-chain: no CEK in it");
	if (cek != NULL) {
		memcpy(ceks, t->ceks, trust.cek_count * sizeof(*ceks));
		ceks[trust.cek_count++] = *cek;
		trust.ceks = ceks;
	}
	return sev_chain_verify(out, &parsed, &trust, err);
}

bool
policy_cek_key(uint8_t key[SEV_SHA256_LEN], struct span pdh, struct span chain)
{
	const struct span blobs[] = { pdh, chain };
	struct sev_chain parsed;

	return sev_chain_parse(&parsed, blobs, 2, NULL) == 0 &&
	    parsed.has[SEV_CEK] &&
	    sev_cert_fingerprint(key, &parsed.cert[SEV_CEK], NULL) == 0;
}

static bool
listed(const uint8_t (*list)[SEV_SHA256_LEN], size_t count,
    const uint8_t key[SEV_SHA256_LEN])
{
	size_t i;

	for (i = 0; i < count; i++)
		if (memcmp(list[i], key, SEV_SHA256_LEN) == 0)
			return true;
	return false;
}

int
policy_platform(const struct registration *r, const struct sev_verdict *verdict,
    struct err *err)
{
	char text[FINGER_TEXT_LEN];

	if (verdict->failed != SEV_CHECK_NONE)
		return err_set(err, ERR_UNTRUSTED, "chain: %s failed",
		    sev_check_name(verdict->failed));
	/* T2: keys of these generations can be forged in software. */
	if ((r->deny_generations & (1u << verdict->generation)) != 0)
		return err_set(err, ERR_UNTRUSTED,
		    "platform is a %s part, which this VM denies%s",
		    sev_generation_name(verdict->generation),
		    verdict->generation == SEV_GEN_NAPLES
			? ": its keys can be forged (--allow-naples)"
			: "");
	if (listed(r->chip_deny, r->chip_deny_count, verdict->cek_key))
		return err_set(err, ERR_UNTRUSTED, "chip %s is denied",
		    finger(text, verdict->cek_key));
	if (r->chip_allow_count > 0 &&
	    !listed(r->chip_allow, r->chip_allow_count, verdict->cek_key))
		return err_set(err, ERR_UNTRUSTED,
		    "chip %s is not on the list of this VM",
		    finger(text, verdict->cek_key));
	/* sev_chain_verify() held the OCA against the registered clouds. */
	if (r->cloud_count == 0 && r->chip_allow_count == 0 && !r->any_platform)
		return err_set(err, ERR_UNTRUSTED, "no platform is allowed");
	return 0;
}

int
policy_time(const struct registration *r, int64_t wall_ms, struct err *err)
{
	char text[TIMES_TEXT_LEN];

	if (wall_ms < r->from_ms)
		return err_set(err, ERR_UNTRUSTED,
		    "the VM's time begins at %s (--valid-from)",
		    times_rfc3339(text, r->from_ms));
	if (r->until_ms != 0 && wall_ms >= r->until_ms)
		return err_set(err, ERR_UNTRUSTED,
		    "the VM's time ended at %s (--valid-until)",
		    times_rfc3339(text, r->until_ms));
	return 0;
}

int
policy_blocked(const struct policy_blocklist *list,
    const struct sev_verdict *verdict, struct err *err)
{
	char text[FINGER_TEXT_LEN];

	if (!listed((const uint8_t(*)[SEV_SHA256_LEN])list->keys, list->count,
		verdict->cek_key))
		return 0;
	return err_set(err, ERR_UNTRUSTED,
	    "chip %s is on the CEK block-list: its key is known to be out",
	    finger(text, verdict->cek_key));
}

int
policy_blocked_point(const struct policy_blocklist *list, struct span pdh,
    struct span chain, struct err *err)
{
	/* Those that a CEK which was judged may have. */
	static const uint32_t algos[] = { SEV_ALGO_ECDSA_SHA256,
		SEV_ALGO_ECDSA_SHA384 };
	const struct span blobs[] = { pdh, chain };
	struct sev_verdict verdict = { 0 };
	struct sev_chain parsed;
	size_t i;

	if (sev_chain_parse(&parsed, blobs, 2, NULL) != 0 ||
	    !parsed.has[SEV_CEK])
		return 0;
	for (i = 0; i < sizeof(algos) / sizeof(algos[0]); i++)
		if (sev_cert_fingerprint_as(verdict.cek_key,
			&parsed.cert[SEV_CEK], algos[i], NULL) == 0 &&
		    policy_blocked(list, &verdict, err) != 0)
			return -1;
	return 0;
}

int
policy_build(const struct registration *r, const struct sev_build *build,
    struct err *err)
{
	if (sev_build_compare(build, &r->min) >= 0)
		return 0;
	return err_set(err, ERR_UNTRUSTED,
	    "platform firmware %u.%u build %u, want at least %u.%u build %u",
	    build->api_major, build->api_minor, build->build_id,
	    r->min.api_major, r->min.api_minor, r->min.build_id);
}

int
policy_host(const struct registration *r, const char *identity, struct err *err)
{
	size_t i;

	if (r->host_count == 0)
		return 0;
	for (i = 0; i < r->host_count; i++)
		if (strcmp(r->hosts[i].name, identity) == 0)
			return 0;
	return err_set(err, ERR_UNTRUSTED,
	    "host \"%.128s\" is not one of the registered ones", identity);
}

static bool
some_digest(const struct registration *r, const struct policy_hints *h)
{
	size_t i;

	for (i = 0; i < r->digest_count; i++) {
		const struct registration_digest *d = &r->digests[i];

		if (h->cpus != 0 && d->cpus != 0 && d->cpus != h->cpus)
			continue;
		if (h->has_firmware && d->has_firmware &&
		    memcmp(d->firmware, h->firmware, SEV_SHA256_LEN) != 0)
			continue;
		return true;
	}
	return false;
}

/* A host that names a kernel must mean one that is registered. */
static bool
some_kernel(const struct registration *r, const struct policy_hints *h)
{
	size_t i;

	for (i = 0; i < r->kernel_count; i++) {
		const struct sev_kernel_hashes *k = &r->kernels[i].hashes;

		if (h->has_kernel &&
		    memcmp(h->kernel, k->kernel, SEV_SHA256_LEN) != 0)
			continue;
		if (h->has_initrd &&
		    memcmp(h->initrd, k->initrd, SEV_SHA256_LEN) != 0)
			continue;
		return true;
	}
	return r->kernel_count == 0;
}

static bool
cpus_allowed(const struct registration *r, uint32_t cpus)
{
	size_t i;

	for (i = 0; i < r->cpu_count; i++)
		if (r->cpus[i] == cpus)
			return true;
	return r->cpu_count == 0;
}

int
policy_hints(
    const struct registration *r, const struct policy_hints *h, struct err *err)
{
	struct sev_build build = h->build;

	/* Without a build id, take the best: only the API can be judged. */
	if (!h->has_build_id)
		build.build_id = UINT8_MAX;
	if (h->has_build && policy_build(r, &build, err) != 0)
		return err_wrap(err, "host says");
	if (h->cpus != 0 && !cpus_allowed(r, h->cpus))
		return err_set(err, ERR_UNTRUSTED,
		    "host says %u vCPUs, which this VM does not allow",
		    h->cpus);
	if (!some_digest(r, h))
		return err_set(err, ERR_UNTRUSTED,
		    "host says %u vCPUs or a firmware that no registered "
		    "digest is for",
		    h->cpus);
	if (!some_kernel(r, h))
		return err_set(
		    err, ERR_UNTRUSTED, "host says another kernel or initrd");
	return 0;
}
