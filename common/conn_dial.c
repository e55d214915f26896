#include "common/conn_impl.h"

#include <event2/util.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* A socket on its way to ${address}. */
static int
dial(const char *address, struct err *err)
{
	struct sockaddr_storage sa = { 0 };
	int len = sizeof(sa), one = 1, fd;

	if (evutil_parse_sockaddr_port(address, (struct sockaddr *)&sa, &len) !=
	    0)
		return err_set(err, ERR_USAGE,
		    "\"%.80s\" is no IP:PORT or [IP]:PORT", address);
	fd =
	    socket(sa.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return err_set(err, ERR_IO, "socket: %s", strerror(errno));
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (connect(fd, (struct sockaddr *)&sa, (socklen_t)len) != 0 &&
	    errno != EINPROGRESS) {
		err_set(err, ERR_IO, "%s: %s", address, strerror(errno));
		close(fd);
		return -1;
	}
	return fd;
}

int
conn_dial(struct conn **out, struct loop *loop, struct ssl_ctx_st *ctx,
    const char *address, const char *name, const struct conn_settings *settings,
    const struct conn_ops *ops, void *arg, struct err *err)
{
	int fd = dial(address, err);

	*out = NULL;
	if (fd < 0)
		return -1;
	return conn_begin(out, loop, ctx, fd, name, settings, ops, arg, err);
}
