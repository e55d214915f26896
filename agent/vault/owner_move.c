#include <stdlib.h>

#include "agent/vault/owner_impl.h"
#include "agent/vault/vault_move.h"
#include "common/base64.h"
#include "common/hex.h"

#define ID_TEXT_LEN (2 * MOVE_ID_LEN + 1)

static json_t *
json_id(const uint8_t id[MOVE_ID_LEN])
{
	char text[ID_TEXT_LEN];

	return json_string(
	    hex_encode(text, sizeof(text), span_of(id, MOVE_ID_LEN)));
}

static json_t *
json_move_key(const uint8_t key[MOVE_KEY_LEN])
{
	char text[MOVE_KEY_TEXT_LEN];

	return json_string(move_key_format(text, key));
}

static int
tell_file(struct buf *out, const uint8_t id[MOVE_ID_LEN],
    const struct secret *file, struct err *err)
{
	size_t cap = base64_len(file->len) + 1;
	char *text = malloc(cap);
	json_t *reply;

	if (text == NULL)
		return err_set(err, ERR_MEMORY, "no memory for the answer");
	(void)base64_encode(text, cap, secret_span(file));
	reply = json_object();
	(void)json_object_set_new(reply, "export", json_id(id));
	(void)json_object_set_new(reply, "file", json_string(text));
	free(text);
	return owner_tell(out, reply, err);
}

static int
do_key(struct buf *out, struct vault *v, struct err *err)
{
	uint8_t key[MOVE_KEY_LEN];
	json_t *reply;

	if (vault_move_key(key, v, err) != 0)
		return -1;
	reply = json_object();
	(void)json_object_set_new(reply, "key", json_move_key(key));
	return owner_tell(out, reply, err);
}

/* recipient:32, then for each VM len:1 and a name or UUID */
static int
do_export(struct buf *out, struct vault *v, struct span in, struct err *err)
{
	struct uuid *vms = calloc(VAULT_VMS_MAX, sizeof(*vms));
	uint8_t recipient[MOVE_KEY_LEN];
	struct reader r = reader_of(in);
	struct secret file = { 0 };
	uint8_t id[MOVE_ID_LEN];
	size_t count = 0;
	int rc = -1;

	if (vms == NULL)
		return err_set(err, ERR_MEMORY, "no memory for an export");
	reader_copy(&r, recipient, sizeof(recipient));
	while (reader_ok(&r) && r.rest.len > 0 && count < VAULT_VMS_MAX) {
		struct span word = reader_take(&r, reader_u8(&r));

		if (owner_find(&vms[count++], v, word, err) != 0)
			goto out;
	}
	if (!reader_done(&r) || count == 0) {
		(void)err_set(err, ERR_MALFORMED,
		    "export: want a key and 1 to %d VMs", VAULT_VMS_MAX);
		goto out;
	}
	if (vault_move_export(&file, id, v, vms, count, recipient, err) == 0)
		rc = tell_file(out, id, &file, err);
out:
	secret_free(&file);
	free(vms);
	return rc;
}

static int
read_id(uint8_t id[MOVE_ID_LEN], struct span in, struct err *err)
{
	struct reader r = reader_of(in);

	reader_copy(&r, id, MOVE_ID_LEN);
	if (!reader_done(&r))
		return err_set(err, ERR_MALFORMED, "want the id of an export");
	return 0;
}

static int
do_again(struct buf *out, struct vault *v, struct span in, struct err *err)
{
	struct secret file = { 0 };
	uint8_t id[MOVE_ID_LEN];
	int rc = -1;

	if (read_id(id, in, err) == 0 &&
	    vault_move_again(&file, v, id, err) == 0)
		rc = tell_file(out, id, &file, err);
	secret_free(&file);
	return rc;
}

static int
add_moved(void *arg, const struct vault_moved *moved)
{
	char time[TIMES_TEXT_LEN];
	char uuid[UUID_TEXT_LEN + 1];
	json_t *one = json_object();

	(void)json_object_set_new(
	    one, "vm", json_string(uuid_format(uuid, &moved->vm)));
	(void)json_object_set_new(one, "name", json_string(moved->name));
	(void)json_object_set_new(one, "export", json_id(moved->id));
	(void)json_object_set_new(
	    one, "time", json_string(times_rfc3339(time, moved->wall_ms)));
	(void)json_object_set_new(
	    one, "sealed-to", json_move_key(moved->recipient));
	(void)json_array_append_new(arg, one);
	return 0;
}

static int
do_list(struct buf *out, struct vault *v, struct err *err)
{
	json_t *reply = json_object();
	json_t *vms = json_array();

	if (vault_move_each(v, add_moved, vms, err) != 0) {
		json_decref(vms);
		json_decref(reply);
		return -1;
	}
	(void)json_object_set_new(
	    reply, "schema", json_string("attest-agent.exports/1"));
	(void)json_object_set_new(reply, "vms", vms);
	return owner_tell(out, reply, err);
}

static int
do_forget(struct buf *out, struct vault *v, struct span in, struct err *err)
{
	uint8_t id[MOVE_ID_LEN];
	json_t *reply;

	if (read_id(id, in, err) != 0 || vault_move_forget(v, id, err) != 0)
		return -1;
	reply = json_object();
	(void)json_object_set_new(reply, "forgotten", json_id(id));
	return owner_tell(out, reply, err);
}

/* sender:32 file */
static int
do_import(struct buf *out, struct vault *v, struct span in, struct err *err)
{
	uint8_t sender[UUID_KEY_LEN];
	struct reader r = reader_of(in);
	size_t before = vault_count(v);
	json_t *reply;

	reader_copy(&r, sender, sizeof(sender));
	if (!reader_ok(&r))
		return err_set(
		    err, ERR_MALFORMED, "import: want a key and a file");
	if (vault_move_import(v, r.rest, sender, err) != 0)
		return -1;
	reply = json_object();
	(void)json_object_set_new(reply, "imported",
	    json_integer((json_int_t)(vault_count(v) - before)));
	return owner_tell(out, reply, err);
}

int
owner_move(struct buf *out, struct vault *v, unsigned op, struct span in,
    struct err *err)
{
	switch (op) {
	case OWNER_MOVE_KEY:
		return do_key(out, v, err);
	case OWNER_EXPORT:
		return do_export(out, v, in, err);
	case OWNER_EXPORT_AGAIN:
		return do_again(out, v, in, err);
	case OWNER_EXPORTS:
		return do_list(out, v, err);
	case OWNER_EXPORT_FORGET:
		return do_forget(out, v, in, err);
	case OWNER_IMPORT:
		return do_import(out, v, in, err);
	default:
		return err_set(err, ERR_UNSUPPORTED, "no such request");
	}
}
