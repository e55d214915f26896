#include "common/buf.h"

#include "tests/unit/common/exact.h"

static void
queues_bytes_in_order(void **state)
{
	uint8_t next_in = 0, next_out = 0;
	struct buf b;
	unsigned dice = 1;

	(void)state;
	buf_init(&b, 1000, true);
	for (int i = 0; i < 20000; i++) {
		uint8_t part[97];
		size_t len;

		dice = dice * 1103515245 + 12345;
		len = dice >> 16 & 63;
		if ((dice >> 24 & 1) != 0) {
			for (size_t k = 0; k < len; k++)
				part[k] = (uint8_t)(next_in + k);
			if (buf_append(&b, span_of(part, len), NULL) == 0)
				next_in = (uint8_t)(next_in + len);
			else
				assert_true(len > buf_room(&b));
		} else {
			struct span all = buf_span(&b);

			len = len < all.len ? len : all.len;
			for (size_t k = 0; k < len; k++)
				assert_int_equal(
				    all.ptr[k], (uint8_t)(next_out + k));
			next_out = (uint8_t)(next_out + len);
			buf_consume(&b, len);
		}
		assert_true(b.cap <= 1000);
		assert_int_equal(buf_len(&b) + buf_room(&b), 1000);
	}
	buf_free(&b);
}

static void
holds_its_cap_to_the_byte(void **state)
{
	static const uint8_t bytes[5000];
	struct buf b;
	struct err err;

	(void)state;
	buf_init(&b, 4097, false);
	assert_null(b.ptr);
	assert_int_equal(buf_append(&b, span_of(bytes, 4000), &err), 0);
	assert_int_equal(buf_append(&b, span_of(bytes, 98), &err), -1);
	assert_int_equal(err.code, ERR_LIMIT);
	assert_string_equal(
	    err.msg, "98 bytes behind 4000 queued ones, at most 4097");
	assert_int_equal(buf_len(&b), 4000);
	assert_int_equal(buf_append(&b, span_of(bytes, 97), &err), 0);
	assert_int_equal(buf_room(&b), 0);
	assert_null(buf_reserve(&b, 1, &err));
	/* Room in front is found again. */
	buf_consume(&b, 1);
	assert_non_null(buf_reserve(&b, 1, &err));
	buf_commit(&b, 1);
	assert_int_equal(buf_len(&b), 4097);
	buf_trim(&b);
	assert_non_null(b.ptr);
	buf_consume(&b, 4097);
	buf_trim(&b);
	assert_null(b.ptr);
	assert_int_equal(buf_append(&b, span_of(bytes, 1), &err), 0);
	buf_free(&b);
	buf_free(&b);
}

static void
wipes_what_it_gives_up(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, 100, true);
	assert_int_equal(buf_append(&b, span_str("secret"), NULL), 0);
	buf_consume(&b, 4);
	assert_memory_equal(b.ptr, "\0\0\0\0et", 6);
	memcpy(buf_data(&b), "xy", 2);
	assert_true(span_is(buf_span(&b), "xy"));
	/* 98 more need the room of the four consumed. */
	assert_non_null(buf_reserve(&b, 98, NULL));
	assert_memory_equal(b.ptr, "xy\0\0\0\0", 6);
	buf_free(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(queues_bytes_in_order),
		cmocka_unit_test(holds_its_cap_to_the_byte),
		cmocka_unit_test(wipes_what_it_gives_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
