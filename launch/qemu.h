#ifndef LAUNCH_QEMU_H
#define LAUNCH_QEMU_H

#include "launch/measured.h"
#include "launch/outcome.h"
#include "launch/qmp_sev.h"

/* Plain QEMU: what libvirt would do, over QMP. */

/** qemu_start(argc, argv): probe the host, ask the owner, start the guest
 * paused, have it judged, give it its secret, let it run; then stay until it
 * ends.  Whatever fails, no guest is left. */
enum outcome qemu_start(int argc, char **argv);

/** qemu_fetch(argc, argv): print what this host would send. */
enum outcome qemu_fetch(int argc, char **argv);

/** qemu_probe(out, qemu, timeout_ms, err): a QEMU without a guest tells what the
 * host's secure processor has.
 *   lifetime  caller: qmp_sev_host_free() */
enum outcome qemu_probe(struct qmp_sev_host *out, const char *qemu,
    int timeout_ms, struct err *err);

/** qemu_trial(out, qemu, firmware, policy, host, timeout_ms, err): what the
 * secure processor measures of a guest that has no owner and never runs. */
enum outcome qemu_trial(struct measured *out, const char *qemu,
    const char *firmware, uint32_t policy, const struct qmp_sev_host *host,
    int timeout_ms, struct err *err);

#endif
