#include "common/conf.h"
#include "common/conf_value.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The example file of a table. */

#define WIDTH 78 /* columns of comments */

/* Words of a comment, wrapped, each line behind ${indent} and ${mark}. */
static void
put_words(FILE *f, int indent, const char *mark, const char *words)
{
	size_t room = (size_t)(WIDTH - indent) - strlen(mark);

	while (*words != '\0') {
		size_t len = strlen(words);

		if (len > room) {
			for (len = room; len > 0 && words[len] != ' ';)
				len--;
			if (len == 0)
				len = strcspn(words, " ");
		}
		fprintf(f, "%*s%s%.*s\n", indent, "", mark, (int)len, words);
		words += len;
		words += strspn(words, " ");
	}
}

/* A scalar as YAML; quoted whenever it could be read as something else. */
static void
put_scalar(FILE *f, const struct conf_key *key, const char *text)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyz"
				    "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./-";
	bool is_number = key->type == CONF_INT || key->type == CONF_PORT ||
	    key->type == CONF_MS || key->type == CONF_SIZE ||
	    key->type == CONF_BOOL;

	if (is_number ||
	    (text[0] != '-' && text[strspn(text, "0123456789.")] != '\0' &&
		text[strspn(text, plain)] == '\0')) {
		fputs(text, f);
		return;
	}
	fputc('"', f);
	for (; *text != '\0'; text++) {
		if (*text == '"' || *text == '\\')
			fputc('\\', f);
		fputc(*text, f);
	}
	fputc('"', f);
}

static void
put_value(FILE *f, const struct conf_key *key, const char *text)
{
	const char *between = "";

	if (!conf_value_is_list(key)) {
		put_scalar(f, key, text);
		return;
	}
	fputc('[', f);
	while (*text != '\0') {
		char item[256];
		size_t len;

		text += strspn(text, ", ");
		len = strcspn(text, ",");
		snprintf(item, sizeof(item), "%.*s", (int)len, text);
		if (item[0] != '\0') {
			fputs(between, f);
			put_scalar(f, key, item);
			between = ", ";
		}
		text += len;
	}
	fputc(']', f);
}

/* "At least 1 s" and the like, in the units that one would write. */
static void
put_amount(FILE *f, const struct conf_key *key, int64_t v)
{
	long long n = v;

	if (key->type == CONF_MS && n > 0 && n % 1000 == 0)
		fprintf(f, "%llds", n / 1000);
	else if (key->type == CONF_MS)
		fprintf(f, "%lldms", n);
	else if (key->type == CONF_SIZE && n > 0 && n % 1048576 == 0)
		fprintf(f, "%lldMiB", n / 1048576);
	else if (key->type == CONF_SIZE && n > 0 && n % 1024 == 0)
		fprintf(f, "%lldKiB", n / 1024);
	else
		fprintf(f, "%lld", n);
}

static void
put_about(FILE *f, const struct conf_key *key, int indent, const char *mark)
{
	char *words = NULL;
	size_t len;
	FILE *w = open_memstream(&words, &len);
	bool bounds = (key->type == CONF_INT || key->type == CONF_PORT ||
			  key->type == CONF_MS || key->type == CONF_SIZE) &&
	    (key->min != 0 || key->max != 0);

	if (w == NULL)
		return;
	fputs(key->about, w);
	if (bounds) {
		fputs(" (", w);
		put_amount(w, key, key->min);
		fputs(" to ", w);
		put_amount(w, key, key->max);
		fputs(")", w);
	}
	if (key->words != NULL) {
		fputs(" (", w);
		for (size_t i = 0; key->words[i] != NULL; i++)
			fprintf(w, "%s%s", i == 0 ? "" : ", ", key->words[i]);
		fputs(")", w);
	}
	if (key->dflt == NULL)
		fputs(" Must be given.", w);
	fclose(w);
	put_words(f, indent, mark, words);
	free(words);
}

/* One entry of a list of mappings, as a comment. */
static void
put_entry(FILE *f, const struct conf_table *table, int indent)
{
	for (size_t i = 0; i < table->count; i++) {
		const struct conf_key *key = &table->keys[i];
		const char *text = key->example != NULL ? key->example
		    : key->dflt != NULL                 ? key->dflt
							: "";

		put_about(f, key, indent, "#     # ");
		fprintf(f, "%*s#   %s %s: ", indent, "", i == 0 ? "-" : " ",
		    key->name);
		put_value(f, key, text);
		fputc('\n', f);
	}
}

static void
put_key(FILE *f, const struct conf_key *key, const char *word, int indent)
{
	const char *text = key->dflt != NULL ? key->dflt
	    : key->example != NULL           ? key->example
					     : "";

	put_about(f, key, indent, "# ");
	fprintf(f, "%*s%s: ", indent, "", word);
	put_value(f, key, text);
	fputc('\n', f);
	if (key->dflt != NULL && key->example != NULL) {
		fprintf(f, "%*s# %s: ", indent, "", word);
		put_value(f, key, key->example);
		fputc('\n', f);
	}
	if (key->type == CONF_MAPS) {
		fprintf(f, "%*s# %s:\n", indent, "", word);
		put_entry(f, key->sub, indent);
	}
}

/* Open the sections of ${name} that are not open yet; the depth of its word. */
static int
put_sections(FILE *f, const char *last, const char *name)
{
	int indent = 0;

	for (const char *dot; (dot = strchr(name, '.')) != NULL;
	     name = dot + 1, indent += 2) {
		size_t len = (size_t)(dot - name) + 1;

		if (last != NULL && strncmp(last, name, len) == 0) {
			last += len;
			continue;
		}
		last = NULL;
		fprintf(f, "%*s%.*s:\n", indent, "", (int)len - 1, name);
	}
	return indent;
}

char *
conf_example(const struct conf_table *table, const char *head)
{
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);
	const char *last = NULL;

	if (f == NULL)
		return NULL;
	put_words(f, 0, "# ", head);
	for (size_t i = 0; i < table->count; i++) {
		const struct conf_key *key = &table->keys[i];
		const char *word = strrchr(key->name, '.');
		int indent;

		fputc('\n', f);
		indent = put_sections(f, last, key->name);
		put_key(f, key, word == NULL ? key->name : word + 1, indent);
		last = key->name;
	}
	return fclose(f) == 0 ? text : (free(text), NULL);
}
