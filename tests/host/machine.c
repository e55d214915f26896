#include "tests/host/machine.h"

#include <string.h>

#include "tests/host/file.h"
#include "tests/psp/platform_file.h"

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
