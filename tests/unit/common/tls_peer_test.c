#include "common/tls_peer.h"

#include "common/tls.h"

#include <openssl/ssl.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <setjmp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

/*
 * A client whose certificate comes from a root by way of another authority:
 * what OpenSSL holds of it is to go, and the connection to stay what it was.
 */

static char folder[] = "/tmp/attest-tls-peer.XXXXXX";

/* Of a root, of another root, and of nobody's clients. */
enum { OURS, OTHER, NONE, IDENTITIES };
static struct tls_identity *identities[IDENTITIES];

static const char make[] =
    "cd %s && exec 2>/dev/null && new='openssl req -x509 -newkey ec "
    "-pkeyopt ec_paramgen_curve:P-256 -nodes -days 2' && "
    "$new -subj /CN=root -keyout root.key -out root.crt && "
    "$new -subj /CN=root -keyout other.key -out other.crt && "
    "$new -subj /CN=mid -CA root.crt -CAkey root.key -keyout mid.key "
    "-out mid.crt && "
    "$new -subj /CN=a -CA mid.crt -CAkey mid.key -keyout a.key -out a.crt "
    "-addext subjectAltName=DNS:agent.test "
    "-addext basicConstraints=CA:FALSE && "
    "cat a.crt mid.crt > chain.crt";

struct pair {
	SSL_CTX *server_ctx;
	SSL_CTX *client_ctx;
	SSL *server;
	SSL *client;
};

static const char *
path(const char *name)
{
	static char out[4][128];
	static unsigned at;

	at = (at + 1) % 4;
	snprintf(out[at], sizeof(out[at]), "%s/%s", folder, name);
	return out[at];
}

static void
connect_pair(struct pair *p, SSL_SESSION *session)
{
	int fds[2], done = 0;

	assert_int_equal(
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
	p->server = SSL_new(p->server_ctx);
	p->client = SSL_new(p->client_ctx);
	SSL_set_fd(p->server, fds[0]);
	SSL_set_fd(p->client, fds[1]);
	SSL_set_accept_state(p->server);
	SSL_set_connect_state(p->client);
	if (session != NULL)
		assert_int_equal(SSL_set_session(p->client, session), 1);
	for (int i = 0; i < 10 && done != 2; i++)
		done = (SSL_do_handshake(p->client) == 1) +
		    (SSL_do_handshake(p->server) == 1);
	assert_int_equal(done, 2);
}

static void
hang_up(struct pair *p)
{
	/* Else OpenSSL takes its session for a bad one. */
	assert_true(SSL_shutdown(p->client) >= 0);
	close(SSL_get_fd(p->server));
	close(SSL_get_fd(p->client));
	SSL_free(p->server);
	SSL_free(p->client);
}

static void
show(struct pair *p, const char *chain)
{
	assert_int_equal(
	    SSL_CTX_use_certificate_chain_file(p->client_ctx, path(chain)), 1);
	assert_int_equal(SSL_CTX_use_PrivateKey_file(
			     p->client_ctx, path("a.key"), SSL_FILETYPE_PEM),
	    1);
}

static void
open_with_tickets(
    struct pair *p, bool with_certificate, int version, struct span ticket_keys)
{
	assert_int_equal(tls_server(&p->server_ctx, identities[OURS],
			     version < TLS1_3_VERSION, ticket_keys, NULL),
	    0);
	p->client_ctx = SSL_CTX_new(TLS_client_method());
	SSL_CTX_set_max_proto_version(p->client_ctx, version);
	if (with_certificate)
		show(p, "chain.crt");
	connect_pair(p, NULL);
	assert_int_equal(SSL_version(p->server), version);
}

static void
open_pair(struct pair *p, bool with_certificate, int version)
{
	open_with_tickets(p, with_certificate, version, span_of(NULL, 0));
}

static void
close_pair(struct pair *p)
{
	hang_up(p);
	SSL_CTX_free(p->client_ctx);
	tls_server_free(p->server_ctx);
}

static void
carries(SSL *from, SSL *to)
{
	char got[8] = "";

	assert_int_equal(SSL_write(from, "word", 5), 5);
	assert_int_equal(SSL_read(to, got, sizeof(got)), 5);
	assert_string_equal(got, "word");
}

static void
judges_by_what_it_keeps(void **state)
{
	static const int versions[] = { TLS1_3_VERSION, TLS1_2_VERSION };
	char name[TLS_PEER_NAME_MAX + 1];
	struct tls_peer *shown;
	struct pair p;

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		open_pair(&p, true, versions[i]);
		assert_true(tls_peer_name(p.server, name, sizeof(name)));
		assert_string_equal(name, "agent.test");
		assert_true(tls_peer_stands(p.server, identities[OURS]));
		assert_false(tls_peer_stands(p.server, identities[OTHER]));
		assert_false(tls_peer_stands(p.server, identities[NONE]));
		shown = tls_peer_take(p.server);
		assert_non_null(shown);
		assert_true(tls_peer_still_stands(shown, identities[OURS]));
		assert_false(tls_peer_still_stands(shown, identities[OTHER]));
		assert_false(tls_peer_still_stands(shown, identities[NONE]));
		/* Gone there, and taken once. */
		assert_null(SSL_get0_peer_certificate(p.server));
		assert_false(tls_peer_name(p.server, name, sizeof(name)));
		assert_false(tls_peer_stands(p.server, identities[OURS]));
		assert_null(tls_peer_take(p.server));
		tls_peer_free(shown);
		close_pair(&p);
	}
}

/* What a name may be, and which of several counts. */
static const struct {
	const char *san;
	const char *name; /* NULL: none */
} names[] = {
	{ "DNS:agent.test", "agent.test" },
	{ "URI:urn:agent", "urn:agent" },
	{ "IP:192.0.2.7", "192.0.2.7" },
	{ "IP:2001:db8::7", "2001:db8::7" },
	{ "IP:192.0.2.7,URI:urn:agent", "urn:agent" },
	{ "URI:urn:agent,DNS:agent.test", "agent.test" },
	{ "DNS:agent.test,DNS:other.test", "agent.test" },
	{ "DNS:a b,DNS:other.test", "other.test" },
	{ "DNS:a\tb,URI:urn:\177", NULL },
	{ "DNS:!~", "!~" },
	{ "email:agent@agent.test", NULL },
	/* One more than there is room for. */
	{ "DNS:agent00.test,URI:urn:agent00", "urn:agent00" },
};

static void
names_are_visible_words(void **state)
{
	char command[512], name[sizeof("2001:db8::7")];
	struct pair p;

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		snprintf(command, sizeof(command),
		    "cd %s && openssl req -x509 -new -key a.key -CA root.crt "
		    "-CAkey root.key -subj /CN=cn.test -days 2 -out name.crt "
		    "-addext basicConstraints=CA:FALSE "
		    "-addext 'subjectAltName=%s'",
		    folder, names[i].san);
		assert_int_equal(system(command), 0);
		open_pair(&p, false, TLS1_3_VERSION);
		hang_up(&p);
		show(&p, "name.crt");
		connect_pair(&p, NULL);
		if (tls_peer_name(p.server, name, sizeof(name)) !=
		    (names[i].name != NULL))
			fail_msg("%s", names[i].san);
		if (names[i].name != NULL)
			assert_string_equal(name, names[i].name);
		close_pair(&p);
	}
}

static void
the_connection_stays_what_it_was(void **state)
{
	static const char label[] = "EXPORTER-test";
	uint8_t before[32], after[32];
	struct pair p;

	(void)state;
	open_pair(&p, true, TLS1_3_VERSION);
	assert_int_equal(
	    tls_exporter(p.server, before, sizeof(before), label, NULL), 0);
	tls_peer_free(tls_peer_take(p.server));
	assert_int_equal(
	    tls_exporter(p.server, after, sizeof(after), label, NULL), 0);
	assert_memory_equal(before, after, sizeof(before));
	carries(p.client, p.server);
	carries(p.server, p.client);
	/* RFC 8446 4.6.3: new keys, asked for by either end. */
	assert_int_equal(SSL_key_update(p.client, SSL_KEY_UPDATE_REQUESTED), 1);
	carries(p.client, p.server);
	carries(p.server, p.client);
	assert_int_equal(SSL_key_update(p.server, SSL_KEY_UPDATE_REQUESTED), 1);
	carries(p.server, p.client);
	carries(p.client, p.server);
	assert_true(SSL_shutdown(p.server) >= 0);
	close_pair(&p);
	open_pair(&p, true, TLS1_2_VERSION);
	tls_peer_free(tls_peer_take(p.server));
	carries(p.client, p.server);
	carries(p.server, p.client);
	close_pair(&p);
}

/* T13, RFC 7627: over TLS 1.2 without the extended master secret, what binds a
 * hello to its connection could be that of another one. */
static void
an_exporter_is_of_one_connection(void **state)
{
	static const char label[] = "EXPORTER-test";
	uint8_t ours[32], theirs[32];
	struct err err = { 0 };
	struct pair p;

	(void)state;
	open_pair(&p, false, TLS1_2_VERSION);
	assert_int_equal(
	    tls_exporter(p.server, ours, sizeof(ours), label, &err), 0);
	assert_int_equal(
	    tls_exporter(p.client, theirs, sizeof(theirs), label, &err), 0);
	assert_memory_equal(ours, theirs, sizeof(ours));
	hang_up(&p);
	SSL_CTX_set_options(p.client_ctx, SSL_OP_NO_EXTENDED_MASTER_SECRET);
	connect_pair(&p, NULL);
	assert_int_equal(
	    tls_exporter(p.server, ours, sizeof(ours), label, &err), -1);
	assert_int_equal(err.code, ERR_UNSUPPORTED);
	assert_string_equal(
	    err.msg, "TLS exporter: no extended master secret (RFC 7627)");
	close_pair(&p);
}

static void
nothing_shown_is_nothing_to_keep(void **state)
{
	struct pair p;

	(void)state;
	open_pair(&p, false, TLS1_3_VERSION);
	assert_null(tls_peer_take(p.server));
	carries(p.client, p.server);
	close_pair(&p);
	tls_peer_free(NULL);
}

/* A client that comes again with the ticket that it was given. */
static void
tickets_show_no_certificate(void **state)
{
	static const int versions[] = { TLS1_3_VERSION, TLS1_2_VERSION };
	static const uint8_t keys[TLS_TICKET_KEYS_LEN] = { 1 };
	SSL_SESSION *session;
	struct pair p;

	(void)state;
	for (size_t i = 0; i < 4; i++) {
		bool shows = i >= 2;

		open_with_tickets(
		    &p, shows, versions[i % 2], span_of(keys, sizeof(keys)));
		for (int again = 0; again < 3; again++) {
			carries(p.server, p.client);
			carries(p.client, p.server);
			session = SSL_get1_session(p.client);
			assert_true(SSL_SESSION_has_ticket(session));
			hang_up(&p);
			connect_pair(&p, session);
			SSL_SESSION_free(session);
			assert_int_equal(SSL_session_reused(p.server), !shows);
			assert_int_equal(
			    tls_peer_stands(p.server, identities[OURS]), shows);
		}
		close_pair(&p);
	}
}

static int
make_identities(void **state)
{
	static const char *const authorities[] = { "root.crt", "other.crt",
		"" };
	char command[1024];
	enum tls_part part;

	(void)state;
	if (mkdtemp(folder) == NULL)
		return -1;
	snprintf(command, sizeof(command), make, folder);
	if (system(command) != 0)
		return -1;
	for (size_t i = 0; i < IDENTITIES; i++) {
		struct tls_source source = { path("root.crt"), path("root.key"),
			authorities[i][0] != '\0' ? path(authorities[i]) : "" };

		if (tls_identity_load(&identities[i], &source, &part, NULL) !=
		    0)
			return -1;
	}
	return 0;
}

static int
free_identities(void **state)
{
	char command[128];

	(void)state;
	for (size_t i = 0; i < IDENTITIES; i++)
		tls_identity_free(identities[i]);
	snprintf(command, sizeof(command), "rm -r %s", folder);
	return system(command);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(judges_by_what_it_keeps),
		cmocka_unit_test(names_are_visible_words),
		cmocka_unit_test(the_connection_stays_what_it_was),
		cmocka_unit_test(an_exporter_is_of_one_connection),
		cmocka_unit_test(nothing_shown_is_nothing_to_keep),
		cmocka_unit_test(tickets_show_no_certificate),
	};

	return cmocka_run_group_tests(tests, make_identities, free_identities);
}
