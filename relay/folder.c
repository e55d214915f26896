#include "relay/folder.h"

#include <errno.h>
#include <pwd.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int
folder_make(const char *path, mode_t mode, const char *user, struct err *err)
{
	const struct passwd *pw;

	if (path[0] == '\0')
		return 0;
	if (mkdir(path, mode) != 0)
		return errno == EEXIST
		    ? 0
		    : err_set(err, ERR_IO, "%s: %s", path, strerror(errno));
	if (geteuid() != 0)
		return 0;
	pw = getpwnam(user);
	if (pw == NULL)
		return err_set(err, ERR_USAGE, "user %s: no such user", user);
	if (lchown(path, pw->pw_uid, pw->pw_gid) != 0)
		return err_set(err, ERR_IO, "%s: %s", path, strerror(errno));
	return 0;
}
