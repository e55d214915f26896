"""Several relays beside each other on loopback, each with a folder, ports and
a configuration of its own, that stay the same over restarts."""

import os
import unittest

import harness


class Relay:
    """One of them; `extra` is what its relay.yaml has beside the usual."""

    def __init__(self, lab, name, tenants, extra=""):
        self.lab = lab
        self.name = name
        self.public = self.internal = 0
        self.tenants = tenants
        self.extra = extra
        self.process = None

    def start(self):
        lab = self.lab
        lab.relay_public, lab.relay_internal = self.public, self.internal
        config = lab.relay_config(self.tenants, self.extra)
        own = lab.path(self.name + ".yaml")
        os.rename(config, own)
        lab.run_relay(own)
        self.process, lab.relay = lab.relay, None
        self.public, self.internal = lab.relay_public, lab.relay_internal
        return self

    def aim(self):
        """Make it the one that the lab's hosts post to."""
        self.lab.relay_internal = self.internal
        return self.lab

    def kill(self):
        self.process.kill()
        self.process = None

    def stop(self):
        process, self.process = self.process, None
        return process.stop()


class RelaysCase(unittest.TestCase):
    """An owner with one VM, and `count` relays that know her."""

    count = 3

    def setUp(self):
        self.lab = harness.Lab()
        self.addCleanup(self.lab.close)
        self.secret = harness.new_passphrase()
        self.owner = self.lab.agent()
        self.vm = self.owner.add("web1", self.secret)
        self.relays = []
        self.addCleanup(self.end_relays)
        for i in range(self.count):
            self.relays.append(self.new_relay(i))
            self.relays[i].start()

    def new_relay(self, i):
        return Relay(self.lab, "relay-%d" % i,
                     {"acme": (self.owner, [self.vm])}, self.extra(i))

    def extra(self, i):
        return ""

    def end_relays(self):
        for relay in self.relays:
            if relay.process is not None:
                relay.kill()

    def run_agent(self, *urls, agent=None, args=()):
        """`attest-agent run` with these relays; ready or not."""
        agent = agent or self.owner
        flags = []
        for url in urls:
            flags += ["--relay", url]
        agent.process = harness.Process(agent.name, [
            os.path.join(harness.BIN, "attest-agent"), "--state", agent.state,
            "run", *flags, "--ca", self.lab.ca.cert, *args], agent.log)
        return agent.process

    @staticmethod
    def url(relay, host="localhost"):
        port = relay if isinstance(relay, int) else relay.public
        return "wss://%s:%d/sev" % (host, port)

    def ready_at(self, process, relay, since=0):
        process.wait_line(r"ready: relay wss://\S+:%d/" % relay.public, since)

    def launch_by(self, relay):
        """One whole launch through this relay."""
        lab = relay.aim()
        done = lab.host("launch", *lab.guest(self.vm))
        self.assertIn(self.secret, done.stdout)

    def launch_split(self, first, second):
        """/launch by one relay, /validate by another."""
        lab = first.aim()
        state = lab.path("guest-%d-%d" % (first.internal, second.internal))
        lab.host("step-launch", *lab.guest(self.vm), "--out", state)
        with open(state, encoding="utf-8") as saved:
            text = saved.read()
        self.assertIn(":%d/" % first.internal, text)
        with open(state, "w", encoding="utf-8") as saved:
            saved.write(text.replace(":%d/" % first.internal,
                                     ":%d/" % second.internal))
        lab.host("step-validate", state, "--out", state + ".answer")
        done = lab.host("step-open", state, state + ".answer")
        self.assertIn(self.secret, done.stdout)
