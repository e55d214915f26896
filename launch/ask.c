#include "launch/ask.h"

#include <string.h>

#include "launch/request.h"

#define PATH_MAX_LEN 64

static enum outcome
unbuilt(const struct err *err)
{
	return err->code == ERR_USAGE ? OUTCOME_USAGE : OUTCOME_BUG;
}

enum outcome
ask_launch(struct answer_launch *out, struct service_answer *said,
    struct service *s, const struct uuid *uuid, json_t *facts, const char *key,
    struct err *err)
{
	char path[PATH_MAX_LEN], fresh[UUID_TEXT_LEN + 1];
	struct secret body = { 0 };
	enum outcome rc;

	memset(out, 0, sizeof(*out));
	if (request_launch(&body, facts, err) != 0)
		return unbuilt(err);
	/* One key for all tries: a repeated one opens no second session. */
	if (key == NULL && service_key(fresh, err) != 0) {
		secret_free(&body);
		return OUTCOME_BUG;
	}
	service_path(path, sizeof(path), uuid, "launch");
	rc = service_ask(
	    said, s, path, secret_span(&body), key == NULL ? fresh : key, err);
	if (rc == OUTCOME_OK &&
	    answer_launch_read(out, secret_span(&said->body), err) != 0)
		rc = OUTCOME_UNREACHABLE;
	secret_free(&body);
	return rc == OUTCOME_OK ? rc : (err_wrap(err, "/launch"), rc);
}

enum outcome
ask_validate(struct answer_validate *out, struct service_answer *said,
    struct service *s, const struct uuid *uuid, json_t *facts, struct err *err)
{
	struct secret body = { 0 };
	char path[PATH_MAX_LEN];
	enum outcome rc;

	memset(out, 0, sizeof(*out));
	if (request_validate(&body, facts, err) != 0)
		return unbuilt(err);
	service_path(path, sizeof(path), uuid, "validate");
	rc = service_ask(said, s, path, secret_span(&body), NULL, err);
	if (rc == OUTCOME_OK &&
	    answer_validate_read(out, secret_span(&said->body), err) != 0)
		rc = OUTCOME_UNREACHABLE;
	secret_free(&body);
	return rc == OUTCOME_OK ? rc : (err_wrap(err, "/validate"), rc);
}
