"""Requests on their way: waits, deadlines, breaches, drain (docs/protocol.md
2, 8, 9, 12.4 to 12.6)."""

import os
import signal
import struct
import threading
import time
import unittest
import uuid

import fake_agent
from fake_agent import (DATA, END, GOAWAY, NOTICE, PENDING, PING, PONG,
                        REQUEST, RESET, RESPONSE, WINDOW, Key, T_BODY,
                        T_BODY_LENGTH, T_CODE, T_LAST, T_MIN, T_MAX,
                        T_HEADERS, T_STATUS, headers, parse_tlvs, tlvs)
from relay_case import RelayCase


def number(value):
    return struct.pack(">I", value)


class Away(RelayCase):
    extra = "timeouts: {agent-wait: 1500ms}\n"

    def test_t17_unknown_foreign_and_offline_look_the_same(self):
        seen = {}
        t = self.tunnel(claim=[self.vm])
        t.close()
        self.lab.relay.wait_line("down: ")
        c = self.client()
        for name, vm in (("unknown", str(uuid.uuid4())),
                         ("offline", self.vm),
                         ("unknown again", str(uuid.uuid4()))):
            before = time.monotonic()
            answer = self.ask(b"{}", client=c, vm=vm, extra=(
                "Request-Id: r1\r\n"))
            took = time.monotonic() - before
            self.problem(answer, 503, "agent-unavailable")
            # Drawn anew for each, whatever the reason (docs/protocol.md 9).
            self.assertIn(int(answer.fields.pop("retry-after")), range(4, 7))
            self.assertGreaterEqual(took, 1.4)
            self.assertLess(took, 10)
            del answer.fields["date"]
            seen[name] = (answer.status, answer.fields, answer.body)
        self.assertEqual(seen["unknown"], seen["offline"])
        self.assertEqual(seen["unknown"], seen["unknown again"])

    def test_kbs_paths_want_the_capability(self):
        t = self.tunnel(claim=[self.vm])
        self.problem(self.ask(b"{}", verb="kbs/v0/auth"), 503,
                     "agent-unavailable")
        self.assertEqual(t.claim(self.vm, capabilities=1), [0])
        echo = fake_agent.Echo(t, lambda r: {"body": b"{}", "fields": (
            ("set-cookie", "kbs-session-id=1"),)})
        answer = self.ask(b"{}", verb="kbs/v0/auth",
                          extra="Cookie: kbs-session-id=0\r\n")
        self.assertEqual(answer.fields["set-cookie"], "kbs-session-id=1")
        self.assertEqual(echo.requests[0][3]["cookie"], "kbs-session-id=0")
        c = self.client()
        c.send(self.head("GET", verb="kbs/v0/resource/a/b.c/d"))
        self.assertEqual(c.answer().status, 200)
        self.assertEqual(echo.requests[1][1:3], (
            "GET", "/vm/%s/kbs/v0/resource/a/b.c/d" % self.vm))


class KbsBodies(RelayCase):
    """Larger ones on these paths (docs/protocol.md 11), and nowhere else."""

    def test_c11_sizes(self):
        t = self.tunnel()
        self.assertEqual(t.claim(self.vm, capabilities=1), [0])
        for size in 65537, 262143, 262144:
            body = os.urandom(size)
            c = self.client()
            c.send(self.head(verb="kbs/v0/attest", length=size).encode() +
                   body)
            stream, *_, got = t.request()
            self.assertTrue(got == body)
            t.respond_paced(stream, body[::-1])
            answer = c.answer()
            self.assertEqual(answer.status, 200)
            self.assertTrue(answer.body == body[::-1])

    def test_c11_one_more_is_too_much(self):
        t = self.tunnel()
        self.assertEqual(t.claim(self.vm, capabilities=1), [0])
        c = self.client()
        c.send(self.head(verb="kbs/v0/auth", length=262145))
        self.problem(c.answer(), 413, "http-413")
        c = self.client()
        c.send(self.head(length=65537))
        self.problem(c.answer(), 413, "http-413")
        for verb, size in ("kbs/v0/auth", 262145), ("validate", 65537):
            c = self.client()
            c.send(self.head(verb=verb, length=2) + "{}")
            stream, *_ = t.request()
            t.send(RESPONSE, stream, tlvs(
                (T_HEADERS, b""), (T_BODY_LENGTH, number(size)),
                (T_STATUS, struct.pack(">H", 200))))
            self.problem(c.answer(), 502, "agent-protocol")


class Wait(RelayCase):
    extra = "limits: {held-per-source: 3}\n"

    def test_a_request_waits_for_an_agent_that_comes_back(self):
        c = self.client()
        c.send(self.head(length=1) + "x")
        t = self.tunnel(claim=[self.vm])
        fake_agent.Echo(t)
        self.assertEqual(c.answer().body, b"x")

    def test_those_that_wait_are_bounded_per_source(self):
        waiting = [self.client() for _ in range(3)]
        for c in waiting:
            c.send(self.head(length=1) + "x")
        answer = None
        while answer is None and len(waiting) < 10:
            c = self.client()
            c.send(self.head(length=1) + "x")
            c.sock.settimeout(0.5)
            try:
                answer = c.answer()
            except TimeoutError:
                # It was read before one of the others and took its place.
                waiting.append(c)
        self.problem(answer, 503, "overloaded")
        self.echo()
        for c in waiting:
            c.sock.settimeout(60)
        self.assertEqual([c.answer().status for c in waiting].count(200), 3)

    def test_a_host_that_leaves_gives_its_place_back(self):
        for _ in range(12):
            c = self.client()
            c.send(self.head(length=1) + "x")
            c.close()
        self.echo()
        self.assertEqual(self.ask(b"y").body, b"y")


class Streams(RelayCase):
    def test_many_at_once_none_mixed_up(self):
        self.echo()
        errors = []

        def host(n):
            try:
                c = self.client()
                for i in range(25):
                    body = (b"%d-%d|" % (n, i)) * (1 + (n * 37 + i) % 700)
                    answer = self.ask(body, client=c)
                    if answer.status != 200 or answer.body != body:
                        errors.append(answer)
            except Exception as error:
                errors.append(error)

        hosts = [threading.Thread(target=host, args=(n,)) for n in range(48)]
        for one in hosts:
            one.start()
        for one in hosts:
            one.join()
        self.assertEqual(errors, [])

    def test_streams_end_in_any_order(self):
        t = self.tunnel(claim=[self.vm])
        clients, streams = [], []
        for i in range(8):
            c = self.client()
            c.send(self.head(length=1).encode() + b"%d" % i)
            clients.append(c)
            streams.append(t.request())
        self.assertEqual([s[0] for s in streams], list(range(1, 16, 2)))
        for stream in reversed(streams):
            t.respond(stream[0], body=b"for " + stream[4])
        for i, c in enumerate(clients):
            self.assertEqual(c.answer().body, b"for %d" % i)

    def test_more_than_the_agent_takes_are_queued(self):
        t = self.tunnel(claim=[self.vm])
        clients = [self.client() for _ in range(40)]
        for i, c in enumerate(clients):
            c.send(self.head(length=2).encode() + b"%02d" % i)
        got = [t.request() for _ in range(32)]
        t.ws.sock.settimeout(0.3)
        with self.assertRaises(TimeoutError):
            t.recv()
        t.ws.sock.settimeout(60)
        t.respond(got[0][0], body=got[0][4])
        for _ in range(8):
            got.append(t.request())
            t.respond(got[-1][0], body=got[-1][4])
        for request in got[1:32]:
            t.respond(request[0], body=request[4])
        for i, c in enumerate(clients):
            self.assertEqual(c.answer().body, b"%02d" % i)

    def test_a_host_that_leaves_cancels(self):
        t = self.tunnel(claim=[self.vm])
        c = self.client()
        c.send(self.head(length=1) + "x")
        stream = t.request()[0]
        c.close()
        kind, _, got, payload = t.recv()
        self.assertEqual((kind, got), (RESET, stream))
        self.assertEqual(parse_tlvs(payload)[T_CODE], number(1))
        # A late answer harms nobody.
        t.respond(stream, body=b"late")
        fake_agent.Echo(t)
        self.assertEqual(self.ask(b"y").body, b"y")

    def test_t21_one_farewell_is_enough(self):
        t = self.tunnel(claim=[self.vm])
        c = self.client()
        c.send(self.head(length=1) + "x")
        stream = t.request()[0]
        for _ in range(100):
            t.send(GOAWAY, 0, tlvs((T_CODE, number(0)), (0x70, number(stream)),
                                   (0x71, number(0)), (0x72, number(0))))
        t.respond(stream, body=b"bye")
        self.assertEqual(c.answer().body, b"bye")
        self.assertEqual(t.wait_close(), 1000)
        self.lab.relay.wait_line("tunnel acme/.*: down")
        self.assertEqual(len([line for line in self.lab.relay.lines
                              if "the agent is going away" in line]), 1)

    def test_tunnel_lost_is_told(self):
        t = self.tunnel(claim=[self.vm])
        c = self.client()
        c.send(self.head(length=1) + "x")
        t.request()
        t.close()
        answer = c.answer()
        self.problem(answer, 502, "tunnel-lost")
        self.assertEqual(answer.fields["retry-after"], "2")

    def test_half_an_answer_and_then_gone(self):
        t = self.tunnel(claim=[self.vm])
        c = self.client()
        c.send(self.head(length=1) + "x")
        stream = t.request()[0]
        t.send(RESPONSE, stream, tlvs(
            (T_HEADERS, headers()), (T_BODY_LENGTH, number(100)),
            (T_BODY, b"half"), (T_STATUS, struct.pack(">H", 200))))
        t.close()
        self.problem(c.answer(), 502, "tunnel-lost")

    def test_resets_of_the_agent(self):
        t = self.tunnel(claim=[self.vm])
        for code, status, name in ((1, 502, "agent-protocol"),
                                   (4, 413, "http-413"),
                                   (5, 504, "agent-timeout"),
                                   (6, 502, "agent-protocol")):
            c = self.client()
            c.send(self.head(length=1) + "x")
            t.reset(t.request()[0], code)
            self.problem(c.answer(), status, name)

    def test_requests_not_processed_are_sent_again(self):
        t = self.tunnel(claim=[self.vm])
        c = self.client()
        body = os.urandom(40000)
        c.send(self.head(length=len(body)).encode() + body)
        stream = t.request()[0]
        t.reset(stream, 2)
        new = self.tunnel(claim=[self.vm])
        again = new.request()
        self.assertEqual(again[4], body)
        new.respond(again[0], body=again[4])
        self.assertEqual(c.answer().body, body)

    def test_queued_requests_move_to_the_newer_tunnel(self):
        t = self.tunnel(claim=[self.vm])
        clients = [self.client() for _ in range(36)]
        for c in clients:
            c.send(self.head(length=1) + "x")
        got = [t.request() for _ in range(32)]
        fake_agent.Echo(self.tunnel(claim=[self.vm]),
                        lambda r: {"body": b"new"})
        for request in got:
            t.respond(request[0], body=b"old")
        answers = sorted(c.answer().body for c in clients)
        self.assertEqual(answers, [b"new"] * 4 + [b"old"] * 32)

    def test_goaway_of_the_agent(self):
        t = self.tunnel(claim=[self.vm])
        first, second = self.client(), self.client()
        first.send(self.head(length=1) + "1")
        one = t.request()
        second.send(self.head(length=1) + "2")
        t.request()
        t.send(GOAWAY, 0, tlvs((T_CODE, number(0)), (0x70, number(one[0])),
                               (0x71, number(0)), (0x72, number(0))))
        t.respond(one[0], body=b"first")
        self.assertEqual(first.answer().body, b"first")
        self.assertEqual(t.wait_close(), 1000)
        new = self.tunnel(claim=[self.vm])
        again = new.request()
        self.assertEqual(again[4], b"2")
        new.respond(again[0], body=b"second")
        self.assertEqual(second.answer().body, b"second")


class Evil(RelayCase):
    """T19: what an agent says never becomes more than it may be."""

    def answer(self, payload, flags=END, body=b""):
        t = self.tunnel(claim=[self.vm])
        c = self.client()
        c.send(self.head(length=1) + "x")
        stream = t.request()[0]
        t.send(RESPONSE, stream, payload, flags)
        if body:
            t.send(DATA, stream, body, END)
        answer = c.answer()
        self.assertEqual(c.buffer, b"")
        c.close()
        t.close()
        return answer

    def response(self, fields, status=200, length=0, body=None):
        pairs = [(T_HEADERS, headers(*fields)),
                 (T_BODY_LENGTH, number(length)),
                 (T_STATUS, struct.pack(">H", status))]
        if body is not None:
            pairs.append((T_BODY, body))
        return tlvs(*pairs)

    def test_fields_outside_the_list_go_nowhere(self):
        answer = self.answer(self.response((
            ("content-type", "application/json"), ("retry-after", "7"),
            ("location", "/x"), ("set-cookie", "a=b"),
            ("attest-origin", "relay"), ("connection", "close"),
            ("transfer-encoding", "chunked"), ("content-length", "99"),
            ("request-id", "forged"), ("cache-control", "public"),
            ("server", "evil"), ("x-a", "b"))))
        self.assertEqual(answer.status, 200)
        self.assertEqual(sorted(answer.fields), [
            "attest-origin", "cache-control", "content-length",
            "content-type", "date", "location", "request-id", "retry-after"])
        self.assertEqual(answer.fields["attest-origin"], "agent")
        self.assertEqual(answer.fields["content-length"], "0")
        self.assertNotEqual(answer.fields["request-id"], "forged")

    def test_no_control_character_gets_through(self):
        for bad in ("a\r\nX-Evil: 1", "a\rb", "a\nb", "a\0b", "a\x7fb",
                    "\x01", "caf\xe9", "a\r\n\r\nHTTP/1.1 200 OK"):
            with self.subTest(bad):
                answer = self.answer(self.response((("location", bad),)))
                self.assertIn(answer.status, (502,), answer)
                self.assertNotIn("x-evil", answer.fields)
                self.assertNotIn("location", answer.fields)

    def test_bad_names_get_nowhere(self):
        for bad in ("content-type\r\nx", "Content-Type", "a b", "a:", ""):
            with self.subTest(bad):
                answer = self.answer(self.response(((bad, "x"),)))
                self.assertIn(answer.status, (200, 502))
                self.assertNotIn("content-type\r\nx", answer.fields)

    def test_statuses_out_of_range(self):
        for status in (0, 99, 100, 101, 199, 600, 999, 65535):
            with self.subTest(status):
                answer = self.answer(self.response((), status=status))
                self.problem(answer, 502, "agent-protocol")

    def test_no_body_where_http_has_none(self):
        for status in (204, 304):
            answer = self.answer(self.response(
                (), status=status, length=2, body=b"{}"))
            self.problem(answer, 502, "agent-protocol")

    def test_lengths_that_are_not_true(self):
        self.problem(self.answer(self.response((), length=5, body=b"four")),
                     502, "agent-protocol")
        self.problem(self.answer(self.response((), length=5), flags=0,
                                 body=b"four"), 502, "agent-protocol")
        self.problem(self.answer(self.response((), length=5), flags=0,
                                 body=b"sixsix"), 502, "agent-protocol")
        self.problem(self.answer(self.response((), length=2 ** 32 - 1)),
                     502, "agent-protocol")

    def test_three_breaches_in_a_minute_close(self):
        t = self.tunnel(claim=[self.vm])
        for i in range(3):
            c = self.client()
            c.send(self.head(length=1) + "x")
            t.send(RESPONSE, t.request()[0],
                   self.response((), length=2 ** 32 - 1), END)
            self.problem(c.answer(), 502, "agent-protocol")
            if i < 2:
                kind, _, _, payload = t.recv()
                self.assertEqual(kind, RESET)
                self.assertEqual(parse_tlvs(payload)[T_CODE], number(7))
        self.assertEqual(t.wait_close(), 4400)


class NotMine(RelayCase):
    def tenants(self):
        self.second = getattr(self, "second", None) or Key()

        class Owner:
            pass
        owner = Owner()
        owner.key = '%s", "%s' % (self.key.text(), self.second.text())
        return {"acme": (owner, [self.vm])}

    def test_the_next_agent_is_asked(self):
        a, b = self.tunnel(), self.tunnel(key=self.second)
        self.assertEqual(a.claim(self.vm, mode=1, rank=1), [0])
        self.assertEqual(b.claim(self.vm, mode=1, rank=2), [2])
        c = self.client()
        c.send(self.head(length=1) + "x")
        a.reset(a.request()[0], 3)
        request = b.request()
        b.respond(request[0], body=b"b")
        self.assertEqual(c.answer().body, b"b")
        # It made the last launch: its validate comes first to it.
        c.send(self.head(length=1, verb="validate") + "x")
        request = b.request()
        b.reset(request[0], 3)
        request = a.request()
        a.reset(request[0], 3)
        self.problem(c.answer(), 503, "agent-unavailable")

    def test_a_second_agent_that_wants_it_alone_is_denied(self):
        a, b = self.tunnel(), self.tunnel(key=self.second)
        self.assertEqual(a.claim(self.vm), [0])
        self.assertEqual(b.claim(self.vm), [1])
        self.assertEqual(b.claim(self.vm, mode=1, rank=1), [1])
        a.close()
        self.lab.relay.wait_line("down: ")
        self.assertEqual(b.claim(self.vm), [0])


class Deadlines(RelayCase):
    extra = ("timeouts: {agent-answer: 1s, request: 3s, pending: 4s, "
             "agent-wait: 1s}\n")

    def test_a_silent_agent(self):
        t = self.tunnel(claim=[self.vm])
        c = self.client()
        c.send(self.head(length=1) + "x")
        stream = t.request()[0]
        answer = c.answer()
        self.problem(answer, 504, "agent-timeout")
        kind, _, got, payload = t.recv()
        self.assertEqual((kind, got), (RESET, stream))
        self.assertEqual(parse_tlvs(payload)[T_CODE], number(5))

    def test_pending_extends_up_to_its_own_limit(self):
        t = self.tunnel(claim=[self.vm])
        c = self.client()
        before = time.monotonic()
        c.send(self.head(length=1) + "x")
        stream = t.request()[0]
        t.send(PENDING, stream, tlvs((0x63, b"\1"), (0x64, number(60000))))
        self.problem(c.answer(), 504, "agent-timeout")
        self.assertGreaterEqual(time.monotonic() - before, 3.9)

    def test_pending_and_then_an_answer(self):
        t = self.tunnel(claim=[self.vm])
        c = self.client()
        c.send(self.head(length=1) + "x")
        stream = t.request()[0]
        t.send(PENDING, stream, tlvs((0x63, b"\1"), (0x64, number(3000))))
        c.sock.settimeout(1.3)
        with self.assertRaises(TimeoutError):
            c.answer()
        c.sock.settimeout(60)
        t.respond(stream, body=b"late")
        self.assertEqual(c.answer().body, b"late")


class Drain(RelayCase):
    extra = "workers: 3\n"

    def test_requests_under_way_are_answered(self):
        t = self.tunnel(claim=[self.vm])
        c, idle = self.client(), self.client()
        c.send(self.head(length=1) + "x")
        stream = t.request()[0]
        self.lab.relay.child.send_signal(signal.SIGTERM)
        kind, _, _, payload = t.recv()
        self.assertEqual(kind, GOAWAY)
        fields = parse_tlvs(payload)
        self.assertEqual(fields[T_CODE], number(1))
        self.assertEqual(fields[0x70], number(stream))
        self.assertEqual(fields[0x72], number(500))
        self.assertTrue(idle.at_end())
        with self.assertRaises((ConnectionError, OSError)):
            self.client()
        t.respond(stream, body=b"done")
        answer = c.answer()
        self.assertEqual(answer.body, b"done")
        self.assertEqual(answer.fields["connection"], "close")
        self.assertEqual(t.wait_close(), 1001)
        for one in self.open:
            one.close()
        self.assertEqual(self.lab.relay.wait(), 0)

    def test_a_tunnel_stays_until_the_agent_leaves_it(self):
        """12.5: make before break; and whoever is done keeps nobody."""
        t = self.tunnel(claim=[self.vm])
        before = time.monotonic()
        self.lab.relay.child.send_signal(signal.SIGTERM)
        self.assertEqual(t.recv()[0], GOAWAY)
        t.send(PING, 0, b"8 bytes!")
        self.assertEqual(t.recv()[0], PONG)
        t.ws.send(struct.pack(">H", 1000), opcode=8)
        self.assertEqual(t.wait_close(), 1000)
        t.close()
        self.assertEqual(self.lab.relay.wait(), 0)
        self.assertLess(time.monotonic() - before, 10)

    def test_an_agent_that_stays_is_closed_behind_the_window(self):
        t = self.tunnel(claim=[self.vm])
        before = time.monotonic()
        self.lab.relay.child.send_signal(signal.SIGTERM)
        self.assertEqual(t.recv()[0], GOAWAY)
        self.assertEqual(t.wait_close(), 1001)
        self.assertGreater(time.monotonic() - before, 1.4)
        t.close()
        self.assertEqual(self.lab.relay.wait(), 0)
        self.assertLess(time.monotonic() - before, 20)

    def test_a_superseded_tunnel_is_no_other_at_the_end(self):
        old = self.tunnel(claim=[self.vm])
        c = self.client()
        c.send(self.head(length=1) + "x")
        stream = old.request()[0]
        new = self.tunnel()
        self.assertEqual(old.recv()[0], GOAWAY)
        self.lab.relay.child.send_signal(signal.SIGTERM)
        self.assertEqual(new.recv()[0], GOAWAY)
        old.respond(stream, body=b"late")
        self.assertEqual(c.answer().body, b"late")
        self.assertEqual(old.wait_close(), 4409)
        self.assertEqual(new.wait_close(), 1001)

    def test_a_goaway_of_the_agent_ends_the_wait(self):
        t = self.tunnel(claim=[self.vm])
        self.lab.relay.child.send_signal(signal.SIGTERM)
        self.assertEqual(t.recv()[0], GOAWAY)
        t.send(GOAWAY, 0, tlvs(
            (T_CODE, number(0)), (T_LAST, number(0)), (T_MIN, number(0)),
            (T_MAX, number(0))))
        self.assertEqual(t.wait_close(), 1001)
        t.close()
        self.assertEqual(self.lab.relay.wait(), 0)

    def test_a_second_signal_ends_at_once(self):
        t = self.tunnel(claim=[self.vm])
        c = self.client()
        c.send(self.head(length=1) + "x")
        t.request()
        self.lab.relay.child.send_signal(signal.SIGTERM)
        self.assertEqual(t.recv()[0], GOAWAY)
        self.lab.relay.child.send_signal(signal.SIGTERM)
        self.assertEqual(self.lab.relay.wait(), 0)

    def test_those_that_wait_are_told(self):
        c = self.client()
        c.send(self.head(length=1, vm=str(uuid.uuid4())) + "x")
        c.sock.settimeout(0.5)
        with self.assertRaises(TimeoutError):
            c.answer()
        c.sock.settimeout(60)
        self.lab.relay.child.send_signal(signal.SIGTERM)
        self.problem(c.answer(), 503, "draining")
        self.assertTrue(c.at_end())
        self.assertEqual(self.lab.relay.wait(), 0)

    def test_idle_it_ends_soon(self):
        before = time.monotonic()
        self.assertEqual(self.lab.relay.stop(), 0)
        self.assertLess(time.monotonic() - before, 10)


class Workers(RelayCase):
    """Hosts and tunnels spread over threads find each other."""

    extra = "workers: 4\n"

    def tenants(self):
        self.keys = getattr(self, "keys", None) or [
            Key() for _ in range(8)]
        self.vms = getattr(self, "vms", None) or [
            str(uuid.uuid4()) for _ in range(8)]
        return {"t%d" % i: (self.key_of(k), [v]) for i, (k, v) in enumerate(
            zip(self.keys, self.vms))}

    def test_each_host_reaches_each_agent(self):
        for i, (key, vm) in enumerate(zip(self.keys, self.vms)):
            t = self.tunnel(key=key)
            self.assertEqual(t.claim(vm), [0])
            fake_agent.Echo(t, lambda r, i=i: {"body": b"%d" % i + r[4]})
        clients = [self.client() for _ in range(8)]
        for n, c in enumerate(clients):
            for i, vm in enumerate(self.vms):
                self.assertEqual(
                    self.ask(b"-%d" % n, client=c, vm=vm).body,
                    b"%d-%d" % (i, n))

    def test_a_storm_of_reconnects_under_load(self):
        stop = threading.Event()
        errors, done = [], []

        def host(vm):
            c = self.client()
            while not stop.is_set():
                try:
                    answer = self.ask(b"x", client=c, vm=vm)
                except Exception as error:
                    errors.append(error)
                    return
                if answer.status not in (200, 502):
                    errors.append(answer)
                done.append(answer.status)

        def agent(key, vm):
            try:
                for _ in range(6):
                    t = self.tunnel(key=key)
                    if t.claim(vm) != [0]:
                        errors.append("denied")
                    echo = fake_agent.Echo(t)
                    self.assertTrue(echo.asked.wait(fake_agent.PATIENCE))
            except Exception as error:
                errors.append(error)

        agents = [threading.Thread(target=agent, args=pair)
                  for pair in zip(self.keys, self.vms)]
        hosts = [threading.Thread(target=host, args=(vm,)) for vm in self.vms]
        for one in agents + hosts:
            one.start()
        for one in agents:
            one.join()
        stop.set()
        for one in hosts:
            one.join()
        self.assertEqual(errors, [])
        self.assertGreater(done.count(200), 8)


if __name__ == "__main__":
    unittest.main()
