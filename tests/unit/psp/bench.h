#ifndef PSP_BENCH_H
#define PSP_BENCH_H

#include "tests/unit/psp/fixture.h"

#define AREA 0x80c000 /* where the guest takes its secret */

/* synthetic-a after INIT, and the owner's part of one known session. */
struct bench {
	struct psp_platform platform;
	struct psp *psp;
	json_t *root;
	struct secret godh, session;
	uint32_t policy;
};

/** bench_setup(state), bench_teardown(state): for cmocka. */
int bench_setup(void **state);
int bench_teardown(void **state);

/** bench_session(b, name): use that case of kat/session.json. */
void bench_session(struct bench *b, const char *name);

/** bench_start(b, handle, policy): LAUNCH_START with the session. */
enum psp_status bench_start(struct bench *b, uint32_t *handle, uint32_t policy);

/** bench_measured(b, guest): a measured guest, its context in ${guest}. */
uint32_t bench_measured(struct bench *b, struct psp_guest_state *guest);

#endif
