#ifndef AGENT_REGISTER_REGISTER_IMPL_H
#define AGENT_REGISTER_REGISTER_IMPL_H

/* What register.c, register_guest.c and register_rules.c share; nobody else
 * includes it. */

#include "agent/register/register.h"

typedef int register_option_fn(
    struct register_plan *p, const char *value, struct err *err);

/** Numbers, decimal or 0x..., at most ${max}. */
int register_number(
    uint64_t *out, const char *value, uint64_t max, struct err *err);
int register_number32(
    uint32_t *out, const char *value, uint32_t max, struct err *err);

/** register_read_named(p, out, path, max, err): replaces ${out}.  errors
 * those of p->read; ERR_USAGE: nothing is in it */
int register_read_named(struct register_plan *p, struct secret *out,
    const char *path, size_t max, struct err *err);

/** register_copy_word(out, cap, value, err): 1 to cap - 1 characters. */
int register_copy_word(
    char *out, size_t cap, const char *value, struct err *err);

/* The guest and the rules of a VM, by option; the table is in register.c. */
register_option_fn register_add_kernel;
register_option_fn register_add_initrd;
register_option_fn register_add_cmdline;
register_option_fn register_add_kernel_hash;
register_option_fn register_add_initrd_hash;
register_option_fn register_add_cmdline_hash;
register_option_fn register_add_cpus;
register_option_fn register_set_signature;
register_option_fn register_set_family;
register_option_fn register_set_model;
register_option_fn register_set_stepping;
register_option_fn register_set_vmsa_cpu0;
register_option_fn register_set_vmsa_cpu1;
register_option_fn register_add_variant;
register_option_fn register_add_cloud;
register_option_fn register_add_cek;
register_option_fn register_add_root;
register_option_fn register_add_chip;
register_option_fn register_add_deny_chip;
register_option_fn register_add_deny;
register_option_fn register_set_any;
register_option_fn register_set_naples;
register_option_fn register_set_debug;
register_option_fn register_set_min_api;
register_option_fn register_set_min_build;
register_option_fn register_set_instances;
register_option_fn register_set_then;
register_option_fn register_set_approve;
register_option_fn register_set_approve_at;
register_option_fn register_set_from;
register_option_fn register_set_until;
register_option_fn register_set_blocklist;
register_option_fn register_add_host;
register_option_fn register_set_shared;
register_option_fn register_add_secret_file;
register_option_fn register_add_secret;
register_option_fn register_add_command;
register_option_fn register_set_no_secret;
register_option_fn register_set_address;

/** register_members(p, object, err): all members of a registration. */
struct json_t;
int register_members(
    struct register_plan *p, const struct json_t *object, struct err *err);

/* Of them, by value: register_json.c, register_json_guest.c. */
/** register_scalar(p, option, v, err): text, a number, or true. */
int register_scalar(struct register_plan *p, const char *option,
    const struct json_t *v, struct err *err);
int register_kernels(
    struct register_plan *p, const struct json_t *v, struct err *err);
int register_secrets(
    struct register_plan *p, const struct json_t *v, struct err *err);

/* What is expected of a launch; register_digest.c. */
/** register_has_image(p, f): of a firmware that is told by its hash, the image
 * is there, too. */
bool register_has_image(
    const struct register_plan *p, const struct register_firmware *f);
/** register_vcpus(out, p, variant, err): errors ERR_USAGE: too little told */
int register_vcpus(struct sev_vcpus *out, struct register_plan *p,
    enum sev_vmsa_variant variant, struct err *err);
/** register_digests(p, err): all combinations, into p->r. */
int register_digests(struct register_plan *p, struct err *err);
/** register_near(p, err): the digests of likely mistakes (explain.h). */
int register_near(struct register_plan *p, struct err *err);

#endif
