#include "agent/relay_url.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/base64.h"

#define WAY "/agent/v1" /* docs/protocol.md 12.1 */

static int
parse_port(uint16_t *out, const char *text, size_t len)
{
	unsigned long n = 0;
	size_t i;

	if (len == 0 || len > 5)
		return -1;
	for (i = 0; i < len; i++) {
		if (text[i] < '0' || text[i] > '9')
			return -1;
		n = n * 10 + (unsigned long)(text[i] - '0');
	}
	if (n == 0 || n > UINT16_MAX)
		return -1;
	*out = (uint16_t)n;
	return 0;
}

/* host, host:port, [v6] or [v6]:port, of ${len} characters. */
static int
parse_authority(
    char *host, size_t cap, uint16_t *port, const char *text, size_t len)
{
	const char *colon = memchr(text, ':', len);
	size_t host_len = len;

	if (len > 0 && text[0] == '[') {
		const char *end = memchr(text, ']', len);

		if (end == NULL)
			return -1;
		colon = end + 1 < text + len ? end + 1 : NULL;
		if (colon != NULL && *colon != ':')
			return -1;
		text++;
		host_len = (size_t)(end - text);
		len--;
	} else if (colon != NULL) {
		host_len = (size_t)(colon - text);
	}
	if (colon != NULL &&
	    parse_port(port, colon + 1, (size_t)(text + len - colon) - 1) != 0)
		return -1;
	if (host_len == 0 || host_len >= cap)
		return -1;
	memcpy(host, text, host_len);
	host[host_len] = '\0';
	return 0;
}

static bool
is_plain(const char *text)
{
	for (; *text != '\0'; text++)
		if (*text <= ' ' || *text > '~')
			return false;
	return true;
}

int
relay_pin_parse(uint8_t out[RELAY_PIN_LEN], const char *text, struct err *err)
{
	static const char head[] = "sha256/";
	size_t len = 0;

	if (strncmp(text, head, sizeof(head) - 1) != 0 ||
	    base64_decode(out, RELAY_PIN_LEN, &len,
		span_str(text + sizeof(head) - 1), NULL) != 0 ||
	    len != RELAY_PIN_LEN)
		return err_set(err, ERR_USAGE,
		    "pin: want sha256/ and the base64 of 32 bytes");
	return 0;
}

/* Words that are the agent's: each once, in any order. */
static int
parse_fragment(struct relay_url *out, const char *text, struct err *err)
{
	char word[64];
	size_t len;

	for (;;) {
		len = strcspn(text, ",");
		if (len >= sizeof(word))
			return err_set(err, ERR_USAGE,
			    "relay: nothing so long goes behind #");
		memcpy(word, text, len);
		word[len] = '\0';
		if (strcmp(word, "no-binding") == 0 && !out->no_binding) {
			out->no_binding = true;
		} else if (out->has_pin) {
			return err_set(err, ERR_USAGE,
			    "relay: \"%s\" behind #: want one PIN and "
			    "no-binding at most",
			    word);
		} else {
			if (relay_pin_parse(out->pin, word, err) != 0)
				return -1;
			out->has_pin = true;
		}
		if (text[len] == '\0')
			return 0;
		text += len + 1;
	}
}

static int
bad_url(const char *text, struct err *err)
{
	return err_set(err, ERR_USAGE,
	    "relay \"%.100s\": want wss://HOST[:PORT][/BASE][#PIN]", text);
}

int
relay_url_parse(struct relay_url *out, const char *text, struct err *err)
{
	static const char scheme[] = "wss://";
	const char *rest = text + sizeof(scheme) - 1;
	struct in6_addr address;
	size_t end, len;
	int n;

	memset(out, 0, sizeof(*out));
	out->port = 443;
	if (strncasecmp(text, scheme, sizeof(scheme) - 1) != 0 ||
	    !is_plain(text))
		return bad_url(text, err);
	end = strcspn(rest, "#");
	if (rest[end] == '#' && parse_fragment(out, rest + end + 1, err) != 0)
		return -1;
	len = strcspn(rest, "/?#");
	if (memchr(rest, '?', end) != NULL || memchr(rest, '@', end) != NULL ||
	    parse_authority(
		out->host, sizeof(out->host), &out->port, rest, len) != 0)
		return bad_url(text, err);
	rest += len;
	end -= len;
	while (end > 0 && rest[end - 1] == '/')
		end--;
	n = snprintf(out->path, sizeof(out->path), "%.*s" WAY, (int)end, rest);
	if (n < 0 || (size_t)n >= sizeof(out->path))
		return err_set(err, ERR_USAGE, "relay: path too long");
	out->is_address = inet_pton(AF_INET, out->host, &address) == 1 ||
	    inet_pton(AF_INET6, out->host, &address) == 1;
	return 0;
}

int
relay_proxy_parse(struct relay_proxy *out, const char *text, struct err *err)
{
	static const char scheme[] = "http://";
	const char *at;
	char host[256];
	size_t len;
	int n;

	memset(out, 0, sizeof(*out));
	out->port = 3128;
	if (strncasecmp(text, scheme, sizeof(scheme) - 1) == 0)
		text += sizeof(scheme) - 1;
	else if (strstr(text, "://") != NULL)
		return err_set(err, ERR_UNSUPPORTED,
		    "proxy: only http:// proxies are supported (the way "
		    "through it is TLS to the relay all the same)");
	len = strcspn(text, "/");
	at = memchr(text, '@', len);
	if (at == NULL)
		at = text;
	else
		at++;
	if (parse_authority(host, sizeof(host), &out->port, at,
		len - (size_t)(at - text)) != 0)
		return err_set(err, ERR_USAGE,
		    "proxy: want [http://][USER:PASS@]HOST[:PORT]");
	n = snprintf(out->authority, sizeof(out->authority), "%.*s%s",
	    (int)(at - text), text, host);
	if (n < 0 || (size_t)n >= sizeof(out->authority))
		return err_set(err, ERR_USAGE, "proxy: too long");
	return 0;
}

bool
relay_no_proxy(const char *list, const char *host)
{
	size_t host_len = strlen(host);

	while (list != NULL && *list != '\0') {
		size_t len;

		list += strspn(list, ", ");
		len = strcspn(list, ", ");
		if (len == 1 && *list == '*')
			return true;
		if (len > 0 && *list == '.') {
			list++;
			len--;
		}
		if (len > 0 && len <= host_len &&
		    strncasecmp(host + host_len - len, list, len) == 0 &&
		    (len == host_len || host[host_len - len - 1] == '.'))
			return true;
		list += len;
	}
	return false;
}
