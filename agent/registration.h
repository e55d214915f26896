#ifndef AGENT_REGISTRATION_H
#define AGENT_REGISTRATION_H

#include "agent/sev/sev.h"
#include "common/err.h"
#include "common/secret.h"
#include "common/span.h"
#include "common/uuid.h"

/*
 * What the owner laid down for one VM, as the vault keeps it
 * (docs/protocol.md 14): plain data, made by register.c from what a person
 * writes, sealed by the store, judged by policy.c.  The secret table is the
 * only secret in it, and goes in only: nothing reads it back out.
 */

#define REGISTRATION_NAME_MAX 64
#define REGISTRATION_ABOUT_MAX 160
#define REGISTRATION_DIGESTS_MAX 16
#define REGISTRATION_CERTS_MAX 64 /* cloud certificates; CEKs */
#define REGISTRATION_ROOTS_MAX 8
#define REGISTRATION_CHIPS_MAX 256
#define REGISTRATION_HOSTS_MAX 16
#define REGISTRATION_HOST_LEN_MAX 128
#define REGISTRATION_COUNT_MAX 1024 /* of max-instances with a window */
#define REGISTRATION_BYTES_MAX (1024 * 1024)
#define REGISTRATION_KERNELS_MAX 8
#define REGISTRATION_CPUS_MAX 16
#define REGISTRATION_PATH_MAX 255
#define REGISTRATION_NEAR_MAX 65536 /* bytes of near misses, explain.h */
#define REGISTRATION_RANK_MAX UINT16_MAX

enum registration_scheme { SCHEME_SEV = 0, SCHEME_SEV_ES = 1 };

/* What happens at the limit of max-instances. */
enum registration_then { THEN_REFUSE = 0, THEN_ALLOW = 1, THEN_CONFIRM = 2 };

/* When the owner is asked, besides THEN_CONFIRM. */
enum registration_approve {
	APPROVE_NEVER = 0,
	APPROVE_FIRST = 1, /* until one guest was released */
	APPROVE_ALWAYS = 2
};
enum registration_approve_at { APPROVE_AT_LAUNCH = 0, APPROVE_AT_RELEASE = 1 };

struct registration_digest {
	uint8_t digest[SEV_SHA256_LEN];
	bool has_firmware;
	uint8_t firmware[SEV_SHA256_LEN]; /* SHA-256 of the image */
	uint32_t cpus;                    /* 0: unknown, or not measured */
	char about[REGISTRATION_ABOUT_MAX + 1];
};

/* One kernel that may be started, with what goes with it. */
struct registration_kernel {
	struct sev_kernel_hashes hashes;
	char about[REGISTRATION_NAME_MAX + 1];
};

struct registration_host {
	char name[REGISTRATION_HOST_LEN_MAX + 1]; /* a host-identity */
};

struct registration {
	struct uuid vm;
	char name[REGISTRATION_NAME_MAX + 1];  /* for people; unique */
	char label[REGISTRATION_NAME_MAX + 1]; /* self-certifying UUID; "" */
	/* Other agents have the same UUID, each with sessions of its own; the
	 * one of the smallest rank is asked first (docs/protocol.md 12.2). */
	bool shared;
	uint32_t rank;      /* 0 unless shared */
	int64_t created_ms; /* wall clock */
	uint32_t scheme;
	uint32_t policy;

	/* Platform.  No rule is no permission: one of cloud certificates,
	 * chips or any_platform must be there. */
	bool any_platform;
	uint32_t deny_generations; /* bit 1 << enum sev_generation */
	struct secret clouds[REGISTRATION_CERTS_MAX]; /* OCA certificates */
	size_t cloud_count;
	struct secret ceks[REGISTRATION_CERTS_MAX]; /* signed by AMD */
	size_t cek_count;
	struct secret roots[REGISTRATION_ROOTS_MAX]; /* ASK and ARK */
	size_t root_count;
	/* Fingerprints of CEK keys: all that a chain proves about a chip. */
	uint8_t chip_allow[REGISTRATION_CHIPS_MAX][SEV_SHA256_LEN];
	size_t chip_allow_count;
	uint8_t chip_deny[REGISTRATION_CHIPS_MAX][SEV_SHA256_LEN];
	size_t chip_deny_count;
	/* A file of such fingerprints to refuse, read anew as it changes;
	 * absolute; "": none. */
	char blocklist[REGISTRATION_PATH_MAX + 1];
	struct sev_build min; /* zeros: any */

	/* Guest. */
	struct registration_digest digests[REGISTRATION_DIGESTS_MAX];
	size_t digest_count;
	bool kernel_hashes; /* kernel, initrd and command line are measured */
	struct registration_kernel kernels[REGISTRATION_KERNELS_MAX];
	size_t kernel_count;
	uint32_t cpus[REGISTRATION_CPUS_MAX]; /* vCPU counts that may start */
	size_t cpu_count;   /* 0: any; SEV-ES then measures none either */
	struct secret near; /* digests of likely mistakes, explain.h */

	/* Limits. */
	int64_t from_ms;        /* wall clock; 0: at once */
	int64_t until_ms;       /* 0: for ever */
	uint32_t max_instances; /* 0: no limit */
	uint64_t per_s;         /* window of max_instances; 0: for ever */
	uint32_t then;          /* enum registration_then */
	uint32_t approve;       /* enum registration_approve */
	uint32_t approve_at;    /* enum registration_approve_at */
	struct registration_host hosts[REGISTRATION_HOSTS_MAX];
	size_t host_count; /* 0: any host that the relay admits */

	/* Release. */
	struct secret table; /* OVMF's secret table, padded; empty: none */
	uint32_t secret_count;
	bool has_address;
	uint64_t address; /* guest address for the table */
};

/** registration_new(): all empty; NULL: no memory. */
struct registration *registration_new(void);

/** registration_free(r): wipe and release; NULL is fine. */
void registration_free(struct registration *r);

/**
 * registration_encode(out, r, err): the stored form.  errors ERR_MEMORY,
 * ERR_LIMIT: over REGISTRATION_BYTES_MAX
 */
int registration_encode(
    struct secret *out, const struct registration *r, struct err *err);

/**
 * registration_decode(out, in, err):
 * The reverse, with every length and every certificate judged anew: the bytes
 * may come from the control socket.
 *   errors  ERR_MALFORMED, ERR_LIMIT, ERR_UNSUPPORTED (another version),
 *           ERR_MEMORY
 */
int registration_decode(
    struct registration **out, struct span in, struct err *err);

/**
 * registration_read(out, in, err):
 * The reverse, of bytes that registration_decode() judged before they were
 * sealed: their form alone, as a root's signature is slow to verify.
 *   errors  ERR_MALFORMED, ERR_LIMIT, ERR_UNSUPPORTED, ERR_MEMORY
 */
int registration_read(
    struct registration **out, struct span in, struct err *err);

/**
 * registration_check(r, err):
 * What must hold of every registration, whoever made it.
 *   errors  ERR_USAGE: no platform rule, no digest, a name that is none, a
 *           value outside its range, or scheme and policy bit 2 disagree
 */
int registration_check(const struct registration *r, struct err *err);

/** registration_scheme_name(scheme): "amd-sev", "amd-sev-es". */
const char *registration_scheme_name(uint32_t scheme);

/** registration_then_name(then): "refuse", "allow", "confirm". */
const char *registration_then_name(uint32_t then);

#endif
