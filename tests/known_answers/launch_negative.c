/* The "negatives" of a launch case: variants told in words. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/known_answers/launch_case.h"

/* A changed copy of a launch, with the bytes that only it owns. */
struct variant {
	struct launch_case lc;
	struct secret owned[4];
	size_t owned_count;
};

/* A copy of ${of} with ${extra} bytes more, owned by the variant. */
static int
own(struct variant *v, struct secret *of, size_t extra)
{
	struct secret copy = { NULL, 0 };

	if (v->owned_count == 4 || secret_alloc(&copy, of->len + extra, NULL))
		return -1;
	if (of->len > 0)
		memcpy(copy.ptr, of->ptr, of->len);
	v->owned[v->owned_count++] = copy;
	*of = copy;
	return 0;
}

static int
flip(struct variant *v, struct secret *of, size_t from, size_t to, bool last)
{
	if (to > of->len || from >= to || own(v, of, 0) != 0)
		return -1;
	of->ptr[last ? to - 1 : from] ^= 0x01;
	return 0;
}

/* "<thing> first|last byte flipped|changed" */
static int
change_byte(struct variant *v, const char *thing, const char *which)
{
	struct launch_case *lc = &v->lc;
	bool last = strcmp(which, "last") == 0;

	if (!last && strcmp(which, "first") != 0)
		return -1;
	if (strcmp(thing, "measure") == 0)
		return flip(v, &lc->blob, 0, SEV_MEASURE_LEN, last);
	if (strcmp(thing, "nonce") == 0)
		return flip(
		    v, &lc->blob, SEV_MEASURE_LEN, SEV_MEASURE_BLOB_LEN, last);
	if (strcmp(thing, "firmware") == 0)
		return flip(v, &lc->firmware, 0, lc->firmware.len, last);
	if (strcmp(thing, "kernel") == 0)
		return flip(v, &lc->kernel, 0, lc->kernel.len, last);
	if (strcmp(thing, "initrd") == 0)
		return flip(v, &lc->initrd, 0, lc->initrd.len, last);
	if (strcmp(thing, "tik") == 0) {
		lc->tik[last ? SEV_TK_LEN - 1 : 0] ^= 0x01;
		return 0;
	}
	return -1;
}

/* "blob truncated to N bytes", "blob with N trailing byte(s)" */
static int
resize_blob(struct variant *v, size_t to, size_t more)
{
	if (own(v, &v->lc.blob, more) != 0)
		return -1;
	if (more > 0)
		return 0;
	if (to > v->lc.blob.len)
		return -1;
	v->lc.blob.len = to;
	return 0;
}

/* "<field> +N" or "-N"; a byte that overruns becomes 256 and is refused. */
static int
add_to(struct variant *v, const char *field, int by)
{
	struct launch_case *lc = &v->lc;
	const struct {
		const char *name;
		uint32_t *at;
		bool there;
	} fields[] = {
		{ "build id", &lc->build_id, true },
		{ "api minor", &lc->api_minor, true },
		{ "api major", &lc->api_major, true },
		{ "cpu family", &lc->cpu[0], lc->has_cpu },
		{ "cpu model", &lc->cpu[1], lc->has_cpu },
		{ "cpu stepping", &lc->cpu[2], lc->has_cpu },
		{ "cpu count", &lc->cpus, lc->cpus > 0 },
	};

	for (size_t i = 0; i < sizeof(fields) / sizeof(*fields); i++) {
		if (strcmp(fields[i].name, field) != 0 || !fields[i].there)
			continue;
		if (by < 0 && *fields[i].at < (uint32_t)-by)
			*fields[i].at = 256;
		else
			*fields[i].at += (uint32_t)by;
		return 0;
	}
	return -1;
}

static int
set_cmdline(struct variant *v, const char *before, const char *after)
{
	struct span old = v->lc.has_cmdline ? v->lc.cmdline : span_of(NULL, 0);
	struct secret text = { NULL, 0 };
	struct writer w;

	if (!v->lc.has_kernel ||
	    own(v, &text, strlen(before) + old.len + strlen(after)) != 0)
		return -1;
	w = writer_of(text.ptr, text.len);
	writer_put(&w, span_str(before));
	writer_put(&w, old);
	writer_put(&w, span_str(after));
	v->lc.cmdline = writer_span(&w);
	v->lc.has_cmdline = true;
	return 0;
}

static int
leave_out(struct variant *v, const char *what)
{
	struct launch_case *lc = &v->lc;

	if (!lc->has_kernel)
		return -1;
	if (strcmp(what, "kernel hash table") == 0 ||
	    strcmp(what, "kernel") == 0)
		lc->has_kernel = false;
	else if (strcmp(what, "initrd") == 0)
		lc->has_initrd = false;
	else if (strcmp(what, "cmdline") == 0)
		lc->has_cmdline = false;
	else
		return -1;
	return 0;
}

static int
swap_keys(struct variant *v)
{
	uint8_t tik[SEV_TK_LEN];

	memcpy(tik, v->lc.tik, SEV_TK_LEN);
	memcpy(v->lc.tik, v->lc.tek, SEV_TK_LEN);
	memcpy(v->lc.tek, tik, SEV_TK_LEN);
	return 0;
}

static int
exchange_api(struct variant *v)
{
	uint32_t major = v->lc.api_major;

	v->lc.api_major = v->lc.api_minor;
	v->lc.api_minor = major;
	return 0;
}

static int
count_word(const char *word)
{
	static const char *const words[] = { "", "one", "two", "three",
		"four" };
	char *end;
	long n = strtol(word, &end, 10);

	for (int i = 1; i < 5; i++)
		if (strcmp(words[i], word) == 0)
			return i;
	return *word != '\0' && *end == '\0' && n > 0 && n < 4096 ? (int)n : 0;
}

/* Sentences without a number or a name in them. */
static int
apply_fixed(struct variant *v, const char *text)
{
	struct launch_case *lc = &v->lc;

	if (strcmp(text, "tik and tek swapped") == 0)
		return swap_keys(v);
	if (strcmp(text, "policy minimum-api byte changed") == 0) {
		lc->policy ^= 0x01000000;
		return 0;
	}
	if (strcmp(text, "api major/minor exchanged") == 0)
		return exchange_api(v);
	if (strcmp(text, "cmdline with trailing space") == 0)
		return set_cmdline(v, "", " ");
	if (strcmp(text, "cmdline with leading space") == 0)
		return set_cmdline(v, " ", "");
	if (strcmp(text, "cpu count missing") == 0) {
		lc->cpus = 0;
		return 0;
	}
	if (strcmp(text, "other vmsa variant") == 0) {
		lc->variant = lc->variant == SEV_VMSA_LEGACY ? SEV_VMSA_INIT2
							     : SEV_VMSA_LEGACY;
		return 0;
	}
	return 1; /* none of these */
}

static int
apply(struct variant *v, const char *text)
{
	char a[32], b[32], way[8];
	int n, end = 0, rc = apply_fixed(v, text);
	size_t len = strlen(text);

	if (rc <= 0)
		return rc;
	if (sscanf(text, "%31s %31s byte %*[a-z]%n", a, b, &end) == 2 &&
	    (size_t)end == len)
		return change_byte(v, a, b);
	if (sscanf(text, "blob truncated to %d byte%n", &n, &end) == 1 &&
	    end > 0 && n >= 0)
		return resize_blob(v, (size_t)n, 0);
	if (sscanf(text, "blob with %d trailing byte%n", &n, &end) == 1 &&
	    end > 0 && n > 0)
		return resize_blob(v, 0, (size_t)n);
	if (sscanf(text, "policy bit %d toggled%n", &n, &end) == 1 &&
	    (size_t)end == len && n >= 0 && n < 32) {
		v->lc.policy ^= 1u << n;
		return 0;
	}
	if (sscanf(text, "%31s %31s %7s%n", a, b, way, &end) == 3 &&
	    (size_t)end == len && count_word(a) > 0 &&
	    (strcmp(b, "cpu") == 0 || strcmp(b, "cpus") == 0)) {
		n = count_word(a);
		if (strcmp(way, "less") == 0)
			n = -n;
		else if (strcmp(way, "more") != 0)
			return -1;
		return add_to(v, "cpu count", n);
	}
	if (sscanf(text, "%31[a-z ] %d%n", a, &n, &end) == 2 &&
	    (size_t)end == len && a[0] != '\0') {
		a[strcspn(a, "+-")] = '\0';
		while (strlen(a) > 0 && a[strlen(a) - 1] == ' ')
			a[strlen(a) - 1] = '\0';
		return add_to(v, a, n);
	}
	if (sscanf(text, "%31[a-z ]%n", a, &end) == 1 && (size_t)end == len &&
	    len > 9 && strcmp(text + len - 9, " left out") == 0) {
		a[len - 9] = '\0';
		return leave_out(v, a);
	}
	return -1;
}

/* Does the variant say the same as the launch that it is made of? */
static bool
changes_nothing(const struct launch_case *a, const struct launch_case *b)
{
	uint8_t da[SEV_SHA256_LEN], db[SEV_SHA256_LEN];

	return a->policy == b->policy && a->api_major == b->api_major &&
	    a->api_minor == b->api_minor && a->build_id == b->build_id &&
	    memcmp(a->tik, b->tik, SEV_TK_LEN) == 0 &&
	    span_equal(secret_span(&a->blob), secret_span(&b->blob)) &&
	    launch_case_digest(da, a, NULL) == 0 &&
	    launch_case_digest(db, b, NULL) == 0 &&
	    memcmp(da, db, sizeof(da)) == 0;
}

/*
 * ${oracle} is the exit code of virt-qemu-sev-validate: 0 match, 1 mismatch, 2
 * unsupported usage, up to 6 for other troubles; or NULL.  We refuse, with
 * ${why}: it has to refuse as well, but for bytes behind the measurement, which
 * it passes over.
 */
static int
check_oracle(const json_t *oracle, const struct variant *v,
    const struct err *why, struct err *err)
{
	json_int_t code = json_integer_value(oracle);

	if (oracle == NULL)
		return 0;
	if (!json_is_integer(oracle) || code < 0 || code > 6)
		return err_set(
		    err, ERR_MALFORMED, "oracle_exit: want an exit code");
	if (code == 0 && v->lc.blob.len <= SEV_MEASURE_BLOB_LEN)
		return err_set(
		    err, ERR_UNTRUSTED, "refused, and the oracle accepts it");
	if (code == 2 && why->code == ERR_UNTRUSTED)
		return err_set(err, ERR_UNTRUSTED,
		    "a mismatch, and the oracle has it for wrong usage");
	return 0;
}

static int
judge(const struct variant *v, const struct launch_case *lc,
    const json_t *oracle, struct err *err)
{
	uint8_t digest[SEV_SHA256_LEN];
	struct err why = { ERR_NONE, "" };
	int rc = launch_case_judge(digest, &v->lc, &why);

	if (rc != 0 && why.code != ERR_INTERNAL && why.code != ERR_MEMORY)
		return changes_nothing(&v->lc, lc)
		    ? err_set(err, ERR_UNTRUSTED, "the same launch refused")
		    : check_oracle(oracle, v, &why, err);
	if (rc != 0)
		return err_set(err, why.code, "%.200s", why.msg);
	/* An absent initrd and an empty one are one launch. */
	if (changes_nothing(&v->lc, lc) && json_is_integer(oracle) &&
	    json_integer_value(oracle) == 0)
		return 0;
	return err_set(err, ERR_UNTRUSTED, "accepted, want it refused");
}

static int
run_one(const struct launch_case *lc, const json_t *n, struct err *err)
{
	const char *name = field_text(n, "name");
	struct variant *v;
	char text[128];
	int rc = -1;

	if (name == NULL || strlen(name) >= sizeof(text))
		return err_set(err, ERR_MALFORMED, "negatives: no name");
	v = calloc(1, sizeof(*v));
	if (v == NULL)
		return err_set(err, ERR_MEMORY, "no memory");
	for (size_t i = 0; i <= strlen(name); i++)
		text[i] = (char)tolower((unsigned char)name[i]);
	/* What stands in brackets explains. */
	if (strstr(text, " (") != NULL)
		*strstr(text, " (") = '\0';
	v->lc = *lc;
	if (apply(v, text) != 0)
		err_set(err, ERR_MALFORMED, "negative \"%s\": unknown", name);
	else if ((rc = judge(v, lc, json_object_get(n, "oracle_exit"), err)) !=
	    0)
		err_wrap(err, "negative \"%s\"", name);
	for (size_t i = 0; i < v->owned_count; i++)
		secret_free(&v->owned[i]);
	free(v);
	return rc;
}

int
launch_negatives(size_t *count, const struct launch_case *lc,
    const json_t *list, struct err *err)
{
	*count = 0;
	if (!json_is_array(list))
		return err_set(err, ERR_MALFORMED, "negatives: want a list");
	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *n = json_array_get(list, i);
		size_t known = 0;
		static const char *const members[] = { "name", "oracle_exit",
			"oracle_stderr" };

		for (size_t k = 0; k < sizeof(members) / sizeof(*members); k++)
			known += field_has(n, members[k]);
		if (!json_is_object(n) || known != json_object_size(n))
			return err_set(
			    err, ERR_MALFORMED, "negatives: unknown shape");
		if (run_one(lc, n, err) != 0)
			return -1;
		(*count)++;
	}
	return 0;
}
