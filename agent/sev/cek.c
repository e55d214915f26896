#include "agent/sev/cek.h"

#include "agent/sev/amd_link.h"

int
sev_cek_verify(enum sev_generation *generation, const struct sev_cert *cek,
    const struct sev_root *roots, size_t root_count, struct err *err)
{
	struct sev_root pinned[SEV_ROOTS_PINNED];

	if (cek->usage != SEV_USAGE_CEK)
		return err_set(err, ERR_UNTRUSTED,
		    "a certificate of usage %s, want CEK (55766 C)",
		    sev_usage_name(cek->usage));
	if (sev_roots_pinned(pinned, err) != 0)
		return -1;
	for (size_t i = 0; i < SEV_ROOTS_PINNED + root_count; i++) {
		const struct sev_root *root = i < SEV_ROOTS_PINNED
		    ? &pinned[i]
		    : &roots[i - SEV_ROOTS_PINNED];

		if (!root->has_ask ||
		    sev_amd_link_cek(&root->ask, cek, NULL) != 0)
			continue;
		*generation = root->generation;
		return 0;
	}
	return err_set(
	    err, ERR_UNTRUSTED, "CEK: no trusted ASK has signed it (55766 C)");
}
