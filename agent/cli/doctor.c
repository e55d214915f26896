#include "agent/cli/doctor.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/enrolled.h"
#include "agent/plain.h"
#include "common/tls.h"

#define LOCKED_MIN (64u << 20) /* the vault and what it may come to hold */
#define CERT_DAYS 14

void
doctor_say(struct doctor *d, enum doctor_level level, const char *check,
    const char *fix, const char *fmt, ...)
{
	struct doctor_line *line;
	va_list ap;

	if (d->count == DOCTOR_LINES_MAX)
		return;
	line = &d->lines[d->count++];
	line->level = level;
	line->check = check;
	line->fix = level == DOCTOR_OK ? "" : fix;
	va_start(ap, fmt);
	(void)vsnprintf(line->found, sizeof(line->found), fmt, ap);
	va_end(ap);
	(void)plain(line->found); /* peers have a say in it */
	if (level > d->worst)
		d->worst = level;
}

const char *
doctor_level_name(enum doctor_level level)
{
	static const char *const names[] = { "ok", "warn", "fail" };

	return names[level];
}

/* Whoever can write it can send the agent to a relay of his own. */
static void
check_file(struct doctor *d, const char *file)
{
	static const char fix[] = "chmod go-w it, and its folder; chown it to "
				  "yourself or root";
	struct stat st;

	if (stat(file, &st) != 0)
		return; /* said by its reader */
	if ((st.st_mode & 022) != 0)
		doctor_say(d, DOCTOR_FAIL, "config", fix,
		    "%.200s: mode %04o lets others write it", file,
		    (unsigned)(st.st_mode & 07777));
	else if (st.st_uid != geteuid() && st.st_uid != 0)
		doctor_say(d, DOCTOR_FAIL, "config", fix,
		    "%.200s: belongs to user %u", file, (unsigned)st.st_uid);
	else
		doctor_say(d, DOCTOR_OK, "config", "", "%.200s", file);
}

bool
doctor_config(
    struct doctor *d, struct config *config, const char *file, const char *dir)
{
	struct dialer_relay relays[DIALER_ENDPOINTS_MAX];
	char path[CONFIG_PATH_MAX];
	struct err err = { 0 };
	size_t count;

	if (file == NULL && config_default_file(path, sizeof(path)))
		file = path;
	if (config_load(config, file, &err) != 0) {
		doctor_say(d, DOCTOR_FAIL, "config",
		    "mend the lines named on stderr", "%.200s", err.msg);
		return false;
	}
	if (file != NULL)
		check_file(d, file);
	else
		doctor_say(d, DOCTOR_OK, "config", "", "no file: defaults");
	if (enrolled_read(config, dir, &err) != 0 ||
	    config_relays(relays, &count, config, &err) != 0) {
		doctor_say(d, DOCTOR_FAIL, "config",
		    "attest-agent enrol LINK, or relay.url in agent.yaml",
		    "%.200s", err.msg);
		return false;
	}
	return true;
}

static void
check_suspend(struct doctor *d)
{
	char words[64] = "";
	FILE *f = fopen("/sys/power/state", "re");
	size_t n = f != NULL ? fread(words, 1, sizeof(words) - 1, f) : 0;

	words[n] = '\0';
	if (f != NULL)
		(void)fclose(f);
	if (strstr(words, "mem") == NULL && strstr(words, "disk") == NULL)
		doctor_say(d, DOCTOR_OK, "suspend", "",
		    "this machine does not suspend");
	else
		/* Hardly a fault: it dials anew when it wakes. */
		doctor_say(d, DOCTOR_OK, "suspend", "",
		    "this machine can suspend; no VM is launched meanwhile "
		    "(systemd-inhibit --what=sleep keeps it awake)");
}

void
doctor_machine(struct doctor *d)
{
	struct rlimit limit = { 0, 0 };

	(void)getrlimit(RLIMIT_MEMLOCK, &limit);
	if (limit.rlim_max < LOCKED_MIN)
		doctor_say(d, DOCTOR_WARN, "memory",
		    "LimitMEMLOCK=infinity (systemd), or memlock in "
		    "/etc/security/limits.conf; or use no swap, or an "
		    "encrypted one",
		    "%llu KiB of memory may be locked: secrets can reach the "
		    "swap",
		    (unsigned long long)limit.rlim_max / 1024);
	else
		doctor_say(d, DOCTOR_OK, "memory", "",
		    "secrets are kept out of the swap");
	check_suspend(d);
}

void
doctor_direct(struct doctor *d, const struct config *config)
{
	const struct config_direct *c = &config->direct;
	const struct tls_source source = { c->certificate, c->key,
		c->client_ca };
	struct direct_options options;
	struct conf_hosts hosts = { 0 };
	struct tls_identity *id = NULL;
	enum tls_part part;
	struct err err = { 0 };
	int days;

	if (c->listen[0] == '\0')
		return;
	if (config_direct(&options, &hosts, config, &err) != 0 ||
	    tls_identity_load(&id, &source, &part, &err) != 0) {
		doctor_say(d, DOCTOR_FAIL, "listen",
		    "mend direct.* in agent.yaml, or the file", "%.200s",
		    err.msg);
		goto out;
	}
	days = tls_identity_days(id);
	if (c->auth == 0)
		doctor_say(d, DOCTOR_WARN, "listen",
		    "direct.auth: mtls, bearer or networks",
		    "no host is let in by %s", c->listen);
	else
		doctor_say(d,
		    days < 0               ? DOCTOR_FAIL
			: days < CERT_DAYS ? DOCTOR_WARN
					   : DOCTOR_OK,
		    "listen", "get a new certificate",
		    "%s, certificate for %d days", c->listen, days);
out:
	tls_identity_free(id);
	conf_hosts_free(&hosts);
}
