#ifndef TESTS_KNOWN_ANSWERS_LAUNCH_CASE_H
#define TESTS_KNOWN_ANSWERS_LAUNCH_CASE_H

#include "tests/known_answers/field.h"

/* A launch as a case tells it.  Negatives work on a changed shallow copy. */
struct launch_case {
	struct secret firmware;
	struct secret kernel; /* meaningful if ${has_kernel}, and so on */
	struct secret initrd;
	struct span cmdline;
	bool has_kernel, has_initrd, has_cmdline;
	uint32_t policy;
	uint32_t api_major, api_minor, build_id; /* 256: a byte that overran */
	uint32_t cpus;                           /* 0: not told */
	bool has_cpu, has_signature;
	uint32_t cpu[3]; /* family, model, stepping */
	uint32_t signature;
	enum sev_vmsa_variant variant;
	uint8_t tik[SEV_TK_LEN], tek[SEV_TK_LEN];
	struct secret blob; /* the measurement */
};

/** launch_case_system(lc, c, err): kernel, vCPUs and so on; not firmware. */
int launch_case_system(
    struct launch_case *lc, const json_t *c, struct err *err);

/** launch_case_free(lc): also of one half filled. */
void launch_case_free(struct launch_case *lc);

/** launch_case_digest(out, lc, err): by the product, with its refusals. */
int launch_case_digest(
    uint8_t out[SEV_SHA256_LEN], const struct launch_case *lc, struct err *err);

/** launch_case_table(out, lc, err): the kernel hash table of the case. */
int launch_case_table(uint8_t out[SEV_HASH_TABLE_LEN],
    const struct launch_case *lc, struct err *err);

/** launch_case_judge(digest, lc, err): digest, then the measurement. */
int launch_case_judge(uint8_t digest[SEV_SHA256_LEN],
    const struct launch_case *lc, struct err *err);

/** launch_case_details(lc, c, err): hash table, VMSA, reset vector of ${c}. */
int launch_case_details(
    const struct launch_case *lc, const json_t *c, struct err *err);

/**
 * launch_negatives(count, lc, list, err):
 * Every variant of ${list} must be refused, unless it changes nothing.
 */
int launch_negatives(size_t *count, const struct launch_case *lc,
    const json_t *list, struct err *err);

#endif
