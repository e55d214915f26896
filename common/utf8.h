#ifndef COMMON_UTF8_H
#define COMMON_UTF8_H

#include "common/span.h"

/** utf8_is_valid(s): well-formed as RFC 3629 4 has it: no overlong forms, no
 * surrogates, nothing over U+10FFFF. */
bool utf8_is_valid(struct span s);

#endif
