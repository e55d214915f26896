/* certs/<platform>/chain-cases.json: changed chains and a strict verdict. */
#include <stdio.h>
#include <string.h>

#include "common/hex.h"
#include "tests/known_answers/field.h"

#define ROOTS_MAX 8

/* A member of the case, or of the whole file. */
static const json_t *
member(const struct kat_file *file, const json_t *c, const char *name)
{
	const json_t *v = json_object_get(c, name);

	return v != NULL ? v : json_object_get(file->whole, name);
}

/* ${name} in the file's folder, or in ${under} of it. */
static void
companion(char *path, size_t cap, const struct kat_file *file,
    const char *under, const char *name)
{
	if (strchr(name, '/') != NULL)
		under = "";
	snprintf(path, cap, "%s/%s%s", file->dir, under, name);
}

/* "base" (chain-full.bin), or cases/<file>, checked against "sha256". */
static int
load_base(struct secret *out, const struct kat_file *file, const json_t *c,
    struct err *err)
{
	const json_t *own = json_object_get(c, "file");
	const json_t *base = member(file, c, "base");
	uint8_t digest[SEV_SHA256_LEN];
	char path[8192];

	if ((own != NULL && !json_is_string(own)) ||
	    (base != NULL && !json_is_string(base)))
		return err_set(err, ERR_MALFORMED, "file, base: want a name");
	if (own != NULL)
		companion(
		    path, sizeof(path), file, "cases/", json_string_value(own));
	else
		companion(path, sizeof(path), file, "",
		    base != NULL ? json_string_value(base) : "chain-full.bin");
	if (field_file(out, path, err) != 0 ||
	    sev_hash_sha256(digest, secret_span(out), err) != 0)
		return -1;
	return field_same(c, "sha256", span_of(digest, sizeof(digest)), err);
}

/* "patches": [offset, hex] each, written over the blob. */
static int
apply_patches(struct secret *blob, const json_t *c, struct err *err)
{
	const json_t *list = json_object_get(c, "patches");

	if (list == NULL)
		return 0;
	if (!json_is_array(list))
		return err_set(err, ERR_MALFORMED, "patches: want a list");
	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *pair = json_array_get(list, i);
		const json_t *at = json_array_get(pair, 0);
		const char *hex = json_string_value(json_array_get(pair, 1));
		struct secret with = { NULL, 0 };
		json_int_t from = json_integer_value(at);

		if (json_array_size(pair) != 2 || !json_is_integer(at) ||
		    hex == NULL || from < 0 || (size_t)from > blob->len)
			return err_set(err, ERR_MALFORMED,
			    "patches: want pairs of offset and hex");
		if (field_hex_text(&with, hex, err) != 0)
			return err_wrap(err, "patches");
		if (with.len > blob->len - (size_t)from) {
			secret_free(&with);
			return err_set(err, ERR_MALFORMED,
			    "patches: beyond the end of the chain");
		}
		memcpy(blob->ptr + from, with.ptr, with.len);
		secret_free(&with);
	}
	return 0;
}

static int
resize(struct secret *blob, const json_t *c, struct err *err)
{
	struct secret tail = { NULL, 0 }, whole = { NULL, 0 };
	uint32_t to = (uint32_t)blob->len;
	int rc = -1;

	if (field_has(c, "truncate_to") &&
	    field_uint(&to, c, "truncate_to", (uint32_t)blob->len, err) != 0)
		goto out;
	if (field_has(c, "append_hex") &&
	    field_hex(&tail, c, "append_hex", err) != 0)
		goto out;
	/* Exact size, so that a sanitizer sees one byte too far. */
	if (secret_alloc(&whole, to + tail.len, err) != 0)
		goto out;
	if (to > 0)
		memcpy(whole.ptr, blob->ptr, to);
	if (tail.len > 0)
		memcpy(whole.ptr + to, tail.ptr, tail.len);
	secret_free(blob);
	*blob = whole;
	rc = 0;
out:
	secret_free(&tail);
	return rc;
}

/* Roots that the case's owner configured. */
struct roots {
	struct secret bytes[ROOTS_MAX];
	struct sev_root root[ROOTS_MAX];
	size_t count;
};

static int
load_root(struct roots *to, const struct kat_file *file, const char *name,
    struct err *err)
{
	char path[8192];

	if (name == NULL || to->count == ROOTS_MAX)
		return err_set(err, ERR_MALFORMED, "roots: want names");
	companion(path, sizeof(path), file, "", name);
	if (field_file(&to->bytes[to->count], path, err) != 0)
		return -1;
	to->count++;
	if (sev_root_parse(&to->root[to->count - 1],
		secret_span(&to->bytes[to->count - 1]), err) != 0)
		return err_wrap(err, "%s", name);
	return 0;
}

/* "roots", or else the ARK of the platform's folder if there is one. */
static int
load_roots(struct roots *to, const struct kat_file *file, const json_t *c,
    struct err *err)
{
	const json_t *list = member(file, c, "roots");
	char path[8192];
	FILE *ark;

	if (list != NULL && !json_is_array(list))
		return err_set(err, ERR_MALFORMED, "roots: want a list");
	for (size_t i = 0; i < json_array_size(list); i++)
		if (load_root(to, file,
			json_string_value(json_array_get(list, i)), err) != 0)
			return -1;
	if (list != NULL)
		return 0;
	companion(path, sizeof(path), file, "", "ark.cert");
	ark = fopen(path, "rb");
	if (ark == NULL)
		return 0;
	fclose(ark);
	return load_root(to, file, "ark.cert", err);
}

static enum kat_result
judge(struct span blob, const struct roots *roots, bool accept, struct err *say)
{
	/* The answers are those of a verifier of complete files. */
	struct sev_trust trust = { .roots = roots->root,
		.root_count = roots->count,
		.want_ca = true };
	struct sev_chain chain;
	struct sev_verdict verdict = { SEV_CHECK_NONE };
	struct err err = { ERR_NONE, "" };
	const char *check = "format";
	int rc = sev_chain_parse(&chain, &blob, 1, &err);

	if (rc == 0) {
		rc = sev_chain_verify(&verdict, &chain, &trust, &err);
		check = sev_check_name(verdict.failed);
	}
	if (rc == 0)
		err_set(say, ERR_NONE, "accepted%s",
		    accept ? "" : ", want it rejected");
	else
		err_set(say, ERR_NONE, "rejected at %s: %.150s%s", check,
		    err.msg, accept ? ", want it accepted" : "");
	if (rc != 0 && verdict.failed == SEV_CHECK_INTERNAL)
		return KAT_FAIL;
	return (rc == 0) == accept ? KAT_PASS : KAT_FAIL;
}

/*
 * "fails_at" names the first check that fails in the verifier that made the
 * case; ours are in another order, so that there is one says enough.
 */
static int
check_fails_at(const json_t *c, bool accept, struct err *err)
{
	const json_t *at = json_object_get(c, "fails_at");
	const char *name = json_string_value(at);

	if (at != NULL && !json_is_null(at) && name == NULL)
		return err_set(
		    err, ERR_MALFORMED, "fails_at: want the name of a check");
	if (accept && name != NULL && *name != '\0')
		return err_set(
		    err, ERR_MALFORMED, "accept, with a failing check");
	return 0;
}

static enum kat_result
run(const struct kat_file *file, const json_t *c, struct err *say)
{
	const char *expect = field_text(c, "expect");
	struct secret blob = { NULL, 0 };
	struct roots roots = { .count = 0 };
	bool accept = expect != NULL && strcmp(expect, "accept") == 0;
	enum kat_result result = KAT_FAIL;

	if (!accept && (expect == NULL || strcmp(expect, "reject") != 0)) {
		err_set(say, ERR_MALFORMED, "expect: want accept or reject");
		goto out;
	}
	if (check_fails_at(c, accept, say) != 0)
		goto out;
	if (load_base(&blob, file, c, say) != 0 ||
	    apply_patches(&blob, c, say) != 0 || resize(&blob, c, say) != 0 ||
	    load_roots(&roots, file, c, say) != 0)
		goto out;
	result = judge(secret_span(&blob), &roots, accept, say);
out:
	secret_free(&blob);
	for (size_t i = 0; i < roots.count; i++)
		secret_free(&roots.bytes[i]);
	return result;
}

static const char *const optional[] = { "fails_at", "sevtool", "patches",
	"truncate_to", "append_hex", "file", "sha256", "base", "roots", NULL };

const struct kat_form kat_chain_form = { "chain", { "expect" }, optional, run };
