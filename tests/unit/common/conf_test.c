#include "common/conf.h"

#include "tests/unit/common/exact.h"

#include <stdio.h>
#include <unistd.h>

/*
 * A table with every type.
 */

struct vm_owner {
	char *name;
	struct conf_list keys;
	bool open;
};

struct config {
	char *name;
	char *base;
	bool binding;
	int64_t level;
	uint16_t port;
	uint64_t wait_ms;
	uint64_t body_max;
	int tls;
	unsigned auth;
	struct conf_list listen;
	struct conf_list owners;
};

static int
check_key(const char *text, struct err *err)
{
	if (strncmp(text, "k-", 2) != 0)
		return err_set(err, ERR_USAGE, "'%.20s' is no key", text);
	return 0;
}

static const char *const tls_words[] = { "1.2", "1.3", NULL };
static const char *const auth_words[] = { "mtls", "bearer", "network", NULL };

static const struct conf_key owner_keys[] = {
	{ "name", CONF_STRING, offsetof(struct vm_owner, name), NULL, 1, 8,
	    "Whose.", .example = "acme" },
	{ "keys", CONF_STRINGS, offsetof(struct vm_owner, keys), "", 1, 2,
	    "Keys.", .example = "k-1", .check = check_key },
	{ "open", CONF_BOOL, offsetof(struct vm_owner, open), "no", 0, 0,
	    "Open?" },
};

static const struct conf_table owner_table =
    CONF_TABLE(owner_keys, struct vm_owner);

static const struct conf_key keys[] = {
	{ "name", CONF_STRING, offsetof(struct config, name), NULL, 1, 16,
	    "The name.", .example = "relay.example" },
	{ "base", CONF_PATH, offsetof(struct config, base), "", 0, 0, "A path.",
	    .example = "/sev" },
	{ "public.listen", CONF_STRINGS, offsetof(struct config, listen),
	    "0.0.0.0:8443", 1, 3, "Where to listen." },
	{ "public.port", CONF_PORT, offsetof(struct config, port), "443", 0, 0,
	    "A port." },
	{ "public.tls.min", CONF_ENUM, offsetof(struct config, tls), "1.3", 0,
	    0, "Oldest TLS.", tls_words },
	{ "channel-binding", CONF_BOOL, offsetof(struct config, binding), "on",
	    0, 0, "Bind." },
	{ "level", CONF_INT, offsetof(struct config, level), "-3", -5, 32,
	    "A number." },
	{ "timeouts.wait", CONF_MS, offsetof(struct config, wait_ms), "20s",
	    1000, 300000,
	    "How long to wait for an agent that is away, and "
	    "so long that the words need a second line." },
	{ "limits.body", CONF_SIZE, offsetof(struct config, body_max), "64KiB",
	    1, 1048576, "Largest body." },
	{ "hosts.auth", CONF_FLAGS, offsetof(struct config, auth), "", 0, 0,
	    "Who.", auth_words },
	{ "owners", CONF_MAPS, offsetof(struct config, owners), "", 0, 3,
	    "Owners.", .sub = &owner_table },
};

static const struct conf_table table = CONF_TABLE(keys, struct config);

static int
parse(struct config *c, const char *text, struct conf_report *report)
{
	uint8_t *in = exact(span_str(text));
	int rc;

	memset(c, 0, sizeof(*c));
	memset(report, 0, sizeof(*report));
	rc = conf_parse(c, &table, "t.yaml", span_of(in, strlen(text)), report);
	free(in);
	return rc;
}

static void
reads_every_type(void **state)
{
	struct conf_report report;
	struct vm_owner *owner;
	struct config c;
	char **list;

	(void)state;
	if (parse(&c,
		"name: relay\n"
		"base: \"/\"\n"
		"public:\n"
		"  listen: ['[::1]:1', \"b:2\"]\n"
		"  port: 0\n"
		"  tls: {min: \"1.2\"}\n"
		"channel-binding: off\n"
		"level: 0x10\n"
		"timeouts: {wait: 5m}\n"
		"limits:\n"
		"  body: 1MiB\n"
		"hosts: {auth: [mtls, network]}\n"
		"owners:\n"
		"  - name: acme\n"
		"    keys: [k-1, k-2]\n"
		"    open: yes\n"
		"  - {name: b, keys: [k-3]}\n",
		&report) != 0)
		fail_msg("%s", report.text);
	assert_string_equal(c.name, "relay");
	assert_string_equal(c.base, "/");
	list = c.listen.items;
	assert_int_equal(c.listen.count, 2);
	assert_string_equal(list[0], "[::1]:1");
	assert_int_equal(c.port, 0);
	assert_int_equal(c.tls, 0);
	assert_false(c.binding);
	assert_int_equal(c.level, 16);
	assert_int_equal(c.wait_ms, 300000);
	assert_int_equal(c.body_max, 1048576);
	assert_int_equal(c.auth, 5);
	assert_int_equal(c.owners.count, 2);
	owner = c.owners.items;
	assert_string_equal(owner[0].name, "acme");
	assert_true(owner[0].open && !owner[1].open);
	assert_int_equal(owner[0].keys.count, 2);
	assert_string_equal(((char **)owner[1].keys.items)[0], "k-3");
	conf_free(&c, &table);
	conf_report_free(&report);
}

static void
fills_in_defaults(void **state)
{
	struct conf_report report;
	struct config c;

	(void)state;
	assert_int_equal(parse(&c, "name: x\n", &report), 0);
	assert_string_equal(c.base, "");
	assert_int_equal(c.listen.count, 1);
	assert_string_equal(((char **)c.listen.items)[0], "0.0.0.0:8443");
	assert_int_equal(c.port, 443);
	assert_int_equal(c.tls, 1);
	assert_true(c.binding);
	assert_int_equal(c.level, -3);
	assert_int_equal(c.wait_ms, 20000);
	assert_int_equal(c.body_max, 65536);
	assert_int_equal(c.auth, 0);
	assert_int_equal(c.owners.count, 0);
	conf_free(&c, &table);
	conf_report_free(&report);
}

static const struct {
	const char *name;
	const char *text;
	const char *says;
} bad[] = {
	{ "empty file", "", "t.yaml:1:1: error: name is missing: The name." },
	{ "comment alone", "# x\n", "name is missing" },
	{ "missing", "base: /\n", "t.yaml:1:1: error: name is missing" },
	{ "unknown", "name: x\nnmae: y\n",
	    "t.yaml:2:1: error: unknown key 'nmae'; did you mean 'name'?" },
	{ "unknown section", "name: x\npublik:\n  listen: []\n",
	    "t.yaml:2:1: error: unknown key 'publik'; did you mean 'public'?" },
	{ "unknown in a section", "name: x\npublic:\n  lisen: [a]\n",
	    "3:3: error: unknown key 'public.lisen'; did you mean 'listen'?" },
	{ "unknown in a list", "name: x\nowners:\n  - name: a\n    key: [k]\n",
	    "4:5: error: unknown key 'owners[0].key'; did you mean 'keys'?" },
	{ "unlike all", "name: x\nwibble: y\n",
	    "error: unknown key 'wibble'\n" },
	{ "dotted", "name: x\npublic.port: 1\n",
	    "2:1: error: unknown key 'public.port'" },
	{ "twice", "name: x\nname: y\n",
	    "2:1: error: key 'name' is here "
	    "twice" },
	{ "NUL in a key", "name: x\n\"level\\0s\": 3\n",
	    "2:1: error: NUL in a key" },
	{ "section twice", "name: x\npublic: {port: 1}\npublic: {port: 2}\n",
	    "3:1: error: key 'public' is here twice" },
	{ "list for a value", "name: [x]\n",
	    "1:7: error: name: want one "
	    "value" },
	{ "map for a value", "name: {x: y}\n", "name: want one value" },
	{ "value for a list", "name: x\npublic: {listen: a}\n",
	    "2:18: error: public.listen: want a list" },
	{ "value for a section", "name: x\npublic: 3\n",
	    "2:9: error: public: want a section" },
	{ "list for a section", "name: x\npublic: [3]\n", "want a section" },
	{ "map in a list of text", "name: x\npublic: {listen: [{a: b}]}\n",
	    "public.listen[0]: want text" },
	{ "text in a list of maps", "name: x\nowners: [a]\n",
	    "owners[0]: want a mapping" },
	{ "no value", "name:\n", "1:6: error: name: no value" },
	{ "null", "name: ~\n", "name: no value" },
	{ "empty list value",
	    "name: x\npublic: {listen: [a, ]}\n"
	    "owners: []\nhosts: {auth: [~]}\n",
	    "hosts.auth[0]: no value" },
	{ "too short", "name: \"\"\n", "text of 0 bytes, want 1 to 16" },
	{ "too long", "name: 12345678901234567\n", "text of 17 bytes" },
	{ "NUL", "name: \"a\\0b\"\n", "name: NUL in the value" },
	{ "bool", "name: x\nchannel-binding: maybe\n",
	    "2:18: error: channel-binding: 'maybe', want yes or no" },
	{ "int", "name: x\nlevel: ten\n", "level: 'ten' is no number" },
	{ "int with a tail", "name: x\nlevel: 10x\n", "is no number" },
	{ "int empty", "name: x\nlevel: ''\n", "'' is no number" },
	{ "int over 64 bits", "name: x\nlevel: 99999999999999999999\n",
	    "is no number" },
	{ "int out of bounds", "name: x\nlevel: 33\n",
	    "level: 33, want -5 to 32" },
	{ "int under bounds", "name: x\nlevel: -6\n", "-6, want -5 to 32" },
	{ "port", "name: x\npublic: {port: 65536}\n",
	    "65536, want 0 to 65535" },
	{ "time without a unit", "name: x\ntimeouts: {wait: 20}\n",
	    "'20' is not like 250ms, 20s" },
	{ "time of another unit", "name: x\ntimeouts: {wait: 20w}\n",
	    "'20w' is not like" },
	{ "time too short", "name: x\ntimeouts: {wait: 999ms}\n",
	    "999ms, want 1000 to 300000 ms" },
	{ "time overflow", "name: x\ntimeouts: {wait: 999999999999999999d}\n",
	    "is too large" },
	{ "size in kB", "name: x\nlimits: {body: 64kB}\n",
	    "'64kB' is not like 4096, 64KiB" },
	{ "size too large", "name: x\nlimits: {body: 2MiB}\n",
	    "2MiB, want 1 to 1048576 bytes" },
	{ "enum", "name: x\npublic: {tls: {min: '1.1'}}\n",
	    "public.tls.min: '1.1', want one of 1.2, 1.3" },
	{ "flag", "name: x\nhosts: {auth: [basic]}\n",
	    "'basic', want one of mtls, bearer, network" },
	{ "flag twice", "name: x\nhosts: {auth: [mtls, mtls]}\n",
	    "'mtls' twice" },
	{ "too few", "name: x\npublic: {listen: []}\n",
	    "2:18: error: public.listen: 0 entries, want at least 1" },
	{ "too many", "name: x\npublic: {listen: [a, b, c, d]}\n",
	    "public.listen[3]: more than 3 entries" },
	{ "too many maps",
	    "name: x\nowners: [{name: a}, {name: b}, {name: c},"
	    " {name: d}]\n",
	    "owners[3]: more than 3 entries" },
	{ "check", "name: x\nowners:\n- name: a\n  keys: [k-1, j-2]\n",
	    "4:15: error: owners[0].keys[1]: 'j-2' is no key" },
	{ "missing in a list", "name: x\nowners:\n- keys: [k-1]\n",
	    "3:3: error: owners[0].name is missing: Whose." },
	{ "anchor", "name: &a x\n", "anchors, aliases and tags" },
	{ "alias", "name: x\nbase: *a\n", "anchors, aliases and tags" },
	{ "tag", "name: !!str x\n", "anchors, aliases and tags" },
	{ "merge", "name: x\n<<: {base: y}\n", "unknown key '<<'" },
	{ "second document", "name: x\n---\nname: y\n",
	    "2:1: error: a second document" },
	{ "no mapping", "- a\n", "1:1: error: want keys and values" },
	{ "scalar", "hello\n", "want keys and values" },
	{ "tab", "name: x\npublic:\n\tport: 1\n", "3:1: error: tab" },
	{ "syntax", "name: x\npublic: {port: 1\n", "t.yaml:3:1: error:" },
	{ "bad UTF-8", "name: \"\xff\"\n",
	    "t.yaml:1:8: error: byte 7: invalid leading UTF-8" },
	{ "control byte", "name: \"\x01\"\n", "control characters" },
	{ "complex key", "? [a]\n: b\nname: x\n", "a key must be a word" },
	{ "deep", "name: x\nwibble: [[[[[[[[[]]]]]]]]]\n",
	    "deeper than 8 levels" },
	{ "escape in a key", "name: x\n\"a\\e[31m\": y\n",
	    "unknown key 'a?[31m'" },
};

static void
refuses_with_the_place(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(bad); i++) {
		struct conf_report report;
		struct config c;

		if (parse(&c, bad[i].text, &report) != -1)
			fail_msg("%s: accepted", bad[i].name);
		assert_non_null(report.text);
		assert_says(bad[i].name, report.text, bad[i].says);
		conf_free(&c, &table);
		conf_report_free(&report);
	}
}

static void
tells_all_errors_in_one_run(void **state)
{
	struct conf_report report;
	struct config c;

	(void)state;
	assert_int_equal(
	    parse(&c,
		"name: ''\nfoo: 1\npublic:\n  port: x\n"
		"  listen: 3\nlevel: 99\nowners:\n  - keys: [a, b]\n  - {}\n",
		&report),
	    -1);
	assert_string_equal(report.text,
	    "t.yaml:1:7: error: name: text of 0 bytes, want 1 to 16\n"
	    "t.yaml:2:1: error: unknown key 'foo'\n"
	    "t.yaml:4:9: error: public.port: 'x' is no number\n"
	    "t.yaml:5:11: error: public.listen: want a list\n"
	    "t.yaml:6:8: error: level: 99, want -5 to 32\n"
	    "t.yaml:8:12: error: owners[0].keys[0]: 'a' is no key\n"
	    "t.yaml:8:15: error: owners[0].keys[1]: 'b' is no key\n"
	    "t.yaml:8:11: error: owners[0].keys: 0 entries, want at least 1\n"
	    "t.yaml:8:5: error: owners[0].name is missing: Whose.\n"
	    "t.yaml:9:5: error: owners[1].name is missing: Whose.\n");
	assert_int_equal(report.errors, 10);
	conf_free(&c, &table);
	conf_report_free(&report);
}

/* A billion laughs: refused at the first anchor, whatever the rest says. */
static void
refuses_an_alias_bomb_at_once(void **state)
{
	static const char bomb[] =
	    "a: &a [x,x,x,x,x,x,x,x,x]\n"
	    "b: &b [*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b]\n"
	    "d: &d [*c,*c,*c,*c,*c,*c,*c,*c]\nname: *d\n";
	struct conf_report report;
	struct config c;

	(void)state;
	assert_int_equal(parse(&c, bomb, &report), -1);
	assert_says("bomb", report.text, "t.yaml:1:4: error: anchors");
	assert_int_equal(report.errors, 2);
	conf_free(&c, &table);
	conf_report_free(&report);
}

static void
stops_counting_at_fifty(void **state)
{
	char text[4096] = "name: x\n";
	struct conf_report report;
	struct config c;
	size_t at = strlen(text);

	(void)state;
	for (int i = 0; i < 60; i++)
		at += (size_t)snprintf(
		    text + at, sizeof(text) - at, "zzz%d: 1\n", i);
	assert_int_equal(parse(&c, text, &report), -1);
	assert_says("many", report.text, "more errors follow\n");
	assert_null(strstr(report.text, "zzz50"));
	conf_free(&c, &table);
	conf_report_free(&report);
}

static void
complains_at_the_place_of_a_key(void **state)
{
	struct conf_report report;
	struct config c;

	(void)state;
	assert_int_equal(parse(&c,
			     "name: x\nowners:\n  - name: a\n"
			     "    keys: [k-1, k-2]\n",
			     &report),
	    0);
	conf_complain(&report, "owners[0].keys[1]", "key %d twice", 7);
	conf_complain(&report, "owners[0].open", "no");
	conf_complain(&report, "public.tls.min", "too new");
	assert_string_equal(report.text,
	    "t.yaml:4:17: error: owners[0].keys[1]: key 7 twice\n"
	    "t.yaml:3:5: error: owners[0].open: no\n"
	    "t.yaml: error: public.tls.min: too new\n");
	conf_free(&c, &table);
	conf_report_free(&report);
}

static void
sets_keys_from_flags(void **state)
{
	struct conf_report report = { 0 };
	struct config c = { 0 };
	struct err err;

	(void)state;
	assert_int_equal(conf_defaults(&c, &table, &err), 0);
	assert_int_equal(conf_missing(&c, &table, &report), -1);
	assert_string_equal(
	    report.text, "configuration: error: name is missing: The name.\n");
	assert_int_equal(conf_set(&c, &table, "name", "y", &err), 0);
	conf_report_free(&report);
	assert_int_equal(conf_missing(&c, &table, &report), 0);
	assert_int_equal(
	    conf_set(&c, &table, "public.listen", "a:1, b:2", &err), 0);
	assert_int_equal(c.listen.count, 2);
	assert_string_equal(((char **)c.listen.items)[1], "b:2");
	assert_int_equal(
	    conf_set(&c, &table, "public.listen", "a,b,c,d", &err), -1);
	assert_int_equal(c.listen.count, 2);
	assert_int_equal(conf_set(&c, &table, "hosts.auth", "bearer", &err), 0);
	assert_int_equal(c.auth, 2);
	assert_int_equal(conf_set(&c, &table, "level", "99", &err), -1);
	assert_string_equal(err.msg, "level: 99, want -5 to 32");
	assert_int_equal(c.level, -3);
	assert_int_equal(conf_set(&c, &table, "nope", "1", &err), -1);
	assert_says("nope", err.msg, "unknown key 'nope'");
	assert_int_equal(conf_set(&c, &table, "owners", "a", &err), -1);
	conf_free(&c, &table);
	conf_report_free(&report);
}

static const char example[] = "# Head words.\n"
			      "\n"
			      "# The name. Must be given.\n"
			      "name: relay.example\n"
			      "\n"
			      "# A path.\n"
			      "base: \"\"\n"
			      "# base: /sev\n";

static void
writes_an_example_that_loads(void **state)
{
	char *text = conf_example(&table, "Head words.");
	struct conf_report report;
	struct config c;

	(void)state;
	assert_non_null(text);
	if (parse(&c, text, &report) != 0)
		fail_msg("%s\n%s", text, report.text);
	assert_string_equal(c.name, "relay.example");
	assert_int_equal(c.wait_ms, 20000);
	assert_says("bounds", text, "(1s to 300s)\n  wait: 20s\n");
	assert_says("sections", text,
	    "\npublic:\n  # Where to listen.\n"
	    "  listen: [\"0.0.0.0:8443\"]\n");
	assert_says("nested", text,
	    "\n  tls:\n    # Oldest TLS. (1.2, 1.3)\n"
	    "    min: \"1.3\"\n");
	assert_says("maps", text, "\nowners: []\n# owners:\n");
	assert_true(strncmp(text, example, strlen(example)) == 0);
	for (char *line = strtok(text, "\n"); line != NULL;
	     line = strtok(NULL, "\n"))
		assert_true(strlen(line) <= 80);
	free(text);
	conf_free(&c, &table);
	conf_report_free(&report);
}

/* The entries shown as comments must load too, once the marks are gone. */
static void
shows_entries_that_load(void **state)
{
	char *text = conf_example(&table, "Head."), bare[8192], *out = bare;
	struct conf_report report;
	struct config c;
	bool entries = false;

	(void)state;
	for (char *line = strtok(text, "\n"); line != NULL;
	     line = strtok(NULL, "\n")) {
		if (strcmp(line, "owners: []") == 0)
			continue;
		entries = entries || strcmp(line, "# owners:") == 0;
		if (entries)
			line += 2;
		out += sprintf(out, "%s\n", line);
	}
	if (parse(&c, bare, &report) != 0)
		fail_msg("%s\n%s", bare, report.text);
	assert_int_equal(c.owners.count, 1);
	assert_string_equal(((struct vm_owner *)c.owners.items)->name, "acme");
	free(text);
	conf_free(&c, &table);
	conf_report_free(&report);
}

static void
loads_files(void **state)
{
	char name[] = "/tmp/conf_test.XXXXXX";
	struct conf_report report = { 0 };
	struct config c = { 0 };
	int fd = mkstemp(name);

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(write(fd, "name: f\n", 8), 8);
	close(fd);
	assert_int_equal(conf_load(&c, &table, name, &report), 0);
	assert_string_equal(c.name, "f");
	conf_free(&c, &table);
	conf_report_free(&report);
	unlink(name);
	assert_int_equal(conf_load(&c, &table, name, &report), -1);
	assert_says("gone", report.text, "error: No such file");
	conf_free(&c, &table);
	conf_report_free(&report);
	assert_int_equal(conf_load(&c, &table, "/tmp", &report), -1);
	assert_says("folder", report.text, "/tmp: error: Is a directory");
	conf_free(&c, &table);
	conf_report_free(&report);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_every_type),
		cmocka_unit_test(fills_in_defaults),
		cmocka_unit_test(refuses_with_the_place),
		cmocka_unit_test(tells_all_errors_in_one_run),
		cmocka_unit_test(refuses_an_alias_bomb_at_once),
		cmocka_unit_test(stops_counting_at_fifty),
		cmocka_unit_test(complains_at_the_place_of_a_key),
		cmocka_unit_test(sets_keys_from_flags),
		cmocka_unit_test(writes_an_example_that_loads),
		cmocka_unit_test(shows_entries_that_load),
		cmocka_unit_test(loads_files),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
