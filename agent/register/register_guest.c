#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/plain.h"
#include "agent/register/register_impl.h"
#include "common/hex.h"

/* What is measured beside the firmware: kernels with their initrds and command
 * lines, and vCPUs. */

static struct register_part *
new_part(struct register_parts *list, const char *what, struct err *err)
{
	if (list->count >= REGISTRATION_KERNELS_MAX) {
		(void)err_set(err, ERR_LIMIT, "more than %d %s",
		    REGISTRATION_KERNELS_MAX, what);
		return NULL;
	}
	return &list->part[list->count];
}

static int
add_file(struct register_plan *p, struct register_parts *list, const char *what,
    const char *path, struct err *err)
{
	struct register_part *part = new_part(list, what, err);
	const char *base = strrchr(path, '/');
	struct secret bytes = { 0 };
	int rc;

	if (part == NULL ||
	    register_read_named(p, &bytes, path, REGISTER_FILE_MAX, err) != 0)
		return -1;
	rc = sev_hash_sha256(part->hash, secret_span(&bytes), err);
	secret_free(&bytes);
	if (rc != 0)
		return -1;
	(void)snprintf(part->about, sizeof(part->about), "%.60s",
	    base != NULL ? base + 1 : path);
	(void)plain(part->about);
	list->count++;
	return 0;
}

static int
add_hash(struct register_parts *list, const char *what, const char *value,
    struct err *err)
{
	struct register_part *part = new_part(list, what, err);

	if (part == NULL ||
	    hex_decode(part->hash, sizeof(part->hash), span_str(value), err) !=
		0)
		return -1;
	(void)snprintf(part->about, sizeof(part->about), "sha256 %.16s", value);
	list->count++;
	return 0;
}

int
register_add_kernel(struct register_plan *p, const char *value, struct err *err)
{
	return add_file(p, &p->kernels, "kernels", value, err);
}

int
register_add_initrd(struct register_plan *p, const char *value, struct err *err)
{
	return add_file(p, &p->initrds, "initrds", value, err);
}

int
register_add_cmdline(
    struct register_plan *p, const char *value, struct err *err)
{
	struct register_part *part =
	    new_part(&p->cmdlines, "command lines", err);

	if (part == NULL ||
	    sev_hash_table_cmdline(part->hash, span_str(value), err) != 0)
		return -1;
	/* Shown ahead of the passphrase's prompt; a domain from the cloud must
	 * not draw lines of its own there (T30). */
	(void)snprintf(part->about, sizeof(part->about), "\"%.50s\"", value);
	(void)plain(part->about);
	if (part->text == NULL) {
		part->text = strdup(value);
		if (part->text == NULL)
			return err_set(err, ERR_MEMORY, "no memory");
	}
	p->cmdlines.count++;
	return 0;
}

int
register_add_kernel_hash(
    struct register_plan *p, const char *value, struct err *err)
{
	return add_hash(&p->kernels, "kernels", value, err);
}

int
register_add_initrd_hash(
    struct register_plan *p, const char *value, struct err *err)
{
	return add_hash(&p->initrds, "initrds", value, err);
}

/* As QEMU puts it into its table: of the text and its NUL. */
int
register_add_cmdline_hash(
    struct register_plan *p, const char *value, struct err *err)
{
	return add_hash(&p->cmdlines, "command lines", value, err);
}

int
register_add_cpus(struct register_plan *p, const char *value, struct err *err)
{
	if (*value == '\0')
		return err_set(err, ERR_USAGE, "want N or N,N,...");
	while (*value != '\0') {
		size_t len = strcspn(value, ",");
		char word[16];

		if (p->cpu_count >= REGISTRATION_DIGESTS_MAX)
			return err_set(err, ERR_LIMIT,
			    "more than %d vCPU counts",
			    REGISTRATION_DIGESTS_MAX);
		if (len >= sizeof(word))
			return err_set(err, ERR_USAGE, "want N or N,N,...");
		memcpy(word, value, len);
		word[len] = '\0';
		if (register_number32(
			&p->cpus[p->cpu_count], word, SEV_CPUS_MAX, err) != 0)
			return -1;
		if (p->cpus[p->cpu_count] == 0)
			return err_set(err, ERR_USAGE, "want 1 vCPU or more");
		p->cpu_count++;
		value += len + (value[len] == ',' ? 1 : 0);
	}
	return 0;
}

int
register_set_signature(
    struct register_plan *p, const char *value, struct err *err)
{
	p->has_signature = true;
	return register_number32(&p->signature, value, UINT32_MAX, err);
}

int
register_set_family(struct register_plan *p, const char *value, struct err *err)
{
	p->has_family = true;
	return register_number32(&p->family, value, UINT16_MAX, err);
}

/* A display number beside family and stepping, or QEMU's name of the model. */
int
register_set_model(struct register_plan *p, const char *value, struct err *err)
{
	if (value[0] < '0' || value[0] > '9') {
		p->has_signature = true;
		return sev_vmsa_model_find(&p->signature, span_str(value), err);
	}
	p->has_model = true;
	return register_number32(&p->model, value, UINT16_MAX, err);
}

int
register_set_stepping(
    struct register_plan *p, const char *value, struct err *err)
{
	p->has_stepping = true;
	return register_number32(&p->stepping, value, UINT16_MAX, err);
}

int
register_set_vmsa_cpu0(
    struct register_plan *p, const char *value, struct err *err)
{
	return register_read_named(p, &p->vmsa0, value, SEV_VMSA_LEN, err);
}

int
register_set_vmsa_cpu1(
    struct register_plan *p, const char *value, struct err *err)
{
	return register_read_named(p, &p->vmsa1, value, SEV_VMSA_LEN, err);
}

int
register_add_variant(
    struct register_plan *p, const char *value, struct err *err)
{
	enum sev_vmsa_variant v;

	if (strcmp(value, "both") == 0) {
		p->variant[SEV_VMSA_LEGACY] = true;
		p->variant[SEV_VMSA_INIT2] = true;
		return 0;
	}
	if (sev_vmsa_variant_find(&v, span_str(value), err) != 0)
		return -1;
	p->variant[v] = true;
	return 0;
}
