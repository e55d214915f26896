#include "common/conn_io.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

const char *
conn_io_fault(bool eof)
{
	unsigned long code = ERR_peek_last_error();

	if (code == 0)
		return "peer left in the TLS handshake";
	switch (ERR_GET_REASON(code)) {
	case SSL_R_UNSUPPORTED_PROTOCOL:
	case SSL_R_TLSV1_ALERT_PROTOCOL_VERSION:
	case SSL_R_VERSION_TOO_LOW:
		return "TLS handshake: version too old";
	case SSL_R_NO_SHARED_CIPHER:
		return "TLS handshake: no shared cipher";
	case SSL_R_NO_APPLICATION_PROTOCOL:
		return "TLS handshake: ALPN without http/1.1";
	case SSL_R_HTTP_REQUEST:
	case SSL_R_WRONG_VERSION_NUMBER:
		return "TLS handshake: not TLS";
	case SSL_R_CERTIFICATE_VERIFY_FAILED:
		return "TLS handshake: client certificate not trusted";
	case SSL_R_TLSV1_ALERT_UNKNOWN_CA:
		return "TLS handshake: peer does not trust our CA";
	default:
		return eof ? "peer left in the TLS handshake"
			   : "TLS handshake failed";
	}
}

/* What an earlier call left in the thread's queue would be taken for this
 * one's.  To look costs a twentieth of clearing what is empty. */
static void
forget_errors(void)
{
	if (ERR_peek_error() != 0)
		ERR_clear_error();
}

/* Of a connection without TLS, as conn_io_fill(). */
static size_t
fill_plain(int fd, uint8_t *ptr, size_t cap, bool *fatal, bool *clean)
{
	ssize_t n;

	do
		n = recv(fd, ptr, cap, 0);
	while (n < 0 && errno == EINTR);
	if (n > 0)
		return (size_t)n;
	*fatal = n == 0 || errno != EAGAIN;
	*clean = n == 0;
	return 0;
}

size_t
conn_io_fill(SSL *ssl, int fd, uint8_t *ptr, size_t cap, bool *more,
    bool *fatal, bool *clean)
{
	size_t len = 0, n;

	*more = false;
	*fatal = false;
	*clean = false;
	if (ssl == NULL)
		return fill_plain(fd, ptr, cap, fatal, clean);
	while (len < cap) {
		int rc, want;

		forget_errors();
		rc = SSL_read_ex(ssl, ptr + len, cap - len, &n);
		if (rc == 1) {
			len += n;
			/* What the socket still holds is told by the loop; to
			 * ask it would be a system call for each request. */
			if (SSL_has_pending(ssl) == 0)
				return len;
			continue;
		}
		want = SSL_get_error(ssl, rc);
		if (want == SSL_ERROR_WANT_READ)
			return len;
		/* WANT_WRITE is an answer to a key update that does not go
		 * out: the peer asks on and does not read, and the socket
		 * would tell of its bytes for ever. */
		*fatal = true;
		*clean = want == SSL_ERROR_ZERO_RETURN;
		ERR_clear_error();
		return len;
	}
	*more = true;
	return len;
}

void
conn_io_cork(int fd, bool on)
{
	int value = on;

	/* Not on a Unix socket, which has no packets to fill. */
	setsockopt(fd, IPPROTO_TCP, TCP_CORK, &value, sizeof(value));
}

/* Of a connection without TLS, as SSL_write_ex(); -1 tells that it is lost. */
static int
send_plain(int fd, struct span bytes, size_t *n)
{
	ssize_t got;

	do
		got = send(fd, bytes.ptr, bytes.len, MSG_NOSIGNAL);
	while (got < 0 && errno == EINTR);
	*n = got > 0 ? (size_t)got : 0;
	return got >= 0 ? 1 : errno == EAGAIN ? 0 : -1;
}

int
conn_io_send(SSL *ssl, int fd, struct span bytes, size_t *n)
{
	int want;

	if (ssl == NULL)
		return send_plain(fd, bytes, n);
	forget_errors();
	if (SSL_write_ex(ssl, bytes.ptr, bytes.len, n) == 1)
		return 1;
	want = SSL_get_error(ssl, 0);
	if (want == SSL_ERROR_WANT_READ || want == SSL_ERROR_WANT_WRITE)
		return 0;
	ERR_clear_error();
	return -1;
}
