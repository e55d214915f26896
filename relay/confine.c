#include "relay/confine.h"

#include "common/log.h"
#include "relay/sandbox.h"

#include <string.h>

#define PATHS_MAX 64

/* For names of hosts, should the configuration have any (nss(5)). */
static const char *const system_files[] = { "/etc/resolv.conf", "/etc/hosts",
	"/etc/nsswitch.conf", "/etc/gai.conf", "/etc/host.conf",
	"/dev/urandom" };
#define SYSTEM_FILES (sizeof(system_files) / sizeof(system_files[0]))

/* Every path of relay.yaml is read, but for these. */
static const struct {
	const char *key;
	enum sandbox_access access;
} others[] = {
	{ "takeover.socket", SANDBOX_SOCKET },
	{ "admin.socket", SANDBOX_SOCKET },
	{ "state", SANDBOX_STATE },
};

static enum sandbox_access
access_of(const char *key)
{
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		if (strcmp(others[i].key, key) == 0)
			return others[i].access;
	return SANDBOX_READ;
}

static size_t
collect(struct sandbox_path out[PATHS_MAX], const struct relay_config *c,
    const char *file)
{
	const struct conf_table *t = &relay_config_table;
	size_t n = 0;

	out[n++] = (struct sandbox_path){ file, SANDBOX_READ };
	for (size_t i = 0; i < SYSTEM_FILES; i++)
		out[n++] =
		    (struct sandbox_path){ system_files[i], SANDBOX_FILE };
	for (size_t i = 0; i < t->count && n < PATHS_MAX; i++) {
		const struct conf_key *key = &t->keys[i];

		if (key->type == CONF_PATH)
			out[n++] = (struct sandbox_path){
				*(char *const *)((const char *)c + key->at),
				access_of(key->name)
			};
	}
	return n;
}

int
confine(const struct relay_config *c, const char *file, struct err *err)
{
	struct sandbox_path paths[PATHS_MAX];
	int abi = 0;

	if (c->landlock) {
		if (sandbox_files(paths, collect(paths, c, file), &abi, err) !=
		    0)
			return err_wrap(err, "sandbox.landlock");
		if (abi == 0)
			log_warn(NULL,
			    "this kernel has no Landlock: all files that the "
			    "user may open stay open to us");
	}
	if (c->seccomp && sandbox_calls(err) != 0)
		return err_wrap(err, "sandbox.seccomp");
	log_info(NULL, "sandbox: seccomp %s, landlock %s",
	    c->seccomp ? "on" : "off", abi > 0 ? "on" : "off");
	return 0;
}
