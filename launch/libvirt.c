#include "launch/libvirt.h"

#include <stdlib.h>
#include <string.h>

#include "launch/libvirt_inside.h"

/* A daemon that does not answer six pings is gone. */
#define PING_S 5
#define PINGS 6

/* libvirt prints its errors by itself otherwise. */
static void
quiet(void *ctx, virErrorPtr error)
{
	(void)ctx;
	(void)error;
}

static void
nothing(int timer, void *ctx)
{
	(void)timer;
	(void)ctx;
}

enum outcome
libvirt_tell(const struct libvirt *l, const char *what, struct err *err)
{
	const char *words = l->api.virGetLastErrorMessage();

	err_set(err, ERR_UNSUPPORTED, "libvirt: %s: %.180s", what,
	    words == NULL ? "no reason given" : words);
	return OUTCOME_CONFIG;
}

static void *
run_loop(void *ctx)
{
	struct libvirt *l = ctx;

	while (!atomic_load(&l->ending))
		if (l->api.virEventRunDefaultImpl() < 0)
			break;
	return NULL;
}

/* Before the connection, which asks whether there is a loop. */
static enum outcome
start_loop(struct libvirt *l, struct err *err)
{
	if (l->api.virEventRegisterDefaultImpl() < 0 ||
	    (l->timer = l->api.virEventAddTimeout(-1, nothing, NULL, NULL)) < 0)
		return libvirt_tell(l, "event loop", err);
	if (pthread_create(&l->loop, NULL, run_loop, l) != 0) {
		err_set(err, ERR_MEMORY, "no thread for libvirt");
		return OUTCOME_BUG;
	}
	l->looping = true;
	return OUTCOME_OK;
}

enum outcome
libvirt_open(struct libvirt **out, const char *uri, struct err *err)
{
	struct libvirt *l = calloc(1, sizeof(*l));
	enum outcome rc = OUTCOME_CONFIG;

	if (l == NULL) {
		err_set(err, ERR_MEMORY, "no memory for libvirt");
		return OUTCOME_BUG;
	}
	if (libvirt_api_load(&l->api, err) != 0)
		goto out;
	l->api.virSetErrorFunc(NULL, quiet);
	if (l->api.virInitialize() != 0) {
		rc = libvirt_tell(l, "start", err);
		goto out;
	}
	rc = start_loop(l, err);
	if (rc != OUTCOME_OK)
		goto out;
	l->conn = l->api.virConnectOpen(uri);
	/* 1: a driver in our own process, which has no daemon. */
	if (l->conn == NULL ||
	    l->api.virConnectSetKeepAlive(l->conn, PING_S, PINGS) < 0) {
		rc = libvirt_tell(l, "connect", err);
		goto out;
	}
	*out = l;
	return OUTCOME_OK;
out:
	libvirt_close(l);
	return rc;
}

void
libvirt_close(struct libvirt *l)
{
	if (l == NULL)
		return;
	if (l->conn != NULL)
		(void)l->api.virConnectClose(l->conn);
	if (l->looping) {
		atomic_store(&l->ending, true);
		l->api.virEventUpdateTimeout(l->timer, 0);
		(void)pthread_join(l->loop, NULL);
		/* Or it would keep the loop of the next connection busy. */
		(void)l->api.virEventRemoveTimeout(l->timer);
	}
	free(l);
}

bool
libvirt_alive(struct libvirt *l)
{
	return l->api.virConnectIsAlive(l->conn) == 1;
}

char *
libvirt_uri(const struct libvirt *l, struct err *err)
{
	char *uri = l->api.virConnectGetURI(l->conn);

	if (uri == NULL)
		(void)libvirt_tell(l, "URI", err);
	return uri;
}

static enum outcome
take_host(struct libvirt_host *out, const struct libvirt *l,
    virTypedParameterPtr p, int n, struct err *err)
{
	const char *pdh = NULL, *chain = NULL, *id = NULL;
	const struct libvirt_api *api = &l->api;

	if (api->virTypedParamsGetString(p, n, VIR_NODE_SEV_PDH, &pdh) != 1 ||
	    api->virTypedParamsGetString(
		p, n, VIR_NODE_SEV_CERT_CHAIN, &chain) != 1 ||
	    api->virTypedParamsGetUInt(
		p, n, VIR_NODE_SEV_CBITPOS, &out->cbitpos) != 1 ||
	    api->virTypedParamsGetUInt(p, n, VIR_NODE_SEV_REDUCED_PHYS_BITS,
		&out->reduced_phys_bits) != 1) {
		err_set(err, ERR_MALFORMED,
		    "libvirt: SEV of this host: a value is missing");
		return OUTCOME_CONFIG;
	}
	/* Since libvirt 8.4 and QEMU 7.1. */
	(void)api->virTypedParamsGetString(p, n, VIR_NODE_SEV_CPU0_ID, &id);
	out->facts = json_pack(
	    "{s:s, s:s, s:s*}", "pdh", pdh, "cert-chain", chain, "cpu-id", id);
	if (out->facts != NULL)
		return OUTCOME_OK;
	err_set(err, ERR_MEMORY, "no memory for the chain");
	return OUTCOME_BUG;
}

enum outcome
libvirt_host(struct libvirt_host *out, struct libvirt *l, struct err *err)
{
	virTypedParameterPtr p = NULL;
	enum outcome rc;
	int n = 0;

	memset(out, 0, sizeof(*out));
	if (l->api.virNodeGetSEVInfo(l->conn, &p, &n, 0) != 0) {
		int code = l->api.virGetLastErrorCode();

		(void)libvirt_tell(l, "SEV of this host", err);
		return code == VIR_ERR_OPERATION_UNSUPPORTED ||
			code == VIR_ERR_NO_SUPPORT
		    ? OUTCOME_NO_SEV
		    : OUTCOME_CONFIG;
	}
	rc = take_host(out, l, p, n, err);
	l->api.virTypedParamsFree(p, n);
	return rc;
}
