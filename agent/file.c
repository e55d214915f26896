#include "agent/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_STEP 65536

static int
grow(struct secret *s, size_t cap, struct err *err)
{
	struct secret more = { 0 };

	if (secret_alloc(&more, cap, err) != 0)
		return -1;
	if (s->len > 0)
		memcpy(more.ptr, s->ptr, s->len);
	secret_free(s);
	*s = more;
	return 0;
}

int
file_read_fd(struct secret *out, int fd, size_t max, struct err *err)
{
	struct secret room = { 0 };
	size_t len = 0;
	int rc = -1;

	for (;;) {
		ssize_t n;

		if (len == room.len &&
		    grow(&room, room.len * 2 + FILE_STEP, err) != 0)
			goto out;
		n = read(fd, room.ptr + len, room.len - len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			(void)err_set(err, ERR_IO, "%s", strerror(errno));
			goto out;
		}
		if (n == 0)
			break;
		len += (size_t)n;
		if (len > max) {
			(void)err_set(
			    err, ERR_LIMIT, "more than %zu bytes", max);
			goto out;
		}
	}
	rc = secret_copy(out, span_of(room.ptr, len), err);
out:
	secret_free(&room);
	return rc;
}

int
file_read(struct secret *out, const char *path, size_t max, struct err *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	int rc;

	if (fd < 0)
		return err_set(err, ERR_IO, "%s: %s", path, strerror(errno));
	rc = file_read_fd(out, fd, max, err);
	(void)close(fd);
	return rc == 0 ? 0 : err_wrap(err, "%s", path);
}

/* Its group may read: that is how services share a key. */
static int
judge(const struct stat *st, const char *path, struct err *err)
{
	if ((st->st_mode & (S_IWGRP | S_IRWXO)) == 0)
		return 0;
	return err_set(err, ERR_USAGE,
	    "%s: mode %04o lets others use what is secret in it, want 0640 "
	    "or less",
	    path, (unsigned)st->st_mode & 07777u);
}

int
file_check_private(const char *path, struct err *err)
{
	struct stat st;

	if (stat(path, &st) != 0)
		return err_set(err, ERR_IO, "%s: %s", path, strerror(errno));
	return judge(&st, path, err);
}

/* The very file that is read is judged, not one of the same name. */
int
file_read_private(
    struct secret *out, const char *path, size_t max, struct err *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	struct stat st;
	int rc = -1;

	if (fd < 0 || fstat(fd, &st) != 0)
		(void)err_set(err, ERR_IO, "%s: %s", path, strerror(errno));
	else if (judge(&st, path, err) == 0) {
		rc = file_read_fd(out, fd, max, err);
		if (rc != 0)
			(void)err_wrap(err, "%s", path);
	}
	if (fd >= 0)
		(void)close(fd);
	return rc;
}

int
file_create(const char *path, struct err *err)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	if (fd < 0)
		return err_set(err, errno == EEXIST ? ERR_CONFLICT : ERR_IO,
		    "%s: %s", path, strerror(errno));
	return fd;
}

/* A file is not safe before its folder is. */
static int
sync_folder(const char *path)
{
	char folder[4096];
	const char *slash = strrchr(path, '/');
	int fd;
	int rc;
	int n;

	if (slash == NULL)
		n = snprintf(folder, sizeof(folder), ".");
	else /* with the slash: of "/file" it is all there is */
		n = snprintf(folder, sizeof(folder), "%.*s",
		    (int)(slash - path + 1), path);
	if (n < 0 || (size_t)n >= sizeof(folder))
		return -1;
	fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	rc = fsync(fd);
	(void)close(fd);
	return rc;
}

int
file_write(int fd, const char *path, struct span in, struct err *err)
{
	while (in.len > 0) {
		ssize_t n = write(fd, in.ptr, in.len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		in = span_of(in.ptr + n, in.len - (size_t)n);
	}
	if (in.len > 0 || fsync(fd) != 0 || sync_folder(path) != 0)
		return err_set(err, ERR_IO, "%s: %s", path, strerror(errno));
	return 0;
}
