#include "agent/cli/probe.h"

#include <curl/curl.h>
#include <stdio.h>
#include <string.h>

#include "common/base64.h"

struct state {
	struct probe *out;
	size_t len;
	char error[CURL_ERROR_SIZE];
};

static size_t
take_body(char *bytes, size_t size, size_t count, void *arg)
{
	struct state *s = arg;
	size_t len = size * count;
	size_t room = sizeof(s->out->body) - 1 - s->len;
	size_t n = len < room ? len : room;

	memcpy(s->out->body + s->len, bytes, n);
	s->len += n;
	s->out->body[s->len] = '\0';
	return len;
}

static CURLcode
set_up(CURL *h, struct state *s, const struct probe_options *o)
{
	char pin[16 + 48];
	char text[48];
	CURLcode bad = CURLE_OK;
	bool pin_only = o->pin != NULL && o->pin_only;

	bad |= curl_easy_setopt(h, CURLOPT_URL, o->url);
	bad |= curl_easy_setopt(h, CURLOPT_NOSIGNAL, 1L);
	bad |= curl_easy_setopt(h, CURLOPT_PROTOCOLS_STR, "https");
	bad |= curl_easy_setopt(h, CURLOPT_FOLLOWLOCATION, 0L);
	bad |= curl_easy_setopt(h, CURLOPT_SSL_VERIFYPEER, pin_only ? 0L : 1L);
	bad |= curl_easy_setopt(h, CURLOPT_SSL_VERIFYHOST, pin_only ? 0L : 2L);
	bad |= curl_easy_setopt(h, CURLOPT_TIMEOUT_MS, (long)o->wait_ms);
	bad |= curl_easy_setopt(h, CURLOPT_ERRORBUFFER, s->error);
	bad |= curl_easy_setopt(h, CURLOPT_WRITEFUNCTION, take_body);
	bad |= curl_easy_setopt(h, CURLOPT_WRITEDATA, s);
	bad |= curl_easy_setopt(
	    h, CURLOPT_USERAGENT, "attest-agent/" ATTEST_VERSION);
	/* "" is none, whatever the environment says. */
	bad |= curl_easy_setopt(
	    h, CURLOPT_PROXY, o->proxy != NULL ? o->proxy : "");
	bad |= curl_easy_setopt(h, CURLOPT_NOPROXY, "");
	if (o->ca != NULL) {
		bad |= curl_easy_setopt(h, CURLOPT_CAINFO, o->ca);
		bad |= curl_easy_setopt(h, CURLOPT_CAPATH, NULL);
	}
	if (o->pin != NULL) {
		(void)snprintf(pin, sizeof(pin), "sha256//%s",
		    base64_encode(
			text, sizeof(text), span_of(o->pin, RELAY_PIN_LEN)));
		bad |= curl_easy_setopt(h, CURLOPT_PINNEDPUBLICKEY, pin);
	}
	return bad;
}

/* Where a connection that broke or timed out had got to. */
static enum probe_stage
reached(CURL *h, const struct probe_options *o)
{
	curl_off_t connected = 0;
	curl_off_t secured = 0;
	curl_off_t found = 0;
	long answer = 0;

	(void)curl_easy_getinfo(h, CURLINFO_NAMELOOKUP_TIME_T, &found);
	(void)curl_easy_getinfo(h, CURLINFO_CONNECT_TIME_T, &connected);
	(void)curl_easy_getinfo(h, CURLINFO_APPCONNECT_TIME_T, &secured);
	(void)curl_easy_getinfo(h, CURLINFO_HTTP_CONNECTCODE, &answer);
	if (secured > 0)
		return PROBE_HTTP;
	if (o->proxy != NULL && answer / 100 != 2)
		return PROBE_PROXY;
	if (connected > 0)
		return PROBE_TLS;
	return found > 0 ? PROBE_TCP : PROBE_DNS;
}

static enum probe_stage
stage_of(CURL *h, CURLcode code, const struct probe_options *o)
{
	static const struct {
		CURLcode code;
		enum probe_stage stage;
	} table[] = {
		{ CURLE_OK, PROBE_DONE },
		{ CURLE_COULDNT_RESOLVE_PROXY, PROBE_PROXY },
		{ CURLE_COULDNT_RESOLVE_HOST, PROBE_DNS },
		{ CURLE_PEER_FAILED_VERIFICATION, PROBE_TLS },
		{ CURLE_SSL_CONNECT_ERROR, PROBE_TLS },
		{ CURLE_SSL_CACERT_BADFILE, PROBE_TLS },
		{ CURLE_SSL_ISSUER_ERROR, PROBE_TLS },
		{ CURLE_SSL_PINNEDPUBKEYNOTMATCH, PROBE_PIN },
	};
	size_t i;

	for (i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		if (table[i].code == code)
			return table[i].stage;
	return reached(h, o);
}

static void
take_facts(struct probe *out, CURL *h)
{
	struct curl_header *date = NULL;
	char *address = NULL;
	long port = 0;

	(void)curl_easy_getinfo(h, CURLINFO_RESPONSE_CODE, &out->status);
	(void)curl_easy_getinfo(h, CURLINFO_PRIMARY_IP, &address);
	(void)curl_easy_getinfo(h, CURLINFO_PRIMARY_PORT, &port);
	if (address != NULL && address[0] != '\0')
		(void)snprintf(out->address, sizeof(out->address),
		    strchr(address, ':') != NULL ? "[%.45s]:%ld" : "%.45s:%ld",
		    address, port);
	if (curl_easy_header(h, "date", 0, CURLH_HEADER, -1, &date) ==
	    CURLHE_OK)
		out->date_s = (int64_t)curl_getdate(date->value, NULL);
	if (out->date_s < 0)
		out->date_s = 0;
}

int
probe_https(
    struct probe *out, const struct probe_options *options, struct err *err)
{
	struct state s = { .out = out };
	CURL *h = curl_easy_init();
	CURLcode code;
	int rc = -1;

	memset(out, 0, sizeof(*out));
	if (h == NULL)
		return err_set(err, ERR_MEMORY, "no memory for a request");
	if (set_up(h, &s, options) != CURLE_OK) {
		(void)err_set(err, ERR_INTERNAL, "libcurl lacks an option");
		goto out;
	}
	code = curl_easy_perform(h);
	out->stage = stage_of(h, code, options);
	take_facts(out, h);
	if (code != CURLE_OK)
		(void)snprintf(out->why, sizeof(out->why), "%.150s",
		    s.error[0] != '\0' ? s.error : curl_easy_strerror(code));
	rc = 0;
out:
	curl_easy_cleanup(h);
	return rc;
}
