#include "relay/privileges.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

int
privileges_check(const char *user, struct err *err)
{
	const struct passwd *pw;

	if (geteuid() != 0)
		return 0;
	errno = 0;
	pw = getpwnam(user);
	if (pw == NULL)
		return err_set(err, ERR_USAGE, "user %s: %s", user,
		    errno != 0 ? strerror(errno) : "no such user");
	if (pw->pw_uid == 0 || pw->pw_gid == 0)
		return err_set(err, ERR_USAGE,
		    "user %s: the relay does not run as root", user);
	return 0;
}

int
privileges_drop(const char *user, struct err *err)
{
	const struct passwd *pw;

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
		return err_set(
		    err, ERR_IO, "no_new_privs: %s", strerror(errno));
	if (geteuid() != 0)
		return 0;
	if (privileges_check(user, err) != 0)
		return -1;
	pw = getpwnam(user);
	if (pw == NULL || initgroups(user, pw->pw_gid) != 0 ||
	    setgid(pw->pw_gid) != 0 || setuid(pw->pw_uid) != 0)
		return err_set(
		    err, ERR_IO, "become user %s: %s", user, strerror(errno));
	if (setuid(0) == 0)
		return err_set(err, ERR_IO,
		    "become user %s: root could be had back", user);
	return 0;
}

void
privileges_raise_files(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
		return;
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
}
