#ifndef COMMON_SIPHASH_H
#define COMMON_SIPHASH_H

#include "common/span.h"

#define SIPHASH_KEY_LEN 16

/**
 * siphash(key, in):
 * SipHash-2-4, for tables whose keys are chosen by strangers: without ${key}
 * nobody can make them collide.
 *   source  Aumasson, Bernstein: SipHash: a fast short-input PRF (2012)
 */
uint64_t siphash(const uint8_t key[SIPHASH_KEY_LEN], struct span in);

#endif
