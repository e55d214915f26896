#include "launch/domain_xml.h"

#include "tests/unit/common/exact.h"

#include <stdio.h>

#define UUID_TEXT "57f669c2-c427-4132-bc7a-26f56b6a718c"
#define OTHER_TEXT "6f0c1c5e-8e5b-4c5d-9a64-0a7a3b1c2d3e"
#define NS "xmlns:attest='urn:attest-relay:service:1'"
#define NAMED(more) "<domain><name>web1</name>" more "</domain>"

static int
look(struct domain_look *out, const char *text, struct err *err)
{
	uint8_t *copy = exact(span_str(text));
	struct domain_xml *x = NULL;
	int rc = domain_xml_read(&x, span_of(copy, strlen(text)), err);

	free(copy);
	if (rc == 0)
		rc = domain_xml_look(out, x, err);
	domain_xml_free(x);
	return rc;
}

static void
documents_that_cannot_be(void **state)
{
	static const struct {
		const char *text, *says;
	} bad[] = {
		{ "", "line" },
		{ "<domain>", "line 1" },
		{ "<domain/><domain/>", "line 1" },
		{ "<network/>", "no <domain>" },
		{ "<d:domain xmlns:d='urn:x'/>", "no <domain>" },
		{ "<!DOCTYPE domain><domain/>", "document type" },
		{ "<!DOCTYPE d [<!ENTITY e 'x'>]>" NAMED("&e;"),
		    "document type" },
		{ NAMED("&e;"), "line 1" },
		/* UTF-8 it is, whatever the text declares. */
		{ "<?xml version='1.0' encoding='UTF-7'?>"
		  "+ADwAIQ-DOCTYPE d [+ADwAIQ-ENTITY e 'x'>]>" NAMED("&e;"),
		    "line 1" },
		{ "<?xml version='1.0' encoding='UTF-16'?>\xff\xfe<", "line" },
		{ NAMED("\xff"), "line 1" },
		{ NAMED("<metadata><x:y xmlns:x='urn:&lt;'/></metadata>"),
		    "name of a namespace" },
		{ NAMED("<metadata/><x xmlns='urn:&amp;'/>"),
		    "name of a namespace" },
		{ "<domain/>", "<name> is missing" },
		{ "<domain><name/></domain>", "<name> is empty" },
		{ "<domain><name> </name></domain>", "<name> is empty" },
		{ NAMED("<name>x</name>"), "<name> is there twice" },
		{ NAMED("<uuid>x</uuid>"), "uuid" },
		{ NAMED("<uuid>" UUID_TEXT "0</uuid>"), "uuid" },
		{ NAMED("<uuid>" UUID_TEXT "</uuid><uuid/>"), "twice" },
		{ NAMED("<launchSecurity type='sev-snp'/>"), "sev-snp" },
		{ NAMED("<launchSecurity/>"), "type=''" },
		{ NAMED("<launchSecurity type='sev'/><launchSecurity "
			"type='sev'/>"),
		    "twice" },
		{ NAMED("<launchSecurity type='sev'><policy>-1</policy>"
			"</launchSecurity>"),
		    "<policy>" },
		{ NAMED("<launchSecurity type='sev'><policy>0x100000000"
			"</policy></launchSecurity>"),
		    "<policy>" },
		{ NAMED("<launchSecurity type='sev'><policy>1 2</policy>"
			"</launchSecurity>"),
		    "<policy>" },
		{ NAMED("<launchSecurity type='sev'><policy>g</policy>"
			"</launchSecurity>"),
		    "<policy>" },
		{ NAMED("<launchSecurity type='sev'><policy/>"
			"</launchSecurity>"),
		    "<policy>" },
		{ NAMED("<metadata><attest:service " NS " uuid='x'/>"
			"</metadata>"),
		    "<metadata><service>" },
		{ NAMED("<metadata><attest:service " NS "/><attest:service " NS
			"/></metadata>"),
		    "twice" },
		{ NAMED("<metadata/><metadata/>"),
		    "<metadata> is there twice" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(bad); i++) {
		struct domain_look out;
		struct err err = { 0 };

		if (look(&out, bad[i].text, &err) == 0)
			fail_msg("%s: taken", bad[i].text);
		assert_says(bad[i].text, err.msg, bad[i].says);
	}
}

static void
too_long(void **state)
{
	size_t len = DOMAIN_XML_MAX + 1, url = DOMAIN_URL_MAX + 1;
	char *text = calloc(1, len + 1), *long_url = calloc(1, url + 1);
	char service[DOMAIN_URL_MAX + 200];
	struct domain_look out;
	struct err err = { 0 };

	(void)state;
	memset(text, ' ', len);
	assert_int_equal(look(&out, text, &err), -1);
	assert_says("1 MiB", err.msg, "at most 1048576");
	memset(long_url, 'x', url);
	(void)snprintf(service, sizeof(service),
	    NAMED("<metadata><attest:service " NS " url='%s'/></metadata>"),
	    long_url);
	assert_int_equal(look(&out, service, &err), -1);
	assert_says("url", err.msg, "513 characters, at most 512");
	free(text);
	free(long_url);
}

static void
what_it_says(void **state)
{
	struct domain_look out;
	struct uuid want, other;

	(void)state;
	assert_int_equal(uuid_parse(&want, span_str(UUID_TEXT), NULL), 0);
	assert_int_equal(uuid_parse(&other, span_str(OTHER_TEXT), NULL), 0);
	assert_int_equal(look(&out, NAMED(""), NULL), 0);
	assert_string_equal(out.name, "web1");
	assert_false(out.has_uuid);
	assert_false(out.has_policy);
	assert_string_equal(out.service, "");
	/* As libvirt has it; a guest is looked for by its name. */
	assert_int_equal(
	    look(&out, "<domain><name> a b\t</name></domain>", NULL), 0);
	assert_string_equal(out.name, " a b\t");

	assert_int_equal(look(&out,
			     NAMED("<uuid>\n " UUID_TEXT "\n</uuid>"
				   "<launchSecurity type='sev'><policy> 0x5 "
				   "</policy></launchSecurity>"),
			     NULL),
	    0);
	assert_true(out.has_uuid && uuid_equal(&out.uuid, &want));
	assert_true(out.has_policy);
	assert_int_equal(out.policy, 5);
	/* Hexadecimal without 0x, too, as libvirt takes it. */
	assert_int_equal(look(&out,
			     NAMED("<launchSecurity type='sev'><policy>13"
				   "</policy></launchSecurity>"),
			     NULL),
	    0);
	assert_int_equal(out.policy, 0x13);

	/* The service's UUID goes over the domain's; other namespaces are
	 * none of ours. */
	assert_int_equal(
	    look(&out,
		NAMED("<uuid>" UUID_TEXT "</uuid><metadata>"
		      "<x:service xmlns:x='urn:x' url='https://x/'/>"
		      "<attest:service " NS
		      " url=' https://a/sev ' uuid='" OTHER_TEXT
		      "'/></metadata>"),
		NULL),
	    0);
	assert_true(uuid_equal(&out.uuid, &other));
	assert_string_equal(out.service, "https://a/sev");
}

/* How often ${what} stands in ${text}. */
static int
times(const char *text, const char *what)
{
	int n = 0;

	for (; (text = strstr(text, what)) != NULL; text++)
		n++;
	return n;
}

static void
filled(struct secret *out, const char *text)
{
	static const uint8_t cert[] = "cert", session[] = "session";
	const struct domain_fill fill = { .cbitpos = 51,
		.reduced_phys_bits = 5,
		.policy = 13,
		.kernel_hashes = true,
		.owner_cert = span_of(cert, 4),
		.session = span_of(session, 7),
		.launch_id = OTHER_TEXT };
	struct domain_xml *x = NULL;

	assert_int_equal(domain_xml_read(&x, span_str(text), NULL), 0);
	assert_int_equal(domain_xml_fill(x, &fill, NULL), 0);
	assert_int_equal(domain_xml_write(out, x, NULL), 0);
	domain_xml_free(x);
}

static void
what_is_put_in(void **state)
{
	static const char *const want[] = { "type=\"sev\"",
		"kernelHashes=\"yes\"", "<cbitpos>51</cbitpos>",
		"<reducedPhysBits>5</reducedPhysBits>",
		"<policy>0x000d</policy>", "<dhCert>Y2VydA==</dhCert>",
		"<session>c2Vzc2lvbg==</session>", "id=\"" OTHER_TEXT "\"",
		"<name>a&lt;b</name>" };
	/* Nothing there, and everything twice already. */
	static const char *const from[] = {
		"<domain><name>a&lt;b</name></domain>",
		"<domain><name>a&lt;b</name><metadata>"
		"<a:launch xmlns:a='urn:attest-relay:launch:1' id='1'/>"
		"<a:other xmlns:a='urn:attest-relay:launch:1' id='2'/>"
		"</metadata><launchSecurity type='sev' kernelHashes='no'>"
		"<session>old</session><session>old</session><dhCert>old"
		"</dhCert><cbitpos>47</cbitpos><policy>1</policy>"
		"</launchSecurity></domain>"
	};

	(void)state;
	for (size_t k = 0; k < COUNT(from); k++) {
		struct secret out = { 0 };
		const char *text;

		filled(&out, from[k]);
		text = (const char *)out.ptr;
		for (size_t i = 0; i < COUNT(want); i++)
			if (times(text, want[i]) != 1)
				fail_msg("%s in %s", want[i], text);
		assert_int_equal(times(text, "urn:attest-relay:launch:1"), 1);
		assert_int_equal(times(text, "old"), 0);
		secret_free(&out);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(documents_that_cannot_be),
		cmocka_unit_test(too_long),
		cmocka_unit_test(what_it_says),
		cmocka_unit_test(what_is_put_in),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
