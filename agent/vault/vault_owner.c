#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/vault/vault_impl.h"
#include "agent/vault/vault_move.h"

/* total:8 count:4 wall_ms:8 each */
void
vault_write_counts(struct writer *w, const struct vault_vm *vm)
{
	size_t i;

	writer_be64(w, vm->released);
	writer_be32(w, (uint32_t)vm->release_count);
	for (i = 0; i < vm->release_count; i++)
		writer_be64(w, (uint64_t)vm->release_wall_ms[i]);
}

static int
make_room(struct vault_vm *vm, struct err *err)
{
	if (vm->release_wall_ms == NULL)
		vm->release_wall_ms = calloc(
		    REGISTRATION_COUNT_MAX, sizeof(*vm->release_wall_ms));
	if (vm->release_wall_ms == NULL)
		return err_set(err, ERR_MEMORY, "no memory");
	return 0;
}

int
vault_read_counts(struct vault_vm *vm, struct span in, struct err *err)
{
	struct reader r = reader_of(in);
	uint64_t released = reader_be64(&r);
	size_t count = reader_be32(&r);
	size_t i;

	if (!reader_ok(&r) || count > REGISTRATION_COUNT_MAX ||
	    r.rest.len != count * 8)
		return err_set(err, ERR_MALFORMED, "stored count of releases");
	if (count > 0 && make_room(vm, err) != 0)
		return -1;
	vm->released = released;
	vm->release_count = count;
	for (i = 0; i < count; i++)
		vm->release_wall_ms[i] = (int64_t)reader_be64(&r);
	return 0;
}

int
vault_load_counts(struct vault *v, struct vault_vm *vm, struct err *err)
{
	struct secret stored = { 0 };
	struct err why = { 0 };
	int rc;

	if (store_get(&stored, v->store, STORE_COUNT,
		span_of(vm->reg->vm.bytes, sizeof(vm->reg->vm.bytes)),
		&why) != 0) {
		if (why.code == ERR_NOT_FOUND)
			return 0;
		return err_set(err, why.code, "%s", why.msg);
	}
	rc = vault_read_counts(vm, secret_span(&stored), err);
	secret_free(&stored);
	return rc;
}

/* Releases that still count against the window. */
static uint64_t
counted(const struct vault *v, const struct vault_vm *vm)
{
	int64_t now = times_wall_ms(&v->clock);
	uint64_t n = 0;
	size_t i;

	if (vm->reg->per_s == 0)
		return vm->released;
	for (i = 0; i < vm->release_count; i++)
		/* One of the future (the clock was set back) still counts. */
		if (now - vm->release_wall_ms[i] <
		    (int64_t)vm->reg->per_s * 1000)
			n++;
	return n;
}

bool
vault_over_limit(const struct vault *v, const struct vault_vm *vm)
{
	return vm->reg->max_instances != 0 &&
	    counted(v, vm) >= vm->reg->max_instances;
}

/* With "confirm" the owner is asked at the release, which is what counts. */
int
vault_limit(struct vault *v, struct vault_vm *vm, struct err *err)
{
	const struct registration *r = vm->reg;

	if (r->then != THEN_REFUSE || !vault_over_limit(v, vm))
		return 0;
	return err_set(err, ERR_UNTRUSTED,
	    "max-instances is %u%s, and as many were released",
	    r->max_instances, r->per_s != 0 ? " in a window" : "");
}

int
vault_put_counts(struct vault *v, const struct vault_vm *vm)
{
	uint8_t bytes[VAULT_COUNTS_MAX];
	struct writer w = writer_of(bytes, sizeof(bytes));
	struct err err = { 0 };

	vault_write_counts(&w, vm);
	if (store_put(v->store, STORE_COUNT,
		span_of(vm->reg->vm.bytes, sizeof(vm->reg->vm.bytes)),
		writer_span(&w), &err) != 0) {
		vault_fail(v, &err);
		return -1;
	}
	return 0;
}

int
vault_count_release(struct vault *v, struct vault_vm *vm)
{
	const struct registration *r = vm->reg;
	struct err err = { 0 };

	/* The owner is told, once for each guest over. */
	if (vault_over_limit(v, vm))
		vault_audit(v, &r->vm, NULL, "over-limit",
		    "more than max-instances %u, allowed by then: %s",
		    r->max_instances, registration_then_name(r->then));
	vm->released++;
	if (r->max_instances == 0 || r->per_s == 0)
		return vault_put_counts(v, vm);
	if (make_room(vm, &err) != 0) {
		vault_fail(v, &err);
		return -1;
	}
	/* Only the last max_instances of them can matter. */
	while (vm->release_count >= r->max_instances) {
		memmove(vm->release_wall_ms, vm->release_wall_ms + 1,
		    (vm->release_count - 1) * sizeof(*vm->release_wall_ms));
		vm->release_count--;
	}
	vm->release_wall_ms[vm->release_count++] = times_wall_ms(&v->clock);
	return vault_put_counts(v, vm);
}

int
vault_put_registration(
    struct vault *v, const struct registration *r, struct err *err)
{
	struct secret bytes = { 0 };
	int rc;

	if (registration_encode(&bytes, r, err) != 0)
		return -1;
	rc = store_put(v->store, STORE_VM,
	    span_of(r->vm.bytes, sizeof(r->vm.bytes)), secret_span(&bytes),
	    err);
	secret_free(&bytes);
	return rc;
}

int
vault_check_free(
    const struct vault *v, const struct registration *r, struct err *err)
{
	char text[UUID_TEXT_LEN + 1];
	size_t i;

	/* Judged before anything is written: a refusal costs the others of
	 * the batch nothing. */
	if (v->vm_count >= VAULT_VMS_MAX)
		return err_set(err, ERR_LIMIT, "%d VMs are registered already",
		    VAULT_VMS_MAX);
	if (vault_vm_find(v, &r->vm) != NULL)
		return err_set(err, ERR_CONFLICT,
		    "UUID %s is registered already (vm remove forgets it)",
		    uuid_format(text, &r->vm));
	for (i = 0; i < v->vm_count; i++)
		if (strcmp(v->vms[i]->reg->name, r->name) == 0)
			return err_set(err, ERR_CONFLICT,
			    "name %s is in use already (vm list)", r->name);
	return 0;
}

int
vault_register(struct vault *v, struct registration *r, struct err *err)
{
	struct vault_vm *vm = NULL;

	if (registration_check(r, err) != 0 ||
	    vault_check_free(v, r, err) != 0 ||
	    vault_move_check(v, &r->vm, err) != 0) {
		registration_free(r);
		return -1;
	}
	if (r->created_ms == 0)
		r->created_ms = times_wall_ms(&v->clock);
	if (vault_vm_new(&vm, r, err) != 0)
		return -1;
	if (vault_put_registration(v, r, err) != 0) {
		vault_fail(v, err);
		vault_vm_free(vm);
		return -1;
	}
	secret_free(&r->table);
	if (vault_vm_add(v, vm, err) != 0) {
		vault_fail(v, err); /* so that the record goes, too */
		vault_vm_free(vm);
		return -1;
	}
	vault_audit(v, &r->vm, NULL, "register",
	    "%s: %s, policy 0x%x, %zu digests, %u secrets", r->name,
	    registration_scheme_name(r->scheme), r->policy, r->digest_count,
	    r->secret_count);
	return 0;
}

static void
drop_sessions(struct vault *v, struct vault_vm *vm, struct session **list)
{
	struct err err = { 0 };

	while (*list != NULL) {
		struct session *s = *list;
		struct span id = span_of(s->id.bytes, sizeof(s->id.bytes));

		*list = s->next;
		if (s->state != SESSION_CLOSED)
			v->live_count--;
		if (store_delete(v->store, STORE_SESSION, id, &err) != 0 ||
		    store_delete(v->store, STORE_EVIDENCE, id, &err) != 0 ||
		    store_delete(v->store, STORE_LAUNCH_ANSWER, id, &err) !=
			0 ||
		    store_delete(v->store, STORE_RELEASE_ANSWER, id, &err) != 0)
			vault_fail(v, &err);
		session_table_remove(&v->sessions, s);
	}
	vm->open_count = 0;
}

int
vault_drop(struct vault *v, struct vault_vm *vm, struct err *err)
{
	const struct uuid id = vm->reg->vm;
	struct span key = span_of(id.bytes, sizeof(id.bytes));
	size_t i;

	drop_sessions(v, vm, &vm->open);
	drop_sessions(v, vm, &vm->ended);
	vault_ask_forget(v, &id);
	if (vault_forget_blocked(v, &id, err) != 0 ||
	    store_delete(v->store, STORE_VM, key, err) != 0 ||
	    store_delete(v->store, STORE_COUNT, key, err) != 0 ||
	    store_delete(v->store, STORE_DISABLED, key, err) != 0)
		return -1;
	for (i = 0; v->vms[i] != vm; i++)
		;
	memmove(v->vms + i, v->vms + i + 1,
	    (v->vm_count - i - 1) * sizeof(struct vault_vm *));
	v->vm_count--;
	vault_vm_free(vm);
	v->erased = true;
	return 0;
}

int
vault_remove(struct vault *v, const struct uuid *vm_id, struct err *err)
{
	struct vault_vm *vm = vault_vm_find(v, vm_id);

	if (vm == NULL)
		return err_set(err, ERR_NOT_FOUND, "no such VM");
	vault_audit(v, &vm->reg->vm, NULL, "remove",
	    "%s: removed by the owner, %zu open sessions ended", vm->reg->name,
	    vm->open_count);
	if (vault_drop(v, vm, err) == 0)
		return 0;
	vault_fail(v, err);
	return -1;
}

int
vault_find(
    struct uuid *out, const struct vault *v, const char *word, struct err *err)
{
	char text[UUID_TEXT_LEN + 1];
	size_t len = strlen(word);
	size_t found = 0;
	size_t i;

	for (i = 0; i < v->vm_count; i++)
		if (strcmp(v->vms[i]->reg->name, word) == 0) {
			*out = v->vms[i]->reg->vm;
			return 0;
		}
	for (i = 0; len >= 4 && i < v->vm_count; i++)
		if (strncasecmp(uuid_format(text, &v->vms[i]->reg->vm), word,
			len) == 0) {
			*out = v->vms[i]->reg->vm;
			found++;
		}
	if (found == 1)
		return 0;
	if (found > 1)
		return err_set(err, ERR_CONFLICT, "\"%.64s\" begins %zu UUIDs",
		    word, found);
	if (vault_is_locked(v))
		return err_set(
		    err, ERR_NOT_FOUND, "locked: attest-agent unlock");
	return err_set(
	    err, ERR_NOT_FOUND, "\"%.64s\": no VM of that name or UUID", word);
}

size_t
vault_count(const struct vault *v)
{
	return v->vm_count;
}

static void
fill_platform(struct vault_vm_info *out, const struct registration *r)
{
	struct sev_cert cert;
	size_t i;

	out->any_platform = r->any_platform;
	out->deny_generations = r->deny_generations;
	out->cloud_count = r->cloud_count;
	for (i = 0; i < r->cloud_count; i++)
		if (sev_cert_parse(&cert, secret_span(&r->clouds[i]), NULL) ==
		    0)
			(void)sev_cert_fingerprint(out->clouds[i], &cert, NULL);
	out->cek_count = r->cek_count;
	out->root_count = r->root_count;
	out->chip_allow_count = r->chip_allow_count;
	memcpy(out->chip_allow, r->chip_allow, sizeof(out->chip_allow));
	out->chip_deny_count = r->chip_deny_count;
	memcpy(out->blocklist, r->blocklist, sizeof(out->blocklist));
	out->min = r->min;
}

static void
fill_info(struct vault_vm_info *out, const struct vault_vm *vm)
{
	const struct registration *r = vm->reg;
	const struct session *s;

	memset(out, 0, sizeof(*out));
	out->vm = r->vm;
	memcpy(out->name, r->name, sizeof(out->name));
	memcpy(out->label, r->label, sizeof(out->label));
	out->shared = r->shared;
	out->rank = r->rank;
	out->created_ms = r->created_ms;
	out->scheme = r->scheme;
	out->policy = r->policy;
	out->digest_count = r->digest_count;
	memcpy(out->digests, r->digests, sizeof(out->digests));
	out->kernel_hashes = r->kernel_hashes;
	out->disabled = vm->disabled;
	out->approve = r->approve;
	out->approve_at = r->approve_at;
	memcpy(out->cpus, r->cpus, sizeof(out->cpus));
	out->cpu_count = r->cpu_count;
	fill_platform(out, r);
	out->from_ms = r->from_ms;
	out->until_ms = r->until_ms;
	out->max_instances = r->max_instances;
	out->per_s = r->per_s;
	out->then = r->then;
	out->host_count = r->host_count;
	memcpy(out->hosts, r->hosts, sizeof(out->hosts));
	out->secret_count = r->secret_count;
	out->has_address = r->has_address;
	out->address = r->address;
	out->released = vm->released;
	out->open_count = vm->open_count;
	for (s = vm->ended; s != NULL; s = s->next)
		if (s->state == SESSION_RELEASED)
			out->answered_count++;
}

void
vault_info(struct vault_vm_info *out, const struct vault *v, size_t i)
{
	fill_info(out, v->vms[i]);
}

int
vault_info_of(struct vault_vm_info *out, const struct vault *v,
    const struct uuid *vm, struct err *err)
{
	const struct vault_vm *found = vault_vm_find(v, vm);

	if (found == NULL)
		return err_set(err, ERR_NOT_FOUND, "no such VM");
	fill_info(out, found);
	return 0;
}

int
vault_log(struct vault *v, uint64_t after, const struct uuid *vm,
    int (*fn)(void *arg, const struct store_audit *row), void *arg,
    struct err *err)
{
	return store_audit_each(v->store, after, vm, fn, arg, err);
}

int
vault_log_verify(struct vault *v, uint64_t *count, struct err *err)
{
	return store_audit_verify(v->store, count, err);
}

uint64_t
vault_log_last(const struct vault *v)
{
	return store_audit_last(v->store);
}
