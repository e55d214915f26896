#ifndef TESTS_UNIT_RELAY_REGISTRY_LAB_H
#define TESTS_UNIT_RELAY_REGISTRY_LAB_H

#include "relay/registry.h"
#include "relay/tenant.h"

#include "tests/unit/relay/check.h"

/*
 * A registry in a folder of its own.
 */
struct lab {
	char folder[64];
	struct accounts *accounts;
	struct registry *registry;
	struct account *acme, *zeta;
	struct tenants *tenants; /* of the configuration: none */
};

/** lab_setup(state), lab_teardown(state): of a test. */
int lab_setup(void **state);
int lab_teardown(void **state);
#define LAB_TEST(name)                                                         \
	cmocka_unit_test_setup_teardown(name, lab_setup, lab_teardown)

/** reopen(lab): what is on the disk. */
void reopen(struct lab *lab);

/** op_new(lab, verb): about tenant acme. */
struct registry_op *op_new(struct lab *lab, enum registry_verb verb);
/** carry_out(lab, op): and wait for it; it stays the caller's. */
void carry_out(struct lab *lab, struct registry_op *op);
/** expect(lab, op, says): the same; ${says} NULL: it must be good.  Frees the
 * op. */
void expect(struct lab *lab, struct registry_op *op, const char *says);

/** add_token(lab, byte, uses, expires_ms): for enrolments; ${byte} is its
 * hash. */
void add_token(
    struct lab *lab, uint8_t byte, uint32_t uses, uint64_t expires_ms);
void enrol(struct lab *lab, uint8_t token, uint8_t key, const char *says);
/** knows(lab, key): is it acme's? */
bool knows(struct lab *lab, uint8_t key);

/** count_row(arg, row): one more, for a size_t ${arg}. */
void count_row(void *arg, const void *row);
/** count_rows(lab, set): in memory. */
size_t count_rows(struct lab *lab, enum registry_set set);

/** expect_trail(lab, want): the numbers of the lines that are left, as
 * "5 6 ". */
void expect_trail(struct lab *lab, const char *want);

#endif
