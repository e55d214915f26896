"""What hosts saw, and whether it agrees with what the owner's agent wrote.

A History is filled while faults happen and judged by check() afterwards.
Nothing here runs a program: tests give it broken histories, too
(fault_checker.py).
"""

import calendar
import collections
import dataclasses
import hashlib
import re
import struct
import threading
import time
import uuid


@dataclasses.dataclass
class Start:
    """A guest that the cloud wants to run, on whatever host, once."""
    name: str
    vm: str
    outcome: str = ""  # opened, refused; empty: it never came to an end


@dataclasses.dataclass
class Call:
    """One request of a host, and the answer it had, if any."""
    number: int  # in the order of their beginnings
    request_id: str
    start: str
    verb: str  # launch, validate
    vm: str
    key: str = ""  # Idempotency-Key
    body: bytes = b""
    measurement: str = ""  # of validate ...
    blob: str = ""  # ... and the session whose launch blob made the guest
    rogue: bool = False  # from a second guest of one launch blob
    began: float = 0.0
    ended: float = 0.0
    status: int = 0  # 0: no answer was heard
    problem: str = ""
    answer: bytes = b""
    session: str = ""  # of an answer of 200
    seen: int = -1  # lines on the disk when the answer came; -1: not looked


@dataclasses.dataclass
class Opened:
    """A secret that a guest read, and where."""
    start: str
    session: str
    measurement: str
    secret: str


@dataclasses.dataclass
class Vm:
    secret: str
    limit: int = 0  # releases; 0: any number
    shown: int = 0  # as the agent counts them


# Answers that a host may ask again after, and no fault here excuses.
NEVER = ("agent-protocol", "agent-storage", "malformed")


class History:
    def __init__(self):
        self.lock = threading.Lock()
        self.starts = {}
        self.calls = []
        self.opened = []

    def start(self, name, vm):
        with self.lock:
            self.starts[name] = Start(name, vm)
            return self.starts[name]

    def ask(self, start, verb, **more):
        with self.lock:
            number = len(self.calls)
            call = Call(number, "%s.%d" % (start.name, number), start.name,
                        verb, start.vm, began=time.monotonic(), **more)
            self.calls.append(call)
            return call

    def open(self, start, session, measurement, secret):
        with self.lock:
            self.opened.append(Opened(start.name, session, measurement,
                                      secret))


@dataclasses.dataclass
class Evidence:
    """What the agent has to show: its log, its receipts, its counts."""
    lines: list  # of log show --json
    receipts: list  # (vm, session)
    vms: dict  # uuid -> Vm


def line_hash(previous, line):
    """As agent/vault/store_audit.c has it."""
    def raw(name):
        return uuid.UUID(line[name]).bytes if line.get(name) else b"\0" * 16

    def text(name):
        data = line[name].encode()
        return struct.pack(">I", len(data)) + data
    return hashlib.sha256(
        previous + struct.pack(">QQ", line["seq"], wall_ms(line["time"])) +
        raw("vm") + raw("session") + text("event") + text("detail")).digest()


def wall_ms(text):
    """2026-11-23T08:06:27.388Z in ms since 1970."""
    seconds = calendar.timegm(time.strptime(text[:19], "%Y-%m-%dT%H:%M:%S"))
    return 1000 * seconds + int(text[20:23])


class Checker:
    """The rules, one method each; what breaks one is a line of found."""

    def __init__(self, history, evidence):
        self.h = history
        self.e = evidence
        self.found = []
        self.calls = {call.request_id: call for call in history.calls}
        self.of_event = collections.defaultdict(list)
        for line in evidence.lines:
            self.of_event[line["event"]].append(line)
        self.released = collections.defaultdict(list)
        for line in self.of_event["released"]:
            self.released[line.get("session")].append(line)
        self.launched = collections.defaultdict(list)
        for line in self.of_event["launch"]:
            self.launched[line.get("session")].append(line)
        self.answers = collections.defaultdict(list)
        for call in history.calls:
            if call.status == 200:
                self.answers[call.verb, call.session].append(call)

    def say(self, text, *args):
        self.found.append(text % args)

    # -- the log by itself ------------------------------------------------

    def chain(self):
        """Every line follows the one before: none taken out, none altered."""
        previous = b"\0" * 32
        for number, line in enumerate(self.e.lines, 1):
            if line["seq"] != number:
                self.say("log: line %d stands where %d should", line["seq"],
                         number)
                return
            previous = line_hash(previous, line)
            if previous.hex() != line["hash"]:
                self.say("log: line %d does not follow from the one before",
                         number)
                return

    def one_release_a_session(self):
        for session, lines in self.released.items():
            if len(lines) != 1:
                self.say("session %s: released %d times", session, len(lines))
            first = self.launched.get(session)
            if not first or first[0]["seq"] > lines[0]["seq"]:
                self.say("session %s: released and never launched", session)
            elif first[0]["vm"] != lines[0]["vm"]:
                self.say("session %s: launched for another VM", session)

    def counts(self):
        """Instances are numbered 1, 2, 3; the agent's own count agrees."""
        for vm, facts in self.e.vms.items():
            lines = [line for line in self.of_event["released"]
                     if line["vm"] == vm]
            numbers = [int(re.search(r"instance (\d+)$", line["detail"])[1])
                       for line in lines]
            if numbers != list(range(1, len(lines) + 1)):
                self.say("VM %s: instances are numbered %s", vm, numbers)
            if facts.limit and len(lines) > facts.limit:
                self.say("VM %s: %d releases, at most %d", vm, len(lines),
                         facts.limit)
            if facts.shown != len(lines):
                self.say("VM %s: %d releases logged, %d counted", vm,
                         len(lines), facts.shown)

    def receipts(self):
        want = sorted((line["vm"], line["session"])
                      for line in self.of_event["released"])
        have = sorted(self.e.receipts)
        for vm, session in set(want) ^ set(have):
            self.say("session %s of VM %s: %s", session, vm,
                     "released without a receipt" if (vm, session) in want
                     else "a receipt without a release")
        if len(have) != len(set(have)):
            self.say("receipts: two for one session")

    def alarms(self):
        """Only a second guest of one launch blob gives one."""
        rogue = {call.blob for call in self.h.calls if call.rogue}
        for line in self.of_event["ALARM"]:
            if line.get("session") not in rogue:
                self.say("session %s: an alarm without a cause",
                         line.get("session"))
        for event in ("mismatch", "expired", "closed"):
            for line in self.of_event[event]:
                self.say("log: line %d: %s, and no host did that",
                         line["seq"], event)

    # -- the log against the calls ----------------------------------------

    def asked_for(self):
        """No session and no release without a request that wants it."""
        for event, verb in (("launch", "launch"), ("released", "validate")):
            for line in self.of_event[event]:
                word = re.search(r"(?:for|validate) (\S+) by ",
                                 line["detail"])
                call = self.calls.get(word[1] if word else "")
                if call is None or call.verb != verb:
                    self.say("log: line %d: nobody asked for it", line["seq"])
                elif call.vm != line["vm"]:
                    self.say("log: line %d: request %s was for another VM",
                             line["seq"], call.request_id)
                elif call.rogue:
                    self.say("log: line %d: released to a second guest of "
                             "one launch blob", line["seq"])
                else:
                    self.same_guest(line, call)

    def same_guest(self, line, call):
        """The answers of the session went to the guest that was judged."""
        for answer in self.answers.get((call.verb, line["session"]), ()):
            if answer.measurement != call.measurement or \
                    answer.key != call.key:
                self.say("log: line %d names %s, and %s had the answer",
                         line["seq"], call.request_id, answer.request_id)

    def written_first(self):
        """What was answered is in the log, and was when the answer came."""
        for (verb, session), calls in self.answers.items():
            lines = (self.launched if verb == "launch" else
                     self.released).get(session)
            if not lines:
                self.say("session %s: %s was answered and is in no log",
                         session, verb)
                continue
            for call in calls:
                if 0 <= call.seen < lines[0]["seq"]:
                    self.say("request %s: answered before line %d was "
                             "written", call.request_id, lines[0]["seq"])
                if call.vm != lines[0]["vm"]:
                    self.say("request %s: answered for another VM",
                             call.request_id)
                if call.blob and call.blob != session:
                    self.say("request %s: answered for another session",
                             call.request_id)

    # -- the calls by themselves ------------------------------------------

    def repeats(self):
        """The same question has the same answer, byte by byte; another
        question another one."""
        for (verb, session), calls in self.answers.items():
            if len({call.answer for call in calls}) != 1:
                self.say("session %s: %s was answered in different bytes",
                         session, verb)
            if verb == "validate" and \
                    len({call.measurement for call in calls}) != 1:
                self.say("session %s: answered for two guests", session)
            if verb == "launch" and len(calls) > 1 and (
                    len({(call.key, call.body) for call in calls}) != 1 or
                    not calls[0].key):
                self.say("session %s: given to two launches", session)
        sessions = collections.defaultdict(set)
        for (verb, session), calls in self.answers.items():
            for call in calls:
                name = call.key if verb == "launch" else call.measurement
                if name:
                    sessions[verb, call.vm, name].add(session)
        for (verb, _, name), got in sessions.items():
            if len(got) > 1:
                self.say("%s %s: %d sessions for one question", verb, name,
                         len(got))

    def opened(self):
        guests = collections.Counter()
        sessions = collections.defaultdict(set)
        for got in self.h.opened:
            vm = self.e.vms[self.h.starts[got.start].vm]
            if got.secret != vm.secret:
                self.say("start %s: opened a secret that is not its VM's",
                         got.start)
            guests[got.measurement] += 1
            sessions[got.session].add(got.measurement)
            if got.session not in self.released:
                self.say("start %s: opened what was never released",
                         got.start)
        for session, measurements in sessions.items():
            if len(measurements) != 1:
                self.say("session %s: opened by two guests", session)
        for measurement, times in guests.items():
            if times != 1:
                self.say("guest %s: opened %d times", measurement, times)

    def outcomes(self):
        """No legitimate start is lost; refused is only what is over a
        limit."""
        opened = {got.start for got in self.h.opened}
        for start in self.h.starts.values():
            facts = self.e.vms[start.vm]
            if start.outcome == "refused" and facts.limit and len(
                    [line for line in self.of_event["released"]
                     if line["vm"] == start.vm]) >= facts.limit:
                continue
            if start.outcome != "opened" or start.name not in opened:
                self.say("start %s: lost (%s)", start.name,
                         start.outcome or "no end")

    def statuses(self):
        """Nothing but what docs/protocol.md 7 lets a host ask again for."""
        for call in self.h.calls:
            limit = self.e.vms[call.vm].limit
            if call.rogue and call.status == 200:
                self.say("request %s: a second guest of one launch blob was "
                         "answered", call.request_id)
            good = call.status in (0, 200, 429, 502, 503, 504) or \
                call.problem == "in-progress" or \
                (call.rogue and call.problem == "launch-blob-reused") or \
                (limit and call.problem == "refused")
            if not good or call.problem in NEVER:
                self.say("request %s: %d %s", call.request_id, call.status,
                         call.problem)

    RULES = (chain, one_release_a_session, counts, receipts, alarms,
             asked_for, written_first, repeats, opened, outcomes, statuses)

    def run(self):
        for rule in self.RULES:
            rule(self)
        return self.found


def check(history, evidence):
    """What is wrong, in words; empty: all is well."""
    return Checker(history, evidence).run()
