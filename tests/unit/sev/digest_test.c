#include "tests/unit/sev/fixture.h"

#include <stdlib.h>
#include <string.h>

static struct fixture fw;
static struct sev_kernel_hashes hashes;

static int
setup(void **state)
{
	(void)state;
	fw = fixture_load("firmware/synthetic-fw-a.bin");
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	fixture_free(&fw);
	return 0;
}

static struct sev_launch
es_launch(uint32_t cpus)
{
	struct sev_launch in = { .firmware = fixture_span(&fw),
		.policy = 5,
		.vcpus = { .source = SEV_VCPU_SIGNATURE,
		    .count = cpus,
		    .signature = 0xa00f11 } };

	return in;
}

static void
refuses_launches_that_cannot_be(void **state)
{
	static uint8_t page[SEV_VMSA_LEN + 1];
	static const struct {
		const char *name;
		const char *firmware; /* NULL: synthetic-fw-a */
		bool kernel;
		uint32_t policy;
		enum sev_vcpu_source source;
		uint32_t count;
		size_t vmsa0, vmsa1;
		enum err_code code;
		const char *says;
	} bad[] = {
		{ "no hash area", "ovmf_OvmfX64_suffix.bin", true, 1,
		    SEV_VCPU_NONE, 0, 0, 0, ERR_UNSUPPORTED,
		    "no area for kernel hashes" },
		{ "ES without vCPUs", NULL, false, 4, SEV_VCPU_NONE, 1, 0, 0,
		    ERR_UNSUPPORTED, "CPU model or VMSA files" },
		{ "ES without a number", NULL, false, 4, SEV_VCPU_SIGNATURE, 0,
		    0, 0, ERR_UNSUPPORTED, "number is needed" },
		{ "too many", NULL, false, 4, SEV_VCPU_SIGNATURE, 4097, 0, 0,
		    ERR_LIMIT, "4097 vCPUs, at most 4096" },
		{ "2^32 - 1", NULL, false, 4, SEV_VCPU_SIGNATURE, UINT32_MAX, 0,
		    0, ERR_LIMIT, "at most 4096" },
		{ "no VMSA of vCPU 1", NULL, false, 4, SEV_VCPU_FILES, 2, 4096,
		    0, ERR_UNSUPPORTED, "VMSA of vCPU 1" },
		{ "short VMSA", NULL, false, 4, SEV_VCPU_FILES, 1, 4095, 0,
		    ERR_MALFORMED, "vCPU 0 has 4095 bytes" },
		{ "long VMSA", NULL, false, 4, SEV_VCPU_FILES, 2, 4096, 4097,
		    ERR_MALFORMED, "vCPU 1 has 4097 bytes" },
		{ "no VMSA", NULL, false, 4, SEV_VCPU_FILES, 1, 0, 0,
		    ERR_MALFORMED, "vCPU 0 has 0 bytes" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		struct fixture other =
		    fixture_load("firmware/ovmf_OvmfX64_suffix.bin");
		struct sev_launch in = {
			.firmware = fixture_span(
			    bad[i].firmware != NULL ? &other : &fw),
			.kernel = bad[i].kernel ? &hashes : NULL,
			.policy = bad[i].policy,
			.vcpus = { .source = bad[i].source,
			    .count = bad[i].count,
			    .vmsa0 = span_of(page, bad[i].vmsa0),
			    .vmsa1 = span_of(page, bad[i].vmsa1) },
		};
		uint8_t out[SEV_SHA256_LEN];
		struct err err = { ERR_NONE, "" };

		if (sev_digest_launch(out, &in, &err) == 0)
			fail_msg("%s: accepted", bad[i].name);
		fixture_says(bad[i].name, &err, bad[i].says);
		assert_int_equal(err.code, bad[i].code);
		fixture_free(&other);
	}
}

static void
refuses_firmware_that_is_none(void **state)
{
	struct sev_launch in = { .policy = 1 };
	uint8_t out[SEV_SHA256_LEN], text[100] = "no table at all";
	struct err err = { ERR_NONE, "" };

	(void)state;
	assert_int_equal(sev_digest_launch(out, &in, &err), -1);
	fixture_says("empty", &err, "firmware of 0 bytes");
	/* Without a table it is measured, but takes no kernel and one vCPU. */
	in.firmware = span_of(text, sizeof(text));
	assert_int_equal(sev_digest_launch(out, &in, &err), 0);
	in.kernel = &hashes;
	assert_int_equal(sev_digest_launch(out, &in, &err), -1);
	fixture_says("kernel", &err, "no area for kernel hashes");
	in = es_launch(1);
	in.firmware = span_of(text, sizeof(text));
	assert_int_equal(sev_digest_launch(out, &in, &err), 0);
	in.vcpus.count = 2;
	assert_int_equal(sev_digest_launch(out, &in, &err), -1);
	fixture_says("two", &err, "SEV-ES reset vector");
}

static void
many_counts_are_as_one_by_one(void **state)
{
	static const uint32_t counts[] = { 64, 1, 2, 17, 2, 3 };
	uint8_t many[6][SEV_SHA256_LEN], one[SEV_SHA256_LEN];
	struct sev_launch in = es_launch(0);

	(void)state;
	assert_int_equal(sev_digest_launches(many, &in, counts, 6, NULL), 0);
	for (size_t i = 0; i < 6; i++) {
		in = es_launch(counts[i]);
		assert_int_equal(sev_digest_launch(one, &in, NULL), 0);
		assert_memory_equal(one, many[i], SEV_SHA256_LEN);
	}
	assert_memory_not_equal(many[0], many[1], SEV_SHA256_LEN);
	/* Plain SEV does not measure them. */
	in.policy = 1;
	assert_int_equal(sev_digest_launches(many, &in, counts, 6, NULL), 0);
	assert_memory_equal(many[0], many[1], SEV_SHA256_LEN);
}

static void
files_are_as_built_pages(void **state)
{
	uint8_t bsp[SEV_VMSA_LEN], ap[SEV_VMSA_LEN];
	uint8_t built[SEV_SHA256_LEN], given[SEV_SHA256_LEN];
	struct sev_launch in = es_launch(3);

	(void)state;
	assert_int_equal(sev_digest_launch(built, &in, NULL), 0);
	sev_vmsa_bsp(bsp, 0xa00f11, SEV_VMSA_LEGACY);
	sev_vmsa_ap(ap, 0xa00f11, SEV_VMSA_LEGACY, 0x80b004);
	in.vcpus.source = SEV_VCPU_FILES;
	in.vcpus.vmsa0 = span_of(bsp, sizeof(bsp));
	in.vcpus.vmsa1 = span_of(ap, sizeof(ap));
	assert_int_equal(sev_digest_launch(given, &in, NULL), 0);
	assert_memory_equal(built, given, SEV_SHA256_LEN);
}

static void
cmdline_ends_with_a_nul(void **state)
{
	uint8_t a[SEV_SHA256_LEN], b[SEV_SHA256_LEN];
	struct err err = { ERR_NONE, "" };

	(void)state;
	assert_int_equal(sev_hash_table_cmdline(a, span_of(NULL, 0), NULL), 0);
	assert_int_equal(sev_hash_sha256(b, span_of("", 1), NULL), 0);
	assert_memory_equal(a, b, sizeof(a));
	assert_int_equal(sev_hash_table_cmdline(a, span_str("ro"), NULL), 0);
	assert_int_equal(sev_hash_sha256(b, span_of("ro", 3), NULL), 0);
	assert_memory_equal(a, b, sizeof(a));
	assert_int_equal(
	    sev_hash_table_cmdline(a, span_of("ro\0x", 4), &err), -1);
	fixture_says("NUL", &err, "NUL inside");
}

static void
refuses_firmware_over_the_limit(void **state)
{
	size_t len = SEV_OVMF_LEN_MAX + 1;
	uint8_t *image = calloc(1, len), digest[SEV_SHA256_LEN];
	struct sev_launch in = { .firmware = span_of(image, len), .policy = 1 };
	struct err err = { ERR_NONE, "" };

	(void)state;
	assert_non_null(image);
	assert_int_equal(sev_digest_launch(digest, &in, &err), -1);
	fixture_says("64 MiB and 1", &err, "want 1 to 67108864");
	free(image);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(refuses_launches_that_cannot_be),
		cmocka_unit_test(refuses_firmware_over_the_limit),
		cmocka_unit_test(refuses_firmware_that_is_none),
		cmocka_unit_test(many_counts_are_as_one_by_one),
		cmocka_unit_test(files_are_as_built_pages),
		cmocka_unit_test(cmdline_ends_with_a_nul),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
