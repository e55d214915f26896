#include "launch/record.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "launch/json.h"
#include "launch/service.h"

#define PATH_LEN_MAX 4096
#define NEW_TRIES 8

static const struct {
	enum record_word word;
	const char *text;
} words[] = {
	{ RECORD_ANSWERED, "answered" },
	{ RECORD_RESUMING, "resuming" },
	{ RECORD_FAILED, "failed" },
	{ RECORD_DONE, "done" },
	{ RECORD_BOUND, "bound" },
};

static int
default_path(char out[PATH_LEN_MAX], struct err *err)
{
	const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
	int n;

	if (geteuid() == 0)
		n = snprintf(out, PATH_LEN_MAX, "/var/lib/attest-launch");
	else if (state != NULL && state[0] == '/')
		n = snprintf(out, PATH_LEN_MAX, "%s/attest-launch", state);
	else if (home != NULL && home[0] == '/')
		n = snprintf(
		    out, PATH_LEN_MAX, "%s/.local/state/attest-launch", home);
	else
		return err_set(err, ERR_USAGE,
		    "no folder for launches under way: want --state or $HOME");
	if (n >= PATH_LEN_MAX)
		return err_set(err, ERR_USAGE, "path of over %d characters",
		    PATH_LEN_MAX - 1);
	return 0;
}

/* With all that lead to it, as mkdir -p; open() tells what went wrong. */
static void
make_folders(const char *path)
{
	char part[PATH_LEN_MAX];

	for (size_t len = 1; path[len - 1] != '\0'; len++) {
		if (path[len] != '/' && path[len] != '\0')
			continue;
		if (snprintf(part, sizeof(part), "%.*s", (int)len, path) >=
		    (int)sizeof(part))
			return;
		(void)mkdir(part, S_IRWXU);
	}
}

/*
 * What a record says is done with our rights, and libvirt's URIs can name
 * programs: the folder must be ours alone to write.
 */
int
record_folder(int *fd, const char *path, struct err *err)
{
	char usual[PATH_LEN_MAX];
	struct stat st;
	int got;

	if (path == NULL) {
		if (default_path(usual, err) != 0)
			return -1;
		path = usual;
	}
	make_folders(path);
	got = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (got < 0 || fstat(got, &st) != 0) {
		err_set(err, ERR_IO, "%s: %s", path, strerror(errno));
		goto fail;
	}
	if (st.st_uid != geteuid() || (st.st_mode & (S_IWGRP | S_IWOTH)) != 0) {
		err_set(err, ERR_USAGE,
		    "%s: mode %04o, user %u: want a folder that is ours, and "
		    "that nobody else may write",
		    path, (unsigned)st.st_mode & 07777U, (unsigned)st.st_uid);
		goto fail;
	}
	*fd = got;
	return 0;
fail:
	if (got >= 0)
		(void)close(got);
	return -1;
}

/* Lock the very file that has the name; false: another has it, or it went. */
static bool
hold(int fd)
{
	struct stat st;

	return flock(fd, LOCK_EX | LOCK_NB) == 0 && fstat(fd, &st) == 0 &&
	    st.st_nlink > 0;
}

int
record_new(struct record *out, int folder, struct err *err)
{
	out->folder = folder;
	out->fd = -1;
	/* A sweep may find it before it is locked, and take it away: it is
	 * empty. */
	for (int i = 0; i < NEW_TRIES; i++) {
		if (service_key(out->id, err) != 0)
			return -1;
		out->fd = openat(folder, out->id,
		    O_RDWR | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC,
		    S_IRUSR | S_IWUSR);
		if (out->fd < 0)
			return err_set(err, ERR_IO, "record of the launch: %s",
			    strerror(errno));
		if (hold(out->fd))
			return 0;
		record_leave(out);
	}
	return err_set(err, ERR_IO, "record of the launch: cannot be locked");
}

/* In one write, so that a kill leaves all of it or nothing. */
static int
append(const struct record *r, struct span text, struct err *err)
{
	ssize_t n;

	do
		n = write(r->fd, text.ptr, text.len);
	while (n < 0 && errno == EINTR);
	if (n >= 0 && (size_t)n != text.len)
		errno = ENOSPC;
	if (n != (ssize_t)text.len || fdatasync(r->fd) != 0)
		return err_set(
		    err, ERR_IO, "record of the launch: %s", strerror(errno));
	return 0;
}

int
record_ask(
    struct record *r, const char *uri, const char *domain, struct err *err)
{
	json_t *o = json_pack("{s:s, s:s}", "domain", domain, "connect", uri);
	struct secret text = { 0 };
	char line[RECORD_LEN_MAX];
	int rc = -1, len;

	if (o == NULL || json_write(&text, o, err) != 0) {
		err_set(err, ERR_MEMORY, "no memory for a record");
		goto out;
	}
	len = snprintf(line, sizeof(line), "%.*s\n", (int)text.len,
	    (const char *)text.ptr);
	if (strlen(uri) > RECORD_URI_MAX || len >= (int)sizeof(line)) {
		err_set(err, ERR_LIMIT, "record of the launch: over %d bytes",
		    RECORD_LEN_MAX);
		goto out;
	}
	if (append(r, span_of(line, (size_t)len), err) != 0)
		goto out;
	/* The name, too. */
	if (fsync(r->folder) != 0) {
		err_set(
		    err, ERR_IO, "record of the launch: %s", strerror(errno));
		goto out;
	}
	rc = 0;
out:
	json_decref(o);
	secret_free(&text);
	return rc;
}

int
record_say(const struct record *r, enum record_word word, struct err *err)
{
	char line[16];

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (words[i].word == word)
			(void)snprintf(
			    line, sizeof(line), "%s\n", words[i].text);
	return append(r, span_str(line), err);
}

void
record_end(struct record *r)
{
	if (r->fd >= 0)
		(void)unlinkat(r->folder, r->id, 0);
	record_leave(r);
}

void
record_leave(struct record *r)
{
	if (r->fd >= 0)
		(void)close(r->fd);
	r->fd = -1;
}

int
record_take(struct record *out, int folder, const char *id, struct err *err)
{
	struct stat st;

	out->folder = folder;
	(void)snprintf(out->id, sizeof(out->id), "%s", id);
	out->fd = openat(folder, id,
	    O_RDWR | O_APPEND | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (out->fd < 0 && errno == ENOENT)
		return 0;
	if (out->fd < 0 || fstat(out->fd, &st) != 0 || !S_ISREG(st.st_mode)) {
		err_set(err, ERR_IO, "record %s: %s", id,
		    out->fd < 0 ? strerror(errno) : "no regular file");
		record_leave(out);
		return -1;
	}
	if (!hold(out->fd))
		record_leave(out);
	return 0;
}

int
record_read(struct record_view *out, const struct record *r, struct err *err)
{
	char text[RECORD_LEN_MAX + 1];
	ssize_t n = pread(r->fd, text, sizeof(text), 0);

	if (n < 0)
		return err_set(
		    err, ERR_IO, "record %s: %s", r->id, strerror(errno));
	if (record_decode(out, span_of(text, (size_t)n), err) != 0)
		return err_wrap(err, "record %s", r->id);
	return 0;
}

/* The next whole line. */
static bool
take_line(struct span *line, struct span *rest)
{
	const uint8_t *end =
	    rest->len == 0 ? NULL : memchr(rest->ptr, '\n', rest->len);

	if (end == NULL)
		return false;
	*line = span_of(rest->ptr, (size_t)(end - rest->ptr));
	rest->ptr += line->len + 1;
	rest->len -= line->len + 1;
	return true;
}

static int
take_word(struct record_view *out, struct span line, struct err *err)
{
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (span_equal(line, span_str(words[i].text))) {
			out->words |= words[i].word;
			return 0;
		}
	return err_set(err, ERR_MALFORMED, "a word that is none of ours");
}

static int
take_guest(struct record_view *out, struct span line, struct err *err)
{
	json_t *o = NULL;
	int rc = -1;

	if (json_read(&o, line, err) != 0)
		return -1;
	json_get_text(out->domain, sizeof(out->domain), o, "domain");
	json_get_text(out->connect, sizeof(out->connect), o, "connect");
	if (out->domain[0] == '\0')
		err_set(err, ERR_MALFORMED, "no domain");
	else if (out->connect[0] == '\0')
		err_set(err, ERR_MALFORMED, "no connect");
	else
		rc = 0;
	json_decref(o);
	return rc;
}

int
record_decode(struct record_view *out, struct span text, struct err *err)
{
	struct span line;

	memset(out, 0, sizeof(*out));
	if (text.len > RECORD_LEN_MAX)
		return err_set(err, ERR_LIMIT, "over %d bytes", RECORD_LEN_MAX);
	if (!take_line(&line, &text))
		return 0;
	if (take_guest(out, line, err) != 0)
		return -1;
	while (take_line(&line, &text))
		if (take_word(out, line, err) != 0)
			return -1;
	out->asked = true;
	return 0;
}
