#include "common/conf_value.h"

#include <stdlib.h>
#include <string.h>

#define TEXT_MAX 4096     /* bytes of a string without bounds of its own */
#define ENTRIES_MAX 65536 /* of a list without bounds of its own */

/* A unit behind a number, in the terms of the field. */
struct unit {
	const char *name;
	uint64_t factor;
};

static const struct unit time_units[] = {
	{ "ms", 1 },
	{ "s", 1000 },
	{ "m", 60 * 1000 },
	{ "h", 60 * 60 * 1000 },
	{ "d", 24 * 60 * 60 * 1000 },
	{ NULL, 0 },
};

static const struct unit size_units[] = {
	{ "", 1 },
	{ "KiB", 1024 },
	{ "MiB", 1024 * 1024 },
	{ "GiB", 1024 * 1024 * 1024 },
	{ NULL, 0 },
};

static const struct {
	const char *word;
	bool value;
} bools[] = {
	{ "yes", true },
	{ "on", true },
	{ "true", true },
	{ "no", false },
	{ "off", false },
	{ "false", false },
};

void *
conf_value_at(void *out, const struct conf_key *key)
{
	return (char *)out + key->at;
}

bool
conf_value_is_list(const struct conf_key *key)
{
	return key->type == CONF_STRINGS || key->type == CONF_FLAGS ||
	    key->type == CONF_MAPS;
}

/* Digits of ${base} at the head of *${text}, which moves behind them. */
static bool
take_digits(const char **text, unsigned base, uint64_t *out)
{
	const char *start = *text;

	for (*out = 0;; ++*text) {
		char c = **text;
		unsigned digit = c >= '0' && c <= '9' ? (unsigned)(c - '0')
		    : c >= 'a' && c <= 'f'            ? (unsigned)(c - 'a') + 10
		    : c >= 'A' && c <= 'F'            ? (unsigned)(c - 'A') + 10
						      : 16;

		if (digit >= base)
			return *text > start;
		if (*out > ((uint64_t)INT64_MAX - digit) / base)
			return false;
		*out = *out * base + digit;
	}
}

static int
read_int(const char *text, int64_t *out, struct err *err)
{
	bool negative = text[0] == '-', hex;
	const char *at = text + negative;
	uint64_t v;

	hex = at[0] == '0' && at[1] == 'x';
	at += hex ? 2 : 0;
	if (!take_digits(&at, hex ? 16 : 10, &v) || *at != '\0')
		return err_set(err, ERR_USAGE, "'%.40s' is no number", text);
	*out = negative ? -(int64_t)v : (int64_t)v;
	return 0;
}

static int
read_unit(const char *text, const struct unit *units, const char *forms,
    int64_t *out, struct err *err)
{
	const char *at = text;
	uint64_t v;

	if (!take_digits(&at, 10, &v))
		return err_set(
		    err, ERR_USAGE, "'%.40s' is not like %s", text, forms);
	for (; units->name != NULL; units++)
		if (strcmp(at, units->name) == 0 || (v == 0 && *at == '\0'))
			break;
	if (units->name == NULL)
		return err_set(
		    err, ERR_USAGE, "'%.40s' is not like %s", text, forms);
	if (v > (uint64_t)INT64_MAX / units->factor)
		return err_set(err, ERR_USAGE, "'%.40s' is too large", text);
	*out = (int64_t)(v * units->factor);
	return 0;
}

static int
read_number(
    const struct conf_key *key, const char *text, int64_t *out, struct err *err)
{
	int64_t min = key->min, max = key->max;
	int rc;

	if (key->type == CONF_MS)
		rc = read_unit(
		    text, time_units, "250ms, 20s, 5m, 24h, 7d", out, err);
	else if (key->type == CONF_SIZE)
		rc = read_unit(
		    text, size_units, "4096, 64KiB, 16MiB, 1GiB", out, err);
	else
		rc = read_int(text, out, err);
	if (rc != 0)
		return -1;
	if (key->type == CONF_PORT && min == 0 && max == 0)
		max = 65535;
	if ((min != 0 || max != 0) && (*out < min || *out > max))
		return err_set(err, ERR_USAGE, "%.40s, want %lld to %lld%s",
		    text, (long long)min, (long long)max,
		    key->type == CONF_MS         ? " ms"
			: key->type == CONF_SIZE ? " bytes"
						 : "");
	return 0;
}

static int
read_word(
    const struct conf_key *key, const char *text, int *out, struct err *err)
{
	char all[160] = "";
	size_t len = 0;

	for (int i = 0; key->words[i] != NULL; i++) {
		if (strcmp(key->words[i], text) == 0) {
			*out = i;
			return 0;
		}
		if (len + strlen(key->words[i]) + 3 < sizeof(all)) {
			memcpy(all + len, i == 0 ? "" : ", ", i == 0 ? 0 : 2);
			len += i == 0 ? 0 : 2;
			memcpy(all + len, key->words[i],
			    strlen(key->words[i]) + 1);
			len += strlen(key->words[i]);
		}
	}
	return err_set(err, ERR_USAGE, "'%.40s', want one of %s", text, all);
}

static int
read_bool(const char *text, bool *out, struct err *err)
{
	for (size_t i = 0; i < sizeof(bools) / sizeof(bools[0]); i++) {
		if (strcmp(bools[i].word, text) == 0) {
			*out = bools[i].value;
			return 0;
		}
	}
	return err_set(err, ERR_USAGE, "'%.40s', want yes or no", text);
}

/* An owned copy of a string within its bounds. */
static int
read_text(
    const struct conf_key *key, const char *text, char **out, struct err *err)
{
	size_t len = strlen(text), max = TEXT_MAX;
	size_t min = key->type == CONF_STRINGS ? 1 : 0;

	if (key->type != CONF_STRINGS && (key->min != 0 || key->max != 0)) {
		min = (size_t)key->min;
		max = (size_t)key->max;
	}
	if (len < min || len > max)
		return err_set(err, ERR_USAGE,
		    "text of %zu bytes, want %zu to %zu", len, min, max);
	if (key->check != NULL && len > 0 && key->check(text, err) != 0)
		return -1;
	if ((*out = strdup(text)) == NULL)
		return err_set(err, ERR_MEMORY, "no memory");
	return 0;
}

int
conf_value_set(
    const struct conf_key *key, void *field, const char *text, struct err *err)
{
	int64_t number;
	char *copy;

	switch (key->type) {
	case CONF_STRING:
	case CONF_PATH:
		if (read_text(key, text, &copy, err) != 0)
			return -1;
		free(*(char **)field);
		*(char **)field = copy;
		return 0;
	case CONF_BOOL:
		return read_bool(text, field, err);
	case CONF_ENUM:
		return read_word(key, text, field, err);
	case CONF_INT:
	case CONF_PORT:
	case CONF_MS:
	case CONF_SIZE:
		if (read_number(key, text, &number, err) != 0)
			return -1;
		if (key->type == CONF_INT)
			*(int64_t *)field = number;
		else if (key->type == CONF_PORT)
			*(uint16_t *)field = (uint16_t)number;
		else
			*(uint64_t *)field = (uint64_t)number;
		return 0;
	default:
		return err_set(err, ERR_USAGE, "one value, want a list");
	}
}

/* Room for one more entry of ${size} bytes, zeroed. */
static void *
grow(const struct conf_key *key, struct conf_list *list, size_t size,
    struct err *err)
{
	size_t max = key->max > 0 ? (size_t)key->max : ENTRIES_MAX;
	void *items;

	if (list->count >= max) {
		err_set(err, ERR_USAGE, "more than %zu entries", max);
		return NULL;
	}
	/* A power of two means that the last allocation is full. */
	if ((list->count & (list->count - 1)) == 0) {
		items = reallocarray(
		    list->items, list->count == 0 ? 1 : 2 * list->count, size);
		if (items == NULL) {
			err_set(err, ERR_MEMORY, "no memory");
			return NULL;
		}
		list->items = items;
	}
	items = (char *)list->items + list->count * size;
	memset(items, 0, size);
	return items;
}

int
conf_value_add(
    const struct conf_key *key, void *field, const char *text, struct err *err)
{
	struct conf_list *list = field;
	unsigned *flags = field;
	char **slot;
	int bit;

	if (key->type == CONF_FLAGS) {
		if (read_word(key, text, &bit, err) != 0)
			return -1;
		if ((*flags >> bit & 1) != 0)
			return err_set(err, ERR_USAGE, "'%.40s' twice", text);
		*flags |= 1u << bit;
		return 0;
	}
	if (key->type != CONF_STRINGS)
		return err_set(err, ERR_USAGE, "text, want a mapping");
	if ((slot = grow(key, list, sizeof(*slot), err)) == NULL ||
	    read_text(key, text, slot, err) != 0)
		return -1;
	list->count++;
	return 0;
}

void *
conf_value_add_map(const struct conf_key *key, void *field, struct err *err)
{
	struct conf_list *list = field;
	void *item = grow(key, list, key->sub->size, err);

	if (item == NULL)
		return NULL;
	list->count++;
	return conf_defaults(item, key->sub, err) == 0 ? item : NULL;
}

int
conf_value_count(const struct conf_key *key, const void *field, struct err *err)
{
	const struct conf_list *list = field;

	if (key->type == CONF_FLAGS || key->min <= 0 ||
	    list->count >= (size_t)key->min)
		return 0;
	return err_set(err, ERR_USAGE, "%zu entries, want at least %lld",
	    list->count, (long long)key->min);
}

int
conf_value_split(
    const struct conf_key *key, void *field, const char *text, struct err *err)
{
	struct conf_list fresh = { NULL, 0 };
	unsigned flags = 0;
	void *to = key->type == CONF_FLAGS ? (void *)&flags : (void *)&fresh;
	char *copy = strdup(text), *rest = copy, *item;
	int rc = -1;

	if (copy == NULL) {
		err_set(err, ERR_MEMORY, "no memory");
		goto out;
	}
	while ((item = strsep(&rest, ",")) != NULL) {
		item += strspn(item, " ");
		item[strcspn(item, " ")] = '\0';
		if (item[0] != '\0' && conf_value_add(key, to, item, err) != 0)
			goto out;
	}
	conf_value_clear(key, field);
	if (key->type == CONF_FLAGS)
		*(unsigned *)field = flags;
	else
		*(struct conf_list *)field = fresh;
	fresh = (struct conf_list){ NULL, 0 };
	rc = 0;
out:
	if (key->type != CONF_FLAGS)
		conf_value_clear(key, &fresh);
	free(copy);
	return rc;
}

void
conf_value_clear(const struct conf_key *key, void *field)
{
	struct conf_list *list = field;

	switch (key->type) {
	case CONF_STRING:
	case CONF_PATH:
		free(*(char **)field);
		*(char **)field = NULL;
		break;
	case CONF_STRINGS:
		for (size_t i = 0; i < list->count; i++)
			free(((char **)list->items)[i]);
		free(list->items);
		*list = (struct conf_list){ NULL, 0 };
		break;
	case CONF_MAPS:
		for (size_t i = 0; i < list->count; i++)
			conf_free(
			    (char *)list->items + i * key->sub->size, key->sub);
		free(list->items);
		*list = (struct conf_list){ NULL, 0 };
		break;
	case CONF_FLAGS:
		*(unsigned *)field = 0;
		break;
	default:
		break;
	}
}
