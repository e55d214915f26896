#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "agent/cli/cli.h"
#include "agent/json.h"
#include "agent/plain.h"

#define WATCH_STEP_MS 300
#define WORDS_COLUMN 32 /* of the table, behind time, event and VM */
#define WORDS_MIN 20    /* characters of them on a line */
#define WORDS_BELOW 8   /* their column where there is no room for that */

static const char watch_usage[] =
    "usage: attest-agent watch [VM] [--json] [--after N] [--no-notify]\n"
    "\n"
    "Show what happens as it happens, and ask for your word where a VM wants\n"
    "it. Without a terminal, or with --json: one JSON object a line.\n"
    "\n"
    "  VM           this one only\n"
    "  --after N    from behind line N of the log; the end by default\n"
    "  --no-notify  tell nothing to the desktop\n"
    "\n"
    "A desktop notification only tells that you are asked; the answer is given\n"
    "here, or by `attest-agent approve ID` and `deny ID` in any shell.\n";

static const char word_usage[] =
    "usage: attest-agent approve|deny ID [--json]\n"
    "\n"
    "Your word on what `attest-agent watch` shows as question ID. It holds for\n"
    "ten minutes, and an approval for one launch or release only.\n";

struct watch {
	const struct cli *cli;
	const char *vm;
	uint64_t after;
	uint64_t shown;  /* the newest question that was shown */
	uint64_t asking; /* the one that a prompt is open for; 0: none */
	bool json, tty, notify;
};

static int
say(const struct cli *cli, unsigned op, uint64_t id, json_t **reply,
    struct err *err)
{
	uint8_t bytes[8];
	struct writer w = writer_of(bytes, sizeof(bytes));

	writer_be64(&w, id);
	return cli_ask_running(reply, cli, op, writer_span(&w), err);
}

int
cli_word(const struct cli *cli, int argc, char **argv)
{
	bool yes = strcmp(argv[0], "approve") == 0;
	const char *word = NULL;
	struct err err = { 0 };
	json_t *reply = NULL;
	bool json = false;
	uint64_t id = 0;
	int i;

	for (i = 1; i < argc; i++) {
		if (cli_flag(argv, i, "help"))
			return cli_help(word_usage);
		if (cli_flag(argv, i, "json"))
			json = true;
		else if (word == NULL && argv[i][0] != '-')
			word = argv[i];
		else
			return cli_misuse(
			    word_usage, "%s: %s?", argv[0], argv[i]);
	}
	if (word == NULL || !json_uint_text(&id, word, INT64_MAX) || id == 0)
		return cli_misuse(
		    word_usage, "%s: want the number of a question", argv[0]);
	if (say(cli, yes ? OWNER_APPROVE : OWNER_DENY, id, &reply, &err) != 0)
		return cli_fail_as(json, &err);
	if (json)
		cli_print_json(reply);
	else
		(void)printf("%s %llu\n", yes ? "approved" : "denied",
		    (unsigned long long)id);
	json_decref(reply);
	return CLI_OK;
}

/* Words of the vault on their way to a terminal: it has made them plain, and
 * so it stays if it should not have (T30). */
static const char *
safe(char *out, size_t cap, const json_t *v, const char *name)
{
	(void)snprintf(out, cap, "%s", cli_text(v, name));
	return plain(out);
}

/* Words of others on lines of their own column: where the terminal broke them,
 * they could go on as a row, or as a fact that was verified (T30). */
static void
print_words(const char *text)
{
	struct winsize size = { 0 };
	size_t len = strlen(text);
	size_t room = len;
	int column = WORDS_COLUMN;

	(void)ioctl(STDOUT_FILENO, TIOCGWINSZ, &size);
	if (size.ws_col != 0 && size.ws_col < WORDS_COLUMN + WORDS_MIN) {
		column = WORDS_BELOW;
		(void)printf("\n%*s", column, "");
	}
	if (size.ws_col != 0)
		room =
		    size.ws_col > column ? (size_t)(size.ws_col - column) : 1;
	while (len > room) {
		(void)printf("%.*s\n%*s", (int)room, text, column, "");
		text += room;
		len -= room;
	}
	(void)puts(text);
}

/* A table: time, event, VM, words. */
static void
print_line(const json_t *line)
{
	char time[32], event[32], vm[40], detail[1100];

	(void)safe(time, sizeof(time), line, "time");
	(void)printf("%-8.8s  %-10.10s  %-8.8s  ",
	    strlen(time) > 19 ? time + 11 : time,
	    safe(event, sizeof(event), line, "event"),
	    safe(vm, sizeof(vm), line, "vm"));
	print_words(safe(detail, sizeof(detail), line, "detail"));
}

static void
print_fact(const char *label, const json_t *ask, const char *name)
{
	char text[900];

	(void)printf("  %-*s", WORDS_COLUMN - 2, label);
	print_words(safe(text, sizeof(text), ask, name));
}

static void
print_ask(const json_t *ask)
{
	char kind[40];

	(void)printf("\nQuestion %lld: %s\n", cli_number(ask, "id"),
	    safe(kind, sizeof(kind), ask, "kind"));
	print_fact("verified", ask, "verified");
	print_fact("asked by (as the relay says)", ask, "asker");
	if (cli_text(ask, "claimed-by-host")[0] != '\0')
		print_fact("CLAIMED BY HOST", ask, "claimed-by-host");
}

/* It opens no prompt and takes no answer: a click must not release a secret.
 * Nothing of a host is in it.  A desktop may take its time, so nobody waits for
 * it (SIGCHLD is ignored). */
static void
notify(const json_t *ask)
{
	extern char **environ;
	char body[96];
	char name[] = "notify-send";
	char app[] = "--app-name=attest-agent";
	char title[] = "attest-agent: your word is wanted";
	char *argv[] = { name, app, title, body, NULL };
	pid_t pid;

	(void)snprintf(body, sizeof(body), "attest-agent approve %lld, or deny",
	    cli_number(ask, "id"));
	(void)posix_spawnp(&pid, name, NULL, NULL, argv, environ);
}

static void
show_asks(struct watch *w, const json_t *asks)
{
	bool open = false;
	size_t i;

	for (i = 0; i < json_array_size(asks); i++) {
		const json_t *ask = json_array_get(asks, i);
		uint64_t id = (uint64_t)cli_number(ask, "id");

		if (id == w->asking)
			open = true;
		if (id <= w->shown)
			continue;
		w->shown = id;
		if (w->notify)
			notify(ask);
		if (!w->tty)
			cli_print_json(ask);
		else
			print_ask(ask);
	}
	/* Answered elsewhere, or too late: a key pressed now is for no one. */
	if (!open && w->asking != 0) {
		(void)printf(
		    "\nquestion %llu is over\n", (unsigned long long)w->asking);
		w->asking = 0;
	}
	for (i = 0; w->tty && w->asking == 0 && i < json_array_size(asks);
	     i++) {
		const json_t *ask = json_array_get(asks, i);

		w->asking = (uint64_t)cli_number(ask, "id");
		/* What was typed before it was shown is not meant for it. */
		(void)tcflush(STDIN_FILENO, TCIFLUSH);
		(void)printf("Approve question %llu? [y/N] ",
		    (unsigned long long)w->asking);
	}
}

static int
look(struct watch *w, struct err *err)
{
	uint8_t in[12 + REGISTRATION_NAME_MAX];
	struct writer out = writer_of(in, sizeof(in));
	json_t *page = NULL;
	const json_t *lines;
	size_t i;

	writer_be64(&out, w->after);
	writer_be32(&out, OWNER_LOG_MAX);
	if (w->vm != NULL)
		writer_put(&out, span_str(w->vm));
	if (!writer_ok(&out))
		return err_set(err, ERR_USAGE, "watch: name too long");
	if (cli_ask_running(
		&page, w->cli, OWNER_WATCH, writer_span(&out), err) != 0)
		return -1;
	lines = json_object_get(page, "lines");
	for (i = 0; i < json_array_size(lines); i++) {
		const json_t *line = json_array_get(lines, i);

		w->after = (uint64_t)cli_number(line, "seq");
		if (w->tty)
			print_line(line);
		else
			cli_print_json(line);
	}
	show_asks(w, json_object_get(page, "asks"));
	json_decref(page);
	/* Nobody reads it, and with SIGPIPE ignored nothing else says so. */
	if (fflush(stdout) != 0 || ferror(stdout))
		return err_set(err, ERR_IO, "watch: stdout cannot be written");
	return 0;
}

/* A terminal that went away is readable for ever, and says nothing. */
static bool
is_gone(const struct pollfd *in)
{
	return (in->revents & (POLLHUP | POLLERR | POLLNVAL)) != 0;
}

/* One line of the terminal, while a prompt is open: anything but y is No. */
static void
take_line(struct watch *w)
{
	struct err err = { 0 };
	json_t *reply = NULL;
	char line[64];
	bool yes;

	if (fgets(line, sizeof(line), stdin) == NULL) {
		clearerr(stdin); /* ^D: there may be more words yet */
		return;
	}
	line[strcspn(line, "\n")] = '\0';
	yes = strcmp(line, "y") == 0 || strcmp(line, "yes") == 0;
	if (w->asking == 0)
		return;
	if (say(w->cli, yes ? OWNER_APPROVE : OWNER_DENY, w->asking, &reply,
		&err) != 0)
		(void)printf("%s\n", err.msg);
	json_decref(reply);
	w->asking = 0;
}

static int
start_from_end(struct watch *w, struct err *err)
{
	const uint8_t in[12] = { 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
		0xff };
	json_t *page = NULL;

	if (cli_ask_running(
		&page, w->cli, OWNER_WATCH, span_of(in, sizeof(in)), err) != 0)
		return -1;
	w->after = (uint64_t)cli_number(page, "last");
	json_decref(page);
	return 0;
}

int
cli_watch(const struct cli *cli, int argc, char **argv)
{
	struct watch w = { .cli = cli, .notify = true };
	const char *after = NULL;
	struct err err = { 0 };
	int i;

	for (i = 1; i < argc; i++) {
		int got;

		if (cli_flag(argv, i, "help"))
			return cli_help(watch_usage);
		got = cli_value(&after, argc, argv, &i, "after");
		if (got > 0)
			continue;
		if (cli_flag(argv, i, "json"))
			w.json = true;
		else if (cli_flag(argv, i, "no-notify"))
			w.notify = false;
		else if (w.vm == NULL && argv[i][0] != '-')
			w.vm = argv[i];
		else
			return cli_misuse(watch_usage, "watch: %s?", argv[i]);
	}
	if (after != NULL && !json_uint_text(&w.after, after, INT64_MAX))
		return cli_misuse(watch_usage, "watch: --after: a number");
	w.tty =
	    !w.json && isatty(STDIN_FILENO) == 1 && isatty(STDOUT_FILENO) == 1;
	(void)signal(SIGCHLD, SIG_IGN);
	if (after == NULL && start_from_end(&w, &err) != 0)
		return cli_fail_as(w.json, &err);
	/* So that nothing waits where neither poll() nor tcflush() look. */
	(void)setvbuf(stdin, NULL, _IONBF, 0);
	if (w.tty)
		(void)printf(
		    "%-8s  %-10s  %-8s  %s\n", "TIME", "EVENT", "VM", "WHAT");
	while (look(&w, &err) == 0) {
		struct pollfd in = { w.tty ? STDIN_FILENO : -1, POLLIN, 0 };

		/* The store says nothing by itself: one question a step. */
		if (poll(&in, 1, WATCH_STEP_MS) <= 0)
			continue;
		if (is_gone(&in)) {
			(void)err_set(
			    &err, ERR_IO, "watch: the terminal is gone");
			break;
		}
		take_line(&w);
	}
	return cli_fail_as(w.json, &err);
}
