#include "common/ws.h"

#include "common/base64.h"

#include <openssl/evp.h>
#include <string.h>

/* The half of ws that upgrades (RFC 6455 4.2). */

#define REFUSE(code, kind, ...)                                                \
	(out->status = (code), err_set(err, (kind), __VA_ARGS__))

/* base64(SHA-1(key || GUID)); SHA-1 is the RFC's choice and protects nothing. */
static int
accept_of(char out[WS_ACCEPT_LEN + 1], struct span key, struct err *err)
{
	static const char guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
	uint8_t text[24 + sizeof(guid)], digest[20];
	struct writer w = writer_of(text, sizeof(text));

	writer_put(&w, key);
	writer_put(&w, span_str(guid));
	if (!writer_ok(&w) ||
	    EVP_Q_digest(NULL, "SHA1", NULL, text, w.len, digest, NULL) != 1)
		return err_set(err, ERR_INTERNAL, "SHA-1 is not available");
	base64_encode(out, WS_ACCEPT_LEN + 1, span_of(digest, sizeof(digest)));
	return 0;
}

/* The first one of the peer's list, over all its fields, that we speak. */
static const char *
choose(const struct http_head *head, const char *const *speaks)
{
	for (size_t i = 0; i < head->field_count; i++) {
		struct span rest = head->fields[i].value, item;

		if (!http_name_is(
			head->fields[i].name, "sec-websocket-protocol"))
			continue;
		while (http_list_next(&rest, &item))
			for (size_t k = 0; speaks[k] != NULL; k++)
				if (span_is(item, speaks[k]))
					return speaks[k];
	}
	return NULL;
}

int
ws_handshake(struct ws_handshake *out, const struct http_head *head,
    const char *const *speaks, struct err *err)
{
	uint8_t nonce[16];
	struct span v, key;
	size_t len;

	memset(out, 0, sizeof(*out));
	if (!span_is(head->method, "GET"))
		return REFUSE(405, ERR_MALFORMED,
		    "upgrade by another method "
		    "than GET (RFC 6455 4.1)");
	if (head->length > 0)
		return REFUSE(400, ERR_MALFORMED, "upgrade with a body");
	if (!head->upgrade || !http_list_has(head, "upgrade", "websocket"))
		return REFUSE(426, ERR_MALFORMED,
		    "no upgrade to websocket "
		    "(RFC 6455 4.2.1)");
	if (http_get(head, "sec-websocket-version", &v) != 1 ||
	    !span_is(v, "13"))
		return REFUSE(426, ERR_MALFORMED,
		    "Sec-WebSocket-Version is not "
		    "13 (RFC 6455 4.4)");
	if (http_get(head, "sec-websocket-key", &key) != 1 || key.len != 24 ||
	    base64_decode(nonce, sizeof(nonce), &len, key, NULL) != 0 ||
	    len != sizeof(nonce))
		return REFUSE(400, ERR_MALFORMED,
		    "Sec-WebSocket-Key is not "
		    "base64 of 16 bytes (RFC 6455 4.2.1)");
	out->subprotocol = choose(head, speaks);
	if (out->subprotocol == NULL)
		return REFUSE(400, ERR_UNSUPPORTED,
		    "no subprotocol that we "
		    "speak (docs/protocol.md 12.1)");
	if (accept_of(out->accept, key, err) != 0) {
		out->status = 500;
		return -1;
	}
	out->status = 101;
	return 0;
}

void
ws_put_switching(struct writer *w, const struct ws_handshake *hs)
{
	http_put_status(w, 101);
	http_put_field(w, "Upgrade", span_str("websocket"));
	http_put_field(w, "Connection", span_str("Upgrade"));
	http_put_field(w, "Sec-WebSocket-Accept", span_str(hs->accept));
	http_put_field(w, "Sec-WebSocket-Protocol", span_str(hs->subprotocol));
	http_put_end(w);
}
