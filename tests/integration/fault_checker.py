"""The checker of launch_faults must be able to fail: one good history, and a
table of ways to be wrong."""

import copy
import unittest
import uuid

import fault_history
from fault_history import Call, Evidence, Opened, Start, Vm

FREE, LIMITED = str(uuid.UUID(int=1)), str(uuid.UUID(int=2))
SESSIONS = [str(uuid.UUID(int=100 + i)) for i in range(3)]


class Case:
    """Two starts of a VM, one killed and started again; one start of a VM
    that may run once, and one that was refused."""

    def __init__(self):
        self.history = fault_history.History()
        self.lines = []
        self.receipts = []
        self.vms = {FREE: Vm("secret of free", 0, 2),
                    LIMITED: Vm("secret of limited", 1, 1)}
        self.line("register", vm=FREE)
        self.line("register", vm=LIMITED)
        for i, (vm, instance) in enumerate(
                ((FREE, 1), (FREE, 2), (LIMITED, 1))):
            self.whole(i, vm, instance)
        self.history.starts["s9"] = Start("s9", LIMITED, "refused")
        self.call("s9", "launch", LIMITED, status=403, problem="refused")

    def line(self, event, **more):
        line = {"seq": len(self.lines) + 1,
                "time": "2026-11-23T08:00:00.%03dZ" % len(self.lines),
                "event": event, "detail": "", **more}
        self.lines.append(line)

    def call(self, start, verb, vm, **more):
        calls = self.history.calls
        call = Call(len(calls), "%s.%d" % (start, len(calls)), start, verb,
                    vm, **more)
        calls.append(call)
        return call

    def whole(self, i, vm, instance):
        """Asked twice each, as the first answers were lost."""
        start, session = "s%d" % i, SESSIONS[i]
        self.history.starts[start] = Start(start, vm, "opened")
        launch = {"key": "key%d" % i, "body": b"a launch"}
        first = self.call(start, "launch", vm, **launch)
        self.line("launch", vm=vm, session=session,
                  detail="session for %s by host: chain ok" %
                  first.request_id)
        self.call(start, "launch", vm, status=200, session=session,
                  answer=b"launched %d" % i, seen=len(self.lines), **launch)
        guest = {"measurement": "guest%d" % i, "blob": session,
                 "body": b"a measurement"}
        first = self.call(start, "validate", vm, **guest)
        self.line("released", vm=vm, session=session,
                  detail="validate %s by host: secret released, instance %d" %
                  (first.request_id, instance))
        self.receipts.append((vm, session))
        for _ in range(2):
            self.call(start, "validate", vm, status=200, session=session,
                      answer=b"released %d" % i, seen=len(self.lines),
                      **guest)
        self.history.opened.append(Opened(
            start, session, "guest%d" % i, self.vms[vm].secret))

    # -- to change it -----------------------------------------------------

    def calls(self, verb, start="s0", status=200):
        return [c for c in self.history.calls
                if (c.verb, c.start, c.status) == (verb, start, status)]

    def event(self, name, at=0):
        return [line for line in self.lines if line["event"] == name][at]

    def remove(self, line):
        self.lines.remove(line)
        for number, left in enumerate(self.lines, 1):
            left["seq"] = number

    def seal(self):
        """The chain of hashes, over what now stands there."""
        previous = b"\0" * 32
        for line in self.lines:
            previous = fault_history.line_hash(previous, line)
            line["hash"] = previous.hex()

    def check(self):
        return fault_history.check(self.history, Evidence(
            self.lines, self.receipts, self.vms))


def again(case, name, at=0):
    """The same line once more, as if it had happened twice."""
    line = copy.deepcopy(case.event(name, at))
    line["seq"] = len(case.lines) + 1
    case.lines.append(line)
    return line


def second_release(case):
    again(case, "released")["detail"] = case.event(
        "released")["detail"][:-1] + "3"
    case.vms[FREE].shown = 3


def unlogged(case):
    case.remove(case.event("released"))
    case.receipts.pop(0)


def written_late(case):
    for call in case.calls("validate"):
        call.seen = case.event("released")["seq"] - 1


def launch_written_late(case):
    case.calls("launch")[0].seen = case.event("launch")["seq"] - 1


def not_asked_for(case):
    case.event("released")["detail"] = \
        "validate nobody by host: secret released, instance 1"


def other_question(case):
    case.event("released")["detail"] = "validate %s by host: instance 1" % \
        case.calls("launch", status=0)[0].request_id


def other_vm_asked(case):
    case.event("launch")["detail"] = "session for %s by host: x" % \
        case.calls("launch", "s2")[0].request_id


def never_launched(case):
    case.remove(case.event("launch"))


def other_bytes(case):
    case.calls("validate")[1].answer = b"sealed anew"


def other_launch_bytes(case):
    call = copy.deepcopy(case.calls("launch")[0])
    call.answer = b"another blob"
    case.history.calls.append(call)


def two_sessions_for_a_key(case):
    for call in case.calls("launch", "s1"):
        call.key = "key0"


def one_session_for_two_launches(case):
    call = copy.deepcopy(case.calls("launch")[0])
    call.key = "another"
    case.history.calls.append(call)


def two_guests_of_a_session(case):
    case.calls("validate")[1].measurement = "another guest"


def other_session(case):
    for call in case.calls("validate"):
        call.blob = SESSIONS[1]


def opened_by_two(case):
    case.history.opened.append(Opened("s0", SESSIONS[0], "another guest",
                                      case.vms[FREE].secret))


def opened_twice(case):
    case.history.opened.append(case.history.opened[0])


def wrong_secret(case):
    case.history.opened[0].secret = case.vms[LIMITED].secret


def never_released(case):
    case.history.opened[0].session = str(uuid.UUID(int=7))


def lost(case):
    case.history.opened.pop(1)


def no_end(case):
    case.history.starts["s1"].outcome = ""


def refused_for_nothing(case):
    case.history.starts["s1"].outcome = "refused"


def over_the_limit(case):
    case.vms[FREE].limit = 1


def counted_wrong(case):
    case.vms[LIMITED].shown = 0


def numbered_wrong(case):
    case.event("released", 1)["detail"] = case.event(
        "released")["detail"].replace("s0", "s1")


def no_receipt(case):
    case.receipts.pop()


def receipt_too_many(case):
    case.receipts.append((FREE, str(uuid.UUID(int=7))))


def receipt_twice(case):
    case.receipts.append(case.receipts[0])


def alarm(case):
    case.line("ALARM", vm=FREE, session=SESSIONS[0])


def missed(case):
    case.line("mismatch", vm=FREE, session=SESSIONS[0])


def rogue_served(case):
    for call in case.calls("validate", status=0):
        call.rogue = True


def rogue_answered(case):
    call = case.calls("validate")[0]
    call.rogue = True


def closed_too_soon(case):
    case.call("s0", "validate", FREE, status=410, problem="session-closed")


def refused_without_limit(case):
    case.call("s0", "launch", FREE, status=403, problem="refused")


def broke_the_tunnel(case):
    case.call("s0", "launch", FREE, status=502, problem="agent-protocol")


# What is done to the good one, and what is said of it.
BROKEN = (
    (second_release, "released 2 times"),
    (unlogged, "validate was answered and is in no log"),
    (unlogged, "opened what was never released"),
    (written_late, "answered before line 4 was written"),
    (launch_written_late, "answered before line 3 was written"),
    (not_asked_for, "nobody asked for it"),
    (other_question, "nobody asked for it"),
    (other_vm_asked, "was for another VM"),
    (never_launched, "released and never launched"),
    (never_launched, "launch was answered and is in no log"),
    (other_bytes, "validate was answered in different bytes"),
    (other_launch_bytes, "launch was answered in different bytes"),
    (two_sessions_for_a_key, "2 sessions for one question"),
    (one_session_for_two_launches, "given to two launches"),
    (two_guests_of_a_session, "answered for two guests"),
    (other_session, "answered for another session"),
    (opened_by_two, "opened by two guests"),
    (opened_twice, "opened 2 times"),
    (wrong_secret, "a secret that is not its VM's"),
    (never_released, "opened what was never released"),
    (lost, "start s1: lost"),
    (no_end, "start s1: lost (no end)"),
    (refused_for_nothing, "start s1: lost (refused)"),
    (over_the_limit, "2 releases, at most 1"),
    (counted_wrong, "1 releases logged, 0 counted"),
    (numbered_wrong, "instances are numbered [1, 1]"),
    (no_receipt, "released without a receipt"),
    (receipt_too_many, "a receipt without a release"),
    (receipt_twice, "two for one session"),
    (alarm, "an alarm without a cause"),
    (missed, "mismatch, and no host did that"),
    (rogue_served, "released to a second guest"),
    (rogue_answered, "a second guest of one launch blob was answered"),
    (closed_too_soon, "410 session-closed"),
    (refused_without_limit, "403 refused"),
    (broke_the_tunnel, "502 agent-protocol"),
)


class Checker(unittest.TestCase):
    def test_good(self):
        case = Case()
        case.seal()
        self.assertEqual(case.check(), [])

    def test_broken(self):
        for harm, says in BROKEN:
            with self.subTest(harm.__name__):
                case = Case()
                harm(case)
                case.seal()
                self.assertIn(says, "\n".join(case.check()))

    def test_chain(self):
        """A log that was altered, cut in its middle, or numbered anew."""
        for harm, says in (
                (lambda lines: lines[2].update(detail="other"),
                 "line 3 does not follow"),
                (lambda lines: lines.pop(4), "line 6 stands where 5 should"),
                (lambda lines: lines[0].update(time=lines[1]["time"]),
                 "line 1 does not follow")):
            case = Case()
            case.seal()
            harm(case.lines)
            self.assertIn(says, "\n".join(case.check()))


if __name__ == "__main__":
    unittest.main(verbosity=2)
