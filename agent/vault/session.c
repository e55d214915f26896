#include "agent/vault/session.h"

#include <stdlib.h>
#include <string.h>

#define SESSION_FORMAT 1
#define SESSION_BUCKETS 256
#define SESSION_AGES_AGO (INT64_C(365) * 24 * 3600 * 1000)
#define SESSION_TIME_MAX (INT64_C(1) << 53) /* ms; differences never wrap */

void
session_encode(struct writer *w, const struct session *s,
    const uint8_t boot_id[TIMES_BOOT_ID_LEN])
{
	writer_u8(w, SESSION_FORMAT);
	writer_put(w, span_of(s->id.bytes, sizeof(s->id.bytes)));
	writer_put(w, span_of(s->vm.bytes, sizeof(s->vm.bytes)));
	writer_u8(w, (uint8_t)s->state);
	writer_u8(w, s->failures);
	writer_put(w, span_of(s->tik, sizeof(s->tik)));
	writer_put(w, span_of(s->tek, sizeof(s->tek)));
	writer_be32(w, s->policy);
	writer_be64(w, (uint64_t)s->since_boot_ms);
	writer_be64(w, (uint64_t)s->since_wall_ms);
	writer_put(w, span_of(boot_id, TIMES_BOOT_ID_LEN));
	writer_put(w, span_of(s->measure.mac, sizeof(s->measure.mac)));
	writer_put(w, span_of(s->measure.nonce, sizeof(s->measure.nonce)));
	writer_u8(w, s->has_key ? 1 : 0);
	writer_put(w, span_of(s->key, sizeof(s->key)));
	writer_put(w, span_of(s->body, sizeof(s->body)));
}

/* Boot time means nothing across boots: derive it from the age. */
static void
rebase(struct session *s, const struct times *clock)
{
	int64_t age = times_wall_ms(clock) - s->since_wall_ms;

	if (age < 0 || age > SESSION_AGES_AGO)
		age = SESSION_AGES_AGO;
	s->since_boot_ms = times_boot_ms(clock) - age;
}

static bool
is_time(int64_t ms)
{
	return ms >= -SESSION_TIME_MAX && ms <= SESSION_TIME_MAX;
}

int
session_decode(struct session *out, struct span in, const struct times *clock,
    const uint8_t boot_id[TIMES_BOOT_ID_LEN], struct err *err)
{
	static const uint8_t unknown[TIMES_BOOT_ID_LEN];
	struct reader r = reader_of(in);
	uint8_t boot[TIMES_BOOT_ID_LEN];
	uint8_t format = reader_u8(&r);
	uint8_t state;

	memset(out, 0, sizeof(*out));
	reader_copy(&r, out->id.bytes, sizeof(out->id.bytes));
	reader_copy(&r, out->vm.bytes, sizeof(out->vm.bytes));
	state = reader_u8(&r);
	out->failures = reader_u8(&r);
	reader_copy(&r, out->tik, sizeof(out->tik));
	reader_copy(&r, out->tek, sizeof(out->tek));
	out->policy = reader_be32(&r);
	out->since_boot_ms = (int64_t)reader_be64(&r);
	out->since_wall_ms = (int64_t)reader_be64(&r);
	reader_copy(&r, boot, sizeof(boot));
	reader_copy(&r, out->measure.mac, sizeof(out->measure.mac));
	reader_copy(&r, out->measure.nonce, sizeof(out->measure.nonce));
	out->has_key = reader_u8(&r) == 1;
	reader_copy(&r, out->key, sizeof(out->key));
	reader_copy(&r, out->body, sizeof(out->body));
	if (!reader_done(&r) || format != SESSION_FORMAT ||
	    state < SESSION_OPEN || state > SESSION_CLOSED ||
	    !is_time(out->since_boot_ms) || !is_time(out->since_wall_ms)) {
		secret_wipe(out, sizeof(*out));
		return err_set(err, ERR_MALFORMED,
		    "session record of %zu bytes, format %u, state %u", in.len,
		    format, state);
	}
	out->state = (enum session_state)state;
	if (memcmp(boot, boot_id, sizeof(boot)) != 0 ||
	    memcmp(boot, unknown, sizeof(boot)) == 0)
		rebase(out, clock);
	return 0;
}

void
session_close(struct session *s, int64_t now_boot_ms, int64_t now_wall_ms)
{
	s->state = SESSION_CLOSED;
	s->since_boot_ms = now_boot_ms;
	s->since_wall_ms = now_wall_ms;
	secret_wipe(s->tik, sizeof(s->tik));
	secret_wipe(s->tek, sizeof(s->tek));
}

int
session_table_init(struct session_table *t, struct err *err)
{
	*t = (struct session_table){ .size = SESSION_BUCKETS };
	t->bucket = calloc(t->size, sizeof(*t->bucket));
	if (t->bucket == NULL)
		return err_set(err, ERR_MEMORY, "no memory for sessions");
	return 0;
}

static void
session_free(struct session *s)
{
	secret_wipe(s, sizeof(*s));
	free(s);
}

void
session_table_free(struct session_table *t)
{
	size_t i;

	for (i = 0; t->bucket != NULL && i < t->size; i++)
		while (t->bucket[i] != NULL) {
			struct session *s = t->bucket[i];

			t->bucket[i] = s->hash_next;
			session_free(s);
		}
	free(t->bucket);
	*t = (struct session_table){ 0 };
}

/* Ids are random and made by us, so their bytes are hash enough. */
static size_t
slot(const struct session_table *t, const struct uuid *id)
{
	struct reader r = reader_of(span_of(id->bytes, sizeof(id->bytes)));

	return (size_t)(reader_be64(&r) ^ reader_be64(&r)) & (t->size - 1);
}

static void
grow(struct session_table *t)
{
	struct session_table bigger = { .size = t->size * 2 };
	size_t i;

	bigger.bucket = calloc(bigger.size, sizeof(*bigger.bucket));
	if (bigger.bucket == NULL)
		return; /* longer chains will do */
	for (i = 0; i < t->size; i++)
		while (t->bucket[i] != NULL) {
			struct session *s = t->bucket[i];
			size_t at = slot(&bigger, &s->id);

			t->bucket[i] = s->hash_next;
			s->hash_next = bigger.bucket[at];
			bigger.bucket[at] = s;
		}
	free(t->bucket);
	t->bucket = bigger.bucket;
	t->size = bigger.size;
}

int
session_table_add(struct session_table *t, struct session *s, struct err *err)
{
	size_t at;

	if (session_table_find(t, &s->id) != NULL)
		return err_set(err, ERR_CONFLICT, "session id is in use");
	if (t->count >= t->size)
		grow(t);
	at = slot(t, &s->id);
	s->hash_next = t->bucket[at];
	t->bucket[at] = s;
	t->count++;
	return 0;
}

struct session *
session_table_find(const struct session_table *t, const struct uuid *id)
{
	struct session *s;

	if (t->size == 0)
		return NULL; /* a locked vault has no table */
	for (s = t->bucket[slot(t, id)]; s != NULL; s = s->hash_next)
		if (uuid_equal(&s->id, id))
			return s;
	return NULL;
}

void
session_table_remove(struct session_table *t, struct session *s)
{
	struct session **at = &t->bucket[slot(t, &s->id)];

	while (*at != NULL && *at != s)
		at = &(*at)->hash_next;
	if (*at == NULL)
		return;
	*at = s->hash_next;
	t->count--;
	session_free(s);
}

struct session *
session_match(struct session *list, bool only, enum session_state state,
    const struct registration *r, const struct sev_measure *measure,
    const struct sev_build *build, struct err *err)
{
	uint8_t want[SEV_MEASURE_LEN];
	struct session *hit = NULL;
	struct session *s;
	size_t i;

	for (s = list; s != NULL; s = only ? NULL : s->next) {
		if (s->state != state)
			continue;
		for (i = 0; i < r->digest_count; i++) {
			if (sev_measure_compute(want, s->tik, build, s->policy,
				r->digests[i].digest, measure->nonce, err) != 0)
				goto fail;
			if (secret_equal(span_of(want, sizeof(want)),
				span_of(measure->mac, sizeof(measure->mac))) &&
			    hit == NULL)
				hit = s;
		}
	}
	secret_wipe(want, sizeof(want));
	return hit;
fail:
	secret_wipe(want, sizeof(want));
	return NULL;
}
