#ifndef AGENT_NEAR_H
#define AGENT_NEAR_H

#include "agent/sev/sev.h"
#include "common/span.h"

/*
 * Near misses: launch digests of likely mistakes, each with words that tell
 * the owner what was done otherwise.  They are computed when a VM is
 * registered, while firmware and kernel are at hand, and kept with it, so that
 * `explain` needs neither of them again.  A list is a row of
 *
 *	digest:32 length:1 words
 */

#define NEAR_WORDS_MAX 160

/** near_put(w, digest, words): words over NEAR_WORDS_MAX are cut. */
void near_put(
    struct writer *w, const uint8_t digest[SEV_SHA256_LEN], const char *words);

/** near_next(r, digest, words): false at the end, or where the list breaks off
 * (reader_ok() tells which). */
bool near_next(struct reader *r, uint8_t digest[SEV_SHA256_LEN],
    char words[NEAR_WORDS_MAX + 1]);

#endif
