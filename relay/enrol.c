#include "relay/enrol.h"

#include "common/base64.h"
#include "relay/tenant.h"

#include <jansson.h>
#include <string.h>

static const char *
member(const json_t *object, const char *name, size_t max)
{
	const json_t *value = json_object_get(object, name);

	return json_is_string(value) && json_string_length(value) > 0 &&
		json_string_length(value) <= max
	    ? json_string_value(value)
	    : NULL;
}

static int
read_members(struct enrol_request *out, const json_t *object, struct err *err)
{
	const char *token = member(object, "token", ENROL_TOKEN_MAX);
	const char *key = member(object, "key", TENANT_KEY_TEXT_LEN);
	const char *signature = member(object, "signature", 128);
	const json_t *binding = json_object_get(object, "binding");
	size_t len;

	if (token == NULL || key == NULL || signature == NULL)
		return err_set(err, ERR_MALFORMED,
		    "want the strings token, key and signature");
	if (!json_is_integer(binding) || json_integer_value(binding) < 0 ||
	    json_integer_value(binding) > 1)
		return err_set(err, ERR_MALFORMED, "binding: want 0 or 1");
	out->binding = (uint8_t)json_integer_value(binding);
	memcpy(out->token, token, strlen(token) + 1);
	if (tenant_key_parse(out->key, key, err) != 0)
		return -1;
	if (base64_decode(out->signature, sizeof(out->signature), &len,
		span_str(signature), NULL) != 0 ||
	    len != sizeof(out->signature))
		return err_set(err, ERR_MALFORMED,
		    "signature: want the base64 of %d bytes",
		    ENROL_SIGNATURE_LEN);
	return 0;
}

int
enrol_read(struct enrol_request *out, struct span body, struct err *err)
{
	json_t *object;
	int rc;

	memset(out, 0, sizeof(*out));
	if (body.len > ENROL_BODY_MAX)
		return err_set(err, ERR_LIMIT, "body of %zu bytes, at most %d",
		    body.len, ENROL_BODY_MAX);
	object = json_loadb(
	    (const char *)body.ptr, body.len, JSON_REJECT_DUPLICATES, NULL);
	rc = json_is_object(object)
	    ? read_members(out, object, err)
	    : err_set(err, ERR_MALFORMED, "the body is no JSON object");
	json_decref(object);
	return rc;
}
