#ifndef RELAY_DIRECTORY_H
#define RELAY_DIRECTORY_H

#include "common/frame.h"
#include "relay/job.h"
#include "relay/route.h"

/*
 * Which relay of a cluster serves which UUID, and for which agent's key
 * (docs/protocol.md 16).  A relay that stands alone has none: relay->directory
 * is NULL then.  Wishes go to the directory's thread as messages, and come
 * home with what became of them; nobody waits for a network.
 *
 * The owner of a UUID is a key.  While the directory cannot be asked, a claim
 * is granted only where nobody else can be the owner; claims that stand, and
 * their tunnels, go on.
 */

#define DIRECTORY_NODE_MAX 64
#define DIRECTORY_ADDRESS_MAX 79
#define DIRECTORY_FOUND_MAX ROUTE_MAX
#define DIRECTORY_BOOT_LEN FRAME_BOOT_ID_LEN

struct directory;
struct worker;

struct directory_settings {
	const char *url;      /* redis://HOST[:PORT][/DB] */
	const char *password; /* "": none; copied, wiped at the end */
	const char *node;     /* our name, which our certificate has, too */
	const char *address;  /* where other relays reach us: IP:PORT */
	uint32_t lease_ms;
	uint32_t fence_ms; /* how long a lapsed lease still bars other keys */
};

/* Where another relay serves a UUID. */
struct directory_entry {
	char node[DIRECTORY_NODE_MAX + 1];
	char address[DIRECTORY_ADDRESS_MAX + 1];
	uint64_t session;
	uint8_t key[UUID_KEY_LEN];
	uint32_t capabilities;
	uint8_t mode;
	uint16_t rank;
};

struct directory_found {
	bool reached; /* false: the directory is down; there are no entries */
	bool preferred_known;
	uint8_t preferred[UUID_KEY_LEN]; /* whose agent made the last session */
	size_t count;
	struct directory_entry entries[DIRECTORY_FOUND_MAX];
};

enum directory_verb {
	DIRECTORY_CLAIM,
	DIRECTORY_WITHDRAW, /* comes not home */
	DIRECTORY_FIND,
	DIRECTORY_PREFER, /* comes not home */
	DIRECTORY_RELEASE /* of a first claim; comes not home */
};

enum directory_verdict {
	DIRECTORY_NO, /* another key's */
	DIRECTORY_YES,
	DIRECTORY_OLDER /* a newer tunnel of the key has it */
};

/* Who claims: a tunnel of ours. */
struct directory_tunnel {
	struct handle handle;
	uint64_t session;
	uint8_t key[UUID_KEY_LEN];
	uint8_t boot[DIRECTORY_BOOT_LEN];
	uint16_t slot;
};

struct directory_claim {
	struct uuid uuid;
	bool certain; /* made of the key, or bound to it: nobody else's */
	bool bind;    /* claimed first: bind it to the key for good */
	bool fresh;   /* it was not bound before */
	bool settled; /* asked, or judged; the directory's own */
	enum directory_verdict verdict;
};

/* A wish, and what came of it; what is not of the verb stays zero. */
struct directory_op {
	struct message m; /* first; MESSAGE_DIRECTORY */
	enum directory_verb verb;
	TAILQ_ENTRY(directory_op) link; /* while it waits */
	/* Called in the worker that sent it; frees the op. */
	void (*done)(struct worker *w, struct directory_op *op);
	struct worker *from;
	struct relay *charged; /* for it; NULL: nobody */

	/* CLAIM, WITHDRAW */
	struct directory_tunnel tunnel;
	uint32_t number; /* of the CLAIM frame */
	uint32_t capabilities;
	uint8_t mode;
	uint16_t rank;
	struct directory_claim claims[FRAME_NAMES_MAX];
	size_t count;
	size_t open;  /* of them without a verdict; the directory's own */
	bool waits;   /* among those that wait; the same */
	uint8_t *raw; /* owned; NAMES of the frame */
	size_t raw_len;

	/* FIND, PREFER, RELEASE */
	struct handle host;
	struct uuid uuid;
	uint8_t key[UUID_KEY_LEN]; /* PREFER; RELEASE of_key */
	bool of_key;               /* RELEASE: only if bound to ${key} */
	struct directory_found found;
};

/**
 * directory_check_url(text, err): is it one that directory_open() takes?
 *   errors  ERR_USAGE; ERR_UNSUPPORTED: rediss://
 */
int directory_check_url(const char *text, struct err *err);

/**
 * directory_open(out, relay, settings, err):
 * Start the thread; it connects by itself, and again whenever that is needed.
 *   errors  ERR_USAGE: the URL; ERR_MEMORY, ERR_IO
 */
int directory_open(struct directory **out, struct relay *relay,
    const struct directory_settings *settings, struct err *err);

/** directory_close(d): take back all that we claimed, as far as that works,
 * and end.  NULL is fine. */
void directory_close(struct directory *d);

/** directory_op_new(w, verb): ${w} NULL: of the main thread, for what comes not
 * home.  What may wait for the directory, FIND and CLAIM, is charged to
 * limits.memory until it is freed.  NULL: no memory; for a FIND also where
 * relay_charge() says no. */
struct directory_op *directory_op_new(
    struct worker *w, enum directory_verb verb);
void directory_op_free(struct directory_op *op);

/** directory_send(d, op): takes ${op}. */
void directory_send(struct directory *d, struct directory_op *op);

/** directory_node(d): our own name. */
const char *directory_node(const struct directory *d);

/** directory_is_up(d): can it be asked?  From every thread. */
bool directory_is_up(const struct directory *d);

/** directory_ahead_ms(d): its clock less ours.  From every thread. */
int64_t directory_ahead_ms(const struct directory *d);

#endif
