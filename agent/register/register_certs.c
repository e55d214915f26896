#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/register/register.h"
#include "common/base64.h"
#include "common/hex.h"

#define CERT_FILE_MAX 65536
#define CHIP_ID_LEN 64

/* SEV and AMD certificates begin with their version 1, little-endian; base64
 * does not. */
int
register_unpack(struct secret *out, struct span in, struct err *err)
{
	if (in.len > 0 && in.ptr[0] == 1)
		return secret_copy(out, in, err);
	if (in.len > CERT_FILE_MAX || secret_alloc(out, in.len, err) != 0)
		return err_set(err, ERR_LIMIT, "too long for a certificate");
	if (base64_decode(out->ptr, out->len, &out->len, in, err) != 0) {
		secret_free(out);
		return err_set(err, ERR_MALFORMED,
		    "neither a certificate nor base64 of one");
	}
	return 0;
}

/* The certificate at ${place} of a file, which may be a whole chain. */
static int
take_cert(
    struct secret *out, struct span in, enum sev_place place, struct err *err)
{
	struct secret raw = { 0 };
	struct sev_chain chain;
	struct span blob;
	int rc = -1;

	if (register_unpack(&raw, in, err) != 0)
		return -1;
	blob = secret_span(&raw);
	if (sev_chain_parse(&chain, &blob, 1, err) != 0)
		goto out;
	if (!chain.has[place]) {
		(void)err_set(err, ERR_USAGE, "no %s certificate in it",
		    sev_place_name(place));
		goto out;
	}
	if (place == SEV_CEK && !sev_cert_is_signed(&chain.cert[place])) {
		(void)err_set(err, ERR_USAGE,
		    "the CEK has no signature of AMD: fetch the signed one "
		    "from https://kdsintf.amd.com/cek/id/<chip id>");
		goto out;
	}
	rc = secret_copy(out, chain.cert[place].raw, err);
out:
	secret_free(&raw);
	return rc;
}

static int
add_cert(struct secret *list, size_t *count, struct span in,
    enum sev_place place, struct err *err)
{
	if (*count >= REGISTRATION_CERTS_MAX)
		return err_set(err, ERR_LIMIT, "more than %d certificates",
		    REGISTRATION_CERTS_MAX);
	if (take_cert(&list[*count], in, place, err) != 0)
		return -1;
	(*count)++;
	return 0;
}

int
register_cloud(struct register_plan *p, struct span in, struct err *err)
{
	return add_cert(p->r->clouds, &p->r->cloud_count, in, SEV_OCA, err);
}

int
register_cek(struct register_plan *p, struct span in, struct err *err)
{
	return add_cert(p->r->ceks, &p->r->cek_count, in, SEV_CEK, err);
}

/* ASK and ARK may come as one file or as two: sort them now, join later. */
int
register_root(struct register_plan *p, struct span in, struct err *err)
{
	struct secret raw = { 0 };
	struct sev_amd_cert cert;
	struct reader r;
	int rc = -1;

	if (register_unpack(&raw, in, err) != 0)
		return -1;
	r = reader_of(secret_span(&raw));
	do {
		bool ark;
		size_t *count;

		if (sev_amd_cert_take(&cert, &r, err) != 0)
			goto out;
		ark = cert.usage == SEV_USAGE_ARK;
		count = ark ? &p->ark_count : &p->ask_count;
		if (*count >= REGISTRATION_ROOTS_MAX) {
			(void)err_set(err, ERR_LIMIT, "more than %d roots",
			    REGISTRATION_ROOTS_MAX);
			goto out;
		}
		if (secret_copy(ark ? &p->arks[*count] : &p->asks[*count],
			cert.raw, err) != 0)
			goto out;
		(*count)++;
	} while (r.rest.len > 0);
	rc = 0;
out:
	secret_free(&raw);
	return rc;
}

static int
find_ask(struct span *out, const struct register_plan *p,
    const struct sev_amd_cert *ark, bool *used)
{
	struct sev_amd_cert ask;
	size_t i;

	for (i = 0; i < p->ask_count; i++)
		if (sev_amd_cert_parse(&ask, secret_span(&p->asks[i]), NULL) ==
			0 &&
		    span_equal(ask.certifying_id, ark->key_id)) {
			*out = secret_span(&p->asks[i]);
			used[i] = true;
			return 0;
		}
	return -1;
}

int
register_roots(struct register_plan *p, struct err *err)
{
	bool used[REGISTRATION_ROOTS_MAX] = { false };
	uint8_t both[2 * SEV_AMD_CERT_LEN_MAX];
	struct sev_root root;
	size_t i;

	for (i = 0; i < p->ark_count; i++) {
		struct span ark = secret_span(&p->arks[i]);
		struct span ask = { 0 };
		struct sev_amd_cert parsed;
		struct writer w = writer_of(both, sizeof(both));

		if (sev_amd_cert_parse(&parsed, ark, err) != 0)
			return err_wrap(err, "root");
		(void)find_ask(&ask, p, &parsed, used);
		writer_put(&w, ask);
		writer_put(&w, ark);
		if (sev_root_parse(&root, writer_span(&w), err) != 0)
			return err_wrap(err, "root");
		if (secret_copy(&p->r->roots[p->r->root_count], writer_span(&w),
			err) != 0)
			return -1;
		p->r->root_count++;
	}
	for (i = 0; i < p->ask_count; i++)
		if (!used[i])
			return err_set(
			    err, ERR_USAGE, "root: an ASK without its ARK");
	return 0;
}

static int
add_chip(struct register_plan *p, bool allow, const uint8_t key[SEV_SHA256_LEN],
    struct err *err)
{
	size_t *count =
	    allow ? &p->r->chip_allow_count : &p->r->chip_deny_count;

	if (*count >= REGISTRATION_CHIPS_MAX)
		return err_set(err, ERR_LIMIT, "more than %d chips",
		    REGISTRATION_CHIPS_MAX);
	memcpy(allow ? p->r->chip_allow[*count] : p->r->chip_deny[*count], key,
	    SEV_SHA256_LEN);
	(*count)++;
	return 0;
}

/*
 * No certificate names the chip id, so an id proves nothing by itself: what
 * a chain proves is the key of its CEK.  The owner says which CEK is the one
 * of a chip by giving it.
 */
int
register_chip(
    struct register_plan *p, bool allow, const char *value, struct err *err)
{
	const char *file = strchr(value, '=');
	struct span head = span_of(
	    value, file != NULL ? (size_t)(file - value) : strlen(value));
	uint8_t id[CHIP_ID_LEN];
	uint8_t key[SEV_SHA256_LEN];
	struct secret bytes = { 0 };
	struct secret cert = { 0 };
	struct sev_cert parsed;
	int rc = -1;

	if (file == NULL && hex_decode(key, sizeof(key), head, NULL) == 0)
		return add_chip(p, allow, key, err);
	if (hex_decode(id, sizeof(id), head, NULL) != 0)
		return err_set(err, ERR_USAGE,
		    "chip: want the 64 digits of a CEK fingerprint, or "
		    "CHIP-ID=CEK-FILE with a chip id of 128");
	if (file == NULL)
		return err_set(err, ERR_USAGE,
		    "chip: no certificate proves a chip id; give its signed "
		    "CEK too: CHIP-ID=CEK-FILE");
	if (p->read(p->read_arg, &bytes, file + 1, CERT_FILE_MAX, err) != 0 ||
	    take_cert(&cert, secret_span(&bytes), SEV_CEK, err) != 0 ||
	    sev_cert_parse(&parsed, secret_span(&cert), err) != 0 ||
	    sev_cert_fingerprint(key, &parsed, err) != 0 ||
	    add_chip(p, allow, key, err) != 0)
		goto out;
	/* It also serves where the platform shows its unsigned copy. */
	if (allow && register_cek(p, secret_span(&cert), err) != 0)
		goto out;
	rc = 0;
out:
	secret_free(&bytes);
	secret_free(&cert);
	return rc;
}
