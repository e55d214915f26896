#include "relay/path.h"

#include <stdlib.h>

#include "tests/unit/relay/check.h"

#define VM "57f669c2-c427-4132-bc7a-26f56b6a718c"
#define UPPER "57F669C2-C427-4132-BC7A-26F56B6A718C"

static const struct {
	const char *method;
	const char *path;
	bool query;
	enum path_side side;
	unsigned status;
	enum path_kind kind;
	const char *says; /* Allow, or what is sent on */
} cases[] = {
	/* clang-format off */
	{ "POST", "/sev/vm/" VM "/launch", false, PATH_INTERNAL, 0, PATH_LAUNCH, "/vm/" VM "/launch" },
	{ "POST", "/sev/vm/" UPPER "/launch", false, PATH_INTERNAL, 0, PATH_LAUNCH, "/vm/" VM "/launch" },
	{ "POST", "/sev/vm/" VM "/validate", false, PATH_INTERNAL, 0, PATH_VALIDATE, "/vm/" VM "/validate" },
	{ "POST", "/sev/vm/" VM "/kbs/v0/auth", false, PATH_INTERNAL, 0, PATH_KBS_AUTH, "/vm/" VM "/kbs/v0/auth" },
	{ "POST", "/sev/vm/" VM "/kbs/v0/attest", false, PATH_INTERNAL, 0, PATH_KBS_ATTEST, "/vm/" VM "/kbs/v0/attest" },
	{ "GET", "/sev/vm/" VM "/kbs/v0/resource/a/b/c", false, PATH_INTERNAL, 0, PATH_KBS_RESOURCE, "/vm/" VM "/kbs/v0/resource/a/b/c" },
	{ "POST", "/sev/vm/" VM "/kbs/v0/resource/a/b/c", false, PATH_INTERNAL, 0, PATH_KBS_RESOURCE, "/vm/" VM "/kbs/v0/resource/a/b/c" },
	{ "PUT", "/sev/vm/" VM "/kbs/v0/resource/a/b/c", false, PATH_INTERNAL, 405, PATH_KBS_RESOURCE, "GET, POST" },
	{ "GET", "/sev/.well-known/attest-relay", false, PATH_INTERNAL, 0, PATH_WELL_KNOWN, "" },
	{ "GET", "/sev/.well-known/attest-relay", false, PATH_PUBLIC, 0, PATH_WELL_KNOWN, "" },
	{ "GET", "/sev/agent/v1", false, PATH_PUBLIC, 0, PATH_AGENT, "" },
	{ "GET", "/sev/agent/v1", false, PATH_INTERNAL, 404, PATH_NONE, "" },
	{ "POST", "/sev/vm/" VM "/launch", false, PATH_PUBLIC, 404, PATH_NONE, "" },
	{ "POST", "/sev/vm/" VM "/launch", true, PATH_INTERNAL, 400, PATH_NONE, "" },
	{ "POST", "/sev/nothing", true, PATH_INTERNAL, 400, PATH_NONE, "" },
	{ "GET", "/sev/vm/" VM "/launch", false, PATH_INTERNAL, 405, PATH_LAUNCH, "POST" },
	{ "HEAD", "/sev/vm/" VM "/validate", false, PATH_INTERNAL, 405, PATH_VALIDATE, "POST" },
	{ "POS", "/sev/vm/" VM "/launch", false, PATH_INTERNAL, 405, PATH_LAUNCH, "POST" },
	{ "POSTS", "/sev/vm/" VM "/launch", false, PATH_INTERNAL, 405, PATH_LAUNCH, "POST" },
	{ "POST", "/sev/vm/" VM "/kbs/v0/resource/a/b", false, PATH_INTERNAL, 404, PATH_NONE, "" },
	{ "POST", "/sev/vm/" VM "/kbs/v0/resource/a/b/c/d", false, PATH_INTERNAL, 404, PATH_NONE, "" },
	{ "POST", "/sev/vm/" VM "/kbs/v0/resource/a//c", false, PATH_INTERNAL, 404, PATH_NONE, "" },
	{ "POST", "/sev/vm/" VM "/kbs/v0/resource/a/../c", false, PATH_INTERNAL, 404, PATH_NONE, "" },
	{ "POST", "/sev/vm/" VM "/kbs/v0/resource/./b/c", false, PATH_INTERNAL, 404, PATH_NONE, "" },
	{ "POST", "/sev/vm/" VM "/kbs/v0/resource/a/b/c%2f", false, PATH_INTERNAL, 404, PATH_NONE, "" },
	{ "POST", "/sev/vm/" VM "/kbs/v0/resource/", false, PATH_INTERNAL, 404, PATH_NONE, "" },
	{ "POST", "/sev/vm/" VM "/launch/", false, PATH_INTERNAL, 404, PATH_NONE, "" },
	{ "POST", "/sev/vm/" VM "/launchx", false, PATH_INTERNAL, 404, PATH_NONE, "" },
	{ "POST", "/sev/vm/" VM "/", false, PATH_INTERNAL, 404, PATH_NONE, "" },
	{ "POST", "/sev/vm/" VM, false, PATH_INTERNAL, 404, PATH_NONE, "" },
	{ "POST", "/sev/vm/{" VM "}/launch", false, PATH_INTERNAL, 404, PATH_NONE, "" },
	{ "POST", "/sev/vm/57f669c2c4274132bc7a26f56b6a718c/launch", false, PATH_INTERNAL, 404, PATH_NONE, "" },
	{ "POST", "/sev/vm/57f669c2-c427-4132-bc7a-26f56b6a718g/launch", false, PATH_INTERNAL, 404, PATH_NONE, "" },
	{ "POST", "/sev/vm/", false, PATH_INTERNAL, 404, PATH_NONE, "" },
	{ "POST", "/sev", false, PATH_INTERNAL, 404, PATH_NONE, "" },
	{ "POST", "/sevvm/" VM "/launch", false, PATH_INTERNAL, 404, PATH_NONE, "" },
	{ "POST", "/se", false, PATH_INTERNAL, 404, PATH_NONE, "" },
	{ "POST", "/", false, PATH_INTERNAL, 404, PATH_NONE, "" },
	{ "POST", "/sev//vm/" VM "/launch", false, PATH_INTERNAL, 404, PATH_NONE, "" },
	{ "POST", "/vm/" VM "/launch", false, PATH_INTERNAL, 404, PATH_NONE, "" },
	/* clang-format on */
};

static void
routes_the_fixed_list_and_nothing_else(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		size_t len = strlen(cases[i].path);
		uint8_t *exact = malloc(len);
		struct path p = { 0 };
		const char *allow;
		unsigned status;

		memcpy(exact, cases[i].path, len);
		status = path_route(&p, &allow, "/sev", cases[i].side,
		    span_str(cases[i].method), span_of(exact, len),
		    cases[i].query);
		free(exact);
		if (status != cases[i].status || p.kind != cases[i].kind)
			fail_msg("%s %s: %u %s", cases[i].method, cases[i].path,
			    status, path_name(p.kind));
		if (status == 0)
			assert_string_equal(p.forward, cases[i].says);
		if (status == 405)
			assert_string_equal(allow, cases[i].says);
	}
}

static void
an_empty_base_is_the_root(void **state)
{
	struct path p = { 0 };
	const char *allow;

	(void)state;
	assert_int_equal(
	    path_route(&p, &allow, "", PATH_INTERNAL, span_str("POST"),
		span_str("/vm/" VM "/launch"), false),
	    0);
	assert_int_equal(p.kind, PATH_LAUNCH);
	assert_int_equal(
	    path_route(&p, &allow, "", PATH_INTERNAL, span_str("POST"),
		span_str("/sev/vm/" VM "/launch"), false),
	    404);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(routes_the_fixed_list_and_nothing_else),
		cmocka_unit_test(an_empty_base_is_the_root),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
