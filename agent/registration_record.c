#include <string.h>

#include "agent/registration.h"

/* Only the newest is written; those before it are still read. */
enum {
	FORMAT_FIRST = 1, /* knew one kernel, and none of walk_later() */
	FORMAT_ALONE = 2, /* knew of no other agents */
	FORMAT_NOW = 3
};

/*
 * One walk serves both ways, so that what is written is what is read: a codec
 * with a writer encodes, one with a reader decodes.
 */
struct codec {
	struct writer *w; /* NULL: decode */
	struct reader r;
	struct err *err;
	bool failed;
};

static void
refuse(struct codec *c, enum err_code code, const char *what)
{
	if (!c->failed)
		(void)err_set(c->err, code, "registration: %s", what);
	c->failed = true;
}

static void
walk_u32(struct codec *c, uint32_t *v)
{
	if (c->w != NULL)
		writer_be32(c->w, *v);
	else
		*v = reader_be32(&c->r);
}

static void
walk_u64(struct codec *c, uint64_t *v)
{
	if (c->w != NULL)
		writer_be64(c->w, *v);
	else
		*v = reader_be64(&c->r);
}

static void
walk_bool(struct codec *c, bool *v)
{
	if (c->w != NULL)
		writer_u8(c->w, *v ? 1 : 0);
	else
		*v = reader_u8(&c->r) == 1;
}

static void
walk_u8(struct codec *c, uint8_t *v)
{
	if (c->w != NULL)
		writer_u8(c->w, *v);
	else
		*v = reader_u8(&c->r);
}

static void
walk_bytes(struct codec *c, uint8_t *v, size_t len)
{
	if (c->w != NULL)
		writer_put(c->w, span_of(v, len));
	else
		reader_copy(&c->r, v, len);
}

static void
walk_text(struct codec *c, char *text, size_t cap)
{
	uint32_t len = (uint32_t)strlen(text);
	struct span in;

	walk_u32(c, &len);
	if (c->w != NULL) {
		writer_put(c->w, span_of(text, len));
		return;
	}
	if (len >= cap) {
		refuse(c, ERR_LIMIT, "text too long");
		return;
	}
	in = reader_take(&c->r, len);
	if (in.len != len || (len > 0 && memchr(in.ptr, '\0', len) != NULL)) {
		refuse(c, ERR_MALFORMED, "text");
		return;
	}
	if (len > 0)
		memcpy(text, in.ptr, len);
	text[len] = '\0';
}

static void
walk_count(struct codec *c, size_t *count, size_t max)
{
	uint32_t n = (uint32_t)*count;

	walk_u32(c, &n);
	if (n > max) {
		refuse(c, ERR_LIMIT, "too many entries");
		n = 0;
	}
	*count = n;
}

static void
walk_secret(struct codec *c, struct secret *s, size_t max)
{
	uint32_t len = (uint32_t)s->len;

	walk_u32(c, &len);
	if (c->w != NULL) {
		writer_put(c->w, secret_span(s));
		return;
	}
	if (len > max || len > c->r.rest.len) {
		refuse(c, ERR_LIMIT, "bytes too long");
		return;
	}
	if (len > 0 && secret_copy(s, reader_take(&c->r, len), c->err) != 0)
		c->failed = true;
}

static void
walk_platform(struct codec *c, struct registration *r)
{
	size_t i;

	walk_bool(c, &r->any_platform);
	walk_u32(c, &r->deny_generations);
	walk_count(c, &r->cloud_count, REGISTRATION_CERTS_MAX);
	for (i = 0; i < r->cloud_count && !c->failed; i++)
		walk_secret(c, &r->clouds[i], SEV_CERT_LEN);
	walk_count(c, &r->cek_count, REGISTRATION_CERTS_MAX);
	for (i = 0; i < r->cek_count && !c->failed; i++)
		walk_secret(c, &r->ceks[i], SEV_CERT_LEN);
	walk_count(c, &r->root_count, REGISTRATION_ROOTS_MAX);
	for (i = 0; i < r->root_count && !c->failed; i++)
		walk_secret(c, &r->roots[i], 2 * SEV_AMD_CERT_LEN_MAX);
	walk_count(c, &r->chip_allow_count, REGISTRATION_CHIPS_MAX);
	for (i = 0; i < r->chip_allow_count && !c->failed; i++)
		walk_bytes(c, r->chip_allow[i], SEV_SHA256_LEN);
	walk_count(c, &r->chip_deny_count, REGISTRATION_CHIPS_MAX);
	for (i = 0; i < r->chip_deny_count && !c->failed; i++)
		walk_bytes(c, r->chip_deny[i], SEV_SHA256_LEN);
	walk_u8(c, &r->min.api_major);
	walk_u8(c, &r->min.api_minor);
	walk_u8(c, &r->min.build_id);
}

static void
walk_guest(struct codec *c, struct registration *r)
{
	size_t i;

	walk_count(c, &r->digest_count, REGISTRATION_DIGESTS_MAX);
	for (i = 0; i < r->digest_count && !c->failed; i++) {
		struct registration_digest *d = &r->digests[i];

		walk_bytes(c, d->digest, SEV_SHA256_LEN);
		walk_bool(c, &d->has_firmware);
		walk_bytes(c, d->firmware, SEV_SHA256_LEN);
		walk_u32(c, &d->cpus);
		walk_text(c, d->about, sizeof(d->about));
	}
	walk_bool(c, &r->kernel_hashes);
}

static void
walk_hashes(struct codec *c, struct sev_kernel_hashes *h)
{
	walk_bytes(c, h->cmdline, SEV_SHA256_LEN);
	walk_bytes(c, h->initrd, SEV_SHA256_LEN);
	walk_bytes(c, h->kernel, SEV_SHA256_LEN);
}

static void
walk_kernels(struct codec *c, struct registration *r)
{
	size_t i;

	walk_count(c, &r->kernel_count, REGISTRATION_KERNELS_MAX);
	for (i = 0; i < r->kernel_count && !c->failed; i++) {
		walk_hashes(c, &r->kernels[i].hashes);
		walk_text(c, r->kernels[i].about, sizeof(r->kernels[i].about));
	}
}

static void
walk_old_kernel(struct codec *c, struct registration *r)
{
	bool has = false;

	walk_bool(c, &has);
	walk_hashes(c, &r->kernels[0].hashes);
	r->kernel_count = has ? 1 : 0;
}

static void
walk_time(struct codec *c, int64_t *ms)
{
	uint64_t bits = (uint64_t)*ms;

	walk_u64(c, &bits);
	*ms = (int64_t)bits;
}

/* What format 2 added. */
static void
walk_later(struct codec *c, struct registration *r)
{
	size_t i;

	walk_text(c, r->blocklist, sizeof(r->blocklist));
	walk_count(c, &r->cpu_count, REGISTRATION_CPUS_MAX);
	for (i = 0; i < r->cpu_count && !c->failed; i++)
		walk_u32(c, &r->cpus[i]);
	walk_secret(c, &r->near, REGISTRATION_NEAR_MAX);
	walk_time(c, &r->from_ms);
	walk_time(c, &r->until_ms);
	walk_u32(c, &r->approve);
	walk_u32(c, &r->approve_at);
}

static void
walk_rest(struct codec *c, struct registration *r)
{
	size_t i;

	walk_u32(c, &r->max_instances);
	walk_u64(c, &r->per_s);
	walk_u32(c, &r->then);
	walk_count(c, &r->host_count, REGISTRATION_HOSTS_MAX);
	for (i = 0; i < r->host_count && !c->failed; i++)
		walk_text(c, r->hosts[i].name, sizeof(r->hosts[i].name));
	walk_secret(c, &r->table, SEV_SECRET_AREA_MAX);
	walk_u32(c, &r->secret_count);
	walk_bool(c, &r->has_address);
	walk_u64(c, &r->address);
}

static void
walk(struct codec *c, struct registration *r)
{
	uint32_t format = FORMAT_NOW;

	walk_u32(c, &format);
	if (format < FORMAT_FIRST || format > FORMAT_NOW) {
		refuse(c, ERR_UNSUPPORTED, "unknown format");
		return;
	}
	walk_bytes(c, r->vm.bytes, sizeof(r->vm.bytes));
	walk_text(c, r->name, sizeof(r->name));
	walk_text(c, r->label, sizeof(r->label));
	walk_time(c, &r->created_ms);
	walk_u32(c, &r->scheme);
	walk_u32(c, &r->policy);
	walk_platform(c, r);
	walk_guest(c, r);
	if (format == FORMAT_FIRST)
		walk_old_kernel(c, r);
	else
		walk_kernels(c, r);
	walk_rest(c, r);
	if (format > FORMAT_FIRST)
		walk_later(c, r);
	if (format > FORMAT_ALONE) {
		walk_bool(c, &r->shared);
		walk_u32(c, &r->rank);
	}
}

int
registration_encode(
    struct secret *out, const struct registration *r, struct err *err)
{
	struct registration copy = *r; /* the walk takes no const */
	struct secret room = { 0 };
	struct writer w;
	struct codec c = { .w = &w, .err = err };
	int rc = -1;

	if (secret_alloc(&room, REGISTRATION_BYTES_MAX, err) != 0)
		return -1;
	w = writer_of(room.ptr, room.len);
	walk(&c, &copy);
	if (c.failed || !writer_ok(&w)) {
		(void)err_set(err, ERR_LIMIT,
		    "registration: more than %d bytes", REGISTRATION_BYTES_MAX);
		goto out;
	}
	rc = secret_copy(out, writer_span(&w), err);
out:
	secret_free(&room);
	return rc;
}

static int
check_certs(
    const struct secret *certs, size_t count, uint32_t usage, struct err *err)
{
	struct sev_cert cert;
	size_t i;

	for (i = 0; i < count; i++) {
		if (sev_cert_parse(&cert, secret_span(&certs[i]), err) != 0)
			return err_wrap(err, "registration");
		if (cert.usage != usage)
			return err_set(err, ERR_MALFORMED,
			    "registration: a %s certificate, want %s",
			    sev_usage_name(cert.usage), sev_usage_name(usage));
	}
	return 0;
}

int
registration_read(struct registration **out, struct span in, struct err *err)
{
	struct registration *r = registration_new();
	struct codec c = { .r = reader_of(in), .err = err };

	if (r == NULL)
		return err_set(err, ERR_MEMORY, "no memory for a registration");
	walk(&c, r);
	if (!c.failed && !reader_done(&c.r))
		refuse(&c, ERR_MALFORMED, "too short, or bytes left over");
	if (c.failed) {
		registration_free(r);
		return -1;
	}
	*out = r;
	return 0;
}

int
registration_decode(struct registration **out, struct span in, struct err *err)
{
	struct registration *r;
	struct sev_root root;
	size_t i;

	if (registration_read(&r, in, err) != 0)
		return -1;
	if (check_certs(r->clouds, r->cloud_count, SEV_USAGE_OCA, err) != 0 ||
	    check_certs(r->ceks, r->cek_count, SEV_USAGE_CEK, err) != 0)
		goto fail;
	for (i = 0; i < r->root_count; i++)
		if (sev_root_parse(&root, secret_span(&r->roots[i]), err) !=
		    0) {
			(void)err_wrap(err, "registration: root");
			goto fail;
		}
	if (registration_check(r, err) != 0)
		goto fail;
	*out = r;
	return 0;
fail:
	registration_free(r);
	return -1;
}
