#include "agent/net/resolver.h"

#include <netdb.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

struct resolver {
	pthread_t thread;
	pthread_mutex_t lock; /* all below */
	pthread_cond_t more;
	struct resolver_answer *questions; /* owned, oldest first */
	struct resolver_answer *answers;   /* the same */
	bool busy;                         /* in getaddrinfo() */
	bool stop;
	void (*wake)(void *arg);
	void *arg;
};

static void
free_list(struct resolver_answer *list)
{
	struct resolver_answer *next;

	for (; list != NULL; list = next) {
		next = list->next;
		free(list);
	}
}

static void
release(struct resolver *r)
{
	free_list(r->questions);
	free_list(r->answers);
	(void)pthread_mutex_destroy(&r->lock);
	(void)pthread_cond_destroy(&r->more);
	free(r);
}

static void
put_last(struct resolver_answer **list, struct resolver_answer *a)
{
	while (*list != NULL)
		list = &(*list)->next;
	*list = a;
}

static bool
is_listed(const struct resolver_answer *a, const char *text)
{
	size_t i;

	for (i = 0; i < a->count; i++)
		if (strcmp(a->addresses[i], text) == 0)
			return true;
	return false;
}

static void
look_up(struct resolver_answer *a)
{
	/* Families that this machine has no address of are of no use. */
	struct addrinfo hints = { .ai_family = AF_UNSPEC,
		.ai_socktype = SOCK_STREAM,
		.ai_flags = AI_ADDRCONFIG };
	struct addrinfo *list = NULL, *at;
	char text[RESOLVER_TEXT_LEN];
	int rc = getaddrinfo(a->host, NULL, &hints, &list);

	if (rc != 0) {
		(void)snprintf(a->why, sizeof(a->why), "%.60s: %s", a->host,
		    gai_strerror(rc));
		return;
	}
	for (at = list; at != NULL && a->count < RESOLVER_ADDRESSES;
	     at = at->ai_next) {
		/* A link-local address with its zone does not fit, and is
		 * nothing to find a relay by. */
		if (getnameinfo(at->ai_addr, at->ai_addrlen, text, sizeof(text),
			NULL, 0, NI_NUMERICHOST) != 0 ||
		    is_listed(a, text))
			continue;
		memcpy(a->addresses[a->count++], text, sizeof(text));
	}
	freeaddrinfo(list);
	if (a->count == 0)
		(void)snprintf(
		    a->why, sizeof(a->why), "%.60s: no address", a->host);
}

static void *
run(void *arg)
{
	struct resolver *r = arg;
	struct resolver_answer *a;
	bool orphan;

	(void)pthread_mutex_lock(&r->lock);
	while (!r->stop) {
		a = r->questions;
		if (a == NULL) {
			(void)pthread_cond_wait(&r->more, &r->lock);
			continue;
		}
		r->questions = a->next;
		a->next = NULL;
		r->busy = true;
		(void)pthread_mutex_unlock(&r->lock);
		look_up(a);
		(void)pthread_mutex_lock(&r->lock);
		put_last(&r->answers, a);
		if (r->stop)
			break;
		r->busy = false;
		r->wake(r->arg);
	}
	orphan = r->busy;
	(void)pthread_mutex_unlock(&r->lock);
	if (orphan)
		release(r);
	return NULL;
}

int
resolver_start(
    struct resolver **out, void (*wake)(void *arg), void *arg, struct err *err)
{
	struct resolver *r = calloc(1, sizeof(*r));
	int rc;

	if (r == NULL)
		return err_set(err, ERR_MEMORY, "no memory for a resolver");
	r->wake = wake;
	r->arg = arg;
	(void)pthread_mutex_init(&r->lock, NULL);
	(void)pthread_cond_init(&r->more, NULL);
	rc = pthread_create(&r->thread, NULL, run, r);
	if (rc != 0) {
		release(r);
		return err_set(err, ERR_IO, "resolver: %s", strerror(rc));
	}
	*out = r;
	return 0;
}

void
resolver_stop(struct resolver *r)
{
	pthread_t thread;
	bool busy;

	if (r == NULL)
		return;
	(void)pthread_mutex_lock(&r->lock);
	thread = r->thread;
	busy = r->busy;
	r->stop = true;
	(void)pthread_cond_signal(&r->more);
	(void)pthread_mutex_unlock(&r->lock);
	if (busy) {
		/* It may take many seconds, and cleans up after itself. */
		(void)pthread_detach(thread);
		return;
	}
	(void)pthread_join(thread, NULL);
	release(r);
}

int
resolver_ask(struct resolver *r, unsigned tag, const char *host)
{
	struct resolver_answer *a = calloc(1, sizeof(*a));

	if (a == NULL)
		return -1;
	a->tag = tag;
	(void)snprintf(a->host, sizeof(a->host), "%s", host);
	(void)pthread_mutex_lock(&r->lock);
	put_last(&r->questions, a);
	(void)pthread_cond_signal(&r->more);
	(void)pthread_mutex_unlock(&r->lock);
	return 0;
}

struct resolver_answer *
resolver_take(struct resolver *r)
{
	struct resolver_answer *a;

	(void)pthread_mutex_lock(&r->lock);
	a = r->answers;
	r->answers = NULL;
	(void)pthread_mutex_unlock(&r->lock);
	return a;
}
