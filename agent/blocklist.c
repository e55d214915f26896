#include "agent/blocklist.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "agent/file.h"
#include "agent/vault/vault.h"
#include "common/hex.h"
#include "common/log.h"

/* One file, and what it was when it was read. */
struct blocklist {
	struct blocklist *next;
	struct uuid vm;
	bool for_all;
	char path[REGISTRATION_PATH_MAX + 1];
	bool looked; /* the next are set */
	bool there;
	dev_t dev;
	ino_t ino;
	off_t size;
	struct timespec mtime;
	bool in_force;
	bool waits; /* the vault could not take it: once more, each time */
};

struct blocklists {
	struct blocklist *first; /* owned */
	blocklist_fn *fn;
	void *arg;
};

/* Digits, then nothing but blanks and a comment. */
static int
parse_line(struct writer *w, struct span line)
{
	uint8_t key[SEV_SHA256_LEN];
	size_t len = 0;
	size_t i;

	while (len < line.len && line.ptr[len] != '#')
		len++;
	while (len > 0 &&
	    (line.ptr[len - 1] == ' ' || line.ptr[len - 1] == '\t' ||
		line.ptr[len - 1] == '\r'))
		len--;
	for (i = 0; i < len && (line.ptr[i] == ' ' || line.ptr[i] == '\t');)
		i++;
	if (i == len)
		return 0;
	if (hex_decode(
		key, sizeof(key), span_of(line.ptr + i, len - i), NULL) != 0)
		return -1;
	writer_put(w, span_of(key, sizeof(key)));
	return 0;
}

int
blocklist_parse(struct secret *out, struct span text, struct err *err)
{
	struct secret room = { 0 };
	struct writer w;
	size_t number = 1;
	int rc = -1;

	if (secret_alloc(
		&room, (size_t)VAULT_BLOCKED_MAX * SEV_SHA256_LEN, err) != 0)
		return -1;
	w = writer_of(room.ptr, room.len);
	while (text.len > 0) {
		const uint8_t *end = memchr(text.ptr, '\n', text.len);
		size_t len = end != NULL ? (size_t)(end - text.ptr) : text.len;

		if (parse_line(&w, span_of(text.ptr, len)) != 0) {
			(void)err_set(err, ERR_MALFORMED,
			    "line %zu: want the %d hex digits of a CEK's "
			    "fingerprint",
			    number, 2 * SEV_SHA256_LEN);
			goto out;
		}
		len += end != NULL ? 1 : 0;
		text = span_of(text.ptr + len, text.len - len);
		number++;
	}
	if (!writer_ok(&w)) {
		(void)err_set(
		    err, ERR_LIMIT, "more than %d CEKs", VAULT_BLOCKED_MAX);
		goto out;
	}
	rc = secret_copy(out, writer_span(&w), err);
out:
	secret_free(&room);
	return rc;
}

int
blocklists_new(
    struct blocklists **out, blocklist_fn *fn, void *arg, struct err *err)
{
	struct blocklists *b = calloc(1, sizeof(*b));

	if (b == NULL)
		return err_set(err, ERR_MEMORY, "no memory for block-lists");
	b->fn = fn;
	b->arg = arg;
	*out = b;
	return 0;
}

void
blocklists_free(struct blocklists *b)
{
	if (b == NULL)
		return;
	while (b->first != NULL) {
		struct blocklist *l = b->first;

		b->first = l->next;
		free(l);
	}
	free(b);
}

int
blocklists_keep(struct blocklists *b, const struct uuid *vm, const char *path,
    struct err *err)
{
	struct blocklist *l = calloc(1, sizeof(*l));

	if (l == NULL)
		return err_set(err, ERR_MEMORY, "no memory for a block-list");
	l->for_all = vm == NULL;
	if (vm != NULL)
		l->vm = *vm;
	(void)snprintf(l->path, sizeof(l->path), "%s", path);
	l->next = b->first;
	b->first = l;
	return 0;
}

void
blocklists_drop(struct blocklists *b)
{
	struct blocklist **at = &b->first;

	while (*at != NULL) {
		struct blocklist *l = *at;

		if (l->for_all) {
			l->looked = false;
			at = &l->next;
			continue;
		}
		*at = l->next;
		free(l);
	}
}

/* Has it another file, length or time than when it was read last? */
static bool
has_changed(struct blocklist *l)
{
	struct stat st = { 0 };
	bool there = stat(l->path, &st) == 0;
	bool same = l->looked && !l->waits && there == l->there;

	if (same && there)
		same = st.st_dev == l->dev && st.st_ino == l->ino &&
		    st.st_size == l->size &&
		    st.st_mtim.tv_sec == l->mtime.tv_sec &&
		    st.st_mtim.tv_nsec == l->mtime.tv_nsec;
	l->looked = true;
	l->there = there;
	l->dev = st.st_dev;
	l->ino = st.st_ino;
	l->size = st.st_size;
	l->mtime = st.st_mtim;
	return !same;
}

static int
read_one(struct blocklists *b, struct blocklist *l, struct err *err)
{
	struct secret text = { 0 };
	struct secret keys = { 0 };
	int rc = -1;

	l->waits = false;
	if (file_read(&text, l->path, BLOCKLIST_FILE_MAX, err) == 0 &&
	    blocklist_parse(&keys, secret_span(&text), err) == 0) {
		rc = b->fn(b->arg, l->for_all ? NULL : &l->vm,
		    secret_span(&keys), err);
		/* Its disk may be full, and the file will not change again.
		 * One that is locked asks for all of them later. */
		l->waits = rc != 0 && err->code != ERR_CLOSED;
	}
	secret_free(&text);
	secret_free(&keys);
	return rc;
}

int
blocklists_look(struct blocklists *b, struct err *err)
{
	struct blocklist *l;
	int rc = 0;

	for (l = b->first; l != NULL; l = l->next) {
		struct err why = { 0 };
		bool told = l->waits;

		if (has_changed(l)) {
			l->in_force = read_one(b, l, &why) == 0;
			if (why.code == ERR_CLOSED)
				continue; /* it comes again */
			if (!l->in_force && !(told && l->waits))
				log_error(NULL,
				    "CEK block-list %s: %s; what was read "
				    "last stays in force",
				    l->path, why.msg);
		}
		if (!l->in_force && l->for_all)
			rc = err_set(err, ERR_IO,
			    "CEK block-list %.100s: %.120s", l->path,
			    why.msg[0] != '\0' ? why.msg : "unreadable");
	}
	return rc;
}

bool
blocklists_any(const struct blocklists *b)
{
	return b->first != NULL;
}
