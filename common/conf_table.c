#include "common/conf.h"
#include "common/conf_report.h"
#include "common/conf_value.h"

#include <string.h>

/* What conf does with a table and no file. */

int
conf_defaults(void *out, const struct conf_table *table, struct err *err)
{
	for (size_t i = 0; i < table->count; i++) {
		const struct conf_key *key = &table->keys[i];
		void *field = conf_value_at(out, key);

		if (key->dflt == NULL)
			continue;
		if ((conf_value_is_list(key)
			    ? conf_value_split(key, field, key->dflt, err)
			    : conf_value_set(key, field, key->dflt, err)) != 0)
			return err_wrap(err, "default of %s", key->name);
	}
	return 0;
}

int
conf_set(void *out, const struct conf_table *table, const char *name,
    const char *text, struct err *err)
{
	for (size_t i = 0; i < table->count; i++) {
		const struct conf_key *key = &table->keys[i];
		void *field = conf_value_at(out, key);

		if (strcmp(key->name, name) != 0)
			continue;
		if ((conf_value_is_list(key)
			    ? conf_value_split(key, field, text, err)
			    : conf_value_set(key, field, text, err)) != 0)
			return err_wrap(err, "%s", name);
		return 0;
	}
	return err_set(err, ERR_USAGE, "unknown key '%.60s'", name);
}

int
conf_missing(
    const void *out, const struct conf_table *table, struct conf_report *report)
{
	size_t before = report->errors;

	for (size_t i = 0; i < table->count; i++) {
		const struct conf_key *key = &table->keys[i];
		const void *field = (const char *)out + key->at;
		bool given = true;

		if (key->dflt != NULL)
			continue;
		if (key->type == CONF_STRING || key->type == CONF_PATH)
			given = *(char *const *)field != NULL;
		else if (key->type == CONF_STRINGS || key->type == CONF_MAPS)
			given = ((const struct conf_list *)field)->count > 0;
		if (!given)
			conf_report_error(report, 0, 0, "%s is missing: %.200s",
			    key->name, key->about);
	}
	return report->errors == before ? 0 : -1;
}

static bool
same_list(const struct conf_list *a, const struct conf_list *b)
{
	char *const *x = a->items, *const *y = b->items;

	if (a->count != b->count)
		return false;
	for (size_t i = 0; i < a->count; i++)
		if (strcmp(x[i], y[i]) != 0)
			return false;
	return true;
}

static bool
same_value(const struct conf_key *key, const void *a, const void *b)
{
	switch (key->type) {
	case CONF_STRING:
	case CONF_PATH:
		return strcmp(*(char *const *)a, *(char *const *)b) == 0;
	case CONF_STRINGS:
		return same_list(a, b);
	case CONF_BOOL:
		return *(const bool *)a == *(const bool *)b;
	case CONF_PORT:
		return *(const uint16_t *)a == *(const uint16_t *)b;
	case CONF_INT:
		return *(const int64_t *)a == *(const int64_t *)b;
	case CONF_MS:
	case CONF_SIZE:
		return *(const uint64_t *)a == *(const uint64_t *)b;
	case CONF_ENUM:
		return *(const int *)a == *(const int *)b;
	case CONF_FLAGS:
		return *(const unsigned *)a == *(const unsigned *)b;
	case CONF_MAPS:
		break;
	}
	return false;
}

bool
conf_same(const void *a, const void *b, const struct conf_table *table,
    const char *name)
{
	for (size_t i = 0; i < table->count; i++) {
		const struct conf_key *key = &table->keys[i];

		if (strcmp(key->name, name) == 0)
			return same_value(key, (const char *)a + key->at,
			    (const char *)b + key->at);
	}
	return false;
}

void
conf_free(void *out, const struct conf_table *table)
{
	for (size_t i = 0; i < table->count; i++)
		conf_value_clear(
		    &table->keys[i], conf_value_at(out, &table->keys[i]));
	memset(out, 0, table->size);
}
