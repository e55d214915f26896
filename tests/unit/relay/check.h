#ifndef TESTS_UNIT_RELAY_CHECK_H
#define TESTS_UNIT_RELAY_CHECK_H

/* What cmocka wants before its header, and two words of our own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* Fail with the case's name and the message where ${says} is missing. */
#define expect_words(name, msg, says)                                          \
	do {                                                                   \
		if (strstr((msg), (says)) == NULL)                             \
			fail_msg("%s: \"%s\" does not say \"%s\"", (name),     \
			    (msg), (says));                                    \
	} while (0)

#endif
