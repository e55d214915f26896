#ifndef COMMON_STAMP_H
#define COMMON_STAMP_H

#include <stdint.h>

/* The present second in the forms that requests and answers show, made once a
 * second and not once a request. */
struct stamp {
	int64_t unix_s;
	char date[48]; /* "Date: Sun, 06 Nov 1994 08:49:37 GMT" CR LF */
	char iso[24];  /* RFC 3339: "1994-11-06T08:49:37Z" */
};

/** stamp_set(s, unix_s): a zeroed ${s} stands for 1970 and must be set. */
void stamp_set(struct stamp *s, int64_t unix_s);

#endif
