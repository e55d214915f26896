#ifndef LAUNCH_QMP_SEV_H
#define LAUNCH_QMP_SEV_H

#include "launch/answer.h"
#include "launch/measured.h"
#include "launch/outcome.h"
#include "launch/qmp.h"

/*
 * The SEV commands of QMP, and what QEMU's refusals mean (QEMU
 * qapi/misc-target.json, target/i386/sev.c).
 */

struct qmp_sev_host {
	json_t *facts; /* owned; what request_launch() takes */
	unsigned cbitpos, reduced_phys_bits;
};

/** qmp_sev_judge(command, words): what QEMU's ${words} to ${command} mean;
 * OUTCOME_CONFIG for those we do not know. */
enum outcome qmp_sev_judge(const char *command, const char *words);

/*
 * Decoders of what the commands return.
 *   errors  ERR_MALFORMED; of the guest also ERR_UNSUPPORTED: not SEV, or not
 *           waiting for its secret
 */
int qmp_sev_host_read(
    struct qmp_sev_host *out, const json_t *v, struct err *err);
int qmp_sev_guest_read(struct measured *out, const json_t *v, struct err *err);
int qmp_sev_measurement_read(
    struct measured *out, const json_t *v, struct err *err);
void qmp_sev_host_free(struct qmp_sev_host *h);

/** qmp_sev_host(out, q, timeout_ms, err): query-sev-capabilities. */
enum outcome qmp_sev_host(
    struct qmp_sev_host *out, struct qmp *q, int timeout_ms, struct err *err);

/** qmp_sev_measure(out, q, timeout_ms, err): query-sev and
 * query-sev-launch-measure of a guest that was started with -S. */
enum outcome qmp_sev_measure(
    struct measured *out, struct qmp *q, int timeout_ms, struct err *err);

/** qmp_sev_inject(q, answer, timeout_ms, err): sev-inject-launch-secret. */
enum outcome qmp_sev_inject(struct qmp *q, const struct answer_validate *answer,
    int timeout_ms, struct err *err);

/** qmp_sev_run(q, timeout_ms, err): cont, and see that it runs. */
enum outcome qmp_sev_run(struct qmp *q, int timeout_ms, struct err *err);

#endif
