#ifndef LAUNCH_LIBVIRT_API_H
#define LAUNCH_LIBVIRT_API_H

#include <libvirt/libvirt-qemu.h>
#include <libvirt/libvirt.h>
#include <libvirt/virterror.h>

#include "common/err.h"

/*
 * libvirt's functions, found when they are first needed: hosts with plain QEMU
 * need no libvirt, which would bring two dozen libraries with it.
 */

/* clang-format off */
#define LIBVIRT_CALLS(call) \
	call(virInitialize) \
	call(virSetErrorFunc) \
	call(virGetLastErrorCode) \
	call(virGetLastErrorMessage) \
	call(virResetLastError) \
	call(virEventRegisterDefaultImpl) \
	call(virEventRunDefaultImpl) \
	call(virEventAddTimeout) \
	call(virEventUpdateTimeout) \
	call(virEventRemoveTimeout) \
	call(virConnectOpen) \
	call(virConnectClose) \
	call(virConnectSetKeepAlive) \
	call(virConnectIsAlive) \
	call(virConnectGetURI) \
	call(virNodeGetSEVInfo) \
	call(virTypedParamsGetString) \
	call(virTypedParamsGetUInt) \
	call(virTypedParamsAddString) \
	call(virTypedParamsAddULLong) \
	call(virTypedParamsFree) \
	call(virDomainLookupByName) \
	call(virDomainFree) \
	call(virDomainIsActive) \
	call(virDomainIsPersistent) \
	call(virDomainGetXMLDesc) \
	call(virDomainGetMetadata) \
	call(virDomainCreateXML) \
	call(virDomainDefineXML) \
	call(virDomainUndefineFlags) \
	call(virDomainDestroy) \
	call(virDomainGetUUIDString) \
	call(virDomainGetLaunchSecurityInfo) \
	call(virDomainSetLaunchSecurityState) \
	call(virDomainResume) \
	call(virDomainGetState) \
	call(virConnectDomainEventRegisterAny) \
	call(virConnectDomainEventDeregisterAny) \
	call(virConnectRegisterCloseCallback) \
	call(virConnectUnregisterCloseCallback)
/* clang-format on */

struct libvirt_api {
#define LIBVIRT_FIELD(name) __typeof__ (&(name))(name);
	LIBVIRT_CALLS(LIBVIRT_FIELD)
	/* Of libvirt-qemu.so.0; NULL: it is not there. */
	LIBVIRT_FIELD(virDomainQemuMonitorCommand)
#undef LIBVIRT_FIELD
};

/** libvirt_api_load(out, err): once is enough; it stays loaded.
 *   errors  ERR_NOT_FOUND: no libvirt.so.0, or an older one than 8.0 */
int libvirt_api_load(struct libvirt_api *out, struct err *err);

#endif
