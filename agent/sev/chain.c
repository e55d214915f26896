#include "agent/sev/chain.h"

static const struct {
	const char *name;
	uint32_t usage;
} places[SEV_PLACES] = {
	[SEV_PDH] = { "PDH", SEV_USAGE_PDH },
	[SEV_PEK] = { "PEK", SEV_USAGE_PEK },
	[SEV_OCA] = { "OCA", SEV_USAGE_OCA },
	[SEV_CEK] = { "CEK", SEV_USAGE_CEK },
	[SEV_ASK] = { "ASK", SEV_USAGE_ASK },
	[SEV_ARK] = { "ARK", SEV_USAGE_ARK },
};

const char *
sev_place_name(enum sev_place place)
{
	return place < SEV_PLACES ? places[place].name : "?";
}

static enum sev_place
place_of(uint32_t usage, enum sev_place from, enum sev_place to)
{
	for (enum sev_place p = from; p <= to; p++)
		if (places[p].usage == usage)
			return p;
	return SEV_PLACES;
}

/*
 * What lies at the head of ${rest}?  The two formats share the version only.
 * An AMD certificate has random key id bytes where an SEV certificate has its
 * usage, so that is asked first.
 */
static enum sev_place
identify(struct span rest)
{
	struct reader r = reader_of(rest);
	enum sev_place p;

	reader_take(&r, 8);
	p = place_of(reader_le32(&r), SEV_PDH, SEV_CEK);
	if (reader_ok(&r) && p != SEV_PLACES)
		return p;
	reader_take(&r, 24);
	p = place_of(reader_le32(&r), SEV_ASK, SEV_ARK);
	return reader_ok(&r) ? p : SEV_PLACES;
}

/* Put one certificate into its place, where an equal one may be already. */
static int
settle(
    struct sev_chain *out, enum sev_place p, struct reader *r, struct err *err)
{
	struct sev_amd_cert *to = p == SEV_ASK ? &out->ask : &out->ark, amd;
	struct sev_cert sev;
	struct span raw, old;

	if (p >= SEV_ASK) {
		if (sev_amd_cert_take(&amd, r, err) != 0)
			return -1;
		old = to->raw;
		raw = amd.raw;
	} else {
		size_t len =
		    r->rest.len < SEV_CERT_LEN ? r->rest.len : SEV_CERT_LEN;

		if (sev_cert_parse(&sev, reader_take(r, len), err) != 0)
			return -1;
		old = out->cert[p].raw;
		raw = sev.raw;
	}
	if (p == SEV_ARK && out->has[p] && span_equal(to->body, amd.body) &&
	    (to->signature.len == 0 || amd.signature.len == 0)) {
		/* AMD's file of Naples beside a whole ARK: keep the whole. */
		if (amd.signature.len == 0)
			return 0;
	} else if (out->has[p] && !span_equal(old, raw)) {
		return err_set(
		    err, ERR_MALFORMED, "given twice with different bytes");
	}
	out->has[p] = true;
	if (p >= SEV_ASK)
		*to = amd;
	else
		out->cert[p] = sev;
	return 0;
}

static int
parse_blob(struct sev_chain *out, struct span in, struct err *err)
{
	struct reader r = reader_of(in);
	enum sev_place next = SEV_PDH;

	do {
		size_t at = in.len - r.rest.len;
		enum sev_place p = identify(r.rest);

		if (p == SEV_PLACES && at == 0)
			return err_set(err, ERR_NOT_FOUND,
			    "%zu bytes that start with no SEV or AMD "
			    "certificate (55766 B, C)",
			    in.len);
		if (p == SEV_PLACES)
			return err_set(err, ERR_MALFORMED,
			    "no SEV or AMD certificate at byte %zu, %zu bytes "
			    "left over (55766 B, C)",
			    at, r.rest.len);
		if (p < next)
			return err_set(err, ERR_MALFORMED,
			    "%s at byte %zu, want the order PDH, PEK, OCA, "
			    "CEK, ASK, ARK (55766 5.10)",
			    places[p].name, at);
		if (settle(out, p, &r, err) != 0)
			return err_wrap(
			    err, "%s at byte %zu", places[p].name, at);
		next = p + 1;
	} while (!reader_done(&r));
	return 0;
}

int
sev_chain_parse(struct sev_chain *out, const struct span *in, size_t in_count,
    struct err *err)
{
	*out = (struct sev_chain){ 0 };
	for (size_t i = 0; i < in_count; i++) {
		if (parse_blob(out, in[i], err) != 0)
			return in_count == 1
			    ? -1
			    : err_wrap(err, "blob %zu of %zu", i + 1, in_count);
	}
	return 0;
}
