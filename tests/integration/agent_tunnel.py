"""The agent's end of the tunnel against a relay that is played here."""

import base64
import json
import os
import struct
import time
import unittest
import uuid

import agent_relay
import fake_agent as wire
import harness

REFUSED_UNPROCESSED = 2  # RESET, docs/protocol.md 12.4


class Tunnels(unittest.TestCase):
    def setUp(self):
        self.lab = harness.Lab()
        self.addCleanup(self.lab.close)
        self.owner = self.lab.agent()
        self.vm = self.owner.add("web1", harness.new_passphrase())
        self.relay = agent_relay.Relay(*self.lab.server)
        self.addCleanup(self.relay.close)
        self.agent = harness.Process("owner", [
            os.path.join(harness.BIN, "attest-agent"), "--state",
            self.owner.state, "run", "--allow-no-binding", "--relay",
            "wss://localhost:%d/sev" % self.relay.port, "--ca",
            self.lab.ca.cert], self.lab.path("owner.log"))
        self.addCleanup(self.agent.kill)
        self.tunnel = self.relay.next()
        self.agent.wait_line("ready: relay")

    def path(self, verb):
        return "/vm/%s/%s" % (self.vm, verb)

    def launch_body(self):
        def read(name):
            with open(os.path.join(harness.PLATFORM, name), "rb") as data:
                return data.read()

        def text(data):
            return base64.b64encode(data).decode()
        return json.dumps({
            "pdh": text(read("pdh.cert")),
            "cert-chain": text(read("pek.cert") + read("oca.cert") +
                               read("cek.cert"))}).encode()

    def test_claims(self):
        self.assertEqual(self.tunnel.vms, [uuid.UUID(self.vm).bytes])
        self.assertNotIn("permessage-deflate", self.tunnel.head.lower())

    def test_body_in_pieces(self):
        """DATA frames, and WebSocket messages in fragments."""
        body = self.launch_body()
        self.tunnel.request(1, self.path("launch"), body, pieces=1)
        status, answer = self.tunnel.response(1)
        self.assertEqual(status, 200)
        self.assertEqual(json.loads(answer)["policy"], 1)
        self.tunnel.request(3, self.path("launch"), body, pieces=7)
        self.assertEqual(self.tunnel.response(3)[0], 200)
        head = agent_relay.frame(wire.REQUEST, 5, wire.tlvs(
            (wire.T_METHOD, b"POST"), (wire.T_PATH, self.path("launch")
                                       .encode()),
            (wire.T_HEADERS, b""), (wire.T_BODY_LENGTH, struct.pack(
                ">I", len(body))), (wire.T_DEADLINE, struct.pack(">I", 9999)),
            (wire.T_BODY, body)), 1)
        third = len(head) // 3
        self.tunnel.send(head[:third], opcode=2, fin=False)
        self.tunnel.send(head[third:2 * third], opcode=0, fin=False)
        self.tunnel.send(head[2 * third:], opcode=0, fin=True)
        self.assertEqual(self.tunnel.response(5)[0], 200)

    def test_not_mine_and_too_large(self):
        other = "/vm/%s/launch" % uuid.uuid4()
        self.tunnel.request(1, other, self.launch_body())
        stream, payload = self.tunnel.next(wire.RESET)
        self.assertEqual(stream, 1)
        self.assertEqual(wire.parse_tlvs(payload)[wire.T_CODE],
                         struct.pack(">I", 3))
        self.tunnel.send(agent_relay.frame(wire.REQUEST, 3, wire.tlvs(
            (wire.T_METHOD, b"POST"),
            (wire.T_PATH, self.path("launch").encode()),
            (wire.T_HEADERS, b""),
            (wire.T_BODY_LENGTH, struct.pack(">I", 65537)),
            (wire.T_DEADLINE, struct.pack(">I", 9999)))))
        stream, payload = self.tunnel.next(wire.RESET)
        self.assertEqual(stream, 3)
        self.assertEqual(wire.parse_tlvs(payload)[wire.T_CODE],
                         struct.pack(">I", 4))
        self.tunnel.request(5, self.path("launch"), b" " * 65536, pieces=5)
        self.assertEqual(self.tunnel.response(5)[0], 400)

    def test_grease(self):
        """12.7: what need not be understood is passed over."""
        self.tunnel.send(agent_relay.frame(0x91, 7, b"grease"))
        self.tunnel.send(agent_relay.frame(0xff, 0, b""))
        self.tunnel.request(1, self.path("launch"), b"{}", flags=0xf1)
        self.assertEqual(self.tunnel.response(1)[0], 422)

    def test_make_before_break(self):
        """12.5: a new tunnel first; what is open ends on the old one."""
        body = self.launch_body()
        half = len(body) // 2
        self.tunnel.send(agent_relay.frame(wire.REQUEST, 1, wire.tlvs(
            (wire.T_METHOD, b"POST"),
            (wire.T_PATH, self.path("launch").encode()),
            (wire.T_HEADERS, b""),
            (wire.T_BODY_LENGTH, struct.pack(">I", len(body))),
            (wire.T_DEADLINE, struct.pack(">I", 30000)),
            (wire.T_BODY, body[:half]))))
        mark = self.agent.mark()
        self.tunnel.goaway(1, 1)
        fresh = self.relay.next()
        self.agent.wait_line("ready: relay", mark)
        self.tunnel.send(agent_relay.frame(wire.DATA, 1, body[half:], 1))
        self.assertEqual(self.tunnel.response(1)[0], 200)
        self.assertEqual(self.tunnel.end(), 1000)
        fresh.request(1, self.path("launch"), b"{}")
        self.assertEqual(fresh.response(1)[0], 422)
        self.assertNotIn("next try", self.agent.output())

    def test_goaway_window(self):
        """12.5: not before the window opens, so that the agents of a relay
        that ends do not all come at once."""
        low, high = 1.5, 1.6
        sent = time.monotonic()
        self.tunnel.goaway(1, 1, int(low * 1000), int(high * 1000))
        fresh = self.relay.next()
        waited = time.monotonic() - sent
        # The agent counts whole milliseconds.  How late a slow machine is
        # says nothing.
        self.assertGreater(waited, low - 0.001)
        self.assertLess(waited, high + 10)
        fresh.request(1, self.path("launch"), b"{}")
        self.assertEqual(fresh.response(1)[0], 422)

    def test_rude_relays(self):
        """What breaks the protocol ends the tunnel, with the right code, and
        the agent comes back."""
        rude = (
            ("text", lambda t: t.send(b"hello", opcode=1), 4400),
            ("unknown frame", lambda t: t.send(
                agent_relay.frame(0x7f, 0, b"")), 4401),
            ("short", lambda t: t.send(b"\x10\0\0"), 4401),
            ("even stream", lambda t: t.request(
                2, self.path("launch"), b"{}"), 4401),
            ("too long", lambda t: t.send(bytes(20000)), None),
            ("second welcome", lambda t: t.send(agent_relay.frame(
                wire.WELCOME, 0, wire.tlvs(
                    (3, b"\0\0"), (0x20, b"x"),
                    (0x21, struct.pack(">I", 20000)),
                    (0x22, struct.pack(">Q", 2))))), 4401),
        )
        tunnel = self.tunnel
        for name, act, code in rude:
            with self.subTest(name):
                mark = self.agent.mark()
                act(tunnel)
                got = tunnel.end()
                if code is not None:
                    self.assertEqual(got, code)
                tunnel = self.relay.next()
                self.agent.wait_line("ready: relay", mark)
        tunnel.request(1, self.path("launch"), b"{}")
        self.assertEqual(tunnel.response(1)[0], 422)

    def test_hostile_words(self):
        """T30: what a relay says reaches no terminal as it is, is JSON all
        the same, and does not fill the log."""
        for _ in range(100):
            self.tunnel.notice(b"\x1b]0;notice\x07")
            self.tunnel.goaway(1, 1, 60000, 60000)
        self.tunnel.request(1, self.path("launch"), b"{}")
        self.assertEqual(self.tunnel.response(1)[0], 422)
        # Lines may be read after the answer that they came before.
        harness.eventually(lambda: self.agent.output().count("notice") >= 16)
        self.agent.wait_line("going away")
        self.assertEqual(self.agent.output().count("notice"), 16)
        self.assertEqual(self.agent.output().count("going away"), 1)
        for why in (b"\x1b[2Jgone\x07", b"gone \xff\xfe",
                    b"gone" + b"\xc3" * 119):
            mark = self.agent.mark()
            self.tunnel.close(4000, why)
            self.agent.wait_line("gone", mark)
            done = self.owner.cli("status", "--json", ok=(0, 1))
            error = json.loads(done.stdout)["last-error"]
            self.assertTrue(error == "" or "gone" in error, error)
            plain = self.owner.cli("status", ok=(0, 1)).stdout
            self.assertNotIn("\x1b", plain + self.agent.output())
            self.tunnel = self.relay.next()
            self.agent.wait_line("ready: relay", mark)

    def test_sent_away_again_and_again(self):
        """A relay that sends every tunnel away is dialled ever less."""
        tunnel = self.tunnel
        for _ in range(3):
            mark = self.agent.mark()
            tunnel.goaway(1, 1)
            tunnel = self.relay.next()
            self.agent.wait_line("ready: relay", mark)
        self.assertIn("going away", self.agent.output())

    def test_flood_of_cancelled_requests(self):
        """Requests and RESETs as fast as they go: what is too much is
        refused, and the agent serves on."""
        body = b" " * 60000
        reset = wire.tlvs((wire.T_CODE, struct.pack(">I", 1)))
        for stream in range(1, 4001, 2):
            self.tunnel.request(stream, self.path("launch"), body, pieces=4)
            self.tunnel.send(agent_relay.frame(wire.RESET, stream, reset))
        # While the flood is worked off, a request may be refused, with the
        # word that it may be sent again.
        stream = 4001
        while True:
            self.tunnel.request(stream, self.path("launch"), b"{}")
            kind, payload = self.tunnel.end_of(stream)
            if kind == wire.RESPONSE:
                break
            self.assertEqual(wire.parse_tlvs(payload)[wire.T_CODE],
                             struct.pack(">I", REFUSED_UNPROCESSED))
            stream += 2
        self.assertEqual(wire.parse_tlvs(payload)[wire.T_STATUS],
                         struct.pack(">H", 422))
        self.assertEqual(self.agent.child.poll(), None)

    def test_final_codes(self):
        for code in (4402, 4409, 4426):
            with self.subTest(code):
                self.tunnel.close(code)
                self.agent.wait_line(r"stopped: .*%d" % code)
                self.assertEqual(self.agent.wait(), 4)
                if code != 4426:
                    self.agent = harness.Process(
                        "owner", self.agent.child.args,
                        self.lab.path("owner.log"))
                    self.addCleanup(self.agent.kill)
                    self.tunnel = self.relay.next()

    def test_removed_vm_is_given_back(self):
        self.owner.cli("vm", "remove", "web1")
        _, payload = self.tunnel.next(wire.UNCLAIM)
        self.assertEqual(wire.parse_tlvs(payload)[wire.T_UUIDS],
                         uuid.UUID(self.vm).bytes)

    def test_end(self):
        """SIGTERM: the tunnel is closed in order."""
        self.assertEqual(self.agent.stop(), 0)
        self.assertEqual(self.tunnel.end(), 1000)


class Claims(unittest.TestCase):
    """12.2: one CLAIM has one mode and one rank."""

    def setUp(self):
        self.lab = harness.Lab()
        self.addCleanup(self.lab.close)
        self.owner = self.lab.agent()
        self.relay = agent_relay.Relay(*self.lab.server, claims=0)
        self.addCleanup(self.relay.close)

    def add(self, *args):
        vm = str(uuid.uuid4())
        self.owner.cli("vm", "add", vm, "--policy", "1", "--digest", "0" * 64,
                       "--any-platform", "--no-secret", *args)
        return uuid.UUID(vm).bytes

    def run_agent(self):
        agent = harness.Process("owner", [
            os.path.join(harness.BIN, "attest-agent"), "--state",
            self.owner.state, "run", "--allow-no-binding", "--relay",
            "wss://localhost:%d/sev" % self.relay.port, "--ca",
            self.lab.ca.cert], self.lab.path("owner.log"))
        self.addCleanup(agent.kill)
        return agent, self.relay.next()

    def test_modes_and_ranks(self):
        ranks = (("7",), (), ("0",), ("7",), (), ("65535",))
        vms = [self.add(*(("--shared-rank", *rank) if rank else ()))
               for rank in ranks]
        agent, tunnel = self.run_agent()
        for _ in range(4):
            tunnel.claimed(tunnel.claim())
        agent.wait_line("ready: relay")
        self.assertEqual(
            [(mode, rank, sorted(got)) for mode, rank, got in tunnel.claims],
            [(0, None, sorted((vms[1], vms[4]))), (1, 0, [vms[2]]),
             (1, 7, sorted((vms[0], vms[3]))), (1, 65535, [vms[5]])])
        # Another rank is another claim.
        name = str(uuid.UUID(bytes=vms[2]))
        self.owner.cli("vm", "remove", name)
        _, payload = tunnel.next(wire.UNCLAIM)
        self.assertEqual(wire.parse_tlvs(payload)[wire.T_UUIDS], vms[2])
        self.owner.cli("vm", "add", name, "--policy", "1", "--digest",
                       "0" * 64, "--any-platform", "--no-secret",
                       "--shared-rank", "9")
        tunnel.claimed(tunnel.claim())
        self.assertEqual(tunnel.claims[-1], (1, 9, [vms[2]]))

    def test_many_ranks(self):
        """At most 64 CLAIMs wait for their answers (12.4)."""
        vms = [self.add("--shared-rank", str(i)) for i in range(66)]
        agent, tunnel = self.run_agent()
        waiting = [tunnel.claim() for _ in range(64)]
        for i in (64, 65):
            tunnel.claimed(waiting.pop(0))
            waiting.append(tunnel.claim())
            self.assertEqual(tunnel.claims[i], (1, i, [vms[i]]))
        for claim in waiting:
            self.assertNotIn("ready: relay", agent.output())
            tunnel.claimed(claim)
        agent.wait_line("ready: relay")


if __name__ == "__main__":
    unittest.main(verbosity=2)
