#ifndef PSP_PLATFORM_FILE_H
#define PSP_PLATFORM_FILE_H

#include "tests/psp/platform.h"

/*
 * A platform as a directory: ark.cert, ask.cert, cek.cert, oca.cert,
 * pek.cert, pdh.cert, cpu0-id.bin, api.txt ("1.55.21") and the private keys
 * NAME.key.pem.  ask_ark.cert, cek-unsigned.cert and cert-chain.bin are written
 * for other tools and not read.
 */

/** psp_platform_file_save(p, dir, err): ${dir} is made, files replaced. */
int psp_platform_file_save(
    const struct psp_platform *p, const char *dir, struct err *err);

/**
 * psp_platform_file_load(out, dir, err):
 * ARK, ASK, their keys, and those of CEK, OCA and PEK may be absent.  Without
 * api.txt the API is that of the PDH certificate, build 0.
 *   errors  ERR_NOT_FOUND, ERR_IO, ERR_MALFORMED
 */
int psp_platform_file_load(
    struct psp_platform *out, const char *dir, struct err *err);

/** psp_platform_file_api(out, text, err): "1.55.21".  errors ERR_USAGE */
int psp_platform_file_api(
    struct psp_api *out, const char *text, struct err *err);

#endif
