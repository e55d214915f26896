#include "agent/sev/launch_secret.h"

#include <string.h>

#include "agent/sev/wrap.h"

/* A GUID and a u32 length, before the table and before each entry. */
#define HEAD_LEN (SEV_GUID_LEN + 4)
#define BLOCK_LEN 16

/* 1e74f542-71dd-4d66-963e-ef4287ff173b */
static const struct sev_guid table_guid = { { 0x42, 0xf5, 0x74, 0x1e, 0xdd,
    0x71, 0x66, 0x4d, 0x96, 0x3e, 0xef, 0x42, 0x87, 0xff, 0x17, 0x3b } };

/* The guest reads a zero GUID as deleted, and one file a GUID. */
static int
check_entries(
    const struct sev_secret_entry *entries, size_t count, struct err *err)
{
	char text[SEV_GUID_TEXT_LEN + 1];

	if (count == 0 || count > SEV_SECRET_ENTRIES_MAX)
		return err_set(err, ERR_USAGE, "%zu secrets, want 1 to %d",
		    count, SEV_SECRET_ENTRIES_MAX);
	for (size_t i = 0; i < count; i++) {
		if (sev_guid_is_zero(&entries[i].guid))
			return err_set(err, ERR_USAGE,
			    "secret %zu has a GUID of zeros, which the guest "
			    "takes as deleted",
			    i + 1);
		for (size_t k = 0; k < i; k++)
			if (sev_guid_equal(&entries[i].guid, &entries[k].guid))
				return err_set(err, ERR_USAGE,
				    "two secrets with the GUID %s",
				    sev_guid_format(text, &entries[i].guid));
	}
	return 0;
}

/* Bytes of all entries with the table's head; ERR_LIMIT over ${area}. */
static int
measure_entries(size_t *out, const struct sev_secret_entry *entries,
    size_t count, size_t area, struct err *err)
{
	size_t len = HEAD_LEN;

	for (size_t i = 0; i < count; i++) {
		/* Judged one by one, so that no sum can wrap. */
		if (entries[i].data.len > area ||
		    len + HEAD_LEN + entries[i].data.len > area)
			return err_set(err, ERR_LIMIT,
			    "secrets do not fit the firmware's area of %zu "
			    "bytes (number %zu has %zu)",
			    area, i + 1, entries[i].data.len);
		len += HEAD_LEN + entries[i].data.len;
	}
	*out = len;
	return 0;
}

static size_t
round_up(size_t len, size_t step)
{
	return (len + step - 1) / step * step;
}

static void
write_head(struct writer *w, const struct sev_guid *guid, size_t len)
{
	writer_put(w, span_of(guid->bytes, sizeof(guid->bytes)));
	writer_le32(w, (uint32_t)len);
}

int
sev_launch_secret_table(struct secret *out,
    const struct sev_secret_entry *entries, size_t count,
    const struct sev_secret_room *room, struct err *err)
{
	size_t area = room != NULL && room->area != 0 ? room->area
						      : SEV_SECRET_AREA_DEFAULT;
	size_t step = room != NULL && room->step != 0 ? room->step : BLOCK_LEN;
	size_t len = 0, padded;
	struct writer w;

	if (area > SEV_SECRET_AREA_MAX)
		return err_set(err, ERR_USAGE,
		    "secret area of %zu bytes, at most %d (55766 6.6)", area,
		    SEV_SECRET_AREA_MAX);
	if (step % BLOCK_LEN != 0 || step > SEV_SECRET_AREA_MAX)
		return err_set(err, ERR_USAGE,
		    "padding to %zu bytes, want a multiple of %d up to %d",
		    step, BLOCK_LEN, SEV_SECRET_AREA_MAX);
	area -= area % BLOCK_LEN;
	if (check_entries(entries, count, err) != 0 ||
	    measure_entries(&len, entries, count, area, err) != 0)
		return -1;
	padded = round_up(len, step);
	if (padded > area)
		padded = area;
	if (secret_alloc(out, padded, err) != 0)
		return -1;
	w = writer_of(out->ptr, out->len);
	write_head(&w, &table_guid, len);
	for (size_t i = 0; i < count; i++) {
		write_head(
		    &w, &entries[i].guid, HEAD_LEN + entries[i].data.len);
		writer_put(&w, entries[i].data);
	}
	return 0;
}

/* 55766 6.6: 0x01 || FLAGS || IV || GUEST_LENGTH || TRANS_LENGTH || DATA ||
 * MEASURE, where DATA is what travels, not what it says. */
static int
mac_packet(uint8_t out[SEV_SHA256_LEN], struct span payload,
    const uint8_t tik[SEV_TK_LEN], const uint8_t iv[SEV_IV_LEN],
    const uint8_t measure[SEV_MEASURE_LEN], struct err *err)
{
	struct secret text = { NULL, 0 };
	struct writer w;
	int rc = -1;

	if (secret_alloc(&text,
		1 + 4 + SEV_IV_LEN + 4 + 4 + payload.len + SEV_MEASURE_LEN,
		err) != 0)
		goto out;
	w = writer_of(text.ptr, text.len);
	writer_u8(&w, 0x01);
	writer_le32(&w, 0); /* FLAGS: not compressed */
	writer_put(&w, span_of(iv, SEV_IV_LEN));
	writer_le32(&w, (uint32_t)payload.len);
	writer_le32(&w, (uint32_t)payload.len);
	writer_put(&w, payload);
	writer_put(&w, span_of(measure, SEV_MEASURE_LEN));
	rc = sev_hash_hmac(out, span_of(tik, SEV_TK_LEN), writer_span(&w), err);
out:
	secret_free(&text);
	return rc;
}

int
sev_launch_secret_seal(uint8_t header[SEV_SECRET_HEADER_LEN], uint8_t *payload,
    struct span table, const uint8_t tek[SEV_TK_LEN],
    const uint8_t tik[SEV_TK_LEN], const uint8_t iv[SEV_IV_LEN],
    const uint8_t measure[SEV_MEASURE_LEN], struct err *err)
{
	struct writer w = writer_of(header, SEV_SECRET_HEADER_LEN);
	uint8_t mac[SEV_SHA256_LEN];

	memset(header, 0, SEV_SECRET_HEADER_LEN);
	if (table.len == 0 || table.len % BLOCK_LEN != 0 ||
	    table.len > SEV_SECRET_AREA_MAX)
		return err_set(err, ERR_LIMIT,
		    "secret table of %zu bytes, want a multiple of %d up to %d "
		    "(55766 6.6)",
		    table.len, BLOCK_LEN, SEV_SECRET_AREA_MAX);
	if (sev_wrap_ctr(payload, table, tek, iv, err) != 0 ||
	    mac_packet(
		mac, span_of(payload, table.len), tik, iv, measure, err) != 0) {
		memset(payload, 0, table.len);
		return -1;
	}
	writer_le32(&w, 0); /* FLAGS */
	writer_put(&w, span_of(iv, SEV_IV_LEN));
	writer_put(&w, span_of(mac, sizeof(mac)));
	return 0;
}
