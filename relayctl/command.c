#include "relayctl/command.h"

#include "common/stamp.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void
show_token(const json_t *answer, const json_t *local)
{
	const char *url = json_string_value(json_object_get(answer, "url"));
	const char *base = json_string_value(json_object_get(local, "url"));
	const char *path = url != NULL ? strstr(url, "/e/") : NULL;

	if (url == NULL)
		(void)printf("%s\n",
		    json_string_value(json_object_get(answer, "token")));
	else if (base != NULL && path != NULL)
		(void)printf("%s%s\n", base, path);
	else
		(void)printf("%s\n", url);
}

static void
show_said(const json_t *answer, const json_t *local)
{
	(void)local;
	(void)printf(
	    "reloaded\n%s", json_string_value(json_object_get(answer, "said")));
}

static void
show_done(const json_t *answer, const json_t *local)
{
	(void)answer;
	(void)local;
}

static void
show_members(const json_t *answer, const json_t *local)
{
	json_t *all = json_deep_copy(answer), *value;
	const char *name;

	(void)local;
	json_object_foreach(all, name, value)
	{
		char *text = json_dumps(value, JSON_ENCODE_ANY);

		(void)printf("%-18s %s\n", name,
		    json_is_string(value) ? json_string_value(value)
			: text != NULL    ? text
					  : "");
		free(text);
	}
	json_decref(all);
}

/* clang-format off */
static const struct command commands[] = {
	{ "status", NULL, "GET", "/v1/status", .show = show_members },
	{ "tunnels", "list", "GET", "/v1/tunnels", .list = "tunnels",
	  .columns = { { "TENANT", "tenant" }, { "KEY", "key" },
	    { "PEER", "peer" }, { "SINCE", "since" }, { "CLAIMS", "claims" },
	    { "STREAMS", "streams" } } },
	{ "tenants", "list", "GET", "/v1/tenants", .list = "tenants",
	  .columns = { { "TENANT", "tenant" }, { "FROM", "from" },
	    { "TUNNELS", "tunnels" }, { "CLAIMS", "claims" },
	    { "STREAMS", "streams" }, { "REFUSED", "refused" },
	    { "SELF-CERT", "self-certifying" },
	    { "FIRST-CLAIM", "first-claim" } } },
	{ "tenants", "add", "POST", "/v1/tenants",
	  .positional = { "tenant", PARAM_TEXT },
	  .params = { { "self-certifying", PARAM_FLAG },
	    { "first-claim", PARAM_FLAG }, { "tunnels", PARAM_NUMBER },
	    { "claims", PARAM_NUMBER }, { "streams", PARAM_NUMBER },
	    { "requests", PARAM_NUMBER }, { "memory", PARAM_SIZE } },
	  .show = show_done, .needs = { "tenant" } },
	{ "tenants", "remove", "POST", "/v1/tenants/remove",
	  .positional = { "tenant", PARAM_TEXT },
	  .show = show_done, .needs = { "tenant" } },
	{ "tokens", "list", "GET", "/v1/tokens", .list = "tokens",
	  .columns = { { "ID", "id" }, { "TENANT", "tenant" },
	    { "KIND", "kind" }, { "USES", "uses" }, { "EXPIRES", "expires" },
	    { "SINCE", "since" } } },
	{ "tokens", "create", "POST", "/v1/tokens",
	  .params = { { "tenant", PARAM_TEXT }, { "ttl", PARAM_SECONDS },
	    { "uses", PARAM_NUMBER }, { "agent", PARAM_FLAG },
	    { "url", PARAM_LOCAL } },
	  .show = show_token, .needs = { "tenant" } },
	{ "tokens", "revoke", "POST", "/v1/tokens/revoke",
	  .positional = { "id", PARAM_NUMBER },
	  .show = show_done, .needs = { "id" } },
	{ "keys", "list", "GET", "/v1/keys", .list = "keys",
	  .columns = { { "KEY", "key" }, { "TENANT", "tenant" },
	    { "FROM", "from" }, { "SINCE", "since" },
	    { "REVOKED", "revoked" } } },
	{ "keys", "add", "POST", "/v1/keys",
	  .positional = { "key", PARAM_TEXT },
	  .params = { { "tenant", PARAM_TEXT } },
	  .show = show_done, .needs = { "key", "tenant" } },
	{ "keys", "revoke", "POST", "/v1/keys/revoke",
	  .positional = { "key", PARAM_TEXT },
	  .show = show_done, .needs = { "key" } },
	{ "claims", "list", "GET", "/v1/claims", .list = "claims",
	  .columns = { { "UUID", "uuid" }, { "TENANT", "tenant" },
	    { "FROM", "from" }, { "KEY", "key" }, { "SINCE", "since" } } },
	{ "claims", "add", "POST", "/v1/claims",
	  .positional = { "uuids", PARAM_LIST },
	  .params = { { "tenant", PARAM_TEXT } },
	  .show = show_done, .needs = { "uuids", "tenant" } },
	{ "claims", "release", "POST", "/v1/claims/release",
	  .positional = { "uuids", PARAM_LIST },
	  .show = show_done, .needs = { "uuids" } },
	{ "drain", NULL, "POST", "/v1/drain", .show = show_done },
	{ "reload", NULL, "POST", "/v1/reload", .show = show_said },
	{ "log-level", "show", "GET", "/v1/log-level", .show = show_members },
	{ "log-level", "set", "POST", "/v1/log-level",
	  .positional = { "level", PARAM_TEXT },
	  .show = show_members, .needs = { "level" } },
	{ "trail", NULL, "GET", "/v1/trail",
	  .params = { { "lines", PARAM_NUMBER } }, .list = "trail",
	  .columns = { { "SEQ", "seq" }, { "AT", "at", .ms = true },
	    { "WHO", "who" },
	    { "WHAT", "what" } } },
};
/* clang-format on */

/* "token" is "tokens", too. */
static bool
is_noun(const char *word, const char *noun)
{
	size_t len = strlen(word);

	return strcmp(word, noun) == 0 ||
	    (strncmp(word, noun, len) == 0 && strcmp(noun + len, "s") == 0);
}

const struct command *
command_find(int argc, char **argv, int *used)
{
	const struct command *first = NULL;

	*used = 1;
	if (argc < 1)
		return NULL;
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		const struct command *c = &commands[i];

		if (!is_noun(argv[0], c->noun))
			continue;
		if (first == NULL)
			first = c;
		if (c->verb != NULL && argc > 1 &&
		    strcmp(argv[1], c->verb) == 0) {
			*used = 2;
			return c;
		}
		/* "log-level debug" */
		if (c->verb != NULL && argc > 1 && argv[1][0] != '-' &&
		    strcmp(c->verb, "set") == 0)
			return c;
	}
	return first;
}

/* A number and a unit, as relay.yaml has them. */
static int
read_unit(json_int_t *out, const char *text, enum param_kind kind)
{
	static const struct {
		enum param_kind kind;
		const char *unit;
		json_int_t factor;
	} units[] = {
		{ PARAM_SECONDS, "s", 1 },
		{ PARAM_SECONDS, "m", 60 },
		{ PARAM_SECONDS, "h", 3600 },
		{ PARAM_SECONDS, "d", 86400 },
		{ PARAM_SIZE, "KiB", 1024 },
		{ PARAM_SIZE, "MiB", 1024 * 1024 },
		{ PARAM_SIZE, "GiB", 1024 * 1024 * 1024 },
	};
	char *end;
	long long number;

	errno = 0;
	number = strtoll(text, &end, 10);
	if (text[0] < '0' || text[0] > '9' || errno != 0 ||
	    number > (long long)1 << 40)
		return -1;
	*out = number;
	if (*end == '\0')
		return 0;
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		if (units[i].kind != kind || strcmp(end, units[i].unit) != 0)
			continue;
		*out = number * units[i].factor;
		return 0;
	}
	return -1;
}

static int
put(json_t *object, const struct param *p, const char *text, struct err *err)
{
	json_t *list, *value = NULL;
	json_int_t number;

	switch (p->kind) {
	case PARAM_FLAG:
		value = json_true();
		break;
	case PARAM_NUMBER:
	case PARAM_SECONDS:
	case PARAM_SIZE:
		if (read_unit(&number, text, p->kind) != 0)
			return err_set(err, ERR_USAGE, "%s: %.64s is no %s",
			    p->name, text,
			    p->kind == PARAM_NUMBER     ? "number"
				: p->kind == PARAM_SIZE ? "size"
							: "time");
		value = json_integer(number);
		break;
	case PARAM_LIST:
		list = json_object_get(object, p->name);
		if (list == NULL)
			list = json_array();
		else
			json_incref(list);
		json_array_append_new(list, json_string(text));
		value = list;
		break;
	default:
		value = json_string(text);
		break;
	}
	if (json_object_set_new(object, p->name, value) != 0)
		return err_set(err, ERR_USAGE, "%s: not UTF-8", p->name);
	return 0;
}

static const struct param *
find_param(const struct command *c, const char *word, size_t len)
{
	for (size_t i = 0; i < COMMAND_PARAMS && c->params[i].name != NULL; i++)
		if (strlen(c->params[i].name) == len &&
		    strncmp(c->params[i].name, word, len) == 0)
			return &c->params[i];
	return NULL;
}

/* "--name value", "--name=value", "--flag"; ${at} moves to its last word. */
static int
read_flag(const struct command *c, json_t *body, json_t *local, int argc,
    char **argv, int *at, struct err *err)
{
	const char *word = argv[*at] + 2, *value = strchr(word, '=');
	size_t len = strcspn(word, "=");
	const struct param *p = find_param(c, word, len);

	if (p == NULL || (p->kind == PARAM_FLAG && value != NULL))
		return err_set(err, ERR_USAGE, "%s %s takes no --%.64s",
		    c->noun, c->verb != NULL ? c->verb : "", word);
	if (value != NULL)
		value++;
	else if (p->kind != PARAM_FLAG && *at + 1 < argc)
		value = argv[++*at];
	if (value == NULL && p->kind != PARAM_FLAG)
		return err_set(err, ERR_USAGE, "--%s wants a value", p->name);
	return put(p->kind == PARAM_LOCAL ? local : body, p, value, err);
}

int
command_read(const struct command *c, json_t **body, json_t **local, int argc,
    char **argv, struct err *err)
{
	json_t *object = json_object();
	bool taken = false;

	*body = object;
	*local = json_object();
	for (int i = 0; i < argc; i++) {
		if (strncmp(argv[i], "--", 2) == 0) {
			if (read_flag(c, object, *local, argc, argv, &i, err) !=
			    0)
				return -1;
			continue;
		}
		if (c->positional.kind == PARAM_NONE ||
		    (taken && c->positional.kind != PARAM_LIST))
			return err_set(err, ERR_USAGE, "%s takes no %.64s",
			    c->noun, argv[i]);
		taken = true;
		if (put(object, &c->positional, argv[i], err) != 0)
			return -1;
	}
	for (size_t i = 0; i < COMMAND_NEEDS && c->needs[i] != NULL; i++)
		if (json_object_get(object, c->needs[i]) == NULL)
			return err_set(err, ERR_USAGE, "%s %s wants %s%s",
			    c->noun, c->verb,
			    find_param(c, c->needs[i], strlen(c->needs[i])) !=
				    NULL
				? "--"
				: "",
			    c->needs[i]);
	if (json_object_size(object) == 0) {
		json_decref(object);
		*body = NULL;
	}
	return 0;
}

/* As it is printed in a cell; the caller frees. */
static char *
cell_text(const json_t *row, const struct column *c)
{
	const json_t *value = json_object_get(row, c->member);
	struct stamp stamp = { 0 };

	if (c->ms && json_is_integer(value)) {
		stamp_set(&stamp, json_integer_value(value) / 1000);
		return strdup(stamp.iso);
	}
	if (json_is_string(value))
		return strdup(json_string_value(value));
	if (value == NULL || json_is_null(value))
		return strdup("-");
	if (json_is_boolean(value))
		return strdup(json_is_true(value) ? "yes" : "no");
	return json_dumps(value, JSON_ENCODE_ANY);
}

static void
print_row(const struct command *c, const json_t *row, const size_t *widths)
{
	for (size_t k = 0; k < COMMAND_COLUMNS && c->columns[k].title != NULL;
	     k++) {
		bool last =
		    k + 1 == COMMAND_COLUMNS || c->columns[k + 1].title == NULL;
		char *text = row != NULL ? cell_text(row, &c->columns[k])
					 : strdup(c->columns[k].title);

		(void)printf("%-*s%s", last ? 0 : (int)widths[k],
		    text != NULL ? text : "", last ? "\n" : "  ");
		free(text);
	}
}

void
command_show(const struct command *c, const json_t *answer, const json_t *local)
{
	const json_t *list;
	size_t widths[COMMAND_COLUMNS] = { 0 };

	if (c->show != NULL) {
		c->show(answer, local);
		return;
	}
	list = json_object_get(answer, c->list);
	for (size_t k = 0; k < COMMAND_COLUMNS && c->columns[k].title != NULL;
	     k++) {
		widths[k] = strlen(c->columns[k].title);
		for (size_t i = 0; i < json_array_size(list); i++) {
			char *text =
			    cell_text(json_array_get(list, i), &c->columns[k]);

			if (text != NULL && strlen(text) > widths[k])
				widths[k] = strlen(text);
			free(text);
		}
	}
	print_row(c, NULL, widths);
	for (size_t i = 0; i < json_array_size(list); i++)
		print_row(c, json_array_get(list, i), widths);
}
