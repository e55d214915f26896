#include "tests/unit/agent/lab.h"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/control.h"
#include "agent/door.h"
#include "agent/vault/gate.h"
#include "common/tunnel.h"

/* A net that was taken over, in front of the vault (T14). */

#define PATIENCE_MS 30000
#define FLOOD 4000
#define HELLO_BINDING_AT (sizeof("attest-relay.v1 hello") + FRAME_NONCE_LEN)

static struct lab lab;
static pthread_t thread;
static int pair[2], owner[2]; /* ours and the vault's end */
static uint32_t dice;

static uint32_t
roll(uint32_t below)
{
	dice = dice * 1664525u + 1013904223u;
	return (dice >> 8) % below;
}

static void *
serve(void *arg)
{
	const struct gate_options gate = { .vault = lab.vault,
		.key = lab.key,
		.net_fd = pair[1],
		.wait_ms = 10 * PATIENCE_MS, /* no test waits so long */
		.owner_fd = owner[1] };
	struct err err = { 0 };

	if (gate_run(&gate, &err) != 0)
		abort();
	return arg;
}

static int
setup(void **state)
{
	(void)state;
	dice = 1;
	lab_open(&lab);
	lab_register(&lab, "web1", NULL);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, owner), 0);
	assert_int_equal(pthread_create(&thread, NULL, serve, NULL), 0);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	(void)close(owner[0]);
	(void)pthread_join(thread, NULL);
	(void)close(owner[1]);
	(void)close(pair[0]);
	(void)close(pair[1]);
	lab_close(&lab);
	return 0;
}

static void
send_bytes(const uint8_t *bytes, size_t len)
{
	assert_int_equal(send(pair[0], bytes, len, 0), (ssize_t)len);
}

static void
ask(const struct door_message *m)
{
	uint8_t bytes[DOOR_MAX];
	struct writer w = writer_of(bytes, sizeof(bytes));

	door_write(&w, m, false);
	send_bytes(bytes, writer_span(&w).len);
}

/* The next packet; its length. */
static size_t
take(uint8_t bytes[DOOR_MAX])
{
	struct pollfd fd = { pair[0], POLLIN, 0 };
	ssize_t n;

	assert_int_equal(poll(&fd, 1, PATIENCE_MS), 1);
	n = recv(pair[0], bytes, DOOR_MAX, 0);
	assert_true(n > 0);
	return (size_t)n;
}

static void
take_message(struct door_message *m)
{
	uint8_t bytes[DOOR_MAX];
	struct err err = { 0 };
	size_t len = take(bytes);

	assert_int_equal(door_read(m, span_of(bytes, len), true, &err), 0);
}

static void
take_answer(struct door_message *m, enum door_kind kind, uint64_t id)
{
	take_message(m);
	assert_int_equal(m->kind, kind);
	assert_int_equal(m->id, id);
}

/* How long her answer is. */
static size_t
by_owner(unsigned op, struct span in)
{
	struct err err = { 0 };
	struct buf out;
	size_t len;

	buf_init(&out, OWNER_OUT_MAX + 1, false);
	if (control_ask_fd(&out, owner[0], op, in, &err) != 0)
		fail_msg("%s", err.msg);
	len = buf_len(&out);
	buf_free(&out);
	return len;
}

static size_t
vms_by_owner(void)
{
	return by_owner(OWNER_LIST, (struct span){ 0 });
}

/* Each is one packet; none is answered, and the next good one is. */
static void
packets_that_are_none(void **state)
{
	static const struct {
		const char *name;
		size_t len;
		uint8_t bytes[16];
		const char *says;
	} bad[] = {
		{ "short", 8, { DOOR_NAMES }, "of 8 bytes" },
		{ "kind 0", 9, { 0 }, "kind 0" },
		{ "no such kind", 9, { 200 }, "kind 200" },
		{ "an answer", 13, { DOOR_PENDING }, "kind 8" },
		{ "no fields", 9, { DOOR_NAMES }, "do not fit" },
		{ "too long", 14, { DOOR_NAMES }, "do not fit" },
		{ "launch without end", 16, { DOOR_LAUNCH }, "do not fit" },
	};
	struct door_message m = { .kind = DOOR_HELLO, .id = 7 };
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		uint8_t *exact = malloc(bad[i].len);
		struct err err = { 0 };

		assert_non_null(exact);
		memcpy(exact, bad[i].bytes, bad[i].len);
		if (door_read(&m, span_of(exact, bad[i].len), false, &err) !=
			-1 ||
		    strstr(err.msg, bad[i].says) == NULL)
			fail_msg("%s: \"%s\"", bad[i].name, err.msg);
		send_bytes(exact, bad[i].len);
		free(exact);
	}
	m = (struct door_message){ .kind = DOOR_HELLO, .id = 7 };
	ask(&m);
	take_answer(&m, DOOR_HELLO, 7);
	assert_memory_equal(m.u.hello.key, key_public(lab.key), UUID_KEY_LEN);
}

/* Nothing but the text of a hello: no receipt, no relay's challenge alone. */
static void
signs_hellos_only(void **state)
{
	static const char texts[][40] = { "", "attest-relay.v1 hello",
		"attest-agent receipt 1", "attest-relay.v1 hellO" };
	struct door_message m;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		memset(&m, 0, sizeof(m));
		m.kind = DOOR_SIGN;
		m.id = i;
		m.u.sign.text_len = sizeof(texts[i]);
		memcpy(m.u.sign.text, texts[i], sizeof(texts[i]));
		ask(&m);
		take_answer(&m, DOOR_SIGN, i);
		assert_false(m.u.sign.signed_);
	}
}

static bool
signs(struct door_message *m, const uint8_t *text, size_t len)
{
	memset(m, 0, sizeof(*m));
	m->kind = DOOR_SIGN;
	m->u.sign.text_len = len;
	memcpy(m->u.sign.text, text, len);
	ask(m);
	take_answer(m, DOOR_SIGN, 0);
	return m->u.sign.signed_;
}

/* A whole one is signed; nearly one is none. */
static void
signs_a_hello(void **state)
{
	static const uint8_t bytes[32] = { 1, 2, 3 };
	uint8_t text[TUNNEL_HELLO_TEXT_MAX + 1] = { 0 };
	struct span key = span_of(bytes, sizeof(bytes));
	struct writer w = writer_of(text, sizeof(text) - 1);
	struct door_message m;

	(void)state;
	tunnel_hello_text(&w, key, 1, key, span_str("relay"), "v1");
	assert_true(signs(&m, text, w.len));
	assert_int_equal(
	    key_verify(key_public(lab.key),
		span_of(m.u.sign.signature, sizeof(m.u.sign.signature)),
		writer_span(&w), NULL),
	    0);
	assert_false(signs(&m, text, w.len - 1));
	assert_false(signs(&m, text, w.len + 1));
	text[HELLO_BINDING_AT] = 2;
	assert_false(signs(&m, text, w.len));
	text[HELLO_BINDING_AT] = 0;
	assert_true(signs(&m, text, w.len));
	text[0] ^= 1;
	assert_false(signs(&m, text, w.len));
}

/* A good launch message, with some of its bytes changed. */
static size_t
mutated(uint8_t bytes[DOOR_MAX], const struct door_message *good)
{
	struct writer w = writer_of(bytes, DOOR_MAX);
	size_t len;
	uint32_t n;

	door_write(&w, good, false);
	len = writer_span(&w).len;
	for (n = roll(4); n > 0; n--)
		bytes[roll((uint32_t)len)] = (uint8_t)roll(256);
	if (roll(8) == 0)
		len = 1 + roll((uint32_t)len - 1);
	return len;
}

static bool
holds(const uint8_t *bytes, size_t len, const char *text)
{
	return memmem(bytes, len, text, strlen(text)) != NULL;
}

static void
drain(void)
{
	uint8_t bytes[DOOR_MAX];
	ssize_t n;

	while ((n = recv(pair[0], bytes, sizeof(bytes), MSG_DONTWAIT)) > 0)
		if (holds(bytes, (size_t)n, "passphrase of"))
			fail_msg("a secret came through the door");
}

/* Whatever it sends, as fast as it can: no secret comes out, nothing is
 * registered, and the owner is answered meanwhile. */
static void
a_flood_gets_refusals(void **state)
{
	static struct door_message launch, validate;
	static uint8_t bytes[DOOR_MAX];
	struct door_message m = { .kind = DOOR_HELLO, .id = 99 };
	uint64_t before = vms_by_owner();
	size_t i;

	(void)state;
	launch.kind = DOOR_LAUNCH;
	lab_message(&launch.u.launch, &lab);
	validate.kind = DOOR_VALIDATE;
	validate.u.validate.vm = lab.vm;
	for (i = 0; i < FLOOD; i++) {
		size_t len = mutated(bytes, roll(2) == 0 ? &launch : &validate);

		/* A full queue is the vault's way to say: not now. */
		(void)send(pair[0], bytes, len, MSG_DONTWAIT);
		if (roll(64) == 0)
			drain();
		if (i % 1000 == 0)
			assert_true(vms_by_owner() >= before);
	}
	drain();
	ask(&m);
	do {
		size_t len = take(bytes);

		assert_false(holds(bytes, len, "passphrase of"));
		assert_int_equal(
		    door_read(&m, span_of(bytes, len), true, NULL), 0);
	} while (m.kind != DOOR_HELLO);
	assert_int_equal(vault_count(lab.vault), 1);
	assert_int_equal(lab_released(&lab), 0);
}

/* The outcome of a launch that waits for her word, and then hears ${op}. */
static enum vault_outcome
meanwhile(
    struct door_message *m, const struct uuid *vm, uint64_t id, unsigned op)
{
	int notes;

	memset(m, 0, sizeof(*m));
	m->kind = DOOR_LAUNCH;
	m->id = id;
	lab_message(&m->u.launch, &lab);
	m->u.launch.vm = *vm;
	ask(m);
	take_answer(m, DOOR_PENDING, id);
	(void)by_owner(op, span_str("web2"));
	/* On a slow machine another note may be before it. */
	for (notes = 0; notes < 3; notes++) {
		take_message(m);
		if (m->kind != DOOR_PENDING)
			break;
	}
	assert_int_equal(m->kind, DOOR_LAUNCH);
	assert_int_equal(m->id, id);
	return m->u.launch_answer.outcome;
}

/* She disables or removes the VM: nobody waits on for what cannot come. */
static void
no_host_waits_for_a_vm_that_ended(void **state)
{
	const char *const always[] = { "approve", "always", NULL };
	static const uint8_t key[UUID_KEY_LEN] = { 7 };
	struct register_plan *p = calloc(1, sizeof(*p));
	struct door_message *m = calloc(1, sizeof(*m));
	struct registration *r = NULL;
	struct secret bytes = { 0 };
	struct err err = { 0 };

	(void)state;
	assert_non_null(p);
	assert_non_null(m);
	lab_plan(p, "web2", always);
	if (register_finish(&r, p, key, &err) != 0 ||
	    registration_encode(&bytes, r, &err) != 0)
		fail_msg("%s", err.msg);
	(void)by_owner(OWNER_REGISTER, secret_span(&bytes));
	take_answer(m, DOOR_CHANGED, 0);
	lab_outcome(meanwhile(m, &r->vm, 5, OWNER_DISABLE), VAULT_REFUSED);
	(void)by_owner(OWNER_ENABLE, span_str("web2"));
	lab_outcome(meanwhile(m, &r->vm, 6, OWNER_REMOVE), VAULT_NOT_MINE);
	take_answer(m, DOOR_CHANGED, 0);
	registration_free(r);
	register_free(p);
	secret_free(&bytes);
	free(p);
	free(m);
}

/* T9: no file may grow any more.  What cannot be written is not answered, and
 * what needs no record still is. */
static void
a_lost_batch_releases_nothing(void **state)
{
	struct rlimit before, none;
	struct door_message *m = calloc(1, sizeof(*m));
	struct door_message hello = { .kind = DOOR_HELLO, .id = 3 };
	int i;

	(void)state;
	assert_non_null(m);
	(void)signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	none = (struct rlimit){ .rlim_cur = 0, .rlim_max = before.rlim_max };
	for (i = 0; i < 2; i++) {
		assert_int_equal(
		    setrlimit(RLIMIT_FSIZE, i == 0 ? &none : &before), 0);
		memset(m, 0, sizeof(*m));
		m->kind = DOOR_LAUNCH;
		m->id = 2;
		lab_message(&m->u.launch, &lab);
		ask(m);
		take_answer(m, DOOR_LAUNCH, 2);
		lab_outcome(m->u.launch_answer.outcome,
		    i == 0 ? VAULT_STORAGE : VAULT_OK);
		assert_int_equal(m->u.launch_answer.policy == 0, i == 0);
		ask(&hello);
		take_answer(m, DOOR_HELLO, 3);
	}
	free(m);
}

static const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	T(packets_that_are_none),
	T(signs_hellos_only),
	T(signs_a_hello),
	T(a_lost_batch_releases_nothing),
	T(a_flood_gets_refusals),
	T(no_host_waits_for_a_vm_that_ended),
};

int
main(void)
{
	return cmocka_run_group_tests(tests, NULL, NULL);
}
