#include "agent/cli/enrol.h"

#include <curl/curl.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "agent/plain.h"
#include "common/admit.h"
#include "common/base64.h"
#include "common/enrol_text.h"
#include "common/secret.h"
#include "common/tls.h"
#include "common/tunnel.h"

#define CONNECT_MS 15000L
#define TIMEOUT_MS 30000L
#define ANSWER_MAX 4096
#define BODY_MAX 512
#define SIGNATURE_TEXT 88

/* Made as it is sent: the proof is bound to the connection it goes over. */
struct request {
	CURL *curl;
	const struct enrol_link *link;
	const struct key *key;
	bool binding;
	char body[BODY_MAX];
	size_t len, at;
	struct err err;
	char answer[ANSWER_MAX + 1];
	size_t answer_len;
};

static int
bad_link(struct err *err)
{
	return err_set(err, ERR_USAGE,
	    "want https://HOST[:PORT][/BASE]/e/TOKEN#sha256/PIN, as "
	    "attest-relayctl token create prints it");
}

static bool
is_token(const char *text, size_t len)
{
	return len > 0 && len <= ENROL_TOKEN_MAX &&
	    strspn(text,
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
		"0123456789-_") >= len;
}

int
enrol_link_parse(struct enrol_link *out, const char *text, struct err *err)
{
	static const char scheme[] = "https://";
	const char *hash = strchr(text, '#'), *way = NULL;
	uint8_t pin[RELAY_PIN_LEN];
	struct relay_url url;
	size_t len;
	int n;

	memset(out, 0, sizeof(*out));
	if (strncmp(text, scheme, sizeof(scheme) - 1) != 0 || hash == NULL)
		return bad_link(err);
	for (const char *p = strstr(text, "/e/"); p != NULL && p < hash;
	     p = strstr(p + 1, "/e/"))
		way = p;
	if (way == NULL || !is_token(way + 3, (size_t)(hash - way - 3)))
		return bad_link(err);
	len = (size_t)(way - text);
	if (len >= sizeof(out->base) || strlen(hash + 1) >= sizeof(out->pin))
		return bad_link(err);
	memcpy(out->base, text, len);
	memcpy(out->token, way + 3, (size_t)(hash - way - 3));
	memcpy(out->pin, hash + 1, strlen(hash + 1));
	n = snprintf(out->relay, sizeof(out->relay), "wss://%s#%s",
	    out->base + sizeof(scheme) - 1, out->pin);
	if (n < 0 || (size_t)n >= sizeof(out->relay))
		return bad_link(err);
	/* A pin and no more: the rest of a fragment is the owner's to say. */
	if (relay_pin_parse(pin, out->pin, err) != 0 ||
	    relay_url_parse(&url, out->relay, err) != 0)
		return bad_link(err);
	return 0;
}

static int
make_body(struct request *r, const char signature[SIGNATURE_TEXT + 1])
{
	char key[KEY_TEXT_LEN];
	int n = snprintf(r->body, sizeof(r->body),
	    "{\"token\":\"%s\",\"key\":\"%s\",\"binding\":%d,"
	    "\"signature\":\"%s\"}",
	    r->link->token, key_format(key, r->key), r->binding ? 1 : 0,
	    signature);

	if (n < 0 || (size_t)n >= sizeof(r->body))
		return err_set(&r->err, ERR_INTERNAL, "request too long");
	r->len = (size_t)n;
	return 0;
}

static int
sign(struct request *r)
{
	struct curl_tlssessioninfo *tls = NULL;
	uint8_t exporter[TUNNEL_EXPORTER_LEN] = { 0 };
	uint8_t hash[ENROL_HASH_LEN], bytes[ENROL_TEXT_LEN];
	uint8_t signature[KEY_SIG_LEN];
	char text[SIGNATURE_TEXT + 1];
	struct writer w = writer_of(bytes, sizeof(bytes));

	if (r->binding &&
	    (curl_easy_getinfo(r->curl, CURLINFO_TLS_SSL_PTR, &tls) !=
		    CURLE_OK ||
		tls == NULL || tls->backend != CURLSSLBACKEND_OPENSSL ||
		tls->internals == NULL))
		return err_set(&r->err, ERR_INTERNAL,
		    "libcurl shows no OpenSSL connection");
	if (r->binding &&
	    tls_exporter(tls->internals, exporter, sizeof(exporter),
		TUNNEL_EXPORTER_LABEL, &r->err) != 0)
		return -1;
	if (!admit_hash(hash, span_str(r->link->token)))
		return err_set(&r->err, ERR_INTERNAL, "no SHA-256");
	enrol_text(&w, r->binding ? 1 : 0, span_of(exporter, sizeof(exporter)),
	    span_of(hash, sizeof(hash)),
	    span_of(key_public(r->key), UUID_KEY_LEN));
	if (key_sign(signature, r->key, writer_span(&w), &r->err) != 0)
		return -1;
	base64_encode(text, sizeof(text), span_of(signature, KEY_SIG_LEN));
	return make_body(r, text);
}

/* The handshake is done, and the pin was checked. */
static size_t
give(char *out, size_t size, size_t count, void *arg)
{
	struct request *r = arg;
	size_t len = size * count;

	if (r->at == 0 && sign(r) != 0)
		return CURL_READFUNC_ABORT;
	if (len > r->len - r->at)
		len = r->len - r->at;
	memcpy(out, r->body + r->at, len);
	r->at += len;
	return len;
}

static size_t
take(char *data, size_t size, size_t count, void *arg)
{
	struct request *r = arg;
	size_t len = size * count;

	if (len > ANSWER_MAX - r->answer_len)
		return 0;
	memcpy(r->answer + r->answer_len, data, len);
	r->answer_len += len;
	return len;
}

static CURLcode
set_options(struct request *r, const struct enrol_options *o, const char *url,
    const char *pin, struct curl_slist *fields, char *error)
{
	CURL *h = r->curl;
	CURLcode bad = CURLE_OK;

	bad |= curl_easy_setopt(h, CURLOPT_NOSIGNAL, 1L);
	bad |= curl_easy_setopt(h, CURLOPT_PROTOCOLS_STR, "https");
	bad |= curl_easy_setopt(h, CURLOPT_FOLLOWLOCATION, 0L);
	bad |= curl_easy_setopt(
	    h, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_3);
	/* The pin names one key, whoever certifies it; a CA comes on top. */
	bad |= curl_easy_setopt(h, CURLOPT_PINNEDPUBLICKEY, pin);
	bad |= curl_easy_setopt(
	    h, CURLOPT_SSL_VERIFYPEER, o->ca != NULL ? 1L : 0L);
	bad |= curl_easy_setopt(
	    h, CURLOPT_SSL_VERIFYHOST, o->ca != NULL ? 2L : 0L);
	if (o->ca != NULL) {
		bad |= curl_easy_setopt(h, CURLOPT_CAINFO, o->ca);
		bad |= curl_easy_setopt(h, CURLOPT_CAPATH, NULL);
	}
	bad |= curl_easy_setopt(h, CURLOPT_CONNECTTIMEOUT_MS, CONNECT_MS);
	bad |= curl_easy_setopt(h, CURLOPT_TIMEOUT_MS, TIMEOUT_MS);
	bad |= curl_easy_setopt(
	    h, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	bad |= curl_easy_setopt(
	    h, CURLOPT_USERAGENT, "attest-agent/" ATTEST_VERSION);
	bad |= curl_easy_setopt(h, CURLOPT_ERRORBUFFER, error);
	bad |= curl_easy_setopt(h, CURLOPT_URL, url);
	bad |= curl_easy_setopt(h, CURLOPT_HTTPHEADER, fields);
	bad |= curl_easy_setopt(h, CURLOPT_POST, 1L);
	bad |= curl_easy_setopt(h, CURLOPT_POSTFIELDSIZE, (long)r->len);
	bad |= curl_easy_setopt(h, CURLOPT_READFUNCTION, give);
	bad |= curl_easy_setopt(h, CURLOPT_READDATA, r);
	bad |= curl_easy_setopt(h, CURLOPT_WRITEFUNCTION, take);
	bad |= curl_easy_setopt(h, CURLOPT_WRITEDATA, r);
	return bad;
}

static int
read_answer(
    char tenant[ENROL_NAME_MAX], const struct request *r, struct err *err)
{
	json_t *answer = NULL;
	const char *name;
	long status = 0;
	int rc = -1;

	(void)curl_easy_getinfo(r->curl, CURLINFO_RESPONSE_CODE, &status);
	switch (status) {
	case 200:
		break;
	case 403:
		return err_set(err, ERR_UNTRUSTED,
		    "the relay refuses: the token was used or is over, or "
		    "this key is known already; ask for another token");
	case 404:
		return err_set(err, ERR_UNTRUSTED,
		    "there is no relay at this address that enrols");
	case 429:
		return err_set(
		    err, ERR_LIMIT, "too many enrolments: wait a minute");
	default:
		return err_set(
		    err, ERR_IO, "the relay answers %ld: try again", status);
	}
	answer =
	    json_loadb(r->answer, r->answer_len, JSON_REJECT_DUPLICATES, NULL);
	name = json_string_value(json_object_get(answer, "tenant"));
	if (name == NULL || strlen(name) >= ENROL_NAME_MAX) {
		(void)err_set(err, ERR_MALFORMED,
		    "the relay's answer has no "
		    "tenant");
	} else {
		(void)snprintf(tenant, ENROL_NAME_MAX, "%s", name);
		(void)plain(tenant);
		rc = 0;
	}
	json_decref(answer);
	return rc;
}

int
enrol_send(char tenant[ENROL_NAME_MAX], const struct enrol_link *link,
    const struct key *key, const struct enrol_options *options, struct err *err)
{
	struct request r = {
		.link = link, .key = key, .binding = !options->allow_no_binding
	};
	char zeros[SIGNATURE_TEXT + 1], url[600], pin[80];
	char error[CURL_ERROR_SIZE] = "";
	struct curl_slist *fields = NULL;
	CURLcode got;
	int rc = -1;

	memset(zeros, '0', SIGNATURE_TEXT);
	zeros[SIGNATURE_TEXT] = '\0';
	(void)snprintf(url, sizeof(url), "%s/agent/v1/enrol", link->base);
	(void)snprintf(
	    pin, sizeof(pin), "sha256//%s", link->pin + sizeof("sha256/") - 1);
	r.curl = curl_easy_init();
	fields = curl_slist_append(NULL, "Content-Type: application/json");
	if (r.curl == NULL || fields == NULL) {
		(void)err_set(err, ERR_MEMORY, "no memory for a request");
		goto out;
	}
	/* For its length, which the true one has, too. */
	if (make_body(&r, zeros) != 0 ||
	    set_options(&r, options, url, pin, fields, error) != CURLE_OK) {
		(void)err_set(err, ERR_INTERNAL, "libcurl lacks an option");
		goto out;
	}
	got = curl_easy_perform(r.curl);
	if (got == CURLE_ABORTED_BY_CALLBACK)
		*err = r.err;
	else if (got == CURLE_SSL_PINNEDPUBKEYNOTMATCH)
		(void)err_set(err, ERR_IO,
		    "the relay's key is not the one of the link: nothing was "
		    "sent");
	else if (got != CURLE_OK)
		(void)err_set(err, ERR_IO, "the relay is not reached: %s",
		    error[0] != '\0' ? error : curl_easy_strerror(got));
	else
		rc = read_answer(tenant, &r, err);
out:
	secret_wipe(r.body, sizeof(r.body));
	curl_slist_free_all(fields);
	curl_easy_cleanup(r.curl);
	return rc;
}
