#include "agent/vault/owner_impl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/hex.h"

static json_t *
json_hex(const uint8_t *bytes, size_t len)
{
	char text[2 * SEV_SHA256_LEN + 1];

	return json_string(hex_encode(text, sizeof(text), span_of(bytes, len)));
}

static json_t *
json_time(int64_t wall_ms)
{
	char text[TIMES_TEXT_LEN];

	return json_string(times_rfc3339(text, wall_ms));
}

static json_t *
json_hashes(const uint8_t (*list)[SEV_SHA256_LEN], size_t count)
{
	json_t *out = json_array();
	size_t i;

	for (i = 0; i < count; i++)
		(void)json_array_append_new(
		    out, json_hex(list[i], SEV_SHA256_LEN));
	return out;
}

static json_t *
json_digests(const struct vault_vm_info *info)
{
	json_t *out = json_array();
	size_t i;

	for (i = 0; i < info->digest_count; i++) {
		const struct registration_digest *d = &info->digests[i];
		json_t *one = json_object();

		(void)json_object_set_new(
		    one, "digest", json_hex(d->digest, SEV_SHA256_LEN));
		(void)json_object_set_new(one, "about", json_string(d->about));
		if (d->has_firmware)
			(void)json_object_set_new(one, "firmware-hash",
			    json_hex(d->firmware, SEV_SHA256_LEN));
		if (d->cpus != 0)
			(void)json_object_set_new(
			    one, "cpu-count", json_integer(d->cpus));
		(void)json_array_append_new(out, one);
	}
	return out;
}

static json_t *
json_cpus(const struct vault_vm_info *info)
{
	json_t *out = json_array();
	size_t i;

	for (i = 0; i < info->cpu_count; i++)
		(void)json_array_append_new(out, json_integer(info->cpus[i]));
	return out;
}

static void
put_platform(json_t *vm, const struct vault_vm_info *info)
{
	json_t *deny = json_array();
	char text[40];
	int g;

	for (g = 0; g < SEV_GENERATIONS; g++)
		if ((info->deny_generations & (1u << g)) != 0)
			(void)json_array_append_new(deny,
			    json_string(
				sev_generation_name((enum sev_generation)g)));
	(void)json_object_set_new(
	    vm, "any-platform", json_boolean(info->any_platform));
	(void)json_object_set_new(vm, "deny-generations", deny);
	(void)json_object_set_new(
	    vm, "cloud-certs", json_hashes(info->clouds, info->cloud_count));
	(void)json_object_set_new(
	    vm, "chips", json_hashes(info->chip_allow, info->chip_allow_count));
	(void)json_object_set_new(vm, "denied-chips",
	    json_integer((json_int_t)info->chip_deny_count));
	(void)json_object_set_new(
	    vm, "cek-blocklist", json_string(info->blocklist));
	(void)json_object_set_new(
	    vm, "ceks", json_integer((json_int_t)info->cek_count));
	(void)json_object_set_new(
	    vm, "roots", json_integer((json_int_t)info->root_count));
	(void)snprintf(text, sizeof(text), "%u.%u", info->min.api_major,
	    info->min.api_minor);
	(void)json_object_set_new(vm, "min-api", json_string(text));
	(void)json_object_set_new(
	    vm, "min-build", json_integer(info->min.build_id));
}

static void
put_limits(json_t *vm, const struct vault_vm_info *info)
{
	static const char *const approve[] = { "never", "first-use", "always" };
	json_t *hosts = json_array();
	size_t i;

	for (i = 0; i < info->host_count; i++)
		(void)json_array_append_new(
		    hosts, json_string(info->hosts[i].name));
	(void)json_object_set_new(
	    vm, "max-instances", json_integer(info->max_instances));
	(void)json_object_set_new(
	    vm, "per-seconds", json_integer((json_int_t)info->per_s));
	(void)json_object_set_new(
	    vm, "then", json_string(registration_then_name(info->then)));
	(void)json_object_set_new(
	    vm, "approve", json_string(approve[info->approve]));
	(void)json_object_set_new(vm, "approve-at",
	    json_string(
		info->approve_at == APPROVE_AT_RELEASE ? "release" : "launch"));
	if (info->from_ms != 0)
		(void)json_object_set_new(
		    vm, "valid-from", json_time(info->from_ms));
	if (info->until_ms != 0)
		(void)json_object_set_new(
		    vm, "valid-until", json_time(info->until_ms));
	(void)json_object_set_new(vm, "allow-hosts", hosts);
	(void)json_object_set_new(
	    vm, "secrets", json_integer(info->secret_count));
	if (info->has_address)
		(void)json_object_set_new(vm, "secret-address",
		    json_integer((json_int_t)info->address));
}

static json_t *
vm_json(const struct vault_vm_info *info, bool whole)
{
	char policy[SEV_POLICY_TEXT_LEN_MAX];
	char uuid[UUID_TEXT_LEN + 1];
	json_t *vm = json_object();

	(void)json_object_set_new(
	    vm, "vm", json_string(uuid_format(uuid, &info->vm)));
	(void)json_object_set_new(vm, "name", json_string(info->name));
	(void)json_object_set_new(
	    vm, "scheme", json_string(registration_scheme_name(info->scheme)));
	(void)json_object_set_new(vm, "policy", json_integer(info->policy));
	(void)json_object_set_new(vm, "policy-text",
	    json_string(sev_guest_policy_format(policy, info->policy)));
	(void)json_object_set_new(
	    vm, "registered", json_time(info->created_ms));
	(void)json_object_set_new(vm, "disabled", json_boolean(info->disabled));
	(void)json_object_set_new(
	    vm, "released", json_integer((json_int_t)info->released));
	(void)json_object_set_new(
	    vm, "open-sessions", json_integer((json_int_t)info->open_count));
	if (!whole)
		return vm;
	(void)json_object_set_new(vm, "label", json_string(info->label));
	if (info->shared)
		(void)json_object_set_new(
		    vm, "shared-rank", json_integer(info->rank));
	(void)json_object_set_new(
	    vm, "kernel-hashes", json_boolean(info->kernel_hashes));
	(void)json_object_set_new(vm, "cpu-count", json_cpus(info));
	(void)json_object_set_new(vm, "digests", json_digests(info));
	put_platform(vm, info);
	put_limits(vm, info);
	return vm;
}

int
owner_tell(struct buf *out, json_t *v, struct err *err)
{
	char *text = json_dumps(v, JSON_COMPACT | JSON_PRESERVE_ORDER);
	int rc;

	json_decref(v);
	if (text == NULL)
		return err_set(err, ERR_MEMORY, "no memory for the answer");
	rc = buf_append(out, span_str(text), err);
	/* jansson's allocator is ours, json_setup(): only it may free. */
	{
		json_free_t give_back;

		json_get_alloc_funcs(NULL, &give_back);
		give_back(text);
	}
	return rc;
}

static int
word_of(char *out, size_t cap, struct span in, struct err *err)
{
	if (in.len == 0 || in.len >= cap ||
	    memchr(in.ptr, '\0', in.len) != NULL)
		return err_set(err, ERR_USAGE, "want the name or UUID of a VM");
	memcpy(out, in.ptr, in.len);
	out[in.len] = '\0';
	return 0;
}

int
owner_find(
    struct uuid *vm, const struct vault *v, struct span in, struct err *err)
{
	char word[REGISTRATION_NAME_MAX + 1];

	if (word_of(word, sizeof(word), in, err) != 0)
		return -1;
	return vault_find(vm, v, word, err);
}

static int
do_register(struct buf *out, struct vault *v, struct span in, struct err *err)
{
	struct registration *r = NULL;
	struct vault_vm_info *info;
	struct uuid vm;
	int rc = -1;

	if (registration_decode(&r, in, err) != 0)
		return -1;
	vm = r->vm;
	info = calloc(1, sizeof(*info));
	if (info == NULL) {
		registration_free(r);
		return err_set(err, ERR_MEMORY, "no memory");
	}
	if (vault_register(v, r, err) == 0 &&
	    vault_info_of(info, v, &vm, err) == 0)
		rc = owner_tell(out, vm_json(info, true), err);
	free(info);
	return rc;
}

static int
do_remove(struct buf *out, struct vault *v, struct span in, struct err *err)
{
	char text[UUID_TEXT_LEN + 1];
	struct uuid vm;
	json_t *reply;

	if (owner_find(&vm, v, in, err) != 0 || vault_remove(v, &vm, err) != 0)
		return -1;
	reply = json_object();
	(void)json_object_set_new(
	    reply, "removed", json_string(uuid_format(text, &vm)));
	return owner_tell(out, reply, err);
}

static int
do_list(struct buf *out, struct vault *v, struct err *err)
{
	struct vault_vm_info *info = calloc(1, sizeof(*info));
	json_t *reply = json_object();
	json_t *vms = json_array();
	size_t i;
	int rc;

	if (info == NULL) {
		json_decref(reply);
		json_decref(vms);
		return err_set(err, ERR_MEMORY, "no memory");
	}
	for (i = 0; i < vault_count(v); i++) {
		vault_info(info, v, i);
		(void)json_array_append_new(vms, vm_json(info, false));
	}
	(void)json_object_set_new(
	    reply, "schema", json_string("attest-agent.vms/1"));
	(void)json_object_set_new(reply, "vms", vms);
	/* Else nobody could tell it from an agent without a VM. */
	(void)json_object_set_new(
	    reply, "locked", json_boolean(vault_is_locked(v)));
	rc = owner_tell(out, reply, err);
	free(info);
	return rc;
}

static int
do_show(struct buf *out, struct vault *v, struct span in, struct err *err)
{
	struct vault_vm_info *info = calloc(1, sizeof(*info));
	struct uuid vm;
	int rc = -1;

	if (info == NULL)
		return err_set(err, ERR_MEMORY, "no memory");
	if (owner_find(&vm, v, in, err) == 0 &&
	    vault_info_of(info, v, &vm, err) == 0)
		rc = owner_tell(out, vm_json(info, true), err);
	free(info);
	return rc;
}

struct lines {
	json_t *list;
	uint32_t most;
};

static bool
is_zero(const struct uuid *u)
{
	static const struct uuid zero;

	return uuid_equal(u, &zero);
}

static int
add_line(void *arg, const struct store_audit *row)
{
	char text[UUID_TEXT_LEN + 1];
	struct lines *lines = arg;
	json_t *line = json_object();

	(void)json_object_set_new(
	    line, "seq", json_integer((json_int_t)row->seq));
	(void)json_object_set_new(line, "time", json_time(row->wall_ms));
	if (!is_zero(&row->vm))
		(void)json_object_set_new(
		    line, "vm", json_string(uuid_format(text, &row->vm)));
	if (!is_zero(&row->session))
		(void)json_object_set_new(line, "session",
		    json_string(uuid_format(text, &row->session)));
	(void)json_object_set_new(line, "event", json_string(row->event));
	(void)json_object_set_new(line, "detail", json_string(row->detail));
	(void)json_object_set_new(
	    line, "hash", json_hex(row->hash, STORE_HASH_LEN));
	(void)json_array_append_new(lines->list, line);
	return json_array_size(lines->list) >= lines->most ? 1 : 0;
}

int
owner_log_page(json_t **out, struct vault *v, struct span in, struct err *err)
{
	struct reader r = reader_of(in);
	uint64_t after = reader_be64(&r);
	struct lines lines = { .most = reader_be32(&r) };
	struct uuid vm;
	bool all = r.rest.len == 0;

	if (!reader_ok(&r) || after > INT64_MAX)
		return err_set(err, ERR_MALFORMED, "log: want a place in it");
	if (lines.most == 0 || lines.most > OWNER_LOG_MAX)
		lines.most = OWNER_LOG_MAX;
	/* A VM that was removed has no name any more, but its lines stay. */
	if (!all && uuid_parse(&vm, r.rest, NULL) != 0 &&
	    owner_find(&vm, v, r.rest, err) != 0)
		return -1;
	lines.list = json_array();
	if (vault_log(v, after, all ? NULL : &vm, add_line, &lines, err) != 0) {
		json_decref(lines.list);
		return -1;
	}
	*out = json_object();
	(void)json_object_set_new(
	    *out, "schema", json_string("attest-agent.log/1"));
	(void)json_object_set_new(*out, "lines", lines.list);
	return 0;
}

static int
do_log(struct buf *out, struct vault *v, struct span in, struct err *err)
{
	json_t *page = NULL;

	if (owner_log_page(&page, v, in, err) != 0)
		return -1;
	return owner_tell(out, page, err);
}

static int
do_verify(struct buf *out, struct vault *v, struct err *err)
{
	uint64_t count = 0;
	json_t *reply;

	if (vault_log_verify(v, &count, err) != 0)
		return -1;
	reply = json_object();
	(void)json_object_set_new(
	    reply, "lines", json_integer((json_int_t)count));
	(void)json_object_set_new(reply, "verified", json_true());
	return owner_tell(out, reply, err);
}

static int
do_cancel(struct buf *out, struct vault *v, struct span in, struct err *err)
{
	char text[UUID_TEXT_LEN + 1];
	struct reader r = reader_of(in);
	struct uuid id;
	json_t *reply;

	reader_copy(&r, id.bytes, sizeof(id.bytes));
	if (!reader_done(&r))
		return err_set(err, ERR_MALFORMED, "want the id of a session");
	if (vault_cancel(v, &id, err) != 0)
		return -1;
	reply = json_object();
	(void)json_object_set_new(
	    reply, "cancelled", json_string(uuid_format(text, &id)));
	return owner_tell(out, reply, err);
}

static int
do_block(struct buf *out, struct vault *v, struct span in, struct err *err)
{
	struct reader r = reader_of(in);
	struct uuid vm;
	json_t *reply;

	reader_copy(&r, vm.bytes, sizeof(vm.bytes));
	if (!reader_ok(&r))
		return err_set(
		    err, ERR_MALFORMED, "a block-list of %zu bytes", in.len);
	if (vault_set_blocked(v, is_zero(&vm) ? NULL : &vm, r.rest, err) != 0)
		return -1;
	reply = json_object();
	(void)json_object_set_new(reply, "blocked",
	    json_integer((json_int_t)(r.rest.len / SEV_SHA256_LEN)));
	return owner_tell(out, reply, err);
}

/* Not JSON: the asker is the agent's parent, which parses nothing. */
static int
do_blocklists(struct buf *out, struct vault *v, struct err *err)
{
	struct vault_vm_info *info = calloc(1, sizeof(*info));
	uint8_t row[16 + 2 + REGISTRATION_PATH_MAX];
	int rc = 0;
	size_t i;

	if (info == NULL)
		return err_set(err, ERR_MEMORY, "no memory");
	for (i = 0; rc == 0 && i < vault_count(v); i++) {
		struct writer w = writer_of(row, sizeof(row));

		vault_info(info, v, i);
		if (info->blocklist[0] == '\0')
			continue;
		writer_put(&w, span_of(info->vm.bytes, sizeof(info->vm.bytes)));
		writer_be16(&w, (uint16_t)strlen(info->blocklist));
		writer_put(&w, span_str(info->blocklist));
		rc = buf_append(out, writer_span(&w), err);
	}
	free(info);
	return rc;
}

/* It reads or writes records.  Those of one VM need no word here, as no name
 * is found while it is locked, nor do block-lists, which say it themselves. */
static bool
wants_key(unsigned op)
{
	return op == OWNER_REGISTER || op == OWNER_CANCEL ||
	    (op >= OWNER_MOVE_KEY && op <= OWNER_IMPORT) ||
	    op == OWNER_RECEIPTS || op == OWNER_RECEIPT;
}

int
owner_handle(struct buf *out, struct vault *v, unsigned op, struct span in,
    struct err *err)
{
	if (wants_key(op) && vault_is_locked(v))
		return err_set(err, ERR_CLOSED, "locked: attest-agent unlock");
	switch (op) {
	case OWNER_REGISTER:
		return do_register(out, v, in, err);
	case OWNER_REMOVE:
		return do_remove(out, v, in, err);
	case OWNER_LIST:
		return do_list(out, v, err);
	case OWNER_SHOW:
		return do_show(out, v, in, err);
	case OWNER_LOG:
		return do_log(out, v, in, err);
	case OWNER_VERIFY:
		return do_verify(out, v, err);
	case OWNER_CANCEL:
		return do_cancel(out, v, in, err);
	case OWNER_BLOCK:
		return do_block(out, v, in, err);
	case OWNER_BLOCKLISTS:
		return do_blocklists(out, v, err);
	default:
		if (op == OWNER_RECEIPTS || op == OWNER_RECEIPT)
			return owner_receipt(out, v, op, in, err);
		if (op >= OWNER_LOCK && op <= OWNER_WATCH)
			return owner_word(out, v, op, in, err);
		return owner_move(out, v, op, in, err);
	}
}

bool
owner_may_ask(unsigned op)
{
	return (op >= OWNER_STATUS && op <= OWNER_WATCH) ||
	    (op >= OWNER_MOVE_KEY && op <= OWNER_IMPORT) ||
	    op == OWNER_RECEIPTS || op == OWNER_RECEIPT || op == OWNER_CANCEL ||
	    op == OWNER_BLOCK || op == OWNER_BLOCKLISTS;
}

bool
owner_renames(unsigned op)
{
	return op == OWNER_REGISTER || op == OWNER_REMOVE || op == OWNER_LOCK ||
	    op == OWNER_UNLOCK || op == OWNER_EXPORT || op == OWNER_IMPORT;
}
