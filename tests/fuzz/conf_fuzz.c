#include "common/conf.h"

#include "tests/fuzz/fuzz.h"

#include <stddef.h>
#include <string.h>

struct entry {
	char *name;
	struct conf_list words;
};

struct config {
	char *name, *path;
	bool on;
	int64_t number;
	uint16_t port;
	uint64_t ms, size;
	int word;
	unsigned flags;
	struct conf_list list, entries;
};

static const char *const words[] = { "a", "b", "c", NULL };

static const struct conf_key entry_keys[] = {
	{ "n", CONF_STRING, offsetof(struct entry, name), NULL, 1, 4, "" },
	{ "w", CONF_STRINGS, offsetof(struct entry, words), "", 0, 0, "" },
};

static const struct conf_table entry_table =
    CONF_TABLE(entry_keys, struct entry);

static const struct conf_key keys[] = {
	{ "n", CONF_STRING, offsetof(struct config, name), NULL, 1, 4, "" },
	{ "p", CONF_PATH, offsetof(struct config, path), "", 0, 0, "" },
	{ "o", CONF_BOOL, offsetof(struct config, on), "no", 0, 0, "" },
	{ "s.i", CONF_INT, offsetof(struct config, number), "1", -5, 5, "" },
	{ "s.p", CONF_PORT, offsetof(struct config, port), "1", 0, 0, "" },
	{ "s.t.m", CONF_MS, offsetof(struct config, ms), "1s", 1, 5000, "" },
	{ "s.t.z", CONF_SIZE, offsetof(struct config, size), "1", 0, 0, "" },
	{ "w", CONF_ENUM, offsetof(struct config, word), "a", 0, 0, "", words },
	{ "f", CONF_FLAGS, offsetof(struct config, flags), "b", 0, 0, "",
	    words },
	{ "l", CONF_STRINGS, offsetof(struct config, list), "x, y", 1, 3, "" },
	{ "e", CONF_MAPS, offsetof(struct config, entries), "", 0, 3, "",
	    .sub = &entry_table },
};

static const struct conf_table table = CONF_TABLE(keys, struct config);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct conf_report report = { 0 };
	struct config c = { 0 };
	int rc = conf_parse(&c, &table, "f", span_of(data, size), &report);

	MUST((rc == 0) == (report.errors == 0));
	MUST((rc == 0) == (report.text == NULL));
	if (rc == 0) {
		MUST(c.name != NULL && strlen(c.name) >= 1 &&
		    strlen(c.name) <= 4);
		MUST(c.path != NULL && c.number >= -5 && c.number <= 5);
		MUST(c.ms >= 1 && c.ms <= 5000 && c.word < 3 && c.flags < 8);
		MUST(c.list.count >= 1 && c.list.count <= 3);
		MUST(c.entries.count <= 3);
		for (size_t i = 0; i < c.entries.count; i++)
			MUST(((struct entry *)c.entries.items)[i].name != NULL);
	} else {
		MUST(report.text[strlen(report.text) - 1] == '\n');
	}
	conf_complain(&report, "e[1].w[0]", "x");
	conf_free(&c, &table);
	conf_report_free(&report);
	return 0;
}
