#ifndef LAUNCH_OUTCOME_H
#define LAUNCH_OUTCOME_H

/*
 * How a command ends; these are exit statuses that managers rely on
 * (docs/operations-host.md), so none may change its number.
 */
enum outcome {
	OUTCOME_OK = 0,
	OUTCOME_REFUSED = 1,     /* the owner or the service said no */
	OUTCOME_USAGE = 2,       /* flags, or the input of a single step */
	OUTCOME_UNREACHABLE = 3, /* no usable answer in time */
	OUTCOME_CONFIG = 4,      /* the guest as configured cannot do it */
	OUTCOME_NO_SEV = 5,      /* the host cannot */
	OUTCOME_BUG = 6,         /* ours, or no memory */
	OUTCOME_PENDING = 75     /* EX_TEMPFAIL: the owner has not decided */
};

/** outcome_name(o): one word for JSON. */
const char *outcome_name(enum outcome o);

#endif
