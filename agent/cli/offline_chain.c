#include "agent/cli/offline_chain.h"

#include <jansson.h>
#include <string.h>

#include "agent/cli/offline_file.h"
#include "common/base64.h"

static struct secret *
next_blob(struct offline_blobs *b, struct err *err)
{
	if (b->count == OFFLINE_BLOBS_MAX) {
		err_set(
		    err, ERR_LIMIT, "more than %d files", OFFLINE_BLOBS_MAX);
		return NULL;
	}
	return &b->blob[b->count];
}

/* The base64 ${text} of the member ${name}. */
static int
add_text(struct offline_blobs *out, const char *name, struct span text,
    struct err *err)
{
	struct secret *to = next_blob(out, err);
	size_t len;

	if (to == NULL || secret_alloc(to, text.len, err) != 0)
		return -1;
	out->count++;
	if (base64_decode(to->ptr, to->len, &len, text, err) != 0)
		return err_wrap(err, "%s", name);
	to->len = len;
	return 0;
}

static int
add_member(struct offline_blobs *out, const json_t *from, const char *name,
    struct err *err)
{
	const char *text = json_string_value(json_object_get(from, name));

	if (text == NULL)
		return err_set(err, ERR_MALFORMED,
		    "JSON without a string \"%s\", as query-sev-capabilities "
		    "has it",
		    name);
	return add_text(out, name, span_str(text), err);
}

static int
add_json(struct offline_blobs *out, struct span text, struct err *err)
{
	json_error_t where;
	json_t *root = json_loadb(
	    (const char *)text.ptr, text.len, JSON_REJECT_DUPLICATES, &where);
	const json_t *from = json_object_get(root, "return");
	int rc = -1;

	if (root == NULL)
		err_set(
		    err, ERR_MALFORMED, "line %d: %s", where.line, where.text);
	else if (add_member(out, from != NULL ? from : root, "pdh", err) == 0)
		rc = add_member(
		    out, from != NULL ? from : root, "cert-chain", err);
	json_decref(root);
	return rc;
}

/* The value of "name   : value", or an empty span: a line of virsh. */
static struct span
virsh_line(struct span text, const char *name)
{
	struct reader r = reader_of(text);
	size_t len = strlen(name);

	while (r.rest.len > len) {
		const uint8_t *end = memchr(r.rest.ptr, '\n', r.rest.len);
		struct span line = reader_take(&r,
		    end == NULL ? r.rest.len : (size_t)(end - r.rest.ptr) + 1);
		struct reader l = reader_of(line);

		if (!span_is(reader_take(&l, len), name))
			continue;
		while (l.rest.len > 0 && l.rest.ptr[0] == ' ')
			reader_take(&l, 1);
		if (reader_u8(&l) != ':' || reader_u8(&l) != ' ')
			continue;
		return l.rest;
	}
	return span_of(NULL, 0);
}

static int
add_virsh(struct offline_blobs *out, struct span pdh, struct span chain,
    struct err *err)
{
	if (add_text(out, "pdh", pdh, err) != 0)
		return -1;
	return add_text(out, "cert-chain", chain, err);
}

static bool
is_json(struct span in)
{
	size_t i = 0;

	while (i < in.len && strchr("\n\r\t ", in.ptr[i]) != NULL &&
	    in.ptr[i] != '\0')
		i++;
	return i < in.len && in.ptr[i] == '{';
}

int
offline_chain_add(
    struct offline_blobs *out, struct secret *bytes, struct err *err)
{
	struct span text = secret_span(bytes), pdh, chain;

	if (next_blob(out, err) == NULL)
		return -1;
	if (is_json(text))
		return add_json(out, text, err);
	pdh = virsh_line(text, "pdh");
	chain = virsh_line(text, "cert-chain");
	if (pdh.len > 0 && chain.len > 0)
		return add_virsh(out, pdh, chain, err);
	if (offline_file_decode(bytes, err) != 0)
		return -1;
	out->blob[out->count++] = *bytes;
	*bytes = (struct secret){ NULL, 0 };
	return 0;
}

int
offline_chain_load(struct offline_blobs *out, const char *path, struct err *err)
{
	struct secret bytes = { NULL, 0 };
	int rc;

	if (offline_file_read(&bytes, path, OFFLINE_CERT_MAX, err) != 0)
		return -1;
	rc = offline_chain_add(out, &bytes, err);
	secret_free(&bytes);
	if (rc == 0 && out->blob[out->count - 1].len == 0)
		rc = err_set(err, ERR_MALFORMED, "0 bytes, want certificates");
	return rc == 0 ? 0 : err_wrap(err, "%s", path);
}

int
offline_chain_parse(
    struct sev_chain *out, const struct offline_blobs *blobs, struct err *err)
{
	struct span in[OFFLINE_BLOBS_MAX];

	for (size_t i = 0; i < blobs->count; i++)
		in[i] = secret_span(&blobs->blob[i]);
	return sev_chain_parse(out, in, blobs->count, err);
}

int
offline_chain_one(struct sev_cert *out, struct offline_blobs *blobs,
    const char *path, enum sev_place place, struct err *err)
{
	size_t from = blobs->count;
	struct span in[2];
	struct sev_chain chain;

	if (offline_chain_load(blobs, path, err) != 0)
		return -1;
	for (size_t i = from; i < blobs->count && i - from < 2; i++)
		in[i - from] = secret_span(&blobs->blob[i]);
	if (sev_chain_parse(&chain, in, blobs->count - from, err) != 0)
		return err_wrap(err, "%s", path);
	if (!chain.has[place])
		return err_set(err, ERR_NOT_FOUND, "%s: has no %s", path,
		    sev_place_name(place));
	*out = chain.cert[place];
	return 0;
}

void
offline_chain_free(struct offline_blobs *blobs)
{
	for (size_t i = 0; i < blobs->count; i++)
		secret_free(&blobs->blob[i]);
	blobs->count = 0;
}
