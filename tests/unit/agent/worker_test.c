#include "tests/unit/agent/lab.h"

#include <jansson.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "agent/control.h"
#include "agent/net/worker.h"
#include "agent/vault/gate.h"
#include "common/base64.h"

#define PATIENCE_MS 30000

static struct lab lab;
static struct worker *worker;
static pthread_t gate_thread;
static int pair[2], owner[2]; /* ours and the vault's end */
static int answered_fd;
static sem_t registered;

static void
on_answered(void *arg)
{
	const uint64_t one = 1;

	(void)arg;
	if (write(answered_fd, &one, sizeof(one)) != sizeof(one))
		abort();
}

static void
on_registered(void *arg)
{
	(void)arg;
	(void)sem_post(&registered);
}

static void
wait_registered(void)
{
	struct timespec until;

	(void)clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += PATIENCE_MS / 1000;
	assert_int_equal(sem_timedwait(&registered, &until), 0);
}

/* The process of the vault, here a thread. */
static void *
serve(void *arg)
{
	const struct gate_options gate = { .vault = lab.vault,
		.key = lab.key,
		.net_fd = pair[1],
		.wait_ms = PATIENCE_MS,
		.owner_fd = owner[1] };
	struct err err = { 0 };

	if (gate_run(&gate, &err) != 0)
		abort();
	return arg;
}

static void
start(void)
{
	const struct worker_ops ops = { on_answered, on_registered, NULL,
		NULL };
	struct err err = { 0 };

	assert_int_equal(worker_start(worker, &ops, &err), 0);
}

/* With a thread that does not run yet. */
static int
setup_still(void **state)
{
	struct err err = { 0 };

	(void)state;
	lab_open(&lab);
	lab_register(&lab, "web1", NULL);
	(void)sem_init(&registered, 0, 0);
	answered_fd = eventfd(0, EFD_CLOEXEC);
	assert_true(answered_fd >= 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, owner), 0);
	assert_int_equal(pthread_create(&gate_thread, NULL, serve, NULL), 0);
	assert_int_equal(worker_open(&worker, pair[0], &err), 0);
	assert_memory_equal(
	    worker_public(worker), key_public(lab.key), UUID_KEY_LEN);
	return 0;
}

static int
setup(void **state)
{
	(void)setup_still(state);
	start();
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	worker_stop(worker);
	worker = NULL;
	(void)close(owner[0]);
	(void)pthread_join(gate_thread, NULL);
	(void)close(owner[1]);
	(void)close(pair[0]);
	(void)close(pair[1]);
	(void)close(answered_fd);
	lab_close(&lab);
	return 0;
}

static void
post(uint32_t stream, const char *verb, const char *body)
{
	char uuid[UUID_TEXT_LEN + 1];
	char path[128];
	struct service_request in = {
		.method = span_str("POST"),
		.request_id = span_str("r"),
		.host_identity = span_str("none"),
		.body = span_str(body),
	};
	struct worker_job *job;

	(void)snprintf(
	    path, sizeof(path), "/vm/%s/%s", uuid_format(uuid, &lab.vm), verb);
	in.path = span_str(path);
	job = worker_job_new(&in);
	assert_non_null(job);
	assert_null(job->in.content_type.ptr); /* absent stays absent */
	job->stream = stream;
	job->source = stream % 2; /* they are more than one may have */
	assert_int_equal(worker_post(worker, job), 0);
}

/* Wait until ${count} jobs are answered; give each to ${fn}. */
static void
collect(size_t count, void (*fn)(struct worker_job *job))
{
	while (count > 0) {
		struct pollfd fd = { answered_fd, POLLIN, 0 };
		struct worker_job *jobs;
		uint64_t n;

		assert_int_equal(poll(&fd, 1, PATIENCE_MS), 1);
		assert_int_equal(read(answered_fd, &n, sizeof(n)), sizeof(n));
		for (jobs = worker_take(worker); jobs != NULL;) {
			struct worker_job *job = jobs;

			jobs = job->next;
			fn(job);
			worker_job_free(job);
			assert_true(count-- > 0);
		}
	}
}

static uint8_t seen[300];

static void
note(struct worker_job *job)
{
	assert_true(job->stream < sizeof(seen));
	seen[job->stream]++;
	assert_int_equal(job->out.kind, SERVICE_ANSWER);
	assert_int_equal(job->out.status, job->stream % 2 == 0 ? 200 : 422);
}

static void
every_request_is_answered_once(void **state)
{
	struct vault_launch m;
	char *body = malloc(12000);
	char pdh[3000];
	char chain[9000];
	uint32_t i;

	(void)state;
	assert_non_null(body);
	lab_message(&m, &lab);
	(void)snprintf(body, 12000, "{\"pdh\":\"%s\",\"cert-chain\":\"%s\"}",
	    base64_encode(pdh, sizeof(pdh), span_of(m.pdh, sizeof(m.pdh))),
	    base64_encode(chain, sizeof(chain), span_of(m.chain, m.chain_len)));
	memset(seen, 0, sizeof(seen));
	for (i = 0; i < sizeof(seen); i++)
		post(i, "launch", i % 2 == 0 ? body : "{}");
	collect(sizeof(seen), note);
	for (i = 0; i < sizeof(seen); i++)
		assert_int_equal(seen[i], 1);
	free(body);
}

static json_t *
ask(unsigned op, struct span in, struct err *err)
{
	struct buf out;
	json_t *v = NULL;

	memset(err, 0, sizeof(*err));
	buf_init(&out, OWNER_OUT_MAX + 1, false);
	if (control_ask_fd(&out, owner[0], op, in, err) == 0) {
		struct span text = buf_span(&out);

		v = json_loadb((const char *)text.ptr, text.len, 0, NULL);
		assert_non_null(v);
	}
	buf_free(&out);
	return v;
}

static void
owners_questions(void **state)
{
	uint8_t log[12] = { 0 };
	struct worker_name *names;
	struct err err;
	size_t count;
	json_t *v;

	(void)state;
	v = ask(OWNER_LIST, (struct span){ 0 }, &err);
	assert_int_equal(json_array_size(json_object_get(v, "vms")), 1);
	json_decref(v);
	v = ask(OWNER_SHOW, span_str("web1"), &err);
	assert_string_equal(
	    json_string_value(json_object_get(v, "name")), "web1");
	assert_int_equal(json_integer_value(json_object_get(v, "secrets")), 1);
	json_decref(v);
	v = ask(OWNER_LOG, span_of(log, sizeof(log)), &err);
	assert_int_equal(json_array_size(json_object_get(v, "lines")), 1);
	json_decref(v);
	v = ask(OWNER_VERIFY, (struct span){ 0 }, &err);
	assert_true(json_is_true(json_object_get(v, "verified")));
	json_decref(v);
	assert_null(ask(OWNER_SHOW, span_str("web2"), &err));
	assert_int_equal(err.code, ERR_NOT_FOUND);
	assert_null(ask(OWNER_SHOW, (struct span){ 0 }, &err));
	assert_null(ask(OWNER_LOG, (struct span){ 0 }, &err));
	assert_null(ask(OWNER_REGISTER, span_str("junk"), &err));
	assert_null(ask(OWNER_STATUS, (struct span){ 0 }, &err));
	names = worker_names(worker, &count);
	assert_int_equal(count, 1);
	assert_string_equal(names[0].label, "web1");
	free(names);
	v = ask(OWNER_REMOVE, span_str("web1"), &err);
	assert_non_null(v);
	json_decref(v);
	wait_registered();
	names = worker_names(worker, &count);
	assert_int_equal(count, 0);
	free(names);
}

/* A VM that was removed: its requests are not ours any more. */
static void
not_mine(struct worker_job *job)
{
	assert_int_equal(job->out.kind, SERVICE_NOT_MINE);
}

static void
removed_vms_are_not_ours(void **state)
{
	struct err err;
	json_t *v = ask(OWNER_REMOVE, span_str("web1"), &err);

	(void)state;
	assert_non_null(v);
	json_decref(v);
	post(1, "validate",
	    "{\"measurement\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
	    "AAAAAAAAAAAAAAAA\",\"api-major\":1,\"api-minor\":55,"
	    "\"build-id\":0}");
	collect(1, not_mine);
}

static int
post_of(uint32_t source, uint32_t stream)
{
	/* Answered without the vault. */
	const struct service_request in = { .method = span_str("GET") };
	struct worker_job *job = worker_job_new(&in);

	assert_non_null(job);
	job->source = source;
	job->link = source;
	job->stream = stream;
	return worker_post(worker, job);
}

static size_t
take_all(void)
{
	struct worker_job *jobs = worker_take(worker);
	size_t taken = 0;

	while (jobs != NULL) {
		struct worker_job *job = jobs;

		jobs = job->next;
		worker_job_free(job);
		taken++;
	}
	return taken;
}

/* A relay that asks without an end fills neither our memory nor the others'
 * places. */
static void
the_queue_has_an_end(void **state)
{
	size_t posted = 0;
	uint32_t source;
	size_t i;

	(void)state;
	for (source = 1; source <= 4; source++) {
		for (i = 0; i < WORKER_SHARE_MAX; i++)
			assert_int_equal(post_of(source, 1), 0);
		posted += i;
		assert_int_equal(post_of(source, 1), -1);
	}
	assert_int_equal(posted, WORKER_QUEUE_MAX);
	for (source = 5; source <= 17; source++) {
		for (i = 0; i < WORKER_SHARE_MIN; i++)
			assert_int_equal(post_of(source, 1), 0);
		posted += i;
		assert_int_equal(post_of(source, 1), -1);
	}
	while (posted > 0) {
		posted -= take_all();
		sched_yield();
	}
	/* Nothing is left of the count, so that it may be had again. */
	for (i = 0; i < WORKER_SHARE_MAX; i++)
		assert_int_equal(post_of(40, 1), 0);
	assert_int_equal(post_of(40, 1), -1);
}

/* More sources than there can be at a time: one that is new has to wait. */
static void
sources_have_an_end(void **state)
{
	uint32_t source;

	(void)state;
	for (source = 1; source <= 32; source++)
		assert_int_equal(post_of(source, 1), 0);
	assert_int_equal(post_of(33, 1), -1);
	assert_int_equal(post_of(32, 1), 0);
}

static char order[16];
static size_t ordered;

static void
note_order(struct worker_job *job)
{
	assert_true(ordered < sizeof(order));
	order[ordered++] =
	    (char)('a' + job->source * 10 + job->stream % 10 - 10);
}

/* What was not begun is not done for a host that went away, and a source that
 * asks a lot is not ahead of the others. */
static void
cancelled_and_in_turn(void **state)
{
	uint32_t stream;

	(void)state;
	ordered = 0;
	for (stream = 0; stream < WORKER_SHARE_MAX; stream++)
		assert_int_equal(post_of(1, stream), 0);
	assert_int_equal(post_of(1, stream), -1);
	for (stream = 4; stream < WORKER_SHARE_MAX; stream++)
		worker_cancel(worker, 1, stream);
	worker_cancel(worker, 1, 4); /* twice, and of others, is nothing */
	worker_cancel(worker, 3, 0);
	for (stream = 0; stream < 3; stream++)
		assert_int_equal(post_of(2, stream), 0);
	worker_cancel(worker, 2, 2);
	start();
	collect(6, note_order);
	assert_memory_equal(order, "akblcd", 6);
	/* The last of a list was among them: new ones are not lost. */
	assert_int_equal(post_of(2, 5), 0);
	collect(1, note_order);
	assert_int_equal(order[6], 'p');
}

/* Nor are two of them together, as two ways to one relay are. */
static void
three_in_turn(void **state)
{
	uint32_t source, stream;

	(void)state;
	ordered = 0;
	for (source = 1; source <= 2; source++)
		for (stream = 0; stream < 3; stream++)
			assert_int_equal(post_of(source, stream), 0);
	assert_int_equal(post_of(3, 0), 0);
	start();
	collect(7, note_order);
	assert_memory_equal(order, "akublcm", 7);
}

/* A registration that did not reach the disk is not claimed at the relay. */
static void
lost_registrations_are_not_claimed(void **state)
{
	const struct rlimit none = { 1, RLIM_INFINITY };
	const struct rlimit all = { RLIM_INFINITY, RLIM_INFINITY };
	static const uint8_t owner_key[UUID_KEY_LEN] = { 7 };
	struct register_plan *p = calloc(1, sizeof(*p));
	struct registration *r = NULL;
	struct secret bytes = { 0 };
	struct worker_name *names;
	struct err err = { 0 };
	size_t count;
	json_t *v;

	(void)state;
	assert_non_null(p);
	(void)signal(SIGXFSZ, SIG_IGN);
	lab_plan(p, "web2", NULL);
	assert_int_equal(register_finish(&r, p, owner_key, &err), 0);
	assert_int_equal(registration_encode(&bytes, r, &err), 0);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &none), 0);
	v = ask(OWNER_REGISTER, secret_span(&bytes), &err);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &all), 0);
	assert_null(v);
	assert_int_equal(err.code, ERR_IO);
	names = worker_names(worker, &count);
	assert_int_equal(count, 1);
	free(names);
	assert_int_equal(sem_trywait(&registered), -1);
	v = ask(OWNER_REGISTER, secret_span(&bytes), &err);
	assert_non_null(v);
	json_decref(v);
	wait_registered();
	names = worker_names(worker, &count);
	assert_int_equal(count, 2);
	free(names);
	secret_free(&bytes);
	registration_free(r);
	register_free(p);
	free(p);
}

/* Lines of the log outlive their VM, and are found by its UUID. */
static void
log_of_a_removed_vm(void **state)
{
	uint8_t in[12 + UUID_TEXT_LEN];
	char text[UUID_TEXT_LEN + 1];
	struct writer w = writer_of(in, sizeof(in));
	struct err err;
	json_t *v;

	(void)state;
	v = ask(OWNER_REMOVE, span_str("web1"), &err);
	assert_non_null(v);
	json_decref(v);
	writer_be64(&w, 0);
	writer_be32(&w, 0);
	writer_put(&w, span_str(uuid_format(text, &lab.vm)));
	v = ask(OWNER_LOG, writer_span(&w), &err);
	assert_int_equal(json_array_size(json_object_get(v, "lines")), 2);
	json_decref(v);
}

/* The socket, both ends of it, over the worker. */
static int
answer(void *arg, unsigned op, struct span in, struct buf *out, struct err *err)
{
	(void)arg;
	return control_ask_fd(out, owner[0], op, in, err);
}

static void
signalled(void *arg, int number)
{
	(void)arg;
	(void)number;
}

static void *
run_control(void *arg)
{
	control_run(arg);
	return NULL;
}

static void
control_socket(void **state)
{
	const struct control_ops ops = { answer, signalled, NULL, NULL };
	pthread_t thread;
	struct control *c = NULL;
	struct err err = { 0 };
	struct buf out;

	(void)state;
	buf_init(&out, OWNER_OUT_MAX + 1, false);
	assert_int_equal(
	    control_ask(&out, &lab.state, OWNER_LIST, (struct span){ 0 }, &err),
	    -1);
	assert_int_equal(err.code, ERR_CLOSED);
	if (control_open(&c, &lab.state, &ops, &err) != 0)
		fail_msg("%s", err.msg);
	assert_int_equal(pthread_create(&thread, NULL, run_control, c), 0);
	assert_int_equal(
	    control_ask(&out, &lab.state, OWNER_LIST, (struct span){ 0 }, &err),
	    0);
	assert_true(buf_len(&out) > 0);
	assert_int_equal(
	    control_ask(&out, &lab.state, OWNER_SHOW, span_str("nobody"), &err),
	    -1);
	assert_int_equal(err.code, ERR_NOT_FOUND);
	assert_non_null(strstr(err.msg, "nobody"));
	control_end(c);
	(void)pthread_join(thread, NULL);
	control_close(c);
	buf_free(&out);
}

/* A socket's path may have 107 characters; a folder's may have more. */
static void
control_socket_in_a_deep_folder(void **state)
{
	const struct control_ops ops = { answer, signalled, NULL, NULL };
	pthread_t thread;
	struct control *c = NULL;
	struct state deep;
	struct err err = { 0 };
	char dir[256];
	struct buf out;

	(void)state;
	(void)snprintf(dir, sizeof(dir), "%s/%0120d", lab.dir, 0);
	buf_init(&out, OWNER_OUT_MAX + 1, false);
	assert_int_equal(state_open(&deep, dir, &err), 0);
	if (control_open(&c, &deep, &ops, &err) != 0)
		fail_msg("%s", err.msg);
	assert_int_equal(pthread_create(&thread, NULL, run_control, c), 0);
	assert_int_equal(
	    control_ask(&out, &deep, OWNER_LIST, (struct span){ 0 }, &err), 0);
	control_end(c);
	(void)pthread_join(thread, NULL);
	control_close(c);
	state_close(&deep);
	assert_int_equal(rmdir(dir), 0);
	buf_free(&out);
}

static const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
#define STILL(f) cmocka_unit_test_setup_teardown(f, setup_still, teardown)
	T(every_request_is_answered_once),
	T(owners_questions),
	T(removed_vms_are_not_ours),
	T(the_queue_has_an_end),
	STILL(sources_have_an_end),
	STILL(cancelled_and_in_turn),
	STILL(three_in_turn),
	T(lost_registrations_are_not_claimed),
	T(log_of_a_removed_vm),
	T(control_socket),
	T(control_socket_in_a_deep_folder),
};

int
main(void)
{
	return cmocka_run_group_tests(tests, NULL, NULL);
}
