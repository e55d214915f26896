#include <stdlib.h>
#include <string.h>

#include "agent/door.h"
#include "agent/seal_key.h"

/* What a hostile net can send the vault, and the reverse: whatever is taken
 * is within all bounds, and is written again as the very same bytes. */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
both_ways(const uint8_t *data, size_t size, bool answer)
{
	static struct door_message m;
	static uint8_t again[DOOR_MAX];
	struct writer w = writer_of(again, sizeof(again));

	if (door_read(&m, span_of(data, size), answer, NULL) != 0)
		return;
	door_write(&w, &m, answer);
	if (!span_equal(writer_span(&w), span_of(data, size)))
		__builtin_trap();
	if (!answer && m.kind == DOOR_LAUNCH &&
	    (m.u.launch.chain_len > sizeof(m.u.launch.chain) ||
		memchr(m.u.launch.host_claims, '\0',
		    sizeof(m.u.launch.host_claims)) == NULL))
		__builtin_trap();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct seal_wrap wrap;

	both_ways(data, size, false);
	both_ways(data, size, true);
	if (seal_key_parse(&wrap, span_of(data, size), NULL) == 0 &&
	    wrap.log2_n > 20)
		__builtin_trap();
	return 0;
}
