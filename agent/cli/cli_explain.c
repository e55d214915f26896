#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/cli/cli.h"

static const char usage[] =
    "usage: attest-agent explain [NAME|UUID|REF] [--json]\n"
    "\n"
    "Why launches were refused, newest last, with what would have matched:\n"
    "another number of vCPUs, another form of their save areas, kernel hashes\n"
    "off, another end of the command line, what is registered for another VM.\n"
    "Hosts are told none of this. The likely mistakes were computed when the\n"
    "VM was registered, so that no firmware or kernel is needed here.\n"
    "\n"
    "A host that is refused again and again for one reason gets one line.\n"
    "\n"
    "  REF       the request id, or the session, that a host was given\n"
    "  --json    one JSON object a line\n"
    "\n"
    "exit status: 0 something was refused, 1 nothing was, or failed, 2 usage\n";

#define EXPLAIN_MOST 20 /* lines, if nothing narrower was asked for */

/* A ring of the last lines that fit. */
struct lines {
	const char *ref; /* NULL: any */
	json_t *ring[EXPLAIN_MOST];
	size_t count; /* that came, one after another that say the same once */
};

static bool
is_refusal(const char *event)
{
	static const char *const events[] = { "mismatch", "refused", "explain",
		"ALARM" };
	size_t i;

	for (i = 0; i < sizeof(events) / sizeof(events[0]); i++)
		if (strcmp(events[i], event) == 0)
			return true;
	return false;
}

/* As a word of its own: "req-1" is not in "req-12". */
static bool
names(const char *detail, const char *ref)
{
	size_t len = strlen(ref);
	const char *at = detail;

	while ((at = strstr(at, ref)) != NULL) {
		if (at > detail && at[-1] == ' ' &&
		    (at[len] == ' ' || at[len] == ':'))
			return true;
		at++;
	}
	return false;
}

/* Behind "launch REQUEST", which differs each time: who, and why. */
static const char *
reason(const json_t *line)
{
	const char *detail = cli_text(line, "detail");
	const char *at = strchr(detail, ' ');

	at = at != NULL ? strpbrk(at + 1, " :") : NULL;
	return at != NULL ? at : detail;
}

static bool
says_the_same(const json_t *a, const json_t *b)
{
	return strcmp(cli_text(a, "event"), cli_text(b, "event")) == 0 &&
	    strcmp(cli_text(a, "vm"), cli_text(b, "vm")) == 0 &&
	    strcmp(reason(a), reason(b)) == 0;
}

static void
take(void *arg, const json_t *line)
{
	struct lines *l = arg;
	json_t **last = &l->ring[(l->count + EXPLAIN_MOST - 1) % EXPLAIN_MOST];
	long long repeats = 0;

	if (!is_refusal(cli_text(line, "event")))
		return;
	if (l->ref != NULL && !names(cli_text(line, "detail"), l->ref) &&
	    strcmp(cli_text(line, "session"), l->ref) != 0)
		return;
	if (l->count > 0 && says_the_same(*last, line))
		repeats = cli_number(*last, "repeats") + 1;
	else
		last = &l->ring[l->count++ % EXPLAIN_MOST];
	json_decref(*last);
	*last = json_deep_copy(line);
	if (repeats > 0)
		(void)json_object_set_new(
		    *last, "repeats", json_integer(repeats));
}

static void
print(const json_t *line, bool json)
{
	bool why = strcmp(cli_text(line, "event"), "explain") == 0;

	if (json)
		cli_print_json(line);
	else if (why)
		(void)printf("  -> %s\n", cli_text(line, "detail"));
	else
		(void)printf("%s  vm %s\n     %s: %s\n", cli_text(line, "time"),
		    cli_text(line, "vm"), cli_text(line, "event"),
		    cli_text(line, "detail"));
	if (!json && cli_number(line, "repeats") > 0)
		(void)printf(
		    "     and %lld times before, for the same reason\n",
		    cli_number(line, "repeats"));
}

static int
explain(const struct cli *cli, const char *word, bool json)
{
	struct lines l = { 0 };
	struct err err = { 0 };
	size_t first, i;
	int rc;

	rc = cli_log_each(cli, word, 0, take, &l, &err);
	if (rc != 0 && word != NULL && err.code == ERR_NOT_FOUND) {
		/* No VM: a reference that a host has quoted. */
		l.ref = word;
		err = (struct err){ 0 };
		rc = cli_log_each(cli, NULL, 0, take, &l, &err);
	}
	if (rc != 0)
		return cli_fail_as(json, &err);
	first = l.count > EXPLAIN_MOST ? l.count - EXPLAIN_MOST : 0;
	for (i = first; i < l.count; i++) {
		print(l.ring[i % EXPLAIN_MOST], json);
		json_decref(l.ring[i % EXPLAIN_MOST]);
	}
	if (l.count > 0)
		return CLI_OK;
	(void)fprintf(stderr, "attest-agent: nothing was refused%s%s\n",
	    word != NULL ? ": " : "", word != NULL ? word : "");
	return CLI_FAILED;
}

int
cli_explain(const struct cli *cli, int argc, char **argv)
{
	const char *word = NULL;
	bool json = false;
	int i;

	for (i = 1; i < argc; i++) {
		if (cli_flag(argv, i, "help"))
			return cli_help(usage);
		if (cli_flag(argv, i, "json"))
			json = true;
		else if (word == NULL && argv[i][0] != '-')
			word = argv[i];
		else
			return cli_misuse(usage, "explain: %s?", argv[i]);
	}
	return explain(cli, word, json);
}
