#include "common/address.h"
#include "relay/setup.h"

#include <stdlib.h>
#include <unistd.h>

#include "tests/unit/relay/check.h"

static char folder[] = "/tmp/attest-relay-config.XXXXXX";
static char path[128];

#define KEY_A "ed25519:AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE="
#define VM "57f669c2-c427-4132-bc7a-26f56b6a718c"
#define HASH "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"

/* Lines 1 to 9; $ is the folder of the certificates. */
#define GOOD                                                                   \
	"name: relay.example\n"                                                \
	"public:\n"                                                            \
	"  listen: [\"127.0.0.1:0\"]\n"                                        \
	"  certificate: $/a.crt\n"                                             \
	"  key: $/a.key\n"                                                     \
	"internal:\n"                                                          \
	"  listen: [\"[::1]:0\", \"127.0.0.1:0\"]\n"                           \
	"  certificate: $/a.crt\n"                                             \
	"  key: $/a.key\n"

#define GOOD_AT(public, internal)                                              \
	"name: relay.example\n"                                                \
	"public:\n"                                                            \
	"  listen: [\"" public "\"]\n"                                         \
			       "  certificate: $/a.crt\n"                      \
			       "  key: $/a.key\n"                              \
			       "internal:\n"                                   \
			       "  listen: [\"" internal "\"]\n"                \
			       "  certificate: $/a.crt\n"                      \
			       "  key: $/a.key\n"

static const struct {
	const char *name;
	const char *text;
	const char *says[3]; /* "LINE:COLUMN: error: ...", all of them */
} bad[] = {
	{ "empty", "", { "relay.yaml:", "error: " } },
	{ "unknown key", GOOD "listne: 1\n",
	    { "relay.yaml:10:1: error: ", "unknown key", "listne" } },
	{ "unknown key in a section", GOOD "limits: {strems: 1}\n",
	    { "relay.yaml:10:10: error: ", "streams" } },
	{ "two at once", GOOD "a: 1\nb: 2\n",
	    { "relay.yaml:10:1: error: ", "relay.yaml:11:1: error: " } },
	{ "out of bounds", GOOD "limits: {streams: 1025}\n",
	    { "relay.yaml:10:19: error: limits.streams" } },
	{ "a word for a number", GOOD "workers: many\n",
	    { "relay.yaml:10:10: error: workers" } },
	{ "an alias", GOOD "user: &a nobody\nbase: *a\n",
	    { "relay.yaml:10:7: error: " } },
	{ "a duplicate key", GOOD "name: other\n",
	    { "relay.yaml:10:1: error: " } },
	{ "no name", "base: /\n", { "name is missing" } },
	{ "base without slash", GOOD "base: sev\n",
	    { "relay.yaml:10:7: error: base", "starts with \"/\"" } },
	{ "base ending in slash", GOOD "base: /sev/\n",
	    { "relay.yaml:10:7: error: base", "does not end with" } },
	{ "base with a query", GOOD "base: /s?v\n",
	    { "relay.yaml:10:7: error: base" } },
	{ "auth by magic", GOOD "hosts: {auth: [magic]}\n",
	    { "relay.yaml:10:16: error: hosts.auth" } },
	{ "mtls without CA", GOOD "hosts: {auth: [mtls]}\n",
	    { "relay.yaml:10:15: error: hosts.auth: mtls needs "
	      "internal.client-ca" } },
	{ "networks without one", GOOD "hosts: {auth: [networks]}\n",
	    { "relay.yaml:10:15: error: hosts.auth: networks needs" } },
	{ "no network",
	    GOOD "hosts:\n  auth: [networks]\n  networks: [10.0.0.0/33]\n",
	    { "hosts.networks[0]", "prefix of 33 bits, want 0 to 32" } },
	{ "bits behind the prefix",
	    GOOD "hosts:\n  auth: [networks]\n  networks: [10.0.0.1/8]\n",
	    { "hosts.networks[0]", "10.0.0.1/8 has bits behind" } },
	{ "agents' mtls without CA", GOOD "agents: {auth: [mtls]}\n",
	    { "agents.auth: mtls needs public.client-ca" } },
	{ "bearer without token", GOOD "hosts: {auth: [bearer]}\n",
	    { "relay.yaml:10:15: error: hosts.auth: bearer needs" } },
	{ "hash too short",
	    GOOD "hosts:\n  tokens:\n    - name: a\n      sha256: 00\n",
	    { "relay.yaml:13:15: error: ", "sha256" } },
	{ "hash of other letters",
	    GOOD "hosts:\n  tokens:\n    - name: a\n      sha256: zz86d081884c"
		 "7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08\n",
	    { "relay.yaml:13:15: error: ", "sha256" } },
	{ "a token twice",
	    GOOD "hosts:\n  tokens:\n    - name: a\n      sha256: " HASH
		 "\n    - name: a\n      sha256: " HASH "\n",
	    { "relay.yaml:14:13: error: ", "token a is listed twice" } },
	{ "a bad key", GOOD "tenants:\n  - name: a\n    keys: [rsa]\n",
	    { "relay.yaml:12:12: error: tenants[0].keys[0]",
		"starts with \"ed25519:\"" } },
	{ "a key of two tenants",
	    GOOD "tenants:\n  - name: a\n    keys: [\"" KEY_A
		 "\"]\n  - name: b\n    keys: [\"" KEY_A "\"]\n",
	    { "relay.yaml:14:12: error: tenants[1].keys[0]",
		"listed already, for tenant a" } },
	{ "a UUID of two tenants",
	    GOOD "tenants:\n  - name: a\n    vms: [" VM
		 "]\n  - name: b\n    vms: [" VM "]\n",
	    { "relay.yaml:14:11: error: tenants[1].vms[0]",
		"listed already, for tenant a" } },
	{ "no UUID", GOOD "tenants:\n  - name: a\n    vms: [web1]\n",
	    { "relay.yaml:12:11: error: tenants[0].vms[0]" } },
	{ "a tenant twice", GOOD "tenants:\n  - name: a\n  - name: a\n",
	    { "relay.yaml:12:11: error: tenants[1].name",
		"tenant a is listed twice" } },
	{ "a tenant with a space", GOOD "tenants:\n  - name: a b\n",
	    { "relay.yaml:11:11: error: " } },
	/* T29: no administration over TCP without certificates. */
	{ "admin.listen alone", GOOD "admin: {listen: [\"127.0.0.1:0\"]}\n",
	    { "relay.yaml:10:17: error: admin.listen: needs "
	      "admin.certificate, admin.key and admin.client-ca" } },
	{ "admin.listen without a CA",
	    GOOD "admin:\n  listen: [\"127.0.0.1:0\"]\n"
		 "  certificate: $/a.crt\n  key: $/a.key\n",
	    { "relay.yaml:11:11: error: admin.listen: needs" } },
	{ "admin.listen without a key",
	    GOOD "admin:\n  listen: [\"127.0.0.1:0\"]\n"
		 "  certificate: $/a.crt\n  client-ca: $/a.crt\n",
	    { "relay.yaml:11:11: error: admin.listen: needs" } },
	{ "admin.listen without a certificate",
	    GOOD "admin:\n  listen: [\"127.0.0.1:0\"]\n"
		 "  key: $/a.key\n  client-ca: $/a.crt\n",
	    { "relay.yaml:11:11: error: admin.listen: needs" } },
	{ "admin.listen with another's key",
	    GOOD "admin:\n  listen: [\"127.0.0.1:0\"]\n"
		 "  certificate: $/a.crt\n  key: $/b.key\n"
		 "  client-ca: $/a.crt\n",
	    { "relay.yaml:13:8: error: admin.key",
		"the key does not belong to the certificate" } },
	{ "admin.listen with a CA that is none",
	    GOOD "admin:\n  listen: [\"127.0.0.1:0\"]\n"
		 "  certificate: $/a.crt\n  key: $/a.key\n"
		 "  client-ca: $/leaf.crt\n",
	    { "relay.yaml:14:14: error: admin.client-ca",
		"has a certificate that is no CA's" } },
	{ "pending under request",
	    GOOD "timeouts: {request: 60s, pending: 30s}\n",
	    { "relay.yaml:10:35: error: timeouts.pending" } },
	{ "a wait over request", GOOD "timeouts: {agent-wait: 61s}\n",
	    { "relay.yaml:10:24: error: timeouts.agent-wait" } },
	{ "a port twice", GOOD_AT("127.0.0.1:9", "0.0.0.0:9"),
	    { "relay.yaml:7:12: error: internal.listen[0]: 0.0.0.0:9 is "
	      "taken by 127.0.0.1:9 above" } },
	{ "a port twice on one side",
	    GOOD_AT("[::1]:9\", \"[::]:9", "1.2.3.4:9"),
	    { "relay.yaml:3:23: error: public.listen[1]: [::]:9 is taken" } },
	{ "all that is wrong with the files",
	    "name: r\npublic:\n  listen: [\"x\"]\n  certificate: a\n"
	    "  key: b\ninternal:\n  listen: [\"127.0.0.1:70000\"]\n"
	    "  certificate: a\n  key: b\n",
	    { "relay.yaml:3:12: error: public.listen",
		"relay.yaml:7:12: error: internal.listen",
		"70000 is no port" } },
};

/* What each of two keys says alone is wrong is told in one go. */
#define MANY                                                                   \
	"name: relay.example\n"                                                \
	"workers: many\n"                                                      \
	"public:\n"                                                            \
	"  listen: [\"127.0.0.1:0\"]\n"                                        \
	"  certificate: /nowhere/a.crt\n"                                      \
	"  key: /nowhere/a.key\n"                                              \
	"internal: {}\n"                                                       \
	"hosts:\n"                                                             \
	"  tokens:\n"                                                          \
	"    - {name: a, sha256: 00}\n"                                        \
	"    - {name: a, sha256: " HASH "}\n"                                  \
	"tenants:\n"                                                           \
	"  - keys: [x]\n"                                                      \
	"  - name: b\n"                                                        \
	"    keys: [x]\n"                                                      \
	"    vms: [" VM ", " VM "]\n"

static const struct {
	const char *from, *to; /* a change of GOOD */
	const char *says;
} bad_files[] = {
	{ "certificate: $/a.crt\n  key: $/a.key\ninternal",
	    "certificate: $/none\n  key: $/a.key\ninternal",
	    "relay.yaml:4:16: error: public.certificate" },
	{ "certificate: $/a.crt\n  key: $/a.key\ninternal",
	    "certificate: $/a.key\n  key: $/a.key\ninternal",
	    "no certificate in PEM form" },
	{ "key: $/a.key\ninternal", "key: $/b.key\ninternal",
	    "relay.yaml:5:8: error: public.key" },
	{ "key: $/a.key\ninternal", "key: $/b.key\ninternal",
	    "the key does not belong to the certificate" },
	{ "key: $/a.key\ninternal", "key: $/a.crt\ninternal",
	    "no unencrypted private key in PEM form" },
	{ "internal:\n", "internal:\n  client-ca: $/a.key\n",
	    "relay.yaml:7:14: error: internal.client-ca" },
	{ "internal:\n", "internal:\n  client-ca: $/leaf.crt\n",
	    "has a certificate that is no CA's" },
};

static void
run_openssl(const char *args)
{
	char command[512];

	snprintf(command, sizeof(command), "cd %s && openssl %s 2>/dev/null",
	    folder, args);
	assert_int_equal(system(command), 0);
}

static int
make_files(void **state)
{
	(void)state;
	if (mkdtemp(folder) == NULL)
		return -1;
	snprintf(path, sizeof(path), "%s/relay.yaml", folder);
	run_openssl("req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 "
		    "-nodes -days 2 -subj /CN=a -keyout a.key -out a.crt");
	run_openssl("genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 "
		    "-out b.key");
	run_openssl("req -x509 -key b.key -days 2 -subj /CN=leaf -addext "
		    "basicConstraints=critical,CA:FALSE -out leaf.crt");
	return 0;
}

static int
remove_files(void **state)
{
	char command[256];

	(void)state;
	snprintf(command, sizeof(command), "rm -r %s", folder);
	return system(command);
}

/* Write ${text} to the file, with the folder for each $. */
static void
write_config(const char *text)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	for (; *text != '\0'; text++) {
		if (*text == '$')
			fputs(folder, f);
		else
			fputc(*text, f);
	}
	fclose(f);
}

static int
load(struct relay_setup **s, struct conf_report *report, const char *text)
{
	*report = (struct conf_report){ 0 };
	write_config(text);
	return setup_load(s, path, report);
}

static void
every_fault_has_its_line_and_column(void **state)
{
	struct conf_report report;
	struct relay_setup *s;

	(void)state;
	for (size_t i = 0; i < COUNT(bad); i++) {
		if (load(&s, &report, bad[i].text) != -1)
			fail_msg("%s: accepted", bad[i].name);
		for (size_t k = 0; k < COUNT(bad[i].says); k++)
			if (bad[i].says[k] != NULL)
				expect_words(
				    bad[i].name, report.text, bad[i].says[k]);
		setup_drop(s);
		conf_report_free(&report);
	}
}

static void
all_faults_are_told_in_one_go(void **state)
{
	static const char *const says[] = {
		":2:10: error: workers:",
		":5:16: error: public.certificate: /nowhere/a.crt: No such",
		":7:11: error: internal.listen is missing",
		":10:25: error: hosts.tokens[0].sha256",
		":11:14: error: hosts.tokens[1].name: token a is listed twice",
		":13:5: error: tenants[0].name is missing",
		":15:12: error: tenants[1].keys[0]",
		":16:49: error: tenants[1].vms[1]",
	};
	struct conf_report report;
	struct relay_setup *s;

	(void)state;
	assert_int_equal(load(&s, &report, MANY), -1);
	for (size_t i = 0; i < COUNT(says); i++)
		expect_words(says[i], report.text, says[i]);
	setup_drop(s);
	conf_report_free(&report);
	/* Nothing at all: only what is missing. */
	assert_int_equal(load(&s, &report, ""), -1);
	expect_words("empty", report.text, ":1:1: error: name is missing");
	setup_drop(s);
	conf_report_free(&report);
	assert_int_equal(load(&s, &report, "name: a\nbase: /a\xff\n"), -1);
	expect_words("UTF-8", report.text, ":2:9: error: byte 16: invalid");
	setup_drop(s);
	conf_report_free(&report);
}

static void
files_are_read_and_matched(void **state)
{
	struct conf_report report;
	struct relay_setup *s;
	char text[2048];

	(void)state;
	for (size_t i = 0; i < COUNT(bad_files); i++) {
		const char *at = strstr(GOOD, bad_files[i].from);

		assert_non_null(at);
		snprintf(text, sizeof(text), "%.*s%s%s", (int)(at - GOOD), GOOD,
		    bad_files[i].to, at + strlen(bad_files[i].from));
		assert_int_equal(load(&s, &report, text), -1);
		expect_words(bad_files[i].to, report.text, bad_files[i].says);
		setup_drop(s);
		conf_report_free(&report);
	}
}

static void
a_good_one_loads_with_its_defaults(void **state)
{
	struct conf_report report;
	struct relay_setup *s;
	struct accounts *accounts;
	struct err err;
	uint8_t key[UUID_KEY_LEN];

	(void)state;
	if (load(&s, &report,
		GOOD "tenants:\n  - name: acme\n    keys: [\"" KEY_A
		     "\"]\n    vms: [" VM "]\n") != 0)
		fail_msg("%s", report.text);
	assert_string_equal(s->config.base, "");
	assert_int_equal(s->config.limits.streams, 32);
	assert_int_equal(s->config.timeouts.agent_wait, 20000);
	assert_true(s->config.channel_binding);
	assert_int_equal(s->config.host_auth, 0);
	assert_int_equal(s->config.tls_min, 1);
	memset(key, 1, sizeof(key));
	assert_int_equal(accounts_new(&accounts, &err), 0);
	assert_int_equal(tenants_bind(s->tenants, accounts, &err), 0);
	assert_ptr_equal(
	    tenants_of_key(s->tenants, key), accounts_get(accounts, 0));
	assert_int_equal(s->config.agent_auth, RELAY_AGENT_KEY);
	assert_in_range(tls_identity_days(s->public), 1, 2);
	setup_drop(s);
	accounts_free(accounts);
	conf_report_free(&report);
}

static void
the_example_has_every_key_and_its_default(void **state)
{
	char *want = conf_example(&relay_config_table, relay_config_head);
	struct conf_report report = { 0 };
	struct relay_config c = { 0 };
	char have[65536];
	size_t len;
	FILE *f = fopen(EXAMPLE, "r");

	(void)state;
	assert_non_null(f);
	assert_non_null(want);
	len = fread(have, 1, sizeof(have) - 1, f);
	have[len] = '\0';
	fclose(f);
	/* attest-relay --example > relay.yaml.example */
	assert_string_equal(have, want);
	if (conf_load(&c, &relay_config_table, EXAMPLE, &report) != 0)
		fail_msg("%s", report.text);
	conf_free(&c, &relay_config_table);
	conf_report_free(&report);
	free(want);
}

static const struct {
	const char *text;
	const char *host; /* NULL: refused */
	uint16_t port;
} listens[] = {
	{ "127.0.0.1:1", "127.0.0.1", 1 },
	{ "0.0.0.0:65535", "0.0.0.0", 65535 },
	{ "[::]:0", "::", 0 },
	{ "[2001:db8::1]:443", "2001:db8::1", 443 },
	{ "", NULL, 0 },
	{ ":1", NULL, 0 },
	{ "1", NULL, 0 },
	{ "127.0.0.1", NULL, 0 },
	{ "127.0.0.1:", NULL, 0 },
	{ "127.0.0.1:+1", NULL, 0 },
	{ "127.0.0.1: 1", NULL, 0 },
	{ "127.0.0.1:1x", NULL, 0 },
	{ "127.0.0.1:65536", NULL, 0 },
	{ "127.0.0.1:99999999999999999999", NULL, 0 },
	{ "localhost:1", NULL, 0 },
	{ "::1:1", NULL, 0 },
	{ "[::1:1", NULL, 0 },
	{ "[]:1", NULL, 0 },
	{ "[127.0.0.1]:1", NULL, 0 },
	{ "[::1]", NULL, 0 },
};

static void
addresses_to_listen_on(void **state)
{
	char host[64];
	uint16_t port;
	struct err err;

	(void)state;
	for (size_t i = 0; i < COUNT(listens); i++) {
		int rc = address_split(
		    host, sizeof(host), &port, listens[i].text, &err);

		if (rc != (listens[i].host != NULL ? 0 : -1))
			fail_msg("%s: %d", listens[i].text, rc);
		if (rc != 0)
			continue;
		assert_string_equal(host, listens[i].host);
		assert_int_equal(port, listens[i].port);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_fault_has_its_line_and_column),
		cmocka_unit_test(all_faults_are_told_in_one_go),
		cmocka_unit_test(files_are_read_and_matched),
		cmocka_unit_test(a_good_one_loads_with_its_defaults),
		cmocka_unit_test(the_example_has_every_key_and_its_default),
		cmocka_unit_test(addresses_to_listen_on),
	};

	return cmocka_run_group_tests(tests, make_files, remove_files);
}
