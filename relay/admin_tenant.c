#include "relay/admin_impl.h"

#include "relay/claim.h"

#include <string.h>

/* Tenants, and the keys of their agents. */

static json_t *
tenant_json(struct account *account, const struct tenant_rules *rules,
    const char *from, uint64_t since_ms)
{
	const struct account_limits *l = &rules->limits;

	return json_pack(
	    "{s:s,s:s,s:b,s:b,s:o,s:i,s:i,s:i,s:I,s:{s:i,s:i,s:i,s:i,s:I}}",
	    "tenant", account->name, "from", from, "self-certifying",
	    rules->self_certifying, "first-claim", rules->first_claim, "since",
	    admin_time(since_ms), "tunnels",
	    (int)atomic_load(&account->held[ACCOUNT_TUNNELS]), "claims",
	    (int)atomic_load(&account->held[ACCOUNT_CLAIMS]), "streams",
	    (int)atomic_load(&account->held[ACCOUNT_STREAMS]), "refused",
	    (json_int_t)atomic_load(&account->refused), "limits", "tunnels",
	    (int)l->max[ACCOUNT_TUNNELS], "claims", (int)l->max[ACCOUNT_CLAIMS],
	    "streams", (int)l->max[ACCOUNT_STREAMS], "requests",
	    (int)l->requests, "memory", (json_int_t)l->memory);
}

static void
add_tenant(void *arg, const void *row)
{
	const struct registry_tenant *t = row;
	const struct tenant_rules rules = { .self_certifying =
						t->self_certifying,
		.first_claim = t->first_claim,
		.limits = t->limits };

	json_array_append_new(
	    arg, tenant_json(t->account, &rules, "registry", t->since_ms));
}

void
admin_tenants(struct admin_call *c, json_t *in)
{
	const struct relay *r = c->admin->relay;
	const struct tenants *t = r->setup->tenants;
	json_t *list = json_array();

	(void)in;
	for (size_t i = 0; i < tenants_count(t); i++) {
		struct account *account = tenants_account(t, i);

		json_array_append_new(list,
		    tenant_json(account, tenants_rules(t, account), "file", 0));
	}
	registry_each(r->registry, REGISTRY_TENANTS, add_tenant, list);
	admin_json(c, json_pack("{s:o}", "tenants", list));
}

/* Done, nothing more to tell; rights may have changed. */
static void
change_done(struct registry_op *op, void *where)
{
	struct admin_call *c;

	if (!admin_home(where, op, &c))
		return;
	for (size_t i = 0; i < op->gone_count; i++)
		admin_unbind(where, &op->gone[i].uuid, op->gone[i].key);
	admin_judge(where);
	if (c != NULL)
		admin_json(c, json_pack("{s:b}", "done", 1));
}

static bool
is_word(const char *text)
{
	return strlen(text) <= TENANT_NAME_MAX &&
	    text[strspn(text,
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
		"0123456789-._")] == '\0';
}

static bool
read_limits(struct admin_call *c, json_t *in, struct account_limits *l)
{
	static const char *const names[ACCOUNT_KINDS] = { [ACCOUNT_TUNNELS] =
							      "tunnels",
		[ACCOUNT_CLAIMS] = "claims",
		[ACCOUNT_STREAMS] = "streams" };
	uint64_t requests = 0;

	for (int k = 0; k < ACCOUNT_KINDS; k++) {
		uint64_t max = 0;

		if (!admin_number(c, in, names[k], 10000000, &max))
			return false;
		l->max[k] = (uint32_t)max;
	}
	if (!admin_number(c, in, "requests", 1000000, &requests) ||
	    !admin_number(c, in, "memory", UINT64_C(1) << 44, &l->memory))
		return false;
	l->requests = (uint32_t)requests;
	return true;
}

void
admin_tenant_add(struct admin_call *c, json_t *in)
{
	static const char *const known[] = { "tenant", "self-certifying",
		"first-claim", "tunnels", "claims", "streams", "requests",
		"memory", NULL };
	const struct relay *r = c->admin->relay;
	struct registry_tenant t = { 0 };
	struct registry_op *op;
	struct err err;
	const char *name;

	if (!admin_has_members(c, in, known) ||
	    (name = admin_string(c, in, "tenant")) == NULL ||
	    !admin_bool(c, in, "self-certifying", &t.self_certifying) ||
	    !admin_bool(c, in, "first-claim", &t.first_claim) ||
	    !read_limits(c, in, &t.limits))
		return;
	if (!is_word(name)) {
		admin_bad(c,
		    "a tenant's name has up to %d letters, digits "
		    "and -._",
		    TENANT_NAME_MAX);
		return;
	}
	if (accounts_of(&t.account, r->accounts, name, &err) != 0) {
		admin_error(c, &err);
		return;
	}
	if (tenants_rules(r->setup->tenants, t.account) != NULL) {
		err_set(&err, ERR_CONFLICT, "tenant %s is in relay.yaml", name);
		admin_error(c, &err);
		return;
	}
	op = admin_op(c, REGISTRY_TENANT_ADD, change_done, "tenant add %s%s%s",
	    name, t.self_certifying ? " self-certifying" : "",
	    t.first_claim ? " first-claim" : "");
	if (op == NULL)
		return;
	op->tenant = t;
	op->account = t.account;
	registry_send(r->registry, op);
}

void
admin_tenant_remove(struct admin_call *c, json_t *in)
{
	static const char *const known[] = { "tenant", NULL };
	const struct relay *r = c->admin->relay;
	struct account *account;
	struct registry_op *op;
	struct err err;

	if (!admin_has_members(c, in, known) ||
	    (account = admin_tenant(c, in)) == NULL)
		return;
	if (tenants_rules(r->setup->tenants, account) != NULL) {
		err_set(&err, ERR_CONFLICT,
		    "tenant %s is in relay.yaml: remove it there, and reload",
		    account->name);
		admin_error(c, &err);
		return;
	}
	op = admin_op(c, REGISTRY_TENANT_REMOVE, change_done,
	    "tenant remove %s", account->name);
	if (op == NULL)
		return;
	op->account = account;
	registry_send(r->registry, op);
}

/*
 * Keys.
 */

struct key_list {
	json_t *list;
	struct registry *registry;
};

static void
add_key(void *arg, const void *row)
{
	const struct registry_key *k = row;
	char text[TENANT_KEY_TEXT_LEN];

	json_array_append_new(arg,
	    json_pack("{s:s,s:s,s:s,s:I,s:o,s:o}", "key",
		tenant_key_format(text, k->key), "tenant", k->account->name,
		"from", k->token != 0 ? "enrolment" : "admin", "token",
		(json_int_t)k->token, "since", admin_time(k->since_ms),
		"revoked", admin_time(k->revoked_ms)));
}

static void
add_file_key(void *arg, struct account *account, const uint8_t *key)
{
	char text[TENANT_KEY_TEXT_LEN];
	struct registry_key row;
	struct key_list *l = arg;

	/* One that has a row too, as it was revoked, is listed there. */
	if (registry_find_key(l->registry, key, &row))
		return;
	json_array_append_new(l->list,
	    json_pack("{s:s,s:s,s:s,s:n,s:n}", "key",
		tenant_key_format(text, key), "tenant", account->name, "from",
		"file", "since", "revoked"));
}

void
admin_keys(struct admin_call *c, json_t *in)
{
	const struct relay *r = c->admin->relay;
	struct key_list l = { json_array(), r->registry };

	(void)in;
	tenants_each_key(r->setup->tenants, add_file_key, &l);
	registry_each(r->registry, REGISTRY_KEYS, add_key, l.list);
	admin_json(c, json_pack("{s:o}", "keys", l.list));
}

static bool
read_key(struct admin_call *c, json_t *in, uint8_t out[UUID_KEY_LEN])
{
	const char *text = admin_string(c, in, "key");
	struct err err;

	if (text == NULL)
		return false;
	if (tenant_key_parse(out, text, &err) == 0)
		return true;
	admin_error(c, &err);
	return false;
}

void
admin_key_add(struct admin_call *c, json_t *in)
{
	static const char *const known[] = { "tenant", "key", NULL };
	const struct relay *r = c->admin->relay;
	char text[TENANT_KEY_TEXT_LEN];
	uint8_t key[UUID_KEY_LEN];
	struct account *account, *owner;
	struct registry_op *op;
	struct err err;

	if (!admin_has_members(c, in, known) ||
	    (account = admin_tenant(c, in)) == NULL || !read_key(c, in, key))
		return;
	owner = tenants_of_key(r->setup->tenants, key);
	if (owner != NULL && owner != account) {
		err_set(&err, ERR_CONFLICT,
		    "the key is tenant %s's in "
		    "relay.yaml",
		    owner->name);
		admin_error(c, &err);
		return;
	}
	op = admin_op(c, REGISTRY_KEY_ADD, change_done, "key add %s tenant %s",
	    tenant_key_format(text, key), account->name);
	if (op == NULL)
		return;
	admin_about(c, op, account);
	op->key.account = account;
	memcpy(op->key.key, key, sizeof(key));
	registry_send(r->registry, op);
}

void
admin_key_revoke(struct admin_call *c, json_t *in)
{
	static const char *const known[] = { "key", NULL };
	const struct relay *r = c->admin->relay;
	char text[TENANT_KEY_TEXT_LEN];
	uint8_t key[UUID_KEY_LEN];
	struct registry_op *op;

	if (!admin_has_members(c, in, known) || !read_key(c, in, key))
		return;
	op = admin_op(c, REGISTRY_KEY_REVOKE, change_done, "key revoke %s",
	    tenant_key_format(text, key));
	if (op == NULL)
		return;
	op->key.account = tenants_of_key(r->setup->tenants, key);
	memcpy(op->key.key, key, sizeof(key));
	registry_send(r->registry, op);
}
