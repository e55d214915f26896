#include "common/frame_table.h"

#define ANY8 UINT8_MAX
#define ANY16 UINT16_MAX
#define ANY32 UINT32_MAX
#define ANY64 UINT64_MAX
#define FIT FRAME_DATA_MAX /* no bound of its own but the message's */

static const char *
wrong_text(struct span in)
{
	return frame_is_text(in) ? NULL : "is not UTF-8 without NUL, CR, LF";
}

static const char *
wrong_method(struct span in)
{
	for (size_t i = 0; i < in.len; i++)
		if (in.ptr[i] < 'A' || in.ptr[i] > 'Z')
			return "has more than upper-case letters";
	return NULL;
}

static const char *
wrong_path(struct span in)
{
	if (in.len > 0 && in.ptr[0] != '/')
		return "does not start with /";
	return wrong_text(in);
}

static const char *
wrong_names(struct span in)
{
	struct frame_claim_name name;
	size_t count = 0;

	while (frame_next_name(&in, &name))
		count++;
	if (in.len > 0)
		return "has a broken entry";
	return count > FRAME_NAMES_MAX ? "has more than 64 entries" : NULL;
}

static const char *
wrong_results(struct span in)
{
	enum frame_result result;
	struct uuid uuid;
	size_t count = 0;

	while (frame_next_result(&in, &uuid, &result))
		count++;
	if (in.len > 0)
		return "has a broken entry";
	return count > FRAME_NAMES_MAX ? "has more than 64 entries" : NULL;
}

static const char *
wrong_uuids(struct span in)
{
	if (in.len % sizeof(struct uuid) != 0)
		return "has a broken entry";
	if (in.len / sizeof(struct uuid) > FRAME_NAMES_MAX)
		return "has more than 64 entries";
	return NULL;
}

static const char *
wrong_headers(struct span in)
{
	struct span name, value;
	size_t count = 0;

	while (frame_next_header(&in, &name, &value))
		count++;
	if (in.len > 0)
		return "has a broken entry";
	return count > FRAME_HEADERS_MAX ? "has more than 32 entries" : NULL;
}

/*
 * Codes and reasons have no upper bound here: a newer peer may know more of
 * them, and an unknown one still ends, or holds up, one stream only.
 */
/* clang-format off */
static const struct frame_tag tags[] = { /* by rising numbers */
	{ TAG_NONCE,	      "NONCE",		FRAME_BYTES, 32, 32,	  NULL },
	{ TAG_RELAY_NAME,     "RELAY-NAME",	FRAME_BYTES, 1, 255,	  wrong_text },
	{ TAG_MINOR,	      "MINOR",		FRAME_NUM16, 0, ANY16,  NULL },
	{ TAG_TIME,	      "TIME",		FRAME_NUM64, 0, ANY64,  NULL },
	{ TAG_MAX_MESSAGE,    "MAX-MESSAGE",	FRAME_NUM32, 1024, ANY32, NULL },
	{ TAG_MAX_STREAMS,    "MAX-STREAMS",	FRAME_NUM32, 1, ANY32,  NULL },
	{ TAG_MAX_CLAIMS,     "MAX-CLAIMS",	FRAME_NUM32, 0, ANY32,  NULL },
	{ TAG_TENANT_CLAIMS,  "TENANT-CLAIMS",	FRAME_NUM32, 1, ANY32,  NULL },
	{ TAG_TENANT_TUNNELS, "TENANT-TUNNELS", FRAME_NUM32, 1, ANY32,  NULL },
	{ TAG_REQUEST_RATE,   "REQUEST-RATE",	FRAME_NUM32, 1, ANY32,  NULL },
	{ TAG_BINDING,	      "BINDING",	FRAME_NUM8,  0, 1,	  NULL },
	{ TAG_KEY,	      "KEY",		FRAME_BYTES, 32, 32,	  NULL },
	{ TAG_SIGNATURE,      "SIGNATURE",	FRAME_BYTES, 64, 64,	  NULL },
	{ TAG_SOFTWARE,	      "SOFTWARE",	FRAME_BYTES, 1, 128,	  wrong_text },
	{ TAG_BOOT_ID,	      "BOOT-ID",	FRAME_BYTES, 16, 16,	  NULL },
	{ TAG_CAPABILITIES,   "CAPABILITIES",	FRAME_NUM32, 0, ANY32,  NULL },
	{ TAG_TENANT,	      "TENANT",		FRAME_BYTES, 1, 64,	  wrong_text },
	{ TAG_PING_INTERVAL,  "PING-INTERVAL",	FRAME_NUM32, 1, ANY32,  NULL },
	{ TAG_SESSION_NUMBER, "SESSION-NUMBER", FRAME_NUM64, 0, ANY64,  NULL },
	{ TAG_NAMES,	      "NAMES",		FRAME_BYTES, 17, FIT,	  wrong_names },
	{ TAG_RESULTS,	      "RESULTS",	FRAME_BYTES, 17, FIT,	  wrong_results },
	{ TAG_UUIDS,	      "UUIDS",		FRAME_BYTES, 16, FIT,	  wrong_uuids },
	{ TAG_MODE,	      "MODE",		FRAME_NUM8,  0, 1,	  NULL },
	{ TAG_RANK,	      "RANK",		FRAME_NUM16, 0, ANY16,  NULL },
	{ TAG_METHOD,	      "METHOD",		FRAME_BYTES, 1, 16,	  wrong_method },
	{ TAG_PATH,	      "PATH",		FRAME_BYTES, 1, 512,	  wrong_path },
	{ TAG_HEADERS,	      "HEADERS",	FRAME_BYTES, 0, FIT,	  wrong_headers },
	{ TAG_BODY_LENGTH,    "BODY-LENGTH",	FRAME_NUM32, 0, ANY32,  NULL },
	{ TAG_DEADLINE,	      "DEADLINE",	FRAME_NUM32, 0, ANY32,  NULL },
	{ TAG_BODY,	      "BODY",		FRAME_BYTES, 1, FIT,	  NULL },
	{ TAG_STATUS,	      "STATUS",		FRAME_NUM16, 200, 599,  NULL },
	{ TAG_CODE,	      "CODE",		FRAME_NUM32, 0, ANY32,  NULL },
	{ TAG_TEXT,	      "TEXT",		FRAME_BYTES, 0, 256,	  wrong_text },
	{ TAG_CREDIT,	      "CREDIT",		FRAME_NUM32, 1, 0x7fffffff, NULL },
	{ TAG_REASON,	      "REASON",		FRAME_NUM8,  1, ANY8,	  NULL },
	{ TAG_EXTEND,	      "EXTEND",		FRAME_NUM32, 0, ANY32,  NULL },
	{ TAG_LAST_STREAM,    "LAST-STREAM",	FRAME_NUM32, 0, 0x7fffffff, NULL },
	{ TAG_RECONNECT_MIN,  "RECONNECT-MIN",	FRAME_NUM32, 0, ANY32,  NULL },
	{ TAG_RECONNECT_MAX,  "RECONNECT-MAX",	FRAME_NUM32, 0, ANY32,  NULL },
	{ TAG_URL,	      "URL",		FRAME_BYTES, 1, 512,	  wrong_text },
	{ TAG_SLOT,	      "SLOT",		FRAME_NUM16, 1, ANY16,  NULL },
};

#define MUST(tag, field) { tag, false, offsetof(struct frame, field) }
#define MAY(tag, field)	 { tag, true, offsetof(struct frame, field) }

static const struct frame_field challenge_fields[] = {
	MUST(TAG_NONCE,		challenge.nonce),
	MUST(TAG_RELAY_NAME,	challenge.relay_name),
	MUST(TAG_MINOR,		challenge.minor),
	MUST(TAG_TIME,		challenge.time_ms),
	MUST(TAG_MAX_MESSAGE,	challenge.max_message),
	MUST(TAG_MAX_STREAMS,	challenge.max_streams),
	MUST(TAG_MAX_CLAIMS,	challenge.max_claims),
	MAY(TAG_TENANT_CLAIMS,	challenge.tenant_claims),
	MAY(TAG_TENANT_TUNNELS, challenge.tenant_tunnels),
	MAY(TAG_REQUEST_RATE,	challenge.request_rate),
	MUST(TAG_BINDING,	challenge.binding),
};

static const struct frame_field hello_fields[] = {
	MUST(TAG_MAX_STREAMS,  hello.max_streams),
	MUST(TAG_KEY,	       hello.key),
	MUST(TAG_SIGNATURE,    hello.signature),
	MUST(TAG_SOFTWARE,     hello.software),
	MUST(TAG_BOOT_ID,      hello.boot_id),
	MUST(TAG_CAPABILITIES, hello.capabilities),
	MAY(TAG_SLOT,	       hello.slot),
};

static const struct frame_field welcome_fields[] = {
	MUST(TAG_MINOR,		 welcome.minor),
	MUST(TAG_TENANT,	 welcome.tenant),
	MUST(TAG_PING_INTERVAL,	 welcome.ping_ms),
	MUST(TAG_SESSION_NUMBER, welcome.session_number),
};

static const struct frame_field claim_fields[] = {
	MUST(TAG_CAPABILITIES, claim.capabilities),
	MUST(TAG_NAMES,	       claim.names),
	MUST(TAG_MODE,	       claim.mode),
	MAY(TAG_RANK,	       claim.rank),
};

static const struct frame_field claimed_fields[] = {
	MUST(TAG_RESULTS, claimed.results),
};

static const struct frame_field unclaim_fields[] = {
	MUST(TAG_UUIDS, unclaim.uuids),
};

static const struct frame_field request_fields[] = {
	MUST(TAG_METHOD,      request.method),
	MUST(TAG_PATH,	      request.path),
	MUST(TAG_HEADERS,     request.headers),
	MUST(TAG_BODY_LENGTH, request.body_length),
	MUST(TAG_DEADLINE,    request.deadline_ms),
	MAY(TAG_BODY,	      request.body),
};

static const struct frame_field response_fields[] = {
	MUST(TAG_HEADERS,     response.headers),
	MUST(TAG_BODY_LENGTH, response.body_length),
	MAY(TAG_BODY,	      response.body),
	MUST(TAG_STATUS,      response.status),
};

static const struct frame_field reset_fields[] = {
	MUST(TAG_CODE, reset.code),
	MAY(TAG_TEXT,  reset.text),
};

static const struct frame_field window_fields[] = {
	MUST(TAG_CREDIT, credit),
};

static const struct frame_field pending_fields[] = {
	MUST(TAG_REASON, pending.reason),
	MUST(TAG_EXTEND, pending.extend_ms),
};

static const struct frame_field goaway_fields[] = {
	MUST(TAG_CODE,		goaway.code),
	MUST(TAG_LAST_STREAM,	goaway.last_stream),
	MUST(TAG_RECONNECT_MIN, goaway.reconnect_min_ms),
	MUST(TAG_RECONNECT_MAX, goaway.reconnect_max_ms),
	MAY(TAG_URL,		goaway.url),
};

static const struct frame_field notice_fields[] = {
	MUST(TAG_CODE, notice.code),
	MUST(TAG_TEXT, notice.text),
};

#define TLVS(fields) fields, sizeof(fields) / sizeof(fields[0])

static const struct frame_layout layouts[] = {
	[FRAME_CHALLENGE] = { "CHALLENGE", TLVS(challenge_fields), FRAME_ON_ZERO },
	[FRAME_HELLO]	  = { "HELLO",	   TLVS(hello_fields),	   FRAME_ON_ZERO },
	[FRAME_WELCOME]	  = { "WELCOME",   TLVS(welcome_fields),   FRAME_ON_ZERO },
	[FRAME_CLAIM]	  = { "CLAIM",	   TLVS(claim_fields),	   FRAME_ON_STREAM },
	[FRAME_CLAIMED]	  = { "CLAIMED",   TLVS(claimed_fields),   FRAME_ON_STREAM },
	[FRAME_UNCLAIM]	  = { "UNCLAIM",   TLVS(unclaim_fields),   FRAME_ON_ZERO },
	[FRAME_REQUEST]	  = { "REQUEST",   TLVS(request_fields),   FRAME_ON_STREAM,
		.may_end = true, .one_stream = true },
	[FRAME_RESPONSE]  = { "RESPONSE",  TLVS(response_fields),  FRAME_ON_STREAM,
		.may_end = true, .one_stream = true },
	[FRAME_DATA]	  = { "DATA",	   NULL, 0,		   FRAME_ON_STREAM,
		.may_end = true, .raw_min = 1, .raw_max = FRAME_DATA_MAX },
	[FRAME_RESET]	  = { "RESET",	   TLVS(reset_fields),	   FRAME_ON_STREAM },
	[FRAME_WINDOW]	  = { "WINDOW",	   TLVS(window_fields),	   FRAME_ON_ANY },
	[FRAME_PENDING]	  = { "PENDING",   TLVS(pending_fields),   FRAME_ON_STREAM },
	[FRAME_PING]	  = { "PING",	   NULL, 0,		   FRAME_ON_ZERO,
		.raw_min = FRAME_PING_LEN, .raw_max = FRAME_PING_LEN },
	[FRAME_PONG]	  = { "PONG",	   NULL, 0,		   FRAME_ON_ZERO,
		.raw_min = FRAME_PING_LEN, .raw_max = FRAME_PING_LEN },
	[FRAME_GOAWAY]	  = { "GOAWAY",	   TLVS(goaway_fields),	   FRAME_ON_ZERO },
	[FRAME_NOTICE]	  = { "NOTICE",	   TLVS(notice_fields),	   FRAME_ON_ZERO },
};

/* clang-format on */

const struct frame_layout *
frame_table_layout(uint8_t type)
{
	if (type >= sizeof(layouts) / sizeof(layouts[0]) ||
	    layouts[type].name == NULL)
		return NULL;
	return &layouts[type];
}

const struct frame_tag *
frame_table_tag(uint16_t number)
{
	size_t low = 0, high = sizeof(tags) / sizeof(tags[0]);

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (tags[mid].number == number)
			return &tags[mid];
		if (tags[mid].number < number)
			low = mid + 1;
		else
			high = mid;
	}
	return NULL;
}

static const size_t widths[] = {
	[FRAME_NUM8] = 1,
	[FRAME_NUM16] = 2,
	[FRAME_NUM32] = 4,
	[FRAME_NUM64] = 8,
};

size_t
frame_table_width(enum frame_kind kind)
{
	return widths[kind];
}

int
frame_table_number(
    const char *frame, const struct frame_tag *tag, uint64_t v, struct err *err)
{
	if (v >= tag->min && v <= tag->max)
		return 0;
	return err_set(err, ERR_MALFORMED,
	    "%s: %s %llu, want %llu to %llu (12.2)", frame, tag->name,
	    (unsigned long long)v, (unsigned long long)tag->min,
	    (unsigned long long)tag->max);
}

int
frame_table_bytes(const char *frame, const struct frame_tag *tag, struct span v,
    struct err *err)
{
	const char *wrong;

	if (v.len < tag->min || v.len > tag->max)
		return err_set(err, ERR_MALFORMED,
		    "%s: %s of %zu bytes, want %llu to %llu (12.2)", frame,
		    tag->name, v.len, (unsigned long long)tag->min,
		    (unsigned long long)tag->max);
	wrong = tag->wrong == NULL ? NULL : tag->wrong(v);
	if (wrong != NULL)
		return err_set(err, ERR_MALFORMED, "%s: %s %s (12.2)", frame,
		    tag->name, wrong);
	return 0;
}
