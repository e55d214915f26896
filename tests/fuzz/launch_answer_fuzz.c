#include "launch/answer.h"
#include "launch/json.h"
#include "launch/request.h"

#include "tests/fuzz/fuzz.h"

#include <string.h>

/* Bodies of a service and of a manager; a good answer can be handed on. */
int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct answer_launch launch;
	struct span body = span_of(data, size);
	struct answer_validate validate;
	struct answer_problem problem;
	struct secret out = { 0 };
	json_t *o = NULL;

	if (answer_launch_read(&launch, body, NULL) == 0) {
		o = answer_launch_json(&launch, NULL);
		MUST(o != NULL);
		json_decref(o);
	}
	if (answer_validate_read(&validate, body, NULL) == 0) {
		MUST(validate.inject == (validate.payload.len > 0));
		MUST(validate.payload.len % 16 == 0);
		o = answer_validate_json(&validate, NULL);
		MUST(o != NULL);
		json_decref(o);
		answer_validate_free(&validate);
	} else {
		MUST(validate.payload.ptr == NULL);
	}
	answer_problem_read(&problem, body);
	MUST(memchr(problem.type, '\0', sizeof(problem.type)) != NULL);
	o = NULL;
	if (json_read(&o, body, NULL) == 0) {
		if (request_launch(&out, o, NULL) == 0)
			MUST(out.len <= JSON_BODY_MAX);
		secret_free(&out);
		(void)request_validate(&out, o, NULL);
		secret_free(&out);
		json_decref(o);
	}
	return 0;
}
