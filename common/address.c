#include "common/address.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int
address_split(
    char *host, size_t cap, uint16_t *port, const char *text, struct err *err)
{
	const char *colon = strrchr(text, ':');
	const char *from = text, *to = colon;
	struct in6_addr addr;
	char *end;
	long number;
	int family = AF_INET;

	if (colon == NULL)
		return err_set(
		    err, ERR_MALFORMED, "want ADDRESS:PORT or [IPv6]:PORT");
	if (text[0] == '[') {
		if (colon == text || colon[-1] != ']')
			return err_set(err, ERR_MALFORMED,
			    "want ADDRESS:PORT or [IPv6]:PORT");
		from = text + 1;
		to = colon - 1;
		family = AF_INET6;
	}
	if (to <= from || (size_t)(to - from) >= cap)
		return err_set(
		    err, ERR_MALFORMED, "want ADDRESS:PORT or [IPv6]:PORT");
	memcpy(host, from, (size_t)(to - from));
	host[to - from] = '\0';
	if (inet_pton(family, host, &addr) != 1)
		return err_set(err, ERR_MALFORMED, "%s is no IPv%d address",
		    host, family == AF_INET ? 4 : 6);
	number = strtol(colon + 1, &end, 10);
	if (colon[1] < '0' || colon[1] > '9' || *end != '\0' || number > 65535)
		return err_set(err, ERR_MALFORMED, "%s is no port (0 to 65535)",
		    colon + 1);
	*port = (uint16_t)number;
	return 0;
}

socklen_t
address_fill(struct sockaddr_storage *out, const char *host, uint16_t port)
{
	struct sockaddr_in v4 = { .sin_family = AF_INET,
		.sin_port = htons(port) };
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6,
		.sin6_port = htons(port) };

	memset(out, 0, sizeof(*out));
	if (inet_pton(AF_INET, host, &v4.sin_addr) == 1) {
		memcpy(out, &v4, sizeof(v4));
		return sizeof(v4);
	}
	inet_pton(AF_INET6, host, &v6.sin6_addr);
	memcpy(out, &v6, sizeof(v6));
	return sizeof(v6);
}

uint16_t
address_port(const struct sockaddr_storage *sa)
{
	struct sockaddr_in6 v6;

	/* The port lies at the same place in both. */
	memcpy(&v6, sa, sizeof(v6));
	return ntohs(v6.sin6_port);
}

char *
address_text(char out[ADDRESS_TEXT_LEN], int fd)
{
	struct sockaddr_storage sa = { 0 };
	struct sockaddr_in6 v6;
	struct sockaddr_in v4;
	socklen_t len = sizeof(sa);
	char host[INET6_ADDRSTRLEN] = "";

	getsockname(fd, (struct sockaddr *)&sa, &len);
	memcpy(&v4, &sa, sizeof(v4));
	memcpy(&v6, &sa, sizeof(v6));
	if (sa.ss_family == AF_INET)
		inet_ntop(AF_INET, &v4.sin_addr, host, sizeof(host));
	else if (sa.ss_family == AF_INET6)
		inet_ntop(AF_INET6, &v6.sin6_addr, host, sizeof(host));
	snprintf(out, ADDRESS_TEXT_LEN,
	    sa.ss_family == AF_INET ? "%s:%u" : "[%s]:%u", host,
	    address_port(&sa));
	return out;
}

int
address_listen(const char *text, int backlog, struct err *err)
{
	struct sockaddr_storage sa;
	char host[ADDRESS_HOST_LEN];
	socklen_t len;
	uint16_t port;
	int one = 1;
	int fd;

	if (address_split(host, sizeof(host), &port, text, err) != 0)
		return -1;
	len = address_fill(&sa, host, port);
	fd =
	    socket(sa.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return err_set(
		    err, ERR_IO, "listen on %s: %s", text, strerror(errno));
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof(one));
	if (bind(fd, (struct sockaddr *)&sa, len) != 0 ||
	    listen(fd, backlog) != 0) {
		err_set(err, ERR_IO, "listen on %s: %s", text, strerror(errno));
		close(fd);
		return -1;
	}
	return fd;
}
