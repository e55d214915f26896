#include "relay/handover_impl.h"

#include "common/log.h"
#include "common/secret.h"

#include <errno.h>
#include <pthread.h>
#include <pwd.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define OFFER_WAIT_S 60 /* the other may be taking a place itself */

/*
 * The taking end.
 */

static int watch_ask(struct handover *h, struct err *err);

static void
from_got(struct handover *h, const struct parcel *p)
{
	bool was_taking = h->taking;

	if (p != NULL && p->kind != PARCEL_HANDED) {
		handover_job_came(h, p);
		return;
	}
	/* If it died, nobody else accepts either. */
	h->taking = false;
	if (was_taking)
		h->ops->handed(h->arg);
	if (h->asked && h->listeners != NULL)
		handover_offer(h);
	if (p == NULL)
		h->ops->quiet(h->arg);
}

static void
let_go(struct handover *h)
{
	if (!h->taking)
		return; /* all is handed over, or the other has died */
	wire_close(&h->from);
	from_got(h, NULL);
}

static void
flushed(struct registry_op *op, void *where)
{
	(void)where;
	let_go(op->arg);
}

void
handover_give_back(struct handover *h)
{
	struct registry_op *op;

	if (!h->taking)
		return;
	/* It reads the registry again once it sees our end: what is under way
	 * there goes first, and nothing comes behind it. */
	atomic_store(&h->relay->offered, true);
	op = registry_op_new(REGISTRY_NOTE, h->loop, flushed);
	if (op == NULL) {
		let_go(h);
		return;
	}
	op->arg = h;
	registry_send(h->relay->registry, op);
}

static int
fill_address(struct sockaddr_un *sa, const char *path, struct err *err)
{
	*sa = (struct sockaddr_un){ .sun_family = AF_UNIX };
	if (strlen(path) >= sizeof(sa->sun_path))
		return err_set(err, ERR_USAGE, "%s: over %zu bytes", path,
		    sizeof(sa->sun_path) - 1);
	memcpy(sa->sun_path, path, strlen(path));
	return 0;
}

/* Started as root we are about to become that user, whose relay has made its
 * socket anew if somebody failed to take its place before. */
static bool
is_our_user(const struct handover *h, uid_t uid)
{
	const struct passwd *pw;

	if (uid == 0 || uid == geteuid())
		return true;
	if (geteuid() != 0)
		return false;
	pw = getpwnam(h->relay->setup->config.user);
	return pw != NULL && pw->pw_uid == uid;
}

/* Ticket keys and listening sockets are for our own user only. */
static int
check_peer(const struct handover *h, int fd, long *pid, struct err *err)
{
	struct ucred peer = { 0 };
	socklen_t len = sizeof(peer);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) != 0)
		return err_set(err, ERR_IO, "SO_PEERCRED: %s", strerror(errno));
	if (!is_our_user(h, peer.uid))
		return err_set(err, ERR_UNTRUSTED,
		    "the other relay is run by user %u, this one by %u",
		    (unsigned)peer.uid, (unsigned)geteuid());
	*pid = peer.pid;
	return 0;
}

static int
take_sockets(struct inherit *out, struct msghdr *msg,
    const struct parcel *offer, struct err *err)
{
	int fds[INHERIT_MAX];
	size_t count = 0, at = 0;
	bool good;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c != NULL;
	     c = CMSG_NXTHDR(msg, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		memcpy(fds, CMSG_DATA(c), count * sizeof(int));
		break;
	}
	*out = (struct inherit){ 0 };
	good = offer != NULL && offer->kind == PARCEL_OFFER && count > 0 &&
	    offer->kinds.len == count;
	if (!good)
		err_set(err, ERR_MALFORMED, "the other relay's offer is none");
	for (; good && at < count; at++)
		good = inherit_add(out, fds[at],
			   (enum inherit_kind)offer->kinds.ptr[at], err) == 0;
	if (good)
		return 0;
	for (; at < count; at++)
		close(fds[at]);
	inherit_close(out);
	return -1;
}

/* To be told to read its file again must not keep it from starting: it does so
 * once it serves.  To be told to end may. */
static ssize_t
receive(int fd, struct msghdr *msg)
{
	sigset_t hup, before;
	ssize_t n;
	int why;

	sigemptyset(&hup);
	sigaddset(&hup, SIGHUP);
	pthread_sigmask(SIG_BLOCK, &hup, &before);
	n = recvmsg(fd, msg, MSG_CMSG_CLOEXEC);
	why = errno;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	errno = why;
	return n;
}

static int
refused(struct err *err)
{
	return err_set(err, ERR_CONFLICT,
	    "the other relay refuses: it hands over already, or does not know "
	    "our user");
}

static int
read_offer(struct handover *h, struct inherit *out, struct err *err)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(INHERIT_MAX * sizeof(int))];
	} control;
	struct iovec part = { h->buffer, PARCEL_MAX };
	struct msghdr msg = { .msg_iov = &part,
		.msg_iovlen = 1,
		.msg_control = control.bytes,
		.msg_controllen = sizeof(control.bytes) };
	struct parcel offer;
	bool good;
	ssize_t n = receive(h->from.fd, &msg);

	if (n == 0 || (n < 0 && errno == ECONNRESET))
		return refused(err);
	if (n < 0)
		return err_set(err, ERR_IO, "the other relay says nothing: %s",
		    strerror(errno));
	good = parcel_parse(&offer, span_of(h->buffer, (size_t)n), err) == 0;
	if (take_sockets(out, &msg, good ? &offer : NULL, err) != 0)
		return -1;
	memcpy(h->relay->ticket_keys, offer.ticket_keys.ptr,
	    sizeof(h->relay->ticket_keys));
	secret_wipe(h->buffer, (size_t)n);
	if (offer.session > atomic_load(&h->relay->next_session))
		atomic_store(&h->relay->next_session, offer.session);
	return 0;
}

int
handover_take(struct handover *h, struct inherit *inherit, const char *path,
    struct err *err)
{
	struct parcel hello = { .kind = PARCEL_HELLO,
		.version = PARCEL_VERSION };
	struct timeval wait = { .tv_sec = OFFER_WAIT_S };
	uint8_t bytes[16];
	struct writer w = writer_of(bytes, sizeof(bytes));
	struct sockaddr_un sa;
	int fd, rc = -1;
	long pid;

	if (fill_address(&sa, path, err) != 0)
		return -1;
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return err_set(err, ERR_IO, "%s: %s", path, strerror(errno));
	h->from.fd = fd;
	if (connect(fd, (struct sockaddr *)&sa, sizeof(sa)) != 0) {
		int why = errno;

		wire_close(&h->from);
		if (why == ENOENT || why == ECONNREFUSED)
			return 1;
		return err_set(err, ERR_IO, "%s: %s", path, strerror(why));
	}
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
	parcel_put(&w, &hello);
	if (check_peer(h, fd, &pid, err) == 0)
		rc = send(fd, bytes, w.len, MSG_NOSIGNAL) < 0
		    ? refused(err)
		    : read_offer(h, inherit, err);
	if (rc != 0)
		wire_close(&h->from);
	h->taking = rc == 0;
	return rc;
}

/*
 * The giving end.
 */

/* Unless somebody else's has its name by now. */
static void
remove_name(const struct handover *h)
{
	struct stat st;

	if (h->fd >= 0 && h->path != NULL && lstat(h->path, &st) == 0 &&
	    st.st_dev == h->name.st_dev && st.st_ino == h->name.st_ino)
		unlink(h->path);
}

static void
unlisten(struct handover *h)
{
	loop_fd_free(&h->watch);
	if (h->fd >= 0)
		close(h->fd);
	h->fd = -1;
}

static void
to_lost(struct handover *h)
{
	enum giving was = h->giving;
	struct err err;

	atomic_store(&h->relay->successor, false);
	handover_jobs_lost(h);
	h->asked = false;
	loop_timer_cancel(&h->patience);
	if (was == GIVEN)
		return;
	atomic_store(&h->relay->offered, false);
	h->giving = GIVING_NOTHING;
	if (was != OFFERED && was != GIVING)
		return;
	if (h->listeners == NULL) {
		h->ops->quiet(h->arg);
		return;
	}
	/* It may have taken our names already, and left them to nobody. */
	unlisten(h);
	if (handover_listen(h, h->path, &err) != 0 || watch_ask(h, &err) != 0)
		log_warn(NULL, "nobody can take over from us: %s", err.msg);
	h->ops->alone(h->arg);
	if (was == GIVING)
		h->ops->stay(h->arg);
}

/* A new relay that hangs keeps changes and others from us. */
static void
on_patience(void *arg)
{
	struct handover *h = arg;

	log_warn(NULL, "who asked to take over does not go on: refused");
	wire_close(&h->to);
	to_lost(h);
}

static void
to_got(struct handover *h, const struct parcel *p)
{
	struct err err;
	long pid = 0;

	if (p == NULL) {
		to_lost(h);
		return;
	}
	switch (p->kind) {
	case PARCEL_HELLO:
		/* One step at a time: who is taking a place gives it later. */
		if (p->version != PARCEL_VERSION)
			log_error(NULL,
			    "handing over: the other speaks version %u",
			    p->version);
		else if (h->giving == GIVING_NOTHING && h->taking)
			h->asked = true;
		else if (h->giving == GIVING_NOTHING)
			handover_offer(h);
		break;
	case PARCEL_GO:
		if (h->giving != OFFERED)
			break;
		h->giving = GIVING;
		loop_timer_cancel(&h->patience);
		unlisten(h); /* the path is the other's by now */
		if (check_peer(h, h->to.fd, &pid, &err) != 0)
			pid = 0;
		atomic_store(&h->relay->successor, true);
		h->ops->give(h->arg, pid);
		break;
	case PARCEL_ANSWER:
		handover_answer_came(h, p);
		break;
	case PARCEL_CHANGED:
		h->ops->changed(h->arg, p->change);
		break;
	default:
		break;
	}
}

static void
on_ask(void *arg, unsigned events)
{
	struct handover *h = arg;
	struct err err;
	long pid;
	int fd = accept4(h->fd, NULL, NULL, SOCK_CLOEXEC);

	(void)events;
	if (fd < 0)
		return;
	if (check_peer(h, fd, &pid, &err) != 0) {
		log_warn(NULL, "handing over refused: %s", err.msg);
		close(fd);
		return;
	}
	if (h->to.fd >= 0) {
		log_warn(NULL, "handing over refused: one is under way");
		close(fd);
		return;
	}
	log_info(NULL, "process %ld asks to take over", pid);
	h->to.fd = fd;
	if (wire_watch(&h->to, &err) != 0)
		wire_close(&h->to);
	else
		handover_wait(h);
}

static int
watch_ask(struct handover *h, struct err *err)
{
	if (loop_fd_init(&h->watch, h->loop, h->fd, on_ask, h, err) != 0)
		return -1;
	loop_fd_want(&h->watch, LOOP_READ);
	return 0;
}

int
handover_listen(struct handover *h, const char *path, struct err *err)
{
	struct sockaddr_un sa;
	char temp[sizeof(sa.sun_path)];
	mode_t mask;
	int n;

	/* Renamed when it listens, so that the name is always somebody's. */
	n = snprintf(temp, sizeof(temp), "%s.new", path);
	if (n < 0 || (size_t)n >= sizeof(temp))
		return err_set(err, ERR_USAGE, "%s: too long", path);
	if (fill_address(&sa, temp, err) != 0)
		return -1;
	h->fd =
	    socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (h->fd < 0)
		return err_set(err, ERR_IO, "%s: %s", path, strerror(errno));
	unlink(temp);
	mask = umask(077);
	n = bind(h->fd, (struct sockaddr *)&sa, sizeof(sa));
	umask(mask);
	if (n != 0 || listen(h->fd, 4) != 0 || lstat(temp, &h->name) != 0 ||
	    rename(temp, path) != 0) {
		err_set(err, ERR_IO, "%s: %s", path, strerror(errno));
		close(h->fd);
		h->fd = -1;
		return -1;
	}
	h->path = path;
	return 0;
}

/*
 * Its life.
 */

int
handover_new(struct handover **out, struct relay *relay,
    const struct handover_ops *ops, void *arg, struct err *err)
{
	struct handover *h = calloc(1, sizeof(*h));

	*out = NULL;
	if (h != NULL)
		h->buffer = malloc(PARCEL_MAX);
	if (h == NULL || h->buffer == NULL) {
		free(h);
		return err_set(err, ERR_MEMORY, "no memory for a handover");
	}
	h->relay = relay;
	h->ops = ops;
	h->arg = arg;
	h->fd = -1;
	h->from = (struct wire){ .all = h, .fd = -1, .got = from_got };
	h->to = (struct wire){ .all = h, .fd = -1, .got = to_got };
	STAILQ_INIT(&h->from.out);
	STAILQ_INIT(&h->to.out);
	slab_init(&h->sent, RELAY_MAIN);
	*out = h;
	return 0;
}

int
handover_start(struct handover *h, struct loop *loop,
    const struct listeners *listeners, struct err *err)
{
	const uint8_t go = PARCEL_GO;

	h->loop = loop;
	h->listeners = listeners;
	loop_timer_init(&h->patience, loop, on_patience, h);
	if (h->fd >= 0 && watch_ask(h, err) != 0)
		return -1;
	if (h->from.fd < 0)
		return 0;
	/* Two relays that serve the same without knowing of each other are
	 * worse than one that does not start. */
	if (send(h->from.fd, &go, sizeof(go), MSG_NOSIGNAL) < 0)
		return err_set(
		    err, ERR_CONFLICT, "the other relay did not wait for us");
	return wire_watch(&h->from, err);
}

bool
handover_taking(const struct handover *h)
{
	return h->taking;
}

bool
handover_giving(const struct handover *h)
{
	return h->giving == GIVING;
}

void
handover_changed(struct handover *h, enum parcel_change change)
{
	const struct parcel p = { .kind = PARCEL_CHANGED, .change = change };

	if (h->from.fd >= 0 && !wire_send(&h->from, &p))
		log_error(NULL, "no memory to tell the relay before us");
}

void
handover_refuse(struct handover *h)
{
	h->listeners = NULL;
	if (h->giving != GIVING_NOTHING && h->giving != FLUSHING)
		return;
	remove_name(h);
	unlisten(h);
	wire_close(&h->to);
	to_lost(h);
}

void
handover_done(struct handover *h)
{
	struct parcel handed = { .kind = PARCEL_HANDED };

	h->giving = GIVEN;
	wire_send(&h->to, &handed);
}

bool
handover_busy(const struct handover *h)
{
	return h->from.fd >= 0 || h->giving == OFFERED || h->giving == GIVING;
}

void
handover_free(struct handover *h)
{
	if (h == NULL)
		return;
	if (h->loop != NULL)
		loop_timer_free(&h->patience);
	remove_name(h);
	unlisten(h);
	wire_close(&h->from);
	wire_close(&h->to);
	handover_jobs_free(h);
	slab_free(&h->sent);
	secret_wipe(h->buffer, PARCEL_MAX);
	free(h->buffer);
	free(h);
}
