/*
 * The life of launch sessions (docs/protocol.md 6 and 7), for spin.
 *
 * One VM that may be released LIMIT times; an agent that works on requests in
 * batches, commits records, count and log line of a batch at once, and answers
 * behind the commit; a network that loses; hosts that repeat; kills of the
 * agent at any instant; sessions that end at any instant.
 *
 * Guests 0 and 1 are started as they should be, each from a launch blob of its
 * own: 0 by a host that asks with an Idempotency-Key, 1 by one that asks
 * without.  Guest 2 is an attacker's, started from the blobs that were made for
 * guest 0 (ATTACK: in place of guest 1, or there would be too many states).  A
 * measurement is the pair of blob and guest: the platform's nonce makes it
 * differ from guest to guest.
 *
 * Held, by assertions:
 *   logged     what leaves has its record and log line on the disk
 *   once       a session's keys seal for one measurement only
 *   limited    no more than LIMIT guests get a secret
 *   not lost   guest 1 is refused only if time ended its session, or the
 *              limit was used up
 * and by a formula (CALM: guest 1 alone, and faults that stop some time):
 *   served     once faults have stopped, guest 1 gets its last word
 *
 * BUG 1 to 5 plant mistakes.  run.sh tells which check must find which.
 */

#ifndef BUG
#define BUG 0
#endif

#define SESSIONS 2
#ifndef LIMIT
#define LIMIT 1
#endif
#define BATCH 2
#define NONE 255

mtype = { LAUNCH, VALIDATE };
mtype = { OPENED, SECRET, REUSED, ENDED, LIMITED, BUSY };
mtype = { UNUSED, OPEN, RELEASED, FROZEN, CLOSED };

/* kind, guest, session of its blob */
chan requests = [1] of { mtype, byte, byte };
/* kind, session */
chan answers[2] = [1] of { mtype, byte };

typedef record {
	mtype state;
	byte maker; /* guest for which it was made */
	byte holder; /* whose measurement was released; stands for the log line
		     * too, which is of the same transaction */
};

typedef store {
	record s[SESSIONS];
	byte released;
};

store disk, memory;

/* What the checker knows, and nobody in the model. */
byte first[SESSIONS] = NONE; /* guest to which its secret left */
bool known[SESSIONS];        /* to the attacker: guest 0's blobs */
bool calm;                   /* faults have stopped */
bool done1;

#define COPY(to, from)					\
	to.released = from.released;			\
	to.s[0].state = from.s[0].state;		\
	to.s[0].maker = from.s[0].maker;		\
	to.s[0].holder = from.s[0].holder;		\
	to.s[1].state = from.s[1].state;		\
	to.s[1].maker = from.s[1].maker;		\
	to.s[1].holder = from.s[1].holder

/* The agent's batch: answers that wait for the commit. */
mtype say[BATCH];
byte to[BATCH], about[BATCH];
byte batch;

inline put(what, guest, sid)
{
	say[batch] = what;
	to[batch] = guest;
	about[batch] = sid;
	batch++
}

inline launch(guest)
{
	byte at = 0;

	do
	:: at == SESSIONS -> break
	:: at < SESSIONS && guest == 0 && memory.s[at].maker == 0 &&
	    memory.s[at].state != UNUSED && memory.s[at].state != CLOSED ->
		break /* the same key */
	:: at < SESSIONS && memory.s[at].state == UNUSED -> break
	:: else -> at++
	od;
	if
	:: at == SESSIONS -> put(BUSY, guest, NONE)
	:: else ->
		if
		:: memory.s[at].state == UNUSED ->
			memory.s[at].state = OPEN;
			memory.s[at].maker = guest;
			memory.s[at].holder = NONE
		:: else
		fi;
		put(OPENED, guest, at)
	fi;
	at = 0
}

inline release(guest, sid)
{
	if
	:: memory.released == LIMIT -> put(LIMITED, guest, sid)
	:: else ->
		memory.s[sid].state = RELEASED;
		memory.s[sid].holder = guest;
		memory.released++;
		put(SECRET, guest, sid)
	fi
}

inline validate(guest, sid)
{
	if
	:: memory.s[sid].state == OPEN -> release(guest, sid)
	:: memory.s[sid].state == RELEASED && memory.s[sid].holder == guest ->
#if BUG == 4
		put(ENDED, guest, sid) /* keeps no answer for a repeat */
#elif BUG == 5
		skip /* says nothing to a repeat */
#else
		put(SECRET, guest, sid)
#endif
	:: memory.s[sid].state == RELEASED && memory.s[sid].holder != guest ->
#if BUG == 2
		put(SECRET, guest, sid) /* seals anew */
#else
		memory.s[sid].state = FROZEN;
		put(REUSED, guest, sid)
#endif
	:: memory.s[sid].state == FROZEN -> put(REUSED, guest, sid)
	:: else -> put(ENDED, guest, sid)
	fi
}

inline check_secret(guest, sid)
{
	assert(first[sid] == NONE || first[sid] == guest); /* once */
	assert(disk.s[sid].holder == guest); /* logged */
	first[sid] = guest;
	assert((first[0] != NONE) + (first[1] != NONE) <= LIMIT) /* limited */
}

/* The first answer of the batch leaves, or is lost on its way. */
inline answer()
{
	if
	:: say[0] == SECRET -> check_secret(to[0], about[0])
	:: say[0] == OPENED && to[0] == 0 -> known[about[0]] = true
	:: else
	fi;
	if
	:: to[0] < 2 && nfull(answers[to[0]]) -> answers[to[0]]!say[0], about[0]
	:: to[0] == 2 || full(answers[to[0]]) || !calm -> skip
	fi;
	say[0] = say[1];
	to[0] = to[1];
	about[0] = about[1];
	batch--;
	say[batch] = 0;
	to[batch] = 0;
	about[batch] = 0
}

inline end_session(sid)
{
	if
	:: memory.s[sid].state != UNUSED && memory.s[sid].state != CLOSED ->
		memory.s[sid].state = CLOSED
	:: else
	fi
}

active proctype agent()
{
	mtype kind;
	byte guest, sid;

	atomic {
		disk.s[0].state = UNUSED;
		disk.s[1].state = UNUSED;
		COPY(memory, disk)
	};
end_work:
	if
	:: atomic { batch < BATCH && nempty(requests) ->
		requests?kind, guest, sid;
		if
		:: kind == LAUNCH -> launch(guest)
		:: else -> validate(guest, sid)
		fi;
		kind = 0;
		guest = 0;
		sid = 0
	   }; goto end_work
	:: batch > 0 -> goto commit
	:: atomic { !calm && batch < BATCH -> end_session(0) }; goto commit
	:: atomic { !calm && batch < BATCH -> end_session(1) }; goto commit
	:: !calm -> goto killed
	fi;
commit:
#if BUG == 1
	do /* answers before it is on the disk */
	:: atomic { batch > 0 -> answer() }
	:: batch == 0 -> break
	:: !calm -> goto killed
	od;
#endif
#if BUG == 3
	atomic { /* records and log now, the count by itself */
		guest = disk.released;
		COPY(disk, memory);
		disk.released = guest
	};
	if
	:: skip
	:: !calm -> goto killed
	fi;
#endif
	atomic { COPY(disk, memory) };
	do
	:: atomic { batch > 0 -> answer() }
	:: batch == 0 -> break
	:: !calm -> goto killed
	od;
	goto end_work;
killed:
	atomic {
		say[0] = 0;
		to[0] = 0;
		about[0] = 0;
		say[1] = 0;
		to[1] = 0;
		about[1] = 0;
		batch = 0;
		COPY(memory, disk)
	};
	goto end_work
}

/* A request: sent, and perhaps lost or doubled. */
inline ask(kind, guest, sid)
{
	if
	:: requests!kind, guest, sid
	:: !calm -> skip
	fi
}

/* In calm weather a host waits for what is under way. */
#define TIRED (!calm || \
	(empty(requests) && batch == 0 && empty(answers[me])))

#define FORGET kind = 0; got = 0

proctype host(byte me)
{
	mtype kind;
	byte sid, got;

	do
	:: ask(LAUNCH, me, NONE);
		if
		:: atomic { answers[me]?kind, got ->
			if
			:: kind == OPENED ->
				sid = got;
				FORGET;
				break
			:: kind == BUSY -> goto out
			:: else -> FORGET /* late, of an earlier question */
			fi
		   }
		:: TIRED -> skip /* no answer: again */
		fi
	od;
	do
	:: ask(VALIDATE, me, sid);
		if
		:: atomic { answers[me]?kind, got ->
			if
			:: kind == OPENED || kind == BUSY || got != sid -> FORGET
			:: else -> break
			fi
		   }
		:: TIRED -> skip
		fi
	od;
	/* Not lost. */
	assert(kind == SECRET || me == 0 ||
	    disk.s[sid].state == CLOSED ||
	    (kind == LIMITED && disk.released == LIMIT));
out:
	FORGET;
	sid = 0;
	if
	:: me == 1 -> done1 = true
	:: else
	fi;
end:
	do /* late answers go nowhere */
	:: atomic { answers[me]?kind, got -> FORGET }
	od
}

proctype attacker()
{
end:
	do
	:: !calm && nfull(requests) && known[0] -> requests!VALIDATE, 2, 0
	:: !calm && nfull(requests) && known[1] -> requests!VALIDATE, 2, 1
	od
}

proctype weather()
{
	calm = true
}

init {
	atomic {
#ifdef CALM
		run host(1);
		run weather()
#else
		run host(0);
#ifdef ATTACK
		run attacker()
#else
		run host(1)
#endif
#endif
	}
}

ltl served { [] (calm -> <> done1) }
