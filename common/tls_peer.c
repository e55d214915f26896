#include "common/tls_peer.h"

#include "common/tls.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

struct tls_peer {
	size_t len;
	uint8_t der[]; /* its certificate, then those it sent along */
};

/* Names go into a header and into logs: nothing but visible ASCII. */
static bool
take_name(char *out, size_t cap, const unsigned char *ptr, int len)
{
	if (len <= 0 || (size_t)len >= cap)
		return false;
	for (int i = 0; i < len; i++)
		if (ptr[i] <= ' ' || ptr[i] > '~')
			return false;
	memcpy(out, ptr, (size_t)len);
	out[len] = '\0';
	return true;
}

static bool
take_general_name(char *out, size_t cap, const GENERAL_NAME *name, int type)
{
	const ASN1_STRING *text;
	const unsigned char *ptr;
	int len;

	if (name->type != type)
		return false;
	if (type == GEN_IPADD) {
		text = name->d.iPAddress;
		ptr = ASN1_STRING_get0_data(text);
		len = ASN1_STRING_length(text);
		if (len != 4 && len != 16)
			return false;
		return inet_ntop(len == 4 ? AF_INET : AF_INET6, ptr, out,
			   (socklen_t)cap) != NULL;
	}
	text = type == GEN_DNS ? name->d.dNSName
			       : name->d.uniformResourceIdentifier;
	return take_name(
	    out, cap, ASN1_STRING_get0_data(text), ASN1_STRING_length(text));
}

bool
tls_peer_name(struct ssl_st *ssl, char *out, size_t cap)
{
	static const int order[] = { GEN_DNS, GEN_URI, GEN_IPADD };
	GENERAL_NAMES *names = NULL;
	X509 *cert = SSL_get0_peer_certificate(ssl);
	bool found = false;

	/* OpenSSL says X509_V_OK too where there is no certificate. */
	if (cert == NULL || SSL_get_verify_result(ssl) != X509_V_OK)
		return false;
	names = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);
	for (size_t k = 0; !found && k < sizeof(order) / sizeof(order[0]); k++)
		for (int i = 0; !found && i < sk_GENERAL_NAME_num(names); i++)
			found = take_general_name(out, cap,
			    sk_GENERAL_NAME_value(names, i), order[k]);
	GENERAL_NAMES_free(names);
	ERR_clear_error();
	return found;
}

static bool
stands(X509 *cert, STACK_OF(X509) * chain, const struct tls_identity *id)
{
	X509_STORE *clients = tls_identity_clients(id);
	X509_STORE_CTX *ctx = X509_STORE_CTX_new();
	bool good;

	good = ctx != NULL && cert != NULL && clients != NULL &&
	    X509_STORE_CTX_init(ctx, clients, cert, chain) == 1 &&
	    X509_STORE_CTX_set_purpose(ctx, X509_PURPOSE_SSL_CLIENT) == 1 &&
	    X509_verify_cert(ctx) == 1;
	X509_STORE_CTX_free(ctx);
	ERR_clear_error();
	return good;
}

bool
tls_peer_stands(struct ssl_st *ssl, const struct tls_identity *id)
{
	return stands(
	    SSL_get0_peer_certificate(ssl), SSL_get_peer_cert_chain(ssl), id);
}

/* Returns the length, and writes at ${out} unless that is NULL; 0: failed. */
static size_t
encode(uint8_t *out, X509 *cert, const STACK_OF(X509) * chain)
{
	size_t len = 0;

	for (int i = -1; i < sk_X509_num(chain); i++) {
		const X509 *one = i < 0 ? cert : sk_X509_value(chain, i);
		int n = i2d_X509(one, out != NULL ? &out : NULL);

		if (n <= 0)
			return 0;
		len += (size_t)n;
	}
	return len;
}

static void
empty(STACK_OF(X509) * chain)
{
	while (sk_X509_num(chain) > 0)
		X509_free(sk_X509_pop(chain));
}

/*
 * OpenSSL keeps the certificates of a peer for as long as the connection
 * lasts, and has no call to let go of them.  But to decode a session into one
 * that is there replaces what is in it.  The chains are not part of that.
 */
static bool
let_go(SSL *ssl)
{
	SSL_SESSION *live = SSL_get_session(ssl), *bare = SSL_SESSION_new();
	const uint8_t *at;
	uint8_t *der = NULL;
	bool done = false;
	int len = 0;

	if (bare != NULL &&
	    SSL_SESSION_set_protocol_version(bare, SSL_version(ssl)) == 1 &&
	    SSL_SESSION_set_cipher(bare, SSL_get_current_cipher(ssl)) == 1)
		len = i2d_SSL_SESSION(bare, &der);
	at = der;
	if (len > 0 && d2i_SSL_SESSION(&live, &at, len) != NULL) {
		empty(SSL_get_peer_cert_chain(ssl));
		empty(SSL_get0_verified_chain(ssl));
		done = true;
	}
	OPENSSL_free(der);
	SSL_SESSION_free(bare);
	ERR_clear_error();
	return done;
}

struct tls_peer *
tls_peer_take(struct ssl_st *ssl)
{
	X509 *cert = SSL_get0_peer_certificate(ssl);
	STACK_OF(X509) *chain = SSL_get_peer_cert_chain(ssl);
	size_t len = cert != NULL ? encode(NULL, cert, chain) : 0;
	struct tls_peer *p = len > 0 ? malloc(sizeof(*p) + len) : NULL;

	if (p == NULL)
		return NULL;
	p->len = len;
	if (encode(p->der, cert, chain) == len && let_go(ssl))
		return p;
	free(p);
	return NULL;
}

bool
tls_peer_still_stands(const struct tls_peer *p, const struct tls_identity *id)
{
	const uint8_t *at = p->der, *end = p->der + p->len;
	STACK_OF(X509) *chain = sk_X509_new_null();
	X509 *cert = d2i_X509(NULL, &at, (long)p->len), *more;
	bool good = chain != NULL && cert != NULL;

	while (good && at < end) {
		more = d2i_X509(NULL, &at, end - at);
		good = more != NULL && sk_X509_push(chain, more) > 0;
		if (!good)
			X509_free(more);
	}
	good = good && stands(cert, chain, id);
	X509_free(cert);
	sk_X509_pop_free(chain, X509_free);
	ERR_clear_error();
	return good;
}

void
tls_peer_free(struct tls_peer *p)
{
	free(p);
}
