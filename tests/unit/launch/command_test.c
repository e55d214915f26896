#include "launch/command.h"

#include "tests/unit/common/exact.h"

static size_t
count(char *const *argv)
{
	size_t n = 0;

	while (argv[n] != NULL)
		n++;
	return n;
}

#define LINE(...)                                                              \
	{                                                                      \
		"qemu-system-x86_64", __VA_ARGS__, NULL                        \
	}

static void
lines_that_cannot_be(void **state)
{
	static const struct {
		const char *argv[6];
		const char *says;
	} bad[] = {
		{ LINE("-object", "sev-guest,id=x"), "-object sev-guest" },
		{ LINE("--object", "sev-guest,id=x"), "-object sev-guest" },
		{ LINE("-object", "sev-snp-guest,id=x"), "SEV-SNP" },
		{ LINE("-object", "tdx-guest,id=x"), "TDX" },
		{ LINE("-machine", "q35,confidential-guest-support=x"),
		    "confidential-guest-support" },
		{ LINE("-M", "q35,memory-encryption=x"), "memory-encryption" },
		{ LINE("-M", "q35,accel=tcg"), "SEV needs KVM" },
		{ LINE("-machine", "accel=xen"), "SEV needs KVM" },
		{ LINE("-accel", "tcg,thread=multi"), "SEV needs KVM" },
		{ LINE("-daemonize"), "a child of attest-launch" },
		{ LINE("--daemonize"), "a child of attest-launch" },
		{ LINE("-incoming", "tcp::1"), "migrates" },
		{ LINE("-loadvm", "x"), "snapshot" },
		{ LINE("-runas", "nobody"), "as that user" },
		{ LINE("-run-with", "user=nobody"), "as that user" },
		{ LINE("-preconfig"), "complete" },
		{ LINE("-readconfig", "x"), "all of the line" },
	};
	struct err err = { 0 };

	(void)state;
	for (size_t i = 0; i < COUNT(bad); i++) {
		char *const *argv = (char *const *)(uintptr_t)bad[i].argv;

		assert_int_equal(command_check(argv, count(argv), &err), -1);
		assert_int_equal(err.code, ERR_USAGE);
		assert_says(bad[i].says, err.msg, bad[i].says);
	}
	assert_int_equal(command_check(NULL, 0, &err), -1);
	assert_says("empty", err.msg, "after --");
}

static bool
has(const struct command *c, const char *word)
{
	for (size_t i = 0; i < c->count; i++)
		if (strcmp(c->argv[i], word) == 0)
			return true;
	return false;
}

static void
build(struct command *out, const char *const *line, bool hashes)
{
	char *const *argv = (char *const *)(uintptr_t)line;
	struct command_sev sev = { .cbitpos = 51,
		.reduced_phys_bits = 1,
		.policy = 5,
		.kernel_hashes = hashes,
		.owner_cert_fd = 7,
		.session_fd = 8 };
	struct err err = { 0 };

	assert_int_equal(command_check(argv, count(argv), &err), 0);
	assert_int_equal(
	    command_guest(out, line, count(argv), &sev, 9, &err), 0);
	assert_null(out->argv[out->count]);
}

static void
a_guest_is_paused_and_encrypted(void **state)
{
	static const char *const line[] = LINE("-machine", "q35", "-smp", "2");
	struct command c;

	(void)state;
	build(&c, line, true);
	assert_string_equal(c.argv[0], "qemu-system-x86_64");
	assert_true(has(&c, "-S"));
	assert_true(has(&c,
	    "sev-guest,id=attest-sev,cbitpos=51,reduced-phys-bits=1,"
	    "policy=0x5,dh-cert-file=/proc/self/fd/7,"
	    "session-file=/proc/self/fd/8,kernel-hashes=on"));
	assert_true(has(&c, "confidential-guest-support=attest-sev"));
	assert_true(has(&c, "socket,id=attest-qmp,fd=9"));
	/* sev-guest under TCG aborts QEMU. */
	assert_true(has(&c, "kvm"));
	command_free(&c);
	build(&c, line, false);
	assert_false(has(&c, "kernel-hashes=on"));
	command_free(&c);
	command_free(&c);
}

static void
a_guest_without_an_owner(void **state)
{
	static const char *const line[] = LINE("-machine", "q35");
	const struct command_sev sev = { .cbitpos = 47,
		.reduced_phys_bits = 5,
		.policy = 1,
		.owner_cert_fd = -1,
		.session_fd = -1 };
	struct command c;

	(void)state;
	assert_int_equal(command_guest(&c, line, 3, &sev, 9, NULL), 0);
	assert_true(has(&c,
	    "sev-guest,id=attest-sev,cbitpos=47,reduced-phys-bits=5,"
	    "policy=0x1"));
	command_free(&c);
}

static void
kvm_is_asked_for_once(void **state)
{
	static const char *const lines[][4] = {
		LINE("-enable-kvm"),
		LINE("-accel", "kvm"),
		LINE("-machine", "q35,accel=kvm"),
		LINE("-M", "accel=kvm:kvm"),
	};
	struct command c;

	(void)state;
	for (size_t i = 0; i < COUNT(lines); i++) {
		size_t found = 0;

		build(&c, lines[i], false);
		for (size_t k = 0; k < c.count; k++)
			found += strstr(c.argv[k], "kvm") != NULL;
		assert_int_equal(found, 1);
		command_free(&c);
	}
}

static void
a_probe_has_no_machine(void **state)
{
	struct err err = { 0 };
	struct command c;

	(void)state;
	assert_int_equal(command_probe(&c, "/opt/qemu", 5, &err), 0);
	assert_string_equal(c.argv[0], "/opt/qemu");
	assert_true(has(&c, "none,accel=kvm"));
	assert_true(has(&c, "socket,id=attest-qmp,fd=5"));
	command_free(&c);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines_that_cannot_be),
		cmocka_unit_test(a_guest_is_paused_and_encrypted),
		cmocka_unit_test(a_guest_without_an_owner),
		cmocka_unit_test(kvm_is_asked_for_once),
		cmocka_unit_test(a_probe_has_no_machine),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
