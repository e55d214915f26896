#include "agent/door.h"

#include <stddef.h>
#include <string.h>

/*
 * Fields.  One table drives both directions, so that they cannot disagree:
 * a new member of a message is one new row.
 */

enum field_type {
	FIELD_BYTES, /* ${size} bytes as they are */
	FIELD_FLAG,  /* bool: 0 or 1 */
	FIELD_U8,
	FIELD_U32, /* at most ${max} */
	FIELD_U64,
	FIELD_TEXT, /* C string within ${size} bytes: len:2 bytes */
	FIELD_BLOB  /* len:4 bytes, at most ${size}; its size_t at ${len_at} */
};

struct field {
	enum field_type type;
	size_t at;
	size_t size;
	size_t len_at;
	uint32_t max;
};

#define BYTES(s, f)                                                            \
	{                                                                      \
		FIELD_BYTES, offsetof(s, f), sizeof(((s *)0)->f), 0, 0         \
	}
#define FLAG(s, f)                                                             \
	{                                                                      \
		FIELD_FLAG, offsetof(s, f), sizeof(bool), 0, 0                 \
	}
#define U8(s, f)                                                               \
	{                                                                      \
		FIELD_U8, offsetof(s, f), 1, 0, 0                              \
	}
#define U32(s, f)                                                              \
	{                                                                      \
		FIELD_U32, offsetof(s, f), 4, 0, UINT32_MAX                    \
	}
#define WITHIN(s, f, most)                                                     \
	{                                                                      \
		FIELD_U32, offsetof(s, f), 4, 0, (most)                        \
	}
#define U64(s, f)                                                              \
	{                                                                      \
		FIELD_U64, offsetof(s, f), 8, 0, 0                             \
	}
#define TEXT(s, f)                                                             \
	{                                                                      \
		FIELD_TEXT, offsetof(s, f), sizeof(((s *)0)->f), 0, 0          \
	}
#define BLOB(s, f, n)                                                          \
	{                                                                      \
		FIELD_BLOB, offsetof(s, f), sizeof(((s *)0)->f),               \
		    offsetof(s, n), 0                                          \
	}

#define L struct vault_launch
static const struct field launch_fields[] = {
	BYTES(L, vm),
	TEXT(L, asker.request_id),
	TEXT(L, asker.identity),
	BYTES(L, pdh),
	BLOB(L, chain, chain_len),
	FLAG(L, has_cpu_id),
	BYTES(L, cpu_id),
	FLAG(L, has_policy),
	U32(L, policy),
	FLAG(L, wants_es),
	FLAG(L, hints.has_build),
	U8(L, hints.build.api_major),
	U8(L, hints.build.api_minor),
	U8(L, hints.build.build_id),
	FLAG(L, hints.has_build_id),
	U32(L, hints.cpus),
	FLAG(L, hints.has_firmware),
	FLAG(L, hints.has_kernel),
	FLAG(L, hints.has_initrd),
	BYTES(L, hints.firmware),
	BYTES(L, hints.kernel),
	BYTES(L, hints.initrd),
	TEXT(L, host_claims),
	FLAG(L, has_key),
	BYTES(L, key),
	BYTES(L, body),
};
#undef L

#define L struct vault_launch_answer
static const struct field launch_answer_fields[] = {
	WITHIN(L, outcome, VAULT_OUTCOMES - 1),
	U32(L, retry_after_s),
	FLAG(L, wants_cek),
	BYTES(L, session_id),
	BYTES(L, session.godh_cert),
	BYTES(L, session.blob),
	U32(L, policy),
	U32(L, expires_in_s),
	WITHIN(L, scheme, SCHEME_SEV_ES),
	FLAG(L, kernel_hashes),
};
#undef L

#define V struct vault_validate
static const struct field validate_fields[] = {
	BYTES(V, vm),
	TEXT(V, asker.request_id),
	TEXT(V, asker.identity),
	BYTES(V, measure.mac),
	BYTES(V, measure.nonce),
	U8(V, build.api_major),
	U8(V, build.api_minor),
	U8(V, build.build_id),
	FLAG(V, has_policy),
	U32(V, policy),
	FLAG(V, has_session_id),
	BYTES(V, session_id),
};
#undef V

#define V struct vault_validate_answer
static const struct field validate_answer_fields[] = {
	WITHIN(V, outcome, VAULT_OUTCOMES - 1),
	U32(V, retry_after_s),
	BYTES(V, session_id),
	FLAG(V, inject),
	BYTES(V, header),
	BLOB(V, payload, payload_len),
	FLAG(V, has_address),
	U64(V, address),
};
#undef V

static const struct field names_fields[] = {
	U32(struct door_names, from),
};

static const struct field name_fields[] = {
	BYTES(struct door_name, vm),
	TEXT(struct door_name, label),
	FLAG(struct door_name, shared),
	WITHIN(struct door_name, rank, REGISTRATION_RANK_MAX),
};

static const struct field sign_fields[] = {
	BLOB(struct door_sign, text, text_len),
};

static const struct field sign_answer_fields[] = {
	FLAG(struct door_sign, signed_),
	BYTES(struct door_sign, signature),
};

static const struct field cek_fields[] = {
	BYTES(struct door_cek, cpu_id),
	BLOB(struct door_cek, cert, cert_len),
};

static const struct field cek_answer_fields[] = {
	FLAG(struct door_cek, kept),
	TEXT(struct door_cek, why),
};

static const struct field hello_answer_fields[] = {
	BYTES(struct door_hello, key),
};

static const struct field pending_fields[] = {
	U32(struct door_pending, extend_ms),
};

struct layout {
	const struct field *fields;
	size_t count;
};

#define LAYOUT(table)                                                          \
	{                                                                      \
		table, sizeof(table) / sizeof((table)[0])                      \
	}

/* [kind][answer]; a row without fields has none, a missing one is no
 * message. */
static const struct {
	bool is[2];
	struct layout of[2];
} layouts[] = {
	[DOOR_LAUNCH] = { { true, true },
	    { LAYOUT(launch_fields), LAYOUT(launch_answer_fields) } },
	[DOOR_VALIDATE] = { { true, true },
	    { LAYOUT(validate_fields), LAYOUT(validate_answer_fields) } },
	[DOOR_NAMES] = { { true, true },
	    { LAYOUT(names_fields), LAYOUT(names_fields) } },
	[DOOR_SIGN] = { { true, true },
	    { LAYOUT(sign_fields), LAYOUT(sign_answer_fields) } },
	[DOOR_CEK] = { { true, true },
	    { LAYOUT(cek_fields), LAYOUT(cek_answer_fields) } },
	[DOOR_CANCEL] = { { true, false }, { { NULL, 0 }, { NULL, 0 } } },
	[DOOR_HELLO] = { { true, true },
	    { { NULL, 0 }, LAYOUT(hello_answer_fields) } },
	[DOOR_PENDING] = { { false, true },
	    { { NULL, 0 }, LAYOUT(pending_fields) } },
	[DOOR_CHANGED] = { { false, true }, { { NULL, 0 }, { NULL, 0 } } },
};

#define KINDS (sizeof(layouts) / sizeof(layouts[0]))

static void
put_field(struct writer *w, const uint8_t *base, const struct field *f)
{
	const uint8_t *at = base + f->at;
	uint32_t narrow;
	uint64_t wide;
	size_t len;

	switch (f->type) {
	case FIELD_BYTES:
		writer_put(w, span_of(at, f->size));
		break;
	case FIELD_FLAG:
		writer_u8(w, *(const bool *)at ? 1 : 0);
		break;
	case FIELD_U8:
		writer_u8(w, *at);
		break;
	case FIELD_U32:
		memcpy(&narrow, at, sizeof(narrow));
		writer_be32(w, narrow);
		break;
	case FIELD_U64:
		memcpy(&wide, at, sizeof(wide));
		writer_be64(w, wide);
		break;
	case FIELD_TEXT:
		len = strnlen((const char *)at, f->size - 1);
		writer_be16(w, (uint16_t)len);
		writer_put(w, span_of(at, len));
		break;
	case FIELD_BLOB:
		memcpy(&len, base + f->len_at, sizeof(len));
		writer_be32(w, (uint32_t)len);
		writer_put(w, span_of(at, len));
		break;
	}
}

/* A length is judged before a byte is copied. */
static bool
get_run(uint8_t *at, size_t cap, struct reader *r, size_t len)
{
	if (!reader_ok(r) || len > cap)
		return false;
	reader_copy(r, at, len);
	return reader_ok(r);
}

static bool
get_field(uint8_t *base, const struct field *f, struct reader *r)
{
	uint8_t *at = base + f->at;
	uint32_t narrow;
	uint64_t wide;
	uint8_t byte;
	size_t len;

	switch (f->type) {
	case FIELD_BYTES:
		return get_run(at, f->size, r, f->size);
	case FIELD_FLAG:
		byte = reader_u8(r);
		*(bool *)at = byte == 1;
		return reader_ok(r) && byte <= 1;
	case FIELD_U8:
		*at = reader_u8(r);
		return reader_ok(r);
	case FIELD_U32:
		narrow = reader_be32(r);
		memcpy(at, &narrow, sizeof(narrow));
		return reader_ok(r) && narrow <= f->max;
	case FIELD_U64:
		wide = reader_be64(r);
		memcpy(at, &wide, sizeof(wide));
		return reader_ok(r);
	case FIELD_TEXT:
		len = reader_be16(r);
		if (!get_run(at, f->size - 1, r, len))
			return false;
		/* A NUL inside would make two texts of one. */
		at[len] = '\0';
		return memchr(at, '\0', len) == NULL;
	case FIELD_BLOB:
		len = reader_be32(r);
		if (!get_run(at, f->size, r, len))
			return false;
		memcpy(base + f->len_at, &len, sizeof(len));
		return true;
	}
	return false;
}

static void
put_all(struct writer *w, const void *base, struct layout l)
{
	size_t i;

	for (i = 0; i < l.count; i++)
		put_field(w, base, &l.fields[i]);
}

static bool
get_all(void *base, struct layout l, struct reader *r)
{
	size_t i;

	for (i = 0; i < l.count; i++)
		if (!get_field(base, &l.fields[i], r))
			return false;
	return true;
}

static const struct layout name_layout = LAYOUT(name_fields);

/* What a page of names has beside its number. */
static void
put_names(struct writer *w, const struct door_names *n)
{
	size_t i;

	writer_be32(w, n->total);
	writer_u8(w, (uint8_t)n->count);
	for (i = 0; i < n->count; i++)
		put_all(w, &n->names[i], name_layout);
}

static bool
get_names(struct door_names *n, struct reader *r)
{
	size_t i;

	n->total = reader_be32(r);
	n->count = reader_u8(r);
	if (!reader_ok(r) || n->count > DOOR_NAMES_MAX ||
	    n->total > VAULT_VMS_MAX)
		return false;
	for (i = 0; i < n->count; i++)
		if (!get_all(&n->names[i], name_layout, r))
			return false;
	return true;
}

void
door_write(struct writer *w, const struct door_message *m, bool answer)
{
	writer_u8(w, (uint8_t)m->kind);
	writer_be64(w, m->id);
	put_all(w, &m->u, layouts[m->kind].of[answer ? 1 : 0]);
	if (m->kind == DOOR_NAMES && answer)
		put_names(w, &m->u.names);
}

int
door_read(
    struct door_message *out, struct span in, bool answer, struct err *err)
{
	struct reader r = reader_of(in);
	uint8_t kind = reader_u8(&r);

	memset(out, 0, sizeof(*out));
	out->id = reader_be64(&r);
	if (!reader_ok(&r) || kind >= KINDS ||
	    !layouts[kind].is[answer ? 1 : 0])
		return err_set(err, ERR_MALFORMED,
		    "message of %zu bytes and kind %u", in.len, kind);
	out->kind = (enum door_kind)kind;
	if (!get_all(&out->u, layouts[kind].of[answer ? 1 : 0], &r) ||
	    (kind == DOOR_NAMES && answer && !get_names(&out->u.names, &r)) ||
	    !reader_done(&r)) {
		memset(out, 0, sizeof(*out));
		return err_set(err, ERR_MALFORMED,
		    "message of kind %u: %zu bytes do not fit it", kind,
		    in.len);
	}
	return 0;
}
