/* compute-host: plays a compute host and its secure processor. */
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "tests/host/file.h"
#include "tests/host/load.h"
#include "tests/host/report.h"
#include "tests/host/serve.h"
#include "tests/host/step.h"

static enum outcome
single(struct machine *m, const struct options *o, const struct secret *expect,
    struct err *err)
{
	struct secret secret = { 0 };
	struct host h = { 0 };
	enum outcome rc = host_open(&h, m, o, err);

	if (rc != HOST_OK)
		return rc;
	if (o->cross) {
		rc = host_cross(&h, o->uuid, expect, err);
		goto out;
	}
	rc = host_launch(&secret, &h, o->uuid, err);
	if (rc == HOST_REFUSED && o->json) {
		json_t *problem = answers_problem_json(&h.answer);

		(void)json_dumpf(problem, stdout, JSON_COMPACT);
		(void)putchar('\n');
		json_decref(problem);
	}
	if (rc == HOST_OK && expect->ptr != NULL &&
	    !secret_equal(secret_span(&secret), secret_span(expect))) {
		err_set(err, ERR_UNTRUSTED, "the secret is another one");
		rc = HOST_WRONG;
	}
	if (rc == HOST_OK && secret.ptr != NULL)
		report_secret(o, o->uuid, secret_span(&secret));
	else if (rc == HOST_OK)
		(void)puts("started without a secret");
out:
	secret_free(&secret);
	host_close(&h);
	return rc;
}

static enum outcome
launch(int argc, char **argv, struct err *err)
{
	enum outcome rc = HOST_USAGE;
	struct secret expect = { 0 };
	struct machine m = { 0 };
	struct options o;

	options_default(&o);
	if (options_parse(&o, 0, argc, argv, err) != 0)
		return HOST_USAGE;
	if (o.service == NULL || (o.uuid == NULL) == (o.uuid_file == NULL)) {
		err_set(err, ERR_USAGE,
		    "--service and one of --uuid, --uuid-file are needed");
		return HOST_USAGE;
	}
	if (o.cross &&
	    (o.hosts > 1 || o.launches > 1 || o.seconds > 0 ||
		o.uuid == NULL)) {
		err_set(err, ERR_USAGE, "--cross is for one --uuid alone");
		return HOST_USAGE;
	}
	if (o.expect_secret_file != NULL &&
	    file_read(&expect, o.expect_secret_file, err) != 0)
		return HOST_USAGE;
	if (machine_load(&m, &o, err) != 0)
		goto out;
	if (o.hosts > 1 || o.launches > 1 || o.seconds > 0 ||
	    o.uuid_file != NULL)
		rc = load_run(&m, &o, &expect, err);
	else
		rc = single(&m, &o, &expect, err);
out:
	machine_free(&m);
	secret_free(&expect);
	return rc;
}

int
main(int argc, char **argv)
{
	struct err err = { 0 };
	enum outcome rc;

	if (argc < 2) {
		(void)fputs(options_usage, stderr);
		return HOST_USAGE;
	}
	if (strcmp(argv[1], "--help") == 0) {
		(void)fputs(options_usage, stdout);
		return HOST_OK;
	}
	(void)setvbuf(stdout, NULL, _IOLBF, 0);
	json_object_seed(0);
	http_setup();
	if (strcmp(argv[1], "launch") == 0)
		rc = launch(argc - 1, argv + 1, &err);
	else if (strcmp(argv[1], "serve") == 0)
		rc = serve_run(argc - 1, argv + 1, &err);
	else
		rc = step_run(argv[1], argc - 1, argv + 1, &err);
	if (rc != HOST_OK)
		(void)fprintf(stderr, "compute-host: %s%s\n",
		    rc == HOST_REFUSED ? "refused: " : "", err.msg);
	return (int)rc;
}
