#ifndef AGENT_CLI_OFFLINE_CHAIN_H
#define AGENT_CLI_OFFLINE_CHAIN_H

#include "agent/sev/sev.h"
#include "common/secret.h"

#define OFFLINE_BLOBS_MAX 32

/* Certificate blobs from files; they own the bytes that spans point into. */
struct offline_blobs {
	struct secret blob[OFFLINE_BLOBS_MAX];
	size_t count;
};

/**
 * offline_chain_add(out, bytes, err):
 * Add what the file of ${bytes} holds: a blob, raw or base64; or the two of
 * JSON as QEMU's query-sev-capabilities prints ({"return": {...}} or the bare
 * object), or of the text that `virsh nodesevinfo` prints.  May take ${bytes}
 * over and leave it empty.
 *   errors  ERR_MALFORMED: no base64, or JSON without pdh and cert-chain;
 *           ERR_LIMIT: too many blobs; ERR_MEMORY
 */
int offline_chain_add(
    struct offline_blobs *out, struct secret *bytes, struct err *err);

/** offline_chain_load(out, path, err): the same of a file; ERR_IO, ERR_LIMIT */
int offline_chain_load(
    struct offline_blobs *out, const char *path, struct err *err);

/** offline_chain_parse(out, blobs, err): sev_chain_parse() of them all. */
int offline_chain_parse(
    struct sev_chain *out, const struct offline_blobs *blobs, struct err *err);

/**
 * offline_chain_one(out, blobs, path, place, err):
 * Load ${path} and find the certificate of ${place} in it alone.
 */
int offline_chain_one(struct sev_cert *out, struct offline_blobs *blobs,
    const char *path, enum sev_place place, struct err *err);

void offline_chain_free(struct offline_blobs *blobs);

#endif
