#include "agent/times.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/uuid.h"

static int64_t
read_ms(clockid_t id)
{
	struct timespec ts = { 0 };

	(void)clock_gettime(id, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static int64_t
system_boot_ms(void *arg)
{
	(void)arg;
	return read_ms(CLOCK_BOOTTIME);
}

static int64_t
system_wall_ms(void *arg)
{
	(void)arg;
	return read_ms(CLOCK_REALTIME);
}

struct times
times_system(void)
{
	return (struct times){ system_boot_ms, system_wall_ms, NULL };
}

int64_t
times_boot_ms(const struct times *c)
{
	return c->boot_ms(c->arg);
}

int64_t
times_wall_ms(const struct times *c)
{
	return c->wall_ms(c->arg);
}

void
times_boot_id(uint8_t out[TIMES_BOOT_ID_LEN])
{
	char text[UUID_TEXT_LEN];
	struct uuid id;
	ssize_t got = -1;
	int fd;

	memset(out, 0, TIMES_BOOT_ID_LEN);
	fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
	if (fd >= 0) {
		got = read(fd, text, sizeof(text));
		(void)close(fd);
	}
	if (got == UUID_TEXT_LEN &&
	    uuid_parse(&id, span_of(text, sizeof(text)), NULL) == 0)
		memcpy(out, id.bytes, TIMES_BOOT_ID_LEN);
}

char *
times_rfc3339(char out[TIMES_TEXT_LEN], int64_t wall_ms)
{
	time_t sec = (time_t)(wall_ms / 1000);
	struct tm tm = { 0 };
	char head[24];

	if (gmtime_r(&sec, &tm) == NULL ||
	    strftime(head, sizeof(head), "%Y-%m-%dT%H:%M:%S", &tm) == 0)
		head[0] = '\0';
	(void)snprintf(out, TIMES_TEXT_LEN, "%.23s.%03dZ", head,
	    (int)(wall_ms % 1000 < 0 ? 0 : wall_ms % 1000));
	return out;
}

int
times_parse(int64_t *out, const char *text, struct err *err)
{
	static const struct {
		const char *form;
		size_t len; /* of the text; the short one begins the long one */
	} forms[] = { { "%Y-%m-%dT%H:%M:%SZ", 20 }, { "%Y-%m-%d", 10 } };
	size_t i;

	for (i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
		struct tm tm = { 0 };
		char again[32];
		time_t sec;

		if (strptime(text, forms[i].form, &tm) == NULL)
			continue;
		sec = timegm(&tm);
		/* strptime() lets the 31st of February and blanks pass. */
		if (sec <= 0 || gmtime_r(&sec, &tm) == NULL ||
		    strftime(again, sizeof(again), "%Y-%m-%dT%H:%M:%SZ", &tm) ==
			0)
			continue;
		again[forms[i].len] = '\0';
		if (strcmp(again, text) != 0)
			continue;
		*out = (int64_t)sec * 1000;
		return 0;
	}
	return err_set(err, ERR_USAGE,
	    "\"%.40s\": want a time like 2026-12-31T23:59:59Z or 2026-12-31",
	    text);
}
