#include "relay/resp.h"

#include "relay/number.h"

/* Everything but the bytes of a text is lines that end in CR LF. */
static int
take_line(struct span *line, struct reader *r, struct err *err)
{
	size_t len = 0;

	while (len < r->rest.len && len <= RESP_LINE_MAX &&
	    r->rest.ptr[len] != '\r')
		len++;
	if (len > RESP_LINE_MAX)
		return err_set(err, ERR_LIMIT,
		    "a line of over %d bytes from the directory",
		    RESP_LINE_MAX);
	if (len + 2 > r->rest.len)
		return 0;
	*line = reader_take(r, len);
	if (reader_be16(r) != 0x0d0a)
		return err_set(
		    err, ERR_MALFORMED, "a CR without LF from the directory");
	return 1;
}

/* -1 in the place of a length stands for no value. */
static int
take_length(struct resp_item *out, struct span words, uint64_t max,
    const char *what, struct err *err)
{
	if (span_is(words, "-1")) {
		out->kind = RESP_NIL;
		return 1;
	}
	if (!number_parse(&out->number, words, UINT64_MAX))
		return err_set(err, ERR_MALFORMED,
		    "a %s without a length from the directory", what);
	if (out->number > max)
		return err_set(err, ERR_LIMIT,
		    "a %s of %llu from the directory, at most %llu", what,
		    (unsigned long long)out->number, (unsigned long long)max);
	return 1;
}

static int
take_status(
    struct resp_item *out, struct span words, struct reader *r, struct err *err)
{
	(void)r;
	(void)err;
	out->text = words;
	return 1;
}

static int
take_number(
    struct resp_item *out, struct span words, struct reader *r, struct err *err)
{
	(void)r;
	/* No script of ours gives one below zero. */
	if (!number_parse(&out->number, words, INT64_MAX))
		return err_set(err, ERR_MALFORMED,
		    "a number that is none from the directory");
	return 1;
}

static int
take_text(
    struct resp_item *out, struct span words, struct reader *r, struct err *err)
{
	if (take_length(out, words, RESP_TEXT_MAX, "text", err) < 0)
		return -1;
	if (out->kind == RESP_NIL)
		return 1;
	if (r->rest.len < out->number + 2)
		return 0;
	out->text = reader_take(r, (size_t)out->number);
	if (reader_be16(r) != 0x0d0a)
		return err_set(err, ERR_MALFORMED,
		    "a text that is longer than it says from the directory");
	return 1;
}

static int
take_list(
    struct resp_item *out, struct span words, struct reader *r, struct err *err)
{
	(void)r;
	return take_length(out, words, RESP_ITEMS_MAX, "list", err);
}

static const struct {
	uint8_t mark; /* the line's first byte */
	enum resp_kind kind;
	int (*take)(struct resp_item *out, struct span words, struct reader *r,
	    struct err *err);
} forms[] = {
	{ '+', RESP_TEXT, take_status },
	{ '-', RESP_ERROR, take_status },
	{ ':', RESP_NUMBER, take_number },
	{ '$', RESP_TEXT, take_text },
	{ '*', RESP_LIST, take_list },
};

static int
take_item(struct resp_item *out, struct reader *r, struct err *err)
{
	struct reader words;
	struct span line;
	uint8_t mark;
	int rc = take_line(&line, r, err);

	if (rc != 1)
		return rc;
	words = reader_of(line);
	mark = reader_u8(&words);
	for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
		if (!reader_ok(&words) || forms[i].mark != mark)
			continue;
		*out = (struct resp_item){ .kind = forms[i].kind };
		return forms[i].take(out, words.rest, r, err);
	}
	return err_set(err, ERR_MALFORMED,
	    "an answer of type 0x%02x from the directory", mark);
}

int
resp_next(struct resp *out, struct span *in, struct err *err)
{
	struct reader r = reader_of(*in);
	int rc = take_item(&out->head, &r, err);
	size_t count = rc == 1 ? resp_count(out) : 0;

	for (size_t i = 0; rc == 1 && i < count; i++) {
		rc = take_item(&out->items[i], &r, err);
		if (rc == 1 && out->items[i].kind == RESP_LIST)
			return err_set(err, ERR_LIMIT,
			    "a list within a list from the directory");
	}
	if (rc == 1)
		*in = r.rest;
	return rc;
}

size_t
resp_count(const struct resp *r)
{
	return r->head.kind == RESP_LIST ? (size_t)r->head.number : 0;
}

bool
resp_is(const struct resp_item *item, const char *text)
{
	return item->kind == RESP_TEXT && span_is(item->text, text);
}
