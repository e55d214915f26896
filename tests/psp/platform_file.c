#include "tests/psp/platform_file.h"

#include <errno.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static const char *const names[PSP_ROLES] = {
	[PSP_CEK] = "cek",
	[PSP_OCA] = "oca",
	[PSP_PEK] = "pek",
	[PSP_PDH] = "pdh",
};

#define PATH_CAP 1024

static int
join(char out[PATH_CAP], const char *dir, const char *name, const char *suffix,
    struct err *err)
{
	int n = snprintf(out, PATH_CAP, "%s/%s%s", dir, name, suffix);

	if (n < 0 || n >= PATH_CAP)
		return err_set(err, ERR_USAGE, "%s: path too long", dir);
	return 0;
}

static int
put(const char *dir, const char *name, const char *suffix, struct span data,
    struct err *err)
{
	char path[PATH_CAP];
	FILE *f;
	bool ok;

	if (join(path, dir, name, suffix, err) != 0)
		return -1;
	f = fopen(path, "we");
	if (f == NULL)
		return err_set(err, ERR_IO, "%s: %s", path, strerror(errno));
	ok = fwrite(data.ptr, 1, data.len, f) == data.len;
	if (fclose(f) != 0 || !ok)
		return err_set(err, ERR_IO, "%s: not written", path);
	return 0;
}

/* At most ${cap} bytes of a file into ${out}, their number into ${len}. */
static int
get(uint8_t *out, size_t cap, size_t *len, const char *dir, const char *name,
    const char *suffix, struct err *err)
{
	char path[PATH_CAP];
	FILE *f;
	bool ok;

	if (join(path, dir, name, suffix, err) != 0)
		return -1;
	f = fopen(path, "re");
	if (f == NULL)
		return err_set(err, errno == ENOENT ? ERR_NOT_FOUND : ERR_IO,
		    "%s: %s", path, strerror(errno));
	*len = fread(out, 1, cap, f);
	ok = ferror(f) == 0 && fgetc(f) == EOF;
	(void)fclose(f);
	if (!ok)
		return err_set(err, ERR_MALFORMED,
		    "%s: unreadable, or more than %zu bytes", path, cap);
	return 0;
}

static int
get_exact(uint8_t *out, size_t want, const char *dir, const char *name,
    const char *suffix, struct err *err)
{
	size_t len;

	if (get(out, want, &len, dir, name, suffix, err) != 0)
		return -1;
	if (len != want)
		return err_set(err, ERR_MALFORMED,
		    "%s/%s%s: %zu bytes, want %zu", dir, name, suffix, len,
		    want);
	return 0;
}

static int
put_key(const char *dir, const char *name, EVP_PKEY *key, struct err *err)
{
	char path[PATH_CAP];

	if (key == NULL)
		return 0;
	if (join(path, dir, name, ".key.pem", err) != 0)
		return -1;
	return psp_key_save(key, path, err);
}

/* A private key that may be absent. */
static int
get_key(EVP_PKEY **out, const char *dir, const char *name, struct err *err)
{
	char path[PATH_CAP];
	struct err why;

	if (join(path, dir, name, ".key.pem", err) != 0)
		return -1;
	if (psp_key_load(out, path, &why) == 0 || why.code == ERR_NOT_FOUND)
		return 0;
	return err_set(err, why.code, "%s", why.msg);
}

static int
put_derived(const struct psp_platform *p, const char *dir, struct err *err)
{
	uint8_t chain[PSP_CHAIN_LEN], both[2 * PSP_AMD_CERT_MAX];
	uint8_t *cek = chain + (size_t)2 * PSP_CERT_LEN;
	char api[16];

	memcpy(chain, p->cert[PSP_PEK], PSP_CERT_LEN);
	memcpy(chain + PSP_CERT_LEN, p->cert[PSP_OCA], PSP_CERT_LEN);
	memcpy(cek, p->cert[PSP_CEK], PSP_CERT_LEN);
	psp_cert_strip(cek);
	(void)snprintf(api, sizeof(api), "%u.%u.%u\n", p->api.major,
	    p->api.minor, p->api.build);
	if (p->ark_len > 0 && p->ask_len > 0) {
		/* The layout of the file that AMD publishes. */
		memcpy(both, p->ask_cert, p->ask_len);
		memcpy(both + p->ask_len, p->ark_cert, p->ark_len);
		if (put(dir, "ask_ark", ".cert",
			span_of(both, p->ask_len + p->ark_len), err) != 0)
			return -1;
	}
	if (put(dir, "cek-unsigned", ".cert", span_of(cek, PSP_CERT_LEN),
		err) != 0 ||
	    put(dir, "cert-chain", ".bin", span_of(chain, sizeof(chain)),
		err) != 0)
		return -1;
	return put(dir, "api", ".txt", span_str(api), err);
}

int
psp_platform_file_save(
    const struct psp_platform *p, const char *dir, struct err *err)
{
	if (mkdir(dir, 0700) != 0 && errno != EEXIST)
		return err_set(err, ERR_IO, "%s: %s", dir, strerror(errno));
	if (p->ark_len > 0 &&
	    put(dir, "ark", ".cert", span_of(p->ark_cert, p->ark_len), err) !=
		0)
		return -1;
	if (p->ask_len > 0 &&
	    put(dir, "ask", ".cert", span_of(p->ask_cert, p->ask_len), err) !=
		0)
		return -1;
	for (int i = 0; i < PSP_ROLES; i++)
		if (put(dir, names[i], ".cert",
			span_of(p->cert[i], PSP_CERT_LEN), err) != 0 ||
		    put_key(dir, names[i], p->key[i], err) != 0)
			return -1;
	if (put_key(dir, "ark", p->ark, err) != 0 ||
	    put_key(dir, "ask", p->ask, err) != 0 ||
	    put(dir, "cpu0-id", ".bin", span_of(p->chip_id, PSP_CHIP_ID_LEN),
		err) != 0)
		return -1;
	return put_derived(p, dir, err);
}

int
psp_platform_file_api(struct psp_api *out, const char *text, struct err *err)
{
	unsigned major, minor, build;
	char rest;

	if (sscanf(text, "%3u.%3u.%3u%c", &major, &minor, &build, &rest) != 3 ||
	    major > 255 || minor > 255 || build > 255)
		return err_set(err, ERR_USAGE,
		    "API version is not MAJOR.MINOR.BUILD, each 0..255");
	*out =
	    (struct psp_api){ (uint8_t)major, (uint8_t)minor, (uint8_t)build };
	return 0;
}

static int
get_api(struct psp_platform *p, const char *dir, struct err *err)
{
	struct span api = psp_cert_api(p->cert[PSP_PDH]);
	char text[16] = "";
	struct err why;
	size_t len = 0;

	p->api = (struct psp_api){ api.ptr[0], api.ptr[1], 0 };
	if (get((uint8_t *)text, sizeof(text) - 1, &len, dir, "api", ".txt",
		&why) != 0) {
		if (why.code == ERR_NOT_FOUND)
			return 0;
		return err_set(err, why.code, "%s", why.msg);
	}
	text[strcspn(text, "\r\n")] = '\0';
	if (psp_platform_file_api(&p->api, text, err) != 0)
		return err_wrap(err, "%s/api.txt", dir);
	return 0;
}

/* An ARK or ASK certificate that may be absent. */
static int
get_amd(uint8_t out[PSP_AMD_CERT_MAX], size_t *len, const char *dir,
    const char *name, struct err *err)
{
	struct err why;

	if (get(out, PSP_AMD_CERT_MAX, len, dir, name, ".cert", &why) == 0)
		return 0;
	*len = 0;
	if (why.code == ERR_NOT_FOUND)
		return 0;
	return err_set(err, why.code, "%s", why.msg);
}

int
psp_platform_file_load(
    struct psp_platform *out, const char *dir, struct err *err)
{
	struct psp_platform p = { 0 };
	int rc = -1;

	for (int i = 0; i < PSP_ROLES; i++)
		if (get_exact(p.cert[i], PSP_CERT_LEN, dir, names[i], ".cert",
			err) != 0 ||
		    get_key(&p.key[i], dir, names[i], err) != 0)
			goto out;
	if (get_amd(p.ark_cert, &p.ark_len, dir, "ark", err) != 0 ||
	    get_amd(p.ask_cert, &p.ask_len, dir, "ask", err) != 0 ||
	    get_key(&p.ark, dir, "ark", err) != 0 ||
	    get_key(&p.ask, dir, "ask", err) != 0 ||
	    get_exact(
		p.chip_id, PSP_CHIP_ID_LEN, dir, "cpu0-id", ".bin", err) != 0 ||
	    get_api(&p, dir, err) != 0)
		goto out;
	if (p.key[PSP_PDH] == NULL) {
		err_set(
		    err, ERR_NOT_FOUND, "%s/pdh.key.pem: no such file", dir);
		goto out;
	}
	*out = p;
	memset(&p, 0, sizeof(p));
	rc = 0;
out:
	psp_platform_free(&p);
	return rc;
}
