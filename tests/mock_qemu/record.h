#ifndef MOCK_RECORD_H
#define MOCK_RECORD_H

#include <jansson.h>

/** record(event, more): a line {"event": ${event}, "pid": ..., ...${more}} in
 * the file $MOCK_QEMU_RECORD, if there is one.  Takes ${more}. */
void record(const char *event, json_t *more);

#endif
