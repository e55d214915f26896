#include "tests/unit/agent/form.h"

#include <stdio.h>
#include <string.h>

#include "agent/json.h"

/* Registration from a libvirt domain, and the areas of its firmware. */

#define SEV                                                                    \
	"<launchSecurity type='sev' kernelHashes='yes'>"                       \
	"<policy>27</policy></launchSecurity>"
#define OS                                                                     \
	"<os><loader type='pflash'>@" FW "</loader><nvram>/x</nvram>"          \
	"<kernel>@SOURCES.md</kernel><cmdline> quiet </cmdline></os>"
#define DOMAIN(inside) "<domain><name>web1</name>" inside "</domain>"

/* Everything that a domain can say, where nothing else was said. */
static void
domain(void **state)
{
	static const char xml[] = "<?xml version='1.0'?><!-- x -->" DOMAIN(
	    "<uuid>" SOME_UUID "</uuid><vcpu current='2'>4</vcpu>" OS SEV
	    "<cpu mode='custom'><model> EPYC-Milan-v2\n</model></cpu>"
	    "<devices><interface><model type='virtio'/></interface><disk>"
	    "<target bus='virtio'/><driver iommu='on'/></disk></devices>");
	uint8_t cmdline[SEV_SHA256_LEN];
	struct form f;

	(void)state;
	form_open(&f);
	assert_int_equal(form_option(&f, "any-platform", NULL), 0);
	assert_int_equal(form_option(&f, "no-secret", NULL), 0);
	if (form_read(&f, register_domain, xml, sizeof(xml) - 1) != 0 ||
	    form_finish(&f) != 0)
		fail_msg("%s", f.err.msg);
	assert_string_equal(f.r->name, "web1");
	assert_int_equal(f.r->scheme, SCHEME_SEV_ES);
	/* As libvirt takes it. */
	assert_int_equal(f.r->policy, 0x27);
	assert_int_equal(f.r->cpu_count, 1);
	assert_int_equal(f.r->cpus[0], 2);
	assert_int_equal(f.plan->signature, 0x00a00f11);
	assert_int_equal(f.r->digest_count, 1);
	/* Blanks of a command line are measured. */
	assert_int_equal(
	    sev_hash_table_cmdline(cmdline, span_str(" quiet "), NULL), 0);
	assert_memory_equal(
	    f.r->kernels[0].hashes.cmdline, cmdline, sizeof(cmdline));
	assert_true(form_noted(&f, "warning: <nvram> present"));
	assert_true(form_noted(&f, "<locked/>"));
	assert_true(form_noted(&f, "1 virtio devices"));
	assert_true(form_noted(&f, "the UUID is the domain's"));
	form_close(&f);
}

/* What was said by an option is not the domain's to say. */
static void
options_go_first(void **state)
{
	static const char xml[] =
	    DOMAIN("<uuid>" SOME_UUID "</uuid><vcpu>4</vcpu>"
		   "<os><loader>/nonexistent</loader></os>" SEV);
	struct form f;

	(void)state;
	form_open(&f);
	assert_int_equal(form_option(&f, "name", "other"), 0);
	assert_int_equal(form_option(&f, "new-uuid", NULL), 0);
	assert_int_equal(form_option(&f, "policy", "1"), 0);
	assert_int_equal(form_option(&f, "cpus", "1,2"), 0);
	assert_int_equal(form_option(&f, "firmware", "@" FW), 0);
	assert_int_equal(form_option(&f, "any-platform", NULL), 0);
	assert_int_equal(form_option(&f, "no-secret", NULL), 0);
	if (form_read(&f, register_domain, xml, sizeof(xml) - 1) != 0 ||
	    form_finish(&f) != 0)
		fail_msg("%s", f.err.msg);
	assert_string_equal(f.r->name, "other");
	assert_int_equal(f.r->policy, 1);
	assert_int_equal(f.r->cpu_count, 2);
	assert_string_equal(f.r->label, "other");
	form_close(&f);
}

static void
domains_that_will_not_do(void **state)
{
	static const struct {
		const char *xml;
		const char *says;
	} bad[] = {
		{ "", "want 1 to" },
		{ "x", "not XML" },
		{ "<domain>", "not XML: line 1" },
		{ "<network/>", "not a libvirt <domain>" },
		{ DOMAIN(""), "no <launchSecurity" },
		{ DOMAIN("<launchSecurity type='sev-snp'/>"), "want 'sev'" },
		{ DOMAIN(SEV), "the host chooses the firmware" },
		{ DOMAIN(SEV "<os><loader>/nonexistent</loader></os>"),
		    "give your own copy: --firmware" },
		{ DOMAIN("<os><loader>@" FW "</loader><kernel>@SOURCES.md"
			 "</kernel></os><launchSecurity type='sev'>"
			 "<policy>1</policy></launchSecurity>"),
		    "kernelHashes='yes'" },
		{ DOMAIN(OS "<launchSecurity type='sev' kernelHashes='yes'>"
			    "<policy>bogus</policy></launchSecurity>"),
		    "<policy>" },
		{ DOMAIN(OS SEV "<vcpu>none</vcpu>"), "<vcpu>" },
		{ DOMAIN("<uuid>1</uuid>" OS SEV), "<uuid>" },
		/* Entities: no file is read, and no bomb goes off. */
		{ "<!DOCTYPE domain [<!ENTITY x SYSTEM 'file:///etc/passwd'>]>"
		  "<domain><name>&x;</name></domain>",
		    "document type" },
		{ "<!DOCTYPE d [<!ENTITY a 'aaaa'><!ENTITY b '&a;&a;'>]><d/>",
		    "document type" },
		{ "<domain><name>&bogus;</name></domain>", "not XML" },
		{ "<domain a='1' a='2'/>", "not XML" },
	};
	static const char utf16[] = "\xff\xfe<\0!\0D\0";
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		form_refuses(register_domain, bad[i].xml, strlen(bad[i].xml),
		    bad[i].says);
	}
	form_refuses(register_domain, utf16, sizeof(utf16), "NUL");
}

/* Read as libvirt 9.0.0 reads it: a policy is hexadecimal, and an element of
 * another namespace is none of the domain's. */
static void
domains_as_libvirt_reads_them(void **state)
{
	static const struct {
		const char *written;
		uint32_t policy;
	} policies[] = { { "15", 0x15 }, { "010015", 0x10015 }, { "0X5", 5 },
		{ " 0x0007\n", 7 }, { "2f", 0x2f } };
	static const char names[] =
	    "<domain xmlns:x='urn:x'><x:name>no</x:name><name>web1</name>"
	    "<x:os/>" OS SEV "<x:vcpu>9</x:vcpu><vcpu>2</vcpu>"
	    "<cpu><x:model>EPYC</x:model><model>EPYC-Milan</model></cpu>"
	    "</domain>";
	char xml[1024];
	struct form f;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(policies) / sizeof(policies[0]); i++) {
		form_open(&f);
		(void)snprintf(xml, sizeof(xml),
		    DOMAIN(OS "<launchSecurity type='sev' kernelHashes='yes'>"
			      "<policy>%s</policy></launchSecurity>"),
		    policies[i].written);
		if (form_read(&f, register_domain, xml, strlen(xml)) != 0)
			fail_msg("%s", f.err.msg);
		assert_int_equal(f.plan->r->policy, policies[i].policy);
		form_close(&f);
	}
	form_open(&f);
	if (form_read(&f, register_domain, names, sizeof(names) - 1) != 0)
		fail_msg("%s", f.err.msg);
	assert_string_equal(f.plan->r->name, "web1");
	assert_int_equal(f.plan->kernels.count, 1);
	assert_int_equal(f.plan->cpus[0], 2);
	assert_int_equal(f.plan->signature, 0x00a00f11);
	form_close(&f);
}

/* T30: what the plan shows of a stranger's domain, and what an error quotes of
 * it, is printable ASCII on one line; what is measured stays as it was. */
static void
domains_that_draw(void **state)
{
	static const char line[] = "quiet\"\nexpects \xc2\x9b"
				   "2J\xe2\x80\xae";
	char xml[1024];
	struct form f;

	(void)state;
	form_open(&f);
	(void)snprintf(xml, sizeof(xml),
	    DOMAIN("<os><loader type='rom'>@" FW "</loader><kernel>@SOURCES.md"
		   "</kernel><cmdline>%s</cmdline></os>" SEV),
	    line);
	if (form_read(&f, register_domain, xml, strlen(xml)) != 0)
		fail_msg("%s", f.err.msg);
	assert_string_equal(
	    f.plan->cmdlines.part[0].about, "\"quiet\"?expects ?\?2J?\?\?\"");
	assert_string_equal(f.plan->cmdlines.part[0].text, line);
	form_close(&f);
	form_open(&f);
	(void)snprintf(
	    xml, sizeof(xml), DOMAIN("<launchSecurity type='a&#10;&#x9b;'/>"));
	form_says(&f, form_read(&f, register_domain, xml, strlen(xml)),
	    "type='a?\?\?'>: want");
	form_close(&f);
}

/* Depth and size have an end. */
static void
large_domains(void **state)
{
	static const struct {
		const char *each;
		size_t count;
		const char *says;
	} large[] = {
		{ "<a>", 33, "levels" },
		{ "<a/>", 20001, "elements" },
		{ "                ", REGISTER_XML_MAX / 16, "bytes" },
	};
	static char xml[REGISTER_XML_MAX + 1024];
	struct form f;
	size_t i, n;

	(void)state;
	for (i = 0; i < sizeof(large) / sizeof(large[0]); i++) {
		size_t at = (size_t)snprintf(xml, sizeof(xml), "<domain>");

		for (n = 0; n < large[i].count; n++)
			at += (size_t)snprintf(
			    xml + at, sizeof(xml) - at, "%s", large[i].each);
		for (n = 0; i == 0 && n < large[i].count; n++)
			at += (size_t)snprintf(
			    xml + at, sizeof(xml) - at, "</a>");
		at += (size_t)snprintf(xml + at, sizeof(xml) - at, "</domain>");
		form_open(&f);
		form_says(
		    &f, form_read(&f, register_domain, xml, at), large[i].says);
		form_close(&f);
	}
}

/* The image as somebody else might have built it: its area of ${size}. */
static int
read_patched(void *arg, struct secret *out, const char *path, size_t max,
    struct err *err)
{
	static const uint8_t guid[] = { 0x61, 0xb3, 0x2e, 0x4c, 0x9b, 0x7d,
		0xc3, 0x4c, 0x80, 0x81, 0x12, 0x7c, 0x90, 0xd3, 0xd2, 0x94 };
	const uint32_t *size = arg;
	uint8_t *at;
	size_t i;

	if (form_read_file(NULL, out, path, max, err) != 0)
		return -1;
	at = memmem(out->ptr, out->len, guid, sizeof(guid));
	for (i = 0; at != NULL && i < 4; i++)
		at[(int)i - 6] = (uint8_t)(*size >> 8 * i);
	return 0;
}

/* A secret of the whole area, and one byte more; and an area that would have
 * it lie over the kernel's hashes. */
static void
areas(void **state)
{
	static const struct {
		uint32_t size;
		size_t secret;
		bool kernel;
		const char *says; /* NULL: good */
	} cases[] = {
		{ 3072, 3072 - 40, false, NULL },
		{ 3072, 3072 - 39, false, "do not fit" },
		{ 3087, 3072 - 40, false, NULL },
		{ 3087, 3087 - 40, false, "do not fit" },
		{ 56, 8, false, NULL },
		{ 56, 9, false, "do not fit" },
		{ 15, 1, false, "do not fit" },
		{ 4096, 4096 - 40, false, NULL },
		{ 4096, 16, true, "overlap" },
		{ 0xffffffff, 16, false, "over 4 GiB" },
	};
	static const uint8_t bytes[4096];
	struct form f;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint32_t size = cases[i].size;
		struct sev_guid guid = { { 1 } };
		int rc;

		form_open(&f);
		f.plan->read = read_patched;
		f.plan->read_arg = &size;
		assert_int_equal(form_option(&f, "name", "web1"), 0);
		assert_int_equal(form_option(&f, "policy", "1"), 0);
		assert_int_equal(form_option(&f, "any-platform", NULL), 0);
		assert_int_equal(form_option(&f, "firmware", "@" FW), 0);
		if (cases[i].kernel)
			assert_int_equal(
			    form_option(&f, "kernel", "@SOURCES.md"), 0);
		assert_int_equal(register_secret(f.plan, &guid,
				     span_of(bytes, cases[i].secret), &f.err),
		    0);
		rc = form_finish(&f);
		if (cases[i].says != NULL)
			form_says(&f, rc, cases[i].says);
		else if (rc != 0)
			fail_msg("%zu: %s", i, f.err.msg);
		form_close(&f);
	}
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(domain),
	cmocka_unit_test(options_go_first),
	cmocka_unit_test(domains_that_will_not_do),
	cmocka_unit_test(domains_as_libvirt_reads_them),
	cmocka_unit_test(domains_that_draw),
	cmocka_unit_test(large_domains),
	cmocka_unit_test(areas),
};

int
main(void)
{
	json_setup();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
