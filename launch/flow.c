#include "launch/flow.h"

#include "launch/ask.h"
#include "launch/json.h"

int
flow_options(
    struct flow *f, unsigned allowed, int argc, char **argv, struct err *err)
{
	f->report.verb = argv[0];
	if (options_parse(&f->o, allowed, argc, argv, err) != 0)
		return -1;
	f->report.json = f->o.json;
	return 0;
}

static const char *
session_id(const struct flow *f)
{
	return f->session.session_id[0] != '\0' ? f->session.session_id : NULL;
}

enum outcome
flow_session(struct flow *f, json_t *facts, struct err *err)
{
	enum outcome rc;

	if (f->o.has_policy &&
	    json_object_set_new(facts, "policy", json_integer(f->o.policy)) !=
		0) {
		err_set(err, ERR_MEMORY, "no memory for the request");
		return OUTCOME_BUG;
	}
	rc = ask_launch(&f->session, &f->said, f->service, &f->o.uuid, facts,
	    f->o.idempotency_key, err);
	/* What a hypervisor said of its host is no word of a user's. */
	if (rc == OUTCOME_USAGE)
		return OUTCOME_CONFIG;
	if (rc != OUTCOME_OK)
		return rc;
	if (f->o.has_policy && f->session.policy != f->o.policy) {
		err_set(err, ERR_CONFLICT,
		    "the owner's policy is 0x%x, the guest's 0x%x",
		    f->session.policy, f->o.policy);
		return OUTCOME_CONFIG;
	}
	report_say("session of the owner: policy 0x%x%s", f->session.policy,
	    f->session.kernel_hashes ? ", kernel hashes" : "");
	report_step(&f->report, "session",
	    json_pack("{s:I, s:b, s:s*}", "policy",
		(json_int_t)f->session.policy, "kernel-hashes",
		f->session.kernel_hashes, "session-id", session_id(f)));
	return OUTCOME_OK;
}

static json_t *
to_json(const struct flow *f, const struct measured *m, struct err *err)
{
	json_t *o = json_pack("{s:i, s:i, s:i, s:I, s:s*}", "api-major",
	    m->api_major, "api-minor", m->api_minor, "build-id", m->build_id,
	    "policy", (json_int_t)m->policy, "session-id", session_id(f));

	if (o == NULL ||
	    json_set_bytes(o, "measurement",
		span_of(m->bytes, sizeof(m->bytes)), err) != 0) {
		err_set(err, ERR_MEMORY, "no memory for the measurement");
		json_decref(o);
		return NULL;
	}
	return o;
}

enum outcome
flow_validate(struct answer_validate *out, struct flow *f,
    const struct measured *m, struct err *err)
{
	enum outcome rc;
	json_t *facts;

	if (m->policy != f->session.policy) {
		err_set(err, ERR_CONFLICT,
		    "the guest has policy 0x%x, the owner wants 0x%x",
		    m->policy, f->session.policy);
		return OUTCOME_CONFIG;
	}
	facts = to_json(f, m, err);
	if (facts == NULL)
		return OUTCOME_BUG;
	report_say("measured; asking the owner for its secret");
	report_step(&f->report, "measured", json_incref(facts));
	rc = ask_validate(out, &f->said, f->service, &f->o.uuid, facts, err);
	json_decref(facts);
	return rc;
}

void
flow_injected(struct flow *f, bool inject)
{
	report_say(
	    inject ? "secret injected" : "the owner has no secret for it");
	report_step(
	    &f->report, "validated", json_pack("{s:b}", "inject", inject));
}

/* Whether the service's last words belong to this end. */
static bool
of_service(enum outcome rc)
{
	return rc == OUTCOME_REFUSED || rc == OUTCOME_UNREACHABLE ||
	    rc == OUTCOME_PENDING;
}

enum outcome
flow_end(struct flow *f, enum outcome rc, const struct err *err)
{
	if (rc != OUTCOME_OK)
		(void)report_end(
		    &f->report, rc, of_service(rc) ? &f->said : NULL, err);
	service_answer_free(&f->said);
	service_free(f->service);
	f->service = NULL;
	return rc;
}
