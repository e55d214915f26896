#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/control.h"
#include "agent/keeper_lists.h"

/* The watch over CEK block-lists, while the vault cannot take them. */

static size_t given;
static enum err_code give_code;

static int
give(void *arg, const struct uuid *vm, struct span keys, struct err *err)
{
	(void)arg;
	(void)vm;
	given++;
	assert_int_equal(keys.len, SEV_SHA256_LEN);
	if (give_code == ERR_NONE)
		return 0;
	return err_set(err, give_code, "not now");
}

/* One that comes while the disk is full is in force once it is not. */
static void
given_again_once_it_can_be(void **state)
{
	static const char one[] =
	    "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";
	char path[] = "/tmp/attest-list-XXXXXX";
	struct blocklists *lists = NULL;
	struct err err = { 0 };
	int fd = mkstemp(path);

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(write(fd, one, sizeof(one) - 1), sizeof(one) - 1);
	assert_int_equal(close(fd), 0);
	given = 0;
	assert_int_equal(blocklists_new(&lists, give, NULL, &err), 0);
	assert_int_equal(blocklists_keep(lists, NULL, path, &err), 0);
	give_code = ERR_IO;
	assert_int_equal(blocklists_look(lists, &err), -1);
	assert_int_equal(blocklists_look(lists, &err), -1);
	give_code = ERR_NONE;
	assert_int_equal(blocklists_look(lists, &err), 0);
	assert_int_equal(given, 3);
	assert_int_equal(blocklists_look(lists, &err), 0);
	assert_int_equal(given, 3);
	blocklists_free(lists);
	assert_int_equal(unlink(path), 0);
}

/* The vault's answers of one look, as they wait for it. */
static void
answer(int fd, int rc, struct span body)
{
	const struct err busy = { ERR_IO, "database is locked" };
	struct buf out;

	buf_init(&out, 1024, false);
	if (body.len > 0)
		assert_int_equal(buf_append(&out, body, NULL), 0);
	control_write_answer(fd, rc, &out, &busy);
	buf_free(&out);
}

static unsigned
last_question(int fd)
{
	uint8_t bytes[4096];
	struct control_head head = { 0 };
	struct span in = { bytes, 0 };
	ssize_t n = recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT);

	in.len = n > 0 ? (size_t)n : 0;
	while (in.len > 0) {
		assert_int_equal(control_read_head(&head,
				     span_of(in.ptr, CONTROL_HEAD_LEN), NULL),
		    0);
		in = span_of(in.ptr + CONTROL_HEAD_LEN + head.len,
		    in.len - CONTROL_HEAD_LEN - head.len);
	}
	return head.op;
}

/* VMs that come while the vault cannot say which have their list read, too. */
static void
asked_again_for_its_vms(void **state)
{
	static const char path[] = "/dev/null";
	const struct span none = { NULL, 0 };
	struct keeper_lists *lists = NULL;
	struct err err = { 0 };
	static const uint8_t vm[16] = { 1 };
	uint8_t bytes[64];
	struct writer w = writer_of(bytes, sizeof(bytes));
	int fds[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	answer(fds[1], 0, none); /* OWNER_BLOCKLISTS */
	answer(fds[1], 0, none); /* OWNER_BLOCK: none for all */
	assert_int_equal(keeper_lists_start(&lists, fds[0], "", &err), 0);
	assert_true(keeper_lists_look(lists, 0) < 0);
	keeper_lists_changed(lists);
	answer(fds[1], -1, none);
	assert_true(keeper_lists_look(lists, 0) > 0);
	assert_int_equal(last_question(fds[1]), OWNER_BLOCKLISTS);
	writer_put(&w, span_of(vm, sizeof(vm)));
	writer_be16(&w, sizeof(path) - 1);
	writer_put(&w, span_str(path));
	answer(fds[1], 0, writer_span(&w));
	answer(fds[1], 0, none);
	answer(fds[1], 0, none); /* OWNER_BLOCK: that of the VM */
	assert_true(keeper_lists_look(lists, 1000) > 0);
	assert_int_equal(last_question(fds[1]), OWNER_BLOCK);
	keeper_lists_free(lists);
	(void)close(fds[0]);
	(void)close(fds[1]);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(given_again_once_it_can_be),
	cmocka_unit_test(asked_again_for_its_vms),
};

int
main(void)
{
	return cmocka_run_group_tests(tests, NULL, NULL);
}
