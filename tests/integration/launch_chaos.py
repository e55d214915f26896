"""The agent killed at random instants, under load, again and again: the
owner's log, the counts and what the hosts hold must agree in the end
(docs/threat-model.md T9, T10; section "nothing lost")."""

import concurrent.futures
import json
import os
import random
import threading
import unittest

import harness
from launch_first import opened

GUESTS = 150  # of a VM without a limit
LIMITED = 9  # of one that lets 5 go
LIMIT = 5
WORKERS = 8
PATIENCE = 150


class Killer(threading.Thread):
    """kill -9 and a new start, until told to stop; then it is running."""

    def __init__(self, owner, dice):
        super().__init__(daemon=True)
        self.owner = owner
        self.dice = dice
        self.enough = threading.Event()
        self.kills = 0

    def run(self):
        # Not waited for on purpose: some die before they are ready, some
        # between the disk and the answer.
        while not self.enough.wait(self.dice.uniform(0.01, 0.4)):
            self.owner.kill()
            self.owner.start(ready=False)
            self.kills += 1

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.enough.set()
        self.join()
        self.owner.wait_ready()


class Chaos(harness.LabTest):
    def setUp(self):
        super().setUp()
        self.owner.stop()
        self.lab.relay.kill()
        self.limited = self.owner.add("few", harness.new_passphrase(),
                                      "--max-instances", str(LIMIT))
        self.lab.start_relay({"acme": (self.owner, [self.vm, self.limited])})
        self.owner.start()
        seed = os.environ.get("SEED") or str(random.SystemRandom().getrandbits(
            32))
        print("SEED=" + seed, flush=True)
        self.dice = random.Random(seed)

    def launch(self, vm, at):
        self.lab.host("step-launch", *self.lab.guest(vm), "--timeout",
                      PATIENCE, "--out", self.lab.path("guest%d" % at),
                      timeout=PATIENCE + 30)

    def validate(self, at, turn):
        """The answer of guest ${at}; None: refused for good."""
        out = self.lab.path("answer%d-%d" % (at, turn))
        done = self.lab.host(
            "step-validate", self.lab.path("guest%d" % at), "--timeout",
            PATIENCE, "--out", out, "--request-out", out + ".request",
            ok=(0, 1), timeout=PATIENCE + 30)
        if done.returncode != 0:
            return None
        with open(out, "rb") as body:
            return body.read()

    def check_log(self, answers):
        """Each answer that a host has is logged once, and no other."""
        log = [json.loads(line) for line in
               self.owner.cli("log", "show", "--json").stdout.splitlines()]
        self.assertEqual([line["seq"] for line in log],
                         list(range(1, len(log) + 1)))
        self.owner.cli("log", "verify")
        released = [line["session"] for line in log
                    if line["event"] == "released"]
        self.assertEqual(len(released), len(set(released)))
        self.assertEqual(
            set(released),
            {json.loads(a)["session-id"] for a in answers if a is not None})
        self.assertNotIn("ALARM", {line["event"] for line in log})
        for vm, count in ((self.vm, GUESTS), (self.limited, LIMIT)):
            shown = json.loads(
                self.owner.cli("vm", "show", vm, "--json").stdout)
            self.assertEqual(shown["released"], count)

    def test_kills(self):
        vms = [self.vm] * GUESTS + [self.limited] * LIMITED
        everyone = list(range(len(vms)))
        with concurrent.futures.ThreadPoolExecutor(WORKERS) as pool:
            with Killer(self.owner, self.dice) as launching:
                list(pool.map(self.launch, vms, everyone))
            # Each guest asks twice, at once or not, as hosts that retry do.
            turns = [(at, turn) for at in everyone for turn in (0, 1)]
            self.dice.shuffle(turns)
            with Killer(self.owner, self.dice) as validating:
                got = dict(zip(turns, pool.map(
                    lambda t: self.validate(*t), turns)))
        print("%d kills" % (launching.kills + validating.kills))
        answers = [got[at, 0] for at in everyone]
        self.assertEqual(answers, [got[at, 1] for at in everyone])
        self.assertNotIn(None, answers[:GUESTS])
        self.assertEqual(len(answers[GUESTS:]) - answers[GUESTS:].count(None),
                         LIMIT)
        for at in everyone:
            if answers[at] is None:
                continue
            with open(self.lab.path("answer%d-0.request" % at), "rb") as body:
                again = self.lab.curl("/vm/%s/validate" % vms[at], body.read())
            self.assertEqual((again[0], again[2]), (200, answers[at]))
        done = self.lab.host("step-open", self.lab.path("guest0"),
                             self.lab.path("answer0-0"))
        self.assertEqual(opened(done), self.passphrase)
        self.check_log(answers)


if __name__ == "__main__":
    unittest.main(verbosity=2)
