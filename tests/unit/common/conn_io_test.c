#include "common/conn_io.h"

#include "common/tls.h"
#include "common/tls_memory.h"

#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <setjmp.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

/*
 * What anybody may send before, or beside, what is meant.  Key updates
 * (RFC 8446 4.6.3) carry nothing, cost us two keys each, and may come without
 * end; a ClientHello may be long.
 */

#define UPDATES 1000 /* 27 bytes each */
#define AUTHORITIES 400
#define HELLO_MAX (48 * 1024)

static char folder[] = "/tmp/attest-conn-io.XXXXXX";
static struct tls_identity *identity;

struct pair {
	SSL_CTX *server_ctx, *client_ctx;
	SSL *server, *client;
	int fds[2];
};

static void
open_pair(struct pair *p)
{
	int done = 0;

	assert_int_equal(
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, p->fds), 0);
	assert_int_equal(
	    tls_server(&p->server_ctx, identity, false, span_of(NULL, 0), NULL),
	    0);
	p->client_ctx = SSL_CTX_new(TLS_client_method());
	p->server = SSL_new(p->server_ctx);
	p->client = SSL_new(p->client_ctx);
	SSL_set_fd(p->server, p->fds[0]);
	SSL_set_fd(p->client, p->fds[1]);
	SSL_set_accept_state(p->server);
	SSL_set_connect_state(p->client);
	for (int i = 0; i < 10 && done != 2; i++) {
		done = SSL_do_handshake(p->client) == 1;
		tls_memory_most(HELLO_MAX);
		done += SSL_do_handshake(p->server) == 1;
		tls_memory_most(0);
	}
	assert_int_equal(done, 2);
}

static void
close_pair(struct pair *p)
{
	SSL_free(p->server);
	SSL_free(p->client);
	SSL_CTX_free(p->client_ctx);
	tls_server_free(p->server_ctx);
	close(p->fds[0]);
	close(p->fds[1]);
}

/* All at once: as packets of their own they would fill the socket soon. */
static void
send_updates(struct pair *p, int kind)
{
	char *bytes;
	long len;

	SSL_set0_wbio(p->client, BIO_new(BIO_s_mem()));
	for (int i = 0; i < UPDATES; i++) {
		assert_int_equal(SSL_key_update(p->client, kind), 1);
		assert_int_equal(SSL_do_handshake(p->client), 1);
	}
	len = BIO_get_mem_data(SSL_get_wbio(p->client), &bytes);
	assert_int_equal(send(p->fds[1], bytes, (size_t)len, 0), len);
}

static int
unread(const struct pair *p)
{
	int len = 0;

	assert_int_equal(ioctl(p->fds[0], FIONREAD, &len), 0);
	return len;
}

/* Others have their turn between two reads. */
static void
a_read_ends_before_they_do(void **state)
{
	uint8_t bytes[4096];
	bool more, fatal = false, clean;
	struct pair p;
	int turns = 0;

	(void)state;
	open_pair(&p);
	send_updates(&p, SSL_KEY_UPDATE_NOT_REQUESTED);
	for (; unread(&p) > 0; turns++) {
		assert_int_equal(conn_io_fill(p.server, p.fds[0], bytes,
				     sizeof(bytes), &more, &fatal, &clean),
		    0);
		assert_false(fatal);
	}
	assert_true(turns > 1);
	close_pair(&p);
}

/* Or the socket tells for ever of bytes that cannot be taken. */
static void
who_asks_for_them_and_does_not_read_is_lost(void **state)
{
	bool more, fatal = false, clean = false;
	uint8_t bytes[4096];
	struct pair p;
	int small = 1;

	(void)state;
	open_pair(&p);
	setsockopt(p.fds[0], SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
	send_updates(&p, SSL_KEY_UPDATE_REQUESTED);
	for (int i = 0; i < UPDATES && !fatal; i++)
		conn_io_fill(p.server, p.fds[0], bytes, sizeof(bytes), &more,
		    &fatal, &clean);
	assert_true(fatal);
	assert_false(clean);
	assert_true(unread(&p) > 0);
	close_pair(&p);
}

/* The names of all authorities make a message that is longer than a hello may
 * be. */
static void
many_authorities_are_told(void **state)
{
	struct pair p;

	(void)state;
	open_pair(&p);
	assert_int_equal(
	    sk_X509_NAME_num(SSL_get0_peer_CA_list(p.client)), AUTHORITIES);
	close_pair(&p);
}

static void
add_authority(FILE *out, EVP_PKEY *key, int number)
{
	X509 *cert = X509_new();
	X509_NAME *name = X509_NAME_new();
	char text[64];

	snprintf(text, sizeof(text), "authority %d of a federation %028d",
	    number, number);
	for (int i = 0; i < 2; i++)
		assert_int_equal(
		    X509_NAME_add_entry_by_txt(name, i == 0 ? "O" : "CN",
			MBSTRING_ASC, (uint8_t *)text, -1, -1, 0),
		    1);
	X509_set_subject_name(cert, name);
	X509_set_issuer_name(cert, name);
	X509_gmtime_adj(X509_getm_notBefore(cert), 0);
	X509_gmtime_adj(X509_getm_notAfter(cert), 3600);
	X509_set_pubkey(cert, key);
	assert_true(X509_sign(cert, key, EVP_sha256()) > 0);
	assert_int_equal(PEM_write_X509(out, cert), 1);
	X509_NAME_free(name);
	X509_free(cert);
}

static void
make_authorities(const char *path)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	FILE *out = fopen(path, "w");

	assert_non_null(out);
	for (int i = 0; i < AUTHORITIES; i++)
		add_authority(out, key, i);
	fclose(out);
	EVP_PKEY_free(key);
}

static int
make_identity(void **state)
{
	char command[512], cert[64], key[64], authorities[64];
	struct tls_source source = { cert, key, authorities };
	enum tls_part part;

	(void)state;
	if (mkdtemp(folder) == NULL)
		return -1;
	snprintf(cert, sizeof(cert), "%s/a.crt", folder);
	snprintf(key, sizeof(key), "%s/a.key", folder);
	snprintf(authorities, sizeof(authorities), "%s/ca.crt", folder);
	make_authorities(authorities);
	snprintf(command, sizeof(command),
	    "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 "
	    "-nodes -subj /CN=a -keyout %s -out %s 2>/dev/null",
	    key, cert);
	return system(command) == 0
	    ? tls_identity_load(&identity, &source, &part, NULL)
	    : -1;
}

static int
free_identity(void **state)
{
	char command[128];

	(void)state;
	tls_identity_free(identity);
	tls_memory_end();
	snprintf(command, sizeof(command), "rm -r %s", folder);
	return system(command);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_read_ends_before_they_do),
		cmocka_unit_test(who_asks_for_them_and_does_not_read_is_lost),
		cmocka_unit_test(many_authorities_are_told),
	};

	if (!tls_memory())
		return 1;
	return cmocka_run_group_tests(tests, make_identity, free_identity);
}
