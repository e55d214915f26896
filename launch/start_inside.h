#ifndef LAUNCH_START_INSIDE_H
#define LAUNCH_START_INSIDE_H

#include "launch/deadline.h"
#include "launch/domain_xml.h"
#include "launch/flow.h"
#include "launch/guard.h"
#include "launch/libvirt.h"

/* For start.c and start_domain.c alone. */

/* One launch.  Zero-initialised but for descriptors; start_libvirt() releases
 * all of it. */
struct start {
	struct flow flow;
	int folder; /* of launches under way; -1: not opened */
	struct record record;
	bool asked; /* there may be a guest */
	struct guard guard;
	struct deadline deadline;
	const char *doing;     /* what libvirt is asked for */
	enum outcome ends;     /* if it never answers */
	const struct err *why; /* NULL: that is the reason */
	struct libvirt *l;
	struct libvirt_host host;
	struct secret text; /* the definition, as it came */
	struct domain_xml *xml;
	struct domain_look look;
	bool defined; /* by us, and not before */
	struct libvirt_guest *guest;
	struct measured measured;
	struct answer_validate packet;
};

/** start_domain(s, err): read and judge the definition, and define it if that
 * was asked for; what it says of the service is taken, too. */
enum outcome start_domain(struct start *s, struct err *err);

#endif
