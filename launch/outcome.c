#include "launch/outcome.h"

const char *
outcome_name(enum outcome o)
{
	switch (o) {
	case OUTCOME_OK:
		return "ok";
	case OUTCOME_REFUSED:
		return "refused";
	case OUTCOME_USAGE:
		return "usage";
	case OUTCOME_UNREACHABLE:
		return "unreachable";
	case OUTCOME_CONFIG:
		return "config";
	case OUTCOME_NO_SEV:
		return "no-sev";
	case OUTCOME_PENDING:
		return "approval-pending";
	case OUTCOME_BUG:
		break;
	}
	return "bug";
}
