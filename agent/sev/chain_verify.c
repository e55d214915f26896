#include "agent/sev/chain_verify.h"

#include <string.h>

#include "agent/sev/amd_link.h"
#include "agent/sev/key.h"

#define EC_CERTS (SEV_CEK + 1)

/* All that one judgement needs; nothing of it outlives the call. */
struct judge {
	const struct sev_chain *chain;
	const struct sev_trust *trust;
	struct sev_root pinned[SEV_ROOTS_PINNED];
	struct sev_cert cert[EC_CERTS]; /* the CEK may be a replacement */
	EVP_PKEY *key[EC_CERTS];
	const struct sev_root *ark_root; /* whose ARK the blob holds, or NULL */
	bool cek_unsigned;
};

static const char *const check_names[SEV_CHECKS] = {
	[SEV_CHECK_NONE] = "none",
	[SEV_CHECK_INTERNAL] = "internal",
	[SEV_CHECK_INCOMPLETE] = "incomplete",
	[SEV_CHECK_PDH_KEY] = "pdh-key",
	[SEV_CHECK_PEK_KEY] = "pek-key",
	[SEV_CHECK_OCA_KEY] = "oca-key",
	[SEV_CHECK_CEK_KEY] = "cek-key",
	[SEV_CHECK_ARK_NOT_PINNED] = "ark-not-pinned",
	[SEV_CHECK_ARK_SELF] = "ark-self",
	[SEV_CHECK_ARK_ASK] = "ark-ask",
	[SEV_CHECK_CEK_UNSIGNED] = "cek-unsigned",
	[SEV_CHECK_CEK_OTHER] = "cek-other",
	[SEV_CHECK_ASK_CEK] = "ask-cek",
	[SEV_CHECK_CEK_PEK] = "cek-pek",
	[SEV_CHECK_OCA_SELF] = "oca-self",
	[SEV_CHECK_OCA_PEK] = "oca-pek",
	[SEV_CHECK_PEK_PDH] = "pek-pdh",
	[SEV_CHECK_CLOUD] = "cloud",
};

/* Who signs whom below the ASK; 55766 2.2. */
static const struct {
	enum sev_check check;
	enum sev_place parent;
	enum sev_place child;
} links[] = {
	{ SEV_CHECK_CEK_PEK, SEV_CEK, SEV_PEK },
	{ SEV_CHECK_OCA_SELF, SEV_OCA, SEV_OCA },
	{ SEV_CHECK_OCA_PEK, SEV_OCA, SEV_PEK },
	{ SEV_CHECK_PEK_PDH, SEV_PEK, SEV_PDH },
};

const char *
sev_check_name(enum sev_check check)
{
	return check < SEV_CHECKS ? check_names[check] : "?";
}

/* Operator's roots follow AMD's; NULL behind the last. */
static const struct sev_root *
root_at(const struct judge *j, size_t i)
{
	if (i < SEV_ROOTS_PINNED)
		return &j->pinned[i];
	i -= SEV_ROOTS_PINNED;
	return i < j->trust->root_count ? &j->trust->roots[i] : NULL;
}

static enum sev_check
check_complete(const struct judge *j, struct err *err)
{
	enum sev_place last = j->trust->want_ca ? SEV_ARK : SEV_CEK;

	for (enum sev_place p = SEV_PDH; p <= last; p++) {
		if (j->chain->has[p] ||
		    (p == SEV_CEK && j->trust->cek_count == 1))
			continue;
		err_set(err, ERR_NOT_FOUND, "the chain has no %s",
		    sev_place_name(p));
		return SEV_CHECK_INCOMPLETE;
	}
	return SEV_CHECK_NONE;
}

/* Some slot says that an ASK signed it, by an algorithm that an ASK has. */
static bool
names_ask(const struct sev_cert *cek)
{
	for (size_t i = 0; i < 2; i++)
		if (cek->sig[i].usage == SEV_USAGE_ASK &&
		    (cek->sig[i].algo == SEV_ALGO_RSA_SHA256 ||
			cek->sig[i].algo == SEV_ALGO_RSA_SHA384))
			return true;
	return false;
}

/*
 * Firmware exports its CEK unsigned; AMD signs one of the same key and of
 * another API version, so only the point relates the two.
 */
static void
choose_cek(struct judge *j, struct sev_verdict *out)
{
	const struct sev_trust *trust = j->trust;

	memcpy(j->cert, j->chain->cert, sizeof(j->cert));
	if (j->chain->has[SEV_CEK] && names_ask(&j->cert[SEV_CEK]))
		return;
	for (size_t i = 0; i < trust->cek_count; i++) {
		if (!names_ask(&trust->ceks[i]) ||
		    (j->chain->has[SEV_CEK] &&
			!sev_cert_same_point(
			    &trust->ceks[i], &j->cert[SEV_CEK])))
			continue;
		j->cert[SEV_CEK] = trust->ceks[i];
		out->cek_replaced = true;
		out->cek_index = i;
		return;
	}
	if (!j->chain->has[SEV_CEK])
		j->cert[SEV_CEK] = trust->ceks[0];
	j->cek_unsigned = true;
}

/* Usage and algorithm that the place demands, and a point of P-384. */
static enum sev_check
check_keys(struct judge *j, struct err *err)
{
	static const struct {
		uint32_t usage, algo256, algo384;
		enum sev_check check;
	} want[EC_CERTS] = {
		[SEV_PDH] = { SEV_USAGE_PDH, SEV_ALGO_ECDH_SHA256,
		    SEV_ALGO_ECDH_SHA384, SEV_CHECK_PDH_KEY },
		[SEV_PEK] = { SEV_USAGE_PEK, SEV_ALGO_ECDSA_SHA256,
		    SEV_ALGO_ECDSA_SHA384, SEV_CHECK_PEK_KEY },
		[SEV_OCA] = { SEV_USAGE_OCA, SEV_ALGO_ECDSA_SHA256,
		    SEV_ALGO_ECDSA_SHA384, SEV_CHECK_OCA_KEY },
		[SEV_CEK] = { SEV_USAGE_CEK, SEV_ALGO_ECDSA_SHA256,
		    SEV_ALGO_ECDSA_SHA384, SEV_CHECK_CEK_KEY },
	};

	for (enum sev_place p = SEV_PDH; p < EC_CERTS; p++) {
		const struct sev_cert *cert = &j->cert[p];

		if (cert->usage != want[p].usage ||
		    (cert->algo != want[p].algo256 &&
			cert->algo != want[p].algo384))
			err_set(err, ERR_MALFORMED,
			    "usage 0x%04x with key algorithm 0x%04x, want "
			    "0x%04x with 0x%04x (55766 C)",
			    cert->usage, cert->algo, want[p].usage,
			    want[p].algo256);
		else if (sev_key_ec(&j->key[p], cert, err) == 0)
			continue;
		err_wrap(err, "%s", sev_place_name(p));
		return want[p].check;
	}
	return SEV_CHECK_NONE;
}

/* The ARK of the blob: equal to a trusted one, and rightly signed. */
static enum sev_check
check_ark(struct judge *j, struct err *err)
{
	const struct sev_amd_cert *ark = &j->chain->ark;
	const struct sev_root *root;

	if (!j->chain->has[SEV_ARK])
		return SEV_CHECK_NONE;
	for (size_t i = 0; (root = root_at(j, i)) != NULL; i++)
		if (span_equal(root->ark.body, ark->body))
			break;
	if (root == NULL) {
		err_set(err, ERR_UNTRUSTED,
		    "the ARK is none of AMD's and none of the operator's: its "
		    "key decides, not its id or self-signature");
		return SEV_CHECK_ARK_NOT_PINNED;
	}
	j->ark_root = root;
	/* AMD publishes the ARK of Naples without a signature. */
	if (ark->signature.len == 0 &&
	    (root->generation == SEV_GEN_NAPLES ||
		root->ark.signature.len == 0))
		return SEV_CHECK_NONE;
	if (span_equal(ark->raw, root->ark.raw) ||
	    sev_amd_link_verify(ark, ark, err) == 0)
		return SEV_CHECK_NONE;
	err_wrap(err, "ARK by itself");
	return SEV_CHECK_ARK_SELF;
}

/* The ASK of the blob, under ${root}. */
static int
check_ask(const struct judge *j, const struct sev_root *root, struct err *err)
{
	const struct sev_amd_cert *ask = &j->chain->ask;

	if (root->has_ask && span_equal(ask->raw, root->ask.raw))
		return 0;
	return sev_amd_link_verify(&root->ark, ask, err);
}

static bool
may_root(const struct judge *j, const struct sev_root *root)
{
	return j->ark_root == NULL || j->ark_root == root;
}

/*
 * ARK -> ASK -> CEK.  Without an ASK in the blob any trusted one may have
 * signed the CEK: nothing in a CEK names it but the size of its signature.
 */
static enum sev_check
check_amd(struct judge *j, struct sev_verdict *out, struct err *err)
{
	enum sev_check failed =
	    j->chain->has[SEV_ASK] ? SEV_CHECK_ARK_ASK : SEV_CHECK_ASK_CEK;
	const struct sev_root *root;

	err_set(err, ERR_UNTRUSTED, "no trusted ARK has signed the ASK");
	for (size_t i = 0; (root = root_at(j, i)) != NULL; i++) {
		const struct sev_amd_cert *ask = &root->ask;

		if (!may_root(j, root) ||
		    (!j->chain->has[SEV_ASK] && !root->has_ask))
			continue;
		if (j->chain->has[SEV_ASK]) {
			ask = &j->chain->ask;
			if (check_ask(j, root, err) != 0)
				continue;
			failed = SEV_CHECK_ASK_CEK;
		}
		if (j->cek_unsigned)
			break;
		if (sev_amd_link_cek(ask, &j->cert[SEV_CEK], err) != 0)
			continue;
		out->generation = root->generation;
		out->root_index =
		    i < SEV_ROOTS_PINNED ? 0 : i - SEV_ROOTS_PINNED;
		if (sev_amd_cert_fingerprint(out->ark_body, &root->ark, err) !=
		    0)
			return SEV_CHECK_INTERNAL;
		return SEV_CHECK_NONE;
	}
	if (failed == SEV_CHECK_ARK_ASK) {
		err_wrap(err, "ASK");
		return failed;
	}
	if (!j->cek_unsigned) {
		err_set(err, ERR_UNTRUSTED,
		    "CEK: no trusted ASK has signed it (55766 C)");
		return failed;
	}
	if (j->trust->cek_count > 0) {
		err_set(err, ERR_UNTRUSTED,
		    "CEK: not signed by AMD, and none of the %zu signed CEKs "
		    "at hand has its key: another chip's?",
		    j->trust->cek_count);
		return SEV_CHECK_CEK_OTHER;
	}
	err_set(err, ERR_UNTRUSTED,
	    "CEK: not signed by AMD, as firmware exports it; the signed one "
	    "comes from AMD's key server by chip id");
	return SEV_CHECK_CEK_UNSIGNED;
}

/* Some slot of ${child} names ${parent} as its signer and verifies. */
static int
check_link(const struct judge *j, enum sev_place parent, enum sev_place child,
    struct err *err)
{
	const struct sev_cert *by = &j->cert[parent], *of = &j->cert[child];

	err_set(err, ERR_UNTRUSTED,
	    "no slot with a signature of usage 0x%04x "
	    "and algorithm 0x%04x (55766 C)",
	    by->usage, by->algo);
	for (size_t i = 0; i < 2; i++) {
		const struct sev_sig *sig = &of->sig[i];

		if (sig->usage == by->usage && sig->algo == by->algo &&
		    sev_key_verify(j->key[parent], sig->algo, of->signed_raw,
			sig->bytes, err) == 0)
			return 0;
	}
	return err_wrap(
	    err, "%s by the %s", sev_place_name(child), sev_place_name(parent));
}

static enum sev_check
check_links(const struct judge *j, struct err *err)
{
	for (size_t i = 0; i < sizeof(links) / sizeof(*links); i++)
		if (check_link(j, links[i].parent, links[i].child, err) != 0)
			return links[i].check;
	return SEV_CHECK_NONE;
}

/* An OCA's self-signature says nothing of its maker; the owner's list does. */
static enum sev_check
check_cloud(const struct judge *j, struct sev_verdict *out, struct err *err)
{
	const struct sev_trust *trust = j->trust;

	if (!trust->want_cloud)
		return SEV_CHECK_NONE;
	for (size_t i = 0; i < trust->cloud_count; i++) {
		if (sev_cert_same_key(&trust->clouds[i], &j->cert[SEV_OCA])) {
			out->cloud_index = i;
			return SEV_CHECK_NONE;
		}
	}
	err_set(err, ERR_UNTRUSTED,
	    "the OCA is none of the %zu registered cloud certificates%s",
	    trust->cloud_count,
	    out->self_owned ? ": the platform seems to be self-owned" : "");
	return SEV_CHECK_CLOUD;
}

static enum sev_check
describe(const struct judge *j, struct sev_verdict *out, struct err *err)
{
	uint8_t *to[EC_CERTS] = { out->pdh_key, out->pek_key, out->oca_key,
		out->cek_key };

	out->api_major = j->cert[SEV_PDH].api_major;
	out->api_minor = j->cert[SEV_PDH].api_minor;
	/* An external owner's OCA carries API 0.0. */
	out->self_owned =
	    j->cert[SEV_OCA].api_major != 0 || j->cert[SEV_OCA].api_minor != 0;
	for (enum sev_place p = SEV_PDH; p < EC_CERTS; p++)
		if (sev_cert_fingerprint(to[p], &j->cert[p], err) != 0)
			return SEV_CHECK_INTERNAL;
	return SEV_CHECK_NONE;
}

static enum sev_check
judge_chain(struct judge *j, struct sev_verdict *out, struct err *err)
{
	enum sev_check failed;

	if (sev_roots_pinned(j->pinned, err) != 0)
		return SEV_CHECK_INTERNAL;
	if ((failed = check_complete(j, err)) != SEV_CHECK_NONE)
		return failed;
	choose_cek(j, out);
	if ((failed = check_keys(j, err)) != SEV_CHECK_NONE ||
	    (failed = check_ark(j, err)) != SEV_CHECK_NONE ||
	    (failed = check_amd(j, out, err)) != SEV_CHECK_NONE ||
	    (failed = check_links(j, err)) != SEV_CHECK_NONE ||
	    (failed = describe(j, out, err)) != SEV_CHECK_NONE ||
	    (failed = check_cloud(j, out, err)) != SEV_CHECK_NONE)
		return failed;
	return SEV_CHECK_NONE;
}

int
sev_chain_verify(struct sev_verdict *out, const struct sev_chain *chain,
    const struct sev_trust *trust, struct err *err)
{
	struct judge j = { .chain = chain, .trust = trust };
	struct err words = { ERR_NONE, "" };

	*out = (struct sev_verdict){ .failed = SEV_CHECK_INTERNAL };
	out->failed = judge_chain(&j, out, &words);
	for (size_t i = 0; i < EC_CERTS; i++)
		EVP_PKEY_free(j.key[i]);
	if (out->failed == SEV_CHECK_NONE)
		return 0;
	if (words.code == ERR_MEMORY || words.code == ERR_INTERNAL)
		out->failed = SEV_CHECK_INTERNAL;
	return err_set(err, words.code, "%s", words.msg);
}
