"""T20, T21, T23: slow, rude and silent peers are bounded, and a good one beside
them is served."""

import os
import socket
import ssl
import struct
import threading
import time
import unittest

import fake_agent
import harness
from relay_case import RelayCase


def ended(sock, timeout=30):
    """Does the peer end this raw socket? Bytes that still come are dropped."""
    sock.settimeout(timeout)
    try:
        while sock.recv(65536):
            pass
    except TimeoutError:
        return False
    except OSError:
        pass
    return True


class Slow(RelayCase):
    extra = ("timeouts: {handshake: 800ms, head: 700ms, body: 1200ms, "
             "idle: 900ms, stall: 1s}\n")

    def raw(self, port=None):
        s = socket.create_connection(
            ("127.0.0.1", port or self.lab.relay_internal), 60)
        self.open.append(s)
        return s

    def test_t20_a_silent_connection_ends(self):
        for port in (self.lab.relay_internal, self.lab.relay_public):
            before = time.monotonic()
            self.assertTrue(ended(self.raw(port)))
            self.assertLess(time.monotonic() - before, 10)

    def test_t20_half_a_handshake_ends(self):
        s = self.raw()
        s.sendall(b"\x16\x03\x01\x02\x00\x01")
        self.assertTrue(ended(s))

    def test_what_is_not_tls_ends_at_once(self):
        for data in (b"GET / HTTP/1.1\r\n\r\n", os.urandom(4096),
                     b"\x80" * 100):
            s = self.raw()
            s.sendall(data)
            self.assertTrue(ended(s))

    def test_t20_a_head_byte_by_byte_ends(self):
        c = self.client()
        head = self.head(length=0).encode()
        began = time.monotonic()
        try:
            for i in range(len(head) - 1):
                c.send(head[i:i + 1])
                time.sleep(0.02)  # the pace of a slow client
                if time.monotonic() - began > 20:
                    self.fail("still listened to")
        except OSError:
            pass
        self.assertTrue(c.at_end())
        self.assertLess(time.monotonic() - began, 15)

    def test_t20_a_connection_without_a_request_ends(self):
        c = self.client()
        self.assertTrue(c.at_end())
        c = self.client()
        self.echo()
        self.assertEqual(self.ask(client=c).status, 200)
        self.assertTrue(c.at_end())

    def test_t20_a_body_that_stops_or_crawls_ends(self):
        echo = self.echo()
        c = self.client()
        c.send(self.head(length=1000) + "x" * 500)
        self.assertTrue(c.at_end())
        c = self.client()
        c.send(self.head(length=60000))
        began = time.monotonic()
        try:
            while time.monotonic() - began < 20:
                c.send(b"x")
                time.sleep(0.01)  # the pace of a slow client
            self.fail("still listened to")
        except OSError:
            pass
        self.assertLess(time.monotonic() - began, 15)
        self.assertEqual(echo.requests, [])

    def test_t20_an_agent_that_says_nothing_ends(self):
        t = self.tunnel(hello=False)
        self.assertEqual(t.wait_close(), 4408)

    def test_a_good_host_beside_many_bad_ones(self):
        self.echo()
        bad = [self.raw() for _ in range(120)]
        for s in bad[:40]:
            s.sendall(b"\x16\x03\x01\x02\x00\x01")
        half = [self.client() for _ in range(20)]
        for c in half:
            c.send(self.head(length=60000)[:-5])
        c = self.client()
        for i in range(50):
            self.assertEqual(self.ask(b"%d" % i, client=c).body, b"%d" % i)

    def test_a_host_that_does_not_read(self):
        self.echo(lambda r: {"body": b"x" * 65536})
        c = self.client()
        c.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        text = self.head(length=0).encode()
        began = time.monotonic()
        c.sock.settimeout(20)
        try:
            while time.monotonic() - began < 20:
                c.send(text)
        except OSError:
            pass
        # What it sends ahead is not read for ever, and in the end it is out.
        self.assertLess(time.monotonic() - began, 20)
        good = self.client()
        self.assertEqual(self.ask(client=good).status, 200)


class Flood(RelayCase):
    extra = ("limits: {handshakes: 8, handshakes-per-block: 4, "
             "connections-per-address: 30}\ntimeouts: {handshake: 2s}\n")

    def test_t20_handshakes_of_one_block_are_bounded(self):
        raw = []
        for _ in range(20):
            s = socket.create_connection(
                ("127.0.0.1", self.lab.relay_internal), 60)
            raw.append(s)
            self.open.append(s)
        # All but four are closed without a wait.
        began = time.monotonic()
        closed = sum(ended(s, 0.05) for s in raw)
        self.assertGreaterEqual(closed, 10)
        self.assertLess(time.monotonic() - began, 10)
        for s in raw:
            self.assertTrue(ended(s))
        self.echo()
        self.assertEqual(self.ask(b"x").body, b"x")

    def test_t20_connections_of_one_address_are_bounded(self):
        held, refused = [], 0
        for _ in range(40):
            try:
                held.append(self.client())
            except (ssl.SSLError, OSError):
                refused += 1
        self.assertEqual((len(held), refused), (30, 10))
        held.pop().close()

        def let_in():
            try:
                held.append(self.client())
            except (ssl.SSLError, OSError):
                return False
            return True
        # The relay does not say when the one that left is counted out.
        harness.eventually(let_in)
        self.assertEqual(len(held), 30)


class LongHello(RelayCase):
    extra = "timeouts: {handshake: 600s}\n"

    def test_t21_a_hello_without_end_is_not_kept(self):
        """128 KiB of it would be waited for, and kept, for each stranger."""
        hello = bytes([1]) + (131000).to_bytes(3, "big") + bytes(100000)
        for port in self.lab.relay_public, self.lab.relay_internal:
            with socket.create_connection(("127.0.0.1", port), 20) as s:
                for at in range(0, len(hello), 16000):
                    piece = hello[at:at + 16000]
                    try:
                        s.sendall(b"\x16\x03\x01" +
                                  len(piece).to_bytes(2, "big") + piece)
                    except ConnectionError:
                        break
                self.assertTrue(ended(s))


class Sides(RelayCase):
    """Strangers on the public side do not shut out the hosts."""

    extra = ("limits: {connections: 16, handshakes: 4}\n"
             "timeouts: {handshake: 20s, head: 20s}\n")

    def test_half_open_public_handshakes_leave_the_hosts_theirs(self):
        self.echo()
        for _ in range(8):
            self.open.append(socket.create_connection(
                ("127.0.0.1", self.lab.relay_public), 60))
        began = time.monotonic()
        self.assertEqual(self.ask(b"x").body, b"x")
        self.assertLess(time.monotonic() - began, 10)

    def test_public_connections_leave_the_hosts_an_eighth(self):
        held = []
        for _ in range(20):
            try:
                held.append(self.client(port=self.lab.relay_public))
            except (ssl.SSLError, OSError):
                pass
        self.assertEqual(len(held), 14)
        c = self.client()
        c.send("GET /sev/.well-known/attest-relay HTTP/1.1\r\n"
               "Host: localhost\r\n\r\n")
        self.assertEqual(c.answer().status, 200)


class Pings(RelayCase):
    """Memory that peers who do not read could take by asking for answers."""

    def flood(self, t, ping, size):
        """Send ${ping} over and over; the bytes that the relay took."""
        many, sent = ping * (1 + 60000 // len(ping)), 0
        t.ws.sock.settimeout(2)
        try:
            while sent < size:
                t.ws.send_raw(many)
                sent += len(many)
        except TimeoutError:
            pass
        return sent

    def test_t21_pongs_are_left_out_and_do_not_pile_up(self):
        t = self.tunnel(hello=False)
        size = 16 * 10 ** 6
        ping = t.ws.encode(bytes(125), opcode=9)
        self.assertGreaterEqual(self.flood(t, ping, size), size)
        self.assertNotIn("reads too slowly", self.lab.relay.output())

    def test_t21_an_agent_that_does_not_read_is_not_read(self):
        t = self.tunnel()
        size = 40 * 10 ** 6
        ping = t.ws.encode(
            struct.pack(">BBHI", fake_agent.PING, 0, 0, 0) + bytes(8))
        self.assertLess(self.flood(t, ping, size), size)
        self.assertNotIn("down:", self.lab.relay.output())


class Memory(RelayCase):
    extra = "limits: {memory: 2MiB}\n"

    def test_t21_over_the_budget_new_work_is_refused(self):
        t = self.tunnel(claim=[self.vm])
        busy, refused = [], 0
        for _ in range(40):
            c = self.client()
            c.send(self.head(length=65536).encode() + bytes(65536))
            c.sock.settimeout(0.3)
            try:
                answer = c.answer()
                self.problem(answer, 503, "overloaded")
                self.assertIn("retry-after", answer.fields)
                refused += 1
                c.close()
            except TimeoutError:
                busy.append(c)
        self.assertGreater(refused, 5)
        self.assertGreater(len(busy), 5)
        fake_agent.Echo(t, lambda r: {"body": b"ok"})
        for c in busy:
            c.sock.settimeout(60)
            self.assertEqual(c.answer().body, b"ok")
            c.close()
        for _ in range(100):
            if self.ask(b"x").status == 200:
                break
        else:
            self.fail("the budget is not given back")

    def test_t21_an_upload_without_end_costs_nothing(self):
        c = self.client()
        before = self.resident()
        c.sock.settimeout(5)
        c.send(self.head(length=10 ** 10))
        sent = 0
        try:
            while sent < 200 * 10 ** 6:
                c.send(bytes(65536))
                sent += 65536
        except OSError:
            pass
        self.assertLess(sent, 50 * 10 ** 6)
        self.assertLess(self.resident() - before, 4 * 1024)

    def resident(self):
        with open("/proc/%d/status" % self.lab.relay.child.pid,
                  encoding="ascii") as lines:
            for line in lines:
                if line.startswith("VmRSS:"):
                    return int(line.split()[1])
        raise AssertionError("no VmRSS")


if __name__ == "__main__":
    unittest.main()
