#include "common/tls.h"

#include "common/tls_memory.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Handshakes signed by another key than an EC one cost us the processor. */
#define CIPHERS_12                                                             \
	"ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:"         \
	"ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-AES128-GCM-SHA256:"           \
	"ECDHE-RSA-AES256-GCM-SHA384:ECDHE-RSA-CHACHA20-POLY1305"
/* 128 bits first: a quarter less work for each byte, and SHA-256 in the key
 * schedule, for which processors have instructions. */
#define CIPHERS_13                                                             \
	"TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:"                       \
	"TLS_CHACHA20_POLY1305_SHA256"
#define GROUPS "X25519:P-256:P-384"
/* Nothing with SHA-1 or SHA-224; and fewer of them for each connection to
 * remember. */
#define SIGNATURES                                                             \
	"ECDSA+SHA256:ECDSA+SHA384:ECDSA+SHA512:ed25519:"                      \
	"RSA-PSS+SHA256:RSA-PSS+SHA384:RSA-PSS+SHA512:"                        \
	"RSA+SHA256:RSA+SHA384:RSA+SHA512"
#define CHAIN_MAX 8
#define TICKET_LIFE_S 3600
#define CLIENT_DEPTH 4

struct tls_identity {
	X509 *cert;
	STACK_OF(X509) * chain;
	EVP_PKEY *key;
	X509_STORE *clients;                /* NULL: no certificates asked */
	STACK_OF(X509_NAME) * client_names; /* told to clients */
	/* Of all authorities: a ticket that was given under others resumes
	 * nothing, as it would carry their verdict along. */
	uint8_t scope[SHA256_DIGEST_LENGTH];
};

int
tls_error(struct err *err, const char *what)
{
	unsigned long code = ERR_peek_last_error();
	const char *reason = ERR_reason_error_string(code);

	if (code != 0 && ERR_GET_LIB(code) == ERR_LIB_SYS)
		reason = strerror(ERR_GET_REASON(code));
	ERR_clear_error();
	return err_set(
	    err, ERR_IO, "%s: %s", what, reason != NULL ? reason : "failed");
}

const char *
tls_library(void)
{
	return OpenSSL_version(OPENSSL_VERSION);
}

/* No file of ours has a passphrase; a prompt would hang a daemon. */
static int
no_passphrase(char *buf, int size, int rwflag, void *arg)
{
	(void)buf;
	(void)size;
	(void)rwflag;
	(void)arg;
	return -1;
}

static BIO *
open_file(const char *path, struct err *err)
{
	BIO *bio;

	errno = 0;
	bio = BIO_new_file(path, "r");
	if (bio == NULL) {
		err_set(err, ERR_IO, "%s: %s", path,
		    errno != 0 ? strerror(errno) : "cannot be opened");
		ERR_clear_error();
	}
	return bio;
}

static int
load_certificate(struct tls_identity *id, const char *path, struct err *err)
{
	BIO *bio = open_file(path, err);
	X509 *more;
	int rc = -1;

	if (bio == NULL)
		return -1;
	id->cert = PEM_read_bio_X509(bio, NULL, no_passphrase, NULL);
	if (id->cert == NULL) {
		err_set(
		    err, ERR_MALFORMED, "%s: no certificate in PEM form", path);
		goto out;
	}
	id->chain = sk_X509_new_null();
	if (id->chain == NULL) {
		err_set(err, ERR_MEMORY, "%s: no memory", path);
		goto out;
	}
	while ((more = PEM_read_bio_X509(bio, NULL, no_passphrase, NULL)) !=
	    NULL) {
		if (sk_X509_num(id->chain) >= CHAIN_MAX ||
		    sk_X509_push(id->chain, more) <= 0) {
			X509_free(more);
			err_set(err, ERR_LIMIT, "%s: more than %d certificates",
			    path, CHAIN_MAX + 1);
			goto out;
		}
	}
	rc = 0;
out:
	ERR_clear_error();
	BIO_free(bio);
	return rc;
}

static int
load_key(struct tls_identity *id, const char *path, struct err *err)
{
	BIO *bio = open_file(path, err);

	if (bio == NULL)
		return -1;
	id->key = PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL);
	BIO_free(bio);
	ERR_clear_error();
	if (id->key == NULL)
		return err_set(err, ERR_MALFORMED,
		    "%s: no unencrypted private key in PEM form", path);
	if (X509_check_private_key(id->cert, id->key) != 1) {
		ERR_clear_error();
		return err_set(err, ERR_CONFLICT,
		    "%s: the key does not belong to the certificate", path);
	}
	return 0;
}

static int
narrow_scope(struct tls_identity *id, const X509 *ca, struct err *err)
{
	uint8_t text[2 * SHA256_DIGEST_LENGTH];
	unsigned len;

	memcpy(text, id->scope, sizeof(id->scope));
	if (X509_digest(ca, EVP_sha256(), text + sizeof(id->scope), &len) !=
		1 ||
	    EVP_Digest(
		text, sizeof(text), id->scope, NULL, EVP_sha256(), NULL) != 1)
		return err_set(err, ERR_INTERNAL, "SHA-256 is not available");
	return 0;
}

static int
add_client_ca(
    struct tls_identity *id, X509 *ca, const char *path, struct err *err)
{
	X509_NAME *name;

	if (X509_check_ca(ca) == 0)
		return err_set(err, ERR_MALFORMED,
		    "%s: has a certificate that is no CA's", path);
	name = X509_NAME_dup(X509_get_subject_name(ca));
	if (name == NULL || X509_STORE_add_cert(id->clients, ca) != 1 ||
	    sk_X509_NAME_push(id->client_names, name) <= 0) {
		X509_NAME_free(name);
		return err_set(err, ERR_MEMORY, "%s: no memory", path);
	}
	return narrow_scope(id, ca, err);
}

static int
load_client_ca(struct tls_identity *id, const char *path, struct err *err)
{
	BIO *bio = open_file(path, err);
	X509 *ca;
	int rc = -1;

	if (bio == NULL)
		return -1;
	id->clients = X509_STORE_new();
	id->client_names = sk_X509_NAME_new_null();
	if (id->clients == NULL || id->client_names == NULL) {
		err_set(err, ERR_MEMORY, "%s: no memory", path);
		goto out;
	}
	while (
	    (ca = PEM_read_bio_X509(bio, NULL, no_passphrase, NULL)) != NULL) {
		int added = add_client_ca(id, ca, path, err);

		X509_free(ca);
		if (added != 0)
			goto out;
	}
	if (sk_X509_NAME_num(id->client_names) == 0) {
		err_set(
		    err, ERR_MALFORMED, "%s: no certificate in PEM form", path);
		goto out;
	}
	rc = 0;
out:
	ERR_clear_error();
	BIO_free(bio);
	return rc;
}

int
tls_identity_load(struct tls_identity **out, const struct tls_source *source,
    enum tls_part *part, struct err *err)
{
	struct tls_identity *id;
	int rc = -1;

	*out = NULL;
	*part = TLS_PART_CERTIFICATE;
	id = calloc(1, sizeof(*id));
	if (id == NULL)
		return err_set(err, ERR_MEMORY, "no memory for a certificate");
	if (load_certificate(id, source->certificate, err) != 0)
		goto out;
	*part = TLS_PART_KEY;
	if (load_key(id, source->key, err) != 0)
		goto out;
	*part = TLS_PART_CLIENT_CA;
	if (source->client_ca != NULL && source->client_ca[0] != '\0' &&
	    load_client_ca(id, source->client_ca, err) != 0)
		goto out;
	*out = id;
	id = NULL;
	rc = 0;
out:
	tls_identity_free(id);
	return rc;
}

void
tls_identity_free(struct tls_identity *id)
{
	if (id == NULL)
		return;
	X509_free(id->cert);
	sk_X509_pop_free(id->chain, X509_free);
	EVP_PKEY_free(id->key);
	X509_STORE_free(id->clients);
	sk_X509_NAME_pop_free(id->client_names, X509_NAME_free);
	free(id);
}

int
tls_identity_pin(
    const struct tls_identity *id, uint8_t out[TLS_PIN_LEN], struct err *err)
{
	uint8_t *der = NULL;
	int len = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(id->cert), &der);
	int rc = -1;

	if (len > 0 &&
	    EVP_Digest(der, (size_t)len, out, NULL, EVP_sha256(), NULL) == 1)
		rc = 0;
	else
		err_set(err, ERR_INTERNAL, "a pin cannot be made");
	OPENSSL_free(der);
	return rc;
}

int64_t
tls_identity_seconds(const struct tls_identity *id)
{
	int days = 0, seconds = 0;

	if (ASN1_TIME_diff(
		&days, &seconds, NULL, X509_get0_notAfter(id->cert)) != 1)
		return 0;
	return (int64_t)days * 86400 + seconds;
}

int
tls_identity_days(const struct tls_identity *id)
{
	int64_t seconds = tls_identity_seconds(id);

	return seconds >= 0 ? (int)(seconds / 86400) : -1;
}

struct x509_store_st *
tls_identity_clients(const struct tls_identity *id)
{
	return id->clients;
}

static int
pick_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_len,
    const unsigned char *in, unsigned in_len, void *arg)
{
	static const unsigned char http11[] = "\x08http/1.1";
	unsigned char *picked;

	(void)ssl;
	(void)arg;
	if (SSL_select_next_proto(&picked, out_len, http11, sizeof(http11) - 1,
		in, in_len) != OPENSSL_NPN_NEGOTIATED)
		return SSL_TLSEXT_ERR_ALERT_FATAL;
	*out = picked;
	return SSL_TLSEXT_ERR_OK;
}

/* It is whole: what we say now is of our own size, as the names of all
 * authorities are (tls_memory_most()). */
static int
on_client_hello(SSL *ssl, int *alert, void *arg)
{
	(void)ssl;
	(void)alert;
	(void)arg;
	tls_memory_most(0);
	return SSL_CLIENT_HELLO_SUCCESS;
}

static void
set_policy(SSL_CTX *ctx, bool tls12)
{
	SSL_CTX_set_min_proto_version(
	    ctx, tls12 ? TLS1_2_VERSION : TLS1_3_VERSION);
	SSL_CTX_set_options(ctx,
	    SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION |
		SSL_OP_CIPHER_SERVER_PREFERENCE);
	/* Buffers of an idle connection go back: 15.8 KB of 29.5 measured.
	 * Partial writes from a queue that moves, as ours does. */
	SSL_CTX_set_mode(ctx,
	    SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
		SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	/* Or one read would go on as long as a peer sends key updates. */
	SSL_CTX_clear_mode(ctx, SSL_MODE_AUTO_RETRY);
	/* One read() for many records instead of two for each. */
	SSL_CTX_set_read_ahead(ctx, 1);
	SSL_CTX_set_max_early_data(ctx, 0);
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	/* Tickets of TLS 1.3, and of 1.2; see set_tickets(). */
	SSL_CTX_set_num_tickets(ctx, 0);
	SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET);
	SSL_CTX_set_alpn_select_cb(ctx, pick_alpn, NULL);
	SSL_CTX_set_client_hello_cb(ctx, on_client_hello, NULL);
}

static int
set_clients(SSL_CTX *ctx, const struct tls_identity *id)
{
	STACK_OF(X509_NAME) * names;

	if (id->clients == NULL)
		return 1;
	names = SSL_dup_CA_list(id->client_names);
	if (names == NULL)
		return 0;
	SSL_CTX_set_client_CA_list(ctx, names);
	/* The purpose is the one that goes with our end, by OpenSSL's default:
	 * a client's certificate at a server, a server's at a client. */
	SSL_CTX_set1_cert_store(ctx, id->clients);
	SSL_CTX_set_verify_depth(ctx, CLIENT_DEPTH);
	/* A client without one may still show a token. */
	SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
	return 1;
}

/* Who showed a certificate shows it again: the ticket holds it without those
 * that came along, and may outlive it.  Either way there is a new ticket. */
static SSL_TICKET_RETURN
judge_ticket(SSL *ssl, SSL_SESSION *session, const unsigned char *name,
    size_t name_len, SSL_TICKET_STATUS status, void *ctx)
{
	(void)ssl;
	(void)name;
	(void)name_len;
	(void)ctx;
	if (status != SSL_TICKET_SUCCESS && status != SSL_TICKET_SUCCESS_RENEW)
		return SSL_TICKET_RETURN_IGNORE_RENEW;
	return SSL_SESSION_get0_peer(session) != NULL
	    ? SSL_TICKET_RETURN_IGNORE_RENEW
	    : SSL_TICKET_RETURN_USE_RENEW;
}

static int
set_tickets(SSL_CTX *ctx, struct span keys)
{
	uint8_t copy[TLS_TICKET_KEYS_LEN]; /* OpenSSL takes away const */
	long rc;

	if (keys.len == 0)
		return 1;
	if (keys.len != sizeof(copy))
		return 0;
	memcpy(copy, keys.ptr, sizeof(copy));
	SSL_CTX_clear_options(ctx, SSL_OP_NO_TICKET);
	SSL_CTX_set_num_tickets(ctx, 1);
	SSL_CTX_set_timeout(ctx, TICKET_LIFE_S);
	rc = SSL_CTX_set_tlsext_ticket_keys(ctx, copy, sizeof(copy));
	secret_wipe(copy, sizeof(copy));
	return rc == 1 &&
	    SSL_CTX_set_session_ticket_cb(ctx, NULL, judge_ticket, NULL) == 1;
}

int
tls_server(struct ssl_ctx_st **out, const struct tls_identity *id, bool tls12,
    struct span ticket_keys, struct err *err)
{
	/* OpenSSL's macros take away const. */
	char groups[] = GROUPS, signatures[] = SIGNATURES;
	SSL_CTX *ctx;

	*out = NULL;
	ctx = SSL_CTX_new(TLS_server_method());
	if (ctx == NULL)
		return tls_error(err, "TLS context");
	set_policy(ctx, tls12);
	if (SSL_CTX_set_cipher_list(ctx, CIPHERS_12) != 1 ||
	    SSL_CTX_set_ciphersuites(ctx, CIPHERS_13) != 1 ||
	    SSL_CTX_set1_groups_list(ctx, groups) != 1 ||
	    SSL_CTX_set1_sigalgs_list(ctx, signatures) != 1 ||
	    SSL_CTX_set_session_id_context(ctx, id->scope, sizeof(id->scope)) !=
		1 ||
	    set_tickets(ctx, ticket_keys) != 1 ||
	    SSL_CTX_use_cert_and_key(ctx, id->cert, id->key, id->chain, 1) !=
		1 ||
	    set_clients(ctx, id) != 1) {
		SSL_CTX_free(ctx);
		return tls_error(err, "TLS context");
	}
	*out = ctx;
	return 0;
}

int
tls_peer(
    struct ssl_ctx_st **out, const struct tls_identity *id, struct err *err)
{
	static const unsigned char scope[] = "attest-relay peer";
	char groups[] = GROUPS, signatures[] = SIGNATURES;
	SSL_CTX *ctx;

	*out = NULL;
	ctx = SSL_CTX_new(TLS_method());
	if (ctx == NULL)
		return tls_error(err, "TLS context");
	set_policy(ctx, false);
	SSL_CTX_set_alpn_select_cb(ctx, NULL, NULL);
	if (SSL_CTX_set1_groups_list(ctx, groups) != 1 ||
	    SSL_CTX_set1_sigalgs_list(ctx, signatures) != 1 ||
	    SSL_CTX_set_session_id_context(ctx, scope, sizeof(scope) - 1) !=
		1 ||
	    SSL_CTX_use_cert_and_key(ctx, id->cert, id->key, id->chain, 1) !=
		1 ||
	    set_clients(ctx, id) != 1) {
		SSL_CTX_free(ctx);
		return tls_error(err, "TLS context");
	}
	SSL_CTX_set_verify(
	    ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
	*out = ctx;
	return 0;
}

void
tls_server_free(struct ssl_ctx_st *ctx)
{
	SSL_CTX_free(ctx);
}

bool
tls_same_clients(const struct tls_identity *a, const struct tls_identity *b)
{
	return memcmp(a->scope, b->scope, sizeof(a->scope)) == 0;
}

int
tls_exporter(struct ssl_st *ssl, uint8_t *out, size_t len, const char *label,
    struct err *err)
{
	/* Without the extended master secret two TLS 1.2 connections can be
	 * made to export the same bytes (RFC 7627 1). */
	if (SSL_version(ssl) < TLS1_3_VERSION &&
	    SSL_get_extms_support(ssl) != 1)
		return err_set(err, ERR_UNSUPPORTED,
		    "TLS exporter: no extended master secret (RFC 7627)");
	if (SSL_export_keying_material(
		ssl, out, len, label, strlen(label), NULL, 0, 0) != 1) {
		tls_error(err, "TLS exporter");
		if (err != NULL)
			err->code = ERR_INTERNAL;
		return -1;
	}
	return 0;
}
