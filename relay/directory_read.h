#ifndef RELAY_DIRECTORY_READ_H
#define RELAY_DIRECTORY_READ_H

#include "relay/directory.h"

/*
 * What stands in the directory is data of a stranger (docs/threat-model.md
 * T45): judged here, without I/O.
 */

#define DIRECTORY_FOUND_FIELDS 7 /* of an entry */

/**
 * directory_read_found(out, texts, count):
 * The answer of SCRIPT_FIND.  Entries of another form are left out, and so are
 * those over DIRECTORY_FOUND_MAX.  False: it is no answer.
 */
bool directory_read_found(
    struct directory_found *out, const struct span *texts, size_t count);

/** directory_read_lost(uuid, key, session, text): "UUID KEY SESSION" of the
 * channel.  False: it is not that. */
bool directory_read_lost(struct uuid *uuid, uint8_t key[UUID_KEY_LEN],
    uint64_t *session, struct span text);

#endif
