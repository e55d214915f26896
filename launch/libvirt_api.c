#include "launch/libvirt_api.h"

#include <dlfcn.h>
#include <stddef.h>
#include <string.h>

int
libvirt_api_load(struct libvirt_api *out, struct err *err)
{
	static const struct {
		const char *name;
		size_t at;
	} calls[] = {
#define LIBVIRT_ROW(name) { #name, offsetof(struct libvirt_api, name) },
		LIBVIRT_CALLS(LIBVIRT_ROW)
#undef LIBVIRT_ROW
	};
	void *library = dlopen("libvirt.so.0", RTLD_NOW | RTLD_LOCAL);
	void *qemu = dlopen("libvirt-qemu.so.0", RTLD_NOW | RTLD_LOCAL);
	void *found;

	if (library == NULL)
		return err_set(err, ERR_NOT_FOUND,
		    "no libvirt on this machine: install libvirt0");
	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
		found = dlsym(library, calls[i].name);
		if (found == NULL)
			return err_set(err, ERR_NOT_FOUND,
			    "libvirt without %s(): want 8.0 or later",
			    calls[i].name);
		memcpy((char *)out + calls[i].at, &found, sizeof(found));
	}
	found =
	    qemu == NULL ? NULL : dlsym(qemu, "virDomainQemuMonitorCommand");
	memcpy(&out->virDomainQemuMonitorCommand, &found, sizeof(found));
	return 0;
}
