#include "relay/admin_impl.h"

#include "common/address.h"
#include "common/log.h"
#include "relay/folder.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define BACKLOG 16
#define CALLS_MAX 64

int
admin_new(struct admin **out, struct relay *relay, const struct admin_ops *ops,
    void *arg, struct err *err)
{
	struct admin *a = calloc(1, sizeof(*a));

	*out = NULL;
	if (a == NULL)
		return err_set(err, ERR_MEMORY, "no memory for admin");
	a->relay = relay;
	a->ops = ops;
	a->arg = arg;
	a->owner = geteuid();
	slab_init(&a->calls, RELAY_MAIN);
	TAILQ_INIT(&a->all);
	*out = a;
	return 0;
}

static struct admin_socket *
add_socket(struct admin *a, bool tls)
{
	struct admin_socket *s = &a->sockets[a->socket_count++];

	s->admin = a;
	s->fd = -1;
	s->tls = tls;
	return s;
}

/* "/run/attest-relay" of "/run/attest-relay/admin.sock", made if missing. */
static int
make_folder(const struct relay_config *c, struct err *err)
{
	char folder[sizeof(((struct sockaddr_un *)0)->sun_path)];
	const char *slash = strrchr(c->admin_socket, '/');
	size_t len = slash != NULL ? (size_t)(slash - c->admin_socket) : 0;

	if (len == 0 || len >= sizeof(folder))
		return 0;
	memcpy(folder, c->admin_socket, len);
	folder[len] = '\0';
	return folder_make(folder, 0755, c->user, err);
}

static bool
is_served(const char *path)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	bool served;

	snprintf(sa.sun_path, sizeof(sa.sun_path), "%s", path);
	/* With a queue that is full it is served, too. */
	served = fd >= 0 &&
	    (connect(fd, (struct sockaddr *)&sa, sizeof(sa)) == 0 ||
		errno == EAGAIN);
	if (fd >= 0)
		close(fd);
	return served;
}

static int
bind_unix(struct admin_socket *s, const char *path, struct err *err)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	mode_t mask;
	int n, rc;

	/* Renamed when it listens: the name is always somebody's, and a relay
	 * that takes the place of another takes this one too. */
	n = snprintf(sa.sun_path, sizeof(sa.sun_path), "%s.new", path);
	if (n < 0 || (size_t)n >= sizeof(sa.sun_path))
		return err_set(
		    err, ERR_USAGE, "admin.socket: %s: too long", path);
	s->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (s->fd < 0)
		return err_set(
		    err, ERR_IO, "admin.socket: %s", strerror(errno));
	unlink(sa.sun_path);
	mask = umask(0177);
	rc = bind(s->fd, (struct sockaddr *)&sa, sizeof(sa));
	umask(mask);
	if (rc != 0 || listen(s->fd, BACKLOG) != 0 ||
	    rename(sa.sun_path, path) != 0)
		return err_set(
		    err, ERR_IO, "admin.socket: %s: %s", path, strerror(errno));
	return 0;
}

/* Those of admin.listen.  They are handed over with the others, and end when we
 * do, not when those are closed. */
static int
share_tcp(struct admin *a, const struct listeners *listeners, struct err *err)
{
	struct inherit_one all[INHERIT_MAX];
	size_t count = listeners_fds(listeners, all);
	char where[ADDRESS_TEXT_LEN];

	for (size_t i = 0; i < count; i++) {
		struct admin_socket *s;

		if (all[i].kind != INHERIT_ADMIN)
			continue;
		s = add_socket(a, true);
		s->fd = fcntl(all[i].fd, F_DUPFD_CLOEXEC, 0);
		if (s->fd < 0)
			return err_set(
			    err, ERR_IO, "admin.listen: %s", strerror(errno));
		log_info(NULL, "admin: serving %s", address_text(where, s->fd));
	}
	return 0;
}

int
admin_listen(struct admin *a, bool succeeds, const struct listeners *listeners,
    struct err *err)
{
	const struct relay_config *c = &a->relay->setup->config;

	a->path = c->admin_socket;
	if (a->path[0] != '\0' && !succeeds && is_served(a->path))
		log_warn(NULL,
		    "admin.socket: %s was another process's: unless it is "
		    "about to end, give each relay its own",
		    a->path);
	if (a->path[0] != '\0' &&
	    (make_folder(c, err) != 0 ||
		bind_unix(add_socket(a, false), a->path, err) != 0))
		return -1;
	return share_tcp(a, listeners, err);
}

/* Of a Unix socket the kernel says who is there: root, or who we are. */
static bool
is_allowed(struct admin *a, int fd, char who[REGISTRY_WHO_MAX])
{
	struct ucred cred;
	socklen_t len = sizeof(cred);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) != 0) {
		log_warn(NULL, "admin: refused a peer without a name");
		return false;
	}
	snprintf(who, REGISTRY_WHO_MAX, "uid %u (pid %d)", cred.uid, cred.pid);
	if (cred.uid == 0 || cred.uid == geteuid() || cred.uid == a->owner)
		return true;
	log_warn(NULL, "admin: refused %s", who);
	return false;
}

static size_t
count_calls(const struct admin *a)
{
	const struct admin_call *c;
	size_t n = 0;

	TAILQ_FOREACH(c, &a->all, link)
	n++;
	return n;
}

/* Certificates and authorities of the newest setup.  False: there are none, and
 * so nobody comes in. */
static bool
renew(struct admin *a)
{
	const struct relay *r = a->relay;
	struct err err;

	if (a->tls != NULL && a->number == r->setup->number)
		return true;
	tls_server_free(a->tls);
	a->tls = NULL;
	a->number = r->setup->number;
	if (r->setup->admin == NULL)
		return false;
	if (tls_server(
		&a->tls, r->setup->admin, false, span_of(NULL, 0), &err) == 0)
		return true;
	log_error(NULL, "admin: %s", err.msg);
	return false;
}

static void
on_accept(void *arg, unsigned events)
{
	char who[REGISTRY_WHO_MAX] = "";
	struct admin_socket *s = arg;
	int fd;

	(void)events;
	fd = accept4(s->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (fd < 0)
		return;
	/* Strangers at the TCP port cannot shut out the Unix socket. */
	if (s->tls ? count_calls(s->admin) >= CALLS_MAX || !renew(s->admin)
		   : !is_allowed(s->admin, fd, who))
		close(fd);
	else
		admin_accept(s, fd, who);
}

static int
watch(struct admin_socket *s, struct loop *loop, struct err *err)
{
	if (loop_fd_init(&s->watch, loop, s->fd, on_accept, s, err) != 0)
		return -1;
	loop_fd_want(&s->watch, LOOP_READ);
	return 0;
}

void
admin_leave(struct admin *a)
{
	for (size_t i = 0; i < a->socket_count; i++)
		if (a->sockets[i].tls)
			loop_fd_want(&a->sockets[i].watch, 0);
}

void
admin_handed(struct admin *a)
{
	for (size_t i = 0; i < a->socket_count; i++) {
		struct admin_socket *s = &a->sockets[i];

		if (!s->tls)
			continue;
		loop_fd_free(&s->watch);
		if (s->fd >= 0)
			close(s->fd);
		s->fd = -1;
	}
}

int
admin_again(struct admin *a, struct err *err)
{
	int rc = 0;

	for (size_t i = 0; i < a->socket_count; i++) {
		struct admin_socket *s = &a->sockets[i];

		if (s->tls) {
			loop_fd_want(&s->watch, LOOP_READ);
			continue;
		}
		loop_fd_free(&s->watch);
		if (s->fd >= 0)
			close(s->fd);
		s->fd = -1;
		if (bind_unix(s, a->path, err) != 0 ||
		    watch(s, a->loop, err) != 0)
			rc = -1; /* all the more admin.listen */
	}
	return rc;
}

int
admin_start(struct admin *a, struct loop *loop, struct err *err)
{
	a->loop = loop;
	for (size_t i = 0; i < a->socket_count; i++) {
		if (watch(&a->sockets[i], loop, err) != 0)
			return -1;
	}
	return 0;
}

void
admin_mail(struct admin *a, struct message *m)
{
	struct registry_op *op = (struct registry_op *)m;

	if (m->kind == MESSAGE_REGISTRY) {
		registry_op_home(op, a);
		return;
	}
	if (m->kind == MESSAGE_TUNNELS)
		admin_tunnels_came(a, (struct message_tunnels *)m);
	message_free(m);
}

void
admin_judge(struct admin *a)
{
	relay_judge(a->relay);
	a->ops->changed(a->arg);
}

void
admin_free(struct admin *a)
{
	struct admin_call *c, *next;

	if (a == NULL)
		return;
	for (c = TAILQ_FIRST(&a->all); c != NULL; c = next) {
		next = TAILQ_NEXT(c, link);
		conn_close(http_conn(c->http), "shutting down");
	}
	for (size_t i = 0; i < a->socket_count; i++) {
		if (a->loop != NULL)
			loop_fd_free(&a->sockets[i].watch);
		if (a->sockets[i].fd >= 0)
			close(a->sockets[i].fd);
	}
	tls_server_free(a->tls);
	slab_free(&a->calls);
	free(a);
}
