"""Agents and the relay: upgrade, hello, claims (docs/protocol.md 12)."""

import os
import struct
import time
import unittest
import uuid

import fake_agent
from fake_agent import (CHALLENGE, CLAIM, GOAWAY, HELLO, NOTICE, PING, PONG,
                        REQUEST, WELCOME, Closed, Key, Socket, Tunnel,
                        parse_tlvs, self_certifying, tlvs)
from relay_case import RelayCase


class Upgrade(RelayCase):
    def test_what_is_no_upgrade_is_refused(self):
        good = ("Upgrade: websocket\r\nConnection: Upgrade\r\n"
                "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
                "Sec-WebSocket-Version: 13\r\n"
                "Sec-WebSocket-Protocol: attest-relay.v1\r\n")
        table = [
            ("", 426), (good.replace("Version: 13", "Version: 8"), 426),
            (good.replace("AAAAAAAAAAAAAAAAAAAAAA==", "AAAA"), 400),
            (good.replace("attest-relay.v1", "attest-relay.v9"), 400),
            (good.replace("Sec-WebSocket-Protocol: attest-relay.v1\r\n", ""),
             400),
        ]
        for extra, status in table:
            with self.subTest(extra):
                c = self.client(self.lab.relay_public)
                c.send(self.head("GET", path="/sev/agent/v1", token=False,
                                 extra=extra))
                answer = c.answer()
                self.problem(answer, status,
                             "http-426" if status == 426 else "bad-request")
                # What would have been taken (12.1; RFC 9110 15.5.22).
                if status == 426:
                    self.assertEqual(answer.fields["upgrade"], "websocket")
                    self.assertEqual(answer.fields["sec-websocket-version"],
                                     "13")
                else:
                    self.assertEqual(answer.fields["sec-websocket-protocol"],
                                     "attest-relay.v1")
        c = self.client(self.lab.relay_public)
        c.send(self.head("GET", path="/sev/agent/v1", token=False,
                         extra=good))
        self.assertEqual(c.answer().status, 101)

    def test_t22_extensions_are_not_accepted(self):
        ws = Socket(self.lab.relay_public, self.lab.ca.cert, extra=(
            "Sec-WebSocket-Extensions: permessage-deflate\r\n"))
        self.assertEqual(ws.status, 101)
        self.assertNotIn("extensions", ws.head.lower())
        self.assertIn("Sec-WebSocket-Protocol: attest-relay.v1",
                      ws.head.replace("sec-websocket-protocol",
                                      "Sec-WebSocket-Protocol"))
        ws.close()


class Hello(RelayCase):
    def refused(self, **kwargs):
        t = self.tunnel(hello=False, **{k: v for k, v in kwargs.items()
                                        if k == "key"})
        t.send_hello(**{k: v for k, v in kwargs.items() if k != "key"})
        return t.wait_close()

    def test_the_challenge_tells_the_limits(self):
        t = self.tunnel(hello=False)
        c = t.challenge
        self.assertEqual(len(c[1]), 32)
        self.assertEqual(c[2], b"localhost")
        self.assertEqual(struct.unpack(">I", c[5])[0], 16384)
        self.assertEqual(struct.unpack(">I", c[6])[0], 32)
        self.assertEqual(struct.unpack(">I", c[7])[0], 4096)
        self.assertEqual(c[11], b"\0")
        self.assertLess(abs(struct.unpack(">Q", c[4])[0] / 1000 -
                            time.time()), 60)

    def test_a_foreign_key_and_a_wrong_signature_are_told_alike(self):
        signature = os.urandom(64)
        self.assertEqual(self.refused(key=Key()), 4402)
        self.assertEqual(self.refused(signature=signature), 4402)
        # A right signature by another key than the one shown.
        self.assertEqual(self.refused(key=Key(), **{}), 4402)
        other = Key()
        t = self.tunnel(hello=False)
        t.send(HELLO, 0, t.hello_payload(
            signature=other.private.sign(t.hello_text())))
        self.assertEqual(t.wait_close(), 4402)

    def test_t13_a_captured_hello_does_not_work_again(self):
        first = self.tunnel(hello=False)
        captured = first.hello_payload()
        first.send(HELLO, 0, captured)
        self.assertEqual(first.recv()[0], WELCOME)
        second = self.tunnel(hello=False)
        second.send(HELLO, 0, captured)
        self.assertEqual(second.wait_close(), 4402)
        # ... and the first one has not suffered.
        self.assertEqual(first.claim(self.vm), [0])

    def test_every_field_of_the_text_is_signed(self):
        for change in ("nonce", "name", "binding", "subprotocol"):
            t = self.tunnel(hello=False)
            text = bytearray(t.hello_text())
            at = {"nonce": 22, "binding": 54, "name": 89,
                  "subprotocol": len(text) - 1}[change]
            text[at] ^= 1
            t.send_hello(signature=t.key.private.sign(bytes(text)))
            self.assertEqual(t.wait_close(), 4402, change)

    def test_frames_before_the_hello_end_the_tunnel(self):
        for kind, payload in ((CLAIM, b""), (PING, bytes(8)),
                              (0x13, tlvs((0x60, bytes(4))))):
            t = self.tunnel(hello=False)
            t.send(kind, 0, payload)
            self.assertIn(t.wait_close(), (4400, 4401))

    def test_garbage_closes_with_its_code(self):
        t = self.tunnel()
        t.ws.send(b"text", opcode=1)
        self.assertEqual(t.wait_close(), 4400)
        t = self.tunnel()
        t.send(0x05, 0, b"")
        self.assertEqual(t.wait_close(), 4401)
        t = self.tunnel()
        t.ws.send(b"short")
        self.assertEqual(t.wait_close(), 4401)
        t = self.tunnel()
        t.ws.send(bytes(16385))
        self.assertIn(t.wait_close(), (1009, 4401, 4404))
        t = self.tunnel()
        t.ws.send_raw(t.ws.encode(b"x", masked=False))
        self.assertEqual(t.wait_close(), 1002)

    def test_unknown_frames_and_tags_from_the_future_are_ignored(self):
        t = self.tunnel()
        t.send(0x80, 7, b"whatever")
        t.send(0xff, 0, b"")
        t.claim_number += 1
        t.send(CLAIM, t.claim_number, tlvs(
            (0x14, bytes(4)), (0x30, uuid.UUID(self.vm).bytes + b"\0"),
            (0x33, b"\0"), (0x8123, b"future")))
        self.assertEqual(t.recv()[0], 5)
        t.ws.send(b"abc", opcode=9)
        self.assertEqual(t.ws.recv(), (10, b"abc"))
        t.send(PING, 0, b"12345678")
        kind, _, _, payload = t.recv()
        self.assertEqual((kind, payload), (PONG, b"12345678"))


class Binding(RelayCase):
    """With channel-binding on, a hello without the exporter is worthless."""

    def start(self, extra=None):
        self.lab.start_relay(self.tenants(), "channel-binding: on\n")

    def test_a_hello_without_the_exporter_is_refused(self):
        t = self.tunnel(hello=False)
        self.assertEqual(t.challenge[11], b"\1")
        t.send_hello()
        self.assertEqual(t.wait_close(), 4402)
        t = self.tunnel(hello=False)
        t.challenge[11] = b"\0"
        t.send_hello()
        self.assertEqual(t.wait_close(), 4402)


class Claims(RelayCase):
    def tenants(self):
        self.other_key = getattr(self, "other_key", None) or Key()
        self.other_vm = getattr(self, "other_vm", None) or str(uuid.uuid4())
        return {"acme": (self.key_of(self.key), [self.vm]),
                "zeta": (self.key_of(self.other_key), [self.other_vm])}

    def test_t11_only_ones_own(self):
        t = self.tunnel()
        z = self.tunnel(key=self.other_key)
        nobodys = str(uuid.uuid4())
        mine = self_certifying(self.key, b"web1")
        self.assertEqual(t.claim(self.vm, self.other_vm, nobodys,
                                 (mine, b"web1")), [0, 1, 1, 1])
        self.assertEqual(z.claim(self.vm, self.other_vm), [1, 0])

    def test_t11_many_foreign_claims(self):
        echo = self.echo()
        z = self.tunnel(key=self.other_key)
        for _ in range(40):
            self.assertEqual(z.claim(*[self.vm] * 64), [1] * 64)
        self.assertEqual(self.ask(b"x").body, b"x")
        self.assertEqual(len(echo.requests), 1)

    def test_a_request_goes_to_its_owner_only(self):
        a = self.echo()
        t = self.tunnel(key=self.other_key)
        t.claim(self.other_vm)
        z = fake_agent.Echo(t, lambda r: {"body": b"zeta"})
        self.assertEqual(self.ask(b"x").body, b"x")
        self.assertEqual(self.ask(b"x", vm=self.other_vm).body, b"zeta")
        self.assertEqual((len(a.requests), len(z.requests)), (1, 1))

    def test_unclaim(self):
        echo = self.echo()
        self.assertEqual(self.ask(b"x").status, 200)
        echo.tunnel.send(6, 0, tlvs((0x32, uuid.UUID(self.vm).bytes)))
        # The order of frames on one tunnel is the order of their effect.
        echo.tunnel.send(PING, 0, bytes(8))
        c = self.client()
        c.send(self.head(length=0))
        self.lab.relay.wait_line("claims 1, denied 0")
        t = self.tunnel(claim=[self.vm])
        fake_agent.Echo(t, lambda r: {"body": b"second"})
        self.assertEqual(c.answer().body, b"second")

    def test_the_newest_tunnel_of_a_key_wins(self):
        old = self.tunnel(claim=[self.vm])
        new = self.echo()
        kind, _, _, payload = old.recv()
        self.assertEqual(kind, GOAWAY)
        self.assertEqual(parse_tlvs(payload)[0x60], struct.pack(">I", 2))
        self.assertEqual(old.wait_close(), 4409)
        self.assertEqual(self.ask(b"x").body, b"x")
        self.assertEqual(len(new.requests), 1)

    def test_a_superseded_tunnel_finishes_what_it_has(self):
        old = self.tunnel(claim=[self.vm])
        c = self.client()
        c.send(self.head(length=0))
        stream = old.request()[0]
        new = self.echo(lambda r: {"body": b"new"})
        self.assertEqual(old.recv()[0], GOAWAY)
        self.assertEqual(self.ask(b"x").body, b"new")
        old.respond(stream, body=b"old")
        self.assertEqual(c.answer().body, b"old")
        self.assertEqual(old.wait_close(), 4409)
        self.assertEqual(len(new.requests), 1)

    def test_two_agents_of_one_key_are_told(self):
        for _ in range(4):
            t = self.tunnel()
        kind, _, _, payload = t.recv()
        self.assertEqual(kind, NOTICE)
        self.assertEqual(parse_tlvs(payload)[0x60], struct.pack(">I", 1))


class SelfCertifying(RelayCase):
    def start(self, extra=None):
        path = self.lab.relay_config(self.tenants(),
                                     "channel-binding: off\n")
        with open(path, encoding="ascii") as f:
            text = f.read()
        text = text.replace("    vms:", "    self-certifying: yes\n    vms:")
        with open(path, "w", encoding="ascii") as f:
            f.write(text)
        import harness
        self.lab.relay = harness.Process("relay", [
            os.path.join(harness.BIN, "attest-relay"), "--config", path],
            os.path.join(self.lab.folder, "relay.log"))
        found = self.lab.relay.wait_line(
            r"ready: public 127\.0\.0\.1:(\d+), internal 127\.0\.0\.1:(\d+)")
        self.lab.relay_public = int(found.group(1))
        self.lab.relay_internal = int(found.group(2))

    def test_t11_only_from_its_own_key_and_label(self):
        t = self.tunnel()
        mine = self_certifying(self.key, b"web1")
        foreign = self_certifying(Key(), b"web1")
        self.assertEqual(t.claim(
            (mine, b"web1"), (mine, b"web2"), (mine, b""),
            (foreign, b"web1"), (self.vm, b"web1"), self.vm),
            [0, 1, 1, 1, 1, 0])
        echo = fake_agent.Echo(t)
        self.assertEqual(self.ask(b"x", vm=mine).body, b"x")
        self.assertEqual(len(echo.requests), 1)


class Limits(RelayCase):
    extra = "limits: {claims: 3, tenant-tunnels: 1, tenant-claims: 2}\n"

    def tenants(self):
        self.vms = getattr(self, "vms", None) or [
            str(uuid.uuid4()) for _ in range(5)]
        self.second = getattr(self, "second", None) or Key()

        class Owner:
            pass
        owner = Owner()
        owner.key = '%s", "%s' % (self.key.text(), self.second.text())
        return {"acme": (owner, self.vms)}

    def test_the_challenge_tells_the_limits(self):
        def told(tunnel):
            return {tag: int.from_bytes(value, "big") for tag, value in
                    tunnel.challenge.items() if tag in (7, 8, 9, 10)}

        # No REQUEST-RATE without a limit (docs/protocol.md 12.5).
        self.assertEqual(sorted(told(self.tunnel())), [7, 8, 9])
        self.lab.relay.kill()
        self.start(self.extra.replace("}", ", tenant-requests: 200}"))
        limits = told(self.tunnel())
        self.assertEqual((limits[8], limits[9], limits[10]), (2, 1, 200))

    def test_t28_quotas_of_a_tenant(self):
        t = self.tunnel()
        self.assertEqual(t.claim(*self.vms), [0, 0, 1, 1, 1])
        # The same again is no more.
        self.assertEqual(t.claim(*self.vms[:2]), [0, 0])
        other = self.tunnel(key=self.second, hello=False)
        other.send_hello()
        self.assertEqual(other.wait_close(), 4404)
        # Its own key again takes the place of the one before.
        again = self.tunnel()
        self.assertEqual(again.claim(*self.vms), [0, 0, 1, 1, 1])
        again.send(6, 0, tlvs((0x32, uuid.UUID(self.vms[0]).bytes)))
        self.assertEqual(again.claim(self.vms[2]), [0])


if __name__ == "__main__":
    unittest.main()
