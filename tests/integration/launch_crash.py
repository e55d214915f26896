"""Whoever is killed at whatever instant, the launch is not lost."""

import unittest

import harness
from launch_first import opened


class Killed(harness.LabTest):
    def test_agent_between_launch_and_validate(self):
        """Issue 6.3, C5."""
        state = self.lab.path("guest")
        self.lab.host("step-launch", *self.lab.guest(self.vm), "--out", state)
        self.owner.kill()
        self.owner.start()
        answer = self.lab.path("answer")
        self.lab.host("step-validate", state, "--out", answer)
        self.assertEqual(opened(self.lab.host("step-open", state, answer)),
                         self.passphrase)

    def test_agent_after_release(self):
        """The answer that may have been lost comes again, byte by byte."""
        state = self.lab.path("guest")
        self.lab.host("step-launch", *self.lab.guest(self.vm), "--out", state)
        answers = []
        for i in range(2):
            path = self.lab.path("answer%d" % i)
            self.lab.host("step-validate", state, "--out", path)
            with open(path, "rb") as body:
                answers.append(body.read())
            self.owner.kill()
            self.owner.start()
        self.assertEqual(answers[0], answers[1])
        log = self.owner.cli("log", "show", "--json").stdout
        self.assertEqual(log.count('"released"'), 1, log)

    def test_relay_restarts(self):
        """Issue 6.4: the agent is back by itself, the next launch works."""
        seen = self.owner.process.mark()
        self.lab.relay.kill()
        self.lab.start_relay({"acme": (self.owner, [self.vm])})
        self.owner.wait_ready(seen)
        done = self.lab.host("launch", *self.lab.guest(self.vm))
        self.assertEqual(opened(done), self.passphrase)

    def test_relay_between_launch_and_validate(self):
        state = self.lab.path("guest")
        self.lab.host("step-launch", *self.lab.guest(self.vm), "--out", state)
        self.lab.relay.kill()
        self.lab.start_relay({"acme": (self.owner, [self.vm])})
        # No wait: the relay holds the request until the agent is back.
        answer = self.lab.path("answer")
        self.lab.host("step-validate", state, "--out", answer)
        self.assertEqual(opened(self.lab.host("step-open", state, answer)),
                         self.passphrase)

    def test_request_waits_for_an_agent_that_is_away(self):
        self.owner.stop()
        waiting = harness.Process(
            "compute-host",
            [harness.os.path.join(harness.TESTBIN, "compute-host"), "launch",
             *self.lab.guest(self.vm)], self.lab.path("host.log"))
        self.owner.start()
        self.assertEqual(waiting.wait(), 0, waiting.output())
        self.assertIn(self.passphrase, waiting.output())

    def test_relay_drains(self):
        """SIGTERM: status 0, and the agent is told to come back."""
        self.assertEqual(self.lab.relay.stop(), 0)
        self.owner.process.wait_line(r"(?i)restart|going away|goaway|drain")

    def test_audit_chain_holds_after_kills(self):
        for _ in range(3):
            self.lab.host("launch", *self.lab.guest(self.vm))
            self.owner.kill()
            self.owner.start()
        log = self.owner.cli("log", "show", "--json").stdout
        self.assertEqual(log.count('"released"'), 3)
        self.assertIn("chain unbroken", self.owner.cli("log", "verify").stdout)


if __name__ == "__main__":
    unittest.main(verbosity=2)
