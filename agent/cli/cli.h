#ifndef AGENT_CLI_CLI_H
#define AGENT_CLI_CLI_H

#include <jansson.h>

#include "agent/state.h"
#include "agent/vault/owner.h"
#include "common/buf.h"
#include "common/err.h"

/* What the command families share. */

enum {
	CLI_OK = 0,
	CLI_FAILED = 1,
	CLI_USAGE = 2,
	CLI_DIED = 3,   /* a part of the agent */
	CLI_REFUSED = 4 /* by every relay, for good */
};

struct cli {
	const char *state_dir; /* --state, or NULL */
	const char *config;    /* --config, or NULL */
};

/* Commands: ${argv}[0] is the verb; they return the exit status. */
int cli_enrol(const struct cli *cli, int argc, char **argv);
int cli_key(const struct cli *cli, int argc, char **argv);
int cli_vm(const struct cli *cli, int argc, char **argv);
int cli_vm_add(const struct cli *cli, int argc, char **argv);
int cli_run(const struct cli *cli, int argc, char **argv);
int cli_status(const struct cli *cli, int argc, char **argv);
int cli_topic(const struct cli *cli, int argc, char **argv);
int cli_api(const struct cli *cli, int argc, char **argv);
int cli_cancel(const struct cli *cli, int argc, char **argv);
int cli_explain(const struct cli *cli, int argc, char **argv);
int cli_log(const struct cli *cli, int argc, char **argv);
int cli_doctor(const struct cli *cli, int argc, char **argv);
int cli_diag(const struct cli *cli, int argc, char **argv);
int cli_service(const struct cli *cli, int argc, char **argv);
int cli_export(const struct cli *cli, int argc, char **argv);
int cli_import(const struct cli *cli, int argc, char **argv);
int cli_receipts(const struct cli *cli, int argc, char **argv);
int cli_lock(const struct cli *cli, int argc, char **argv);
int cli_unlock(const struct cli *cli, int argc, char **argv);
int cli_key_passphrase(const struct cli *cli, int argc, char **argv);
int cli_watch(const struct cli *cli, int argc, char **argv);
int cli_word(const struct cli *cli, int argc, char **argv); /* approve, deny */

/** cli_seal_key(out, state, file, err): the seal key; its passphrase, if it
 * has one, from ${file} or (NULL) the terminal.  errors of seal_key_unwrap()
 * and of a prompt */
int cli_seal_key(struct secret *out, const struct state *state,
    const char *file, struct err *err);

/** cli_run_config(out, cli, argc, argv, err): agent.yaml and the flags of
 * `run`; config_free() it in every case.  errors ERR_USAGE */
struct config;
int cli_run_config(struct config *out, const struct cli *cli, int argc,
    char **argv, struct err *err);

/** cli_help(text): to stdout; returns CLI_OK. */
int cli_help(const char *text);

/** cli_misuse(usage, fmt, ...): to stderr; returns CLI_USAGE. */
int cli_misuse(const char *usage, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/** cli_fail(err): its words to stderr; CLI_USAGE for ERR_USAGE, else
 * CLI_FAILED. */
int cli_fail(const struct err *err);

/** cli_fail_as(json, err): the same, and if ${json} the words to stdout, too,
 * as {"schema":"attest-agent.error/1","error":"..."}. */
int cli_fail_as(bool json, const struct err *err);

/**
 * cli_ask(out, cli, op, in, err):
 * Ask the running agent, or without one open the store ourselves.
 *   lifetime  caller: json_decref()
 */
int cli_ask(json_t **out, const struct cli *cli, unsigned op, struct span in,
    struct err *err);

/** cli_log_each(cli, vm, after, fn, arg, err): lines of the owner's log, of
 * ${vm} (NULL: all) behind number ${after}, oldest first. */
typedef void cli_log_fn(void *arg, const json_t *line);
int cli_log_each(const struct cli *cli, const char *vm, uint64_t after,
    cli_log_fn *fn, void *arg, struct err *err);

/** cli_ask_running(out, cli, op, in, err): the same, of a running agent only.
 * errors ERR_CLOSED: none runs */
int cli_ask_running(json_t **out, const struct cli *cli, unsigned op,
    struct span in, struct err *err);

/**
 * cli_examine(out, status, config, cli):
 * All checks of `doctor`, and the running agent's status.
 *   lifetime  caller: config_free(), and json_decref() of *${status}, which
 *             is NULL if none runs
 */
struct config;
struct doctor;
void cli_examine(struct doctor *out, json_t **status, struct config *config,
    const struct cli *cli);

/** cli_checks(d): its lines as JSON.  Caller: json_decref() */
json_t *cli_checks(const struct doctor *d);

/** cli_print_json(v): one line to stdout. */
void cli_print_json(const json_t *v);

/** cli_text(v, name), cli_number(v, name): a member, or "" and 0. */
const char *cli_text(const json_t *v, const char *name);
long long cli_number(const json_t *v, const char *name);

/** cli_flag(argc, argv, at, name): argv[*at] is --name. */
bool cli_flag(char **argv, int at, const char *name);

/** cli_value(out, argc, argv, at, name): "--name V" or "--name=V"; moves
 * *${at} to the last word used.  -1: the value is missing, 0: another flag */
int cli_value(
    const char **out, int argc, char **argv, int *at, const char *name);

#endif
