#include "tests/mock_qemu/guest.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base64.h"
#include "tests/host/file.h"
#include "tests/psp/platform_file.h"

#define AREA_MAX 65536
#define DEFAULT_CPU_SIG 0x00a00f11U

int
guest_host(struct guest *g, struct err *err)
{
	const char *folder = getenv("MOCK_QEMU_PLATFORM");

	if (folder == NULL)
		return err_set(err, ERR_USAGE, "no MOCK_QEMU_PLATFORM");
	if (psp_platform_file_load(&g->platform, folder, err) != 0)
		return -1;
	g->psp = psp_new(&g->platform, NULL, NULL);
	if (g->psp == NULL || psp_init(g->psp) != PSP_SUCCESS)
		return err_set(err, ERR_MEMORY, "no secure processor");
	return 0;
}

/* What QEMU says when the firmware refuses. */
static int
refused(const char *words, enum psp_status status, struct err *err)
{
	return err_set(err, ERR_CLOSED, "%s ret=1 fw_error=%d '%s'", words,
	    (int)status, psp_status_name(status));
}

static int
read_base64(
    uint8_t *out, size_t cap, size_t *len, const char *path, struct err *err)
{
	struct secret text = { 0 };
	int rc;

	*len = 0;
	if (path[0] == '\0')
		return 0;
	if (file_read(&text, path, err) != 0)
		return -1;
	rc = base64_decode(out, cap, len, secret_span(&text), err);
	secret_free(&text);
	return rc;
}

static int
start(struct guest *g, const struct line *l, struct err *err)
{
	uint8_t cert[PSP_CERT_LEN], session[PSP_SESSION_LEN];
	size_t cert_len = 0, session_len = 0;
	enum psp_status status;

	if (read_base64(cert, sizeof(cert), &cert_len, l->cert_file, err) !=
		0 ||
	    read_base64(session, sizeof(session), &session_len, l->session_file,
		err) != 0)
		return -1;
	status = psp_launch_start(&g->handle, g->psp, l->policy,
	    span_of(cert, cert_len), span_of(session, session_len));
	if (status != PSP_SUCCESS)
		return refused("sev_launch_start: LAUNCH_START", status, err);
	g->policy = l->policy;
	return 0;
}

int
guest_launch(struct guest *g, const struct line *l, struct err *err)
{
	struct secret firmware = { 0 }, kernel = { 0 }, initrd = { 0 };
	struct guest_image image = { .kernel_hashes = l->kernel_hashes,
		.vcpus = l->vcpus,
		.cpu_sig = DEFAULT_CPU_SIG,
		.cmdline = span_str(l->cmdline == NULL ? "" : l->cmdline) };
	enum psp_status status;
	int rc = -1;

	if (l->firmware == NULL) {
		err_set(err, ERR_USAGE, "no -bios");
		goto out;
	}
	if (start(g, l, err) != 0 ||
	    file_read(&firmware, l->firmware, err) != 0 ||
	    (l->kernel != NULL && file_read(&kernel, l->kernel, err) != 0) ||
	    (l->initrd != NULL && file_read(&initrd, l->initrd, err) != 0))
		goto out;
	image.firmware = secret_span(&firmware);
	image.kernel = secret_span(&kernel);
	image.initrd = secret_span(&initrd);
	if (guest_image_ovmf(&g->ovmf, image.firmware, err) != 0 ||
	    guest_image_submit(g->psp, g->handle, &image, err) != 0)
		goto out;
	status = psp_launch_measure(
	    g->measurement, sizeof(g->measurement), g->psp, g->handle);
	if (status != PSP_SUCCESS) {
		refused("sev_launch_get_measure: LAUNCH_MEASURE", status, err);
		goto out;
	}
	rc = 0;
out:
	secret_free(&firmware);
	secret_free(&kernel);
	secret_free(&initrd);
	return rc;
}

int
guest_inject(struct guest *g, struct span header, struct span payload,
    uint64_t address, struct err *err)
{
	size_t size = g->ovmf.secret.size;
	enum psp_status status;

	if (g->running)
		return err_set(
		    err, ERR_CLOSED, "SEV: Not in correct state. (LSECRET) 3");
	if (address == 0 && g->ovmf.secret.base == 0)
		return err_set(err, ERR_CLOSED,
		    "SEV: no secret area found in "
		    "OVMF, gpa must be specified.");
	if (address == 0)
		address = g->ovmf.secret.base;
	if (size == 0 || size > AREA_MAX)
		size = AREA_MAX;
	secret_free(&g->memory);
	if (secret_alloc(&g->memory, size, err) != 0)
		return -1;
	status = psp_launch_secret(g->memory.ptr, g->memory.len, g->psp,
	    g->handle, address, header, payload);
	if (status != PSP_SUCCESS)
		return refused("SEV: failed to inject secret", status, err);
	g->address = address;
	return 0;
}
