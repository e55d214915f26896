#ifndef COMMON_ERR_H
#define COMMON_ERR_H

/*
 * An error value: a code for the program, words for a human.  No allocation,
 * no global; the caller owns it.  Say what was found, what was wanted, and
 * which section says so.
 */

enum err_code {
	ERR_NONE = 0,
	ERR_MALFORMED,	 /* bytes that break their format */
	ERR_LIMIT,	 /* well formed, over a limit */
	ERR_UNTRUSTED,	 /* a signature, MAC or policy says no */
	ERR_UNSUPPORTED, /* valid, and we do not do it */
	ERR_USAGE,	 /* the operator's words are off */
	ERR_NOT_FOUND,
	ERR_CONFLICT, /* exists already, or was used already */
	ERR_CLOSED,   /* it was there and has ended */
	ERR_IO,	      /* file, socket or database */
	ERR_MEMORY,
	ERR_INTERNAL /* our own fault, or a library's */
};

struct err {
	enum err_code code;
	char msg[256]; /* always NUL-terminated; cut if too long */
};

/**
 * err_set(err, code, fmt, ...):
 * Fill ${err}, which may be NULL, and return -1, so that a check reads
 * `return err_set(...)`.
 */
int err_set(struct err *err, enum err_code code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/**
 * err_wrap(err, fmt, ...):
 * Put the context "fmt: " before the message of ${err}, keep its code, and
 * return -1.
 */
int err_wrap(struct err *err, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

#endif
