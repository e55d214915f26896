#include "tests/unit/sev/fixture.h"

#include <stdio.h>
#include <string.h>

#define N "certs/naples/"
#define FILES_MAX 6

/* Joins "a+b" into one blob, loads every blob of the list. */
static size_t
load(struct fixture *out, struct span *in, const char *const *files)
{
	size_t n = 0;

	for (; n < FILES_MAX && files[n] != NULL; n++) {
		char list[256], *save = NULL;

		snprintf(list, sizeof(list), "%s", files[n]);
		out[n] = fixture_of("", 0);
		for (char *f = strtok_r(list, "+", &save); f != NULL;
		     f = strtok_r(NULL, "+", &save)) {
			char path[300];

			snprintf(path, sizeof(path), N "%s", f);
			out[n] = fixture_join(out[n], fixture_load(path));
		}
		in[n] = fixture_span(&out[n]);
	}
	return n;
}

static void
accepts_every_sensible_split(void **state)
{
	static const struct {
		const char *name;
		const char *files[FILES_MAX];
		const char *has; /* one letter a place, '-' for none */
	} good[] = {
		{ "sevctl --full", { "chain-full.bin" }, "HPOCSR" },
		{ "sevctl", { "chain-sev.bin" }, "HPOC--" },
		{ "QEMU", { "pdh.cert", "cert-chain-unsigned-cek.bin" },
		    "HPOC--" },
		{ "QEMU, the other way round",
		    { "cert-chain-unsigned-cek.bin", "pdh.cert" }, "HPOC--" },
		{ "cert-chain with ASK and ARK",
		    { "pdh.cert",
			"pek.cert+oca.cert+cek.cert+ask.cert+ark.cert" },
		    "HPOCSR" },
		{ "one file each",
		    { "ark.cert", "pdh.cert", "pek.cert", "ask.cert",
			"cek.cert", "oca.cert" },
		    "HPOCSR" },
		{ "ASK+ARK as published",
		    { "chain-sev.bin", "ask_ark_naples-as-published.cert" },
		    "HPOCSR" },
		{ "PDH and a full export", { "pdh.cert", "chain-full.bin" },
		    "HPOCSR" },
		{ "ASK and a full export", { "ask.cert", "chain-full.bin" },
		    "HPOCSR" },
		{ "ARK and a full export", { "ark.cert", "chain-full.bin" },
		    "HPOCSR" },
		{ "gaps", { "pdh.cert+oca.cert", "pek.cert+cek.cert" },
		    "HPOC--" },
		{ "CEK alone", { "cek.cert" }, "---C--" },
		{ "nothing", { NULL }, "------" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++) {
		struct fixture f[FILES_MAX];
		struct span in[FILES_MAX];
		struct sev_chain chain;
		struct err err = { ERR_NONE, "" };
		size_t n = load(f, in, good[i].files);

		if (sev_chain_parse(&chain, in, n, &err) != 0)
			fail_msg("%s: %s", good[i].name, err.msg);
		for (size_t p = 0; p < SEV_PLACES; p++)
			assert_int_equal(chain.has[p], good[i].has[p] != '-');
		while (n > 0)
			fixture_free(&f[--n]);
	}
}

static void
refuses_other_orders_and_leftovers(void **state)
{
	static const struct {
		const char *name;
		const char *files[FILES_MAX];
		const char *says;
	} bad[] = {
		{ "order", { "pdh.cert+pek.cert+cek.cert+oca.cert" },
		    "OCA at byte 6252, want the order" },
		{ "PDH last", { "pek.cert+pdh.cert" }, "PDH at byte 2084" },
		{ "PEK twice", { "pek.cert+pek.cert" }, "PEK at byte 2084" },
		{ "ARK before ASK", { "ark.cert+ask.cert" },
		    "ASK at byte 832" },
		{ "short ARK before a PDH",
		    { "ark-published-576.cert+pdh.cert" }, "ARK at byte 832" },
		{ "two CEKs", { "cek.cert", "cert-chain-unsigned-cek.bin" },
		    "given twice" },
		{ "two PDHs", { "pdh.cert", "../synthetic-a/pdh.cert" },
		    "given twice" },
		{ "two ARKs", { "ark.cert", "../roots/rome/ark.cert" },
		    "given twice" },
		{ "signature alone", { "pdh.cert", "ark-signature.bin" },
		    "blob 2 of 2: 256 bytes that start with no" },
		{ "no certificate", { "chain-cases.json" },
		    "start with no SEV or AMD certificate" },
		{ "left over", { "pdh.cert+ark-signature.bin" },
		    "at byte 2084, 256 bytes left over" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		struct fixture f[FILES_MAX];
		struct span in[FILES_MAX];
		struct sev_chain chain;
		struct err err = { ERR_NONE, "" };
		size_t n = load(f, in, bad[i].files);

		if (sev_chain_parse(&chain, in, n, &err) == 0)
			fail_msg("%s: accepted", bad[i].name);
		fixture_says(bad[i].name, &err, bad[i].says);
		while (n > 0)
			fixture_free(&f[--n]);
	}
}

/* AMD's file of Naples lacks the ARK's signature; an export may have it. */
static void
keeps_the_whole_ark(void **state)
{
	static const char *const order[2][3] = {
		{ "ark.cert", "ark-published-576.cert", NULL },
		{ "ark-published-576.cert", "ark.cert", NULL },
	};
	struct sev_chain chain;
	struct err err = { ERR_NONE, "" };

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct fixture f[FILES_MAX];
		struct span in[FILES_MAX];
		size_t n = load(f, in, order[i]);

		assert_int_equal(sev_chain_parse(&chain, in, n, &err), 0);
		assert_int_equal(chain.ark.signature.len, 256);
		/* Another body is another ARK. */
		f[i].ptr[100] ^= 1;
		assert_int_not_equal(sev_chain_parse(&chain, in, n, &err), 0);
		fixture_says("another body", &err, "given twice");
		f[i].ptr[100] ^= 1;
		while (n > 0)
			fixture_free(&f[--n]);
	}
}

/* A copy of it with another signature is another one. */
static void
refuses_other_signatures(void **state)
{
	static const char *const files[][3] = { { "ask.cert", "ask.cert" },
		{ "ark.cert", "ark.cert" }, { "cek.cert", "cek.cert" } };

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		struct fixture f[FILES_MAX];
		struct span in[FILES_MAX];
		struct sev_chain chain;
		struct err err = { ERR_NONE, "" };
		size_t n = load(f, in, files[i]);

		assert_int_equal(sev_chain_parse(&chain, in, n, &err), 0);
		f[1].ptr[f[1].len - 1] ^= 1;
		assert_int_equal(sev_chain_parse(&chain, in, n, &err), -1);
		fixture_says(files[i][0], &err, "given twice");
		while (n > 0)
			fixture_free(&f[--n]);
	}
}

/* No length but those of whole certificates parses. */
static void
refuses_every_cut(void **state)
{
	static const size_t whole[] = { 2084, 4168, 6252, 8336, 9168, 9744,
		10000 };
	struct fixture full = fixture_load(N "chain-full.bin");
	size_t accepted = 0;

	(void)state;
	for (size_t len = 0; len <= full.len; len++) {
		struct fixture f = fixture_of(full.ptr, len);
		struct span in = fixture_span(&f);
		struct sev_chain chain;

		if (sev_chain_parse(&chain, &in, 1, NULL) == 0)
			assert_int_equal(len, whole[accepted++]);
		fixture_free(&f);
	}
	assert_int_equal(accepted, sizeof(whole) / sizeof(*whole));
	fixture_free(&full);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(accepts_every_sensible_split),
		cmocka_unit_test(refuses_other_orders_and_leftovers),
		cmocka_unit_test(keeps_the_whole_ark),
		cmocka_unit_test(refuses_other_signatures),
		cmocka_unit_test(refuses_every_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
