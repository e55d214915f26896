#include "common/tally.h"

#include "common/secret.h"
#include "common/siphash.h"

#include <arpa/inet.h>
#include <assert.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define BUCKETS 4096 /* power of two */

struct entry {
	struct entry *next;
	uint32_t count; /* never 0 */
	uint8_t kind;
	struct source source;
};

struct tally {
	pthread_mutex_t lock;
	uint8_t key[SIPHASH_KEY_LEN];
	struct entry *buckets[BUCKETS];
};

static const uint8_t v4_prefix[12] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff,
	0xff };

struct source
source_of(const struct sockaddr *sa)
{
	struct source s = { { 0 } };
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;

	if (sa->sa_family == AF_INET) {
		memcpy(&v4, sa, sizeof(v4));
		memcpy(s.addr, v4_prefix, sizeof(v4_prefix));
		memcpy(s.addr + 12, &v4.sin_addr, 4);
	} else if (sa->sa_family == AF_INET6) {
		memcpy(&v6, sa, sizeof(v6));
		memcpy(s.addr, &v6.sin6_addr, 16);
	}
	return s;
}

static bool
is_v4(const struct source *s)
{
	return memcmp(s->addr, v4_prefix, sizeof(v4_prefix)) == 0;
}

struct source
source_one(struct source s)
{
	if (!is_v4(&s))
		memset(s.addr + 8, 0, 8);
	return s;
}

struct source
source_block(struct source s)
{
	if (is_v4(&s))
		s.addr[15] = 0;
	else
		memset(s.addr + 6, 0, 10);
	return s;
}

static bool
bit(const struct source *s, unsigned at)
{
	return (s->addr[at / 8] >> (7 - at % 8) & 1) != 0;
}

bool
source_in(struct source s, const struct source_net *net)
{
	for (unsigned i = 0; i < net->bits; i++)
		if (bit(&s, i) != bit(&net->base, i))
			return false;
	return true;
}

int
source_net_parse(struct source_net *out, const char *text, struct err *err)
{
	size_t len = strcspn(text, "/");
	bool v4 = memchr(text, ':', len) == NULL;
	unsigned offset = v4 ? 96 : 0;
	long bits = v4 ? 32 : 128;
	char address[SOURCE_TEXT_LEN];
	char *end;

	memset(out, 0, sizeof(*out));
	if (v4)
		memcpy(out->base.addr, v4_prefix, sizeof(v4_prefix));
	if (len < sizeof(address)) {
		memcpy(address, text, len);
		address[len] = '\0';
	}
	if (len >= sizeof(address) ||
	    inet_pton(v4 ? AF_INET : AF_INET6, address,
		out->base.addr + offset / 8) != 1)
		return err_set(err, ERR_MALFORMED,
		    "want ADDRESS/BITS, as 10.0.0.0/8 or 2001:db8::/32");
	if (text[len] == '/') {
		long got = strtol(text + len + 1, &end, 10);

		if (text[len + 1] < '0' || text[len + 1] > '9' ||
		    *end != '\0' || got > bits)
			return err_set(err, ERR_MALFORMED,
			    "a prefix of %s bits, want 0 to %ld",
			    text + len + 1, bits);
		bits = got;
	}
	out->bits = offset + (unsigned)bits;
	for (unsigned i = out->bits; i < 128; i++)
		if (bit(&out->base, i))
			return err_set(err, ERR_MALFORMED,
			    "%s has bits behind its prefix", text);
	return 0;
}

char *
source_text(char out[SOURCE_TEXT_LEN], struct source s)
{
	out[0] = '\0';
	if (is_v4(&s))
		inet_ntop(AF_INET, s.addr + 12, out, SOURCE_TEXT_LEN);
	else
		inet_ntop(AF_INET6, s.addr, out, SOURCE_TEXT_LEN);
	return out;
}

int
tally_new(struct tally **out, struct err *err)
{
	struct tally *t;

	*out = NULL;
	t = calloc(1, sizeof(*t));
	if (t == NULL)
		return err_set(err, ERR_MEMORY, "no memory for a tally");
	if (secret_random(t->key, sizeof(t->key), err) != 0) {
		free(t);
		return -1;
	}
	pthread_mutex_init(&t->lock, NULL);
	*out = t;
	return 0;
}

void
tally_free(struct tally *t)
{
	struct entry *e;

	if (t == NULL)
		return;
	for (size_t i = 0; i < BUCKETS; i++) {
		while ((e = t->buckets[i]) != NULL) {
			t->buckets[i] = e->next;
			free(e);
		}
	}
	pthread_mutex_destroy(&t->lock);
	free(t);
}

/* The link that points to the entry, or to where it would go. */
static struct entry **
find(struct tally *t, enum tally_kind kind, const struct source *source)
{
	uint64_t hash = siphash(t->key, span_of(source->addr, 16));
	struct entry **at = &t->buckets[hash & (BUCKETS - 1)];

	while (*at != NULL &&
	    ((*at)->kind != kind ||
		memcmp((*at)->source.addr, source->addr, 16) != 0))
		at = &(*at)->next;
	return at;
}

bool
tally_take(
    struct tally *t, enum tally_kind kind, struct source source, uint32_t max)
{
	struct entry **at, *e;
	bool taken = false;

	if (max == 0)
		return false;
	pthread_mutex_lock(&t->lock);
	at = find(t, kind, &source);
	e = *at;
	if (e == NULL) {
		e = malloc(sizeof(*e));
		if (e != NULL) {
			*e = (struct entry){
				.count = 1, .kind = kind, .source = source
			};
			*at = e;
			taken = true;
		}
	} else if (e->count < max) {
		e->count++;
		taken = true;
	}
	pthread_mutex_unlock(&t->lock);
	return taken;
}

void
tally_give(struct tally *t, enum tally_kind kind, struct source source)
{
	struct entry **at, *e;

	pthread_mutex_lock(&t->lock);
	at = find(t, kind, &source);
	e = *at;
	assert(e != NULL);
	if (--e->count == 0) {
		*at = e->next;
		free(e);
	}
	pthread_mutex_unlock(&t->lock);
}

uint32_t
tally_count(struct tally *t, enum tally_kind kind, struct source source)
{
	struct entry *e;
	uint32_t count;

	pthread_mutex_lock(&t->lock);
	e = *find(t, kind, &source);
	count = e != NULL ? e->count : 0;
	pthread_mutex_unlock(&t->lock);
	return count;
}
