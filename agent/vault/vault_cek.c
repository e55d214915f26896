#include <stdlib.h>
#include <string.h>

#include "agent/vault/vault_impl.h"
#include "common/hex.h"

/* CEKs that were fetched, and CEKs that nobody should trust any more. */

#define FINGER_TEXT_LEN 17

const struct vault_cek *
vault_cek_by_key(const struct vault *v, const uint8_t key[SEV_SHA256_LEN])
{
	size_t i;

	for (i = 0; i < v->cek_count; i++)
		if (memcmp(v->ceks[i].key, key, SEV_SHA256_LEN) == 0)
			return &v->ceks[i];
	return NULL;
}

static bool
is_of(const struct vault_fetched *f, const uint8_t cpu_id[VAULT_CPU_ID_LEN])
{
	return f->wait_ms != 0 &&
	    memcmp(f->cpu_id, cpu_id, VAULT_CPU_ID_LEN) == 0;
}

bool
vault_cek_is_fresh(
    const struct vault *v, const uint8_t cpu_id[VAULT_CPU_ID_LEN])
{
	int64_t now = times_boot_ms(&v->clock);
	size_t i;

	for (i = 0; i < VAULT_FETCHED_MAX; i++)
		if (is_of(&v->fetched[i], cpu_id))
			return now - v->fetched[i].at_boot_ms <
			    v->fetched[i].wait_ms;
	return false;
}

/* In the place of the oldest, if the chip has none. */
static void
note_fetched(struct vault *v, const uint8_t cpu_id[VAULT_CPU_ID_LEN])
{
	struct vault_fetched *at = &v->fetched[0];
	size_t i;

	for (i = 0; i < VAULT_FETCHED_MAX; i++) {
		struct vault_fetched *f = &v->fetched[i];

		if (is_of(f, cpu_id)) {
			at = f;
			break;
		}
		if (f->wait_ms == 0 || f->at_boot_ms < at->at_boot_ms)
			at = f;
	}
	if (!is_of(at, cpu_id))
		*at = (struct vault_fetched){ .wait_ms = VAULT_FETCHED_MS / 2 };
	memcpy(at->cpu_id, cpu_id, sizeof(at->cpu_id));
	at->at_boot_ms = times_boot_ms(&v->clock);
	at->wait_ms *= 2;
	if (at->wait_ms > VAULT_FETCHED_MAX_MS)
		at->wait_ms = VAULT_FETCHED_MAX_MS;
}

static int
keep_cek(struct vault *v, const struct vault_cek *cek, struct err *err)
{
	struct vault_cek *more;

	more = reallocarray(v->ceks, v->cek_count + 1, sizeof(*more));
	if (more == NULL)
		return err_set(err, ERR_MEMORY, "no memory for a CEK");
	v->ceks = more;
	v->ceks[v->cek_count++] = *cek;
	return 0;
}

/* cpu_id:64 cert:2084, by the fingerprint */
static int
load_cek(void *arg, struct span key, struct span value, struct err *err)
{
	struct reader r = reader_of(value);
	struct reader k = reader_of(key);
	struct vault *v = arg;
	struct vault_cek cek;

	reader_copy(&k, cek.key, sizeof(cek.key));
	reader_copy(&r, cek.cpu_id, sizeof(cek.cpu_id));
	reader_copy(&r, cek.cert, sizeof(cek.cert));
	if (!reader_done(&k) || !reader_done(&r))
		return err_set(
		    err, ERR_MALFORMED, "stored CEK of %zu bytes", value.len);
	return keep_cek(v, &cek, err);
}

int
vault_load_ceks(struct vault *v, struct err *err)
{
	return store_each(v->store, STORE_CEK, load_cek, v, err);
}

/* By AMD, or by a root that some VM has: which one may use it, its own chain
 * decides anew at each launch. */
static int
judge_cek(const struct vault *v, const struct sev_cert *cek, struct err *err)
{
	struct sev_root roots[REGISTRATION_ROOTS_MAX];
	enum sev_generation generation;
	size_t i, k;

	if (sev_cek_verify(&generation, cek, NULL, 0, err) == 0)
		return 0;
	for (i = 0; i < v->vm_count; i++) {
		const struct registration *r = v->vms[i]->reg;
		size_t count = 0;

		for (k = 0; k < r->root_count; k++)
			if (sev_root_parse(&roots[count],
				secret_span(&r->roots[k]), NULL) == 0)
				count++;
		if (count > 0 &&
		    sev_cek_verify(&generation, cek, roots, count, err) == 0)
			return 0;
	}
	return -1;
}

static int
store_cek(struct vault *v, const struct vault_cek *cek, struct err *err)
{
	uint8_t bytes[VAULT_CPU_ID_LEN + SEV_CERT_LEN];
	struct writer w = writer_of(bytes, sizeof(bytes));

	writer_put(&w, span_of(cek->cpu_id, sizeof(cek->cpu_id)));
	writer_put(&w, span_of(cek->cert, sizeof(cek->cert)));
	return store_put(v->store, STORE_CEK,
	    span_of(cek->key, sizeof(cek->key)), writer_span(&w), err);
}

int
vault_put_cek(struct vault *v, const uint8_t cpu_id[VAULT_CPU_ID_LEN],
    struct span cert, struct err *err)
{
	char text[FINGER_TEXT_LEN];
	struct sev_cert parsed;
	struct vault_cek cek;
	size_t i;

	/* It could not be kept, and must not cost the others their batch. */
	if (vault_is_locked(v))
		return err_set(err, ERR_CLOSED, "locked: attest-agent unlock");
	if (sev_cert_parse(&parsed, cert, err) != 0 ||
	    judge_cek(v, &parsed, err) != 0 ||
	    sev_cert_fingerprint(cek.key, &parsed, err) != 0)
		return -1;
	if (vault_cek_by_key(v, cek.key) != NULL) {
		note_fetched(v, cpu_id);
		return 0;
	}
	if (v->cek_count >= VAULT_CEKS_MAX)
		return err_set(
		    err, ERR_LIMIT, "%d fetched CEKs are kept", VAULT_CEKS_MAX);
	memcpy(cek.cpu_id, cpu_id, sizeof(cek.cpu_id));
	memcpy(cek.cert, cert.ptr, sizeof(cek.cert));
	if (store_cek(v, &cek, err) != 0) {
		vault_fail(v, err);
		return -1;
	}
	if (keep_cek(v, &cek, err) != 0) {
		vault_fail(v, err); /* so that the record goes, too */
		return -1;
	}
	note_fetched(v, cpu_id);
	/* What was judged without it may be judged otherwise now. */
	for (i = 0; i < VAULT_VERDICTS; i++)
		v->verdicts[i].used = false;
	vault_audit(v, NULL, NULL, "cek",
	    "signed CEK of chip %s fetched from the key server",
	    hex_encode(text, sizeof(text), span_of(cek.key, 8)));
	return 0;
}

static int
set_list(struct policy_blocklist *list, struct span keys, struct err *err)
{
	uint8_t(*copy)[SEV_SHA256_LEN];

	if (keys.len % SEV_SHA256_LEN != 0)
		return err_set(err, ERR_MALFORMED,
		    "block-list of %zu bytes, want %d for each CEK", keys.len,
		    SEV_SHA256_LEN);
	if (keys.len / SEV_SHA256_LEN > VAULT_BLOCKED_MAX)
		return err_set(err, ERR_LIMIT,
		    "block-list of %zu CEKs, at most %d",
		    keys.len / SEV_SHA256_LEN, VAULT_BLOCKED_MAX);
	copy = calloc(keys.len / SEV_SHA256_LEN + 1, sizeof(*copy));
	if (copy == NULL)
		return err_set(err, ERR_MEMORY, "no memory for a block-list");
	if (keys.len > 0)
		memcpy(copy, keys.ptr, keys.len);
	free(list->keys);
	list->keys = copy;
	list->count = keys.len / SEV_SHA256_LEN;
	return 0;
}

int
vault_read_blocked(struct vault_vm *vm, struct span in, struct err *err)
{
	vm->has_blocked = true;
	return set_list(&vm->blocked, in, err);
}

static const struct uuid for_all;

static int
load_list(void *arg, struct span key, struct span value, struct err *err)
{
	struct vault *v = arg;
	struct vault_vm *vm;
	struct uuid id;
	struct reader r = reader_of(key);

	reader_copy(&r, id.bytes, sizeof(id.bytes));
	if (!reader_done(&r))
		return err_set(err, ERR_MALFORMED, "a block-list of no VM");
	if (uuid_equal(&id, &for_all))
		return set_list(&v->blocked, value, err);
	vm = vault_vm_find(v, &id);
	if (vm == NULL)
		return err_set(err, ERR_MALFORMED, "a block-list of no VM");
	return vault_read_blocked(vm, value, err);
}

int
vault_load_blocked(struct vault *v, struct err *err)
{
	return store_each(v->store, STORE_BLOCK, load_list, v, err);
}

int
vault_forget_blocked(struct vault *v, const struct uuid *vm, struct err *err)
{
	return store_delete(
	    v->store, STORE_BLOCK, span_of(vm->bytes, sizeof(vm->bytes)), err);
}

/* A chip that was good when its launch began gets no secret any more. */
static void
end_blocked(
    struct vault *v, struct vault_vm *vm, const struct policy_blocklist *list)
{
	struct session *s, *next;
	struct err why = { 0 };

	for (s = vm->open; s != NULL; s = next) {
		next = s->next;
		if (vault_evidence_blocked(v, s, list, &why) != 0)
			vault_end_session(v, vm, s, "cancelled", why.msg);
	}
}

int
vault_set_blocked(struct vault *v, const struct uuid *vm_id, struct span keys,
    struct err *err)
{
	const struct uuid *id = vm_id != NULL ? vm_id : &for_all;
	struct policy_blocklist *list = &v->blocked;
	struct vault_vm *vm = NULL;
	size_t i;

	if (vault_is_locked(v))
		return err_set(err, ERR_CLOSED, "locked: attest-agent unlock");
	if (vm_id != NULL) {
		vm = vault_vm_find(v, vm_id);
		if (vm == NULL)
			return err_set(err, ERR_NOT_FOUND, "no such VM");
		list = &vm->blocked;
	}
	if (keys.len == list->count * SEV_SHA256_LEN &&
	    (vm == NULL || vm->has_blocked) &&
	    (keys.len == 0 || memcmp(list->keys, keys.ptr, keys.len) == 0))
		return 0; /* as it was */
	if (set_list(list, keys, err) != 0)
		return -1;
	if (store_put(v->store, STORE_BLOCK,
		span_of(id->bytes, sizeof(id->bytes)), keys, err) != 0) {
		vault_fail(v, err);
		return -1;
	}
	if (vm != NULL)
		vm->has_blocked = true;
	vault_audit(v, vm_id, NULL, "blocklist", "%zu CEKs are blocked%s",
	    list->count, vm_id != NULL ? "" : " for all VMs");
	for (i = 0; i < v->vm_count; i++)
		if (vm == NULL || vm == v->vms[i])
			end_blocked(v, v->vms[i], list);
	return 0;
}

size_t
vault_blocked_count(const struct vault *v)
{
	return v->blocked.count;
}

int
vault_blocked(const struct vault *v, const struct vault_vm *vm,
    const struct sev_verdict *verdict, struct err *err)
{
	if (vm->reg->blocklist[0] != '\0' && !vm->has_blocked)
		return err_set(err, ERR_UNTRUSTED,
		    "the CEK block-list %.150s was never read",
		    vm->reg->blocklist);
	if (policy_blocked(&v->blocked, verdict, err) != 0)
		return -1;
	return policy_blocked(&vm->blocked, verdict, err);
}
