#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/psp/guest_image.h"
#include "tests/unit/psp/fixture.h"

static void
reads_real_firmware(void **state)
{
	static const struct {
		const char *path;
		struct guest_image_ovmf want;
	} rows[] = {
		{ "firmware/ovmf_AmdSev_suffix.bin",
		    { 0x80b004, { 0x810000, 0xc00 }, { 0x810c00, 0x400 } } },
		{ "firmware/ovmf_OvmfX64_suffix.bin",
		    { 0x80b004, { 0 }, { 0 } } },
		{ "firmware/synthetic-fw-b.bin",
		    { 0x808004, { 0x80c000, 0xc00 }, { 0x80cc00, 0x400 } } },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct secret file = fixture_file(rows[i].path);
		struct guest_image_ovmf got;

		assert_int_equal(
		    guest_image_ovmf(&got, secret_span(&file), NULL), 0);
		if (memcmp(&got, &rows[i].want, sizeof(got)) != 0)
			fail_msg("%s: reset 0x%x, secret 0x%x, hashes 0x%x",
			    rows[i].path, got.reset, got.secret.base,
			    got.hashes.base);
		secret_free(&file);
	}
}

static void
refuses_broken_tables(void **state)
{
	static const struct {
		const char *name;
		uint16_t total, entry;
		const char *says;
	} bad[] = {
		{ "table shorter than its footer", 17, 0, "of 17 bytes" },
		{ "table over the start", 4065, 0, "firmware of 4096" },
		{ "entry under its head", 0, 17, "entry of 17 bytes" },
		{ "entry over the start", 0, 4000, "entry of 4000 bytes" },
	};
	struct secret file = fixture_file("firmware/synthetic-fw-a.bin");

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		uint8_t *copy = fixture_exact(secret_span(&file));
		struct guest_image_ovmf got;
		struct err err = { 0 };

		if (bad[i].total != 0) {
			copy[file.len - 50] = (uint8_t)bad[i].total;
			copy[file.len - 49] = (uint8_t)(bad[i].total >> 8);
		} else {
			copy[file.len - 68] = (uint8_t)bad[i].entry;
			copy[file.len - 67] = (uint8_t)(bad[i].entry >> 8);
		}
		if (guest_image_ovmf(&got, span_of(copy, file.len), &err) ==
			0 ||
		    strstr(err.msg, bad[i].says) == NULL)
			fail_msg("%s: \"%s\"", bad[i].name, err.msg);
		free(copy);
	}
	secret_free(&file);
}

static void
says_nothing_of_other_files(void **state)
{
	static const uint8_t zeros[64];
	struct guest_image_ovmf got;

	(void)state;
	for (size_t len = 0; len <= sizeof(zeros); len++) {
		assert_int_equal(
		    guest_image_ovmf(&got, span_of(zeros, len), NULL), 0);
		assert_int_equal(got.reset, 0);
		assert_int_equal(got.secret.base, 0);
	}
}

/* Submit ${image} as a guest of ${policy}, whose outcome is ${want}. */
static void
submit(const struct guest_image *image, uint32_t policy, const char *says)
{
	struct psp_guest_state guest = { .phase = PSP_GUEST_LUPDATE,
		.policy = policy };
	struct psp_platform platform = { 0 };
	struct psp *psp = psp_new(&platform, NULL, NULL);
	struct err err = { 0 };
	uint32_t handle = 0;
	int rc;

	assert_int_equal(psp_init(psp), PSP_SUCCESS);
	assert_int_equal(psp_guest_restore(&handle, psp, &guest), PSP_SUCCESS);
	rc = guest_image_submit(psp, handle, image, &err);
	assert_int_equal(rc, says == NULL ? 0 : -1);
	if (says != NULL)
		assert_non_null(strstr(err.msg, says));
	psp_free(psp);
}

static void
refuses_what_qemu_refuses(void **state)
{
	struct secret plain = fixture_file("firmware/ovmf_OvmfX64_suffix.bin");
	static const uint8_t zeros[4096];
	struct guest_image image = { .firmware = secret_span(&plain),
		.kernel_hashes = true,
		.vcpus = 2 };

	(void)state;
	submit(&image, 3, NULL);
	submit(&image, 7, NULL);
	image.kernel = span_str("kernel");
	submit(&image, 3, "no area for kernel hashes");
	image.kernel_hashes = false;
	submit(&image, 3, NULL);
	image.firmware = span_of(zeros, sizeof(zeros));
	submit(&image, 3, NULL);
	submit(&image, 7, "no reset vector");
	image.vcpus = 1;
	submit(&image, 7, NULL);
	image.firmware = span_of(zeros, 4095);
	submit(&image, 3, "LAUNCH_UPDATE_DATA: firmware error 4");
	secret_free(&plain);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_real_firmware),
		cmocka_unit_test(refuses_broken_tables),
		cmocka_unit_test(says_nothing_of_other_files),
		cmocka_unit_test(refuses_what_qemu_refuses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
