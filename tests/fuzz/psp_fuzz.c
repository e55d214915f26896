/* What the software secure processor reads from others: certificates and
 * sessions of owners, firmware tables, secret tables.  The first byte says
 * which. */
#include <stdlib.h>
#include <string.h>

#include "tests/psp/guest_image.h"
#include "tests/psp/platform_file.h"
#include "tests/psp/secret_table.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
start(struct span in)
{
	static struct psp_platform platform;
	struct psp *psp;
	struct reader r = reader_of(in);
	struct span godh = reader_take(&r, PSP_CERT_LEN);
	uint32_t handle = 0;

	if (platform.key[PSP_PDH] == NULL &&
	    psp_platform_file_load(
		&platform, FIXTURES "/certs/synthetic-a", NULL) != 0)
		abort();
	psp = psp_new(&platform, NULL, NULL);
	if (psp == NULL || psp_init(psp) != PSP_SUCCESS)
		abort();
	(void)psp_launch_start(&handle, psp, 1, godh, r.rest);
	psp_free(psp);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct guest_image_ovmf ovmf;
	struct span in, found = { 0 };
	uint8_t *copy;

	if (size == 0)
		return 0;
	copy = malloc(size - 1);
	if (copy == NULL && size > 1)
		return 0;
	/* Exactly as large, so that one byte too far is seen. */
	memcpy(copy, data + 1, size - 1);
	in = span_of(copy, size - 1);
	switch (data[0] % 3) {
	case 0:
		if (secret_table_find(&found, in, SECRET_TABLE_DISK, NULL) ==
			0 &&
		    (found.ptr < in.ptr ||
			found.ptr + found.len > in.ptr + in.len))
			abort();
		break;
	case 1:
		(void)guest_image_ovmf(&ovmf, in, NULL);
		break;
	default:
		start(in);
	}
	free(copy);
	return 0;
}
