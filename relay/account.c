#include "relay/account.h"

#include <pthread.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>

#define SECOND_NS UINT64_C(1000000000)

struct accounts {
	pthread_rwlock_t lock;
	void *tree;            /* of struct account, by name; tsearch(3) */
	struct account **list; /* owned; by id */
	uint32_t count;
};

static int
compare(const void *a, const void *b)
{
	const struct account *x = a, *y = b;

	return strcmp(x->name, y->name);
}

int
accounts_new(struct accounts **out, struct err *err)
{
	*out = calloc(1, sizeof(**out));
	if (*out == NULL)
		return err_set(err, ERR_MEMORY, "no memory for accounts");
	pthread_rwlock_init(&(*out)->lock, NULL);
	return 0;
}

static void
keep(void *account)
{
	(void)account; /* the list owns it */
}

void
accounts_free(struct accounts *a)
{
	if (a == NULL)
		return;
	tdestroy(a->tree, keep);
	for (uint32_t i = 0; i < a->count; i++)
		free(a->list[i]);
	free(a->list);
	pthread_rwlock_destroy(&a->lock);
	free(a);
}

/* Under the lock.  NULL: no memory, and nothing has changed. */
static struct account *
make(struct accounts *a, const char *name, size_t len)
{
	struct account *one, **more;

	more = reallocarray(a->list, a->count + 1, sizeof(struct account *));
	if (more == NULL)
		return NULL;
	a->list = more;
	one = calloc(1, sizeof(*one));
	if (one == NULL)
		return NULL;
	one->id = a->count;
	memcpy(one->name, name, len + 1);
	if (tsearch(one, &a->tree, compare) == NULL) {
		free(one);
		return NULL;
	}
	a->list[a->count++] = one;
	return one;
}

int
accounts_of(
    struct account **out, struct accounts *a, const char *name, struct err *err)
{
	size_t len = strlen(name);
	struct account want = { 0 }, *const * found;

	*out = NULL;
	if (len == 0 || len > ACCOUNT_NAME_MAX)
		return err_set(err, ERR_LIMIT,
		    "a tenant's name of %zu bytes, want 1 to %d", len,
		    ACCOUNT_NAME_MAX);
	memcpy(want.name, name, len + 1);
	pthread_rwlock_wrlock(&a->lock);
	found = tfind(&want, &a->tree, compare);
	*out = found != NULL ? *found : make(a, name, len);
	pthread_rwlock_unlock(&a->lock);
	if (*out == NULL)
		return err_set(err, ERR_MEMORY, "no memory for accounts");
	return 0;
}

struct account *
accounts_find(struct accounts *a, const char *name)
{
	struct account want = { 0 }, *const * found;
	size_t len = strlen(name);

	if (len > ACCOUNT_NAME_MAX)
		return NULL;
	memcpy(want.name, name, len + 1);
	pthread_rwlock_rdlock(&a->lock);
	found = tfind(&want, &a->tree, compare);
	pthread_rwlock_unlock(&a->lock);
	return found != NULL ? *found : NULL;
}

struct account *
accounts_get(struct accounts *a, uint32_t id)
{
	struct account *one;

	pthread_rwlock_rdlock(&a->lock);
	one = id < a->count ? a->list[id] : NULL;
	pthread_rwlock_unlock(&a->lock);
	return one;
}

uint32_t
accounts_count(struct accounts *a)
{
	uint32_t count;

	pthread_rwlock_rdlock(&a->lock);
	count = a->count;
	pthread_rwlock_unlock(&a->lock);
	return count;
}

void
account_set_limits(struct account *a, const struct account_limits *limits)
{
	for (int k = 0; k < ACCOUNT_KINDS; k++)
		atomic_store(&a->max[k], limits->max[k]);
	atomic_store(&a->max_requests, limits->requests);
	atomic_store(&a->max_memory, limits->memory);
}

bool
account_take(struct account *a, enum account_kind kind)
{
	uint32_t max = atomic_load(&a->max[kind]);
	uint32_t held = atomic_load(&a->held[kind]);

	do {
		if (held >= max)
			return false;
	} while (
	    !atomic_compare_exchange_weak(&a->held[kind], &held, held + 1));
	return true;
}

void
account_give(struct account *a, enum account_kind kind)
{
	atomic_fetch_sub(&a->held[kind], 1);
}

bool
account_charge(struct account *a, size_t len)
{
	uint64_t before = atomic_fetch_add(&a->memory, len);

	if (before + len <= atomic_load(&a->max_memory))
		return true;
	atomic_fetch_sub(&a->memory, len);
	return false;
}

void
account_discharge(struct account *a, size_t len)
{
	atomic_fetch_sub(&a->memory, len);
}

/*
 * A bucket of one second's tokens, kept as the time at which it will be full
 * (the generic cell rate algorithm): one word, so no lock.
 */
bool
account_request(struct account *a, uint64_t now_us)
{
	uint32_t rate = atomic_load(&a->max_requests);
	uint64_t now = now_us * 1000, full, next;

	if (rate == 0)
		return true;
	full = atomic_load(&a->full_ns);
	do {
		next = (full > now ? full : now) + SECOND_NS / rate;
		if (next - now > SECOND_NS)
			return false;
	} while (!atomic_compare_exchange_weak(&a->full_ns, &full, next));
	return true;
}

bool
account_tell(struct account *a, uint64_t now_ms)
{
	uint64_t told = atomic_load(&a->told_ms);

	atomic_fetch_add(&a->refused, 1);
	if (told != 0 && now_ms - told < ACCOUNT_TELL_MS)
		return false;
	return atomic_compare_exchange_strong(&a->told_ms, &told, now_ms);
}
