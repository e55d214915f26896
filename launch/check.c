#include "launch/check.h"

#include "launch/json.h"
#include "launch/options.h"
#include "launch/report.h"

#define WELL_KNOWN "/.well-known/attest-relay"

static bool
speaks_version_1(const json_t *known)
{
	const json_t *v;
	size_t i;

	json_array_foreach(
	    json_object_get(known, "versions"), i, v) if (json_is_integer(v) &&
	    json_integer_value(v) == 1) return true;
	return false;
}

/* Static and open to all, so it shows that name, port, base and TLS are
 * right (docs/protocol.md 2). */
static enum outcome
check_reach(json_t **known, struct service_answer *said, struct service *s,
    struct err *err)
{
	service_try(said, s, WELL_KNOWN, span_of(NULL, 0), "");
	if (said->tried.status != 200)
		service_tell(said, err);
	else if (json_read(known, secret_span(&said->body), err) == 0) {
		if (speaks_version_1(*known))
			return OUTCOME_OK;
		err_set(err, ERR_UNSUPPORTED, "versions without 1");
	}
	err_wrap(err, "%s" WELL_KNOWN, service_base(s));
	return OUTCOME_UNREACHABLE;
}

/*
 * Who is let in gets to the body, and one that is not JSON is refused at once
 * (docs/protocol.md 3, 8); no agent is asked.
 */
static enum outcome
check_admission(struct service_answer *said, struct service *s, struct err *err)
{
	static const struct uuid none;
	char path[64];

	service_path(path, sizeof(path), &none, "launch");
	service_try(said, s, path, span_str("check"), "text/plain");
	if (said->tried.status == 415)
		return OUTCOME_OK;
	service_tell(said, err);
	/* 404: the description is at the agents' port, too. */
	err_wrap(err, "not let in%s",
	    said->tried.status == 401
		? ", see --token-file, or --cert and --key"
		: said->tried.status == 404 ? ", is that the port for hosts?"
					    : "");
	return said->tried.status >= 400 && said->tried.status < 500
	    ? OUTCOME_REFUSED
	    : OUTCOME_UNREACHABLE;
}

enum outcome
check_all(json_t **known, struct service_answer *said, struct service *s,
    struct err *err)
{
	enum outcome rc = check_reach(known, said, s, err);

	return rc == OUTCOME_OK ? check_admission(said, s, err) : rc;
}

static json_t *
summary(const char *url, json_t *known)
{
	return json_pack("{s:s, s:O*, s:O*, s:O*}", "service", url, "versions",
	    json_object_get(known, "versions"), "schemes",
	    json_object_get(known, "schemes"), "auth",
	    json_object_get(known, "auth"));
}

enum outcome
check_service(int argc, char **argv)
{
	struct service_answer said = { 0 };
	struct service *service = NULL;
	struct report report = { .verb = argv[0] };
	enum outcome rc = OUTCOME_USAGE;
	json_t *known = NULL;
	struct err err = { 0 };
	struct options o;

	if (options_parse(&o, OPT_SERVICE | OPT_JSON, argc, argv, &err) != 0)
		goto out;
	report.json = o.json;
	if (service_new(&service, &o.service, &err) != 0)
		goto out;
	rc = check_all(&known, &said, service, &err);
	if (known != NULL)
		report_say(
		    "%s: reached, and its certificate holds", o.service.url);
	if (rc != OUTCOME_OK)
		goto out;
	report_say("%s: lets this host in", o.service.url);
	report_step(&report, "check", summary(o.service.url, known));
out:
	if (rc != OUTCOME_OK)
		(void)report_end(&report, rc, &said, &err);
	service_answer_free(&said);
	service_free(service);
	json_decref(known);
	return rc;
}
