#ifndef MOCK_FAULT_H
#define MOCK_FAULT_H

#include <stdbool.h>

/* $MOCK_QEMU_FAULT is COMMAND=WORDS: that command gets WORDS as QEMU's error;
 * or COMMAND=@NAME, which whoever answers the command knows. */

/** fault(command): what is to go wrong with it; NULL: nothing. */
const char *fault(const char *command);

bool fault_is(const char *command, const char *name);

#endif
