#include "agent/registration.h"

#include <stdlib.h>
#include <string.h>

struct registration *
registration_new(void)
{
	return calloc(1, sizeof(struct registration));
}

void
registration_free(struct registration *r)
{
	size_t i;

	if (r == NULL)
		return;
	for (i = 0; i < REGISTRATION_CERTS_MAX; i++) {
		secret_free(&r->clouds[i]);
		secret_free(&r->ceks[i]);
	}
	for (i = 0; i < REGISTRATION_ROOTS_MAX; i++)
		secret_free(&r->roots[i]);
	secret_free(&r->table);
	secret_free(&r->near);
	free(r);
}

/* A name goes into logs, tables and paths of other tools: keep it plain. */
static bool
name_is_plain(const char *name)
{
	const char *p;

	for (p = name; *p != '\0'; p++)
		if (!((*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') ||
			(*p >= '0' && *p <= '9') || *p == '-' || *p == '_' ||
			*p == '.'))
			return false;
	return name[0] != '\0' && name[0] != '-';
}

int
registration_check(const struct registration *r, struct err *err)
{
	bool es = (r->policy & SEV_POLICY_ES) != 0;

	if (!name_is_plain(r->name))
		return err_set(err, ERR_USAGE,
		    "name \"%.64s\": want letters, digits, and . _ -", r->name);
	/* An empty list is never "any" (docs/threat-model.md). */
	if (!r->any_platform && r->cloud_count == 0 && r->chip_allow_count == 0)
		return err_set(err, ERR_USAGE,
		    "no platform is allowed: give --cloud-cert or --chip, or "
		    "--any-platform to take every genuine AMD machine");
	if (r->digest_count == 0)
		return err_set(err, ERR_USAGE,
		    "no launch digest: give --firmware or --digest");
	if (r->scheme > SCHEME_SEV_ES)
		return err_set(err, ERR_USAGE, "unknown scheme");
	if (es != (r->scheme == SCHEME_SEV_ES))
		return err_set(err, ERR_USAGE,
		    "scheme %s and policy 0x%x disagree about bit 2 (ES)",
		    registration_scheme_name(r->scheme), r->policy);
	if (r->per_s != 0 && r->max_instances > REGISTRATION_COUNT_MAX)
		return err_set(err, ERR_USAGE,
		    "max-instances %u in a window, at most %d",
		    r->max_instances, REGISTRATION_COUNT_MAX);
	if (r->then > THEN_CONFIRM)
		return err_set(
		    err, ERR_USAGE, "max-instances: unknown \"then\"");
	if (r->approve > APPROVE_ALWAYS || r->approve_at > APPROVE_AT_RELEASE)
		return err_set(err, ERR_USAGE, "approve: unknown word");
	/* Other agents could not claim it (docs/protocol.md 12.3). */
	if (r->shared && r->label[0] != '\0')
		return err_set(err, ERR_USAGE,
		    "a UUID made of this agent's key cannot be shared: give "
		    "--uuid");
	if (r->rank > (r->shared ? REGISTRATION_RANK_MAX : 0))
		return err_set(err, ERR_USAGE, "shared: rank %u", r->rank);
	if (r->from_ms < 0 || r->until_ms < 0 ||
	    (r->until_ms != 0 && r->until_ms <= r->from_ms))
		return err_set(
		    err, ERR_USAGE, "the VM's time ends before it begins");
	if (r->blocklist[0] != '\0' && r->blocklist[0] != '/')
		return err_set(
		    err, ERR_USAGE, "cek-blocklist: want an absolute path");
	if ((r->secret_count == 0) != (r->table.len == 0) ||
	    r->table.len % 16 != 0)
		return err_set(err, ERR_USAGE,
		    "secret table of %zu bytes for %u secrets", r->table.len,
		    r->secret_count);
	return 0;
}

const char *
registration_then_name(uint32_t then)
{
	static const char *const names[] = { [THEN_REFUSE] = "refuse",
		[THEN_ALLOW] = "allow",
		[THEN_CONFIRM] = "confirm" };

	return then <= THEN_CONFIRM ? names[then] : "unknown";
}

const char *
registration_scheme_name(uint32_t scheme)
{
	return scheme == SCHEME_SEV_ES ? "amd-sev-es" : "amd-sev";
}
