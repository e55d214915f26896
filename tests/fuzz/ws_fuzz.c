#include "common/ws.h"

#include "tests/fuzz/fuzz.h"

#include <string.h>

/* What a decoder said, in one number. */
struct story {
	uint64_t hash;
	size_t events;
	bool over;
};

static void
tell(struct story *s, uint64_t v)
{
	s->hash = (s->hash ^ v) * 0x100000001b3u;
}

static struct story
read_all(struct span in, size_t piece)
{
	struct story s = { .hash = 0xcbf29ce484222325u };
	enum ws_event event;
	struct ws_got got;
	struct err err;
	struct ws ws;

	ws_init(&ws);
	for (size_t done = 0; done < in.len;) {
		size_t len = in.len - done < piece ? in.len - done : piece;
		uint8_t *part = malloc(len), *p = part;

		MUST(part != NULL);
		memcpy(part, in.ptr + done, len);
		done += len;
		while (
		    (event = ws_next(&ws, &p, &len, &got, &err)) != WS_MORE) {
			MUST(!s.over);
			MUST(got.data.len <= WS_MESSAGE_MAX);
			MUST(event == WS_MESSAGE ||
			    got.data.len <= WS_CONTROL_MAX);
			tell(&s, event);
			tell(&s, got.code);
			tell(&s, got.data.len);
			for (size_t i = 0; i < got.data.len; i++)
				tell(&s, got.data.ptr[i]);
			s.events++;
			s.over = event == WS_BAD || event == WS_CLOSE;
		}
		MUST(len == 0);
		MUST(buf_len(&ws.held) <= WS_MESSAGE_MAX);
		free(part);
	}
	ws_free(&ws);
	return s;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct story whole, split;
	struct span in;

	if (size < 1)
		return 0;
	in = span_of(data + 1, size - 1);
	whole = read_all(in, size);
	split = read_all(in, data[0] % 31 + 1u);
	MUST(whole.hash == split.hash && whole.events == split.events);
	return 0;
}
