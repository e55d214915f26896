#ifndef AGENT_SEV_LAUNCH_SECRET_H
#define AGENT_SEV_LAUNCH_SECRET_H

#include "agent/sev/guid.h"
#include "agent/sev/measure.h"
#include "agent/sev/session.h"
#include "common/secret.h"

#define SEV_SECRET_HEADER_LEN 52
#define SEV_SECRET_ENTRIES_MAX 64    /* Linux efi_secret reads no more */
#define SEV_SECRET_AREA_DEFAULT 3072 /* OVMF AmdSev */
#define SEV_SECRET_AREA_MAX 16384    /* the firmware's own limit */

/* One secret: exact bytes, nothing is added. */
struct sev_secret_entry {
	struct sev_guid guid;
	struct span data; /* may be empty */
};

/* How much room there is, and how far to hide the true length. */
struct sev_secret_room {
	size_t area; /* bytes; 0 for SEV_SECRET_AREA_DEFAULT */
	size_t step; /* pad to multiples of this; 0 for 16, the least */
};

/**
 * sev_launch_secret_table(out, entries, count, room, err):
 * The table that OVMF hands to the guest: one for all secrets of a VM, zero
 * padded to a multiple of ${room}->step (to the end of the area if that is
 * nearer), and not at all when it is one already.
 *   shapes  1..SEV_SECRET_ENTRIES_MAX entries; ${room} may be NULL
 *   errors  ERR_USAGE: no or too many entries, a GUID of zeros or twice, a
 *           step that is no multiple of 16, an area over SEV_SECRET_AREA_MAX;
 *           ERR_LIMIT: it does not fit the area; ERR_MEMORY
 *   source  edk2 OvmfPkg/AmdSev/SecretDxe, Linux drivers/virt/coco/efi_secret
 */
int sev_launch_secret_table(struct secret *out,
    const struct sev_secret_entry *entries, size_t count,
    const struct sev_secret_room *room, struct err *err);

/**
 * sev_launch_secret_seal(header, payload, table, tek, tik, iv, measure, err):
 * Encrypt ${table} and bind it to the one guest that measured ${measure}.
 *   shapes  ${payload} has room for ${table}.len bytes, a multiple of 16, at
 *           most SEV_SECRET_AREA_MAX; ${iv} random, once only; ${measure} the
 *           MAC without its nonce
 *   errors  ERR_LIMIT, ERR_INTERNAL; ${header} and ${payload} are then zeros
 *   source  55766 6.6, table 55
 */
int sev_launch_secret_seal(uint8_t header[SEV_SECRET_HEADER_LEN],
    uint8_t *payload, struct span table, const uint8_t tek[SEV_TK_LEN],
    const uint8_t tik[SEV_TK_LEN], const uint8_t iv[SEV_IV_LEN],
    const uint8_t measure[SEV_MEASURE_LEN], struct err *err);

#endif
