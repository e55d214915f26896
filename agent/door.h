#ifndef AGENT_DOOR_H
#define AGENT_DOOR_H

#include "agent/key.h"
#include "agent/vault/vault.h"
#include "common/err.h"
#include "common/span.h"

/*
 * What passes between the processes `net` and `vault`
 * (docs/architecture.md, "Two processes"): one message a packet of a
 * SOCK_SEQPACKET pair,
 *
 *	kind:1 id:8 fields    (big-endian, in the order of the tables in door.c)
 *
 * `net` parses what strangers send, so `vault` believes it nothing: every
 * field is judged here before anything acts on it, and none of the questions
 * registers, approves, or asks for anything secret.
 */

enum door_kind {
	/* net asks; vault answers with the same kind and id */
	DOOR_LAUNCH = 1,
	DOOR_VALIDATE,
	DOOR_NAMES,  /* what is to be claimed, a page at a time */
	DOOR_SIGN,   /* the hello of a tunnel */
	DOOR_CEK,    /* what AMD's key server gave; only its signature counts */
	DOOR_CANCEL, /* the host of ${id} went away; no answer of its own */
	DOOR_HELLO,  /* a net that has just begun: forget the one before */
	/* vault says, id 0 or that of a question that waits */
	DOOR_PENDING, /* the owner is being asked: more time, please */
	DOOR_CHANGED  /* the names */
};

#define DOOR_MAX 20480 /* bytes of a message; the longest is a release */
#define DOOR_NAMES_MAX 64
#define DOOR_SIGN_MAX 1024

struct door_name {
	struct uuid vm;
	char label[REGISTRATION_NAME_MAX + 1];
	bool shared; /* with other agents, which claim it, too */
	uint32_t rank;
};

struct door_names {
	uint32_t from;  /* number of the first one asked for */
	uint32_t total; /* answer: how many there are */
	size_t count;   /* answer: how many are in here */
	struct door_name names[DOOR_NAMES_MAX];
};

struct door_sign {
	uint8_t text[DOOR_SIGN_MAX]; /* question: the text of a hello */
	size_t text_len;
	bool signed_; /* answer: false: vault will not sign that */
	uint8_t signature[KEY_SIG_LEN];
};

struct door_cek {
	uint8_t cpu_id[VAULT_CPU_ID_LEN];
	uint8_t cert[SEV_CERT_LEN];
	size_t cert_len;
	bool kept;     /* answer */
	char why[128]; /* answer: why not */
};

struct door_hello {
	uint8_t key[UUID_KEY_LEN]; /* answer: the agent's public key */
};

struct door_pending {
	uint32_t extend_ms; /* from now on */
};

/* One message; ${kind} says which member counts, DOOR_CHANGED has none. */
struct door_message {
	enum door_kind kind;
	uint64_t id; /* net's choice; answers carry it back */
	union {
		struct vault_launch launch;
		struct vault_launch_answer launch_answer;
		struct vault_validate validate;
		struct vault_validate_answer validate_answer;
		struct door_names names;
		struct door_sign sign;
		struct door_cek cek;
		struct door_hello hello;
		struct door_pending pending;
	} u;
};

/**
 * door_write(w, m, answer):
 * Encode ${m} as a question or an ${answer}; DOOR_MAX bytes are enough.
 */
void door_write(struct writer *w, const struct door_message *m, bool answer);

/**
 * door_read(out, in, answer, err):
 * The reverse, of one whole packet.  All or nothing: ${out} is good only if
 * it returns 0, and then every count, flag and text in it is within bounds.
 *   errors  ERR_MALFORMED: unknown kind, short, long, or a field that is out
 *           of bounds
 */
int door_read(
    struct door_message *out, struct span in, bool answer, struct err *err);

#endif
