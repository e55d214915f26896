#include "tests/host/http.h"

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/host/file.h"

struct http {
	CURL *curl;
	struct curl_slist *resolve;
	struct curl_slist *fixed; /* header lines of every request */
	char error[CURL_ERROR_SIZE];
};

void
http_setup(void)
{
	(void)curl_global_init(CURL_GLOBAL_DEFAULT);
}

static int
add_line(struct curl_slist **list, const char *line, struct err *err)
{
	struct curl_slist *more = curl_slist_append(*list, line);

	if (more == NULL)
		return err_set(err, ERR_MEMORY, "no memory for a header");
	*list = more;
	return 0;
}

static int
add_token(struct http *h, const char *path, struct err *err)
{
	struct secret token = { 0 };
	char line[1100];
	int rc = -1;

	if (file_read(&token, path, err) != 0)
		return -1;
	while (token.len > 0 &&
	    (token.ptr[token.len - 1] == '\n' ||
		token.ptr[token.len - 1] == '\r'))
		token.len--;
	if (token.len == 0 || token.len > 1024) {
		err_set(err, ERR_USAGE, "%s: token of %zu characters", path,
		    token.len);
		goto out;
	}
	(void)snprintf(line, sizeof(line), "Authorization: Bearer %.*s",
	    (int)token.len, (const char *)token.ptr);
	rc = add_line(&h->fixed, line, err);
	secret_wipe(line, sizeof(line));
out:
	secret_free(&token);
	return rc;
}

/* The body so far goes no further than the contract allows. */
static size_t
take_body(char *data, size_t size, size_t count, void *ctx)
{
	struct http_answer *a = ctx;
	size_t len = size * count;
	struct secret longer = { 0 };

	if (len > HTTP_BODY_MAX - a->body.len ||
	    secret_alloc(&longer, a->body.len + len, NULL) != 0)
		return 0;
	if (a->body.len > 0)
		memcpy(longer.ptr, a->body.ptr, a->body.len);
	memcpy(longer.ptr + a->body.len, data, len);
	secret_free(&a->body);
	a->body = longer;
	return len;
}

int
http_new(struct http **out, const struct options *o, struct err *err)
{
	struct http *h = calloc(1, sizeof(*h));
	int rc = -1;

	if (h == NULL || (h->curl = curl_easy_init()) == NULL) {
		err_set(err, ERR_MEMORY, "no memory for curl");
		goto out;
	}
	if (add_line(&h->fixed, "Content-Type: application/json", err) != 0 ||
	    (o->token_file != NULL && add_token(h, o->token_file, err) != 0))
		goto out;
	if (o->resolve != NULL && add_line(&h->resolve, o->resolve, err) != 0)
		goto out;
	curl_easy_setopt(h->curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(h->curl, CURLOPT_PROTOCOLS_STR, "https");
	curl_easy_setopt(h->curl, CURLOPT_SSLVERSION, CURL_SSLVERSION_TLSv1_2);
	curl_easy_setopt(h->curl, CURLOPT_PROXY, "");
	curl_easy_setopt(h->curl, CURLOPT_CONNECTTIMEOUT, 10L);
	curl_easy_setopt(h->curl, CURLOPT_ERRORBUFFER, h->error);
	curl_easy_setopt(h->curl, CURLOPT_WRITEFUNCTION, take_body);
	curl_easy_setopt(h->curl, CURLOPT_RESOLVE, h->resolve);
	curl_easy_setopt(h->curl, CURLOPT_POST, 1L);
	if (o->ca != NULL)
		curl_easy_setopt(h->curl, CURLOPT_CAINFO, o->ca);
	if (o->cert != NULL)
		curl_easy_setopt(h->curl, CURLOPT_SSLCERT, o->cert);
	if (o->key != NULL)
		curl_easy_setopt(h->curl, CURLOPT_SSLKEY, o->key);
	if (o->no_keepalive)
		curl_easy_setopt(h->curl, CURLOPT_FORBID_REUSE, 1L);
	*out = h;
	h = NULL;
	rc = 0;
out:
	http_free(h);
	return rc;
}

void
http_free(struct http *h)
{
	if (h == NULL)
		return;
	curl_easy_cleanup(h->curl);
	curl_slist_free_all(h->resolve);
	curl_slist_free_all(h->fixed);
	free(h);
}

void
http_answer_free(struct http_answer *a)
{
	secret_free(&a->body);
	memset(a, 0, sizeof(*a));
}

static void
take_fields(struct http_answer *out, CURL *curl)
{
	struct curl_header *field = NULL;

	out->retry_after_s = -1;
	if (curl_easy_header(curl, "retry-after", 0, CURLH_HEADER, -1,
		&field) == CURLHE_OK &&
	    field->value[0] >= '0' && field->value[0] <= '9')
		out->retry_after_s = strtol(field->value, NULL, 10);
	if (curl_easy_header(curl, "request-id", 0, CURLH_HEADER, -1, &field) ==
	    CURLHE_OK)
		(void)snprintf(out->request_id, sizeof(out->request_id), "%s",
		    field->value);
}

/* Not the loss of a connection, but a service or options that are wrong. */
static bool
hopeless(CURLcode code)
{
	static const CURLcode codes[] = { CURLE_PEER_FAILED_VERIFICATION,
		CURLE_SSL_CERTPROBLEM, CURLE_SSL_CACERT_BADFILE,
		CURLE_UNSUPPORTED_PROTOCOL, CURLE_URL_MALFORMAT };

	for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++)
		if (codes[i] == code)
			return true;
	return false;
}

void
http_post(struct http_answer *out, struct http *h, const char *url,
    struct span body, const char *key, long timeout_ms)
{
	struct curl_slist extra = { 0 };
	char line[128];
	CURLcode code;

	http_answer_free(out);
	extra.next = h->fixed;
	if (key != NULL) {
		/* A quoted string of draft-ietf-httpapi-idempotency-key. */
		(void)snprintf(
		    line, sizeof(line), "Idempotency-Key: \"%s\"", key);
		extra.data = line;
	}
	curl_easy_setopt(
	    h->curl, CURLOPT_HTTPHEADER, key != NULL ? &extra : h->fixed);
	curl_easy_setopt(h->curl, CURLOPT_URL, url);
	curl_easy_setopt(h->curl, CURLOPT_POSTFIELDS, (const char *)body.ptr);
	curl_easy_setopt(h->curl, CURLOPT_POSTFIELDSIZE, (long)body.len);
	curl_easy_setopt(h->curl, CURLOPT_WRITEDATA, out);
	curl_easy_setopt(h->curl, CURLOPT_TIMEOUT_MS, timeout_ms);
	h->error[0] = '\0';
	code = curl_easy_perform(h->curl);
	/* The list is on this stack. */
	curl_easy_setopt(h->curl, CURLOPT_HTTPHEADER, h->fixed);
	if (code != CURLE_OK) {
		(void)snprintf(out->why, sizeof(out->why), "%.150s",
		    h->error[0] != '\0' ? h->error : curl_easy_strerror(code));
		out->retry_after_s = -1;
		out->hopeless = hopeless(code);
		return;
	}
	curl_easy_getinfo(h->curl, CURLINFO_RESPONSE_CODE, &out->status);
	take_fields(out, h->curl);
}
