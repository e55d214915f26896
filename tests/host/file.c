#include "tests/host/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int
file_read(struct secret *out, const char *path, struct err *err)
{
	FILE *f = fopen(path, "re");
	struct stat st;
	int rc = -1;

	if (f == NULL)
		return err_set(err, ERR_IO, "%s: %s", path, strerror(errno));
	if (fstat(fileno(f), &st) != 0 || st.st_size < 0) {
		err_set(err, ERR_IO, "%s: no size", path);
		goto out;
	}
	if (secret_alloc(out, (size_t)st.st_size, err) != 0)
		goto out;
	if (fread(out->ptr, 1, out->len, f) != out->len) {
		err_set(err, ERR_IO, "%s: short read", path);
		secret_free(out);
		goto out;
	}
	rc = 0;
out:
	(void)fclose(f);
	return rc;
}

int
file_write(const char *path, struct span data, struct err *err)
{
	bool console = strcmp(path, "-") == 0;
	char temporary[1024];
	FILE *f;
	int fd, n;
	bool ok;

	if (console) {
		ok = fwrite(data.ptr, 1, data.len, stdout) == data.len;
		return ok ? 0 : err_set(err, ERR_IO, "standard output: full");
	}
	n = snprintf(
	    temporary, sizeof(temporary), "%s.%d", path, (int)getpid());
	if (n < 0 || (size_t)n >= sizeof(temporary))
		return err_set(err, ERR_IO, "%s: path too long", path);
	fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	f = fd < 0 ? NULL : fdopen(fd, "w");
	if (f == NULL) {
		err_set(err, ERR_IO, "%s: %s", temporary, strerror(errno));
		if (fd >= 0)
			(void)close(fd);
		return -1;
	}
	ok = fwrite(data.ptr, 1, data.len, f) == data.len;
	if (fclose(f) != 0 || !ok || rename(temporary, path) != 0)
		return err_set(err, ERR_IO, "%s: not written", path);
	return 0;
}
