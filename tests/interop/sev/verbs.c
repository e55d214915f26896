/* The offline verbs by themselves: verbs chain|digest|ovmf|verify ARGS... */
#include <stdio.h>
#include <string.h>

#include "agent/cli/cli_chain.h"
#include "agent/cli/cli_digest.h"
#include "agent/cli/cli_ovmf.h"
#include "agent/cli/cli_verify.h"

int
main(int argc, char **argv)
{
	static const struct {
		const char *name;
		int (*run)(int argc, char **argv);
	} verbs[] = {
		{ "chain", cli_chain },
		{ "digest", cli_digest },
		{ "ovmf", cli_ovmf },
		{ "verify", cli_verify },
	};

	for (size_t i = 0; i < sizeof(verbs) / sizeof(*verbs) && argc > 1; i++)
		if (strcmp(verbs[i].name, argv[1]) == 0)
			return verbs[i].run(argc - 1, argv + 1);
	fprintf(stderr, "usage: verbs chain|digest|ovmf|verify ...\n");
	return 2;
}
