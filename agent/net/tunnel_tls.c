#include "agent/net/tunnel_tls.h"

#include <errno.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <string.h>
#include <unistd.h>

#include "agent/file.h"

/* Is ${cert} of the key whose hash the owner was given? */
static bool
is_pinned(X509 *cert, const struct relay_url *url)
{
	uint8_t hash[EVP_MAX_MD_SIZE];
	uint8_t *der = NULL;
	int der_len = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(cert), &der);
	unsigned len = 0;
	bool good = der_len > 0 &&
	    EVP_Digest(der, (size_t)der_len, hash, &len, EVP_sha256(), NULL) ==
		1 &&
	    len == RELAY_PIN_LEN && memcmp(hash, url->pin, RELAY_PIN_LEN) == 0;

	OPENSSL_free(der);
	return good;
}

/* T27: an owner may pin the relay's key, whoever certifies it. */
static int
verify_pin(X509_STORE_CTX *ctx, void *arg)
{
	const struct relay_url *url = arg;
	X509 *cert = X509_STORE_CTX_get0_cert(ctx);
	bool good = cert != NULL && is_pinned(cert, url);

	X509_STORE_CTX_set_error(
	    ctx, good ? X509_V_OK : X509_V_ERR_APPLICATION_VERIFICATION);
	return good ? 1 : 0;
}

static int
verify_both(X509_STORE_CTX *ctx, void *arg)
{
	return X509_verify_cert(ctx) == 1 ? verify_pin(ctx, arg) : 0;
}

static int
trust(SSL_CTX *tls, const struct relay_url *url, const char *ca_file,
    struct err *err)
{
	X509_VERIFY_PARAM *param = SSL_CTX_get0_param(tls);

	/* OpenSSL would not say why it cannot be opened. */
	if (ca_file != NULL && access(ca_file, R_OK) != 0)
		return err_set(err, ERR_IO, "%s: %s", ca_file, strerror(errno));
	if (ca_file != NULL ? SSL_CTX_load_verify_file(tls, ca_file) != 1
			    : SSL_CTX_set_default_verify_paths(tls) != 1)
		return err_set(err, ERR_IO,
		    "%s: no certificate authorities in it",
		    ca_file != NULL ? ca_file : "system");
	X509_VERIFY_PARAM_set_hostflags(
	    param, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
	if (url->is_address
		? X509_VERIFY_PARAM_set1_ip_asc(param, url->host) != 1
		: X509_VERIFY_PARAM_set1_host(param, url->host, 0) != 1)
		return err_set(
		    err, ERR_USAGE, "relay: host name \"%.100s\"", url->host);
	return 0;
}

static int
show_certificate(
    SSL_CTX *tls, const char *certificate, const char *key, struct err *err)
{
	if (certificate == NULL)
		return 0;
	if (SSL_CTX_use_certificate_chain_file(tls, certificate) != 1)
		return err_set(err, ERR_IO,
		    "relay.certificate: %.200s: no certificate in it",
		    certificate);
	if (file_check_private(key, err) != 0)
		return err_wrap(err, "relay.key");
	/* It takes no key of another certificate than the one above. */
	if (SSL_CTX_use_PrivateKey_file(tls, key, SSL_FILETYPE_PEM) != 1)
		return err_set(err, ERR_IO,
		    "relay.key: %.200s: not the private key of the "
		    "certificate",
		    key);
	return 0;
}

int
tunnel_tls_new(SSL_CTX **out, struct relay_url *url,
    const struct ws_options *options, struct err *err)
{
	bool pin_only = options->pin_only && url->has_pin;
	SSL_CTX *tls = *out = SSL_CTX_new(TLS_client_method());

	if (tls == NULL ||
	    SSL_CTX_set_min_proto_version(tls, TLS1_3_VERSION) != 1)
		return err_set(err, ERR_INTERNAL, "TLS 1.3 is not available");
	SSL_CTX_set_options(tls, SSL_OP_NO_COMPRESSION);
	SSL_CTX_set_verify(tls, SSL_VERIFY_PEER, NULL);
	if (url->has_pin)
		SSL_CTX_set_cert_verify_callback(
		    tls, pin_only ? verify_pin : verify_both, url);
	if (!pin_only && trust(tls, url, options->ca_file, err) != 0)
		return -1;
	return show_certificate(tls, options->certificate, options->key, err);
}

int
tunnel_token_read(struct secret *out, const char *path, struct err *err)
{
	struct secret text = { 0 };
	size_t len = 0;
	int rc = -1;

	if (path == NULL)
		return 0;
	if (file_read_private(&text, path, TUNNEL_TOKEN_MAX + 1, err) != 0)
		return err_wrap(err, "relay.token-file");
	while (len < text.len && text.ptr[len] > ' ' && text.ptr[len] <= '~')
		len++;
	if (len == 0 || len > TUNNEL_TOKEN_MAX || text.len - len > 1 ||
	    (len < text.len && text.ptr[len] != '\n')) {
		(void)err_set(err, ERR_USAGE,
		    "relay.token-file: %.200s: want one line, a token", path);
		goto out;
	}
	rc = secret_copy(out, span_of(text.ptr, len), err);
out:
	secret_free(&text);
	return rc;
}
