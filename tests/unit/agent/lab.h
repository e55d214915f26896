#ifndef TEST_AGENT_LAB_H
#define TEST_AGENT_LAB_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "agent/net/service.h"
#include "agent/register/register.h"
#include "agent/vault/vault.h"
#include "tests/psp/psp.h"

/*
 * A vault in a temporary folder, with a clock that the test sets, and the
 * machine of tests/fixtures/certs/synthetic-a to launch guests on.
 */
struct lab {
	char dir[64];
	struct state state;
	struct vault *vault;
	struct key *key; /* the agent's */
	int64_t boot_ms, wall_ms;
	struct psp_platform platform;
	struct psp *psp;
	struct secret firmware;
	struct uuid vm;          /* of lab_register() */
	size_t lines;            /* of the log, echoed */
	struct store_audit last; /* line of them */
	size_t alarms;
};

/** lab_open(l): an empty store; lab_close(l) removes all. */
void lab_open(struct lab *l);
void lab_close(struct lab *l);

/** lab_reopen(l): as after kill -9: nothing is told to the vault. */
void lab_reopen(struct lab *l);

/** lab_setup(state), lab_teardown(state): for suites in which each test begins
 * with a lab of its own: ${*state} is a struct lab. */
int lab_setup(void **state);
int lab_teardown(void **state);
#define LAB_TEST(f, lab)                                                       \
	cmocka_unit_test_prestate_setup_teardown(                              \
	    f, lab_setup, lab_teardown, &(lab))

/** lab_register(l, name, more): a VM with the passphrase "passphrase of NAME",
 * and options ${more}: name, value, ..., NULL.  Sets l->vm. */
void lab_register(struct lab *l, const char *name, const char *const *more);

/** lab_plan(p, name, more): the same, up to register_finish(). */
void lab_plan(
    struct register_plan *p, const char *name, const char *const *more);

/** lab_fixture(path): below tests/fixtures; one of eight
 * static buffers. */
const char *lab_fixture(const char *path);

/** lab_file(out, path): all of a fixture. */
void lab_file(struct secret *out, const char *path);

/** lab_message(m, l): the launch message of the lab's machine. */
void lab_message(struct vault_launch *m, const struct lab *l);

/** One batch each. */
void lab_launch(struct vault_launch_answer *out, struct lab *l,
    const struct vault_launch *m);
void lab_validate(struct vault_validate_answer *out, struct lab *l,
    const struct vault_validate *m);
void lab_sweep(struct lab *l);

/** lab_try(l): what comes of one more launch of l->vm. */
enum vault_outcome lab_try(struct lab *l);

/** lab_start(l, a): the guest of launch answer ${a}, firmware measured. */
uint32_t lab_start(struct lab *l, const struct vault_launch_answer *a);

/** lab_measure(m, l, guest): its measurement as a validate message. */
void lab_measure(struct vault_validate *m, struct lab *l, uint32_t guest);

/** lab_begin(l, a, m): launch, start and measure; returns the guest. */
uint32_t lab_begin(
    struct lab *l, struct vault_launch_answer *a, struct vault_validate *m);

/** lab_released(l): guests of l->vm that were let go. */
uint64_t lab_released(struct lab *l);

/** lab_opens(l, guest, a): the secure processor takes the packet, and the
 * secret in it is that of VM ${name}; false: it refuses the packet. */
bool lab_opens(struct lab *l, uint32_t guest,
    const struct vault_validate_answer *a, const char *name);

/** lab_outcome(o, want): compare, and say which. */
void lab_outcome(enum vault_outcome got, enum vault_outcome want);

#endif
