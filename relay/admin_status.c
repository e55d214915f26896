#include "relay/admin_impl.h"

#include "common/log.h"
#include "relay/tenant.h"

#include <stdlib.h>
#include <string.h>

#define TRAIL_DEFAULT 100
#define TRAIL_MAX 10000

static size_t
count_tunnels(struct relay *r)
{
	uint32_t count = accounts_count(r->accounts);
	size_t n = 0;

	for (uint32_t i = 0; i < count; i++)
		n += atomic_load(
		    &accounts_get(r->accounts, i)->held[ACCOUNT_TUNNELS]);
	return n;
}

void
admin_status(struct admin_call *c, json_t *in)
{
	struct relay *r = c->admin->relay;
	const struct relay_config *config = &r->setup->config;

	(void)in;
	admin_json(c,
	    json_pack("{s:s,s:s,s:s,s:s,s:i,s:I,s:I,s:I,s:I,s:I,s:I,s:b,s:i}",
		"schema", "attest-relay.status/1", "version", ATTEST_VERSION,
		"name", config->name, "state",
		atomic_load(&r->draining)        ? "draining"
		    : atomic_load(&r->successor) ? "handing-over"
						 : "ready",
		"workers", (int)r->worker_count, "connections",
		(json_int_t)atomic_load(&r->connections), "tunnels",
		(json_int_t)count_tunnels(r), "uuids",
		(json_int_t)route_count(r->routes), "held",
		(json_int_t)atomic_load(&r->held), "memory",
		(json_int_t)atomic_load(&r->memory), "memory-limit",
		(json_int_t)config->limits.memory, "channel-binding",
		config->channel_binding, "certificate-days",
		tls_identity_days(r->setup->public)));
}

/*
 * Tunnels: each worker adds its own.
 */

static bool
ask_worker(struct admin_call *c, struct worker *w)
{
	struct message_tunnels *m = calloc(1, sizeof(*m));

	if (m == NULL)
		return false;
	m->m.kind = MESSAGE_TUNNELS;
	m->call = c->handle;
	loop_post(w->loop, &m->m.mail);
	c->waiting++;
	return true;
}

void
admin_tunnels(struct admin_call *c, json_t *in)
{
	struct relay *r = c->admin->relay;
	struct err err;

	(void)in;
	c->list = json_array();
	for (size_t i = 0; i < r->worker_count; i++) {
		if (c->list == NULL || !ask_worker(c, r->workers[i])) {
			err_set(&err, ERR_MEMORY, "no memory");
			admin_error(c, &err);
			return;
		}
	}
}

static json_t *
tunnel_json(const struct tunnel_row *row)
{
	char key[TENANT_KEY_TEXT_LEN], peer[SOURCE_TEXT_LEN];

	return json_pack("{s:s,s:s,s:s,s:I,s:o,s:i,s:i,s:b}", "tenant",
	    row->account->name, "key", tenant_key_format(key, row->key), "peer",
	    source_text(peer, row->source), "session", (json_int_t)row->session,
	    "since", admin_time(row->since_ms), "claims", (int)row->claims,
	    "streams", (int)row->streams, "leaving", row->leaving);
}

void
admin_tunnels_came(struct admin *a, struct message_tunnels *m)
{
	struct admin_call *c = slab_get(&a->calls, m->call);
	json_t *list;

	if (c == NULL || c->list == NULL)
		return;
	for (size_t i = 0; i < m->count; i++)
		json_array_append_new(c->list, tunnel_json(&m->rows[i]));
	if (--c->waiting > 0)
		return;
	list = c->list;
	c->list = NULL;
	admin_json(c, json_pack("{s:o}", "tunnels", list));
}

/*
 * Words to the relay as a whole.  Each is in the trail before it is obeyed.
 */

static void
drain_done(struct registry_op *op, void *where)
{
	struct admin *a = where;
	struct admin_call *c;
	bool obeyed = admin_home(a, op, &c);

	if (obeyed && c != NULL)
		admin_json(c, json_pack("{s:b}", "draining", 1));
	if (obeyed)
		a->ops->drain(a->arg);
}

void
admin_drain(struct admin_call *c, json_t *in)
{
	struct registry_op *op;

	(void)in;
	op = admin_op(c, REGISTRY_NOTE, drain_done, "drain");
	if (op != NULL)
		registry_send(c->admin->relay->registry, op);
}

static void
reload_done(struct registry_op *op, void *where)
{
	struct admin *a = where;
	struct admin_call *c;
	char *said;
	int rc;

	if (!admin_home(a, op, &c))
		return;
	rc = a->ops->reload(a->arg, &said);
	if (c != NULL && rc == 0) {
		admin_json(c,
		    json_pack("{s:b,s:s}", "reloaded", 1, "said",
			said != NULL ? said : ""));
	} else if (c != NULL) {
		admin_faults(
		    c, said != NULL ? said : "not reloaded: no memory");
	}
	free(said);
}

void
admin_reload(struct admin_call *c, json_t *in)
{
	struct registry_op *op;

	(void)in;
	op = admin_op(c, REGISTRY_NOTE, reload_done, "reload");
	if (op != NULL)
		registry_send(c->admin->relay->registry, op);
}

static const char *
level_now(void)
{
	enum log_level level = LOG_LEVEL_DEBUG;

	while (level > LOG_LEVEL_ERROR && !log_enabled(level))
		level--;
	return log_level_words[level];
}

void
admin_log_level(struct admin_call *c, json_t *in)
{
	(void)in;
	admin_json(c, json_pack("{s:s}", "level", level_now()));
}

static void
log_level_done(struct registry_op *op, void *where)
{
	struct admin_call *c;

	if (!admin_home(where, op, &c))
		return;
	log_set_level((enum log_level)op->limit);
	if (c != NULL)
		admin_json(c, json_pack("{s:s}", "level", level_now()));
}

void
admin_log_level_set(struct admin_call *c, json_t *in)
{
	static const char *const known[] = { "level", NULL };
	const char *word;
	struct registry_op *op;
	uint32_t level = 0;

	if (!admin_has_members(c, in, known) ||
	    (word = admin_string(c, in, "level")) == NULL)
		return;
	while (log_level_words[level] != NULL &&
	    strcmp(log_level_words[level], word) != 0)
		level++;
	if (log_level_words[level] == NULL) {
		admin_bad(c, "want error, warn, info or debug");
		return;
	}
	op = admin_op(c, REGISTRY_NOTE, log_level_done, "log-level %s", word);
	if (op == NULL)
		return;
	op->limit = level;
	registry_send(c->admin->relay->registry, op);
}

static void
trail_done(struct registry_op *op, void *where)
{
	struct admin_call *c;

	if (!admin_home(where, op, &c) || c == NULL)
		return;
	admin_json(
	    c, json_pack("{s:o}", "trail", json_loads(op->text, 0, NULL)));
}

void
admin_trail(struct admin_call *c, json_t *in)
{
	uint64_t lines = TRAIL_DEFAULT;
	struct registry_op *op;

	if (!admin_number(c, in, "lines", TRAIL_MAX, &lines))
		return;
	op = admin_op(c, REGISTRY_TRAIL, trail_done, "%s", "");
	if (op == NULL)
		return;
	op->who[0] = '\0'; /* reading leaves no trail */
	op->limit = (uint32_t)lines;
	registry_send(c->admin->relay->registry, op);
}
