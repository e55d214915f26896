#ifndef AGENT_NET_KEYSERVER_H
#define AGENT_NET_KEYSERVER_H

#include "agent/net/keyplan.h"
#include "common/err.h"
#include "common/span.h"

/*
 * Fetches the CEKs that AMD has signed, by chip id, in a thread of its own:
 * GET {base}/cek/id/<128 hex digits>, which answers with the certificate's raw
 * bytes.  TLS is verified and redirects are not followed; but what counts is
 * AMD's signature, and that the vault judges.
 *   source  AMDESE/sev-tool src/sevcore.h, virtee/sevctl src/main.rs
 */
struct keyserver;

#define KEYSERVER_URL "https://kdsintf.amd.com"
#define KEYSERVER_GAP_MS 10000 /* sev-tool assumes a request in 10 s */

struct keyserver_options {
	const char *url;   /* https://HOST[:PORT][/BASE] */
	const char *ca;    /* authorities, PEM; NULL: the system's */
	const char *proxy; /* NULL: none */
	uint32_t gap_ms;
	/*
	 * Hand a certificate to the vault, from the keyserver's thread.
	 *   errors  ERR_UNTRUSTED, ERR_MALFORMED: it is not AMD's; else our
	 *           own trouble, and it is fetched again later
	 */
	int (*deliver)(void *arg, const uint8_t cpu_id[KEYPLAN_CHIP_LEN],
	    struct span cert, struct err *err);
	void *arg;
};

/**
 * keyserver_start(out, options, err):
 *   lifetime  borrows all of ${options}
 *   errors    ERR_USAGE: the URL is none; ERR_INTERNAL, ERR_MEMORY
 */
int keyserver_start(struct keyserver **out,
    const struct keyserver_options *options, struct err *err);

/** keyserver_stop(k): break off what is under way, end the thread; others may
 * still call keyserver_want(), to no effect.  NULL is fine. */
void keyserver_stop(struct keyserver *k);

/** keyserver_free(k): after keyserver_stop(). */
void keyserver_free(struct keyserver *k);

/** keyserver_want(k, cpu_id): any thread; does not wait. */
void keyserver_want(
    struct keyserver *k, const uint8_t cpu_id[KEYPLAN_CHIP_LEN]);

/** keyserver_check_url(text, err): for the configuration. */
int keyserver_check_url(const char *text, struct err *err);

#endif
