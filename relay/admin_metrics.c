#include "relay/admin_impl.h"

#include "relay/metrics.h"

#include <stdlib.h>

#define PLAIN "text/plain; charset=utf-8"

/* For those who watch the relay: no change, no line in the trail. */

void
admin_healthz(struct admin_call *c, json_t *in)
{
	(void)in;
	admin_text(c, PLAIN, span_str("ok\n"));
}

void
admin_readyz(struct admin_call *c, json_t *in)
{
	struct err err;

	(void)in;
	if (metrics_ready(c->admin->relay)) {
		admin_text(c, PLAIN, span_str("ready\n"));
		return;
	}
	err_set(&err, ERR_CLOSED, "draining, handing over, or out of memory");
	admin_error(c, &err); /* 503 */
}

void
admin_metrics(struct admin_call *c, json_t *in)
{
	struct err err;
	size_t len;
	char *text = metrics_text(c->admin->relay, &len, &err);

	(void)in;
	if (text == NULL) {
		admin_error(c, &err);
		return;
	}
	admin_text(c, METRICS_MEDIA_TYPE, span_of(text, len));
	free(text);
}
