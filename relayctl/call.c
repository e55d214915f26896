#include "relayctl/call.h"

#include <curl/curl.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define CONNECT_MS 5000
#define TIMEOUT_MS 60000
#define ANSWER_MAX (256u * 1024 * 1024)

struct answer {
	char *text; /* owned */
	size_t len;
};

static size_t
take(char *data, size_t size, size_t count, void *ctx)
{
	struct answer *a = ctx;
	size_t len = size * count;
	char *more;

	if (len > ANSWER_MAX - a->len)
		return 0;
	more = realloc(a->text, a->len + len + 1);
	if (more == NULL)
		return 0;
	memcpy(more + a->len, data, len);
	a->text = more;
	a->len += len;
	return len;
}

static CURLcode
set_target(CURL *h, const struct call_target *t, const char *path, char *url,
    size_t cap)
{
	CURLcode bad = CURLE_OK;

	(void)snprintf(
	    url, cap, "%s%s", t->url != NULL ? t->url : "http://relay", path);
	bad |= curl_easy_setopt(h, CURLOPT_URL, url);
	if (t->url == NULL) {
		bad |= curl_easy_setopt(h, CURLOPT_PROTOCOLS_STR, "http");
		bad |= curl_easy_setopt(h, CURLOPT_UNIX_SOCKET_PATH, t->socket);
		return bad;
	}
	bad |= curl_easy_setopt(h, CURLOPT_PROTOCOLS_STR, "https");
	bad |= curl_easy_setopt(
	    h, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_3);
	if (t->ca != NULL)
		bad |= curl_easy_setopt(h, CURLOPT_CAINFO, t->ca);
	if (t->cert != NULL)
		bad |= curl_easy_setopt(h, CURLOPT_SSLCERT, t->cert);
	if (t->key != NULL)
		bad |= curl_easy_setopt(h, CURLOPT_SSLKEY, t->key);
	return bad;
}

/* libcurl's words for a Unix socket are about a port of a host. */
static int
unreached(CURL *h, CURLcode rc, const struct call_target *t, const char *error,
    struct err *err)
{
	long why = 0;

	if (error[0] == '\0')
		error = curl_easy_strerror(rc);
	if (t->url != NULL || rc != CURLE_COULDNT_CONNECT)
		return err_set(err, ERR_IO, "%.120s does not answer: %.120s",
		    t->url != NULL ? t->url : t->socket, error);
	(void)curl_easy_getinfo(h, CURLINFO_OS_ERRNO, &why);
	return err_set(err, ERR_IO,
	    "no relay is reached at %.120s: %s (--socket PATH, which is "
	    "admin.socket of relay.yaml)",
	    t->socket, strerror(why != 0 ? (int)why : ECONNREFUSED));
}

static int
perform(CURL *h, struct answer *a, long *status, const struct call_target *t,
    const char *error, struct err *err)
{
	CURLcode rc = curl_easy_perform(h);

	if (rc != CURLE_OK)
		return unreached(h, rc, t, error, err);
	(void)curl_easy_getinfo(h, CURLINFO_RESPONSE_CODE, status);
	if (a->text != NULL)
		a->text[a->len] = '\0';
	return 0;
}

int
call(json_t **out, long *status, const struct call_target *target,
    const char *method, const char *path, const json_t *body, struct err *err)
{
	char *text = body != NULL ? json_dumps(body, JSON_COMPACT) : NULL;
	char url[1024], error[CURL_ERROR_SIZE] = "";
	struct answer answer = { 0 };
	CURLcode bad = CURLE_OK;
	CURL *h = curl_easy_init();
	int rc = -1;

	*out = NULL;
	if (h == NULL || (body != NULL && text == NULL)) {
		err_set(err, ERR_MEMORY, "no memory for a request");
		goto out;
	}
	bad |= set_target(h, target, path, url, sizeof(url));
	bad |= curl_easy_setopt(h, CURLOPT_NOSIGNAL, 1L);
	bad |= curl_easy_setopt(h, CURLOPT_PROXY, "");
	bad |= curl_easy_setopt(h, CURLOPT_ERRORBUFFER, error);
	bad |= curl_easy_setopt(h, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_MS);
	bad |= curl_easy_setopt(h, CURLOPT_TIMEOUT_MS, (long)TIMEOUT_MS);
	bad |= curl_easy_setopt(h, CURLOPT_WRITEFUNCTION, take);
	bad |= curl_easy_setopt(h, CURLOPT_WRITEDATA, &answer);
	if (text != NULL || strcmp(method, "POST") == 0)
		bad |= curl_easy_setopt(
		    h, CURLOPT_POSTFIELDS, text != NULL ? text : "");
	bad |= curl_easy_setopt(h, CURLOPT_CUSTOMREQUEST, method);
	if (bad != CURLE_OK) {
		err_set(err, ERR_INTERNAL, "libcurl lacks an option");
		goto out;
	}
	if (perform(h, &answer, status, target, error, err) != 0)
		goto out;
	*out = json_loads(answer.text != NULL ? answer.text : "",
	    JSON_REJECT_DUPLICATES, NULL);
	if (!json_is_object(*out)) {
		err_set(err, ERR_MALFORMED,
		    "the relay answers no JSON object "
		    "(status %ld)",
		    *status);
		goto out;
	}
	rc = 0;
out:
	if (rc != 0) {
		json_decref(*out);
		*out = NULL;
	}
	curl_easy_cleanup(h);
	free(text);
	free(answer.text);
	return rc;
}
