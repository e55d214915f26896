#include "tests/unit/agent/lab.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/file.h"
#include "agent/json.h"
#include "tests/psp/platform_file.h"

#define AREA 4096

static int64_t
fake_boot(void *arg)
{
	return ((struct lab *)arg)->boot_ms;
}

static int64_t
fake_wall(void *arg)
{
	return ((struct lab *)arg)->wall_ms;
}

static void
on_line(void *arg, const struct store_audit *row)
{
	struct lab *l = arg;

	l->lines++;
	l->last = *row;
	if (strcmp(row->event, "ALARM") == 0)
		l->alarms++;
}

const char *
lab_fixture(const char *path)
{
	static char ring[8][512]; /* so that a few may be used at once */
	static unsigned at;
	char *out = ring[at++ % 8];

	(void)snprintf(out, sizeof(ring[0]), "%s/%s", FIXTURES, path);
	return out;
}

void
lab_file(struct secret *out, const char *path)
{
	struct err err = { 0 };

	if (file_read(out, lab_fixture(path), 1 << 26, &err) != 0)
		fail_msg("%s", err.msg);
}

static void
open_vault(struct lab *l)
{
	struct vault_options options = {
		.clock = { fake_boot, fake_wall, l },
		.echo = on_line,
		.echo_arg = l,
	};
	struct err err = { 0 };

	if (state_open(&l->state, l->dir, &err) != 0 ||
	    state_lock(&l->state, 0, &err) != 0)
		fail_msg("%s", err.msg);
	if (l->key == NULL && key_new(&l->key, &l->state, &err) != 0)
		fail_msg("%s", err.msg);
	options.key = l->key;
	if (vault_open(&l->vault, &l->state, &options, &err) != 0)
		fail_msg("%s", err.msg);
}

void
lab_open(struct lab *l)
{
	struct err err = { 0 };

	json_setup();
	memset(l, 0, sizeof(*l));
	(void)snprintf(l->dir, sizeof(l->dir), "/tmp/attest-lab-XXXXXX");
	assert_non_null(mkdtemp(l->dir));
	l->boot_ms = 1000000;
	l->wall_ms = INT64_C(1800000000000);
	open_vault(l);
	if (psp_platform_file_load(
		&l->platform, lab_fixture("certs/synthetic-a"), &err) != 0)
		fail_msg("%s", err.msg);
	l->psp = psp_new(&l->platform, NULL, NULL);
	assert_non_null(l->psp);
	assert_int_equal(psp_init(l->psp), 0);
	lab_file(&l->firmware, "firmware/synthetic-fw-a.bin");
}

void
lab_reopen(struct lab *l)
{
	vault_close(l->vault);
	state_close(&l->state);
	open_vault(l);
}

void
lab_close(struct lab *l)
{
	static const char *const names[] = { "agent.db", "agent.db-wal",
		"agent.db-shm", "agent.lock", "seal.key", "generation",
		"agent.key" };
	char path[STATE_PATH_MAX];
	size_t i;

	vault_close(l->vault);
	key_free(l->key);
	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		(void)unlink(state_path(path, &l->state, names[i]));
	state_close(&l->state);
	(void)rmdir(l->dir);
	psp_free(l->psp);
	psp_platform_free(&l->platform);
	secret_free(&l->firmware);
}

int
lab_setup(void **state)
{
	lab_open(*state);
	return 0;
}

int
lab_teardown(void **state)
{
	lab_close(*state);
	return 0;
}

static int
read_file(void *arg, struct secret *out, const char *path, size_t max,
    struct err *err)
{
	(void)arg;
	return file_read(out, path, max, err);
}

static void
option(struct register_plan *p, const char *name, const char *value)
{
	struct err err = { 0 };

	if (register_option(p, name, value, &err) != 0)
		fail_msg("%s", err.msg);
}

void
lab_plan(struct register_plan *p, const char *name, const char *const *more)
{
	char secret[128];
	struct sev_guid guid;
	struct err err = { 0 };
	bool policy = false;
	size_t i;

	if (register_init(p, read_file, NULL, &err) != 0)
		fail_msg("%s", err.msg);
	option(p, "name", name);
	option(p, "firmware", lab_fixture("firmware/synthetic-fw-a.bin"));
	option(p, "root", lab_fixture("certs/synthetic-a/ark.cert"));
	option(p, "root", lab_fixture("certs/synthetic-a/ask.cert"));
	option(p, "cloud-cert", lab_fixture("certs/synthetic-a/oca.cert"));
	for (i = 0; more != NULL && more[i] != NULL; i += 2) {
		option(p, more[i], more[i + 1]);
		policy = policy || strcmp(more[i], "policy") == 0;
	}
	if (!policy)
		option(p, "policy", "0x1");
	if (p->no_secret)
		return;
	(void)snprintf(secret, sizeof(secret), "passphrase of %s", name);
	assert_int_equal(sev_guid_parse(&guid, span_str("luks-key"), &err), 0);
	assert_int_equal(register_secret(p, &guid, span_str(secret), &err), 0);
}

void
lab_register(struct lab *l, const char *name, const char *const *more)
{
	static const uint8_t key[UUID_KEY_LEN] = { 7 };
	struct register_plan *p = calloc(1, sizeof(*p));
	struct registration *r = NULL;
	struct err err = { 0 };

	assert_non_null(p);
	lab_plan(p, name, more);
	if (register_finish(&r, p, key, &err) != 0)
		fail_msg("%s", err.msg);
	l->vm = r->vm;
	assert_int_equal(vault_begin(l->vault, &err), 0);
	if (vault_register(l->vault, r, &err) != 0)
		fail_msg("%s", err.msg);
	assert_int_equal(vault_commit(l->vault, &err), 0);
	register_free(p);
	free(p);
}

void
lab_message(struct vault_launch *m, const struct lab *l)
{
	const struct psp_platform *p = &l->platform;
	struct writer w;

	memset(m, 0, sizeof(*m));
	m->vm = l->vm;
	(void)snprintf(
	    m->asker.request_id, sizeof(m->asker.request_id), "req-1");
	(void)snprintf(
	    m->asker.identity, sizeof(m->asker.identity), "token:cn-17");
	memcpy(m->pdh, p->cert[PSP_PDH], sizeof(m->pdh));
	w = writer_of(m->chain, sizeof(m->chain));
	writer_put(&w, span_of(p->cert[PSP_PEK], PSP_CERT_LEN));
	writer_put(&w, span_of(p->cert[PSP_OCA], PSP_CERT_LEN));
	writer_put(&w, span_of(p->cert[PSP_CEK], PSP_CERT_LEN));
	m->chain_len = writer_span(&w).len;
}

void
lab_launch(struct vault_launch_answer *out, struct lab *l,
    const struct vault_launch *m)
{
	struct err err = { 0 };

	assert_int_equal(vault_begin(l->vault, &err), 0);
	vault_launch(out, l->vault, m);
	if (vault_commit(l->vault, &err) != 0)
		fail_msg("%s", err.msg);
}

void
lab_validate(struct vault_validate_answer *out, struct lab *l,
    const struct vault_validate *m)
{
	struct err err = { 0 };

	assert_int_equal(vault_begin(l->vault, &err), 0);
	vault_validate(out, l->vault, m);
	if (vault_commit(l->vault, &err) != 0)
		fail_msg("%s", err.msg);
}

void
lab_sweep(struct lab *l)
{
	struct err err = { 0 };

	assert_int_equal(vault_begin(l->vault, &err), 0);
	vault_sweep(l->vault);
	assert_int_equal(vault_commit(l->vault, &err), 0);
}

enum vault_outcome
lab_try(struct lab *l)
{
	struct vault_launch_answer a;
	struct vault_launch in;

	lab_message(&in, l);
	lab_launch(&a, l, &in);
	return a.outcome;
}

uint32_t
lab_start(struct lab *l, const struct vault_launch_answer *a)
{
	uint32_t guest = 0;

	assert_int_equal(psp_launch_start(&guest, l->psp, a->policy,
			     span_of(a->session.godh_cert, SEV_CERT_LEN),
			     span_of(a->session.blob, SEV_SESSION_LEN)),
	    0);
	assert_int_equal(
	    psp_launch_update_data(l->psp, guest, secret_span(&l->firmware)),
	    0);
	return guest;
}

void
lab_measure(struct vault_validate *m, struct lab *l, uint32_t guest)
{
	uint8_t blob[PSP_MEASUREMENT_LEN];

	memset(m, 0, sizeof(*m));
	m->vm = l->vm;
	(void)snprintf(
	    m->asker.request_id, sizeof(m->asker.request_id), "req-2");
	(void)snprintf(
	    m->asker.identity, sizeof(m->asker.identity), "token:cn-17");
	assert_int_equal(
	    psp_launch_measure(blob, sizeof(blob), l->psp, guest), 0);
	assert_int_equal(
	    sev_measure_parse(&m->measure, span_of(blob, sizeof(blob)), NULL),
	    0);
	m->build = (struct sev_build){ l->platform.api.major,
		l->platform.api.minor, l->platform.api.build };
}

uint32_t
lab_begin(
    struct lab *l, struct vault_launch_answer *a, struct vault_validate *m)
{
	struct vault_launch in;
	uint32_t guest;

	lab_message(&in, l);
	lab_launch(a, l, &in);
	lab_outcome(a->outcome, VAULT_OK);
	guest = lab_start(l, a);
	lab_measure(m, l, guest);
	return guest;
}

uint64_t
lab_released(struct lab *l)
{
	struct vault_vm_info *info = calloc(1, sizeof(*info));
	uint64_t n;

	assert_non_null(info);
	assert_int_equal(vault_info_of(info, l->vault, &l->vm, NULL), 0);
	n = info->released;
	free(info);
	return n;
}

bool
lab_opens(struct lab *l, uint32_t guest, const struct vault_validate_answer *a,
    const char *name)
{
	static uint8_t memory[AREA];
	char want[128];

	memset(memory, 0, sizeof(memory));
	if (psp_launch_secret(memory, sizeof(memory), l->psp, guest, 0x80c000,
		span_of(a->header, sizeof(a->header)),
		span_of(a->payload, a->payload_len)) != 0)
		return false;
	(void)snprintf(want, sizeof(want), "passphrase of %s", name);
	/* table head 20, entry head 20, then the data */
	assert_memory_equal(memory + 40, want, strlen(want));
	return true;
}

void
lab_outcome(enum vault_outcome got, enum vault_outcome want)
{
	if (got != want)
		fail_msg("outcome %s, want %s", vault_outcome_name(got),
		    vault_outcome_name(want));
}
