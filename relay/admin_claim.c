#include "relay/admin_impl.h"

#include "common/log.h"
#include "relay/directory.h"
#include "relay/tenant.h"

#include <stdio.h>
#include <string.h>

/* Who owns which UUID. */

static void
add_claim(void *arg, const void *row)
{
	const struct registry_claim *claim = row;
	char uuid[UUID_TEXT_LEN + 1], key[TENANT_KEY_TEXT_LEN];

	json_array_append_new(arg,
	    json_pack("{s:s,s:s,s:s,s:o,s:o}", "uuid",
		uuid_format(uuid, &claim->uuid), "tenant", claim->account->name,
		"from", claim->of_key ? "first-claim" : "admin", "key",
		claim->of_key ? json_string(tenant_key_format(key, claim->key))
			      : json_null(),
		"since", admin_time(claim->since_ms)));
}

static void
add_file_claim(void *arg, struct account *account, const struct uuid *vm)
{
	char uuid[UUID_TEXT_LEN + 1];

	json_array_append_new(arg,
	    json_pack("{s:s,s:s,s:s,s:n,s:n}", "uuid", uuid_format(uuid, vm),
		"tenant", account->name, "from", "file", "key", "since"));
}

void
admin_claims(struct admin_call *c, json_t *in)
{
	const struct relay *r = c->admin->relay;
	json_t *list = json_array();

	(void)in;
	tenants_each_vm(r->setup->tenants, add_file_claim, list);
	registry_each(r->registry, REGISTRY_CLAIMS, add_claim, list);
	admin_json(c, json_pack("{s:o}", "claims", list));
}

void
admin_unbind(struct admin *a, const struct uuid *uuid, const uint8_t *key)
{
	struct directory *directory = a->relay->directory;
	struct directory_op *wish;

	if (directory == NULL)
		return;
	wish = directory_op_new(NULL, DIRECTORY_RELEASE);
	if (wish == NULL) {
		log_error(NULL, "no memory: a UUID stays bound");
		return;
	}
	wish->uuid = *uuid;
	wish->of_key = key != NULL;
	if (key != NULL)
		memcpy(wish->key, key, sizeof(wish->key));
	directory_send(directory, wish);
}

static void
claim_done(struct registry_op *op, void *where)
{
	struct admin *a = where;
	struct admin_call *c;

	if (!admin_home(a, op, &c))
		return;
	for (size_t i = 0; i < op->uuid_count; i++)
		if (op->verb == REGISTRY_CLAIM_RELEASE)
			admin_unbind(a, &op->uuids[i], NULL);
	admin_judge(a);
	if (c != NULL)
		admin_json(
		    c, json_pack("{s:I}", "done", (json_int_t)op->uuid_count));
}

/* The trail names as many as it has room for. */
static void
tell_uuids(struct registry_op *op)
{
	char text[UUID_TEXT_LEN + 1];
	size_t len = strlen(op->what);

	for (size_t i = 0; i < op->uuid_count; i++) {
		if (len + sizeof(text) + sizeof(" ...") > sizeof(op->what)) {
			snprintf(
			    op->what + len, sizeof(op->what) - len, " ...");
			return;
		}
		len += (size_t)snprintf(op->what + len, sizeof(op->what) - len,
		    " %s", uuid_format(text, &op->uuids[i]));
	}
}

/* "uuids": none of which the configuration gives to somebody. */
static bool
read_uuids(struct admin_call *c, json_t *in, struct registry_op *op)
{
	const struct tenants *tenants = c->admin->relay->setup->tenants;
	json_t *list = json_object_get(in, "uuids");
	size_t count = json_array_size(list);
	struct account *owner;
	struct err err;

	if (count == 0 || count > REGISTRY_UUIDS_MAX)
		return admin_bad(c, "want 1 to %d uuids", REGISTRY_UUIDS_MAX);
	for (size_t i = 0; i < count; i++) {
		const char *text = json_string_value(json_array_get(list, i));

		if (text == NULL)
			return admin_bad(c, "uuids[%zu] is no string", i);
		if (uuid_parse(&op->uuids[i], span_str(text), &err) != 0) {
			admin_error(c, &err);
			return false;
		}
		owner = tenants_of_vm(tenants, &op->uuids[i]);
		if (owner != NULL) {
			err_set(&err, ERR_CONFLICT,
			    "%s is tenant %s's in relay.yaml", text,
			    owner->name);
			admin_error(c, &err);
			return false;
		}
	}
	op->uuid_count = count;
	tell_uuids(op);
	return true;
}

void
admin_claim_add(struct admin_call *c, json_t *in)
{
	static const char *const known[] = { "tenant", "uuids", NULL };
	struct account *account;
	struct registry_op *op;

	if (!admin_has_members(c, in, known) ||
	    (account = admin_tenant(c, in)) == NULL)
		return;
	op = admin_op(c, REGISTRY_CLAIM_ADD, claim_done, "claim add tenant %s",
	    account->name);
	if (op == NULL)
		return;
	admin_about(c, op, account);
	if (read_uuids(c, in, op))
		registry_send(c->admin->relay->registry, op);
	else
		registry_op_free(op);
}

void
admin_claim_release(struct admin_call *c, json_t *in)
{
	static const char *const known[] = { "uuids", NULL };
	const struct directory *directory = c->admin->relay->directory;
	struct registry_op *op;
	struct err err;

	if (!admin_has_members(c, in, known))
		return;
	/* Else it would stay bound there and be nobody's here, and what is
	 * nobody's cannot be released again. */
	if (directory != NULL && !directory_is_up(directory)) {
		err_set(&err, ERR_CLOSED,
		    "the directory is not reached: nothing was released");
		admin_error(c, &err);
		return;
	}
	op = admin_op(c, REGISTRY_CLAIM_RELEASE, claim_done, "claim release");
	if (op == NULL)
		return;
	if (read_uuids(c, in, op))
		registry_send(c->admin->relay->registry, op);
	else
		registry_op_free(op);
}
