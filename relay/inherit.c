#include "relay/inherit.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FIRST_FD 3 /* SD_LISTEN_FDS_START */

const char *const inherit_names[INHERIT_KINDS] = { "public", "internal",
	"admin", "cluster" };

static long
number_of(const char *name)
{
	const char *text = getenv(name);
	char *end;
	long value;

	if (text == NULL || text[0] < '0' || text[0] > '9')
		return -1;
	value = strtol(text, &end, 10);
	return *end == '\0' ? value : -1;
}

int
inherit_add(
    struct inherit *list, int fd, enum inherit_kind kind, struct err *err)
{
	int type = 0, listens = 0;
	socklen_t len = sizeof(type);

	if (list->count == INHERIT_MAX) {
		close(fd);
		return err_set(err, ERR_LIMIT,
		    "more than %d sockets are passed", INHERIT_MAX);
	}
	if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) != 0 ||
	    getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &len) != 0 ||
	    type != SOCK_STREAM || listens == 0) {
		close(fd);
		return err_set(err, ERR_USAGE,
		    "descriptor %d (%s) is no listening stream socket", fd,
		    inherit_names[kind]);
	}
	fcntl(fd, F_SETFD, FD_CLOEXEC);
	fcntl(fd, F_SETFL, O_NONBLOCK);
	list->list[list->count++] =
	    (struct inherit_one){ .fd = fd, .kind = kind };
	return 0;
}

static int
add_named(
    struct inherit *out, int fd, const char *name, size_t len, struct err *err)
{
	for (int i = 0; i < INHERIT_KINDS; i++)
		if (strlen(inherit_names[i]) == len &&
		    memcmp(inherit_names[i], name, len) == 0)
			return inherit_add(out, fd, (enum inherit_kind)i, err);
	close(fd);
	return err_set(err, ERR_USAGE,
	    "descriptor %d is named \"%.*s\", want public, internal, cluster or admin "
	    "(FileDescriptorName=)",
	    fd, (int)len, name);
}

int
inherit_from_manager(struct inherit *out, struct err *err)
{
	long pid = number_of("LISTEN_PID"), count = number_of("LISTEN_FDS");
	const char *names = getenv("LISTEN_FDNAMES");
	int rc = 0;

	*out = (struct inherit){ .by_manager = true };
	if (pid != (long)getpid() || count <= 0)
		return 0;
	if (names == NULL)
		names = "";
	for (long i = 0; i < count && rc == 0; i++) {
		size_t len = strcspn(names, ":");

		rc = add_named(out, FIRST_FD + (int)i, names, len, err);
		names += len;
		if (*names == ':')
			names++;
	}
	unsetenv("LISTEN_PID");
	unsetenv("LISTEN_FDS");
	unsetenv("LISTEN_FDNAMES");
	if (rc != 0)
		inherit_close(out);
	return rc;
}

bool
inherit_any(const struct inherit *list, enum inherit_kind kind)
{
	for (size_t i = 0; i < list->count; i++)
		if (list->list[i].fd >= 0 && list->list[i].kind == kind)
			return true;
	return false;
}

static bool
is_at(int fd, const struct sockaddr_storage *want)
{
	struct sockaddr_storage have = { 0 };
	struct sockaddr_in a4, b4;
	struct sockaddr_in6 a6, b6;
	socklen_t len = sizeof(have);

	if (getsockname(fd, (struct sockaddr *)&have, &len) != 0 ||
	    have.ss_family != want->ss_family)
		return false;
	if (have.ss_family == AF_INET) {
		memcpy(&a4, &have, sizeof(a4));
		memcpy(&b4, want, sizeof(b4));
		return a4.sin_addr.s_addr == b4.sin_addr.s_addr &&
		    (b4.sin_port == 0 || a4.sin_port == b4.sin_port);
	}
	memcpy(&a6, &have, sizeof(a6));
	memcpy(&b6, want, sizeof(b6));
	return memcmp(&a6.sin6_addr, &b6.sin6_addr, sizeof(a6.sin6_addr)) ==
	    0 &&
	    (b6.sin6_port == 0 || a6.sin6_port == b6.sin6_port);
}

int
inherit_take(struct inherit *list, enum inherit_kind kind,
    const struct sockaddr_storage *address)
{
	for (size_t i = 0; i < list->count; i++) {
		struct inherit_one *one = &list->list[i];
		int fd = one->fd;

		if (fd < 0 || one->kind != kind ||
		    (address != NULL && !is_at(fd, address)))
			continue;
		one->fd = -1;
		return fd;
	}
	return -1;
}

void
inherit_close(struct inherit *list)
{
	for (size_t i = 0; i < list->count; i++) {
		if (list->list[i].fd >= 0)
			close(list->list[i].fd);
		list->list[i].fd = -1;
	}
	list->count = 0;
}
