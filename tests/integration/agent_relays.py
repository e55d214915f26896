"""An agent with more than one relay: a tunnel to each, and none that is down
disturbs another (docs/protocol.md 12.5)."""

import base64
import json
import os
import shutil
import struct
import threading
import time
import unittest

import agent_case
import agent_relay
import fake_agent as wire
import harness
from relays_case import Relay, RelaysCase


class AgentRelays(RelaysCase):
    def status(self, ok=(0,)):
        return json.loads(self.owner.cli("status", "--json", ok=ok).stdout)

    def wait_status(self, want, *fields):
        """Until the relays' ${fields} are what is wanted, in any order."""
        deadline = time.monotonic() + harness.PATIENCE
        while True:
            mark = self.owner.process.mark()
            status = self.status(ok=(0, 1))
            got = sorted(tuple(one[f] for f in fields)
                         for one in status["relays"])
            if got == sorted(want):
                return
            if time.monotonic() > deadline:
                self.fail("%r, want %r" % (got, want))
            # Most changes have a line in the log; a wait that ends does not.
            self.owner.process.says_more(mark, 0.25)


class Several(AgentRelays):
    def start_all(self):
        agent = self.run_agent(*(self.url(r) for r in self.relays))
        for relay in self.relays:
            self.ready_at(agent, relay)
        return agent

    def test_any_relay_serves_any_host(self):
        self.start_all()
        status = self.status()
        self.assertEqual((status["state"], status["relays-ready"]),
                         ("ready", 3))
        self.assertEqual([one["relay"] for one in status["relays"]],
                         [self.url(r) for r in self.relays])
        for relay in self.relays:
            self.launch_by(relay)
        # Sessions live in the one vault, whatever way they came.
        a, b, c = self.relays
        for first, second in ((a, b), (b, c), (c, a)):
            self.launch_split(first, second)
        self.assertEqual(self.owner.cli("status").stdout.count(" ready "), 4)

    def test_one_down_disturbs_no_other(self):
        agent = self.start_all()
        a, b, c = self.relays
        mark = agent.mark()
        b.kill()
        agent.wait_line(r"tunnel: wss://\S+:%d/.*next try" % b.public, mark)
        self.launch_by(a)
        self.launch_split(a, c)
        b.start()
        self.ready_at(agent, b, mark)
        self.launch_split(b, a)
        for relay in a, c:
            self.assertEqual(relay.process.output().count(": up: "), 1)

    def test_restarts_in_turn(self):
        """GOAWAY is one relay's affair: the others serve meanwhile."""
        agent = self.start_all()
        for at, relay in enumerate(self.relays):
            mark = agent.mark()
            self.assertEqual(relay.stop(), 0)
            self.launch_by(self.relays[at - 1])
            relay.start()
            self.ready_at(agent, relay, mark)
            self.launch_by(relay)

    def test_one_does_not_know_the_key(self):
        """4402 of one relay ends the tries at that one only."""
        stranger = self.lab.agent("stranger")
        self.relays[1].kill()
        self.relays[1] = Relay(self.lab, "relay-x", {"acme": (stranger, [])})
        self.relays[1].start()
        agent = self.run_agent(*(self.url(r) for r in self.relays))
        agent.wait_line(r"tunnel: wss://\S+:%d/\S*:? .*4402" %
                        self.relays[1].public)
        self.ready_at(agent, self.relays[0])
        self.ready_at(agent, self.relays[2])
        self.wait_status([("ready",), ("stopped",), ("ready",)], "state")
        self.launch_split(self.relays[0], self.relays[2])
        self.assertEqual(self.owner.stop(), 0)

    def test_two_ways_to_one_relay(self):
        """The newer way parks the older (4409), and no longer than it is
        there itself."""
        relay = self.relays[0]
        way = agent_case.Forwarder(relay.public)
        self.addCleanup(way.close)
        agent = self.run_agent(self.url(relay), self.url(way.port))
        for _ in range(3):
            mark = agent.mark()
            agent.wait_line("taken over .4409.")
            self.launch_by(relay)
            self.wait_status([("parked",), ("ready",)], "state")
            relay.kill()
            agent.wait_line("next try", mark)
            mark = agent.mark()
            relay.start()
            agent.wait_line("ready: relay", mark)
            agent.wait_line("taken over .4409.", mark)
        self.assertIsNone(agent.child.poll())

    def test_a_twin_takes_all(self):
        agent = self.start_all()
        twin = self.lab.agent("twin")
        shutil.copy(os.path.join(self.owner.state, "agent.key"),
                    os.path.join(twin.state, "agent.key"))
        self.run_agent(*(self.url(r) for r in self.relays), agent=twin)
        agent.wait_line(r"stopped: .*taken over")
        self.assertEqual(agent.wait(), 4)
        self.owner.process = None

    def test_from_the_file(self):
        pin = harness.run(["sh", "-c", (
            "openssl x509 -in %s -noout -pubkey | openssl pkey -pubin "
            "-outform der | openssl dgst -sha256 -binary | base64") %
            self.lab.server[0]]).stdout.strip()
        urls = [self.url(r) for r in self.relays]
        path = self.lab.file("agent.yaml", (
            "relay:\n  url: %s\n  urls: [\"%s\", \"%s\"]\n  ca: %s\n" % (
                urls[0], urls[1] + "#sha256/" + pin,
                urls[2] + "#sha256/" + "A" * 43 + "=", self.lab.ca.cert)))
        agent = harness.Process("owner", [
            os.path.join(harness.BIN, "attest-agent"), "--state",
            self.owner.state, "--config", path, "run"], self.owner.log)
        self.owner.process = agent
        self.ready_at(agent, self.relays[0])
        self.ready_at(agent, self.relays[1])
        agent.wait_line(r":%d/\S* .*not the pinned" % self.relays[2].public)
        self.owner.cli("run", *["--relay", urls[0]] * 17, ok=(2,))


class RudeBesideGood(AgentRelays):
    """A relay that asks and cancels without an end, beside one that does
    not: what all share in the agent is not its alone."""

    count = 1

    def setUp(self):
        super().setUp()
        self.other = self.owner.add("web2", harness.new_passphrase())
        self.rude = agent_relay.Relay(*self.lab.server)
        self.addCleanup(self.rude.close)
        self.over = threading.Event()
        self.addCleanup(self.over.set)
        self.sent = 0

    def flood(self, tunnel):
        """Launches of web2, and measurements that are none of them, each
        taken back as soon as it is sent."""
        reset = wire.tlvs((wire.T_CODE, struct.pack(">I", 1)))
        bodies = {"launch": self.lab_body(), "validate": json.dumps({
            "measurement": "A" * 64, "api-major": 1, "api-minor": 55,
            "build-id": 21}).encode()}
        try:
            for stream in range(1, 2 ** 31, 2):
                verb = "launch" if stream < 600 else "validate"
                tunnel.request(stream, "/vm/%s/%s" % (self.other, verb),
                               bodies[verb])
                tunnel.send(agent_relay.frame(wire.RESET, stream, reset))
                self.sent += 1
                if self.over.is_set():
                    return
        except OSError:
            pass

    def drain(self, tunnel):
        try:
            while True:
                tunnel.next_frame()
        except (OSError, wire.Closed):
            pass

    def lab_body(self):
        def text(*names):
            data = b""
            for name in names:
                with open(os.path.join(harness.PLATFORM, name), "rb") as one:
                    data += one.read()
            return base64.b64encode(data).decode()
        return json.dumps({
            "pdh": text("pdh.cert"), "cert-chain": text(
                "pek.cert", "oca.cert", "cek.cert")}).encode()

    def test_launches_go_on(self):
        relay = self.relays[0]
        agent = self.run_agent(self.url(relay),
                               self.url(self.rude.port) + "#no-binding")
        self.ready_at(agent, relay)
        tunnel = self.rude.next()
        for work in self.flood, self.drain:
            threading.Thread(target=work, args=(tunnel,),
                             daemon=True).start()
        harness.eventually(lambda: self.sent > 1500)
        lab = relay.aim()
        body = self.lab_body()
        for _ in range(15):
            status, _, _ = lab.curl("/vm/%s/launch" % self.vm, body)
            self.assertEqual(status, 200)
        self.launch_by(relay)
        sent = self.sent
        harness.eventually(lambda: self.sent > sent)
        self.assertIsNone(agent.child.poll())


@unittest.skipIf(os.geteuid() != 0, "a hosts file of its own takes root")
class Names(AgentRelays):
    """One name, a relay at each of its addresses, which change."""

    addresses = ("127.0.0.1", "127.0.0.2", "127.0.0.3")
    host = "relays.test"

    def setUp(self):
        self.port = 0
        super().setUp()

    def new_relay(self, i):
        lab = self.lab
        if i == 0:
            lab.server = lab.ca.issue(self.host, [
                "DNS:" + self.host, "DNS:" + lab.name])
        else:
            self.port = self.relays[0].public
        relay = super().new_relay(i)
        lab.public = self.addresses[i]
        relay.public = self.port
        return relay

    def name(self, *addresses):
        """What the name means from now on; written in place, as it is
        mounted."""
        with open(self.lab.path("hosts"), "w", encoding="ascii") as out:
            for address in addresses:
                out.write("%s %s\n" % (address, self.host))

    def start_agent(self):
        self.owner.process = harness.Process("owner", [
            "unshare", "-m", "sh", "-c",
            'mount --bind "$0" /etc/hosts && exec "$@"',
            self.lab.path("hosts"), os.path.join(harness.BIN, "attest-agent"),
            "--state", self.owner.state, "run", "--relay",
            "wss://%s:%d/sev" % (self.host, self.port), "--ca",
            self.lab.ca.cert], self.owner.log)
        return self.owner.process

    def ready_by(self, agent, address, since=0):
        agent.wait_line(r"ready: relay .*\(%s\)" % address.replace(".", r"\."),
                        since)

    def test_every_address(self):
        self.name(*self.addresses)
        agent = self.start_agent()
        for address in self.addresses:
            self.ready_by(agent, address)
        for relay in self.relays:
            self.launch_by(relay)
        self.launch_split(self.relays[0], self.relays[1])

    def test_addresses_change(self):
        a, b, c = self.addresses
        self.name(a, b)
        agent = self.start_agent()
        self.ready_by(agent, a)
        self.ready_by(agent, b)
        # Looked up again when a tunnel ends: b goes, c comes, a stays.
        self.name(a, c)
        self.relays[1].kill()
        self.ready_by(agent, c)
        self.launch_split(self.relays[0], self.relays[2])
        self.wait_status([(a, "ready"), (c, "ready")], "address", "state")
        self.assertEqual(self.relays[0].process.output().count(": up: "), 1)

    def test_name_without_address(self):
        self.name()
        agent = self.start_agent()
        agent.wait_line(r"tunnel: .*%s.*next try" % self.host)
        self.assertIn("waiting", self.owner.cli("status", ok=(1,)).stdout)
        self.name(self.addresses[1])
        self.ready_by(agent, self.addresses[1])
        self.launch_by(self.relays[1])


if __name__ == "__main__":
    unittest.main(verbosity=2)
