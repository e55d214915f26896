#include "tests/host/guest.h"

#include <string.h>

#include "tests/host/answers.h"
#include "tests/host/report.h"
#include "tests/psp/secret_table.h"

#define AREA_MAX 65536 /* bytes of a secret area that we give memory to */

static enum outcome
refused(const char *command, enum psp_status status, struct err *err)
{
	err_set(err, ERR_UNTRUSTED,
	    "secure processor: %s: firmware error %d (%s)", command,
	    (int)status, psp_status_name(status));
	return HOST_PSP;
}

enum outcome
guest_start(struct guest *g, struct psp *psp, const struct machine *m,
    const struct launch_answer *answer, const struct options *o,
    struct err *err)
{
	uint32_t policy = o->has_policy ? o->policy : answer->policy;
	struct guest_image image = m->image;
	enum psp_status status;

	memset(g, 0, sizeof(*g));
	g->psp = psp;
	status = psp_launch_start(&g->handle, psp, policy,
	    span_of(answer->owner_cert, answer->owner_cert_len),
	    span_of(answer->session, answer->session_len));
	if (status != PSP_SUCCESS)
		return refused("LAUNCH_START", status, err);
	report(o, "psp",
	    "LAUNCH_START: guest %u; the owner's session is unwrapped, "
	    "WRAP_MAC and POLICY_MAC fit policy 0x%x",
	    g->handle, policy);
	image.kernel_hashes = o->kernel_hashes == ON ||
	    (o->kernel_hashes == AUTO && answer->kernel_hashes != 0);
	if (guest_image_submit(psp, g->handle, &image, err) != 0)
		return err->code == ERR_CLOSED ? HOST_PSP : HOST_USAGE;
	report(o, "psp", "LAUNCH_UPDATE: firmware of %zu bytes%s",
	    image.firmware.len,
	    image.kernel_hashes && image.kernel.len > 0
		? ", hashes of kernel, initrd and command line"
		: "");
	if ((policy & PSP_POLICY_ES) != 0)
		report(o, "psp",
		    "LAUNCH_UPDATE_VMSA: %u save areas (%s, CPU 0x%08x)",
		    image.vcpus, image.init2 ? "init2" : "legacy",
		    image.cpu_sig);
	status = psp_launch_measure(
	    g->measurement, sizeof(g->measurement), psp, g->handle);
	if (status != PSP_SUCCESS)
		return refused("LAUNCH_MEASURE", status, err);
	report_bytes(o, "psp", "LAUNCH_MEASURE: ",
	    span_of(g->measurement, sizeof(g->measurement)));
	return HOST_OK;
}

/* Where QEMU puts the secret: as told, else where the firmware says. */
static enum outcome
secret_place(struct guest_image_area *area, const struct machine *m,
    const struct validate_answer *answer, struct err *err)
{
	*area = m->ovmf.secret;
	if (area->base == 0 && !answer->has_address) {
		err_set(err, ERR_UNSUPPORTED,
		    "the firmware has no area for a launch secret");
		return HOST_USAGE;
	}
	if (answer->has_address) {
		area->base = (uint32_t)answer->address;
		area->size = answer->address == m->ovmf.secret.base
		    ? m->ovmf.secret.size
		    : AREA_MAX;
	}
	if (area->size > AREA_MAX)
		area->size = AREA_MAX;
	return HOST_OK;
}

enum outcome
guest_inject(struct secret *secret, enum psp_status *status, struct guest *g,
    const struct machine *m, const struct validate_answer *answer,
    const struct options *o, struct err *err)
{
	struct secret memory = { 0 };
	struct guest_image_area area;
	enum outcome rc = secret_place(&area, m, answer, err);
	struct span found;

	*status = PSP_SUCCESS;
	if (rc != HOST_OK)
		return rc;
	if (secret_alloc(&memory, area.size, err) != 0)
		return HOST_USAGE;
	*status = psp_launch_secret(memory.ptr, memory.len, g->psp, g->handle,
	    area.base, span_of(answer->header, answer->header_len),
	    secret_span(&answer->payload));
	if (*status != PSP_SUCCESS) {
		rc = refused("LAUNCH_SECRET", *status, err);
		err->code = ERR_CONFLICT; /* made for another guest */
		goto out;
	}
	report(o, "psp",
	    "LAUNCH_SECRET: packet of %zu bytes fits this guest alone, "
	    "decrypted to 0x%x",
	    answer->payload.len, area.base);
	rc = HOST_WRONG;
	if (secret_table_find(
		&found, secret_span(&memory), o->secret_guid, err) != 0 ||
	    secret_copy(secret, found, err) != 0)
		goto out;
	report(o, "guest", "secret table: entry %s of %zu bytes",
	    o->secret_guid, found.len);
	rc = HOST_OK;
out:
	secret_free(&memory);
	return rc;
}

void
guest_end(struct guest *g)
{
	if (g->handle != 0)
		(void)psp_decommission(g->psp, g->handle);
	g->handle = 0;
}
