#include "tests/host/machine.h"

#include <string.h>

#include "tests/host/file.h"
#include "tests/host/messages.h"
#include "tests/host/report.h"
#include "tests/psp/platform_file.h"
#include "tests/psp/secret_table.h"

#define AREA_MAX 65536 /* bytes of a secret area that we give memory to */

int
machine_load(struct machine *m, const struct options *o, struct err *err)
{
	memset(m, 0, sizeof(*m));
	if (o->platform == NULL || o->firmware == NULL)
		return err_set(
		    err, ERR_USAGE, "--platform and --firmware are needed");
	if (psp_platform_file_load(&m->platform, o->platform, err) != 0 ||
	    file_read(&m->firmware, o->firmware, err) != 0 ||
	    (o->kernel != NULL && file_read(&m->kernel, o->kernel, err) != 0) ||
	    (o->initrd != NULL && file_read(&m->initrd, o->initrd, err) != 0))
		goto fail;
	m->platform.no_es = o->no_es;
	m->reported = m->platform.api;
	if (o->api != NULL &&
	    psp_platform_file_api(&m->reported, o->api, err) != 0)
		goto fail;
	m->image = (struct guest_image){
		.firmware = secret_span(&m->firmware),
		.kernel = secret_span(&m->kernel),
		.initrd = secret_span(&m->initrd),
		.cmdline = span_str(o->cmdline == NULL ? "" : o->cmdline),
		.vcpus = o->vcpus,
		.cpu_sig = o->cpu_sig,
		.init2 = o->init2,
	};
	if (guest_image_ovmf(&m->ovmf, m->image.firmware, err) != 0)
		goto fail;
	return 0;
fail:
	machine_free(m);
	return -1;
}

void
machine_free(struct machine *m)
{
	psp_platform_free(&m->platform);
	secret_free(&m->firmware);
	secret_free(&m->kernel);
	secret_free(&m->initrd);
}

int
machine_chain(uint8_t *out, size_t cap, size_t *len, const struct machine *m,
    enum chain_form form, struct err *err)
{
	const struct psp_platform *p = &m->platform;
	struct writer w = writer_of(out, cap);
	uint8_t cek[PSP_CERT_LEN];

	memcpy(cek, p->cert[PSP_CEK], sizeof(cek));
	if (form == CHAIN_QEMU)
		psp_cert_strip(cek);
	if (form == CHAIN_SEVCTL || form == CHAIN_FULL)
		writer_put(&w, span_of(p->cert[PSP_PDH], PSP_CERT_LEN));
	writer_put(&w, span_of(p->cert[PSP_PEK], PSP_CERT_LEN));
	writer_put(&w, span_of(p->cert[PSP_OCA], PSP_CERT_LEN));
	writer_put(&w, span_of(cek, sizeof(cek)));
	if (form == CHAIN_FULL) {
		if (p->ark_len == 0 || p->ask_len == 0)
			return err_set(err, ERR_USAGE,
			    "the platform has no ark.cert or ask.cert");
		writer_put(&w, span_of(p->ask_cert, p->ask_len));
		writer_put(&w, span_of(p->ark_cert, p->ark_len));
	}
	if (!writer_ok(&w))
		return err_set(
		    err, ERR_INTERNAL, "chain of over %zu bytes", cap);
	*len = w.len;
	return 0;
}

struct psp *
machine_psp(struct machine *m, struct err *err)
{
	struct psp *psp = psp_new(&m->platform, NULL, NULL);

	if (psp == NULL || psp_init(psp) != PSP_SUCCESS) {
		err_set(err, ERR_MEMORY, "no secure processor");
		psp_free(psp);
		return NULL;
	}
	return psp;
}

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
