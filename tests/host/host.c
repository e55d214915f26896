#include "tests/host/host.h"

#include <stdio.h>
#include <string.h>

#include "common/hex.h"
#include "tests/host/file.h"
#include "tests/host/report.h"

#define URL_CAP 1024

enum outcome
host_open(
    struct host *h, struct machine *m, const struct options *o, struct err *err)
{
	memset(h, 0, sizeof(*h));
	h->o = o;
	h->m = m;
	h->psp = machine_psp(m, err);
	if (h->psp == NULL || http_new(&h->http, o, err) != 0) {
		host_close(h);
		return HOST_USAGE;
	}
	return HOST_OK;
}

void
host_close(struct host *h)
{
	http_free(h->http);
	psp_free(h->psp);
	http_answer_free(&h->answer);
	h->http = NULL;
	h->psp = NULL;
}

/* Send ${body}; a 200 leaves its text in h->answer. */
static enum outcome
ask(struct host *h, const char *uuid, const char *what, struct span body,
    struct err *err)
{
	unsigned long before = h->tally.retries;
	char url[URL_CAP];
	enum outcome rc;

	if (messages_url(url, sizeof(url), h->o, uuid, what, err) != 0)
		return HOST_USAGE;
	rc = post_until(&h->answer, &h->tally, h->http, url, body, h->o, err);
	if (h->tally.retries > before)
		report(h->o, "host", "sent again %lu times",
		    h->tally.retries - before);
	if (rc != HOST_OK)
		err_wrap(err, "/%s", what);
	return rc;
}

enum outcome
host_ask_launch(struct launch_answer *out, struct host *h, const char *uuid,
    struct secret *request, struct err *err)
{
	static const char *const cek[] = { "not signed by AMD, as QEMU has it",
		"signed", "signed", "signed" };
	json_t *body = messages_launch(h->m, h->o, err);
	struct secret text = { 0 };
	enum outcome rc = HOST_USAGE;

	if (body == NULL || messages_text(&text, body, err) != 0)
		goto out;
	report(h->o, "host",
	    "POST %s/vm/%s/launch: %zu bytes of JSON; PDH, chain (CEK %s), "
	    "chip id",
	    h->o->service, uuid, text.len, cek[h->o->chain]);
	rc = ask(h, uuid, "launch", secret_span(&text), err);
	if (rc != HOST_OK)
		goto out;
	if (answers_launch(out, secret_span(&h->answer.body), err) != 0) {
		rc = HOST_WRONG;
		goto out;
	}
	report(h->o, "owner",
	    "200: session of %zu bytes, owner's certificate of %zu, policy "
	    "0x%x%s%s",
	    out->session_len, out->owner_cert_len, out->policy,
	    out->session_id[0] == '\0' ? "" : ", session ", out->session_id);
	if (request != NULL) {
		*request = text;
		memset(&text, 0, sizeof(text));
	}
out:
	json_decref(body);
	secret_free(&text);
	return rc;
}

static int
save_request(const struct options *o, struct span text, struct err *err)
{
	return o->request_out == NULL ? 0
				      : file_write(o->request_out, text, err);
}

enum outcome
host_ask_validate(struct validate_answer *out, struct host *h, const char *uuid,
    const struct launch_answer *session, struct span measurement,
    struct err *err)
{
	json_t *body = messages_validate(h->m, h->o, session, measurement, err);
	struct secret text = { 0 };
	enum outcome rc = HOST_USAGE;

	memset(out, 0, sizeof(*out));
	if (body == NULL || messages_text(&text, body, err) != 0 ||
	    save_request(h->o, secret_span(&text), err) != 0)
		goto out;
	report(h->o, "host",
	    "POST %s/vm/%s/validate: %zu bytes of JSON; measurement, API %u.%u "
	    "build %u%s",
	    h->o->service, uuid, text.len, h->m->reported.major,
	    h->m->reported.minor, h->m->reported.build,
	    json_object_get(body, "session-id") == NULL ? "; no session named"
							: "");
	rc = ask(h, uuid, "validate", secret_span(&text), err);
	if (rc != HOST_OK)
		goto out;
	if (answers_validate(out, secret_span(&h->answer.body), err) != 0) {
		rc = HOST_WRONG;
		goto out;
	}
	if (out->inject)
		report(h->o, "owner",
		    "200: secret packet, header of %zu bytes, payload of %zu",
		    out->header_len, out->payload.len);
	else
		report(h->o, "owner", "200: no secret is registered");
out:
	json_decref(body);
	secret_free(&text);
	return rc;
}

static void
introduce(const struct host *h)
{
	const struct psp_platform *p = &h->m->platform;
	char chip[17];

	hex_encode(chip, sizeof(chip), span_of(p->chip_id, 8));
	report(h->o, "host",
	    "platform %s: chip %s..., firmware API %u.%u build %u",
	    h->o->platform, chip, p->api.major, p->api.minor, p->api.build);
}

enum outcome
host_launch(
    struct secret *secret, struct host *h, const char *uuid, struct err *err)
{
	struct validate_answer packet = { 0 };
	struct launch_answer session;
	struct guest guest = { 0 };
	enum psp_status status;
	enum outcome rc;

	introduce(h);
	rc = host_ask_launch(&session, h, uuid, NULL, err);
	if (rc == HOST_OK)
		rc = guest_start(&guest, h->psp, h->m, &session, h->o, err);
	if (rc == HOST_OK)
		rc = host_ask_validate(&packet, h, uuid, &session,
		    span_of(guest.measurement, sizeof(guest.measurement)), err);
	if (rc == HOST_OK && packet.inject)
		rc = guest_inject(
		    secret, &status, &guest, h->m, &packet, h->o, err);
	if (rc == HOST_OK) {
		(void)psp_launch_finish(h->psp, guest.handle);
		report(h->o, "psp", "LAUNCH_FINISH: the guest runs");
	}
	guest_end(&guest);
	answers_free(&packet);
	return rc;
}

/* ${packet} is for another guest: only the firmware's error 11 is right. */
static enum outcome
must_not_open(struct guest *guest, struct host *h, const char *uuid,
    const struct validate_answer *packet, struct err *err)
{
	struct secret stolen = { 0 };
	enum psp_status status;
	enum outcome rc =
	    guest_inject(&stolen, &status, guest, h->m, packet, h->o, err);

	secret_free(&stolen);
	if (rc == HOST_PSP && status == PSP_BAD_MEASUREMENT) {
		report_refused(h->o, uuid, status);
		return HOST_OK;
	}
	err_set(err, ERR_UNTRUSTED,
	    "a packet for another guest gave firmware error %d, want 11",
	    (int)status);
	return HOST_WRONG;
}

static enum outcome
must_open(struct guest *guest, struct host *h, const char *uuid,
    const struct validate_answer *packet, const struct secret *expect,
    struct err *err)
{
	struct secret secret = { 0 };
	enum psp_status status;
	enum outcome rc =
	    guest_inject(&secret, &status, guest, h->m, packet, h->o, err);

	if (rc == HOST_OK && expect->ptr != NULL &&
	    !secret_equal(secret_span(&secret), secret_span(expect))) {
		err_set(err, ERR_UNTRUSTED, "the secret is another one");
		rc = HOST_WRONG;
	}
	if (rc == HOST_OK)
		report_secret(h->o, uuid, secret_span(&secret));
	secret_free(&secret);
	return rc;
}

enum outcome
host_cross(struct host *h, const char *uuid, const struct secret *expect,
    struct err *err)
{
	struct validate_answer packet[2] = { 0 };
	struct launch_answer session[2];
	struct guest guest[2] = { 0 };
	enum outcome rc = HOST_OK;

	introduce(h);
	for (int i = 0; i < 2 && rc == HOST_OK; i++)
		rc = host_ask_launch(&session[i], h, uuid, NULL, err);
	for (int i = 0; i < 2 && rc == HOST_OK; i++)
		rc = guest_start(
		    &guest[i], h->psp, h->m, &session[i], h->o, err);
	/* The later start asks first. */
	for (int i = 1; i >= 0 && rc == HOST_OK; i--)
		rc = host_ask_validate(&packet[i], h, uuid, &session[i],
		    span_of(guest[i].measurement, PSP_MEASUREMENT_LEN), err);
	for (int i = 0; i < 2 && rc == HOST_OK; i++) {
		rc = must_not_open(&guest[i], h, uuid, &packet[1 - i], err);
		if (rc == HOST_OK)
			rc = must_open(
			    &guest[i], h, uuid, &packet[i], expect, err);
	}
	for (int i = 0; i < 2; i++) {
		guest_end(&guest[i]);
		answers_free(&packet[i]);
	}
	return rc;
}
