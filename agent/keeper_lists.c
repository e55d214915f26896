#include "agent/keeper_lists.h"

#include <stdlib.h>
#include <string.h>

#include "agent/control.h"
#include "common/log.h"

#define LOOK_MS 1000

struct keeper_lists {
	int owner_fd; /* borrowed */
	struct blocklists *lists;
	bool none;   /* there is no list for all VMs */
	bool relist; /* VMs have come or gone */
	bool told;   /* that the vault could not be asked for them */
	int64_t look_at_ms;
};

static int
give_list(void *arg, const struct uuid *vm, struct span keys, struct err *err)
{
	static const struct uuid all;
	const struct uuid *id = vm != NULL ? vm : &all;
	struct keeper_lists *k = arg;
	struct secret in = { 0 };
	struct writer w;
	struct buf out;
	int rc = -1;

	buf_init(&out, OWNER_OUT_MAX + 1, false);
	if (secret_alloc(&in, sizeof(id->bytes) + keys.len, err) == 0) {
		w = writer_of(in.ptr, in.len);
		writer_put(&w, span_of(id->bytes, sizeof(id->bytes)));
		writer_put(&w, keys);
		rc = control_ask_fd(
		    &out, k->owner_fd, OWNER_BLOCK, writer_span(&w), err);
	}
	secret_free(&in);
	buf_free(&out);
	return rc;
}

/* That of an earlier run counts no more. */
static int
give_none(struct keeper_lists *k, struct err *err)
{
	struct err why = { 0 };

	if (give_list(k, NULL, (struct span){ 0 }, &why) == 0 ||
	    why.code == ERR_CLOSED)
		return 0;
	return err_set(err, why.code, "%s", why.msg);
}

/* Which files the VMs want, as the vault has them now. */
static int
list_lists(struct keeper_lists *k, struct err *err)
{
	char path[REGISTRATION_PATH_MAX + 1];
	struct reader r;
	struct buf out;
	int rc;

	buf_init(&out, OWNER_OUT_MAX + 1, false);
	rc = control_ask_fd(
	    &out, k->owner_fd, OWNER_BLOCKLISTS, (struct span){ 0 }, err);
	if (rc == 0)
		blocklists_drop(k->lists);
	r = reader_of(buf_span(&out));
	while (rc == 0 && r.rest.len > 0) {
		struct uuid vm;
		struct span text;

		reader_copy(&r, vm.bytes, sizeof(vm.bytes));
		text = reader_take(&r, reader_be16(&r));
		if (!reader_ok(&r) || text.len >= sizeof(path))
			break;
		memcpy(path, text.ptr, text.len);
		path[text.len] = '\0';
		rc = blocklists_keep(k->lists, &vm, path, err);
	}
	buf_free(&out);
	if (rc == 0 && k->none)
		rc = give_none(k, err);
	/* Else those that are known are watched on, and it is asked again. */
	k->relist = rc != 0;
	return rc;
}

void
keeper_lists_changed(struct keeper_lists *k)
{
	k->relist = true;
}

int64_t
keeper_lists_look(struct keeper_lists *k, int64_t now_ms)
{
	struct err err = { 0 };

	if (!k->relist && !blocklists_any(k->lists))
		return -1;
	if (!k->relist && now_ms < k->look_at_ms)
		return k->look_at_ms;
	if (k->relist && list_lists(k, &err) != 0 && !k->told)
		log_error(NULL, "block-lists: %s", err.msg);
	k->told = k->relist;
	(void)blocklists_look(k->lists, NULL); /* it logs what is wrong */
	k->look_at_ms = now_ms + LOOK_MS;
	return k->relist || blocklists_any(k->lists) ? k->look_at_ms : -1;
}

int
keeper_lists_start(
    struct keeper_lists **out, int owner_fd, const char *path, struct err *err)
{
	struct keeper_lists *k = calloc(1, sizeof(*k));

	if (k == NULL)
		return err_set(err, ERR_MEMORY, "no memory for block-lists");
	*out = k;
	k->owner_fd = owner_fd;
	if (blocklists_new(&k->lists, give_list, k, err) != 0)
		return -1;
	k->none = path[0] == '\0';
	if (!k->none && blocklists_keep(k->lists, NULL, path, err) != 0)
		return -1;
	if (list_lists(k, err) != 0)
		return -1;
	return blocklists_look(k->lists, err);
}

void
keeper_lists_free(struct keeper_lists *k)
{
	if (k == NULL)
		return;
	blocklists_free(k->lists);
	free(k);
}
