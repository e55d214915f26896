#include <stdio.h>
#include <string.h>

#include "agent/cli/cli_vm.h"
#include "agent/config.h"
#include "agent/enrolled.h"
#include "common/hex.h"

#define SHORT_HASH_LEN 17 /* eight bytes */

static void
show_firmware(const struct register_firmware *f)
{
	char hash[SHORT_HASH_LEN];
	struct sev_ovmf ovmf;

	(void)printf("firmware  %s  sha256 %s...", f->about,
	    hex_encode(hash, sizeof(hash), span_of(f->hash, 8)));
	if (f->image.len > 0 &&
	    sev_ovmf_parse(&ovmf, secret_span(&f->image), NULL) == 0 &&
	    sev_ovmf_takes_secret(&ovmf))
		(void)printf(
		    "  launch-secret area %u bytes  ok", ovmf.secret.size);
	(void)putchar('\n');
}

static const char *
part_of(const struct register_parts *list, size_t i)
{
	if (list->count == 0)
		return "none";
	return list->part[list->count == 1 ? 0 : i].about;
}

/* All of a command line, if it is known: what a domain of the cloud's hides
 * behind its usual beginning is measured, too, and so is let in. */
static void
show_cmdline(const struct register_parts *list, size_t i)
{
	const char *text =
	    list->count > 0 ? list->part[list->count == 1 ? 0 : i].text : NULL;

	if (text == NULL) {
		(void)printf("  cmdline %s\n", part_of(list, i));
		return;
	}
	(void)fputs("  cmdline \"", stdout);
	for (; *text != '\0'; text++)
		(void)putchar(*text < ' ' || *text > '~' ? '?' : *text);
	(void)puts("\"");
}

static void
show_kernels(const struct register_plan *p)
{
	size_t i;

	for (i = 0; i < p->r->kernel_count; i++) {
		(void)printf("kernel    measured: %s  initrd %s",
		    p->r->kernels[i].about, part_of(&p->initrds, i));
		show_cmdline(&p->cmdlines, i);
	}
}

/* A note begins with its kind: "warning: ..." */
static void
show_notes(const struct register_plan *p, size_t from)
{
	size_t i;

	for (i = from; i < p->note_count; i++) {
		const char *words = strstr(p->note[i], ": ");

		if (words == NULL || words - p->note[i] > 8)
			(void)printf("note      %s\n", p->note[i]);
		else
			(void)printf("%-9.*s %s\n", (int)(words - p->note[i]),
			    p->note[i], words + 2);
	}
}

void
cli_vm_show_plan(const struct register_plan *p)
{
	const struct registration *r = p->r;
	char policy[SEV_POLICY_TEXT_LEN_MAX];
	char digest[2 * SEV_SHA256_LEN + 1];
	size_t i;

	(void)printf("scheme    %s (policy %s)\n",
	    registration_scheme_name(r->scheme),
	    sev_guest_policy_format(policy, r->policy));
	for (i = 0; i < p->firmware_count; i++)
		show_firmware(&p->firmware[i]);
	show_kernels(p);
	for (i = 0; i < r->digest_count; i++)
		(void)printf("expects   launch digest %s  for %s\n",
		    hex_encode(digest, sizeof(digest),
			span_of(r->digests[i].digest, SEV_SHA256_LEN)),
		    r->digests[i].about);
	show_notes(p, 0);
	(void)fflush(stdout);
}

/* The address for hosts, if the configuration says where the relay is. */
static void
show_service(const struct cli *cli, const char *vm)
{
	static const char scheme[] = "wss://";
	struct config config;
	struct err err = { 0 };

	(void)printf("  Give your cloud:  ");
	if (config_load(&config, cli->config, &err) == 0 &&
	    enrolled_read(&config, cli->state_dir, &err) == 0 &&
	    strncmp(config.relay_url, scheme, sizeof(scheme) - 1) == 0)
		/* A pin behind '#' is for agents. */
		(void)printf("service=https://%.*s  ",
		    (int)strcspn(config.relay_url + sizeof(scheme) - 1, "#"),
		    config.relay_url + sizeof(scheme) - 1);
	(void)printf("uuid=%s\n", vm);
	config_free(&config);
}

void
cli_vm_show_end(
    const struct cli *cli, const json_t *vm, const struct register_plan *p)
{
	(void)p;
	(void)printf(
	    "Registered %s as %s.", cli_text(vm, "name"), cli_text(vm, "vm"));
	show_service(cli, cli_text(vm, "vm"));
}

void
cli_vm_print_json(json_t *vm, const struct register_plan *p)
{
	json_t *notes = json_array();
	size_t i;

	for (i = 0; i < p->note_count; i++)
		(void)json_array_append_new(notes, json_string(p->note[i]));
	(void)json_object_set_new(vm, "notes", notes);
	cli_print_json(vm);
}
