#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "agent/config.h"
#include "agent/control.h"
#include "agent/net/backoff.h"
#include "agent/net/link_impl.h"
#include "agent/relay_url.h"
#include "agent/vault/bucket.h"

#define PIN "sha256/47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="

static void
backoff_doubles_to_a_minute(void **state)
{
	static const uint32_t caps[] = { 500, 500, 500, 500, 500, 500, 1000,
		2000, 4000, 8000, 16000, 32000, 60000, 60000, 60000 };
	struct backoff most = { 0 };
	struct backoff least = { 0 };
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(caps) / sizeof(caps[0]); i++) {
		assert_int_equal(backoff_next(&most, UINT32_MAX), caps[i]);
		assert_int_equal(backoff_next(&least, 0), BACKOFF_LEAST_MS);
	}
	backoff_ended(&most, BACKOFF_STABLE_MS - 1);
	assert_int_equal(backoff_next(&most, UINT32_MAX), 60000);
	backoff_ended(&most, BACKOFF_STABLE_MS);
	assert_int_equal(backoff_next(&most, UINT32_MAX), 500);
	/* A planned restart is no fault, but not every moment. */
	assert_false(backoff_moves(&most, BACKOFF_MOVE_MS - 1));
	assert_int_equal(most.tries, 1);
	assert_true(backoff_moves(&most, BACKOFF_MOVE_MS));
	assert_int_equal(backoff_next(&most, UINT32_MAX), 500);
}

static void
buckets_refill(void **state)
{
	struct bucket b = { 0 };
	int64_t now = 5000;
	int i;

	(void)state;
	for (i = 0; i < 3; i++)
		assert_true(bucket_take(&b, 3, 1000, now));
	assert_false(bucket_take(&b, 3, 1000, now));
	assert_int_equal(bucket_wait_s(&b, 1000, now), 1);
	assert_false(bucket_take(&b, 3, 1000, now + 999));
	assert_true(bucket_take(&b, 3, 1000, now + 1000));
	assert_false(bucket_take(&b, 3, 1000, now + 1001));
	for (i = 0; i < 3; i++)
		assert_true(bucket_take(&b, 3, 1000, now + 100000));
	assert_false(bucket_take(&b, 3, 1000, now + 100000));
	/* A clock that goes back gives nothing away, and takes nothing. */
	assert_false(bucket_take(&b, 3, 1000, now));
}

static void
relay_urls(void **state)
{
	static const struct {
		const char *url;
		const char *host; /* NULL: refused */
		uint16_t port;
		const char *path;
		bool address;
		bool pin;
		bool no_binding;
	} cases[] = {
		{ "wss://a.example", "a.example", 443, "/agent/v1", false },
		{ "wss://a.example/", "a.example", 443, "/agent/v1", false },
		{ "WSS://a.example:8443/sev", "a.example", 8443,
		    "/sev/agent/v1", false },
		{ "wss://127.0.0.1:1/x/y/", "127.0.0.1", 1, "/x/y/agent/v1",
		    true },
		{ "wss://[::1]:443/sev", "::1", 443, "/sev/agent/v1", true },
		{ "wss://[::1]", "::1", 443, "/agent/v1", true },
		{ "ws://a.example", NULL, 0, NULL, false },
		{ "https://a.example", NULL, 0, NULL, false },
		{ "wss://", NULL, 0, NULL, false },
		{ "wss://:443", NULL, 0, NULL, false },
		{ "wss://a:0", NULL, 0, NULL, false },
		{ "wss://a:65536", NULL, 0, NULL, false },
		{ "wss://a:", NULL, 0, NULL, false },
		{ "wss://a:8x", NULL, 0, NULL, false },
		{ "wss://u@a", NULL, 0, NULL, false },
		{ "wss://a/?q", NULL, 0, NULL, false },
		{ "wss://a/s#" PIN, "a", 443, "/s/agent/v1", false, true },
		{ "wss://a#" PIN, "a", 443, "/agent/v1", false, true },
		{ "wss://a/s#no-binding", "a", 443, "/s/agent/v1", false, false,
		    true },
		{ "wss://a#" PIN ",no-binding", "a", 443, "/agent/v1", false,
		    true, true },
		{ "wss://a#no-binding," PIN, "a", 443, "/agent/v1", false, true,
		    true },
		{ "wss://a#", NULL, 0, NULL, false },
		{ "wss://a#no-binding,", NULL, 0, NULL, false },
		{ "wss://a#,no-binding", NULL, 0, NULL, false },
		{ "wss://a#no-binding,no-binding", NULL, 0, NULL, false },
		{ "wss://a#" PIN "," PIN, NULL, 0, NULL, false },
		{ "wss://a#" PIN ",binding", NULL, 0, NULL, false },
		{ "wss://a#No-binding", NULL, 0, NULL, false },
		{ "wss://a#no-binding0123456789012345678901234567890123456789"
		  "0123456789",
		    NULL, 0, NULL, false },
		{ "wss://a/#f", NULL, 0, NULL, false },
		{ "wss://a/#sha256/AAAA", NULL, 0, NULL, false },
		{ "wss://a?q#" PIN, NULL, 0, NULL, false },
		{ "wss://u@a#" PIN, NULL, 0, NULL, false },
		{ "wss://a b", NULL, 0, NULL, false },
		{ "wss://[::1", NULL, 0, NULL, false },
		{ "wss://[::1]x", NULL, 0, NULL, false },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char *exact = strdup(cases[i].url);
		struct relay_url url;
		struct err err = { 0 };
		int rc = relay_url_parse(&url, exact, &err);

		if ((rc == 0) != (cases[i].host != NULL))
			fail_msg("%s: %s", cases[i].url, err.msg);
		if (rc == 0) {
			assert_string_equal(url.host, cases[i].host);
			assert_int_equal(url.port, cases[i].port);
			assert_string_equal(url.path, cases[i].path);
			assert_int_equal(url.is_address, cases[i].address);
			assert_int_equal(url.has_pin, cases[i].pin);
			assert_int_equal(url.no_binding, cases[i].no_binding);
		} else {
			assert_int_equal(err.code, ERR_USAGE);
		}
		free(exact);
	}
}

static void
proxies(void **state)
{
	struct relay_proxy p;

	(void)state;
	assert_int_equal(relay_proxy_parse(&p, "proxy.example", NULL), 0);
	assert_string_equal(p.authority, "proxy.example");
	assert_int_equal(p.port, 3128);
	assert_int_equal(relay_proxy_parse(&p, "http://u:p@h:81/", NULL), 0);
	assert_string_equal(p.authority, "u:p@h");
	assert_int_equal(p.port, 81);
	assert_int_equal(relay_proxy_parse(&p, "https://h:81", NULL), -1);
	assert_int_equal(relay_proxy_parse(&p, "socks5://h:81", NULL), -1);
	assert_int_equal(relay_proxy_parse(&p, "http://h:x", NULL), -1);
	assert_int_equal(relay_proxy_parse(&p, "", NULL), -1);
	assert_true(relay_no_proxy("a.example, b.example", "b.example"));
	assert_true(relay_no_proxy(".example", "b.example"));
	assert_true(relay_no_proxy("example", "x.b.EXAMPLE"));
	assert_true(relay_no_proxy("*", "b.example"));
	assert_false(relay_no_proxy("b.example", "ab.example"));
	assert_false(relay_no_proxy("", "b.example"));
	assert_false(relay_no_proxy(NULL, "b.example"));
	assert_false(relay_no_proxy("x.b.example", "b.example"));
}

static void
pins(void **state)
{
	uint8_t pin[RELAY_PIN_LEN];

	(void)state;
	assert_int_equal(relay_pin_parse(pin, PIN, NULL), 0);
	assert_int_equal(pin[0], 0xe3);
	assert_int_equal(relay_pin_parse(pin, "sha256/AAAA", NULL), -1);
	assert_int_equal(relay_pin_parse(pin, "sha1/AAAA", NULL), -1);
	assert_int_equal(relay_pin_parse(pin, "", NULL), -1);
}

/* Heads of the control socket: judged before anything is waited for. */
static void
control_heads(void **state)
{
	static const struct {
		size_t len;
		uint8_t bytes[6];
		const char *says;
	} bad[] = {
		{ 0, { 0 }, "of 0 bytes" },
		{ 4, { 1, 0, 0, 0 }, "of 4 bytes" },
		{ 6, { 1, 0, 0, 0, 0, 0 }, "of 6 bytes" },
		{ 5, { 0, 0, 0, 0, 0 }, "number 0" },
		{ 5, { 63, 0, 0, 0, 0 }, "number 63" },
		{ 5, { 2, 0, 0x10, 0, 1 }, "1048577 bytes" },
		{ 5, { 2, 0xff, 0xff, 0xff, 0xff }, "4294967295 bytes" },
	};
	struct control_head head;
	struct err err = { 0 };
	const uint8_t good[] = { 2, 0, 0x10, 0, 0 };
	size_t i;

	(void)state;
	assert_int_equal(
	    control_read_head(&head, span_of(good, sizeof(good)), &err), 0);
	assert_int_equal(head.op, OWNER_REGISTER);
	assert_int_equal(head.len, 1048576);
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		uint8_t *exact = malloc(bad[i].len + 1);

		assert_non_null(exact);
		memcpy(exact, bad[i].bytes, bad[i].len);
		assert_int_equal(
		    control_read_head(&head, span_of(exact, bad[i].len), &err),
		    -1);
		if (strstr(err.msg, bad[i].says) == NULL)
			fail_msg(
			    "\"%s\" does not say \"%s\"", err.msg, bad[i].says);
		free(exact);
	}
}

/* An agent that ends while a host waits for the owner's word: its links are
 * closed when the worker is gone already. */
static void
streams_outlive_the_worker(void **state)
{
	const struct link_config config = { .worker = NULL };
	struct link l = { .config = &config };

	(void)state;
	link_on_reset(&l, 1, NULL, TUNNEL_RESET_LOST, span_str("ending"));
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(backoff_doubles_to_a_minute),
	cmocka_unit_test(buckets_refill),
	cmocka_unit_test(relay_urls),
	cmocka_unit_test(proxies),
	cmocka_unit_test(pins),
	cmocka_unit_test(control_heads),
	cmocka_unit_test(streams_outlive_the_worker),
};

int
main(void)
{
	return cmocka_run_group_tests(tests, NULL, NULL);
}
