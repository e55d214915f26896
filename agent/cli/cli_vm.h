#ifndef AGENT_CLI_CLI_VM_H
#define AGENT_CLI_CLI_VM_H

#include "agent/cli/cli.h"
#include "agent/register/register.h"

/* What `vm add` shows; stdout, but for the JSON form nothing else. */

/** cli_vm_show_plan(p): what was found out, ahead of any prompt. */
void cli_vm_show_plan(const struct register_plan *p);

/** cli_vm_show_end(cli, vm, p): ${vm} is registered, and what to do now. */
void cli_vm_show_end(
    const struct cli *cli, const json_t *vm, const struct register_plan *p);

/** cli_vm_print_json(vm, p): the same, with the notes as a list. */
void cli_vm_print_json(json_t *vm, const struct register_plan *p);

#endif
