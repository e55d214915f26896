#include "common/http_server.h"

#include "common/tls.h"

#include <fcntl.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/unit/relay/check.h"

/*
 * A server on a socket pair in a thread, a blocking client here.  The server
 * sends each body back; "/later" is answered at the end of the turn, "/deny"
 * before its body is read, and so is "/busy", but to come again; "/bad" is
 * answered with a field that is none.  Behind "/move" it tries to leave for
 * another loop, if there is one; behind "/drain", which is busy, it drains.
 */

static char folder[] = "/tmp/attest-relay-http.XXXXXX";
static struct tls_identity *identity;
static SSL_CTX *client_ctx;

struct server {
	struct loop *loop;
	struct ssl_ctx_st *ctx;
	struct http_server *http;
	struct loop_task later;
	struct buf kept;
	pthread_t thread;
	struct loop *next; /* where to go */
	pthread_t next_thread;
	struct mail letter;
	struct loop_task move;
	unsigned left, stayed;
	unsigned requests, gone, done;
	unsigned gone_inside; /* closings told while an answer was given */
	unsigned last_status;
	char last_why[64];
	char path[64];
};

static const struct http_settings settings = {
	.conn = { .handshake_ms = 10000,
	    .stall_ms = 10000,
	    .linger_ms = 300,
	    .in_max = 32768,
	    .out_max = 262144,
	    .out_low = 65536 },
	.head_ms = 10000,
	.body_ms = 10000,
	.rate_after_ms = 5000,
	.rate_min = 512,
	.idle_ms = 10000,
};

static void
on_open(void *arg)
{
	(void)arg;
}

static enum http_verdict
on_head(void *arg, struct http_server *s, const struct http_head *head,
    size_t *body_max)
{
	struct server *v = arg;

	*body_max = 100;
	snprintf(v->path, sizeof(v->path), "%.*s", (int)head->path.len,
	    (const char *)head->path.ptr);
	if (strcmp(v->path, "/deny") == 0)
		http_problem(s, PROBLEM_HOST_UNAUTHENTICATED, NULL, 0);
	else if (strcmp(v->path, "/busy") == 0 ||
	    strcmp(v->path, "/drain") == 0)
		http_problem(s, PROBLEM_OVERLOADED, NULL, 0);
	else
		return HTTP_READ;
	if (strcmp(v->path, "/drain") == 0)
		http_close_after(s);
	return HTTP_ANSWERED;
}

static bool
on_more(void *arg, size_t len)
{
	(void)arg;
	(void)len;
	return true;
}

static void
send_back(struct server *v)
{
	struct http_out_field f = { "x-path", span_str(v->path) };
	struct http_answer a = { .status = 200,
		.origin = "agent",
		.fields = &f,
		.field_count = 1,
		.body = buf_span(&v->kept) };
	static const uint8_t much[300000]; /* over settings.conn.out_max */
	struct err err;

	if (strcmp(v->path, "/much") == 0)
		a.body = span_of(much, sizeof(much));
	if (strcmp(v->path, "/bad") == 0)
		f.value = span_str("a\r\nb: c");
	if (http_answer(v->http, &a, &err) != 0)
		http_problem(v->http, PROBLEM_AGENT_PROTOCOL, NULL, 0);
	v->gone_inside = v->gone;
	buf_free(&v->kept);
}

static void
on_later(void *arg)
{
	send_back(arg);
}

/* Behind the task that has written the answer. */
static void
on_move(void *arg)
{
	struct server *v = arg;

	if (!http_leave(v->http)) {
		v->stayed++;
		return;
	}
	v->left++;
	loop_stop(v->loop);
	loop_post(v->next, &v->letter);
}

static void
on_letter(void *arg, struct mail *mail)
{
	struct server *v = arg;

	(void)mail;
	v->loop = v->next;
	http_enter(v->http, v->loop, &settings);
}

static void
on_request(void *arg, struct http_server *s, struct buf *body)
{
	struct server *v = arg;

	v->http = s;
	v->requests++;
	v->kept = *body;
	buf_init(body, 0, false);
	if (strcmp(v->path, "/move") == 0) {
		v->stayed += !http_leave(s); /* under way */
		send_back(v);
		v->stayed += !http_leave(s); /* not written */
		loop_soon(v->loop, &v->move);
	} else if (strcmp(v->path, "/later") == 0) {
		loop_soon(v->loop, &v->later);
	} else {
		send_back(v);
	}
}

static void
on_done(void *arg, const struct http_done *done)
{
	struct server *v = arg;

	v->done++;
	v->last_status = done->status;
}

static void
on_gone(void *arg, const char *why)
{
	struct server *v = arg;

	v->gone++;
	snprintf(v->last_why, sizeof(v->last_why), "%s", why);
	loop_stop(v->loop);
}

static const struct http_ops ops = {
	.open = on_open,
	.head = on_head,
	.more = on_more,
	.request = on_request,
	.done = on_done,
	.gone = on_gone,
};

static void
no_mail(void *arg, struct mail *mail)
{
	(void)arg;
	(void)mail;
}

static void *
run(void *arg)
{
	struct server *v = arg;

	loop_run(v->loop, NULL);
	return NULL;
}

static SSL *
start(struct server *v)
{
	static const uint8_t tickets[TLS_TICKET_KEYS_LEN];
	int fds[2];
	SSL *ssl;

	memset(v, 0, sizeof(*v));
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	assert_int_equal(loop_new(&v->loop, no_mail, NULL, NULL), 0);
	loop_task_init(&v->later, on_later, v);
	loop_task_init(&v->move, on_move, v);
	assert_int_equal(tls_server(&v->ctx, identity, false,
			     span_of(tickets, sizeof(tickets)), NULL),
	    0);
	/* The server's end does not block; the client's does. */
	assert_int_equal(fcntl(fds[0], F_SETFL, O_NONBLOCK), 0);
	assert_int_equal(http_server_accept(&v->http, v->loop, v->ctx, fds[0],
			     &settings, &ops, v, NULL),
	    0);
	assert_int_equal(pthread_create(&v->thread, NULL, run, v), 0);
	ssl = SSL_new(client_ctx);
	SSL_set_fd(ssl, fds[1]);
	assert_int_equal(SSL_connect(ssl), 1);
	return ssl;
}

/* Send ${text}, read until the server closes or ${answers} have come. */
static void
talk(SSL *ssl, const char *text, char *out, size_t cap, unsigned answers)
{
	size_t len = 0, n;

	out[0] = '\0';
	assert_int_equal(
	    SSL_write(ssl, text, (int)strlen(text)), (int)strlen(text));
	while (len < cap - 1) {
		const char *at = out;
		unsigned seen = 0;

		while ((at = strstr(at, "END.")) != NULL) {
			at += 4;
			seen++;
		}
		if (answers > 0 && seen >= answers)
			return;
		if (SSL_read_ex(ssl, out + len, cap - 1 - len, &n) != 1)
			return;
		len += n;
		out[len] = '\0';
	}
}

static void
finish(struct server *v, SSL *ssl)
{
	int fd = SSL_get_fd(ssl);

	SSL_shutdown(ssl);
	SSL_free(ssl);
	close(fd);
	pthread_join(v->thread, NULL);
	if (v->next != NULL)
		pthread_join(v->next_thread, NULL);
	assert_int_equal(v->gone, 1);
	loop_free(v->loop);
	tls_server_free(v->ctx);
	buf_free(&v->kept);
}

static void
answers_in_order(void **state)
{
	struct server v;
	SSL *ssl = start(&v);
	char out[4096];

	(void)state;
	talk(ssl,
	    "POST /later HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n"
	    "Request-Id: one\r\n\r\n1END."
	    "POST /now HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n"
	    "Request-Id: two\r\n\r\n2END.",
	    out, sizeof(out), 2);
	assert_non_null(strstr(out, "1END.HTTP/1.1 200 OK\r\n"));
	assert_non_null(strstr(out, "request-id: one\r\n"));
	assert_non_null(strstr(out, "request-id: two\r\n"));
	assert_non_null(strstr(out, "x-path: /later\r\n"));
	assert_non_null(strstr(out, "attest-origin: agent\r\n"));
	assert_non_null(strstr(out, "cache-control: no-store\r\n"));
	assert_null(strstr(out, "connection: close"));
	finish(&v, ssl);
	assert_int_equal(v.requests, 2);
	assert_int_equal(v.done, 2);
}

static const struct {
	const char *name;
	const char *text;
	const char *says; /* in the answer */
	unsigned requests;
} closing[] = {
	{ "asked to",
	    "POST /now HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n"
	    "Connection: close\r\n\r\n",
	    "HTTP/1.1 200 OK\r\n", 1 },
	{ "denied with its body unread",
	    "POST /deny HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nGET / "
	    "HTTP/1.1\r\nHost: a\r\n\r\n",
	    "HTTP/1.1 401 ", 0 },
	{ "busy, and a body that waits for a 100",
	    "POST /busy HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n"
	    "Expect: 100-continue\r\n\r\n",
	    "HTTP/1.1 503 ", 0 },
	{ "busy, and a body too long to read for nothing",
	    "POST /busy HTTP/1.1\r\nHost: a\r\nContent-Length: 65537\r\n"
	    "\r\n",
	    "HTTP/1.1 503 ", 0 },
	{ "body over the limit",
	    "POST /now HTTP/1.1\r\nHost: a\r\nContent-Length: 101\r\n\r\n",
	    "HTTP/1.1 413 ", 0 },
	{ "no length", "POST /now HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 411 ",
	    0 },
	{ "chunks",
	    "POST /now HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n"
	    "\r\n0\r\n\r\n",
	    "HTTP/1.1 501 ", 0 },
	{ "bare LF", "POST /now HTTP/1.1\nHost: a\n\n", "HTTP/1.1 400 ", 0 },
	{ "0-RTT",
	    "POST /now HTTP/1.1\r\nHost: a\r\nEarly-Data: 1\r\n"
	    "Content-Length: 0\r\n\r\n",
	    "HTTP/1.1 425 ", 0 },
	{ "garbage behind a good one",
	    "POST /now HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n\r\n"
	    "\r\n",
	    "HTTP/1.1 400 ", 1 },
};

static void
closes_behind_what_it_does_not_understand(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(closing); i++) {
		struct server v;
		SSL *ssl = start(&v);
		char out[4096];

		talk(ssl, closing[i].text, out, sizeof(out), 0);
		expect_words(closing[i].name, out, closing[i].says);
		expect_words(closing[i].name, out, "connection: close\r\n");
		expect_words(closing[i].name, out, "request-id: ");
		finish(&v, ssl);
		if (v.requests != closing[i].requests)
			fail_msg(
			    "%s: %u requests", closing[i].name, v.requests);
	}
}

static void
reads_over_the_body_of_who_shall_come_again(void **state)
{
	struct server v;
	SSL *ssl = start(&v);
	char out[4096];

	(void)state;
	/* What looks like a request in that body is none. */
	talk(ssl,
	    "POST /busy HTTP/1.1\r\nHost: a\r\nContent-Length: 26\r\n\r\n"
	    "GET /x HTTP/1.1\r\nHost: a\r\n"
	    "POST /now HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n"
	    "1END.",
	    out, sizeof(out), 1);
	expect_words("busy", out, "HTTP/1.1 503 ");
	expect_words("next", out, "x-path: /now\r\n");
	assert_null(strstr(out, "connection: close"));
	finish(&v, ssl);
	assert_int_equal(v.requests, 1);
	assert_int_equal(v.done, 2);
}

static void
drains_before_such_a_body_has_come(void **state)
{
	struct server v;
	SSL *ssl = start(&v);
	char out[4096];

	(void)state;
	talk(ssl,
	    "POST /drain HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{}",
	    out, sizeof(out), 0);
	expect_words("busy", out, "HTTP/1.1 503 ");
	finish(&v, ssl);
	assert_string_equal(v.last_why, "draining");
}

static void
says_100_before_a_body_that_is_wanted(void **state)
{
	static const char expecting[] =
	    "POST /now HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n"
	    "Expect: 100-continue\r\n\r\n";
	struct server v;
	SSL *ssl = start(&v);
	char out[4096];

	(void)state;
	/* Enough to see that it comes before the body was sent. */
	assert_true(SSL_write(ssl, expecting, sizeof(expecting) - 1) > 0);
	assert_int_equal(SSL_read(ssl, out, 25), 25);
	assert_memory_equal(out, "HTTP/1.1 100 Continue\r\n\r\n", 25);
	talk(ssl, "END.", out, sizeof(out), 1);
	expect_words("answer", out, "HTTP/1.1 200 OK\r\n");
	finish(&v, ssl);
}

static void
a_field_that_is_none_is_not_sent(void **state)
{
	struct server v;
	SSL *ssl = start(&v);
	char out[4096];

	(void)state;
	talk(ssl,
	    "POST /bad HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n"
	    "Connection: close\r\n\r\n",
	    out, sizeof(out), 0);
	expect_words("bad field", out, "HTTP/1.1 502 ");
	assert_null(strstr(out, "b: c"));
	finish(&v, ssl);
	assert_int_equal(v.last_status, 502);
}

static void
a_head_without_a_body_has_none(void **state)
{
	struct server v;
	SSL *ssl = start(&v);
	char out[4096];

	(void)state;
	talk(ssl, "HEAD /deny HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
	    out, sizeof(out), 0);
	expect_words("HEAD", out, "HTTP/1.1 401 ");
	assert_string_equal(strstr(out, "\r\n\r\n"), "\r\n\r\n");
	finish(&v, ssl);
}

/* Whoever writes still holds what the closing would free. */
static void
an_answer_over_the_queue_closes_behind_its_writer(void **state)
{
	struct server v;
	SSL *ssl = start(&v);
	char out[4096];

	(void)state;
	talk(ssl, "GET /much HTTP/1.1\r\nHost: a\r\n\r\n", out, sizeof(out), 0);
	finish(&v, ssl);
	assert_int_equal(v.requests, 1);
	assert_int_equal(v.gone_inside, 0);
}

static int
make_identity(void **state)
{
	char crt[128], key[128], command[512];
	struct tls_source source = { crt, key, "" };
	enum tls_part part;

	(void)state;
	signal(SIGPIPE, SIG_IGN);
	if (mkdtemp(folder) == NULL)
		return -1;
	snprintf(crt, sizeof(crt), "%s/a.crt", folder);
	snprintf(key, sizeof(key), "%s/a.key", folder);
	snprintf(command, sizeof(command),
	    "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 "
	    "-nodes -days 2 -subj /CN=a -keyout %s -out %s 2>/dev/null",
	    key, crt);
	if (system(command) != 0 ||
	    tls_identity_load(&identity, &source, &part, NULL) != 0)
		return -1;
	client_ctx = SSL_CTX_new(TLS_client_method());
	return client_ctx != NULL ? 0 : -1;
}

static int
free_identity(void **state)
{
	char command[128];

	(void)state;
	SSL_CTX_free(client_ctx);
	tls_identity_free(identity);
	snprintf(command, sizeof(command), "rm -r %s", folder);
	return system(command);
}

static void *
run_next(void *arg)
{
	struct server *v = arg;

	loop_run(v->next, NULL);
	return NULL;
}

/* Between two requests it goes on in another thread, and at no other time. */
static void
moves_to_another_loop(void **state)
{
	struct server v;
	SSL *ssl = start(&v);
	struct loop *first = v.loop;
	char out[4096];

	(void)state;
	assert_int_equal(loop_new(&v.next, on_letter, &v, NULL), 0);
	assert_int_equal(pthread_create(&v.next_thread, NULL, run_next, &v), 0);
	/* The second one is here already when the first has its answer. */
	talk(ssl,
	    "POST /move HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n1END."
	    "POST /later HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n2END.",
	    out, sizeof(out), 2);
	talk(ssl,
	    "POST /move HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n3END.",
	    out, sizeof(out), 1);
	assert_non_null(strstr(out, "3END."));
	talk(ssl,
	    "POST /now HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n4END.",
	    out, sizeof(out), 1);
	assert_non_null(strstr(out, "4END."));
	finish(&v, ssl);
	loop_free(first);
	assert_int_equal(v.requests, 4);
	assert_int_equal(v.left, 1);
	assert_int_equal(v.stayed, 5);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(answers_in_order),
		cmocka_unit_test(closes_behind_what_it_does_not_understand),
		cmocka_unit_test(reads_over_the_body_of_who_shall_come_again),
		cmocka_unit_test(drains_before_such_a_body_has_come),
		cmocka_unit_test(says_100_before_a_body_that_is_wanted),
		cmocka_unit_test(a_field_that_is_none_is_not_sent),
		cmocka_unit_test(moves_to_another_loop),
		cmocka_unit_test(a_head_without_a_body_has_none),
		cmocka_unit_test(
		    an_answer_over_the_queue_closes_behind_its_writer),
	};

	return cmocka_run_group_tests(tests, make_identity, free_identity);
}
