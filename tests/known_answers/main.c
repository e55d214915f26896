#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/known_answers/kat.h"

struct tally {
	size_t passed, failed, skipped;
};

static bool
listed(const char *const *list, const char *name)
{
	for (; list != NULL && *list != NULL; list++)
		if (strcmp(*list, name) == 0)
			return true;
	return false;
}

static bool
is_form(const struct kat_form *form, const json_t *c)
{
	for (const char *const *name = form->required; *name != NULL; name++)
		if (json_object_get(c, *name) == NULL)
			return false;
	return true;
}

/* The form that asks for most members is tried first: see the order. */
static const struct kat_form *
find_form(const json_t *c)
{
	const struct kat_form *const first[] = { &kat_session_form,
		&kat_launch_form };

	for (size_t i = 0; i < sizeof(first) / sizeof(*first); i++)
		if (is_form(first[i], c))
			return first[i];
	for (size_t i = 0; i < kat_public_form_count; i++)
		if (is_form(&kat_public_forms[i], c))
			return &kat_public_forms[i];
	return is_form(&kat_chain_form, c) ? &kat_chain_form : NULL;
}

/* Members that describe a case and change nothing. */
static const char *const remarks[] = { "name", "note", "why", "origin",
	"comment", NULL };

static int
check_members(const struct kat_form *form, const json_t *c, struct err *say)
{
	const char *name;
	json_t *value, *object = json_deep_copy(c);
	int rc = 0;

	if (object == NULL)
		return err_set(say, ERR_MEMORY, "no memory");
	json_object_foreach(object, name, value)
	{
		if (!listed(form->required, name) &&
		    !listed(form->optional, name) && !listed(remarks, name)) {
			rc = err_set(say, ERR_MALFORMED,
			    "unknown member \"%s\" of a %s case", name,
			    form->name);
			break;
		}
	}
	json_decref(object);
	return rc;
}

static enum kat_result
run_case(const struct kat_file *file, const json_t *c, struct err *say)
{
	const struct kat_form *form;

	if (!json_is_object(c)) {
		err_set(say, ERR_MALFORMED, "a case that is no object");
		return KAT_FAIL;
	}
	form = find_form(c);
	if (form == NULL) {
		err_set(say, ERR_MALFORMED, "unknown shape of case");
		return KAT_FAIL;
	}
	if (check_members(form, c, say) != 0)
		return KAT_FAIL;
	return form->run(file, c, say);
}

/* One line a case, whatever its name holds: no control character. */
static void
print_text(const char *text)
{
	for (; *text != '\0'; text++)
		putchar(
		    (unsigned char)*text < ' ' || *text == 0x7f ? '?' : *text);
}

static void
print_case(
    struct tally *t, const struct kat_file *file, const json_t *c, size_t at)
{
	const char *name = json_string_value(json_object_get(c, "name"));
	struct err say = { ERR_NONE, "" };
	const char *word;

	switch (run_case(file, c, &say)) {
	case KAT_PASS:
		word = "ok";
		t->passed++;
		break;
	case KAT_SKIP:
		word = "skip";
		t->skipped++;
		break;
	case KAT_FAIL:
	case KAT_REFUSED:
	default:
		word = "FAIL";
		t->failed++;
		break;
	}
	printf("%s ", word);
	print_text(file->path);
	printf(": ");
	if (name != NULL)
		print_text(name);
	else
		printf("case %zu", at);
	printf("%s", say.msg[0] != '\0' ? ": " : "");
	print_text(say.msg);
	putchar('\n');
}

/* A sum that cannot be read would be one that is not compared. */
static int
check_hashes(json_t *hashes, struct err *err)
{
	const char *name;
	json_t *value;

	if (hashes != NULL && !json_is_object(hashes))
		return err_set(
		    err, ERR_MALFORMED, "firmware_sha256: want an object");
	json_object_foreach(
	    hashes, name, value) if (!json_is_string(value)) return err_set(err,
	    ERR_MALFORMED, "firmware_sha256: %s: want a string", name);
	return 0;
}

static int
check_file(const json_t *root, struct err *err)
{
	static const char *const known[] = { "note", "origin", "comment",
		"cases", "firmware_sha256", "debian_ovmf_package", "base",
		"roots", NULL };
	json_t *object = json_deep_copy(root), *value;
	const char *name;
	int rc = 0;

	if (!json_is_object(root) ||
	    json_array_size(json_object_get(root, "cases")) == 0)
		rc = err_set(err, ERR_MALFORMED,
		    "no known-answer file: want an object with \"cases\"");
	json_object_foreach(object, name, value) if (rc == 0 &&
	    !listed(known, name)) rc = err_set(err, ERR_MALFORMED,
	    "unknown member \"%s\" of a known-answer file", name);
	if (rc == 0)
		rc = check_hashes(
		    json_object_get(object, "firmware_sha256"), err);
	json_decref(object);
	return rc;
}

static void
run_file(struct tally *t, const char *path)
{
	struct kat_file file = { .path = path };
	struct err err = { ERR_NONE, "" };
	json_error_t where;
	json_t *root = json_load_file(path, JSON_REJECT_DUPLICATES, &where);
	const json_t *cases;
	char *slash;

	if (root == NULL) {
		err_set(
		    &err, ERR_MALFORMED, "line %d: %s", where.line, where.text);
		goto out;
	}
	if (check_file(root, &err) != 0)
		goto out;
	if (snprintf(file.dir, sizeof(file.dir), "%s", path) >=
	    (int)sizeof(file.dir)) {
		err_set(&err, ERR_LIMIT, "path too long");
		goto out;
	}
	slash = strrchr(file.dir, '/');
	if (slash == NULL)
		snprintf(file.dir, sizeof(file.dir), ".");
	else if (slash == file.dir)
		slash[1] = '\0';
	else
		*slash = '\0';
	file.whole = root;
	file.hashes = json_object_get(root, "firmware_sha256");
	cases = json_object_get(root, "cases");
	for (size_t i = 0; i < json_array_size(cases); i++)
		print_case(t, &file, json_array_get(cases, i), i + 1);
out:
	if (err.code != ERR_NONE) {
		printf("FAIL ");
		print_text(path);
		printf(": ");
		print_text(err.msg);
		putchar('\n');
		t->failed++;
	}
	json_decref(root);
}

int
main(int argc, char **argv)
{
	struct tally t = { 0, 0, 0 };

	if (argc < 2) {
		fprintf(stderr, "usage: kat FILE...\n");
		return 2;
	}
	for (int i = 1; i < argc; i++)
		run_file(&t, argv[i]);
	printf("%zu passed, %zu failed, %zu skipped\n", t.passed, t.failed,
	    t.skipped);
	/* An answer that nobody can read is none. */
	if (fflush(stdout) != 0 || ferror(stdout))
		return 1;
	return t.failed == 0 ? 0 : 1;
}
