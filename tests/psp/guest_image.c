#include "tests/psp/guest_image.h"

#include <string.h>

#include "common/uuid.h"
#include "tests/psp/crypto.h"

#define GUID_LEN 16
#define FOOTER_AT 48 /* bytes from the end of the file to its GUID */
#define RESET_BSP 0xfffffff0U
#define HASHES_TABLE 168

static const char footer_guid[] = "96b582de-1fb2-45f7-baea-a366c55a082d";
static const char reset_guid[] = "00f771de-1a7e-4fcb-890e-68c77e2fb44e";
static const char secret_guid[] = "4c2eb361-7d9b-4cc3-8081-127c90d3d294";
static const char hashes_guid[] = "7255371f-3a3b-4b04-927b-1da6efa8d454";

/* The first three fields of a GUID are stored little-endian. */
static void
guid_bytes(uint8_t out[GUID_LEN], const char *text)
{
	static const uint8_t from[GUID_LEN] = { 3, 2, 1, 0, 5, 4, 7, 6, 8, 9,
		10, 11, 12, 13, 14, 15 };
	struct uuid u = { { 0 } };

	(void)uuid_parse(&u, span_str(text), NULL);
	for (size_t i = 0; i < GUID_LEN; i++)
		out[i] = u.bytes[from[i]];
}

static bool
guid_is(struct span got, const char *text)
{
	uint8_t want[GUID_LEN];

	guid_bytes(want, text);
	return span_equal(got, span_of(want, sizeof(want)));
}

static void
take_entry(struct guest_image_ovmf *out, struct span guid, struct span data)
{
	struct reader r = reader_of(data);

	if (guid_is(guid, reset_guid) && data.len >= 4) {
		out->reset = reader_le32(&r);
	} else if (guid_is(guid, secret_guid) && data.len >= 8) {
		out->secret.base = reader_le32(&r);
		out->secret.size = reader_le32(&r);
	} else if (guid_is(guid, hashes_guid) && data.len >= 8) {
		out->hashes.base = reader_le32(&r);
		out->hashes.size = reader_le32(&r);
	}
}

static uint16_t
le16_at(struct span in, size_t at)
{
	return (uint16_t)(in.ptr[at] | in.ptr[at + 1] << 8);
}

int
guest_image_ovmf(
    struct guest_image_ovmf *out, struct span firmware, struct err *err)
{
	struct span rest = firmware;
	size_t total;

	memset(out, 0, sizeof(*out));
	if (firmware.len < FOOTER_AT + 2 ||
	    !guid_is(span_of(firmware.ptr + firmware.len - FOOTER_AT, GUID_LEN),
		footer_guid))
		return 0;
	rest.len -= FOOTER_AT + 2;
	total = le16_at(firmware, rest.len);
	if (total < GUID_LEN + 2 || total - (GUID_LEN + 2) > rest.len)
		return err_set(err, ERR_MALFORMED,
		    "OVMF table of %zu bytes in a firmware of %zu", total,
		    firmware.len);
	total -= GUID_LEN + 2;
	rest = span_of(rest.ptr + rest.len - total, total);
	/* Backwards: each entry is its data, then u16 length, then GUID. */
	while (rest.len >= GUID_LEN + 2) {
		size_t guid_at = rest.len - GUID_LEN;
		size_t len = le16_at(rest, guid_at - 2);

		if (len < GUID_LEN + 2 || len > rest.len)
			return err_set(err, ERR_MALFORMED,
			    "OVMF table entry of %zu bytes, %zu are left", len,
			    rest.len);
		take_entry(out, span_of(rest.ptr + guid_at, GUID_LEN),
		    span_of(rest.ptr + rest.len - len, len - GUID_LEN - 2));
		rest.len -= len;
	}
	return 0;
}

static int
hash_entry(
    struct writer *w, const char *guid, struct span data, struct err *err)
{
	uint8_t bytes[GUID_LEN], digest[PSP_SHA256_LEN];

	if (psp_crypto_sha256(digest, data, err) != 0)
		return -1;
	guid_bytes(bytes, guid);
	writer_put(w, span_of(bytes, sizeof(bytes)));
	writer_le16(w, GUID_LEN + 2 + PSP_SHA256_LEN);
	writer_put(w, span_of(digest, sizeof(digest)));
	return 0;
}

int
guest_image_hashes(uint8_t out[GUEST_IMAGE_HASHES_LEN],
    const struct guest_image *image, struct err *err)
{
	struct writer w = writer_of(out, GUEST_IMAGE_HASHES_LEN);
	uint8_t guid[GUID_LEN], line[4096];
	struct writer cmd = writer_of(line, sizeof(line));

	writer_put(&cmd, image->cmdline);
	writer_u8(&cmd, 0);
	if (!writer_ok(&cmd))
		return err_set(err, ERR_LIMIT, "command line of %zu bytes",
		    image->cmdline.len);
	guid_bytes(guid, "9438d606-4f22-4cc9-b479-a793d411fd21");
	writer_put(&w, span_of(guid, sizeof(guid)));
	writer_le16(&w, HASHES_TABLE);
	if (hash_entry(&w, "97d02dd8-bd20-4c94-aa78-e7714d36ab2a",
		writer_span(&cmd), err) != 0 ||
	    hash_entry(&w, "44baf731-3a2f-4bd7-9af1-41e29169781d",
		image->initrd, err) != 0 ||
	    hash_entry(&w, "4de79437-abd2-427f-b835-d5b172d2045b",
		image->kernel, err) != 0)
		return -1;
	writer_zeros(&w, GUEST_IMAGE_HASHES_LEN - HASHES_TABLE);
	return 0;
}

/* The processor's state at reset, as QEMU sets it; the rest is zero. */
void
guest_image_vmsa(
    uint8_t out[PSP_VMSA_LEN], const struct guest_image *image, uint32_t reset)
{
	const struct {
		uint16_t at;
		uint8_t len;
		uint64_t value;
	} fields[] = {
		/* Segments: selector, attributes, limit, base. */
		{ 0x002, 2, 0x93 }, { 0x004, 4, 0xffff }, /* ES */
		{ 0x010, 2, 0xf000 }, { 0x012, 2, 0x9b }, /* CS */
		{ 0x014, 4, 0xffff }, { 0x018, 8, reset & 0xffff0000U },
		{ 0x022, 2, 0x93 }, { 0x024, 4, 0xffff }, /* SS */
		{ 0x032, 2, 0x93 }, { 0x034, 4, 0xffff }, /* DS */
		{ 0x042, 2, 0x93 }, { 0x044, 4, 0xffff }, /* FS */
		{ 0x052, 2, 0x93 }, { 0x054, 4, 0xffff }, /* GS */
		{ 0x064, 4, 0xffff },                     /* GDTR */
		{ 0x072, 2, 0x82 }, { 0x074, 4, 0xffff }, /* LDTR */
		{ 0x084, 4, 0xffff },                     /* IDTR */
		{ 0x092, 2, 0x8b }, { 0x094, 4, 0xffff }, /* TR */
		{ 0x0d0, 8, 0x1000 },                     /* EFER */
		{ 0x148, 8, 0x40 },                       /* CR4 */
		{ 0x158, 8, 0x10 },                       /* CR0 */
		{ 0x160, 8, 0x400 },                      /* DR7 */
		{ 0x168, 8, 0xffff0ff0U },                /* DR6 */
		{ 0x170, 8, 0x2 },                        /* RFLAGS */
		{ 0x178, 8, reset & 0xffff },             /* RIP */
		{ 0x268, 8, 0x0007040600070406U },        /* PAT */
		{ 0x310, 8, image->cpu_sig },             /* RDX */
		{ 0x3e8, 8, 1 },                          /* XCR0 */
		/* Set by KVM_SEV_INIT2 alone. */
		{ 0x408, 4, image->init2 ? 0x1f80 : 0 }, /* MXCSR */
		{ 0x410, 2, image->init2 ? 0x037f : 0 }, /* FCW */
	};

	memset(out, 0, PSP_VMSA_LEN);
	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
		for (size_t k = 0; k < fields[i].len; k++)
			out[fields[i].at + k] =
			    (uint8_t)(fields[i].value >> 8 * k);
}

static int
judge(enum psp_status status, const char *command, struct err *err)
{
	if (status == PSP_SUCCESS)
		return 0;
	return err_set(err, ERR_CLOSED, "%s: firmware error %d (%s)", command,
	    (int)status, psp_status_name(status));
}

static int
submit_vmsas(struct psp *psp, uint32_t handle, const struct guest_image *image,
    uint32_t reset, struct err *err)
{
	uint8_t page[PSP_VMSA_LEN];

	if (image->vcpus > 1 && reset == 0)
		return err_set(err, ERR_UNSUPPORTED,
		    "%u vCPUs with SEV-ES, and the firmware names no reset "
		    "vector",
		    image->vcpus);
	for (unsigned i = 0; i < image->vcpus; i++) {
		guest_image_vmsa(page, image, i == 0 ? RESET_BSP : reset);
		if (judge(psp_launch_update_vmsa(
			      psp, handle, span_of(page, sizeof(page))),
			"LAUNCH_UPDATE_VMSA", err) != 0)
			return -1;
	}
	return 0;
}

int
guest_image_submit(struct psp *psp, uint32_t handle,
    const struct guest_image *image, struct err *err)
{
	uint8_t table[GUEST_IMAGE_HASHES_LEN];
	struct guest_image_ovmf ovmf;
	enum psp_guest_phase phase;
	uint32_t policy;

	if (guest_image_ovmf(&ovmf, image->firmware, err) != 0 ||
	    judge(psp_guest_status(&phase, &policy, psp, handle),
		"GUEST_STATUS", err) != 0 ||
	    judge(psp_launch_update_data(psp, handle, image->firmware),
		"LAUNCH_UPDATE_DATA", err) != 0)
		return -1;
	if (image->kernel_hashes && image->kernel.len > 0) {
		if (ovmf.hashes.base == 0 ||
		    ovmf.hashes.size < GUEST_IMAGE_HASHES_LEN)
			return err_set(err, ERR_UNSUPPORTED,
			    "the firmware has no area for kernel hashes");
		if (guest_image_hashes(table, image, err) != 0 ||
		    judge(psp_launch_update_data(
			      psp, handle, span_of(table, sizeof(table))),
			"LAUNCH_UPDATE_DATA", err) != 0)
			return -1;
	}
	if ((policy & PSP_POLICY_ES) != 0)
		return submit_vmsas(psp, handle, image, ovmf.reset, err);
	return 0;
}
