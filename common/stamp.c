#include "common/stamp.h"

#include "common/http_head.h"

#include <string.h>
#include <time.h>

void
stamp_set(struct stamp *s, int64_t unix_s)
{
	struct writer w = writer_of(s->date, sizeof(s->date) - 1);
	time_t at = (time_t)unix_s;
	struct tm tm;

	if (s->unix_s == unix_s)
		return;
	memset(s, 0, sizeof(*s));
	s->unix_s = unix_s;
	http_put_date(&w, unix_s);
	if (gmtime_r(&at, &tm) != NULL)
		strftime(s->iso, sizeof(s->iso), "%Y-%m-%dT%H:%M:%SZ", &tm);
}
