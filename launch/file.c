#include "launch/file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define TOKEN_MAX 1024

static int
read_fd(struct secret *out, int fd, size_t max, struct err *err)
{
	struct secret all = { 0 };
	size_t len = 0;
	int rc = -1;

	/* One byte more than allowed tells too long from just fitting. */
	if (secret_alloc(&all, max + 1, err) != 0)
		return -1;
	while (len < all.len) {
		ssize_t n = read(fd, all.ptr + len, all.len - len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			err_set(err, ERR_IO, "%s", strerror(errno));
			goto out;
		}
		if (n == 0)
			break;
		len += (size_t)n;
	}
	if (len > max) {
		err_set(err, ERR_LIMIT, "over %zu bytes", max);
		goto out;
	}
	rc = secret_copy(out, span_of(all.ptr, len), err);
out:
	secret_free(&all);
	return rc;
}

int
file_read(struct secret *out, const char *path, size_t max, struct err *err)
{
	bool is_stdin = strcmp(path, "-") == 0;
	int fd = is_stdin ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
	int rc;

	if (fd < 0)
		return err_set(err, ERR_IO, "%s: %s", path, strerror(errno));
	rc = read_fd(out, fd, max, err);
	if (!is_stdin)
		(void)close(fd);
	if (rc != 0)
		err_wrap(err, "%s", is_stdin ? "stdin" : path);
	return rc;
}

/* The very file that is read is judged, not one of the same name. */
static int
read_private(struct secret *out, const char *path, struct err *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct stat st;
	int rc = -1;

	if (fd < 0 || fstat(fd, &st) != 0)
		err_set(err, ERR_IO, "%s: %s", path, strerror(errno));
	else if (!S_ISREG(st.st_mode))
		err_set(err, ERR_USAGE, "%s: no regular file", path);
	else if ((st.st_mode & (S_IWGRP | S_IRWXO)) != 0)
		err_set(err, ERR_USAGE,
		    "%s: mode %04o lets others use the token, want 0640 or "
		    "less",
		    path, (unsigned)st.st_mode & 07777U);
	else if (read_fd(out, fd, TOKEN_MAX + 2, err) != 0)
		err_wrap(err, "%s", path);
	else
		rc = 0;
	if (fd >= 0)
		(void)close(fd);
	return rc;
}

int
file_read_token(struct secret *out, const char *path, struct err *err)
{
	struct secret all = { 0 };
	int rc = -1;

	if (read_private(&all, path, err) != 0)
		return -1;
	while (all.len > 0 &&
	    (all.ptr[all.len - 1] == '\n' || all.ptr[all.len - 1] == '\r'))
		all.ptr[--all.len] = '\0';
	if (all.len == 0 || all.len > TOKEN_MAX) {
		err_set(err, ERR_USAGE,
		    "%s: token of %zu characters, want 1 "
		    "to %d",
		    path, all.len, TOKEN_MAX);
		goto out;
	}
	for (size_t i = 0; i < all.len; i++) {
		if (all.ptr[i] <= ' ' || all.ptr[i] > '~') {
			err_set(err, ERR_USAGE,
			    "%s: character %zu cannot be in a token", path,
			    i + 1);
			goto out;
		}
	}
	rc = secret_copy(out, secret_span(&all), err);
out:
	secret_free(&all);
	return rc;
}

int
file_memory(int *fd, const char *name, struct span data, struct err *err)
{
	int made = memfd_create(name, MFD_CLOEXEC);

	if (made < 0)
		return err_set(
		    err, ERR_IO, "memory for %s: %s", name, strerror(errno));
	while (data.len > 0) {
		ssize_t n = write(made, data.ptr, data.len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			err_set(err, ERR_IO, "memory for %s: %s", name,
			    strerror(errno));
			(void)close(made);
			return -1;
		}
		data.ptr += n;
		data.len -= (size_t)n;
	}
	*fd = made;
	return 0;
}
