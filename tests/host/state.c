#include "tests/host/state.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "common/hex.h"
#include "tests/host/file.h"

/* The guest's context, field by field. */
static const struct field {
	const char *name;
	size_t at, len;
} fields[] = {
	{ "tek", offsetof(struct psp_guest_state, tek), PSP_KEY_LEN },
	{ "tik", offsetof(struct psp_guest_state, tik), PSP_KEY_LEN },
	{ "digest", offsetof(struct psp_guest_state, digest), 32 },
	{ "measure", offsetof(struct psp_guest_state, measure), 32 },
	{ "mnonce", offsetof(struct psp_guest_state, mnonce), 16 },
};

#define FIELDS (sizeof(fields) / sizeof(fields[0]))

static int
add_word(struct state *s, const char *word, struct err *err)
{
	/* getopt wants a NULL behind the last word. */
	char **more = realloc(s->argv, ((size_t)s->argc + 2) * sizeof(*more));

	if (more == NULL)
		return err_set(err, ERR_MEMORY, "no memory");
	s->argv = more;
	s->argv[s->argc] = strdup(word);
	if (s->argv[s->argc] == NULL)
		return err_set(err, ERR_MEMORY, "no memory");
	s->argv[++s->argc] = NULL;
	return 0;
}

int
state_words(struct state *s, int argc, char **argv, struct err *err)
{
	for (int i = 0; i < argc; i++)
		if (add_word(s, argv[i], err) != 0)
			return -1;
	return 0;
}

static int
read_text(
    struct secret *out, const json_t *object, const char *name, struct err *err)
{
	const json_t *v = json_object_get(object, name);

	if (!json_is_string(v))
		return err_set(err, ERR_MALFORMED, "state without %s", name);
	return secret_copy(
	    out, span_of(json_string_value(v), json_string_length(v)), err);
}

static int
read_guest(struct psp_guest_state *out, const json_t *object, struct err *err)
{
	const json_t *policy = json_object_get(object, "policy");

	if (!json_is_integer(policy))
		return err_set(err, ERR_MALFORMED, "state without policy");
	out->phase = PSP_GUEST_LSECRET;
	out->policy = (uint32_t)json_integer_value(policy);
	for (size_t i = 0; i < FIELDS; i++) {
		const char *hex =
		    json_string_value(json_object_get(object, fields[i].name));

		if (hex_decode((uint8_t *)out + fields[i].at, fields[i].len,
			span_str(hex == NULL ? "" : hex), err) != 0)
			return err_wrap(err, "%s", fields[i].name);
	}
	return 0;
}

int
state_load(struct state *s, const char *path, struct err *err)
{
	json_error_t why;
	json_t *root = json_load_file(path, 0, &why), *word;
	const json_t *launch = json_object_get(root, "launch");
	size_t i;
	int rc = -1;

	memset(s, 0, sizeof(*s));
	if (root == NULL) {
		err_set(err, ERR_MALFORMED, "%s", why.text);
		goto out;
	}
	json_array_foreach(json_object_get(root, "argv"), i, word)
	{
		if (add_word(s,
			json_is_string(word) ? json_string_value(word) : "",
			err) != 0)
			goto out;
	}
	if (s->argc == 0) {
		err_set(err, ERR_MALFORMED, "state without argv");
		goto out;
	}
	if (read_text(&s->request, launch, "request", err) != 0 ||
	    read_text(&s->answer, launch, "answer", err) != 0 ||
	    read_guest(&s->guest, json_object_get(root, "guest"), err) != 0)
		goto out;
	rc = 0;
out:
	json_decref(root);
	if (rc != 0) {
		err_wrap(err, "%s", path);
		state_free(s);
	}
	return rc;
}

static json_t *
text_json(const struct secret *s)
{
	return json_stringn((const char *)s->ptr, s->len);
}

int
state_text(struct secret *out, const struct state *s, struct err *err)
{
	json_t *words = json_array(), *guest = json_object(), *root;
	char hex[2 * 32 + 1];
	size_t len;
	int rc = -1;

	for (int i = 0; i < s->argc; i++)
		(void)json_array_append_new(words, json_string(s->argv[i]));
	(void)json_object_set_new(
	    guest, "policy", json_integer(s->guest.policy));
	for (size_t i = 0; i < FIELDS; i++)
		(void)json_object_set_new(guest, fields[i].name,
		    json_string(hex_encode(hex, sizeof(hex),
			span_of((const uint8_t *)&s->guest + fields[i].at,
			    fields[i].len))));
	root = json_pack("{s:o, s:{s:o, s:o}, s:o}", "argv", words, "launch",
	    "request", text_json(&s->request), "answer", text_json(&s->answer),
	    "guest", guest);
	len = json_dumpb(root, NULL, 0, JSON_INDENT(1));
	if (len == 0) {
		err_set(err, ERR_INTERNAL, "the state was not written");
		goto out;
	}
	if (secret_alloc(out, len, err) != 0)
		goto out;
	(void)json_dumpb(root, (char *)out->ptr, len, JSON_INDENT(1));
	rc = 0;
out:
	secret_wipe(hex, sizeof(hex));
	json_decref(root);
	return rc;
}

void
state_free(struct state *s)
{
	for (int i = 0; i < s->argc; i++)
		free(s->argv[i]);
	free(s->argv);
	secret_free(&s->request);
	secret_free(&s->answer);
	secret_wipe(&s->guest, sizeof(s->guest));
	memset(s, 0, sizeof(*s));
}
