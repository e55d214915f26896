#ifndef AGENT_VAULT_MOVE_SEAL_H
#define AGENT_VAULT_MOVE_SEAL_H

#include "agent/key.h"
#include "common/err.h"
#include "common/secret.h"
#include "common/span.h"

/*
 * The file that carries registrations from one agent to another: sealed to
 * the recipient's X25519 key, signed by the sender's Ed25519 key
 * (docs/operations-agent.md, "The export file").  Base mode of RFC 9180 in
 * its shape, with OpenSSL's parts: an ephemeral X25519 key, HKDF-SHA256 over
 * the whole head, AES-256-GCM.
 */

#define MOVE_ID_LEN 16
#define MOVE_KEY_LEN 32      /* X25519, both halves */
#define MOVE_KEY_TEXT_LEN 64 /* "x25519:" and base64 of 32 bytes, and a NUL */
#define MOVE_HEAD_LEN 140
/* With a sender's key before it, a file fits one question to the vault. */
#define MOVE_FILE_MAX (1024 * 1024 - UUID_KEY_LEN)
#define MOVE_SEALED_MIN 28 /* nonce and tag */
#define MOVE_TEXT_MAX                                                          \
	(MOVE_FILE_MAX - MOVE_HEAD_LEN - MOVE_SEALED_MIN - KEY_SIG_LEN)

/* A file, taken apart; nothing in it is believed yet. */
struct move_file {
	uint8_t id[MOVE_ID_LEN];
	uint8_t sender[UUID_KEY_LEN];
	uint8_t recipient[MOVE_KEY_LEN];
	uint8_t ephemeral[MOVE_KEY_LEN];
	int64_t wall_ms; /* when it was made, by the sender's clock */
	struct span head;
	struct span sealed;
	struct span signed_; /* all but the signature */
	struct span signature;
};

/** move_key_new(private, err): a recipient's key.  errors ERR_INTERNAL */
int move_key_new(uint8_t private[MOVE_KEY_LEN], struct err *err);

/** move_key_public(out, private, err): errors ERR_INTERNAL */
int move_key_public(uint8_t out[MOVE_KEY_LEN],
    const uint8_t private[MOVE_KEY_LEN], struct err *err);

/** move_key_format(out, public): "x25519:BASE64". */
char *move_key_format(
    char out[MOVE_KEY_TEXT_LEN], const uint8_t public[MOVE_KEY_LEN]);

/** move_key_parse(out, text, err): the reverse.  errors ERR_USAGE */
int move_key_parse(
    uint8_t out[MOVE_KEY_LEN], const char *text, struct err *err);

/**
 * move_seal(out, id, key, recipient, wall_ms, text, err):
 * The whole file for ${text}.
 *   errors  ERR_LIMIT: over MOVE_TEXT_MAX; ERR_USAGE: ${recipient} is no key
 *           that anybody could hold; ERR_MEMORY, ERR_INTERNAL
 */
int move_seal(struct secret *out, const uint8_t id[MOVE_ID_LEN],
    const struct key *key, const uint8_t recipient[MOVE_KEY_LEN],
    int64_t wall_ms, struct span text, struct err *err);

/**
 * move_read(out, in, err):
 * Take a file apart.
 *   lifetime  ${out} holds spans into ${in}
 *   errors    ERR_MALFORMED, ERR_LIMIT, ERR_UNSUPPORTED: another version
 */
int move_read(struct move_file *out, struct span in, struct err *err);

/**
 * move_open(out, file, private, sender, err):
 * Whose it is, whom it is for, and then what is in it.
 *   errors  ERR_UNTRUSTED: not signed by ${sender}, for another agent than
 *           the holder of ${private}, or altered
 */
int move_open(struct secret *out, const struct move_file *file,
    const uint8_t private[MOVE_KEY_LEN], const uint8_t sender[UUID_KEY_LEN],
    struct err *err);

#endif
