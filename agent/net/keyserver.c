#include "agent/net/keyserver.h"

#include <curl/curl.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "agent/sev/sev.h"
#include "common/hex.h"
#include "common/log.h"
#include "common/secret.h"

#define URL_MAX_LEN 512
#define CONNECT_MS_MAX 10000
#define FETCH_MS_MAX 20000
#define SHORT_ID_LEN 17 /* eight bytes, enough to recognise */

struct keyserver {
	struct keyserver_options o;
	CURL *curl;
	char error[CURL_ERROR_SIZE];
	uint8_t body[SEV_CERT_LEN]; /* no answer that is good is longer */
	size_t body_len;
	bool too_long;
	pthread_t thread;
	_Atomic bool stop;
	pthread_mutex_t lock; /* everything below */
	pthread_cond_t work;
	struct keyplan plan;
};

static int64_t
now_ms(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

int
keyserver_check_url(const char *text, struct err *err)
{
	static const CURLUPart none[] = { CURLUPART_USER, CURLUPART_PASSWORD,
		CURLUPART_QUERY, CURLUPART_FRAGMENT };
	CURLU *u = curl_url();
	char *part = NULL;
	bool good;
	size_t i;

	good = u != NULL && strlen(text) < URL_MAX_LEN / 2 &&
	    strncmp(text, "https://", 8) == 0 &&
	    curl_url_set(u, CURLUPART_URL, text, 0) == CURLUE_OK;
	for (i = 0; good && i < sizeof(none) / sizeof(none[0]); i++)
		if (curl_url_get(u, none[i], &part, 0) == CURLUE_OK) {
			curl_free(part);
			good = false;
		}
	curl_url_cleanup(u);
	return good ? 0
		    : err_set(err, ERR_USAGE,
			  "\"%.80s\": want https://HOST[:PORT][/BASE]", text);
}

/* Longer than a certificate is no certificate: no more of it is read. */
static size_t
take_body(char *data, size_t size, size_t count, void *arg)
{
	struct keyserver *k = arg;
	size_t len = size * count;

	if (len > sizeof(k->body) - k->body_len) {
		k->too_long = true;
		return 0;
	}
	if (len > 0)
		memcpy(k->body + k->body_len, data, len);
	k->body_len += len;
	return len;
}

static int
on_progress(void *arg, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d)
{
	const struct keyserver *k = arg;

	(void)a;
	(void)b;
	(void)c;
	(void)d;
	return atomic_load(&k->stop) ? 1 : 0;
}

static int
set_options(struct keyserver *k, struct err *err)
{
	CURLcode bad = CURLE_OK;
	CURL *h = k->curl;

	bad |= curl_easy_setopt(h, CURLOPT_NOSIGNAL, 1L);
	bad |= curl_easy_setopt(h, CURLOPT_PROTOCOLS_STR, "https");
	bad |= curl_easy_setopt(h, CURLOPT_FOLLOWLOCATION, 0L);
	bad |= curl_easy_setopt(h, CURLOPT_SSL_VERIFYPEER, 1L);
	bad |= curl_easy_setopt(h, CURLOPT_SSL_VERIFYHOST, 2L);
	bad |= curl_easy_setopt(
	    h, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	bad |= curl_easy_setopt(
	    h, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_MS_MAX);
	bad |= curl_easy_setopt(h, CURLOPT_TIMEOUT_MS, (long)FETCH_MS_MAX);
	bad |= curl_easy_setopt(h, CURLOPT_MAXFILESIZE, (long)SEV_CERT_LEN);
	bad |= curl_easy_setopt(h, CURLOPT_ERRORBUFFER, k->error);
	bad |= curl_easy_setopt(h, CURLOPT_WRITEFUNCTION, take_body);
	bad |= curl_easy_setopt(h, CURLOPT_WRITEDATA, k);
	bad |= curl_easy_setopt(h, CURLOPT_NOPROGRESS, 0L);
	bad |= curl_easy_setopt(h, CURLOPT_XFERINFOFUNCTION, on_progress);
	bad |= curl_easy_setopt(h, CURLOPT_XFERINFODATA, k);
	bad |= curl_easy_setopt(
	    h, CURLOPT_USERAGENT, "attest-agent/" ATTEST_VERSION);
	if (k->o.ca != NULL) {
		bad |= curl_easy_setopt(h, CURLOPT_CAINFO, k->o.ca);
		/* That authority and no other. */
		bad |= curl_easy_setopt(h, CURLOPT_CAPATH, NULL);
	}
	/* "" is none, whatever the environment says. */
	bad |= curl_easy_setopt(
	    h, CURLOPT_PROXY, k->o.proxy != NULL ? k->o.proxy : "");
	if (bad != CURLE_OK)
		return err_set(
		    err, ERR_INTERNAL, "libcurl: %s", curl_easy_strerror(bad));
	return 0;
}

/* Which of an answer's statuses is whose fault. */
static enum keyplan_result
judge_status(long status)
{
	if (status == 200)
		return KEYPLAN_GOT;
	if (status == 429 || status >= 500 || status == 408)
		return KEYPLAN_BUSY;
	return KEYPLAN_UNKNOWN;
}

static enum keyplan_result
deliver(
    struct keyserver *k, const uint8_t id[KEYPLAN_CHIP_LEN], struct err *err)
{
	if (k->o.deliver(k->o.arg, id, span_of(k->body, k->body_len), err) == 0)
		return KEYPLAN_GOT;
	if (err->code == ERR_UNTRUSTED || err->code == ERR_MALFORMED)
		return KEYPLAN_LIE;
	return KEYPLAN_BUSY;
}

static enum keyplan_result
fetch(struct keyserver *k, const uint8_t id[KEYPLAN_CHIP_LEN],
    uint32_t *retry_after_s, struct err *err)
{
	char hex[2 * KEYPLAN_CHIP_LEN + 1];
	size_t base = strlen(k->o.url);
	enum keyplan_result result;
	char url[URL_MAX_LEN];
	curl_off_t wait = 0;
	long status = 0;
	CURLcode code;

	while (base > 0 && k->o.url[base - 1] == '/')
		base--;
	(void)snprintf(url, sizeof(url), "%.*s/cek/id/%s", (int)base, k->o.url,
	    hex_encode(hex, sizeof(hex), span_of(id, KEYPLAN_CHIP_LEN)));
	k->body_len = 0;
	k->too_long = false;
	k->error[0] = '\0';
	(void)curl_easy_setopt(k->curl, CURLOPT_URL, url);
	code = curl_easy_perform(k->curl);
	(void)curl_easy_getinfo(k->curl, CURLINFO_RESPONSE_CODE, &status);
	if (k->too_long || code == CURLE_FILESIZE_EXCEEDED) {
		(void)err_set(err, ERR_MALFORMED, "more than %d bytes came",
		    SEV_CERT_LEN);
		result = judge_status(status);
		return result == KEYPLAN_GOT ? KEYPLAN_LIE : result;
	}
	if (code != CURLE_OK) {
		(void)err_set(err, ERR_IO, "%.200s",
		    k->error[0] != '\0' ? k->error : curl_easy_strerror(code));
		return KEYPLAN_BUSY;
	}
	result = judge_status(status);
	if (result == KEYPLAN_GOT)
		return deliver(k, id, err);
	if (curl_easy_getinfo(k->curl, CURLINFO_RETRY_AFTER, &wait) ==
		CURLE_OK &&
	    wait > 0)
		*retry_after_s = wait > KEYPLAN_RETRY_AFTER_MAX_S
		    ? KEYPLAN_RETRY_AFTER_MAX_S
		    : (uint32_t)wait;
	(void)err_set(err, ERR_IO, "status %ld", status);
	return result;
}

static void
tell(const uint8_t id[KEYPLAN_CHIP_LEN], enum keyplan_result result,
    const struct err *err)
{
	static const char *const words[] = {
		[KEYPLAN_GOT] = "signed CEK fetched",
		[KEYPLAN_BUSY] = "key server: not now",
		[KEYPLAN_UNKNOWN] = "key server: does not know this chip",
		[KEYPLAN_LIE] = "key server: gave no CEK of AMD's",
	};
	char text[SHORT_ID_LEN];
	struct log_subject subject;

	log_subject_set(&subject, "cpu-id %s",
	    hex_encode(text, sizeof(text), span_of(id, 8)));
	if (result == KEYPLAN_GOT)
		log_info(&subject, "%s", words[result]);
	else
		log_warn(&subject, "%s: %s", words[result], err->msg);
}

static void
wait_for(struct keyserver *k, int64_t wait_ms)
{
	struct timespec until;

	if (wait_ms < 0) {
		(void)pthread_cond_wait(&k->work, &k->lock);
		return;
	}
	(void)clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += (time_t)(wait_ms / 1000);
	until.tv_nsec += (long)(wait_ms % 1000) * 1000000;
	if (until.tv_nsec >= 1000000000) {
		until.tv_nsec -= 1000000000;
		until.tv_sec++;
	}
	(void)pthread_cond_timedwait(&k->work, &k->lock, &until);
}

static void *
serve(void *arg)
{
	uint8_t id[KEYPLAN_CHIP_LEN];
	struct keyserver *k = arg;

	(void)pthread_mutex_lock(&k->lock);
	while (!atomic_load(&k->stop)) {
		const struct keyplan_chip *chip;
		enum keyplan_result result;
		uint32_t retry_after_s = 0;
		struct err err = { 0 };
		uint32_t random = 0;
		int64_t wait_ms;

		chip = keyplan_next(&k->plan, now_ms(), &wait_ms);
		if (chip == NULL) {
			wait_for(k, wait_ms);
			continue;
		}
		memcpy(id, chip->id, sizeof(id));
		(void)pthread_mutex_unlock(&k->lock);
		result = fetch(k, id, &retry_after_s, &err);
		if (!atomic_load(&k->stop))
			tell(id, result, &err);
		(void)secret_random(&random, sizeof(random), NULL);
		(void)pthread_mutex_lock(&k->lock);
		keyplan_done(
		    &k->plan, id, result, retry_after_s, random, now_ms());
	}
	(void)pthread_mutex_unlock(&k->lock);
	return NULL;
}

static void
release(struct keyserver *k)
{
	curl_easy_cleanup(k->curl);
	(void)pthread_cond_destroy(&k->work);
	(void)pthread_mutex_destroy(&k->lock);
	free(k);
}

int
keyserver_start(struct keyserver **out, const struct keyserver_options *options,
    struct err *err)
{
	struct keyserver *k = calloc(1, sizeof(*k));
	pthread_condattr_t attr;

	if (k == NULL)
		return err_set(err, ERR_MEMORY, "no memory for a thread");
	k->o = *options;
	k->plan.gap_ms = options->gap_ms;
	(void)pthread_condattr_init(&attr);
	(void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	(void)pthread_mutex_init(&k->lock, NULL);
	(void)pthread_cond_init(&k->work, &attr);
	(void)pthread_condattr_destroy(&attr);
	if (keyserver_check_url(options->url, err) != 0)
		goto fail;
	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK ||
	    (k->curl = curl_easy_init()) == NULL) {
		(void)err_set(err, ERR_INTERNAL, "libcurl does not start");
		goto fail;
	}
	if (set_options(k, err) != 0)
		goto fail;
	if (pthread_create(&k->thread, NULL, serve, k) != 0) {
		(void)err_set(err, ERR_INTERNAL, "no thread for the keys");
		goto fail;
	}
	*out = k;
	return 0;
fail:
	release(k);
	return -1;
}

void
keyserver_stop(struct keyserver *k)
{
	if (k == NULL)
		return;
	atomic_store(&k->stop, true);
	(void)pthread_mutex_lock(&k->lock);
	(void)pthread_cond_signal(&k->work);
	(void)pthread_mutex_unlock(&k->lock);
	(void)pthread_join(k->thread, NULL);
}

void
keyserver_free(struct keyserver *k)
{
	if (k != NULL)
		release(k);
}

void
keyserver_want(struct keyserver *k, const uint8_t cpu_id[KEYPLAN_CHIP_LEN])
{
	(void)pthread_mutex_lock(&k->lock);
	if (keyplan_want(&k->plan, cpu_id))
		(void)pthread_cond_signal(&k->work);
	(void)pthread_mutex_unlock(&k->lock);
}
