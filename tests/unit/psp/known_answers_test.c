/* The secure processor against answers made and confirmed by other programs
 * (tests/fixtures/kat, see SOURCES.md). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <openssl/evp.h>

#include "tests/psp/crypto.h"
#include "tests/psp/guest_image.h"
#include "tests/psp/secret_table.h"
#include "tests/unit/psp/fixture.h"

static void
assert_bytes(const uint8_t *got, const struct secret *want, const char *what)
{
	if (want->len == 0 || memcmp(got, want->ptr, want->len) != 0)
		fail_msg("%s differs from the known answer", what);
}

/* MNONCE is what the case says. */
static int
fixed_random(void *ctx, uint8_t *out, size_t len)
{
	const struct secret *nonce = ctx;

	assert_int_equal(len, nonce->len);
	memcpy(out, nonce->ptr, len);
	return 0;
}

/* A platform with nothing but the PDH key of a case. */
static void
pdh_platform(struct psp_platform *out, const json_t *one)
{
	const char *pem =
	    json_string_value(json_object_get(one, "pdh_private_pem"));

	memset(out, 0, sizeof(*out));
	out->api = (struct psp_api){ 255, 255, 1 };
	assert_int_equal(
	    psp_key_parse(&out->key[PSP_PDH], span_str(pem), NULL), 0);
}

static void
check_session(const json_t *one)
{
	struct secret godh = fixture_base64(one, "godh_cert_b64_unsigned");
	struct secret session = fixture_base64(one, "session_b64");
	struct secret tek = fixture_hex(one, "tek");
	struct secret tik = fixture_hex(one, "tik");
	struct psp_guest_state state;
	struct psp_platform platform;
	uint8_t measurement[PSP_MEASUREMENT_LEN];
	uint32_t handle = 0;
	struct psp *psp;

	pdh_platform(&platform, one);
	psp = psp_new(&platform, NULL, NULL);
	assert_int_equal(psp_init(psp), PSP_SUCCESS);
	if (godh.len == 0) {
		secret_free(&godh);
		godh = fixture_base64(one, "godh_cert_b64");
	}
	assert_int_equal(
	    psp_launch_start(&handle, psp, fixture_number(one, "policy"),
		secret_span(&godh), secret_span(&session)),
	    PSP_SUCCESS);
	assert_int_equal(
	    psp_launch_measure(measurement, sizeof(measurement), psp, handle),
	    PSP_SUCCESS);
	assert_int_equal(psp_guest_save(&state, psp, handle), PSP_SUCCESS);
	assert_bytes(state.tek, &tek, "TEK");
	assert_bytes(state.tik, &tik, "TIK");
	psp_free(psp);
	psp_platform_free(&platform);
	secret_free(&godh);
	secret_free(&session);
	secret_free(&tek);
	secret_free(&tik);
}

static void
unwraps_every_session_with_a_known_key(void **state)
{
	json_t *root = fixture_json("kat/session.json"), *one;
	size_t i, checked = 0;

	(void)state;
	json_array_foreach(json_object_get(root, "cases"), i, one)
	{
		if (json_object_get(one, "pdh_private_pem") == NULL)
			continue;
		check_session(one);
		checked++;
	}
	/* One of them has a leading zero in its ECDH secret, one was made by
	 * sev-tool; both are easy to get wrong alone. */
	assert_int_equal(checked, 5);
	json_decref(root);
}

/* The files of a launch case. */
struct launch_files {
	struct secret firmware, kernel, initrd;
};

static bool
load_image(struct guest_image *out, struct launch_files *f, const json_t *one)
{
	const char *name = json_string_value(json_object_get(one, "firmware"));
	const char *line = json_string_value(json_object_get(one, "cmdline"));
	const char *form =
	    json_string_value(json_object_get(one, "vmsa_variant"));
	char path[128];

	/* Debian's own file may be of another version. */
	if (strchr(name, ':') != NULL)
		return false;
	(void)snprintf(path, sizeof(path), "firmware/%s", name);
	f->firmware = fixture_file(path);
	f->kernel = fixture_hex(one, "kernel");
	f->initrd = fixture_hex(one, "initrd");
	*out = (struct guest_image){
		.firmware = secret_span(&f->firmware),
		.kernel_hashes = true,
		.kernel = secret_span(&f->kernel),
		.initrd = secret_span(&f->initrd),
		.cmdline = span_str(line == NULL ? "" : line),
		.vcpus = fixture_number(one, "cpus"),
		.cpu_sig = fixture_number(one, "cpu_signature"),
		.init2 = form != NULL && strcmp(form, "init2") == 0,
	};
	return true;
}

static void
check_secret(struct psp *psp, uint32_t handle, const json_t *one)
{
	json_t *secret = json_object_get(one, "secret");
	struct secret header, payload, table, data;
	json_t *first;
	uint8_t memory[4096] = { 0 };
	struct span found = { 0 };

	if (secret == NULL)
		return;
	header = fixture_base64(secret, "header_b64");
	payload = fixture_base64(secret, "payload_b64");
	table = fixture_hex(secret, "table");
	assert_int_equal(
	    psp_launch_secret(memory, sizeof(memory), psp, handle, 0x80c000,
		secret_span(&header), secret_span(&payload)),
	    PSP_SUCCESS);
	assert_bytes(memory, &table, "secret table");
	first = json_pack("{s:O}", "data",
	    json_array_get(
		json_array_get(json_object_get(one, "secrets"), 0), 1));
	data = fixture_hex(first, "data");
	assert_int_equal(
	    secret_table_find(&found, span_of(memory, sizeof(memory)),
		SECRET_TABLE_DISK, NULL),
	    0);
	assert_true(span_equal(found, secret_span(&data)));
	json_decref(first);
	secret_free(&header);
	secret_free(&payload);
	secret_free(&table);
	secret_free(&data);
}

static void
copy_member(uint8_t *out, const json_t *one, const char *name)
{
	struct secret bytes = fixture_hex(one, name);

	assert_int_equal(bytes.len, PSP_KEY_LEN);
	memcpy(out, bytes.ptr, bytes.len);
	secret_free(&bytes);
}

static bool
check_launch(const json_t *one)
{
	struct secret nonce = fixture_hex(one, "nonce");
	struct secret digest = fixture_hex(one, "launch_digest");
	struct secret blob = fixture_hex(one, "measurement_blob");
	struct psp_guest_state guest = { .phase = PSP_GUEST_LUPDATE };
	struct psp_platform platform = {
		.api = { (uint8_t)fixture_number(one, "api_major"),
		    (uint8_t)fixture_number(one, "api_minor"),
		    (uint8_t)fixture_number(one, "build_id") }
	};
	struct psp *psp = psp_new(&platform, fixed_random, &nonce);
	uint8_t measurement[PSP_MEASUREMENT_LEN];
	struct launch_files files = { 0 };
	struct guest_image image;
	uint32_t handle = 0;
	bool run = load_image(&image, &files, one);

	if (!run)
		goto out;
	guest.policy = fixture_number(one, "policy");
	copy_member(guest.tek, one, "tek");
	copy_member(guest.tik, one, "tik");
	assert_int_equal(psp_init(psp), PSP_SUCCESS);
	assert_int_equal(psp_guest_restore(&handle, psp, &guest), PSP_SUCCESS);
	assert_int_equal(guest_image_submit(psp, handle, &image, NULL), 0);
	assert_int_equal(
	    psp_launch_measure(measurement, sizeof(measurement), psp, handle),
	    PSP_SUCCESS);
	assert_int_equal(psp_guest_save(&guest, psp, handle), PSP_SUCCESS);
	assert_bytes(guest.digest, &digest, "launch digest");
	assert_bytes(measurement, &blob, "measurement");
	check_secret(psp, handle, one);
out:
	psp_free(psp);
	secret_free(&files.firmware);
	secret_free(&files.kernel);
	secret_free(&files.initrd);
	secret_free(&nonce);
	secret_free(&digest);
	secret_free(&blob);
	return run;
}

static void
measures_and_opens_every_known_launch(void **state)
{
	json_t *root = fixture_json("kat/launch.json"), *one;
	size_t i, checked = 0;

	(void)state;
	json_array_foreach(json_object_get(root, "cases"), i, one)
	{
		if (check_launch(one))
			checked++;
	}
	assert_int_equal(checked, 14);
	json_decref(root);
}

/* One save area, by its SHA-256. */
static void
check_vmsa(const struct guest_image *image, uint32_t reset, const json_t *one,
    const char *name)
{
	struct secret want = fixture_hex(one, name);
	uint8_t page[PSP_VMSA_LEN], digest[PSP_SHA256_LEN];

	guest_image_vmsa(page, image, reset);
	assert_int_equal(
	    psp_crypto_sha256(digest, span_of(page, sizeof(page)), NULL), 0);
	assert_bytes(digest, &want, name);
	secret_free(&want);
}

static void
makes_every_known_save_area(void **state)
{
	json_t *root = fixture_json("kat/launch.json"), *one;
	size_t i, checked = 0;

	(void)state;
	json_array_foreach(json_object_get(root, "cases"), i, one)
	{
		struct launch_files files = { 0 };
		struct guest_image_ovmf ovmf;
		struct guest_image image;

		if (json_object_get(one, "vmsa0_sha256") == NULL ||
		    !load_image(&image, &files, one))
			continue;
		assert_int_equal(
		    guest_image_ovmf(&ovmf, image.firmware, NULL), 0);
		assert_int_equal(ovmf.reset, fixture_number(one, "reset_addr"));
		check_vmsa(&image, 0xfffffff0U, one, "vmsa0_sha256");
		check_vmsa(&image, ovmf.reset, one, "vmsa1_sha256");
		secret_free(&files.firmware);
		secret_free(&files.kernel);
		secret_free(&files.initrd);
		checked++;
	}
	assert_int_equal(checked, 5);
	json_decref(root);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(unwraps_every_session_with_a_known_key),
		cmocka_unit_test(measures_and_opens_every_known_launch),
		cmocka_unit_test(makes_every_known_save_area),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
