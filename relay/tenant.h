#ifndef RELAY_TENANT_H
#define RELAY_TENANT_H

#include "common/err.h"
#include "common/uuid.h"
#include "relay/account.h"

/*
 * The tenants of the configuration: whose key is it, whose UUID.  Built once,
 * then only read, so every thread may ask.  relay/claim.h puts it together with
 * what the registry knows.
 */

#define TENANT_NAME_MAX ACCOUNT_NAME_MAX

struct tenants;

/* What the configuration says of one; limits of 0 are the default. */
struct tenant_rules {
	bool self_certifying;
	bool first_claim;
	struct account_limits limits;
};

/** tenants_new(out, err): no tenant at all: nobody may do anything. */
int tenants_new(struct tenants **out, struct err *err);
void tenants_free(struct tenants *t);

/**
 * tenants_add(t, name, rules, index, err):
 *   errors  ERR_CONFLICT: the name is taken; ERR_MEMORY
 */
int tenants_add(struct tenants *t, const char *name,
    const struct tenant_rules *rules, size_t *index, struct err *err);

/** tenants_add_key(t, index, text, err): an agent's key, "ed25519:BASE64".
 *   errors  ERR_MALFORMED; ERR_CONFLICT: it is listed already */
int tenants_add_key(
    struct tenants *t, size_t index, const char *text, struct err *err);

/** tenants_add_vm(t, index, text, err): a provisioned UUID.
 *   errors  ERR_MALFORMED; ERR_CONFLICT: it is listed already */
int tenants_add_vm(
    struct tenants *t, size_t index, const char *text, struct err *err);

/** tenants_add_certificate(t, index, name, err): the name of a certificate
 * that agents may show.  errors  ERR_CONFLICT: it is listed already */
int tenants_add_certificate(
    struct tenants *t, size_t index, const char *name, struct err *err);

/**
 * tenants_bind(t, accounts, err):
 * Find the account of each, once, before any question about accounts.
 *   errors  ERR_MEMORY
 */
int tenants_bind(struct tenants *t, struct accounts *accounts, struct err *err);

size_t tenants_count(const struct tenants *t);
const char *tenants_name(const struct tenants *t, size_t index);
struct account *tenants_account(const struct tenants *t, size_t index);

/** tenants_rules(t, account): NULL: the tenant is not of the configuration. */
const struct tenant_rules *tenants_rules(
    const struct tenants *t, const struct account *account);

/** tenants_of_key(t, key): NULL: nobody's key. */
struct account *tenants_of_key(
    const struct tenants *t, const uint8_t key[UUID_KEY_LEN]);

/** tenants_of_vm(t, uuid): NULL: nobody's. */
struct account *tenants_of_vm(const struct tenants *t, const struct uuid *uuid);

/** tenants_of_certificate(t, name): NULL: nobody's. */
struct account *tenants_of_certificate(
    const struct tenants *t, const char *name);

/** tenants_each_key(t, fn, arg), tenants_each_vm(t, fn, arg): all of them. */
void tenants_each_key(const struct tenants *t,
    void (*fn)(
	void *arg, struct account *account, const uint8_t key[UUID_KEY_LEN]),
    void *arg);
void tenants_each_vm(const struct tenants *t,
    void (*fn)(void *arg, struct account *account, const struct uuid *uuid),
    void *arg);

/**
 * tenant_key_parse(out, text, err):
 * "ed25519:BASE64", and no key that anybody could sign for.
 *   errors  ERR_MALFORMED; ERR_UNTRUSTED: of small order
 */
int tenant_key_parse(
    uint8_t out[UUID_KEY_LEN], const char *text, struct err *err);

#define TENANT_KEY_TEXT_LEN 53 /* "ed25519:", base64 of 32 bytes, NUL */
/** tenant_key_format(out, key): the form above.  Returns ${out}. */
char *tenant_key_format(
    char out[TENANT_KEY_TEXT_LEN], const uint8_t key[UUID_KEY_LEN]);

#endif
