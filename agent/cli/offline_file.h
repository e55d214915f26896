#ifndef AGENT_CLI_OFFLINE_FILE_H
#define AGENT_CLI_OFFLINE_FILE_H

#include "agent/sev/sev.h"
#include "common/secret.h"

/* Files of the offline verbs: read whole or hashed, never past a limit. */

#define OFFLINE_CERT_MAX (256u << 10) /* certificates, QMP replies */
#define OFFLINE_KERNEL_MAX (1ull << 30)

/** offline_file_read(out, path, max, err): errors ERR_IO, ERR_LIMIT, ERR_MEMORY */
int offline_file_read(
    struct secret *out, const char *path, size_t max, struct err *err);

/** offline_file_hash(out, path, max, err): SHA-256, in pieces.  As above. */
int offline_file_hash(uint8_t out[SEV_SHA256_LEN], const char *path,
    uint64_t max, struct err *err);

/**
 * offline_file_decode(bytes, err):
 * If ${bytes} are base64 text (line breaks allowed), put what it means in
 * their place; raw certificates stay.
 *   errors  ERR_MALFORMED: text that is no base64; ERR_MEMORY
 */
int offline_file_decode(struct secret *bytes, struct err *err);

#endif
