#include "agent/sev/roots.h"

#include <string.h>

#include "agent/sev/amd_link.h"
#include "agent/sev/cert.h"
#include "agent/sev/roots_data.h"

static const char *const names[SEV_GENERATIONS] = {
	[SEV_GEN_OPERATOR] = "operator",
	[SEV_GEN_NAPLES] = "naples",
	[SEV_GEN_ROME] = "rome",
	[SEV_GEN_MILAN] = "milan",
	[SEV_GEN_GENOA] = "genoa",
	[SEV_GEN_TURIN] = "turin",
};

/* Arrays, so that their sizes come along. */
#define PINNED(gen, name)                                                      \
	{                                                                      \
		gen, sev_roots_##name##_ask, sizeof(sev_roots_##name##_ask),   \
		    sev_roots_##name##_ark, sizeof(sev_roots_##name##_ark)     \
	}

static const struct {
	enum sev_generation generation;
	const uint8_t *ask;
	size_t ask_len;
	const uint8_t *ark;
	size_t ark_len;
} pinned[SEV_ROOTS_PINNED] = {
	PINNED(SEV_GEN_NAPLES, naples),
	PINNED(SEV_GEN_ROME, rome),
	PINNED(SEV_GEN_MILAN, milan),
	PINNED(SEV_GEN_GENOA, genoa),
	PINNED(SEV_GEN_TURIN, turin),
};

const char *
sev_generation_name(enum sev_generation g)
{
	return g < SEV_GENERATIONS ? names[g] : "?";
}

int
sev_generation_find(enum sev_generation *out, struct span name, struct err *err)
{
	for (enum sev_generation g = 0; g < SEV_GENERATIONS; g++) {
		if (span_is(name, names[g])) {
			*out = g;
			return 0;
		}
	}
	return err_set(err, ERR_NOT_FOUND,
	    "no such generation; there are naples, rome, milan, genoa, turin "
	    "and operator");
}

int
sev_roots_pinned(struct sev_root out[SEV_ROOTS_PINNED], struct err *err)
{
	for (size_t i = 0; i < SEV_ROOTS_PINNED; i++) {
		out[i].generation = pinned[i].generation;
		out[i].has_ask = true;
		if (sev_amd_cert_parse(&out[i].ask,
			span_of(pinned[i].ask, pinned[i].ask_len), err) != 0 ||
		    sev_amd_cert_parse(&out[i].ark,
			span_of(pinned[i].ark, pinned[i].ark_len), err) != 0) {
			if (err != NULL)
				err->code = ERR_INTERNAL;
			return err_wrap(err, "built-in root of %s",
			    names[pinned[i].generation]);
		}
	}
	return 0;
}

/* Published without a signature: it is the pinned Naples ARK, or nothing. */
static int
check_unsigned_ark(const struct sev_amd_cert *ark, struct err *err)
{
	struct span body =
	    span_of(sev_roots_naples_ark, SEV_AMD_ARK_2048_NO_SIG);

	if (!span_equal(ark->body, body))
		return err_set(err, ERR_UNTRUSTED,
		    "ARK without a signature, and not the one of Naples");
	return 0;
}

int
sev_root_parse(struct sev_root *out, struct span in, struct err *err)
{
	struct reader r = reader_of(in);
	struct sev_amd_cert cert;
	bool has_ark = false;

	*out = (struct sev_root){ .generation = SEV_GEN_OPERATOR };
	do {
		if (sev_amd_cert_take(&cert, &r, err) != 0)
			return -1;
		if (cert.usage == SEV_USAGE_ARK ? has_ark : out->has_ask)
			return err_set(err, ERR_MALFORMED,
			    "two certificates of usage %s, want an ARK and "
			    "perhaps its ASK",
			    sev_usage_name(cert.usage));
		if (cert.usage == SEV_USAGE_ARK) {
			out->ark = cert;
			has_ark = true;
		} else {
			out->ask = cert;
			out->has_ask = true;
		}
	} while (!reader_done(&r));
	if (!has_ark)
		return err_set(err, ERR_MALFORMED,
		    "ASK alone, want an ARK and perhaps its ASK");
	if (out->ark.signature.len == 0) {
		if (check_unsigned_ark(&out->ark, err) != 0)
			return -1;
	} else if (sev_amd_link_verify(&out->ark, &out->ark, err) != 0) {
		return err_wrap(err, "ARK by itself");
	}
	if (out->has_ask && sev_amd_link_verify(&out->ark, &out->ask, err) != 0)
		return err_wrap(err, "ASK by the ARK");
	return 0;
}

int
sev_root_add_ask(struct sev_root *roots, size_t count,
    const struct sev_amd_cert *ask, struct err *err)
{
	for (size_t i = 0; i < count; i++) {
		if (roots[i].has_ask ||
		    sev_amd_link_verify(&roots[i].ark, ask, NULL) != 0)
			continue;
		roots[i].ask = *ask;
		roots[i].has_ask = true;
		return 0;
	}
	return err_set(err, ERR_UNTRUSTED,
	    "an ASK, and none of %zu ARKs signed it", count);
}
