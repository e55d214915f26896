#include "agent/vault/owner_impl.h"

#include <stdlib.h>

#include "agent/vault/vault_receipt.h"
#include "common/base64.h"

#define LIST_MAX 1000 /* an answer */

static void
put_bytes(json_t *to, const char *name, const uint8_t *bytes, size_t len)
{
	char text[16384];

	if (base64_len(len) >= sizeof(text))
		return;
	(void)json_object_set_new(to, name,
	    json_string(
		base64_encode(text, sizeof(text), span_of(bytes, len))));
	/* The TIK may be among them (T18); jansson wipes its own copies. */
	secret_wipe(text, base64_len(len));
}

/* number:8 with-tik:1 */
static int
do_show(struct buf *out, struct vault *v, struct span in, struct err *err)
{
	struct vault_receipt *r = calloc(1, sizeof(*r));
	struct reader at = reader_of(in);
	uint64_t number = reader_be64(&at);
	bool with_tik = reader_u8(&at) == 1;
	char key[KEY_TEXT_LEN];
	json_t *reply;
	int rc = -1;

	if (r == NULL || !reader_done(&at)) {
		(void)err_set(err, ERR_MALFORMED, "want a receipt's number");
		goto out;
	}
	if (vault_receipt(r, v, number, with_tik, err) != 0)
		goto out;
	reply = json_object();
	(void)json_object_set_new(
	    reply, "schema", json_string("attest-agent.receipt/1"));
	(void)json_object_set_new(
	    reply, "receipt", json_integer((json_int_t)r->number));
	(void)json_object_set_new(
	    reply, "statement", json_string(r->statement));
	put_bytes(reply, "signature", r->signature, sizeof(r->signature));
	(void)json_object_set_new(
	    reply, "agent-key", json_string(vault_key_format(key, v)));
	put_bytes(reply, "measurement", (const uint8_t *)&r->measure,
	    sizeof(r->measure));
	if (r->has_evidence) {
		put_bytes(reply, "pdh", r->pdh, sizeof(r->pdh));
		put_bytes(reply, "cert-chain", r->chain, r->chain_len);
		put_bytes(reply, "owner-cert", r->session.godh_cert,
		    sizeof(r->session.godh_cert));
		put_bytes(
		    reply, "session", r->session.blob, sizeof(r->session.blob));
	}
	if (r->has_tik)
		put_bytes(reply, "tik", r->tik, sizeof(r->tik));
	rc = owner_tell(out, reply, err);
out:
	if (r != NULL)
		secret_wipe(r, sizeof(*r));
	free(r);
	return rc;
}

static int
add_one(void *arg, const struct vault_receipt *r)
{
	json_t *one = json_object();
	json_t *list = arg;

	(void)json_object_set_new(
	    one, "receipt", json_integer((json_int_t)r->number));
	(void)json_object_set_new(one, "statement", json_string(r->statement));
	(void)json_array_append_new(list, one);
	return json_array_size(list) >= LIST_MAX ? 1 : 0;
}

/* after:8 */
static int
do_list(struct buf *out, struct vault *v, struct span in, struct err *err)
{
	struct reader at = reader_of(in);
	uint64_t after = reader_be64(&at);
	json_t *list = json_array();
	json_t *reply;

	if (!reader_done(&at)) {
		json_decref(list);
		return err_set(err, ERR_MALFORMED, "want a number");
	}
	if (vault_receipt_each(v, after, add_one, list, err) != 0) {
		json_decref(list);
		return -1;
	}
	reply = json_object();
	(void)json_object_set_new(
	    reply, "schema", json_string("attest-agent.receipts/1"));
	(void)json_object_set_new(reply, "receipts", list);
	return owner_tell(out, reply, err);
}

int
owner_receipt(struct buf *out, struct vault *v, unsigned op, struct span in,
    struct err *err)
{
	return op == OWNER_RECEIPT ? do_show(out, v, in, err)
				   : do_list(out, v, in, err);
}
