#include "launch/service.h"

#include <curl/curl.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "launch/file.h"
#include "launch/service_inside.h"

#define TRY_MS_MAX 60000 /* of service_try() */
#define CONNECT_MS_MAX 10000

_Static_assert(sizeof(((struct service *)NULL)->error) == CURL_ERROR_SIZE,
    "room for libcurl's words");

int
service_setup(struct err *err)
{
	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		return err_set(err, ERR_INTERNAL, "libcurl does not start");
	return 0;
}

static int
add_line(struct service *s, const char *line, struct err *err)
{
	struct curl_slist *more = curl_slist_append(s->fixed, line);

	if (more == NULL)
		return err_set(err, ERR_MEMORY, "no memory for a header");
	s->fixed = more;
	return 0;
}

static int
add_token(struct service *s, const char *path, struct err *err)
{
	struct secret token = { 0 };
	char line[1100];
	int rc = -1;

	if (file_read_token(&token, path, err) != 0)
		return -1;
	(void)snprintf(line, sizeof(line), "Authorization: Bearer %.*s",
	    (int)token.len, (const char *)token.ptr);
	rc = add_line(s, line, err);
	secret_wipe(line, sizeof(line));
	secret_free(&token);
	return rc;
}

/* An absolute https URL without user, query and fragment. */
static int
set_base(struct service *s, const char *url, struct err *err)
{
	static const CURLUPart none[] = { CURLUPART_USER, CURLUPART_PASSWORD,
		CURLUPART_QUERY, CURLUPART_FRAGMENT };
	CURLU *u = curl_url();
	char *part = NULL;
	size_t len;
	int rc = -1;

	if (u == NULL)
		return err_set(err, ERR_MEMORY, "no memory for a URL");
	if (strncmp(url, "https://", 8) != 0 ||
	    curl_url_set(u, CURLUPART_URL, url, 0) != CURLUE_OK) {
		err_set(err, ERR_USAGE,
		    "service: want https://HOST[:PORT]"
		    "[/BASE]");
		goto out;
	}
	for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++) {
		if (curl_url_get(u, none[i], &part, 0) == CURLUE_OK) {
			curl_free(part);
			err_set(err, ERR_USAGE,
			    "service: want no user, "
			    "password, query or fragment in the URL");
			goto out;
		}
	}
	/* libcurl passes an empty one over, and the paths would be in it. */
	if (strchr(url, '#') != NULL) {
		err_set(err, ERR_USAGE, "service: want no # in the URL");
		goto out;
	}
	len = strlen(url);
	while (len > 0 && url[len - 1] == '/')
		len--;
	if (len + 64 > sizeof(s->base)) {
		err_set(err, ERR_USAGE,
		    "service: URL of %zu characters, at "
		    "most %zu",
		    len, sizeof(s->base) - 64);
		goto out;
	}
	(void)snprintf(s->base, sizeof(s->base), "%.*s", (int)len, url);
	rc = 0;
out:
	curl_url_cleanup(u);
	return rc;
}

/* No more of an answer than the contract allows is ever held. */
static size_t
take_body(char *data, size_t size, size_t count, void *ctx)
{
	struct service_answer *a = ctx;
	size_t len = size * count;
	struct secret longer = { 0 };

	if (len > SERVICE_BODY_MAX - a->body.len) {
		a->oversize = true;
		return 0;
	}
	if (secret_alloc(&longer, a->body.len + len, NULL) != 0)
		return 0;
	if (a->body.len > 0)
		memcpy(longer.ptr, a->body.ptr, a->body.len);
	memcpy(longer.ptr + a->body.len, data, len);
	secret_free(&a->body);
	a->body = longer;
	return len;
}

/*
 * Status lines, 1xx ones, too, and fields: libcurl would keep them all, and
 * some versions of it without a limit (CVE-2023-38039).
 */
static size_t
take_head(char *data, size_t size, size_t count, void *ctx)
{
	struct service_answer *a = ctx;
	size_t len = size * count;

	(void)data;
	if (len > SERVICE_HEAD_MAX - a->head_len) {
		a->oversize = true;
		return 0;
	}
	a->head_len += len;
	return len;
}

/* libcurl would notice at the first request, and not say why. */
static int
check_files(const struct service_config *c, struct err *err)
{
	const char *const files[] = { c->ca, c->cert, c->key };

	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
		if (files[i] != NULL && access(files[i], R_OK) != 0)
			return err_set(err, ERR_USAGE, "%s: %s", files[i],
			    strerror(errno));
	return 0;
}

static int
set_options(struct service *s, const struct service_config *c, struct err *err)
{
	CURL *h = s->curl;
	CURLcode bad = CURLE_OK;

	bad |= curl_easy_setopt(h, CURLOPT_NOSIGNAL, 1L);
	bad |= curl_easy_setopt(h, CURLOPT_PROTOCOLS_STR, "https");
	bad |= curl_easy_setopt(h, CURLOPT_FOLLOWLOCATION, 0L);
	bad |= curl_easy_setopt(h, CURLOPT_SSL_VERIFYPEER, 1L);
	bad |= curl_easy_setopt(h, CURLOPT_SSL_VERIFYHOST, 2L);
	bad |= curl_easy_setopt(h, CURLOPT_SSLVERSION,
	    c->tls12 ? (long)CURL_SSLVERSION_TLSv1_2
		     : (long)CURL_SSLVERSION_TLSv1_3);
	bad |= curl_easy_setopt(h, CURLOPT_PROXY, "");
	bad |= curl_easy_setopt(
	    h, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_MS_MAX);
	/* A peer that is gone is noticed before the time is up. */
	bad |= curl_easy_setopt(h, CURLOPT_TCP_KEEPALIVE, 1L);
	bad |= curl_easy_setopt(h, CURLOPT_TCP_KEEPIDLE, 10L);
	bad |= curl_easy_setopt(h, CURLOPT_TCP_KEEPINTVL, 3L);
	bad |= curl_easy_setopt(h, CURLOPT_ERRORBUFFER, s->error);
	bad |= curl_easy_setopt(h, CURLOPT_WRITEFUNCTION, take_body);
	bad |= curl_easy_setopt(h, CURLOPT_HEADERFUNCTION, take_head);
	/* What every service has (docs/protocol.md 8), and less to attack. */
	bad |= curl_easy_setopt(
	    h, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	bad |= curl_easy_setopt(
	    h, CURLOPT_USERAGENT, "attest-launch/" ATTEST_VERSION);
	if (c->ca != NULL) {
		bad |= curl_easy_setopt(h, CURLOPT_CAINFO, c->ca);
		/* That authority and no other. */
		bad |= curl_easy_setopt(h, CURLOPT_CAPATH, NULL);
	}
	if (c->cert != NULL)
		bad |= curl_easy_setopt(h, CURLOPT_SSLCERT, c->cert);
	if (c->key != NULL)
		bad |= curl_easy_setopt(h, CURLOPT_SSLKEY, c->key);
	if (bad != CURLE_OK)
		return err_set(
		    err, ERR_INTERNAL, "libcurl: %s", curl_easy_strerror(bad));
	return 0;
}

int
service_new(
    struct service **out, const struct service_config *config, struct err *err)
{
	struct service *s = calloc(1, sizeof(*s));
	int rc = -1;

	if (s == NULL || (s->curl = curl_easy_init()) == NULL) {
		err_set(err, ERR_MEMORY, "no memory for a connection");
		goto out;
	}
	if ((config->cert == NULL) != (config->key == NULL)) {
		err_set(err, ERR_USAGE, "--cert and --key go together");
		goto out;
	}
	s->timeout_s = config->timeout_s;
	if (set_base(s, config->url, err) != 0 ||
	    check_files(config, err) != 0 ||
	    add_line(s, "Accept: application/json", err) != 0 ||
	    (config->token_file != NULL &&
		add_token(s, config->token_file, err) != 0) ||
	    set_options(s, config, err) != 0)
		goto out;
	*out = s;
	s = NULL;
	rc = 0;
out:
	service_free(s);
	return rc;
}

void
service_free(struct service *s)
{
	if (s == NULL)
		return;
	curl_easy_cleanup(s->curl);
	/* One of them is the token. */
	for (struct curl_slist *l = s->fixed; l != NULL; l = l->next)
		secret_wipe(l->data, strlen(l->data));
	curl_slist_free_all(s->fixed);
	free(s);
}

const char *
service_base(const struct service *s)
{
	return s->base;
}

void
service_answer_free(struct service_answer *a)
{
	secret_free(&a->body);
	memset(a, 0, sizeof(*a));
}

/* Not the loss of a connection, but a service or files that are wrong. */
static bool
hopeless(CURLcode code)
{
	static const CURLcode codes[] = { CURLE_PEER_FAILED_VERIFICATION,
		CURLE_SSL_CERTPROBLEM, CURLE_SSL_CACERT_BADFILE,
		CURLE_SSL_CIPHER, CURLE_UNSUPPORTED_PROTOCOL,
		CURLE_URL_MALFORMAT, CURLE_WRITE_ERROR,
		CURLE_WEIRD_SERVER_REPLY, CURLE_OUT_OF_MEMORY };

	for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++)
		if (codes[i] == code)
			return true;
	return false;
}

static void
take_fields(struct service_answer *out, CURL *curl)
{
	struct curl_header *field = NULL;
	const char *type = NULL;
	curl_off_t after = 0;

	/* Seconds, or a date (RFC 9110 10.2.3); 0 if there is none, too, and
	 * less if it is over. */
	if (curl_easy_getinfo(curl, CURLINFO_RETRY_AFTER, &after) == CURLE_OK &&
	    after > 0)
		out->tried.retry_after_s = (long)after;
	if (curl_easy_header(curl, "request-id", 0, CURLH_HEADER, -1, &field) ==
	    CURLHE_OK)
		(void)snprintf(out->request_id, sizeof(out->request_id), "%s",
		    field->value);
	if (curl_easy_getinfo(curl, CURLINFO_CONTENT_TYPE, &type) == CURLE_OK &&
	    type != NULL) {
		size_t len = strcspn(type, "; ");

		out->json = len == 16 &&
		    strncasecmp(type, "application/json", len) == 0;
	}
}

void
service_perform(struct service_answer *out, struct service *s, const char *path,
    struct span body, const struct service_fields *fields, uint64_t timeout_ms)
{
	char url[SERVICE_URL_MAX + 64], type[64], key[128];
	struct curl_slist extra[2] = { { type, s->fixed }, { key, extra } };
	struct curl_slist *all = fields->key != NULL ? &extra[1] : extra;
	CURL *h = s->curl;
	CURLcode code;

	service_answer_free(out);
	out->tried.retry_after_s = -1;
	(void)snprintf(type, sizeof(type), "Content-Type: %s", fields->type);
	/* A quoted string of draft-ietf-httpapi-idempotency-key. */
	if (fields->key != NULL)
		(void)snprintf(
		    key, sizeof(key), "Idempotency-Key: \"%s\"", fields->key);
	(void)snprintf(url, sizeof(url), "%s%s", s->base, path);
	(void)curl_easy_setopt(
	    h, CURLOPT_HTTPHEADER, body.ptr != NULL ? all : s->fixed);
	(void)curl_easy_setopt(h, CURLOPT_URL, url);
	if (body.ptr != NULL) {
		(void)curl_easy_setopt(h, CURLOPT_POST, 1L);
		(void)curl_easy_setopt(
		    h, CURLOPT_POSTFIELDSIZE, (long)body.len);
		(void)curl_easy_setopt(
		    h, CURLOPT_POSTFIELDS, (const char *)body.ptr);
	} else {
		(void)curl_easy_setopt(h, CURLOPT_HTTPGET, 1L);
	}
	(void)curl_easy_setopt(h, CURLOPT_WRITEDATA, out);
	(void)curl_easy_setopt(h, CURLOPT_HEADERDATA, out);
	(void)curl_easy_setopt(h, CURLOPT_TIMEOUT_MS, (long)timeout_ms);
	s->error[0] = '\0';
	code = curl_easy_perform(h);
	/* That list is on this stack, and the body the caller's. */
	(void)curl_easy_setopt(h, CURLOPT_HTTPHEADER, s->fixed);
	(void)curl_easy_setopt(h, CURLOPT_POSTFIELDS, NULL);
	if (code == CURLE_OK) {
		(void)curl_easy_getinfo(
		    h, CURLINFO_RESPONSE_CODE, &out->tried.status);
		take_fields(out, h);
		if (out->tried.status != 200)
			answer_problem_read(
			    &out->problem, secret_span(&out->body));
		out->tried.in_progress =
		    answer_problem_is(&out->problem, "in-progress");
		return;
	}
	out->tried.hopeless = hopeless(code);
	if (out->oversize)
		(void)snprintf(out->why, sizeof(out->why),
		    "an answer of over %d bytes, or its head of over %d",
		    SERVICE_BODY_MAX, SERVICE_HEAD_MAX);
	else
		(void)snprintf(out->why, sizeof(out->why), "%.150s",
		    s->error[0] != '\0' ? s->error : curl_easy_strerror(code));
}

void
service_try(struct service_answer *out, struct service *s, const char *path,
    struct span body, const char *type)
{
	const struct service_fields fields = { type, NULL };
	uint64_t ms = (uint64_t)s->timeout_s * 1000;

	service_perform(
	    out, s, path, body, &fields, ms < TRY_MS_MAX ? ms : TRY_MS_MAX);
}
