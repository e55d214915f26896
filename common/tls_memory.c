#include "common/tls_memory.h"

#include <openssl/crypto.h>
#include <malloc.h>
#include <stdlib.h>

/* A record and what OpenSSL adds: 16,384 bytes and some hundred. */
#define RECORD_MIN 16384
#define RECORD_MAX 18432
#define KEPT_MAX 16 /* buffers of each thread */

/*
 * The one variable outside of main.c that changes: OpenSSL's hooks have no
 * argument.  Each thread has its own.
 */
static _Thread_local struct {
	void *kept[KEPT_MAX];
	size_t count;
	size_t most; /* bytes at a time; 0: any number */
	unsigned missed;
} spare;

static bool
is_too_much(size_t len)
{
	return spare.most != 0 && len > spare.most;
}

static void *
count(void *ptr)
{
	if (ptr == NULL)
		spare.missed++;
	return ptr;
}

static void *
take(size_t len, const char *file, int line)
{
	(void)file;
	(void)line;
	/* As CRYPTO_malloc() says it: a signature of 0 bytes is one whose
	 * length could not be told, and it is written all the same. */
	if (len == 0)
		return NULL;
	if (is_too_much(len))
		return count(NULL);
	if (len >= RECORD_MIN && len <= RECORD_MAX && spare.count > 0)
		return spare.kept[--spare.count];
	return count(
	    malloc(len < RECORD_MIN || len > RECORD_MAX ? len : RECORD_MAX));
}

static void *
resize(void *ptr, size_t len, const char *file, int line)
{
	(void)file;
	(void)line;
	if (len == 0) {
		free(ptr);
		return NULL;
	}
	return count(is_too_much(len) ? NULL : realloc(ptr, len));
}

static void
give(void *ptr, const char *file, int line)
{
	size_t len = ptr != NULL ? malloc_usable_size(ptr) : 0;

	(void)file;
	(void)line;
	if (len >= RECORD_MAX && len < RECORD_MAX + 64 &&
	    spare.count < KEPT_MAX)
		spare.kept[spare.count++] = ptr;
	else
		free(ptr);
}

void
tls_memory_most(size_t len)
{
	spare.most = len;
}

unsigned
tls_memory_missed(void)
{
	return spare.missed;
}

void
tls_memory_end(void)
{
	while (spare.count > 0)
		free(spare.kept[--spare.count]);
}

bool
tls_memory(void)
{
	return CRYPTO_set_mem_functions(take, resize, give) == 1;
}
