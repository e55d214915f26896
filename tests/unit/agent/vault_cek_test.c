#include "tests/unit/agent/lab.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "agent/blocklist.h"

/* CEKs that the key server gave, CEKs that are blocked, and the VM's time. */

static void
unsigned_cek(struct vault_launch *m, const struct lab *l)
{
	struct secret cek = { 0 };

	lab_message(m, l);
	lab_file(&cek, "certs/synthetic-a/cek-unsigned.cert");
	assert_int_equal(cek.len, SEV_CERT_LEN);
	memcpy(m->chain + (size_t)2 * SEV_CERT_LEN, cek.ptr, cek.len);
	secret_free(&cek);
	m->has_cpu_id = true;
	memcpy(m->cpu_id, l->platform.chip_id, sizeof(m->cpu_id));
}

static int
put(struct lab *l, const char *fixture, const uint8_t *cpu_id, struct err *err)
{
	struct secret cert = { 0 };
	int rc;

	lab_file(&cert, fixture);
	assert_int_equal(vault_begin(l->vault, err), 0);
	rc = vault_put_cek(l->vault, cpu_id, secret_span(&cert), err);
	assert_int_equal(vault_commit(l->vault, NULL), 0);
	secret_free(&cert);
	return rc;
}

static void
fetched_cek(void **state)
{
	struct vault_launch_answer a;
	struct err err = { 0 };
	struct vault_launch m;
	struct lab l;

	(void)state;
	lab_open(&l);
	lab_register(&l, "web1", NULL);
	unsigned_cek(&m, &l);
	lab_launch(&a, &l, &m);
	lab_outcome(a.outcome, VAULT_NO_CEK);
	assert_true(a.wants_cek);
	assert_int_equal(a.retry_after_s, VAULT_FETCH_RETRY_S);

	/* Without a chip id nobody can fetch it. */
	m.has_cpu_id = false;
	lab_launch(&a, &l, &m);
	lab_outcome(a.outcome, VAULT_NO_CEK);
	assert_false(a.wants_cek);
	m.has_cpu_id = true;

	assert_int_equal(
	    put(&l, "certs/synthetic-a/cek.cert", m.cpu_id, &err), 0);
	assert_string_equal(l.last.event, "cek");
	lab_launch(&a, &l, &m);
	lab_outcome(a.outcome, VAULT_OK);

	/* For good: after a restart, too, and once only. */
	lab_reopen(&l);
	lab_launch(&a, &l, &m);
	lab_outcome(a.outcome, VAULT_OK);
	l.lines = 0;
	assert_int_equal(
	    put(&l, "certs/synthetic-a/cek.cert", m.cpu_id, &err), 0);
	assert_int_equal(l.lines, 0);
	lab_close(&l);
}

/* A key server that lies gets nothing into the store. */
static void
lies(void **state)
{
	static const struct {
		const char *fixture;
		const char *says;
	} bad[] = {
		{ "certs/synthetic-a/cek-unsigned.cert", "no trusted ASK" },
		{ "certs/synthetic-a/pek.cert", "want CEK" },
		{ "certs/synthetic-a/oca.cert", "want CEK" },
		{ "certs/synthetic-a/ask.cert", "bytes" },
		{ "SOURCES.md", "bytes" },
	};
	struct vault_launch_answer a;
	struct vault_launch m;
	struct lab l;
	size_t i;

	(void)state;
	lab_open(&l);
	lab_register(&l, "web1", NULL);
	unsigned_cek(&m, &l);
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct err err = { 0 };

		assert_int_equal(put(&l, bad[i].fixture, m.cpu_id, &err), -1);
		if (strstr(err.msg, bad[i].says) == NULL)
			fail_msg("%s: %s", bad[i].fixture, err.msg);
	}
	lab_launch(&a, &l, &m);
	lab_outcome(a.outcome, VAULT_NO_CEK);
	lab_close(&l);
}

/* Without a VM whose root has signed it, a foreign CEK is nobody's. */
static void
foreign_root(void **state)
{
	struct err err = { 0 };
	struct vault_launch m;
	struct lab l;

	(void)state;
	lab_open(&l);
	unsigned_cek(&m, &l);
	assert_int_equal(
	    put(&l, "certs/synthetic-a/cek.cert", m.cpu_id, &err), -1);
	assert_int_equal(put(&l, "certs/naples/cek.cert", m.cpu_id, &err), 0);
	lab_close(&l);
}

/* One came for this chip, and is another's: the host lies, or the key server
 * does.  Refused, but the server is asked again, ever less. */
static void
other_chip(void **state)
{
	static const int64_t waits[] = { 600000, 1200000, 2400000, 3600000,
		3600000 };
	struct vault_launch_answer a;
	struct err err = { 0 };
	struct vault_launch m;
	struct lab l;
	size_t i;

	(void)state;
	lab_open(&l);
	lab_register(&l, "web1", NULL);
	unsigned_cek(&m, &l);
	for (i = 0; i < sizeof(waits) / sizeof(waits[0]); i++) {
		assert_int_equal(
		    put(&l, "certs/synthetic-a/cek-other-chip.cert", m.cpu_id,
			&err),
		    0);
		lab_launch(&a, &l, &m);
		lab_outcome(a.outcome, VAULT_REFUSED);
		assert_false(a.wants_cek);
		assert_non_null(strstr(l.last.detail, "another CEK"));
		l.boot_ms += waits[i] - 1;
		lab_launch(&a, &l, &m);
		lab_outcome(a.outcome, VAULT_REFUSED);
		l.boot_ms++;
		lab_launch(&a, &l, &m);
		lab_outcome(a.outcome, VAULT_NO_CEK);
		assert_true(a.wants_cek);
	}
	/* The right one counts at once; what else a host says of that chip
	 * does it no harm. */
	assert_int_equal(
	    put(&l, "certs/synthetic-a/cek.cert", m.cpu_id, &err), 0);
	lab_launch(&a, &l, &m);
	lab_outcome(a.outcome, VAULT_OK);
	lab_close(&l);
}

/* A disk that was full for a moment: what was lost may be fetched again. */
static void
lost_batch(void **state)
{
	struct rlimit was, none;
	struct secret cert = { 0 };
	struct vault_launch_answer a;
	struct err err = { 0 };
	struct vault_launch m;
	struct lab l;

	(void)state;
	lab_open(&l);
	lab_register(&l, "web1", NULL);
	unsigned_cek(&m, &l);
	lab_file(&cert, "certs/synthetic-a/cek.cert");
	(void)signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &was), 0);
	none = was;
	none.rlim_cur = 0;
	assert_int_equal(vault_begin(l.vault, &err), 0);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &none), 0);
	(void)vault_put_cek(l.vault, m.cpu_id, secret_span(&cert), &err);
	assert_int_equal(vault_commit(l.vault, &err), -1);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &was), 0);
	secret_free(&cert);

	lab_launch(&a, &l, &m);
	lab_outcome(a.outcome, VAULT_NO_CEK);
	assert_true(a.wants_cek);
	assert_int_equal(
	    put(&l, "certs/synthetic-a/cek.cert", m.cpu_id, &err), 0);
	lab_launch(&a, &l, &m);
	lab_outcome(a.outcome, VAULT_OK);
	lab_close(&l);
}

/* The vault remembers of so many chips what came for them. */
static void
many_chips(void **state)
{
	struct vault_launch_answer a;
	struct err err = { 0 };
	struct vault_launch m;
	struct lab l;
	size_t i;

	(void)state;
	lab_open(&l);
	lab_register(&l, "web1", NULL);
	unsigned_cek(&m, &l);
	for (i = 0; i < 65; i++) {
		m.cpu_id[0] = (uint8_t)i;
		l.boot_ms++;
		assert_int_equal(
		    put(&l, "certs/synthetic-a/cek-other-chip.cert", m.cpu_id,
			&err),
		    0);
	}
	for (i = 0; i < 65; i++) {
		m.cpu_id[0] = (uint8_t)i;
		lab_launch(&a, &l, &m);
		lab_outcome(a.outcome, i == 0 ? VAULT_NO_CEK : VAULT_REFUSED);
		l.boot_ms += 1000; /* refusals are few in a minute */
	}
	lab_close(&l);
}

static void
block(struct lab *l, const struct uuid *vm, const struct sev_cert *cek,
    size_t count)
{
	uint8_t keys[2][SEV_SHA256_LEN] = { { 1 } };
	struct err err = { 0 };

	assert_int_equal(sev_cert_fingerprint(keys[1], cek, &err), 0);
	assert_int_equal(vault_begin(l->vault, &err), 0);
	assert_int_equal(vault_set_blocked(l->vault, vm,
			     span_of(keys[0], count * SEV_SHA256_LEN), &err),
	    0);
	assert_int_equal(vault_commit(l->vault, &err), 0);
}

static void
expect(struct lab *l, const struct vault_launch *m, enum vault_outcome want)
{
	struct vault_launch_answer a;

	lab_launch(&a, l, m);
	lab_outcome(a.outcome, want);
}

/* And the CEK of its machine, as AMD signed it, in ${bytes}. */
static void
open_with_cek(struct lab *l, struct secret *bytes, struct sev_cert *cek)
{
	struct err err = { 0 };

	lab_open(l);
	lab_file(bytes, "certs/synthetic-a/cek.cert");
	assert_int_equal(sev_cert_parse(cek, secret_span(bytes), &err), 0);
}

/* T2: for all VMs or for one, at once, and across restarts. */
static void
block_lists(void **state)
{
	static const char *const listed[] = { "cek-blocklist", "/dev/null",
		NULL };
	struct err err = { 0 };
	struct secret cert = { 0 };
	struct sev_cert cek;
	struct vault_launch m;
	struct lab l;

	(void)state;
	open_with_cek(&l, &cert, &cek);
	lab_register(&l, "web1", NULL);
	lab_message(&m, &l);
	expect(&l, &m, VAULT_OK);
	block(&l, NULL, &cek, 1);
	expect(&l, &m, VAULT_OK);
	block(&l, NULL, &cek, 2);
	assert_int_equal(vault_blocked_count(l.vault), 2);
	expect(&l, &m, VAULT_REFUSED);
	assert_non_null(strstr(l.last.detail, "block-list"));
	lab_reopen(&l);
	expect(&l, &m, VAULT_REFUSED);
	block(&l, NULL, &cek, 0);
	expect(&l, &m, VAULT_OK);

	/* One that has a list of its own, which must have been read. */
	lab_register(&l, "web2", listed);
	lab_message(&m, &l);
	expect(&l, &m, VAULT_REFUSED);
	assert_non_null(strstr(l.last.detail, "never read"));
	block(&l, &l.vm, &cek, 0);
	expect(&l, &m, VAULT_OK);
	block(&l, &l.vm, &cek, 2);
	lab_reopen(&l);
	expect(&l, &m, VAULT_REFUSED);
	assert_int_equal(vault_begin(l.vault, &err), 0);
	assert_int_equal(
	    vault_set_blocked(l.vault, NULL, span_of(cert.ptr, 33), &err), -1);
	assert_int_equal(vault_remove(l.vault, &l.vm, &err), 0);
	assert_int_equal(vault_commit(l.vault, &err), 0);
	lab_reopen(&l); /* no list without its VM */
	secret_free(&cert);
	lab_close(&l);
}

/* A launch that began before is over; a secret that went out is out. */
static void
blocked_meanwhile(void **state)
{
	struct vault_launch_answer a;
	struct vault_validate_answer v;
	struct vault_validate mine, other, out;
	struct secret cert = { 0 };
	struct sev_cert cek;
	struct uuid first;
	struct lab l;

	(void)state;
	open_with_cek(&l, &cert, &cek);
	lab_register(&l, "web1", NULL);
	first = l.vm;
	(void)lab_begin(&l, &a, &out);
	lab_validate(&v, &l, &out);
	lab_outcome(v.outcome, VAULT_OK);
	(void)lab_begin(&l, &a, &mine);
	mine.has_session_id = true;
	mine.session_id = a.session_id;
	lab_register(&l, "web2", NULL);
	(void)lab_begin(&l, &a, &other);
	lab_reopen(&l);
	block(&l, NULL, &cek, 1);
	block(&l, &first, &cek, 2);
	assert_string_equal(l.last.event, "cancelled");
	assert_non_null(strstr(l.last.detail, "block-list"));
	lab_validate(&v, &l, &mine);
	lab_outcome(v.outcome, VAULT_CLOSED);
	lab_validate(&v, &l, &out);
	lab_outcome(v.outcome, VAULT_OK);
	lab_validate(&v, &l, &other);
	lab_outcome(v.outcome, VAULT_OK);
	(void)lab_begin(&l, &a, &other);
	other.has_session_id = true;
	other.session_id = a.session_id;
	block(&l, NULL, &cek, 2);
	lab_validate(&v, &l, &other);
	lab_outcome(v.outcome, VAULT_CLOSED);
	secret_free(&cert);
	lab_close(&l);
}

/* The CEK that a host shows counts by its point, where AMD's signed one stands
 * in for it: another algorithm in it does not make another chip. */
static void
blocked_by_point(void **state)
{
	const char *const more[] = { "cek",
		lab_fixture("certs/synthetic-a/cek.cert"), NULL };
	struct secret cert = { 0 };
	struct sev_cert cek;
	struct vault_launch m;
	struct lab l;

	(void)state;
	open_with_cek(&l, &cert, &cek);
	lab_register(&l, "web1", more);
	unsigned_cek(&m, &l);
	m.chain[(size_t)2 * SEV_CERT_LEN + 12] = 0x55;
	expect(&l, &m, VAULT_OK);
	block(&l, NULL, &cek, 1);
	assert_string_equal(l.last.event, "blocklist");
	block(&l, NULL, &cek, 2);
	assert_string_equal(l.last.event, "cancelled");
	secret_free(&cert);
	lab_close(&l);
}

#define ONE "5e090f7930b36c6e13ae1901f3692d2a2ab561f7b0fdf6d466e5d825fbba29e5"

static void
block_list_files(void **state)
{
	static const struct {
		const char *text;
		size_t count;
		const char *says;
	} files[] = {
		{ "", 0, NULL },
		{ "\n\n# nobody\n  \t\r\n", 0, NULL },
		{ ONE, 1, NULL },
		{ ONE "\n" ONE "\r\n", 2, NULL },
		{ " " ONE "\t# leaked\n#" ONE, 1, NULL },
		{ "# a\nbogus\n", 0, "line 2" },
		{ ONE "00\n", 0, "line 1" },
		{ ONE " " ONE, 0, "line 1" },
		{ "\n\n5e", 0, "line 3" },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		size_t len = strlen(files[i].text);
		uint8_t *exact = malloc(len > 0 ? len : 1);
		struct secret keys = { 0 };
		struct err err = { 0 };
		int rc;

		assert_non_null(exact);
		memcpy(exact, files[i].text, len);
		rc = blocklist_parse(&keys, span_of(exact, len), &err);
		assert_int_equal(rc, files[i].says == NULL ? 0 : -1);
		if (files[i].says != NULL &&
		    strstr(err.msg, files[i].says) == NULL)
			fail_msg("%s", err.msg);
		assert_int_equal(keys.len, files[i].count * SEV_SHA256_LEN);
		secret_free(&keys);
		free(exact);
	}
}

static void
time_window(void **state)
{
	static const char *const window[] = { "valid-from", "2027-01-15",
		"valid-until", "2027-01-16T12:00:00Z", NULL };
	const int64_t from = INT64_C(1799971200000);
	const int64_t until = from + INT64_C(36) * 3600 * 1000;
	struct vault_launch_answer a;
	struct vault_validate_answer v;
	struct vault_validate in;
	struct vault_launch m;
	struct lab l;

	(void)state;
	lab_open(&l);
	lab_register(&l, "web1", window);
	lab_message(&m, &l);
	l.wall_ms = from - 1;
	expect(&l, &m, VAULT_REFUSED);
	l.wall_ms = from;
	expect(&l, &m, VAULT_OK);
	l.wall_ms = until - 1;
	(void)lab_begin(&l, &a, &in);
	/* It ended between the two calls. */
	l.wall_ms = until;
	lab_validate(&v, &l, &in);
	lab_outcome(v.outcome, VAULT_REFUSED);
	assert_non_null(strstr(l.last.detail, "ended at 2027-01-16T12:00"));
	expect(&l, &m, VAULT_REFUSED);
	lab_close(&l);
}

static void
cpu_counts(void **state)
{
	static const char *const two[] = { "cpus", "2,4", NULL };
	struct vault_launch m;
	struct lab l;

	(void)state;
	lab_open(&l);
	lab_register(&l, "web1", two);
	lab_message(&m, &l);
	expect(&l, &m, VAULT_OK); /* not told: the measurement decides */
	m.hints.cpus = 4;
	expect(&l, &m, VAULT_OK);
	m.hints.cpus = 3;
	expect(&l, &m, VAULT_MISMATCH);
	lab_close(&l);
}

/* docs/protocol.md 6: the owner ends an open session, and no other. */
static void
cancelled(void **state)
{
	struct vault_launch_answer a;
	struct vault_validate_answer v;
	struct vault_validate m;
	struct err err = { 0 };
	struct uuid none = { { 1 } };
	struct lab l;
	int rc;

	(void)state;
	lab_open(&l);
	lab_register(&l, "web1", NULL);
	(void)lab_begin(&l, &a, &m);
	m.has_session_id = true;
	m.session_id = a.session_id;
	assert_int_equal(vault_begin(l.vault, &err), 0);
	assert_int_equal(vault_cancel(l.vault, &none, &err), -1);
	assert_int_equal(err.code, ERR_NOT_FOUND);
	assert_int_equal(vault_cancel(l.vault, &a.session_id, &err), 0);
	assert_int_equal(vault_commit(l.vault, &err), 0);
	assert_string_equal(l.last.event, "cancelled");
	lab_validate(&v, &l, &m);
	lab_outcome(v.outcome, VAULT_CLOSED);
	lab_reopen(&l);
	lab_validate(&v, &l, &m);
	lab_outcome(v.outcome, VAULT_CLOSED);
	/* One that was released is the host's to ask for again. */
	(void)lab_begin(&l, &a, &m);
	lab_validate(&v, &l, &m);
	lab_outcome(v.outcome, VAULT_OK);
	assert_int_equal(vault_begin(l.vault, &err), 0);
	rc = vault_cancel(l.vault, &a.session_id, &err);
	assert_int_equal(vault_commit(l.vault, NULL), 0);
	assert_int_equal(rc, -1);
	assert_int_equal(err.code, ERR_CONFLICT);
	lab_close(&l);
}

/* T2: a genuine chain of AMD's, of a cloud that is trusted, and yet denied
 * where nothing is said of its generation. */
static void
naples(void **state)
{
	struct vault_launch_answer a;
	struct secret chain = { 0 };
	struct vault_launch m;
	struct lab l;
	int i;

	(void)state;
	lab_open(&l);
	lab_file(&chain, "certs/naples/chain-full.bin");
	for (i = 0; i < 2; i++) {
		const char *const more[] = { "cloud-cert",
			lab_fixture("certs/naples/oca.cert"),
			i == 0 ? NULL : "allow-naples", "", NULL };

		lab_register(&l, i == 0 ? "web1" : "web2", more);
		lab_message(&m, &l);
		memcpy(m.pdh, chain.ptr, SEV_CERT_LEN);
		memcpy(m.chain, chain.ptr + SEV_CERT_LEN, m.chain_len);
		lab_launch(&a, &l, &m);
		if (i == 0)
			assert_non_null(strstr(l.last.detail, "a naples part"));
		lab_outcome(a.outcome, i == 0 ? VAULT_REFUSED : VAULT_OK);
	}
	secret_free(&chain);
	lab_close(&l);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(fetched_cek),
	cmocka_unit_test(lies),
	cmocka_unit_test(foreign_root),
	cmocka_unit_test(other_chip),
	cmocka_unit_test(lost_batch),
	cmocka_unit_test(many_chips),
	cmocka_unit_test(block_lists),
	cmocka_unit_test(blocked_meanwhile),
	cmocka_unit_test(blocked_by_point),
	cmocka_unit_test(block_list_files),
	cmocka_unit_test(time_window),
	cmocka_unit_test(cpu_counts),
	cmocka_unit_test(cancelled),
	cmocka_unit_test(naples),
};

int
main(void)
{
	return cmocka_run_group_tests(tests, NULL, NULL);
}
