#include "tests/psp/secret_table.h"

#include "common/uuid.h"

#define HEAD_LEN 20 /* GUID 16, length 4 */

static const char table_guid[] = "1e74f542-71dd-4d66-963e-ef4287ff173b";

/* Stored with its first three fields little-endian. */
static struct uuid
read_guid(struct reader *r)
{
	uint32_t a = reader_le32(r);
	uint32_t b = reader_le16(r), c = reader_le16(r);
	struct uuid u = { { (uint8_t)(a >> 24), (uint8_t)(a >> 16),
	    (uint8_t)(a >> 8), (uint8_t)a, (uint8_t)(b >> 8), (uint8_t)b,
	    (uint8_t)(c >> 8), (uint8_t)c } };

	reader_copy(r, u.bytes + 8, 8);
	return u;
}

int
secret_table_find(
    struct span *out, struct span table, const char *guid, struct err *err)
{
	struct reader r = reader_of(table);
	struct uuid want, head, got;
	bool found = false;
	uint32_t len;

	if (uuid_parse(&want, span_str(guid), err) != 0 ||
	    uuid_parse(&head, span_str(table_guid), err) != 0)
		return -1;
	got = read_guid(&r);
	len = reader_le32(&r);
	if (!reader_ok(&r) || !uuid_equal(&got, &head))
		return err_set(err, ERR_MALFORMED,
		    "%zu bytes without a secret table", table.len);
	if (len < HEAD_LEN || len > table.len)
		return err_set(err, ERR_MALFORMED,
		    "secret table of %u bytes in an area of %zu", len,
		    table.len);
	r.rest.len = len - HEAD_LEN;
	while (r.rest.len > 0) {
		size_t left = r.rest.len;
		struct span data;

		got = read_guid(&r);
		len = reader_le32(&r);
		if (!reader_ok(&r) || len < HEAD_LEN || len > left)
			return err_set(err, ERR_MALFORMED,
			    "secret table entry of %u bytes, %zu are left", len,
			    left);
		data = reader_take(&r, len - HEAD_LEN);
		if (uuid_equal(&got, &want) && !found) {
			*out = data;
			found = true;
		}
	}
	if (!found)
		return err_set(err, ERR_NOT_FOUND,
		    "no entry %s in the secret table", guid);
	return 0;
}
