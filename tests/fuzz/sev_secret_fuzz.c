/*
 * An arbitrary registration of secrets: the table, if there is one, reads back
 * as the guest reads it (Linux drivers/virt/coco/efi_secret).
 */
#include <assert.h>
#include <stdlib.h>

#include "agent/sev/sev.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void
read_as_guest(
    struct span table, const struct sev_secret_entry *entries, size_t count)
{
	struct reader r = reader_of(table), in;
	size_t len;

	reader_take(&r, SEV_GUID_LEN);
	len = reader_le32(&r);
	assert(reader_ok(&r) && len >= 20 && len <= table.len);
	in = reader_of(reader_take(&r, len - 20));
	for (size_t i = 0; i < count; i++) {
		struct sev_guid guid;
		size_t entry;

		reader_copy(&in, guid.bytes, sizeof(guid.bytes));
		entry = reader_le32(&in);
		assert(entry >= 20);
		assert(sev_guid_equal(&guid, &entries[i].guid));
		assert(
		    span_equal(reader_take(&in, entry - 20), entries[i].data));
	}
	assert(reader_done(&in));
	for (size_t i = 0; i < r.rest.len; i++)
		assert(r.rest.ptr[i] == 0);
}

static void
seal(struct span table)
{
	static const uint8_t key[16] = { 1 }, measure[SEV_MEASURE_LEN] = { 2 };
	uint8_t header[SEV_SECRET_HEADER_LEN];
	uint8_t *payload = malloc(table.len);
	struct err err;

	assert(payload != NULL);
	assert(sev_launch_secret_seal(
		   header, payload, table, key, key, key, measure, &err) == 0);
	free(payload);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct reader r = reader_of(span_of(data, len));
	struct sev_secret_room room = { reader_le16(&r), reader_le16(&r) };
	struct sev_secret_entry entries[70];
	struct secret table = { NULL, 0 };
	struct err err = { ERR_NONE, "" };
	size_t count = 0;

	while (count < 70 && r.rest.len > 0) {
		struct sev_secret_entry *e = &entries[count];

		reader_copy(&r, e->guid.bytes, sizeof(e->guid.bytes));
		e->data = reader_take(&r, reader_le16(&r));
		if (!reader_ok(&r))
			break;
		count++;
	}
	if (sev_launch_secret_table(&table, entries, count, &room, &err) != 0) {
		assert(err.code == ERR_USAGE || err.code == ERR_LIMIT);
		return 0;
	}
	assert(table.len % 16 == 0 && table.len <= SEV_SECRET_AREA_MAX);
	assert(table.len <= (room.area == 0 ? 3072 : room.area));
	read_as_guest(secret_span(&table), entries, count);
	seal(secret_span(&table));
	secret_free(&table);
	return 0;
}
