#include "agent/sev/ovmf.h"

#include "agent/sev/guid.h"
#include "agent/sev/hash_table.h"

/* The reset vector code behind the footer GUID. */
#define TAIL_LEN 32
#define ENTRY_LEN 18 /* u16 length and GUID, behind the data */
#define SECRET_ALIGN 16
#define MEMORY_END (UINT64_C(1) << 32) /* of what the table can name */

static const struct sev_guid footer_guid = { { 0xde, 0x82, 0xb5, 0x96, 0xb2,
    0x1f, 0xf7, 0x45, 0xba, 0xea, 0xa3, 0x66, 0xc5, 0x5a, 0x08, 0x2d } };

/* An entry: read its data into the image, or say that it came before. */
struct known {
	struct sev_guid guid;
	const char *name;
	size_t len; /* of the data */
	bool (*read)(struct sev_ovmf *out, struct reader *r);
};

static bool
read_area(struct sev_ovmf_area *out, struct reader *r)
{
	if (out->named)
		return false;
	out->named = true;
	out->base = reader_le32(r);
	out->size = reader_le32(r);
	return true;
}

static bool
read_reset(struct sev_ovmf *out, struct reader *r)
{
	if (out->has_reset)
		return false;
	out->has_reset = true;
	out->reset = reader_le32(r);
	return true;
}

static bool
read_secret(struct sev_ovmf *out, struct reader *r)
{
	return read_area(&out->secret, r);
}

static bool
read_hashes(struct sev_ovmf *out, struct reader *r)
{
	return read_area(&out->hashes, r);
}

static bool
read_snp(struct sev_ovmf *out, struct reader *r)
{
	if (out->has_snp)
		return false;
	out->has_snp = true;
	out->snp_offset = reader_le32(r);
	return true;
}

static const struct known entries[] = {
	/* 00f771de-1a7e-4fcb-890e-68c77e2fb44e */
	{ { { 0xde, 0x71, 0xf7, 0x00, 0x7e, 0x1a, 0xcb, 0x4f, 0x89, 0x0e, 0x68,
	      0xc7, 0x7e, 0x2f, 0xb4, 0x4e } },
	    "SEV-ES reset vector", 4, read_reset },
	/* 4c2eb361-7d9b-4cc3-8081-127c90d3d294 */
	{ { { 0x61, 0xb3, 0x2e, 0x4c, 0x9b, 0x7d, 0xc3, 0x4c, 0x80, 0x81, 0x12,
	      0x7c, 0x90, 0xd3, 0xd2, 0x94 } },
	    "launch secret area", 8, read_secret },
	/* 7255371f-3a3b-4b04-927b-1da6efa8d454 */
	{ { { 0x1f, 0x37, 0x55, 0x72, 0x3b, 0x3a, 0x04, 0x4b, 0x92, 0x7b, 0x1d,
	      0xa6, 0xef, 0xa8, 0xd4, 0x54 } },
	    "kernel hash area", 8, read_hashes },
	/* dc886566-984a-4798-a75e-5585a7bf67cc */
	{ { { 0x66, 0x65, 0x88, 0xdc, 0x4a, 0x98, 0x98, 0x47, 0xa7, 0x5e, 0x55,
	      0x85, 0xa7, 0xbf, 0x67, 0xcc } },
	    "SNP metadata offset", 4, read_snp },
};

/* The last ${len} bytes of ${rest}, which loses them; the caller has checked
 * that they are there. */
static struct span
take_tail(struct span *rest, size_t len)
{
	struct reader r = reader_of(*rest);

	*rest = reader_take(&r, rest->len - len);
	return r.rest;
}

static int
read_entry(struct sev_ovmf *out, const struct sev_guid *guid, struct span data,
    struct err *err)
{
	struct reader r = reader_of(data);

	out->entry_count++;
	for (size_t i = 0; i < sizeof(entries) / sizeof(*entries); i++) {
		const struct known *k = &entries[i];

		if (!sev_guid_equal(&k->guid, guid))
			continue;
		if (data.len != k->len)
			return err_set(err, ERR_MALFORMED,
			    "%s with %zu bytes of data, want %zu "
			    "(ResetVectorVtf0.asm)",
			    k->name, data.len, k->len);
		if (!k->read(out, &r))
			return err_set(err, ERR_MALFORMED,
			    "%s twice in the GUID table", k->name);
		return 0;
	}
	return 0;
}

/* Backwards from the end of the table, as QEMU walks it. */
static int
walk(struct sev_ovmf *out, struct span table, struct err *err)
{
	while (table.len >= ENTRY_LEN) {
		size_t had = table.len;
		struct reader r = reader_of(take_tail(&table, ENTRY_LEN));
		size_t len = reader_le16(&r);
		struct sev_guid guid;

		reader_copy(&r, guid.bytes, sizeof(guid.bytes));
		if (len < ENTRY_LEN || len > had)
			return err_set(err, ERR_MALFORMED,
			    "GUID table entry of %zu bytes, want %d to %zu "
			    "(ResetVectorVtf0.asm)",
			    len, ENTRY_LEN, had);
		if (read_entry(out, &guid, take_tail(&table, len - ENTRY_LEN),
			err) != 0)
			return -1;
	}
	return 0;
}

int
sev_ovmf_parse(struct sev_ovmf *out, struct span firmware, struct err *err)
{
	struct span rest = firmware;
	struct sev_guid guid;
	struct reader r;
	size_t len;

	*out = (struct sev_ovmf){ 0 };
	if (firmware.len < TAIL_LEN + ENTRY_LEN)
		return err_set(err, ERR_NOT_FOUND,
		    "firmware of %zu bytes has no room for a GUID table",
		    firmware.len);
	take_tail(&rest, TAIL_LEN);
	r = reader_of(take_tail(&rest, ENTRY_LEN));
	len = reader_le16(&r);
	reader_copy(&r, guid.bytes, sizeof(guid.bytes));
	if (!sev_guid_equal(&guid, &footer_guid))
		return err_set(err, ERR_NOT_FOUND,
		    "no OVMF footer GUID 48 bytes before the end: no OVMF "
		    "image, or not the whole of it");
	/* The length counts the footer's own length and GUID. */
	if (len < ENTRY_LEN || len - ENTRY_LEN > rest.len)
		return err_set(err, ERR_MALFORMED,
		    "GUID table of %zu bytes, want %d to %zu "
		    "(ResetVectorVtf0.asm)",
		    len, ENTRY_LEN, rest.len + ENTRY_LEN);
	if (walk(out, take_tail(&rest, len - ENTRY_LEN), err) != 0) {
		*out = (struct sev_ovmf){ 0 };
		return -1;
	}
	return 0;
}

bool
sev_ovmf_takes_hashes(const struct sev_ovmf *o)
{
	return o->hashes.base != 0 && o->hashes.size >= SEV_HASH_TABLE_LEN;
}

bool
sev_ovmf_takes_secret(const struct sev_ovmf *o)
{
	return o->secret.base != 0 && o->secret.size != 0;
}

static uint64_t
end_of(const struct sev_ovmf_area *a)
{
	return (uint64_t)a->base + a->size;
}

int
sev_ovmf_check_areas(const struct sev_ovmf *o, bool kernel, struct err *err)
{
	const struct sev_ovmf_area *s = &o->secret, *h = &o->hashes;

	if (sev_ovmf_takes_secret(o) && s->base % SECRET_ALIGN != 0)
		return err_set(err, ERR_UNSUPPORTED,
		    "launch secret area at 0x%x, want a multiple of %d "
		    "(55766 6.6)",
		    s->base, SECRET_ALIGN);
	if (end_of(s) > MEMORY_END || end_of(h) > MEMORY_END)
		return err_set(err, ERR_UNSUPPORTED,
		    "areas of %u bytes at 0x%x and %u at 0x%x: one ends over "
		    "4 GiB",
		    s->size, s->base, h->size, h->base);
	if (kernel && sev_ovmf_takes_secret(o) && sev_ovmf_takes_hashes(o) &&
	    s->base < end_of(h) && h->base < end_of(s))
		return err_set(err, ERR_UNSUPPORTED,
		    "launch secret area (0x%x, %u bytes) and kernel hashes "
		    "(0x%x, %u bytes) overlap: the one would overwrite the "
		    "other",
		    s->base, s->size, h->base, h->size);
	return 0;
}
