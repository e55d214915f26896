#ifndef COMMON_LOOP_MEMORY_H
#define COMMON_LOOP_MEMORY_H

/**
 * loop_memory():
 * Let libevent's smallest things lie side by side.  It makes one for each
 * descriptor, when that is first watched, and keeps it for good: between the
 * memory of connections, each held a page that could never be given back.
 * Call it before the first loop is made.
 */
void loop_memory(void);

#endif
