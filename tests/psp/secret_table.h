#ifndef PSP_SECRET_TABLE_H
#define PSP_SECRET_TABLE_H

#include "common/err.h"
#include "common/span.h"

/* The guest's side of a launch secret: the table that OVMF publishes. */

#define SECRET_TABLE_DISK "736869e5-84f0-4973-92ec-06879ce3da0b"

/**
 * secret_table_find(out, table, guid, err):
 * The data of the entry ${guid}.  Judged as Linux does: one bad length and
 * the whole table is refused.
 *   lifetime  ${out} points into ${table}
 *   errors    ERR_MALFORMED: GUID or lengths; ERR_NOT_FOUND: no such entry
 *   source    Linux drivers/virt/coco/efi_secret/efi_secret.c
 */
int secret_table_find(
    struct span *out, struct span table, const char *guid, struct err *err);

#endif
