/*
 * Our side of the launches that virt-qemu-sev-validate judges: one JSON
 * request a line, one JSON answer a line.  Bytes are hex.
 *   {"op": "measure", launch, "tik", "nonce", "build": [3], "policy"}
 *     -> {"digest", "mac"}
 *   {"op": "verify", the same, "blob"} -> {"match"}
 *   {"op": "vmsa", "firmware", "cpu": [3], "variant"} -> {"vmsa0", "vmsa1"}
 *   {"op": "table", "secrets": [[guid, hex]], "step"} -> {"table"}
 *   {"op": "seal", "table", "tek", "tik", "iv", "mac"} -> {"header", "payload"}
 * A launch is "firmware", "kernel", "initrd", "cmdline" (hex), "cpus",
 * "cpu": [family, model, stepping], "variant".  Refusals: {"error", "code"}.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/known_answers/field.h"

#define HEX_CAP (2 * SEV_SECRET_AREA_MAX + 1)

static json_t *
hex(struct span in)
{
	static char text[HEX_CAP];
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < in.len; i++) {
		text[2 * i] = digits[in.ptr[i] >> 4];
		text[2 * i + 1] = digits[in.ptr[i] & 15];
	}
	text[2 * in.len] = '\0';
	return json_string(text);
}

/* A request's launch; spans point into the secrets beside. */
struct request {
	struct secret firmware, kernel, initrd, cmdline;
	struct sev_kernel_hashes hashes;
	struct sev_launch launch;
	struct sev_build build;
	uint8_t tik[SEV_TK_LEN];
};

static int
read_triple(uint32_t out[3], const json_t *q, const char *name, struct err *err)
{
	const json_t *list = json_object_get(q, name);

	if (json_array_size(list) != 3)
		return err_set(err, ERR_USAGE, "%s: want three numbers", name);
	for (size_t i = 0; i < 3; i++)
		out[i] = (uint32_t)json_integer_value(json_array_get(list, i));
	return 0;
}

static int
read_kernel(struct request *r, const json_t *q, struct err *err)
{
	if (!field_has(q, "kernel"))
		return 0;
	if (field_hex(&r->kernel, q, "kernel", err) != 0 ||
	    (field_has(q, "initrd") &&
		field_hex(&r->initrd, q, "initrd", err) != 0) ||
	    (field_has(q, "cmdline") &&
		field_hex(&r->cmdline, q, "cmdline", err) != 0) ||
	    sev_hash_sha256(r->hashes.kernel, secret_span(&r->kernel), err) ||
	    sev_hash_sha256(r->hashes.initrd, secret_span(&r->initrd), err) ||
	    sev_hash_table_cmdline(
		r->hashes.cmdline, secret_span(&r->cmdline), err) != 0)
		return -1;
	r->launch.kernel = &r->hashes;
	return 0;
}

static int
read_request(struct request *r, const json_t *q, struct err *err)
{
	const char *variant = field_text(q, "variant");
	uint32_t cpu[3], build[3];

	if (field_file(&r->firmware, field_text(q, "firmware"), err) != 0 ||
	    read_kernel(r, q, err) != 0 ||
	    field_uint(&r->launch.policy, q, "policy", UINT32_MAX, err) != 0 ||
	    read_triple(build, q, "build", err) != 0 ||
	    field_fixed(r->tik, SEV_TK_LEN, q, "tik", err) != 0)
		return -1;
	r->launch.firmware = secret_span(&r->firmware);
	r->build = (struct sev_build){ (uint8_t)build[0], (uint8_t)build[1],
		(uint8_t)build[2] };
	if (!field_has(q, "cpu"))
		return 0;
	r->launch.vcpus.source = SEV_VCPU_SIGNATURE;
	if (variant != NULL &&
	    sev_vmsa_variant_find(
		&r->launch.vcpus.variant, span_str(variant), err) != 0)
		return -1;
	if (read_triple(cpu, q, "cpu", err) != 0 ||
	    sev_vmsa_signature(
		&r->launch.vcpus.signature, cpu[0], cpu[1], cpu[2], err) != 0)
		return -1;
	return field_uint(&r->launch.vcpus.count, q, "cpus", SEV_CPUS_MAX, err);
}

static void
free_request(struct request *r)
{
	secret_free(&r->firmware);
	secret_free(&r->kernel);
	secret_free(&r->initrd);
	secret_free(&r->cmdline);
}

static json_t *
measure(const json_t *q, struct err *err)
{
	struct request r = { .build = { 0, 0, 0 } };
	uint8_t digest[SEV_SHA256_LEN], mac[SEV_MEASURE_LEN];
	uint8_t nonce[SEV_NONCE_LEN];
	json_t *answer = NULL;

	if (read_request(&r, q, err) == 0 &&
	    field_fixed(nonce, sizeof(nonce), q, "nonce", err) == 0 &&
	    sev_digest_launch(digest, &r.launch, err) == 0 &&
	    sev_measure_compute(mac, r.tik, &r.build, r.launch.policy, digest,
		nonce, err) == 0) {
		answer = json_object();
		json_object_set_new(
		    answer, "digest", hex(span_of(digest, sizeof(digest))));
		json_object_set_new(
		    answer, "mac", hex(span_of(mac, sizeof(mac))));
	}
	free_request(&r);
	return answer;
}

static json_t *
verify(const json_t *q, struct err *err)
{
	struct request r = { .build = { 0, 0, 0 } };
	struct secret blob = { NULL, 0 };
	uint8_t digest[SEV_SHA256_LEN];
	struct sev_measure m;
	json_t *answer = NULL;

	if (read_request(&r, q, err) == 0 &&
	    field_hex(&blob, q, "blob", err) == 0 &&
	    sev_digest_launch(digest, &r.launch, err) == 0 &&
	    sev_measure_parse(&m, secret_span(&blob), err) == 0 &&
	    sev_measure_verify(
		&m, r.tik, &r.build, r.launch.policy, digest, err) == 0)
		answer = json_pack("{s:b}", "match", 1);
	free_request(&r);
	secret_free(&blob);
	return answer;
}

static json_t *
vmsa(const json_t *q, struct err *err)
{
	struct secret firmware = { NULL, 0 };
	uint8_t bsp[SEV_VMSA_LEN], ap[SEV_VMSA_LEN];
	enum sev_vmsa_variant variant;
	uint32_t cpu[3], signature;
	struct sev_ovmf ovmf;
	json_t *answer = NULL;

	if (field_file(&firmware, field_text(q, "firmware"), err) == 0 &&
	    sev_ovmf_parse(&ovmf, secret_span(&firmware), err) == 0 &&
	    read_triple(cpu, q, "cpu", err) == 0 &&
	    sev_vmsa_variant_find(
		&variant, span_str(field_text(q, "variant")), err) == 0 &&
	    sev_vmsa_signature(&signature, cpu[0], cpu[1], cpu[2], err) == 0) {
		sev_vmsa_bsp(bsp, signature, variant);
		sev_vmsa_ap(ap, signature, variant, ovmf.reset);
		answer = json_object();
		json_object_set_new(
		    answer, "vmsa0", hex(span_of(bsp, sizeof(bsp))));
		json_object_set_new(
		    answer, "vmsa1", hex(span_of(ap, sizeof(ap))));
	}
	secret_free(&firmware);
	return answer;
}

static json_t *
table(const json_t *q, struct err *err)
{
	struct sev_secret_entry entries[SEV_SECRET_ENTRIES_MAX];
	struct secret data[SEV_SECRET_ENTRIES_MAX] = { { NULL, 0 } };
	struct secret made = { NULL, 0 };
	struct sev_secret_room room = { SEV_SECRET_AREA_MAX, 0 };
	uint32_t step;
	size_t count = 0;
	json_t *answer = NULL;

	if (field_uint(&step, q, "step", SEV_SECRET_AREA_MAX, err) == 0 &&
	    field_secrets(
		entries, data, SEV_SECRET_ENTRIES_MAX, &count, q, err) == 0) {
		room.step = step;
		if (sev_launch_secret_table(
			&made, entries, count, &room, err) == 0) {
			answer = json_object();
			json_object_set_new(
			    answer, "table", hex(secret_span(&made)));
		}
	}
	secret_free(&made);
	field_secrets_free(data, count);
	return answer;
}

static json_t *
seal(const json_t *q, struct err *err)
{
	struct secret plain = { NULL, 0 };
	static uint8_t payload[SEV_SECRET_AREA_MAX];
	uint8_t header[SEV_SECRET_HEADER_LEN], tek[SEV_TK_LEN];
	uint8_t tik[SEV_TK_LEN], iv[SEV_IV_LEN], mac[SEV_MEASURE_LEN];
	json_t *answer = NULL;

	if (field_hex(&plain, q, "table", err) == 0 &&
	    field_fixed(tek, sizeof(tek), q, "tek", err) == 0 &&
	    field_fixed(tik, sizeof(tik), q, "tik", err) == 0 &&
	    field_fixed(iv, sizeof(iv), q, "iv", err) == 0 &&
	    field_fixed(mac, sizeof(mac), q, "mac", err) == 0 &&
	    sev_launch_secret_seal(header, payload, secret_span(&plain), tek,
		tik, iv, mac, err) == 0) {
		answer = json_object();
		json_object_set_new(
		    answer, "header", hex(span_of(header, sizeof(header))));
		json_object_set_new(
		    answer, "payload", hex(span_of(payload, plain.len)));
	}
	secret_free(&plain);
	return answer;
}

static json_t *
answer_to(const json_t *q, struct err *err)
{
	static const struct {
		const char *op;
		json_t *(*run)(const json_t *q, struct err *err);
	} ops[] = {
		{ "measure", measure },
		{ "verify", verify },
		{ "vmsa", vmsa },
		{ "table", table },
		{ "seal", seal },
	};
	const char *op = field_text(q, "op");

	for (size_t i = 0; i < sizeof(ops) / sizeof(*ops); i++)
		if (op != NULL && strcmp(op, ops[i].op) == 0)
			return ops[i].run(q, err);
	err_set(err, ERR_USAGE, "no such op");
	return NULL;
}

int
main(void)
{
	char *line = NULL;
	size_t cap = 0;

	while (getline(&line, &cap, stdin) > 0) {
		struct err err = { ERR_NONE, "" };
		json_t *q = json_loads(line, JSON_REJECT_DUPLICATES, NULL);
		json_t *answer = answer_to(q, &err);

		if (answer == NULL)
			answer = json_pack("{s:s, s:i}", "error", err.msg,
			    "code", (int)err.code);
		json_dumpf(answer, stdout, JSON_COMPACT);
		putchar('\n');
		fflush(stdout);
		json_decref(answer);
		json_decref(q);
	}
	free(line);
	return 0;
}
