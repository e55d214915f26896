#include "agent/cli/offline_report.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

void
offline_report(
    const char *verb, const char *schema, bool json, const struct err *err)
{
	json_t *words, *root;

	fprintf(stderr, "attest-agent %s: %s\n", verb, err->msg);
	if (!json)
		return;
	words = json_string(err->msg);
	if (words == NULL) /* a file's name need not be UTF-8 */
		words = json_string("see stderr");
	root = json_pack("{s:s, s:o}", "schema", schema, "error", words);
	if (root != NULL)
		json_dumpf(root, stdout, JSON_INDENT(2) | JSON_PRESERVE_ORDER);
	putchar('\n');
	json_decref(root);
}

int
offline_written(const char *verb, int status)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return status;
	fprintf(stderr, "attest-agent %s: stdout: %s\n", verb, strerror(errno));
	return 2;
}
