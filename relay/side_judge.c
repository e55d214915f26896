#include "relay/side_impl.h"

#include <string.h>

/* What another setup means for the tunnels that stand. */

static bool
greeting_differs(const struct relay_config *a, const struct relay_config *b)
{
	return strcmp(a->name, b->name) != 0 ||
	    a->channel_binding != b->channel_binding;
}

void
side_judge_all(struct worker *w, const struct relay_setup *old)
{
	bool differs = greeting_differs(&w->setup->config, &old->config);
	struct side *s, *next;

	for (s = TAILQ_FIRST(&w->all_sides); s != NULL; s = next) {
		next = TAILQ_NEXT(s, link);
		/* It signs what the challenge said, and a wrong signature is
		 * final for an agent. */
		if (!s->joined && differs)
			tunnel_close(s->tunnel, TUNNEL_CLOSE_DRAINING,
			    "the configuration changed");
	}
}
