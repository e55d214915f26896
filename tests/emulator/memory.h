#ifndef EMULATOR_MEMORY_H
#define EMULATOR_MEMORY_H

#include <sys/types.h>

#include "common/err.h"
#include "common/span.h"

/** memory_put(pid, address, data, err): into the memory of the guest that QEMU
 * ${pid} runs, below 2 GiB.
 *   errors  ERR_NOT_FOUND: its memory is no memfd, as
 *           <memoryBacking><source type='memfd'/> makes it */
int memory_put(pid_t pid, uint64_t address, struct span data, struct err *err);

#endif
