#ifndef MOCK_LINE_H
#define MOCK_LINE_H

#include "common/err.h"

#include <stdbool.h>
#include <stdint.h>

/* The options of QEMU that concern a SEV guest; others are passed over. */
struct line {
	int qmp_fd;
	bool probe; /* -machine none */
	bool kvm, paused, confidential;
	const char *firmware, *kernel, *initrd, *cmdline;
	unsigned vcpus;
	/* -object sev-guest */
	bool sev, kernel_hashes;
	uint32_t policy;
	unsigned cbitpos;
	char cert_file[256], session_file[256];
};

/** line_parse(out, argc, argv, err): errors ERR_USAGE */
int line_parse(struct line *out, int argc, char **argv, struct err *err);

#endif
