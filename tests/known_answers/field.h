#ifndef TESTS_KNOWN_ANSWERS_FIELD_H
#define TESTS_KNOWN_ANSWERS_FIELD_H

#include "agent/sev/sev.h"
#include "tests/known_answers/kat.h"

/*
 * Members of a case.  Each returns 0 or -1 with the member's name in ${err}; a
 * member of another type or length is an error, an absent one too unless the
 * caller asked field_has().
 */
bool field_has(const json_t *c, const char *name);

/** field_uint(out, c, name, max, err): an integer, or a string "0x...". */
int field_uint(uint32_t *out, const json_t *c, const char *name, uint32_t max,
    struct err *err);

/** field_hex(out, c, name, err), field_b64(...): bytes, to be freed. */
int field_hex(
    struct secret *out, const json_t *c, const char *name, struct err *err);
int field_b64(
    struct secret *out, const json_t *c, const char *name, struct err *err);

/** field_fixed(out, len, c, name, err): hex of exactly ${len} bytes. */
int field_fixed(uint8_t *out, size_t len, const json_t *c, const char *name,
    struct err *err);

/** field_hex_text(out, text, err): the bytes of ${text}, to be freed. */
int field_hex_text(struct secret *out, const char *text, struct err *err);

/**
 * field_same(c, name, got, err), field_same_b64(...):
 * 0 if the case has no ${name}, or one equal to ${got}.
 */
int field_same(
    const json_t *c, const char *name, struct span got, struct err *err);
int field_same_b64(
    const json_t *c, const char *name, struct span got, struct err *err);

/** field_text(c, name): its string, or NULL. */
const char *field_text(const json_t *c, const char *name);

/** field_file(out, path, err): the bytes of a file, to be freed. */
int field_file(struct secret *out, const char *path, struct err *err);

/**
 * field_secrets(entries, data, cap, count, c, err):
 * "secrets": pairs of GUID and hex.  ${data} holds the bytes, to be freed with
 * field_secrets_free(); both have room for ${cap}.
 *   returns  KAT_PASS; KAT_REFUSED: a GUID that the product refuses; KAT_FAIL
 */
enum kat_result field_secrets(struct sev_secret_entry *entries,
    struct secret *data, size_t cap, size_t *count, const json_t *c,
    struct err *err);
void field_secrets_free(struct secret *data, size_t count);

/**
 * field_firmware(out, file, c, err):
 * The image that "firmware" names, from ../firmware beside the file's folder.
 *   returns  KAT_PASS; KAT_SKIP: a distribution's file of another version, or
 *            none; KAT_FAIL
 */
enum kat_result field_firmware(struct secret *out, const struct kat_file *file,
    const json_t *c, struct err *err);

#endif
