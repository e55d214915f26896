#include "agent/cli/chain_print.h"

#include <jansson.h>
#include <stdio.h>

#include "common/hex.h"

#define HEX_MAX (2 * SEV_SHA256_LEN + 1)

static const char *const titles[SEV_PLACES] = {
	[SEV_PDH] = "Platform Diffie-Hellman key",
	[SEV_PEK] = "Platform Endorsement Key",
	[SEV_OCA] = "Owner's Certificate Authority",
	[SEV_CEK] = "Chip Endorsement Key",
	[SEV_ASK] = "AMD SEV signing Key",
	[SEV_ARK] = "AMD Root Key",
};

static char *
hex32(char out[HEX_MAX], const uint8_t digest[SEV_SHA256_LEN])
{
	return hex_encode(out, HEX_MAX, span_of(digest, SEV_SHA256_LEN));
}

static int
dump(json_t *root)
{
	int rc = root == NULL ||
	    json_dumpf(root, stdout, JSON_INDENT(2) | JSON_PRESERVE_ORDER);

	if (rc == 0)
		putchar('\n');
	json_decref(root);
	return rc == 0 ? 0 : -1;
}

static int
verdict_json(bool trusted, const struct sev_verdict *v, const char *why)
{
	char pdh[HEX_MAX], pek[HEX_MAX], oca[HEX_MAX], cek[HEX_MAX];
	char ark[HEX_MAX];

	if (!trusted)
		return dump(json_pack("{s:s, s:b, s:s, s:s}", "schema",
		    CHAIN_PRINT_VERDICT, "trusted", 0, "failed-check",
		    v->failed == SEV_CHECK_NONE ? "format"
						: sev_check_name(v->failed),
		    "reason", why));
	return dump(json_pack(
	    "{s:s, s:b, s:s, s:i, s:i, s:b, s:b, s:{s:s, s:s, s:s, s:s, s:s}}",
	    "schema", CHAIN_PRINT_VERDICT, "trusted", 1, "generation",
	    sev_generation_name(v->generation), "api-major", v->api_major,
	    "api-minor", v->api_minor, "self-owned", v->self_owned,
	    "cek-replaced", v->cek_replaced, "sha256", "pdh",
	    hex32(pdh, v->pdh_key), "pek", hex32(pek, v->pek_key), "oca",
	    hex32(oca, v->oca_key), "cek", hex32(cek, v->cek_key), "ark",
	    hex32(ark, v->ark_body)));
}

int
chain_print_verdict(
    bool trusted, const struct sev_verdict *v, const char *why, bool json)
{
	char hex[HEX_MAX];

	if (json)
		return verdict_json(trusted, v, why);
	if (!trusted) {
		printf("not trusted: %s (check: %s)\n", why,
		    v->failed == SEV_CHECK_NONE ? "format"
						: sev_check_name(v->failed));
		return 0;
	}
	printf("verified: a platform under the %s root, firmware API %u.%u "
	       "when its PDH was made\n",
	    sev_generation_name(v->generation), v->api_major, v->api_minor);
	printf("  ARK  %s\n", hex32(hex, v->ark_body));
	printf("  CEK  %s%s\n", hex32(hex, v->cek_key),
	    v->cek_replaced ? "  (signed copy from --cek)" : "");
	printf("  OCA  %s%s\n", hex32(hex, v->oca_key),
	    v->self_owned ? "  (seems to be self-owned)" : "");
	printf("  PEK  %s\n", hex32(hex, v->pek_key));
	printf("  PDH  %s\n", hex32(hex, v->pdh_key));
	return 0;
}

static json_t *
sig_json(const struct sev_sig *sig)
{
	/* Codes of a slot may be any 32 bits. */
	return json_pack("{s:s, s:I, s:s, s:I}", "usage",
	    sev_usage_name(sig->usage), "usage-code", (json_int_t)sig->usage,
	    "algorithm", sev_algo_name(sig->algo), "algorithm-code",
	    (json_int_t)sig->algo);
}

static json_t *
cert_json(const struct sev_cert *c, const char *key)
{
	char qx[2 * SEV_EC_NUMBER_LEN + 1], qy[2 * SEV_EC_NUMBER_LEN + 1];

	return json_pack(
	    "{s:s, s:s, s:i, s:i, s:s, s:I, s:I, s:s, s:s, s:s, s:[o, o]}",
	    "usage", sev_usage_name(c->usage), "format", "sev", "api-major",
	    c->api_major, "api-minor", c->api_minor, "algorithm",
	    sev_algo_name(c->algo), "algorithm-code", (json_int_t)c->algo,
	    "curve", (json_int_t)c->curve, "qx-le",
	    hex_encode(qx, sizeof(qx), c->qx), "qy-le",
	    hex_encode(qy, sizeof(qy), c->qy), "sha256", key, "signatures",
	    sig_json(&c->sig[0]), sig_json(&c->sig[1]));
}

static void
print_cert(const struct sev_cert *c, const char *title, const char *key)
{
	printf("%s  %s\n", sev_usage_name(c->usage), title);
	printf("  made by    firmware API %u.%u%s\n", c->api_major,
	    c->api_minor,
	    c->api_major == 0 && c->api_minor == 0 ? " (an external owner)"
						   : "");
	printf("  key        %s, curve %u%s\n", sev_algo_name(c->algo),
	    c->curve, c->curve == SEV_CURVE_P384 ? " (P-384)" : "");
	printf("  sha256     %s\n", key);
	for (size_t i = 0; i < 2; i++) {
		const struct sev_sig *s = &c->sig[i];

		if (s->usage == SEV_USAGE_NONE || s->algo == SEV_ALGO_NONE)
			printf("  slot %zu     empty\n", i + 1);
		else
			printf("  slot %zu     signed by %s, %s "
			       "(0x%04x, 0x%04x)\n",
			    i + 1, sev_usage_name(s->usage),
			    sev_algo_name(s->algo), s->usage, s->algo);
	}
	if (c->usage == SEV_USAGE_CEK && !sev_cert_is_signed(c))
		printf(
		    "  note       AMD's signature is missing: the key server "
		    "has it\n");
}

static json_t *
amd_json(const struct sev_amd_cert *c, const char *body, const char *id,
    const char *by, const char *root)
{
	return json_pack("{s:s, s:s, s:s, s:s, s:i, s:b, s:s, s:s}", "usage",
	    sev_usage_name(c->usage), "format", "amd", "key-id", id,
	    "certifying-id", by, "bits", (int)c->bits, "signed",
	    c->signature.len > 0, "sha256", body, "pinned", root);
}

static void
print_amd(const struct sev_amd_cert *c, const char *title, const char *body,
    const char *id, const char *by, const char *root)
{
	printf("%s  %s\n", sev_usage_name(c->usage), title);
	printf("  key        %s, %u bits, id %s\n",
	    sev_algo_name(sev_amd_cert_algo(c)), c->bits, id);
	printf("  sha256     %s\n", body);
	printf("  signed by  id %s%s\n", by,
	    c->signature.len == 0 ? ", without a signature" : "");
	printf("  pinned     %s\n", root);
}

/* Which built-in certificate has this body? */
static int
find_pinned(const char **out, const struct sev_amd_cert *c, struct err *err)
{
	struct sev_root roots[SEV_ROOTS_PINNED];

	*out = "no";
	if (sev_roots_pinned(roots, err) != 0)
		return -1;
	for (size_t i = 0; i < SEV_ROOTS_PINNED; i++)
		if (span_equal(c->body, roots[i].ark.body) ||
		    span_equal(c->body, roots[i].ask.body))
			*out = sev_generation_name(roots[i].generation);
	return 0;
}

static int
show_amd(json_t *list, const struct sev_amd_cert *c, enum sev_place p,
    struct err *err)
{
	char id[2 * SEV_AMD_KEY_ID_LEN + 1], by[2 * SEV_AMD_KEY_ID_LEN + 1];
	char body[HEX_MAX];
	uint8_t digest[SEV_SHA256_LEN];
	const char *root;

	if (sev_amd_cert_fingerprint(digest, c, err) != 0 ||
	    find_pinned(&root, c, err) != 0)
		return -1;
	hex32(body, digest);
	hex_encode(id, sizeof(id), c->key_id);
	hex_encode(by, sizeof(by), c->certifying_id);
	if (list != NULL)
		json_array_append_new(list, amd_json(c, body, id, by, root));
	else
		print_amd(c, titles[p], body, id, by, root);
	return 0;
}

static int
show_cert(
    json_t *list, const struct sev_cert *c, enum sev_place p, struct err *err)
{
	uint8_t digest[SEV_SHA256_LEN];
	char key[HEX_MAX];

	if (sev_cert_fingerprint(digest, c, err) != 0)
		return -1;
	hex32(key, digest);
	if (list != NULL)
		json_array_append_new(list, cert_json(c, key));
	else
		print_cert(c, titles[p], key);
	return 0;
}

int
chain_print_certs(const struct sev_chain *chain, bool json, struct err *err)
{
	json_t *list = json ? json_array() : NULL;

	for (enum sev_place p = SEV_PDH; p < SEV_PLACES; p++) {
		int rc = 0;

		if (!chain->has[p])
			continue;
		if (p < SEV_ASK)
			rc = show_cert(list, &chain->cert[p], p, err);
		else
			rc = show_amd(list,
			    p == SEV_ASK ? &chain->ask : &chain->ark, p, err);
		if (rc != 0) {
			json_decref(list);
			return -1;
		}
	}
	if (json &&
	    dump(json_pack("{s:s, s:o}", "schema", CHAIN_PRINT_CERTS,
		"certificates", list)))
		return err_set(err, ERR_MEMORY, "no memory for JSON");
	return 0;
}
