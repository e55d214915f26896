#include "agent/state.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

int
state_default(char *out, size_t cap, struct err *err)
{
	const char *xdg = getenv("XDG_STATE_HOME");
	const char *home = getenv("HOME");
	const char *own = getenv("ATTEST_AGENT_STATE");
	int n = -1;

	if (own != NULL && own[0] != '\0')
		n = snprintf(out, cap, "%s", own);
	else if (xdg != NULL && xdg[0] == '/')
		n = snprintf(out, cap, "%s/attest-agent", xdg);
	else if (home != NULL && home[0] == '/')
		n = snprintf(out, cap, "%s/.local/state/attest-agent", home);
	else
		return err_set(err, ERR_USAGE,
		    "no state folder: give --state or set HOME");
	if (n < 0 || (size_t)n >= cap)
		return err_set(err, ERR_USAGE, "state folder: path too long");
	return 0;
}

/* The parents of XDG folders may be missing on a fresh account. */
int
state_make_folders(const char *dir, struct err *err)
{
	char path[4096];
	char *slash;

	if ((size_t)snprintf(path, sizeof(path), "%s", dir) >= sizeof(path))
		return err_set(err, ERR_USAGE, "%.100s...: too long", dir);
	for (slash = strchr(path + 1, '/'); slash != NULL;
	     slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		if (mkdir(path, 0700) != 0 && errno != EEXIST)
			return err_set(
			    err, ERR_IO, "%s: %s", path, strerror(errno));
		*slash = '/';
	}
	if (mkdir(path, 0700) != 0 && errno != EEXIST)
		return err_set(err, ERR_IO, "%s: %s", path, strerror(errno));
	return 0;
}

static int
check_private(
    int fd, const char *dir, const char *name, mode_t kind, struct err *err)
{
	struct stat st;

	if (fstat(fd, &st) != 0)
		return err_set(
		    err, ERR_IO, "%s%s: %s", dir, name, strerror(errno));
	if ((st.st_mode & S_IFMT) != kind)
		return err_set(err, ERR_UNTRUSTED, "%s%s: not a regular %s",
		    dir, name, kind == S_IFDIR ? "folder" : "file");
	if (st.st_uid != geteuid())
		return err_set(err, ERR_UNTRUSTED,
		    "%s%s: belongs to user %u, want %u", dir, name,
		    (unsigned)st.st_uid, (unsigned)geteuid());
	if ((st.st_mode & 077) != 0)
		return err_set(err, ERR_UNTRUSTED,
		    "%s%s: mode %04o lets others in; chmod %s it", dir, name,
		    (unsigned)(st.st_mode & 07777),
		    kind == S_IFDIR ? "0700" : "0600");
	return 0;
}

/* A link on the way is the owner's business (a home folder is often behind
 * one), but SQLite's NOFOLLOW, which guards the file, refuses any of them. */
static int
resolve(struct state *s, struct err *err)
{
	char *real = realpath(s->dir, NULL);
	int n = -1;

	if (real != NULL)
		n = snprintf(s->dir, sizeof(s->dir), "%s", real);
	free(real);
	if (n <= 0 || (size_t)n >= sizeof(s->dir))
		return err_set(err, ERR_USAGE,
		    "state folder: its real path cannot be told, or is too "
		    "long");
	return 0;
}

int
state_open(struct state *out, const char *dir, struct err *err)
{
	*out = (struct state){ .dir_fd = -1, .lock_fd = -1 };
	if (dir == NULL) {
		if (state_default(out->dir, sizeof(out->dir), err) != 0)
			return -1;
	} else {
		int n = snprintf(out->dir, sizeof(out->dir), "%s", dir);

		if (n <= 0 || (size_t)n >= sizeof(out->dir))
			return err_set(err, ERR_USAGE,
			    "state folder: path empty or too long");
	}
	if (state_make_folders(out->dir, err) != 0)
		return -1;
	out->dir_fd = open(out->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (out->dir_fd < 0)
		return err_set(
		    err, ERR_IO, "%s: %s", out->dir, strerror(errno));
	if (check_private(out->dir_fd, out->dir, "", S_IFDIR, err) != 0 ||
	    resolve(out, err) != 0) {
		state_close(out);
		return -1;
	}
	return 0;
}

void
state_close(struct state *s)
{
	if (s == NULL)
		return;
	if (s->lock_fd >= 0)
		(void)close(s->lock_fd);
	if (s->dir_fd >= 0)
		(void)close(s->dir_fd);
	s->lock_fd = s->dir_fd = -1;
}

int
state_lock(struct state *s, unsigned wait_ms, struct err *err)
{
	const struct timespec step = { 0, 10 * 1000000 };
	unsigned waited = 0;
	int fd;

	fd = openat(s->dir_fd, "agent.lock",
	    O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return err_set(
		    err, ERR_IO, "%s/agent.lock: %s", s->dir, strerror(errno));
	while (flock(fd, LOCK_EX | LOCK_NB) != 0) {
		if (errno != EWOULDBLOCK && errno != EINTR) {
			(void)err_set(err, ERR_IO, "%s/agent.lock: %s", s->dir,
			    strerror(errno));
			goto fail;
		}
		if (waited >= wait_ms) {
			(void)err_set(err, ERR_CONFLICT,
			    "%s: in use by another attest-agent", s->dir);
			goto fail;
		}
		(void)nanosleep(&step, NULL);
		waited += 10;
	}
	s->lock_fd = fd;
	return 0;
fail:
	(void)close(fd);
	return -1;
}

char *
state_path(char out[STATE_PATH_MAX], const struct state *s, const char *name)
{
	(void)snprintf(out, STATE_PATH_MAX, "%s/%s", s->dir, name);
	return out;
}

static int
read_all(int fd, uint8_t *out, size_t len)
{
	size_t have = 0;

	while (have < len) {
		ssize_t n = read(fd, out + have, len - have);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return -1;
		have += (size_t)n;
	}
	return 0;
}

int
state_read(struct secret *out, const struct state *s, const char *name,
    size_t max, struct err *err)
{
	struct stat st;
	int rc = -1;
	int fd;

	fd = openat(s->dir_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0 && errno == ENOENT)
		return err_set(
		    err, ERR_NOT_FOUND, "%s/%s: not there", s->dir, name);
	if (fd < 0)
		return err_set(
		    err, ERR_IO, "%s/%s: %s", s->dir, name, strerror(errno));
	if (check_private(fd, "", name, S_IFREG, err) != 0)
		goto out;
	if (fstat(fd, &st) != 0 || st.st_size < 0 || (size_t)st.st_size > max) {
		(void)err_set(err, ERR_LIMIT, "%s/%s: more than %zu bytes",
		    s->dir, name, max);
		goto out;
	}
	if (secret_alloc(out, (size_t)st.st_size, err) != 0)
		goto out;
	if (read_all(fd, out->ptr, out->len) != 0) {
		(void)err_set(
		    err, ERR_IO, "%s/%s: cannot be read", s->dir, name);
		secret_free(out);
		goto out;
	}
	rc = 0;
out:
	(void)close(fd);
	return rc;
}

static int
write_all(int fd, struct span in)
{
	while (in.len > 0) {
		ssize_t n = write(fd, in.ptr, in.len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return -1;
		in = span_of(in.ptr + n, in.len - (size_t)n);
	}
	return fsync(fd);
}

/* Without a name, so that kill -9 leaves no second copy of a key; where that
 * cannot be, under a name of its own, ${temp}. */
static int
open_new(char temp[64], const struct state *s, const char *name)
{
	int fd = -1;

	temp[0] = '\0';
	if (access("/proc/self/fd", X_OK) == 0)
		fd = openat(
		    s->dir_fd, ".", O_WRONLY | O_TMPFILE | O_CLOEXEC, 0600);
	if (fd >= 0)
		return fd;
	(void)snprintf(temp, 64, ".%.32s.%ld", name, (long)getpid());
	/* Left by one of our number that was killed. */
	(void)unlinkat(s->dir_fd, temp, 0);
	return openat(s->dir_fd, temp,
	    O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
}

/* A link refuses to replace what is there. */
static int
give_name(const struct state *s, int fd, const char *temp, const char *name)
{
	char path[64];

	if (temp[0] != '\0')
		return linkat(s->dir_fd, temp, s->dir_fd, name, 0);
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return linkat(AT_FDCWD, path, s->dir_fd, name, AT_SYMLINK_FOLLOW);
}

int
state_write(
    const struct state *s, const char *name, struct span in, struct err *err)
{
	char temp[64];
	int rc = -1;
	int fd;

	fd = open_new(temp, s, name);
	if (fd < 0)
		return err_set(
		    err, ERR_IO, "%s/%s: %s", s->dir, name, strerror(errno));
	if (write_all(fd, in) != 0) {
		(void)err_set(
		    err, ERR_IO, "%s/%s: %s", s->dir, name, strerror(errno));
		goto out;
	}
	if (give_name(s, fd, temp, name) != 0) {
		(void)err_set(err, errno == EEXIST ? ERR_CONFLICT : ERR_IO,
		    "%s/%s: %s", s->dir, name,
		    errno == EEXIST ? "exists already" : strerror(errno));
		goto out;
	}
	if (fsync(s->dir_fd) != 0) {
		(void)err_set(err, ERR_IO, "%s: %s", s->dir, strerror(errno));
		goto out;
	}
	rc = 0;
out:
	(void)close(fd);
	if (temp[0] != '\0')
		(void)unlinkat(s->dir_fd, temp, 0);
	return rc;
}

int
state_remove(const struct state *s, const char *name, struct err *err)
{
	static const uint8_t zeros[4096];
	struct stat st;
	off_t left = 0;
	int fd;

	fd = openat(s->dir_fd, name, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0 && errno == ENOENT)
		return 0;
	/* The medium may keep old blocks all the same; no worse than before. */
	if (fd >= 0 && fstat(fd, &st) == 0)
		left = st.st_size;
	while (fd >= 0 && left > 0) {
		ssize_t n = write(fd, zeros,
		    left < (off_t)sizeof(zeros) ? (size_t)left : sizeof(zeros));

		if (n <= 0)
			break;
		left -= n;
	}
	if (fd >= 0) {
		(void)fsync(fd);
		(void)close(fd);
	}
	if (unlinkat(s->dir_fd, name, 0) != 0 || fsync(s->dir_fd) != 0)
		return err_set(
		    err, ERR_IO, "%s/%s: %s", s->dir, name, strerror(errno));
	return 0;
}

int
state_replace(
    const struct state *s, const char *name, struct span in, struct err *err)
{
	char temp[64];

	(void)snprintf(temp, sizeof(temp), "%.40s.new", name);
	(void)unlinkat(s->dir_fd, temp, 0);
	if (state_write(s, temp, in, err) != 0)
		return -1;
	if (renameat(s->dir_fd, temp, s->dir_fd, name) != 0 ||
	    fsync(s->dir_fd) != 0)
		return err_set(
		    err, ERR_IO, "%s/%s: %s", s->dir, name, strerror(errno));
	return 0;
}
