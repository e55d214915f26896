#ifndef RELAY_NUMBER_H
#define RELAY_NUMBER_H

#include "common/span.h"

/** number_parse(out, text, max): decimal digits, 1 to 20, and nothing else.
 * False: it is none, or over ${max}. */
bool number_parse(uint64_t *out, struct span text, uint64_t max);

#endif
