/*
 * Every byte of the real Naples chain, flipped in each of its 8 bits, through
 * the whole of sev_chain_parse() and sev_chain_verify().  A byte may be free
 * only if no signature covers it and no signature that counts is in it; the
 * table below is all of those, and the test wants exactly them accepted, bit by
 * bit as well.
 * T1, T2 of docs/threat-model.md.
 */
#include "tests/unit/sev/fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define CERT(place) ((place)*SEV_CERT_LEN)
#define SLOT(n) (SEV_CERT_SIGNED_LEN + (n)*520)
#define EC_END 144  /* r and s; 368 reserved bytes follow in the field */
#define RSA_END 256 /* of a 2048-bit key; another 256 bytes follow */

/* Whole bytes that are free: [from, to). */
static const struct {
	const char *why;
	size_t from, to;
} free_bytes[] = {
	{ "PDH slot 1, behind s", CERT(0) + SLOT(0) + 8 + EC_END,
	    CERT(0) + SLOT(1) },
	{ "PDH slot 2, unused", CERT(0) + SLOT(1), CERT(1) },
	{ "PEK slot 1, behind s", CERT(1) + SLOT(0) + 8 + EC_END,
	    CERT(1) + SLOT(1) },
	{ "PEK slot 2, behind s", CERT(1) + SLOT(1) + 8 + EC_END, CERT(2) },
	{ "OCA slot 1, behind s", CERT(2) + SLOT(0) + 8 + EC_END,
	    CERT(2) + SLOT(1) },
	{ "OCA slot 2, unused", CERT(2) + SLOT(1), CERT(3) },
	{ "CEK slot 1, behind the signature", CERT(3) + SLOT(0) + 8 + RSA_END,
	    CERT(3) + SLOT(1) },
	{ "CEK slot 2, unused", CERT(3) + SLOT(1), CERT(4) },
};

/* The fixture's unused slots are what the table says they are. */
static void
check_slots(const struct fixture *good)
{
	static const struct {
		enum sev_place place;
		uint32_t usage[2];
	} want[] = {
		{ SEV_PDH, { SEV_USAGE_PEK, SEV_USAGE_NONE } },
		{ SEV_PEK, { SEV_USAGE_OCA, SEV_USAGE_CEK } },
		{ SEV_OCA, { SEV_USAGE_OCA, SEV_USAGE_NONE } },
		{ SEV_CEK, { SEV_USAGE_ASK, SEV_USAGE_NONE } },
	};
	struct span in = fixture_span(good);
	struct sev_chain chain;

	assert_int_equal(sev_chain_parse(&chain, &in, 1, NULL), 0);
	for (size_t i = 0; i < 4; i++)
		for (size_t s = 0; s < 2; s++)
			assert_int_equal(chain.cert[want[i].place].sig[s].usage,
			    want[i].usage[s]);
}

static bool
is_free(size_t at)
{
	for (size_t i = 0; i < sizeof(free_bytes) / sizeof(*free_bytes); i++)
		if (at >= free_bytes[i].from && at < free_bytes[i].to)
			return true;
	return false;
}

static bool
accepts(const struct fixture *f)
{
	struct span in = fixture_span(f);
	struct sev_trust trust = { .want_ca = true };
	struct sev_chain chain;
	struct sev_verdict v;

	return sev_chain_parse(&chain, &in, 1, NULL) == 0 &&
	    sev_chain_verify(&v, &chain, &trust, NULL) == 0;
}

/* Every ${step}th byte from ${from}; the number of wrong verdicts. */
static int
flip_share(struct fixture *f, size_t from, size_t step)
{
	int wrong = 0;

	for (size_t at = from; at < f->len; at += step) {
		for (int bit = 0; bit < 8; bit++) {
			f->ptr[at] ^= (uint8_t)(1 << bit);
			if (accepts(f) != is_free(at)) {
				fprintf(stderr, "byte %zu bit %d: %s\n", at,
				    bit, is_free(at) ? "refused" : "accepted");
				wrong++;
			}
			f->ptr[at] ^= (uint8_t)(1 << bit);
		}
	}
	return wrong;
}

static void
every_flip_is_noticed(void **state)
{
	struct fixture f = fixture_load("certs/naples/chain-full.bin");
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	size_t shares = cpus < 1 ? 1 : cpus > 16 ? 16 : (size_t)cpus;

	(void)state;
	check_slots(&f);
	assert_true(accepts(&f));
	for (size_t i = 0; i < shares; i++) {
		pid_t pid = fork();

		assert_true(pid >= 0);
		if (pid == 0)
			_exit(flip_share(&f, i, shares) == 0 ? 0 : 1);
	}
	for (size_t i = 0; i < shares; i++) {
		int status;

		assert_true(wait(&status) > 0);
		assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	}
	fixture_free(&f);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_flip_is_noticed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
