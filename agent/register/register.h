#ifndef AGENT_REGISTER_REGISTER_H
#define AGENT_REGISTER_REGISTER_H

#include "agent/registration.h"
#include "common/err.h"
#include "common/secret.h"

/*
 * From what an owner has (flags, or a JSON file in the thread's form,
 * docs/protocol.md 14) to a registration, with the checks that catch the
 * classic mistakes before any launch: firmware without a secret area, a
 * kernel that is not measured, debugging left on, scheme against policy.
 */

#define REGISTER_FIRMWARES_MAX 8
#define REGISTER_FILE_MAX (512u << 20) /* kernel, initrd */
#define REGISTER_JSON_MAX (1024 * 1024)
#define REGISTER_XML_MAX (1024 * 1024)
#define REGISTER_NOTES_MAX 16
#define REGISTER_NOTE_LEN 200
#define REGISTER_PAD_STEP 256 /* hides the length of the secrets (T33) */

/** Reads a file that the owner named; a table of one, for tests. */
typedef int register_read_fn(void *arg, struct secret *out, const char *path,
    size_t max, struct err *err);

/** Runs a command that the owner named, for its output. */
typedef int register_run_fn(void *arg, struct secret *out, const char *line,
    size_t max, struct err *err);

struct register_firmware {
	char about[64];
	struct secret image; /* empty: only the hash is known */
	uint8_t hash[SEV_SHA256_LEN];
};

/* A kernel, initrd or command line: all that a launch digest takes of it. */
struct register_part {
	uint8_t hash[SEV_SHA256_LEN];
	char about[64];
	char *text; /* owned; of a command line that was told as text */
};

struct register_parts {
	struct register_part part[REGISTRATION_KERNELS_MAX];
	size_t count;
};

/* Everything said so far; register_init() to register_finish(). */
struct register_plan {
	register_read_fn *read;
	void *read_arg;
	register_run_fn *run;   /* NULL: no commands here; arg: read_arg */
	bool nvram_told;        /* in words of the domain */
	bool checked;           /* register_check() was good */
	struct registration *r; /* owned until register_finish() */
	bool has_vm, new_vm;    /* a UUID was given; one was asked for */
	bool has_policy, has_scheme, allow_debug, allow_naples, no_secret;
	struct register_firmware firmware[REGISTER_FIRMWARES_MAX];
	size_t firmware_count;
	/* Initrds and command lines: one for all kernels, or one for each, in
	 * the order of the kernels. */
	struct register_parts kernels, initrds, cmdlines;
	uint32_t cpus[REGISTRATION_DIGESTS_MAX];
	size_t cpu_count;
	bool has_signature, has_family, has_model, has_stepping;
	uint32_t signature, family, model, stepping;
	bool variant[2]; /* by enum sev_vmsa_variant */
	struct secret vmsa0, vmsa1;
	struct secret asks[REGISTRATION_ROOTS_MAX];
	struct secret arks[REGISTRATION_ROOTS_MAX];
	size_t ask_count, ark_count;
	struct sev_guid secret_guid[SEV_SECRET_ENTRIES_MAX];
	struct secret secret_data[SEV_SECRET_ENTRIES_MAX];
	size_t secret_count;
	size_t note_count; /* warnings and facts for the owner */
	char note[REGISTER_NOTES_MAX][REGISTER_NOTE_LEN];
};

/** register_init(p, read, arg, err): nothing said yet.  errors ERR_MEMORY */
int register_init(struct register_plan *p, register_read_fn *read, void *arg,
    struct err *err);

void register_free(struct register_plan *p);

/**
 * register_option(p, name, value, err):
 * One flag of `vm add`, without its dashes; ${value} is NULL for those that
 * take none.  Lists grow with each call.
 *   errors  ERR_NOT_FOUND: no such option; ERR_USAGE and whatever the file
 *           behind it is guilty of
 */
int register_option(struct register_plan *p, const char *name,
    const char *value, struct err *err);

/** register_wants_value(name): 1 yes, 0 no, -1 no such option. */
int register_wants_value(const char *name);

/** register_json(p, text, err): the members of a JSON registration.  errors
 * ERR_MALFORMED, ERR_USAGE: an unknown or unusable member */
int register_json(struct register_plan *p, struct span text, struct err *err);

/** One of the next three. */
typedef int register_form_fn(
    struct register_plan *p, struct span text, struct err *err);

/** register_yaml(p, text, err): the same members in YAML (protocol.md 14). */
int register_yaml(struct register_plan *p, struct span text, struct err *err);

/**
 * register_domain(p, text, err):
 * What a libvirt domain says of its guest, as far as nothing else was said of
 * it before: so this comes last.
 *   errors  ERR_MALFORMED, ERR_LIMIT: no XML, or one with a document type;
 *           ERR_USAGE: a domain that cannot be attested, with what to change;
 *           ERR_IO: a file that it names is not here
 */
int register_domain(struct register_plan *p, struct span text, struct err *err);

/** register_secret(p, guid, data, err): one secret, its exact bytes. */
int register_secret(struct register_plan *p, const struct sev_guid *guid,
    struct span data, struct err *err);

/**
 * register_identity(p, err):
 * Settle name and UUID once all is said: a VM with a UUID alone is called by
 * it, and a name that is a UUID means that VM (the thread's form has neither,
 * docs/protocol.md 14).
 *   errors  ERR_USAGE: neither is there, or the name is another VM's UUID
 */
int register_identity(struct register_plan *p, struct err *err);

/**
 * register_check(p, err):
 * All checks and all digests, but what the secrets themselves decide, so that
 * the owner sees them before she is asked for any.
 *   errors  ERR_USAGE and others, with words for the owner
 */
int register_check(struct register_plan *p, struct err *err);

/**
 * register_finish(out, p, key, err):
 * register_check(), unless that was done, and the secrets.  Without a UUID the VM gets a self-certifying one
 * of ${key} (UUID_KEY_LEN bytes) and its name.
 *   errors  ERR_USAGE and others, with words for the owner
 */
int register_finish(struct registration **out, struct register_plan *p,
    const uint8_t *key, struct err *err);

/** register_note(p, fmt, ...): one more line for the owner. */
void register_note(struct register_plan *p, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* Certificates and chips; register_certs.c. */
int register_cloud(struct register_plan *p, struct span in, struct err *err);
int register_cek(struct register_plan *p, struct span in, struct err *err);
int register_root(struct register_plan *p, struct span in, struct err *err);
/** register_chip(p, allow, value, err): a fingerprint, or CHIP-ID=CEK-FILE. */
int register_chip(
    struct register_plan *p, bool allow, const char *value, struct err *err);
/** register_roots(p, err): join ASKs to ARKs and check them. */
int register_roots(struct register_plan *p, struct err *err);
/** register_unpack(out, in, err): raw bytes, or base64 of them. */
int register_unpack(struct secret *out, struct span in, struct err *err);

#endif
