#include "common/conf_find.h"

#include <stdio.h>
#include <string.h>

/* Levenshtein's distance of short words. */
static size_t
distance(const char *a, const char *b)
{
	size_t row[CONF_FIND_MAX], a_len = strlen(a), b_len = strlen(b);

	if (a_len >= CONF_FIND_MAX || b_len >= CONF_FIND_MAX)
		return SIZE_MAX;
	for (size_t k = 0; k <= b_len; k++)
		row[k] = k;
	for (size_t i = 1; i <= a_len; i++) {
		size_t corner = row[0];

		row[0] = i;
		for (size_t k = 1; k <= b_len; k++) {
			size_t best = corner + (a[i - 1] != b[k - 1]);

			corner = row[k];
			if (row[k] + 1 < best)
				best = row[k] + 1;
			if (row[k - 1] + 1 < best)
				best = row[k - 1] + 1;
			row[k] = best;
		}
	}
	return row[b_len];
}

/* A section is written as one; "public.port: 1" would be a second way. */
static bool
is_word(const char *word)
{
	return word[0] != '\0' && strchr(word, '.') == NULL;
}

/* What of ${key}'s name stands in the section ${prefix}; NULL: it does not. */
static const char *
within(const struct conf_key *key, const char *prefix)
{
	size_t len = strlen(prefix);

	return strncmp(key->name, prefix, len) == 0 ? key->name + len : NULL;
}

const struct conf_key *
conf_find_key(
    const struct conf_table *table, const char *prefix, const char *word)
{
	for (size_t i = 0; is_word(word) && i < table->count; i++) {
		const char *name = within(&table->keys[i], prefix);

		if (name != NULL && strcmp(name, word) == 0)
			return &table->keys[i];
	}
	return NULL;
}

bool
conf_find_section(
    const struct conf_table *table, const char *prefix, const char *word)
{
	size_t len = strlen(word);

	for (size_t i = 0; is_word(word) && i < table->count; i++) {
		const char *name = within(&table->keys[i], prefix);

		if (name != NULL && strncmp(name, word, len) == 0 &&
		    name[len] == '.')
			return true;
	}
	return false;
}

bool
conf_find_nearest(char out[CONF_FIND_MAX], const struct conf_table *table,
    const char *prefix, const char *word)
{
	char part[CONF_FIND_MAX];
	size_t least = strlen(word) / 3 + 2;

	out[0] = '\0';
	for (size_t i = 0; i < table->count; i++) {
		const char *name = within(&table->keys[i], prefix);
		size_t d;

		if (name == NULL)
			continue;
		snprintf(
		    part, sizeof(part), "%.*s", (int)strcspn(name, "."), name);
		d = distance(word, part);
		if (d < least) {
			least = d;
			memcpy(out, part, sizeof(part));
		}
	}
	return out[0] != '\0';
}
