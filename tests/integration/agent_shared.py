"""Two agents of one owner that share a UUID (docs/protocol.md 6): each has
sessions of its own, and says not-mine of the other's."""

import base64
import json
import unittest
import uuid

import harness
from cluster_case import ClusterCase
from relays_case import RelaysCase

MISS = "left to the agents that share this UUID"


class Pair:
    """For the relays: all keys of one tenant."""

    def __init__(self, *agents):
        self.key = '", "'.join(agent.key for agent in agents)


class Two:
    """The owner at two places, the same registration at both but for the
    rank: "far" is asked first, once it is there."""

    def new_relay(self, i):
        if i == 0:
            self.near, self.far = self.lab.agent("near"), self.lab.agent("far")
            self.shared = str(uuid.uuid4())
            for agent, rank in ((self.near, "2"), (self.far, "1")):
                agent.add("web1", self.secret, "--shared-rank", rank,
                          vm=self.shared)
        relay = super().new_relay(i)
        relay.tenants = {"acme": (Pair(self.near, self.far), [self.shared])}
        return relay

    def run_at(self, agent, *relays):
        process = self.run_agent(*(self.url(r) for r in relays), agent=agent,
                                 args=("--offline", *self.flags))
        for relay in relays:
            self.ready_at(process, relay)
        return process

    def begin(self, relay, name, *args):
        """A guest up to its measurement."""
        lab = relay.aim()
        state = lab.path(name)
        lab.host("step-launch", *lab.guest(self.shared), *args, "--out", state)
        return state

    def validate(self, state, *args, ok=(0,)):
        return self.lab.host("step-validate", state, *args, "--out",
                             state + ".answer", ok=ok)

    def opens(self, state):
        done = self.lab.host("step-open", state, state + ".answer")
        self.assertIn(self.secret, done.stdout)

    def log(self, agent):
        done = agent.cli("log", "show", "--json")
        return [json.loads(line) for line in done.stdout.splitlines()]

    def events(self, agent, event):
        return [line for line in self.log(agent) if line["event"] == event]


class OneRelay(Two, RelaysCase):
    count = 1
    flags = ()

    def setUp(self):
        super().setUp()
        self.relay = self.relays[0]

    def forget(self, *processes):
        """A relay that knows no more who made the last session."""
        marks = [process.mark() for process in processes]
        self.assertEqual(self.relay.stop(), 0)
        self.relay.start()
        for process, mark in zip(processes, marks):
            self.ready_at(process, self.relay, mark)
        self.relay.aim()

    def test_not_mine(self):
        near = self.run_at(self.near, self.relay)
        with_id = self.begin(self.relay, "with-id")
        without = self.begin(self.relay, "without", "--no-session-id")
        far = self.run_at(self.far, self.relay)
        self.forget(near, far)
        for state in with_id, without:
            self.validate(state)
            self.opens(state)
        self.assertEqual(len(self.events(self.near, "released")), 2)
        self.assertEqual(self.events(self.far, "released"), [])
        misses = self.events(self.far, "not-mine")
        self.assertEqual(len(misses), 2)
        self.assertIn(MISS, misses[0]["detail"])
        # Of what it knows nothing it explains nothing.
        self.assertEqual(self.events(self.far, "explain"), [])

    def test_a_wrong_one_is_refused_where_it_is_known(self):
        """A host cannot shop around with a session's measurement."""
        near = self.run_at(self.near, self.relay)
        state = self.begin(self.relay, "wrong")
        far = self.run_at(self.far, self.relay)
        self.forget(near, far)
        done = self.validate(state, "--corrupt", "measurement", ok=(1,))
        self.assertIn("measurement-mismatch", done.stdout + done.stderr)
        self.assertEqual(len(self.events(self.near, "mismatch")), 1)
        self.validate(state)
        self.opens(state)
        # A second guest of the same blob, told by its session or not.
        again = state + ".again"
        self.lab.host("step-start", "--from", state, "--out", again)
        done = self.validate(state, "--measurement-of", again, ok=(1,))
        self.assertIn("launch-blob-reused", done.stdout + done.stderr)
        self.assertEqual(len(self.events(self.near, "ALARM")), 1)

    def test_nobodys(self):
        """What all agents disclaim is told like an agent that is away."""
        self.run_at(self.near, self.relay)
        self.run_at(self.far, self.relay)
        body = json.dumps({
            "measurement": base64.b64encode(bytes(48)).decode(),
            "api-major": 1, "api-minor": 55, "build-id": 21}).encode()
        # More often than either agent takes failures in a minute.
        for _ in range(15):
            status, headers, answer = self.relay.aim().curl(
                "/vm/%s/validate" % self.shared, body)
            self.assertEqual(status, 503, answer)
            self.assertIn(b":agent-unavailable", answer)
            self.assertIn("retry-after", headers)
        for agent in self.near, self.far:
            self.assertIn(len(self.events(agent, "not-mine")), (10, 11))

    def test_fail_over(self):
        self.run_at(self.far, self.relay)
        self.run_at(self.near, self.relay)
        lab = self.relay.aim()
        lab.host("launch", *lab.guest(self.shared))
        self.assertEqual(len(self.events(self.far, "released")), 1)
        state = self.begin(self.relay, "left-behind")
        self.far.kill()
        lab.host("launch", *lab.guest(self.shared))
        self.assertEqual(len(self.events(self.near, "released")), 1)
        # The other's session is lost to nobody: it waits there.
        self.run_at(self.far, self.relay)
        self.validate(state)
        self.opens(state)

    def test_only_who_says_so_shares(self):
        other = self.lab.agent("other")
        other.add("web1", self.secret, vm=self.shared)
        self.relay.tenants = {"acme": (Pair(self.near, self.far, other),
                                       [self.shared])}
        self.forget()
        self.run_at(self.near, self.relay)
        process = self.run_agent(self.url(self.relay), agent=other)
        process.wait_line("claim of %s denied" % self.shared)

    def test_shown_and_changed(self):
        self.assertIn("shared     with other agents, rank 1",
                      self.far.cli("vm", "show", "web1").stdout)
        process = self.run_at(self.far, self.relay)
        shown = json.loads(self.far.cli("vm", "show", "web1",
                                        "--json").stdout)
        self.assertEqual(shown["shared-rank"], 1)
        # Its own alone from now on: claimed anew, and so denied to others.
        mark = process.mark()
        self.far.cli("vm", "remove", "web1")
        self.far.add("web1", self.secret, vm=self.shared)
        process.wait_line("claimed %s" % self.shared, mark)
        process = self.run_agent(self.url(self.relay), agent=self.near)
        process.wait_line("claim of %s denied" % self.shared)


class Cluster(Two, ClusterCase):
    """One agent at one relay, the other at another, hosts at a third."""

    flags = ("--allow-no-binding",)

    def test_not_mine_and_fail_over(self):
        a, b, c = self.relays
        for relay in self.relays:
            self.reached(relay)
        self.run_at(self.near, a)
        state = self.begin(c, "guest")
        self.redis.ask("-n", "1", "DEL", "attest-relay:prefer:" +
                       self.shared.replace("-", ""))
        self.run_at(self.far, b)
        # A relay believes what the directory said for a second.
        time_out = harness.PATIENCE
        harness.eventually(lambda: self.launched_by(c) == self.far, time_out)
        self.redis.ask("-n", "1", "DEL", "attest-relay:prefer:" +
                       self.shared.replace("-", ""))
        self.validate(state)
        self.opens(state)
        self.assertEqual(len(self.events(self.near, "released")), 1)
        self.far.kill()
        harness.eventually(lambda: self.launched_by(c) == self.near, time_out)

    def launched_by(self, relay):
        """Whose session a launch by this relay makes."""
        agents = self.near, self.far
        before = [len(self.events(agent, "launch")) for agent in agents]
        lab = relay.aim()
        lab.host("step-launch", *lab.guest(self.shared), "--out",
                 lab.path("other"), ok=(0, 1))
        after = [len(self.events(agent, "launch")) for agent in agents]
        for agent, old, new in zip(agents, before, after):
            if new > old:
                return agent
        return None


if __name__ == "__main__":
    unittest.main(verbosity=2)
