#include "relay/directory_read.h"
#include "relay/directory_redis.h"
#include "relay/peer_wire.h"

#include <stdlib.h>
#include <string.h>

#define TEXTS 64

/*
 * What a relay of a cluster hears: of Redis (texts, a word on the channel), of
 * other relays (frames with lengths), and the directory's URL.
 */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_found(struct span in)
{
	struct span texts[TEXTS];
	struct directory_found f = { 0 };
	struct reader r = reader_of(in);
	size_t n = 0;

	for (; n < TEXTS && r.rest.len > 0 && reader_ok(&r); n++)
		texts[n] = reader_take(&r, reader_u8(&r));
	if (!directory_read_found(&f, texts, n))
		return;
	if (f.count > DIRECTORY_FOUND_MAX)
		abort();
	for (size_t i = 0; i < f.count; i++)
		if (strlen(f.entries[i].node) == 0 ||
		    strlen(f.entries[i].address) > DIRECTORY_ADDRESS_MAX ||
		    f.entries[i].mode > 1)
			abort();
}

static void
check_wire(struct span in)
{
	struct span rest = in, frame;
	int got;

	while ((got = peer_wire_next(&rest, &frame, NULL)) == 1)
		if (frame.len < FRAME_HEADER_LEN || frame.len > FRAME_MAX)
			abort();
	/* What is waited for is never more than one frame. */
	if (got == 0 && rest.len > FRAME_MAX + 2)
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t key[UUID_KEY_LEN];
	struct redis_url url;
	struct uuid uuid;
	uint64_t session;
	char *text;

	if (size < 1)
		return 0;
	text = malloc(size);
	if (text == NULL)
		return 0;
	memcpy(text, data + 1, size - 1);
	switch (data[0] & 3) {
	case 0:
		check_found(span_of(text, size - 1));
		break;
	case 1:
		check_wire(span_of(text, size - 1));
		break;
	case 2:
		directory_read_lost(
		    &uuid, key, &session, span_of(text, size - 1));
		break;
	default:
		text[size - 1] = '\0';
		if (redis_url_parse(&url, text, NULL) == 0 &&
		    (url.port == 0 || url.host[0] == '\0'))
			abort();
		break;
	}
	free(text);
	return 0;
}
