#ifndef AGENT_SEV_ROOTS_H
#define AGENT_SEV_ROOTS_H

#include "agent/sev/amd_cert.h"

enum sev_generation {
	SEV_GEN_OPERATOR = 0, /* a root that the operator configured */
	SEV_GEN_NAPLES,
	SEV_GEN_ROME,
	SEV_GEN_MILAN,
	SEV_GEN_GENOA,
	SEV_GEN_TURIN,
	SEV_GENERATIONS
};

/* An ARK to be trusted, and the ASK under it if that is known. */
struct sev_root {
	enum sev_generation generation;
	struct sev_amd_cert ark;
	struct sev_amd_cert ask; /* read only if ${has_ask} */
	bool has_ask;
};

#define SEV_ROOTS_PINNED 5

/** sev_generation_name(g): "naples" ... "turin", "operator". */
const char *sev_generation_name(enum sev_generation g);

/** sev_generation_find(out, name, err): errors ERR_NOT_FOUND */
int sev_generation_find(
    enum sev_generation *out, struct span name, struct err *err);

/**
 * sev_roots_pinned(out, err):
 * AMD's ARKs and ASKs, built into the program.
 *   errors  ERR_INTERNAL: the built-in bytes do not parse
 */
int sev_roots_pinned(struct sev_root out[SEV_ROOTS_PINNED], struct err *err);

/**
 * sev_root_parse(out, in, err):
 * An operator's root from ${in}: an ARK alone, or ASK and ARK in either order.
 * An ASK must be signed by the ARK, and the ARK by itself; a Naples ARK
 * without a signature is accepted if it equals the pinned one.
 *   lifetime  ${out} holds spans into ${in}
 *   errors    ERR_MALFORMED; ERR_UNTRUSTED: a signature does not verify
 */
int sev_root_parse(struct sev_root *out, struct span in, struct err *err);

/**
 * sev_root_add_ask(roots, count, ask, err):
 * Put ${ask}, which came without its ARK, to the one of ${count} ${roots} that
 * signed it and has none yet.
 *   lifetime  the root then holds the spans of ${ask}
 *   errors    ERR_UNTRUSTED: none of them did
 */
int sev_root_add_ask(struct sev_root *roots, size_t count,
    const struct sev_amd_cert *ask, struct err *err);

#endif
