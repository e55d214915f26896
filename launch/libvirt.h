#ifndef LAUNCH_LIBVIRT_H
#define LAUNCH_LIBVIRT_H

#include <jansson.h>

#include "launch/answer.h"
#include "launch/measured.h"
#include "launch/outcome.h"

/*
 * libvirt, as much of it as a launch needs.  Outcomes: OUTCOME_NO_SEV: the
 * host; OUTCOME_REFUSED: the secure processor; OUTCOME_BUG: no memory;
 * OUTCOME_CONFIG: all else, with libvirt's own words.
 */

struct libvirt;       /* a connection; one thread at a time uses it */
struct libvirt_guest; /* a domain of one, freed before it */

/**
 * libvirt_open(out, uri, err):
 * ${uri} may be NULL: libvirt's own default.  A daemon that does not answer
 * for 30 s fails the call it was asked.
 *   lifetime  caller: libvirt_close().  A program opens one at a time.
 */
enum outcome libvirt_open(
    struct libvirt **out, const char *uri, struct err *err);
void libvirt_close(struct libvirt *l);

/** libvirt_alive(l): the connection holds, so that an error of the last call
 * was the daemon's answer. */
bool libvirt_alive(struct libvirt *l);

/** libvirt_uri(l, err): where it leads, whatever the environment says then;
 * NULL if libvirt does not say.
 *   lifetime  caller: free() */
char *libvirt_uri(const struct libvirt *l, struct err *err);

struct libvirt_host {
	json_t *facts; /* owned; what request_launch() takes */
	unsigned cbitpos, reduced_phys_bits;
};

/** libvirt_host(out, l, err): virNodeGetSEVInfo().
 *   lifetime  caller: json_decref(${out}->facts) */
enum outcome libvirt_host(
    struct libvirt_host *out, struct libvirt *l, struct err *err);

/** libvirt_find(out, l, name, err): ${out} is NULL if there is none. */
enum outcome libvirt_find(struct libvirt_guest **out, struct libvirt *l,
    const char *name, struct err *err);
void libvirt_guest_free(struct libvirt_guest *g);

bool libvirt_guest_active(const struct libvirt_guest *g);
bool libvirt_guest_persistent(const struct libvirt_guest *g);

enum libvirt_state {
	LIBVIRT_UNKNOWN, /* libvirt does not say */
	LIBVIRT_RUNNING,
	LIBVIRT_PAUSED, /* by its start, or by somebody since */
	LIBVIRT_OTHER
};
enum libvirt_state libvirt_guest_state(const struct libvirt_guest *g);

/** libvirt_guest_has_run(has, g): did its CPUs ever run?  By QEMU's word, since
 * libvirt does not tell.  Returns -1 if neither does. */
int libvirt_guest_has_run(bool *has, const struct libvirt_guest *g);

/** libvirt_guest_uuid(out, g): "" if libvirt does not say. */
void libvirt_guest_uuid(
    char out[UUID_TEXT_LEN + 1], const struct libvirt_guest *g);

/** libvirt_guest_xml(out, g, err): its definition, passwords included. */
enum outcome libvirt_guest_xml(
    struct secret *out, const struct libvirt_guest *g, struct err *err);

/** libvirt_guest_marked(is, g, id): it is active, and carries DOMAIN_LAUNCH_NS
 * with this ${id}.  Returns -1 if libvirt does not say. */
int libvirt_guest_marked(
    bool *is, const struct libvirt_guest *g, const char *id);

/** libvirt_create(out, l, xml, autodestroy, err): start ${xml} paused.
 * ${autodestroy}: it ends with the connection. */
enum outcome libvirt_create(struct libvirt_guest **out, struct libvirt *l,
    const char *xml, bool autodestroy, struct err *err);

/** libvirt_define(l, xml, err): make ${xml} the definition of its domain. */
enum outcome libvirt_define(
    struct libvirt *l, const char *xml, struct err *err);
enum outcome libvirt_undefine(struct libvirt_guest *g, struct err *err);

enum outcome libvirt_measure(
    struct measured *out, const struct libvirt_guest *g, struct err *err);
enum outcome libvirt_inject(struct libvirt_guest *g,
    const struct answer_validate *answer, struct err *err);

/** libvirt_resume(g, err): and see that it runs. */
enum outcome libvirt_resume(struct libvirt_guest *g, struct err *err);

/** libvirt_wait(g, err): until it has ended; OUTCOME_CONFIG: the connection
 * ended first. */
enum outcome libvirt_wait(const struct libvirt_guest *g, struct err *err);

enum outcome libvirt_destroy(struct libvirt_guest *g, struct err *err);

#endif
