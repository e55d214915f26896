#include "agent/sev/hash_table.h"

#include <string.h>

#include "agent/sev/guid.h"

#define TABLE_LEN 168 /* with GUID and length, without padding */
#define ENTRY_LEN 50

/* 9438d606-4f22-4cc9-b479-a793d411fd21 */
static const struct sev_guid table_guid = { { 0x06, 0xd6, 0x38, 0x94, 0x22,
    0x4f, 0xc9, 0x4c, 0xb4, 0x79, 0xa7, 0x93, 0xd4, 0x11, 0xfd, 0x21 } };
/* 97d02dd8-bd20-4c94-aa78-e7714d36ab2a */
static const struct sev_guid cmdline_guid = { { 0xd8, 0x2d, 0xd0, 0x97, 0x20,
    0xbd, 0x94, 0x4c, 0xaa, 0x78, 0xe7, 0x71, 0x4d, 0x36, 0xab, 0x2a } };
/* 44baf731-3a2f-4bd7-9af1-41e29169781d */
static const struct sev_guid initrd_guid = { { 0x31, 0xf7, 0xba, 0x44, 0x2f,
    0x3a, 0xd7, 0x4b, 0x9a, 0xf1, 0x41, 0xe2, 0x91, 0x69, 0x78, 0x1d } };
/* 4de79437-abd2-427f-b835-d5b172d2045b */
static const struct sev_guid kernel_guid = { { 0x37, 0x94, 0xe7, 0x4d, 0xd2,
    0xab, 0x7f, 0x42, 0xb8, 0x35, 0xd5, 0xb1, 0x72, 0xd2, 0x04, 0x5b } };

static void
write_entry(struct writer *w, const struct sev_guid *guid, size_t len)
{
	writer_put(w, span_of(guid->bytes, sizeof(guid->bytes)));
	writer_le16(w, (uint16_t)len);
}

void
sev_hash_table_build(
    uint8_t out[SEV_HASH_TABLE_LEN], const struct sev_kernel_hashes *in)
{
	struct writer w = writer_of(out, SEV_HASH_TABLE_LEN);

	write_entry(&w, &table_guid, TABLE_LEN);
	write_entry(&w, &cmdline_guid, ENTRY_LEN);
	writer_put(&w, span_of(in->cmdline, SEV_SHA256_LEN));
	write_entry(&w, &initrd_guid, ENTRY_LEN);
	writer_put(&w, span_of(in->initrd, SEV_SHA256_LEN));
	write_entry(&w, &kernel_guid, ENTRY_LEN);
	writer_put(&w, span_of(in->kernel, SEV_SHA256_LEN));
	writer_zeros(&w, SEV_HASH_TABLE_LEN - TABLE_LEN);
}

int
sev_hash_table_cmdline(
    uint8_t out[SEV_SHA256_LEN], struct span cmdline, struct err *err)
{
	static const uint8_t nul;
	struct sev_hash *h = NULL;
	int rc = -1;

	/* QEMU holds it as a C string: what follows a NUL is not there. */
	if (cmdline.len > 0 && memchr(cmdline.ptr, 0, cmdline.len) != NULL)
		return err_set(err, ERR_MALFORMED,
		    "kernel command line with a NUL inside");
	if (sev_hash_new(&h, err) != 0 || sev_hash_add(h, cmdline, err) != 0 ||
	    sev_hash_add(h, span_of(&nul, 1), err) != 0 ||
	    sev_hash_peek(out, h, err) != 0)
		goto out;
	rc = 0;
out:
	sev_hash_free(h);
	return rc;
}
