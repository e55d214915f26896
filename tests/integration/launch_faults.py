"""Random schedules of faults, over real programs: whoever is killed, whatever
the network loses, no legitimate start is lost, and nothing is released twice
or unlogged (docs/threat-model.md T9, T10).

SCHEDULES=N in the environment runs N of them, SEED=S the one of that seed (or
N from there on), JOBS=J so many labs at a time.  What fails prints the command
that repeats it.
"""

import collections
import concurrent.futures
import functools
import json
import os
import random
import threading
import time
import traceback
import unittest

import fault_history
import fault_host
import fault_lab
import fault_plan

FIXED = 24  # schedules of every run, from seed 1; and one of another seed
BATCH = 25  # schedules of one lab
PATIENCE = 120  # seconds for a schedule's launches


class Lost(Exception):
    """A schedule that did not come to its end, or left something wrong."""


def repeat(lab, seed, count=1):
    return "repeat: SEED=%d SCHEDULES=%d ctest -R 'integration.%s$' -V" % (
        seed, count, lab.test)


class Schedule:
    """One plan, run in a lab among others."""

    def __init__(self, lab, plan, old):
        self.lab = lab
        self.plan = plan
        self.old = old  # requests of hosts of earlier schedules
        self.wrong = []

    def watched(self, act, *args):
        try:
            act(*args)
        except Exception:
            self.wrong.append(traceback.format_exc())

    def hosts(self):
        until = time.monotonic() + PATIENCE
        limited = self.lab.limited[self.plan.limit].pop() if self.plan.limit \
            else None
        for i, guest in enumerate(self.plan.guests):
            vm = limited if guest.vm < 0 else self.lab.free[guest.vm]
            start = self.lab.history.start("s%d.%d" % (self.plan.seed, i), vm)
            yield fault_host.Host(self.lab, start, guest, until,
                                  "%d.%d" % (self.plan.seed, i))

    def again(self, host, verb, request):
        """A request of a host that has long been served."""
        host.until = time.monotonic() + PATIENCE
        try:
            host.again(verb, request)
        finally:
            host.drop()

    def run(self):
        """The hosts that asked; what went wrong is in self.wrong."""
        self.lab.events = fault_lab.Events()
        hosts = list(self.hosts())
        dice = random.Random("old %d" % self.plan.seed)
        faults = [threading.Thread(target=self.watched, args=(
            self.lab.inject, fault)) for fault in self.plan.faults]
        works = [threading.Thread(target=self.watched, args=(host.run,))
                 for host in hosts]
        for host in dice.sample(self.old, min(self.plan.old, len(self.old))):
            if host.done:
                works.append(threading.Thread(target=self.watched, args=(
                    self.again, host, *dice.choice(host.done))))
        for thread in faults + works:
            thread.start()
        for thread in works:
            thread.join()
        self.lab.events.end()
        for thread in faults:
            thread.join()
        self.watched(self.lab.settle)
        return hosts


def run_schedules(lab, plans):
    """One after another; raises Lost."""
    old = []
    for plan in plans:
        schedule = Schedule(lab, plan, old)
        old = old[-20:] + schedule.run()
        if schedule.wrong:
            raise Lost("schedule %d: %s\n%s\n%s" % (
                plan.seed, plan, "\n".join(schedule.wrong),
                repeat(lab, plan.seed)))
        lab.count("schedules")


def judge(lab):
    """Ends the lab's programs; what is wrong, in words."""
    try:
        lab.end()
        evidence = lab.evidence()
    except AssertionError as why:
        return [str(why)]
    history = lab.history
    for what, number in (
            ("starts", len(history.starts)),
            ("requests", len(history.calls)),
            ("secrets opened", len(history.opened)),
            ("answers compared with the disk", sum(
                call.seen >= 0 for call in history.calls)),
            ("lines of the log", len(evidence.lines))):
        lab.count(what, number)
    return fault_history.check(history, evidence)


def run_batch(make_lab, seeds):
    """These schedules in one lab; figures.  Raises Lost."""
    plans = [fault_plan.make(seed, fault_lab.FREE, make_lab.kinds)
             for seed in seeds]
    lab = make_lab([plan.limit for plan in plans if plan.limit])
    try:
        run_schedules(lab, plans)
        found = judge(lab)
        if found:
            raise Lost("\n".join([*found, repeat(lab, seeds[0],
                                                 len(seeds))]))
        return lab.figures
    finally:
        lab.close()


class Faults(unittest.TestCase):
    lab = fault_lab.FaultLab
    fixed = FIXED

    def seeds(self):
        count = os.environ.get("SCHEDULES")
        seed = os.environ.get("SEED")
        if seed is not None:
            return list(range(int(seed), int(seed) + int(count or 1)))
        if count is not None:
            return list(range(1, int(count) + 1))
        return [*range(1, self.fixed + 1),
                random.SystemRandom().getrandbits(32)]

    def test_schedules(self):
        seeds = self.seeds()
        print("seeds %d to %d, and %d" % (seeds[0], seeds[-2:][0], seeds[-1]),
              flush=True)
        batches = [seeds[i:i + BATCH] for i in range(0, len(seeds), BATCH)]
        began = time.monotonic()
        total = collections.Counter()
        with concurrent.futures.ProcessPoolExecutor(
                int(os.environ.get("JOBS", "1"))) as pool:
            for figures in pool.map(functools.partial(
                    run_batch, self.lab), batches):
                total.update(figures)
                if len(batches) > 1:
                    print("%4.0f s: %d schedules" % (
                        time.monotonic() - began, total["schedules"]),
                        flush=True)
        print("%.0f s: %s" % (time.monotonic() - began, json.dumps(
            total, indent=1, sort_keys=True)))
        self.assertEqual(total["schedules"], len(seeds))


if __name__ == "__main__":
    unittest.main(verbosity=2)
