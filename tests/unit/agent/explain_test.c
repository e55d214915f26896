#include "tests/unit/agent/lab.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The owner is told what would have matched; the host's answer is the same
 * whatever that is, and has left by then. */

static const char *const options[] = { "policy", "5", "cpus", "2", "cpu-model",
	"EPYC-Milan", NULL };

/* A measurement by the session's keys, of a guest with this digest. */
static void
measure(struct vault_validate *m, struct lab *l,
    const struct vault_launch_answer *a, const struct sev_launch *launch)
{
	uint8_t digest[SEV_SHA256_LEN];
	struct err err = { 0 };
	uint32_t guest;

	guest = lab_start(l, a);
	if (launch->kernel != NULL) {
		uint8_t table[SEV_HASH_TABLE_LEN];

		sev_hash_table_build(table, launch->kernel);
		assert_int_equal(psp_launch_update_data(l->psp, guest,
				     span_of(table, sizeof(table))),
		    0);
	}
	assert_int_equal(sev_digest_launch(digest, launch, &err), 0);
	lab_measure(m, l, guest);
}

static void
launch_es(struct lab *l, struct vault_launch_answer *a)
{
	struct vault_launch in;

	lab_message(&in, l);
	lab_launch(a, l, &in);
	lab_outcome(a->outcome, VAULT_OK);
}

/* Its save areas, measured one by one. */
static void
measure_vcpus(struct vault_validate *m, struct lab *l,
    const struct vault_launch_answer *a, unsigned count,
    enum sev_vmsa_variant variant, uint8_t features)
{
	uint32_t guest = lab_start(l, a);
	uint8_t page[SEV_VMSA_LEN];
	struct sev_ovmf ovmf;
	uint32_t signature;
	unsigned i;

	assert_int_equal(
	    sev_ovmf_parse(&ovmf, secret_span(&l->firmware), NULL), 0);
	assert_int_equal(
	    sev_vmsa_model_find(&signature, span_str("EPYC-Milan"), NULL), 0);
	for (i = 0; i < count; i++) {
		if (i == 0)
			sev_vmsa_bsp(page, signature, variant);
		else
			sev_vmsa_ap(page, signature, variant, ovmf.reset);
		page[SEV_VMSA_FEATURES] = features;
		assert_int_equal(psp_launch_update_vmsa(l->psp, guest,
				     span_of(page, sizeof(page))),
		    0);
	}
	lab_measure(m, l, guest);
}

static void
expect(struct lab *l, const struct vault_validate *m, const char *words)
{
	struct vault_validate_answer a;

	lab_validate(&a, l, m);
	lab_outcome(a.outcome, VAULT_MISMATCH);
	/* Not yet: the answer goes first. */
	assert_string_equal(l->last.event, "mismatch");
	assert_true(vault_is_due(l->vault));
	lab_sweep(l);
	assert_string_equal(l->last.event, "explain");
	if (strstr(l->last.detail, words) == NULL)
		fail_msg("\"%s\" does not say \"%s\"", l->last.detail, words);
	assert_false(vault_is_due(l->vault));
}

static void
vcpus(void **state)
{
	struct vault_launch_answer a;
	struct vault_validate_answer v;
	struct vault_validate m;
	struct lab l;

	(void)state;
	lab_open(&l);
	lab_register(&l, "web1", options);
	launch_es(&l, &a);
	measure_vcpus(&m, &l, &a, 4, SEV_VMSA_LEGACY, 0);
	expect(&l, &m,
	    "another number of vCPUs, with synthetic-fw-a.bin and "
	    "4 vCPUs");
	launch_es(&l, &a);
	measure_vcpus(&m, &l, &a, 2, SEV_VMSA_INIT2, 0);
	expect(&l, &m, "the init2 form");
	launch_es(&l, &a);
	measure_vcpus(&m, &l, &a, 2, SEV_VMSA_LEGACY, SEV_VMSA_DEBUG_SWAP);
	m.has_session_id = true;
	m.session_id = a.session_id;
	expect(&l, &m, "kvm_amd.debug_swap=0");
	assert_true(uuid_equal(&l.last.session, &a.session_id));
	launch_es(&l, &a);
	measure_vcpus(&m, &l, &a, 2, SEV_VMSA_INIT2, 0x40);
	expect(&l, &m, "none of the likely mistakes");
	/* And the right one is released, before and after. */
	launch_es(&l, &a);
	measure_vcpus(&m, &l, &a, 2, SEV_VMSA_LEGACY, 0);
	lab_validate(&v, &l, &m);
	lab_outcome(v.outcome, VAULT_OK);
	assert_false(vault_is_due(l.vault));
	lab_close(&l);
}

static void
kernels(void **state)
{
	const char *const with_kernel[] = { "kernel", lab_fixture("SOURCES.md"),
		"cmdline", "quiet", NULL };
	struct sev_launch launch = { .policy = 1 };
	struct sev_kernel_hashes hashes = { 0 };
	struct vault_launch_answer a;
	struct secret kernel = { 0 };
	struct vault_validate m;
	struct lab l;

	(void)state;
	lab_open(&l);
	lab_register(&l, "web1", with_kernel);
	launch.firmware = secret_span(&l.firmware);
	launch_es(&l, &a);
	measure(&m, &l, &a, &launch);
	expect(&l, &m, "kernel hashes are off");
	lab_file(&kernel, "SOURCES.md");
	assert_int_equal(
	    sev_hash_sha256(hashes.kernel, secret_span(&kernel), NULL), 0);
	assert_int_equal(
	    sev_hash_sha256(hashes.initrd, (struct span){ 0 }, NULL), 0);
	assert_int_equal(
	    sev_hash_table_cmdline(hashes.cmdline, span_str("quiet\n"), NULL),
	    0);
	launch.kernel = &hashes;
	launch_es(&l, &a);
	measure(&m, &l, &a, &launch);
	expect(&l, &m, "a newline behind the command line");

	secret_free(&kernel);
	lab_close(&l);
}

static void
another_vm(void **state)
{
	static const char *const line[] = { "cmdline", "quiet", NULL };
	const char *kernel_of[] = { "kernel", NULL, NULL, NULL, NULL };
	struct sev_launch launch = { .policy = 1 };
	struct sev_kernel_hashes hashes = { 0 };
	struct vault_launch_answer a;
	struct secret kernel = { 0 };
	struct vault_validate m;
	struct uuid web1;
	struct lab l;

	(void)state;
	lab_open(&l);
	kernel_of[1] = lab_fixture("SOURCES.md");
	kernel_of[2] = line[0];
	kernel_of[3] = line[1];
	lab_register(&l, "web1", kernel_of);
	web1 = l.vm;
	kernel_of[1] = lab_fixture("firmware/synthetic-fw-b.bin");
	kernel_of[2] = NULL;
	lab_register(&l, "web2", kernel_of);
	l.vm = web1;
	lab_file(&kernel, "firmware/synthetic-fw-b.bin");
	assert_int_equal(
	    sev_hash_sha256(hashes.kernel, secret_span(&kernel), NULL), 0);
	assert_int_equal(
	    sev_hash_sha256(hashes.initrd, (struct span){ 0 }, NULL), 0);
	assert_int_equal(
	    sev_hash_table_cmdline(hashes.cmdline, span_str(""), NULL), 0);
	launch.firmware = secret_span(&l.firmware);
	launch.kernel = &hashes;
	launch_es(&l, &a);
	measure(&m, &l, &a, &launch);
	expect(&l, &m, "what is registered for web2");
	secret_free(&kernel);
	lab_close(&l);
}

/* No kernel of either; the firmware that is named is the other VM's. */
static void
another_firmware(void **state)
{
	static const char firmware[] = "firmware/synthetic-fw-b.bin";
	const char *of_web2[] = { "firmware", NULL, NULL };
	struct vault_launch_answer a;
	struct vault_validate m;
	struct uuid web1;
	struct lab l;

	(void)state;
	lab_open(&l);
	lab_register(&l, "web1", NULL);
	web1 = l.vm;
	of_web2[1] = lab_fixture(firmware);
	lab_register(&l, "web2", of_web2);
	l.vm = web1;
	secret_free(&l.firmware);
	lab_file(&l.firmware, firmware);
	(void)lab_begin(&l, &a, &m);
	expect(&l, &m, "what is registered for web2: synthetic-fw-b.bin");
	lab_close(&l);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(vcpus),
	cmocka_unit_test(kernels),
	cmocka_unit_test(another_vm),
	cmocka_unit_test(another_firmware),
};

int
main(void)
{
	return cmocka_run_group_tests(tests, NULL, NULL);
}
