/* kat/launch.json: a launch, its digest, measurement and secret. */
#include "tests/known_answers/launch_case.h"

#include <string.h>

void
launch_case_free(struct launch_case *lc)
{
	secret_free(&lc->firmware);
	secret_free(&lc->kernel);
	secret_free(&lc->initrd);
	secret_free(&lc->blob);
}

static int
read_cpu(struct launch_case *lc, const json_t *c, struct err *err)
{
	const json_t *list = json_object_get(c, "cpu");
	uint32_t signature;

	if (list != NULL && json_array_size(list) != 3)
		return err_set(
		    err, ERR_MALFORMED, "cpu: want family, model and stepping");
	for (size_t i = 0; list != NULL && i < 3; i++) {
		const json_t *n = json_array_get(list, i);

		if (!json_is_integer(n) || json_integer_value(n) < 0 ||
		    json_integer_value(n) > 1000)
			return err_set(err, ERR_MALFORMED, "cpu: want numbers");
		lc->cpu[i] = (uint32_t)json_integer_value(n);
		lc->has_cpu = true;
	}
	if (!field_has(c, "cpu_signature"))
		return 0;
	if (field_uint(&lc->signature, c, "cpu_signature", UINT32_MAX, err) !=
	    0)
		return -1;
	lc->has_signature = true;
	if (!lc->has_cpu)
		return 0;
	if (sev_vmsa_signature(
		&signature, lc->cpu[0], lc->cpu[1], lc->cpu[2], err) != 0)
		return -1;
	if (signature != lc->signature)
		return err_set(err, ERR_UNTRUSTED, "cpu_signature differs");
	return 0;
}

int
launch_case_system(struct launch_case *lc, const json_t *c, struct err *err)
{
	const char *variant = field_text(c, "vmsa_variant");
	const char *cmdline = field_text(c, "cmdline");

	lc->has_kernel = field_has(c, "kernel");
	lc->has_initrd = field_has(c, "initrd");
	lc->has_cmdline = field_has(c, "cmdline");
	if ((lc->has_kernel && field_hex(&lc->kernel, c, "kernel", err) != 0) ||
	    (lc->has_initrd && field_hex(&lc->initrd, c, "initrd", err) != 0))
		return -1;
	if (lc->has_cmdline && cmdline == NULL)
		return err_set(err, ERR_MALFORMED, "cmdline: want a string");
	if (cmdline != NULL)
		lc->cmdline = span_str(cmdline);
	if (!lc->has_kernel &&
	    (lc->has_initrd || lc->has_cmdline || field_has(c, "hash_table")))
		return err_set(err, ERR_MALFORMED,
		    "initrd, cmdline or hash_table without a kernel");
	if (field_has(c, "cpus") &&
	    field_uint(&lc->cpus, c, "cpus", SEV_CPUS_MAX, err) != 0)
		return -1;
	if (field_has(c, "vmsa_variant") &&
	    (variant == NULL ||
		sev_vmsa_variant_find(&lc->variant, span_str(variant), err) !=
		    0))
		return err_set(
		    err, ERR_MALFORMED, "vmsa_variant: want legacy or init2");
	return read_cpu(lc, c, err);
}

static int
hash_kernel(struct sev_kernel_hashes *out, const struct launch_case *lc,
    struct err *err)
{
	/* None, and an empty one, have the same hash. */
	if (sev_hash_sha256(out->kernel, secret_span(&lc->kernel), err) != 0 ||
	    sev_hash_sha256(out->initrd,
		lc->has_initrd ? secret_span(&lc->initrd) : span_of(NULL, 0),
		err) != 0 ||
	    sev_hash_table_cmdline(out->cmdline,
		lc->has_cmdline ? lc->cmdline : span_of(NULL, 0), err) != 0)
		return -1;
	return 0;
}

static int
signature_of(uint32_t *out, const struct launch_case *lc, struct err *err)
{
	if (lc->has_cpu)
		return sev_vmsa_signature(
		    out, lc->cpu[0], lc->cpu[1], lc->cpu[2], err);
	*out = lc->signature;
	return 0;
}

int
launch_case_digest(
    uint8_t out[SEV_SHA256_LEN], const struct launch_case *lc, struct err *err)
{
	struct sev_kernel_hashes hashes;
	struct sev_launch in = { .firmware = secret_span(&lc->firmware),
		.policy = lc->policy,
		.vcpus = { .count = lc->cpus, .variant = lc->variant } };

	if (lc->has_kernel) {
		if (hash_kernel(&hashes, lc, err) != 0)
			return -1;
		in.kernel = &hashes;
	}
	if (lc->has_cpu || lc->has_signature) {
		in.vcpus.source = SEV_VCPU_SIGNATURE;
		if (signature_of(&in.vcpus.signature, lc, err) != 0)
			return -1;
	}
	return sev_digest_launch(out, &in, err);
}

int
launch_case_table(uint8_t out[SEV_HASH_TABLE_LEN], const struct launch_case *lc,
    struct err *err)
{
	struct sev_kernel_hashes hashes;

	if (hash_kernel(&hashes, lc, err) != 0)
		return -1;
	sev_hash_table_build(out, &hashes);
	return 0;
}

int
launch_case_judge(uint8_t digest[SEV_SHA256_LEN], const struct launch_case *lc,
    struct err *err)
{
	struct sev_measure m;
	struct sev_build build = { (uint8_t)lc->api_major,
		(uint8_t)lc->api_minor, (uint8_t)lc->build_id };

	if (lc->api_major > 255 || lc->api_minor > 255 || lc->build_id > 255)
		return err_set(err, ERR_USAGE, "a version over 255");
	if (launch_case_digest(digest, lc, err) != 0 ||
	    sev_measure_parse(&m, secret_span(&lc->blob), err) != 0)
		return -1;
	return sev_measure_verify(&m, lc->tik, &build, lc->policy, digest, err);
}

/* "vmsa0_sha256", "vmsa1_sha256": the pages by themselves. */
static int
check_vmsa(const struct launch_case *lc, const struct sev_ovmf *ovmf,
    const json_t *c, struct err *err)
{
	uint8_t page[SEV_VMSA_LEN], digest[SEV_SHA256_LEN];
	uint32_t signature;

	if (!field_has(c, "vmsa0_sha256") && !field_has(c, "vmsa1_sha256"))
		return 0;
	if (!lc->has_cpu && !lc->has_signature)
		return err_set(err, ERR_MALFORMED, "VMSA without a CPU model");
	if (signature_of(&signature, lc, err) != 0)
		return -1;
	sev_vmsa_bsp(page, signature, lc->variant);
	if (sev_hash_sha256(digest, span_of(page, sizeof(page)), err) != 0 ||
	    field_same(
		c, "vmsa0_sha256", span_of(digest, sizeof(digest)), err) != 0)
		return -1;
	if (!field_has(c, "vmsa1_sha256"))
		return 0;
	if (!ovmf->has_reset)
		return err_set(err, ERR_UNSUPPORTED, "no SEV-ES reset vector");
	sev_vmsa_ap(page, signature, lc->variant, ovmf->reset);
	if (sev_hash_sha256(digest, span_of(page, sizeof(page)), err) != 0)
		return -1;
	return field_same(
	    c, "vmsa1_sha256", span_of(digest, sizeof(digest)), err);
}

/*
 * "sev_snp_measure_says": that tool always fills the FPU fields, so its digest
 * of an SEV-ES launch is the one of the init2 form.
 */
static int
check_snp_measure(
    const struct launch_case *lc, const json_t *c, struct err *err)
{
	struct launch_case init2 = *lc;
	uint8_t digest[SEV_SHA256_LEN];

	if (!field_has(c, "sev_snp_measure_says"))
		return 0;
	init2.variant = SEV_VMSA_INIT2;
	if (launch_case_digest(digest, &init2, err) != 0)
		return -1;
	return field_same(
	    c, "sev_snp_measure_says", span_of(digest, sizeof(digest)), err);
}

int
launch_case_details(
    const struct launch_case *lc, const json_t *c, struct err *err)
{
	uint8_t table[SEV_HASH_TABLE_LEN];
	struct sev_ovmf ovmf;
	uint32_t reset;

	if (lc->has_kernel &&
	    (launch_case_table(table, lc, err) != 0 ||
		field_same(
		    c, "hash_table", span_of(table, sizeof(table)), err) != 0))
		return -1;
	if (sev_ovmf_parse(&ovmf, secret_span(&lc->firmware), err) != 0 &&
	    err->code != ERR_NOT_FOUND)
		return -1;
	if (field_has(c, "reset_addr")) {
		if (field_uint(&reset, c, "reset_addr", UINT32_MAX, err) != 0)
			return -1;
		if (!ovmf.has_reset || ovmf.reset != reset)
			return err_set(
			    err, ERR_UNTRUSTED, "reset_addr differs");
	}
	if (check_vmsa(lc, &ovmf, c, err) != 0)
		return -1;
	return check_snp_measure(lc, c, err);
}

/* The measurement, in hex or base64 or both, and the nonce in it. */
static int
read_measurement(struct launch_case *lc, const json_t *c, struct err *err)
{
	struct span nonce = span_of(NULL, 0);

	if (field_has(c, "measurement_blob")
		? field_hex(&lc->blob, c, "measurement_blob", err) != 0
		: field_b64(&lc->blob, c, "measurement_b64", err) != 0)
		return -1;
	if (field_same_b64(c, "measurement_b64", secret_span(&lc->blob), err) !=
	    0)
		return -1;
	if (lc->blob.len > SEV_MEASURE_LEN)
		nonce = span_of(lc->blob.ptr + SEV_MEASURE_LEN,
		    lc->blob.len - SEV_MEASURE_LEN);
	return field_same(c, "nonce", nonce, err);
}

static int
read_launch(struct launch_case *lc, const json_t *c, struct err *err)
{
	if (launch_case_system(lc, c, err) != 0 ||
	    field_uint(&lc->policy, c, "policy", UINT32_MAX, err) != 0 ||
	    field_uint(&lc->api_major, c, "api_major", 255, err) != 0 ||
	    field_uint(&lc->api_minor, c, "api_minor", 255, err) != 0 ||
	    field_uint(&lc->build_id, c, "build_id", 255, err) != 0 ||
	    field_fixed(lc->tik, SEV_TK_LEN, c, "tik", err) != 0 ||
	    (field_has(c, "tek") &&
		field_fixed(lc->tek, SEV_TK_LEN, c, "tek", err) != 0))
		return -1;
	return read_measurement(lc, c, err);
}

/*
 * "oracle_payload_len": virt-qemu-sev-validate pads by 1 to 16 bytes, where
 * the table of the product may stay as it is.
 */
static int
check_oracle_len(struct span table, const json_t *s, struct err *err)
{
	struct reader r = reader_of(table);
	uint32_t said, len;

	if (!field_has(s, "oracle_payload_len"))
		return 0;
	reader_take(&r, SEV_GUID_LEN);
	len = reader_le32(&r); /* without padding */
	if (field_uint(&said, s, "oracle_payload_len", UINT32_MAX, err) != 0)
		return -1;
	if (said != (len / 16 + 1) * 16)
		return err_set(
		    err, ERR_UNTRUSTED, "oracle_payload_len differs");
	return 0;
}

/* "secret": what the owner sends, from "secrets" and a fixed IV. */
static int
check_packet(const struct launch_case *lc, struct span table, const json_t *s,
    struct err *err)
{
	static const char *const known[] = { "iv", "table", "header_b64",
		"payload_b64", "oracle_payload_len" };
	uint8_t header[SEV_SECRET_HEADER_LEN], iv[SEV_IV_LEN];
	uint8_t payload[SEV_SECRET_AREA_MAX];
	bool sealed = field_has(s, "header_b64");
	struct sev_measure m;
	size_t members = 0;

	for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++)
		members += field_has(s, known[i]);
	if (!json_is_object(s) || members != json_object_size(s))
		return err_set(err, ERR_MALFORMED, "secret: unknown shape");
	if (sealed != field_has(s, "payload_b64") ||
	    (!sealed && !field_has(s, "table")))
		return err_set(err, ERR_MALFORMED,
		    "secret: want table, or header_b64 and payload_b64");
	if (field_same(s, "table", table, err) != 0 ||
	    check_oracle_len(table, s, err) != 0)
		return -1;
	if (!sealed)
		return 0;
	if (field_fixed(iv, sizeof(iv), s, "iv", err) != 0 ||
	    sev_measure_parse(&m, secret_span(&lc->blob), err) != 0 ||
	    sev_launch_secret_seal(header, payload, table, lc->tek, lc->tik, iv,
		m.mac, err) != 0 ||
	    field_same_b64(
		s, "header_b64", span_of(header, sizeof(header)), err) != 0)
		return -1;
	return field_same_b64(
	    s, "payload_b64", span_of(payload, table.len), err);
}

static int
check_secret(const struct launch_case *lc, const json_t *c, struct err *err)
{
	struct sev_secret_entry entries[SEV_SECRET_ENTRIES_MAX];
	struct secret data[SEV_SECRET_ENTRIES_MAX] = { { NULL, 0 } };
	struct secret table = { NULL, 0 };
	struct sev_secret_room room = { 0, 0 };
	struct sev_ovmf ovmf;
	size_t count = 0;
	int rc = -1;

	if (!field_has(c, "secrets"))
		return !field_has(c, "secret")
		    ? 0
		    : err_set(err, ERR_MALFORMED, "secret without secrets");
	if (field_has(c, "secret") && !field_has(c, "tek"))
		return err_set(err, ERR_MALFORMED, "secret without tek");
	if (sev_ovmf_parse(&ovmf, secret_span(&lc->firmware), err) == 0 &&
	    sev_ovmf_takes_secret(&ovmf))
		room.area = ovmf.secret.size < SEV_SECRET_AREA_MAX
		    ? ovmf.secret.size
		    : SEV_SECRET_AREA_MAX;
	if (field_secrets(entries, data, SEV_SECRET_ENTRIES_MAX, &count, c,
		err) != KAT_PASS ||
	    sev_launch_secret_table(&table, entries, count, &room, err) != 0)
		goto out;
	if (field_has(c, "secret") &&
	    check_packet(lc, secret_span(&table), json_object_get(c, "secret"),
		err) != 0)
		goto out;
	rc = 0;
out:
	secret_free(&table);
	field_secrets_free(data, count);
	return rc;
}

static enum kat_result
run(const struct kat_file *file, const json_t *c, struct err *say)
{
	struct launch_case lc = { .cpus = 0 };
	uint8_t digest[SEV_SHA256_LEN];
	size_t refused = 0;
	enum kat_result result = field_firmware(&lc.firmware, file, c, say);

	if (result != KAT_PASS)
		goto out;
	result = KAT_FAIL;
	if (read_launch(&lc, c, say) != 0 ||
	    launch_case_digest(digest, &lc, say) != 0 ||
	    field_same(c, "launch_digest", span_of(digest, sizeof(digest)),
		say) != 0 ||
	    launch_case_details(&lc, c, say) != 0 ||
	    launch_case_judge(digest, &lc, say) != 0 ||
	    check_secret(&lc, c, say) != 0)
		goto out;
	if (field_has(c, "negatives") &&
	    launch_negatives(
		&refused, &lc, json_object_get(c, "negatives"), say) != 0)
		goto out;
	err_set(say, ERR_NONE, "accepted, %zu variants refused", refused);
	result = KAT_PASS;
out:
	launch_case_free(&lc);
	return result;
}

static const char *const optional[] = { "tek", "nonce", "cpus", "cpu",
	"cpu_signature", "reset_addr", "vmsa0_sha256", "vmsa1_sha256",
	"vmsa_variant", "kernel", "initrd", "cmdline", "hash_table", "secrets",
	"secret", "launch_digest", "measurement_blob", "measurement_b64",
	"sev_snp_measure_says", "confirmed_by", "negatives", NULL };

const struct kat_form kat_launch_form = { "launch",
	{ "firmware", "policy", "api_major", "api_minor", "build_id", "tik" },
	optional, run };
