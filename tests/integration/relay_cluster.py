"""A cluster of relays (docs/protocol.md 16) with a real redis-server, between
hosts and agents that Python plays."""

import json
import os
import socket
import ssl
import struct
import threading
import time
import unittest
import uuid

import fake_agent
import harness
from cluster_case import ClusterCase, SlowRedis
from relay_case import Client

ORDERED, EXCLUSIVE = 1, 0
OK, DENIED, STANDBY = 0, 1, 2


class Keys:
    """Stands for an agent in a relay's configuration: its tenant's keys."""

    def __init__(self, *keys):
        self.key = '", "'.join(key.text() for key in keys)


class Case(ClusterCase):
    """Two agents' keys of one tenant, and a UUID of that tenant."""

    def setUp(self):
        self.open = []
        self.addCleanup(self.close_all)
        self.k1, self.k2 = fake_agent.Key(), fake_agent.Key()
        self.uuid = str(uuid.uuid4())
        super().setUp()

    def new_relay(self, i):
        relay = super().new_relay(i)
        relay.tenants = {"acme": (Keys(self.k1, self.k2), [self.uuid])}
        return relay

    def close_all(self):
        for one in self.open:
            one.close()

    def tunnel(self, relay, key):
        t = fake_agent.Tunnel(relay.public, self.lab.ca.cert, key)
        self.open.append(t)
        return t

    def agent(self, relay, key, name, mode=EXCLUSIVE, rank=None, answer=None,
              result=OK):
        """An agent that answers with its name."""
        t = self.tunnel(relay, key)
        self.assertEqual(t.claim(self.uuid, mode=mode, rank=rank), [result])
        return fake_agent.Echo(t, answer or (
            lambda request: {"body": name.encode()}))

    def begin(self, relay, verb="launch", body=b"{}", fields=""):
        c = Client(relay.internal, self.lab.ca.cert)
        self.open.append(c)
        c.send(("POST /sev/vm/%s/%s HTTP/1.1\r\nHost: localhost\r\n"
                "Authorization: Bearer %s\r\nContent-Length: %d\r\n%s\r\n" % (
                    self.uuid, verb, self.lab.token, len(body), fields)
                ).encode() + body)
        return c

    def ask(self, relay, *args, **kwargs):
        return self.begin(relay, *args, **kwargs).answer()

    def who(self, relay, verb="launch"):
        answer = self.ask(relay, verb)
        self.assertEqual(answer.status, 200, answer)
        return answer.body.decode()

    def unavailable(self, relay):
        answer = self.ask(relay)
        self.assertEqual(answer.status, 503, answer)
        self.assertIn(b":agent-unavailable", answer.body)

    def end(self, echo):
        """As the agent's end: close() alone waits for its reader."""
        echo.tunnel.ws.sock.shutdown(socket.SHUT_RDWR)
        echo.join(harness.PATIENCE)


class Hop(Case):
    def test_from_everywhere_to_the_one_agent(self):
        a, b, c = self.relays
        echo = self.agent(a, self.k1, "one")
        for relay in (a, b, c) * 2:
            self.assertEqual(self.who(relay), "one")
        # What the agent gets is the same, and tells nothing of the hop.
        first, second = echo.requests[0], echo.requests[1]
        for request in first, second:
            self.assertEqual(request[1:3], (
                "POST", "/vm/%s/launch" % self.uuid))
            self.assertEqual(request[3]["host-identity"], "token:cn-17")
        self.assertEqual(set(first[3]), set(second[3]))

    def test_bodies_and_ids(self):
        a, b, _ = self.relays
        echo = self.agent(a, self.k1, "", answer=lambda request: {
            "body": request[4], "fields": (("content-type", "text/x"),
                                           ("retry-after", "7"))})
        for size in 0, 1, 15000, 16384, 65536:
            body = os.urandom(size)
            answer = self.ask(b, body=body, fields="Request-Id: id-%d\r\n"
                              % size)
            self.assertEqual((answer.status, answer.body), (200, body))
            self.assertEqual(answer.fields["request-id"], "id-%d" % size)
            self.assertEqual(answer.fields["retry-after"], "7")
            self.assertEqual(answer.fields["attest-origin"], "agent")
            self.assertEqual(echo.requests[-1][3]["request-id"],
                             "id-%d" % size)

    def test_kbs_bodies(self):
        a, b, _ = self.relays
        t = self.tunnel(a, self.k1)
        self.assertEqual(t.claim(self.uuid, capabilities=1), [OK])
        body = os.urandom(262144)
        got = []
        host = threading.Thread(target=lambda: got.append(
            self.ask(b, "kbs/v0/attest", body)))
        host.start()
        stream, *_, came = t.request()
        self.assertTrue(came == body)
        t.respond_paced(stream, body[::-1])
        host.join()
        self.assertEqual(got[0].status, 200)
        self.assertTrue(got[0].body == body[::-1])

    def test_many_at_once(self):
        a, b, c = self.relays
        self.agent(a, self.k1, "", answer=lambda request: {
            "body": request[4]})
        wrong = []

        def host(n):
            for i in range(20):
                body = b"%d-%d" % (n, i) * 50
                answer = self.ask((b, c)[n % 2], body=body)
                if (answer.status, answer.body) != (200, body):
                    wrong.append(answer)
        hosts = [threading.Thread(target=host, args=(n,)) for n in range(16)]
        for one in hosts:
            one.start()
        for one in hosts:
            one.join()
        self.assertEqual(wrong, [])

    def test_agent_faults_come_through(self):
        """The answers of a hop are those of the relay itself."""
        a, b, _ = self.relays
        t = self.tunnel(a, self.k1)
        self.assertEqual(t.claim(self.uuid), [OK])
        for code, status, name in ((4, 413, "http-413"),
                                   (5, 504, "agent-timeout"),
                                   (6, 502, "agent-protocol"),
                                   (7, 502, "agent-protocol")):
            def play(code=code):
                t.reset(t.request()[0], code)
            agent = threading.Thread(target=play)
            agent.start()
            answer = self.ask(b)
            agent.join()
            self.assertEqual(answer.status, status)
            self.assertIn(name.encode(), answer.body)

        def vanish():
            t.request()
            t.close()
        agent = threading.Thread(target=vanish)
        agent.start()
        answer = self.ask(b)
        agent.join()
        self.assertEqual(answer.status, 502)
        self.assertIn(b"tunnel-lost", answer.body)

    def test_an_agent_that_came_here_meanwhile(self):
        """It gets the request as any other, without words for relays."""
        a, b, _ = self.relays
        t = self.tunnel(b, self.k1)
        self.assertEqual(t.claim(self.uuid), [OK])
        host = self.begin(a)
        stream = t.request()[0]
        echo = self.agent(a, self.k1, "here")
        t.reset(stream, 2)
        self.assertEqual(host.answer().body, b"here")
        self.assertNotIn("relay-tunnel", echo.requests[0][3])

    def test_waits_for_an_agent_elsewhere(self):
        """A host waits, and its agent comes to another relay."""
        a, b, _ = self.relays
        got = []
        host = threading.Thread(target=lambda: got.append(self.ask(b)))
        mark = b.process.mark()
        host.start()
        self.agent(a, self.k1, "late")
        host.join()
        self.assertEqual(got[0].body, b"late", b.process.lines[mark:])

    def test_a_relay_dies_under_a_request(self):
        a, b, c = self.relays
        t = self.tunnel(a, self.k1)
        self.assertEqual(t.claim(self.uuid), [OK])
        got = []
        host = threading.Thread(target=lambda: got.append(self.ask(b)))
        host.start()
        t.request()
        began = time.monotonic()
        a.kill()
        host.join()
        self.assertLess(time.monotonic() - began, 3)
        self.assertEqual(got[0].status, 502)
        # The agent comes to another relay; nobody waits for the lease.
        self.agent(c, self.k1, "moved")
        began = time.monotonic()
        self.assertEqual(self.who(b), "moved")
        self.assertLess(time.monotonic() - began, 3)


class Certificates(Case):
    """Who may speak to a relay as one, and to whom a relay speaks."""

    count = 2
    bad = None

    def extra(self, i):
        return super().extra(i).replace(
            "agent-wait: 3s",
            "agent-wait: " + ("30s" if "goaway" in self.id() else "3s"))

    def certificate(self, i):
        ca, node = self.peer_ca, "node-%d" % i
        if i == 1 and self.bad == "name":
            node = "node-7"
        cert, key = (harness.Ca(self.lab.folder, "strange")
                     if i == 1 and self.bad == "authority" else ca).issue(
            "peer-%d" % i, ["DNS:" + node], usage="clientAuth"
            if i == 1 and self.bad == "usage" else "serverAuth,clientAuth")
        return cert, key, ca.cert

    def refuses(self, bad, says):
        self.bad = bad
        self.relays[1].kill()
        self.relays[1] = self.new_relay(1)
        self.relays[1].start()
        self.reached(self.relays[1])
        agent = self.agent(self.relays[1], self.k1, "one")
        mark = self.relays[0].process.mark()
        self.unavailable(self.relays[0])
        self.relays[0].process.wait_line("relay node-1: down: " + says, mark)
        self.assertEqual(agent.requests, [])
        # By itself it serves its own all the same.
        self.assertEqual(self.who(self.relays[1]), "one")

    def test_other_authority(self):
        self.refuses("authority", "TLS handshake")
        # Nor is it let in where it calls.
        self.relays[1].kill()
        self.relays[1].start()

    def test_other_name(self):
        """A relay that was stolen cannot pass for another."""
        self.refuses("name", "TLS handshake")

    def test_a_client_only(self):
        self.refuses("usage", "TLS handshake")

    def test_who_calls_without_a_certificate_of_ours(self):
        self.bad = "authority"
        self.relays[1].kill()
        self.relays[1] = self.new_relay(1)
        self.relays[1].start()
        self.reached(self.relays[1])
        agent = self.agent(self.relays[0], self.k1, "one")
        mark = self.relays[0].process.mark()
        self.unavailable(self.relays[1])
        self.assertEqual(agent.requests, [])
        port = int(self.relays[0].process.wait_line(
            r"cluster 127\.0\.0\.1:(\d+)").group(1))
        for cert in (None, self.lab.server):
            context = ssl.create_default_context(cafile=self.peer_ca.cert)
            if cert:
                context.load_cert_chain(*cert)
            raw = socket.create_connection(("127.0.0.1", port), 30)
            with self.assertRaises((ssl.SSLError, ConnectionError, EOFError)):
                with context.wrap_socket(
                        raw, server_hostname="node-0") as tls:
                    tls.settimeout(30)
                    tls.sendall(struct.pack(">H", 8) + bytes(8))
                    if not tls.recv(1):
                        raise EOFError
        self.relays[0].process.wait_line("from relay .*refused: TLS", mark)

    def test_rude_relay(self):
        """Certified or not: lengths are judged, and frames."""
        cert, key = self.peer_ca.issue("rude", ["DNS:rude"],
                                       usage="clientAuth")
        port = int(self.relays[0].process.wait_line(
            r"cluster 127\.0\.0\.1:(\d+)").group(1))
        challenge = self.challenge()
        for words in (struct.pack(">H", 7) + bytes(7),
                      struct.pack(">H", 16385) + bytes(16385),
                      struct.pack(">H", 65535),
                      struct.pack(">H", 8) + bytes(8),
                      self.frame(0x10, 1, b""),
                      challenge + challenge,
                      challenge + self.frame(0x05, 1, b"")):
            context = ssl.create_default_context(cafile=self.peer_ca.cert)
            context.load_cert_chain(cert, key)
            raw = socket.create_connection(("127.0.0.1", port), 30)
            with context.wrap_socket(raw, server_hostname="node-0") as tls:
                tls.settimeout(30)
                tls.sendall(words)
                try:
                    while tls.recv(4096):
                        pass
                except (ssl.SSLError, ConnectionError):
                    pass
        self.agent(self.relays[0], self.k1, "one")
        self.assertEqual(self.who(self.relays[0]), "one")
        self.assertEqual(self.who(self.relays[1]), "one")

    def played_relay(self):
        """A node of the cluster that has the agent, as the Redis says."""
        cert, key = self.peer_ca.issue("played", ["DNS:played"],
                                       usage="serverAuth")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(cert, key)
        server = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(server.close)
        server.settimeout(harness.PATIENCE)
        for words in (
                ("attest-relay:nodes", "played",
                 "1 127.0.0.1:%d" % server.getsockname()[1]),
                (self.uuid.replace("-", ""), "played " + 64 * "0",
                 "%020d 1 %032d 0 0 0 0 9999999999999" % (1, 0))):
            self.redis.ask("-n", "1", "HSET", *words)
        return lambda: context.wrap_socket(
            server.accept()[0], server_side=True)

    def request_on(self, tls):
        """Greets, and takes the frames up to the first request."""
        stream = tls.makefile("rb")
        tls.sendall(self.frame(fake_agent.HELLO, 0, fake_agent.tlvs(
            (fake_agent.T_KEY, bytes(32)),
            (fake_agent.T_SIGNATURE, bytes(64)),
            (fake_agent.T_SOFTWARE, b"played/1"),
            (fake_agent.T_BOOT_ID, bytes(16)),
            (fake_agent.T_MAX_STREAMS, struct.pack(">I", 32)),
            (fake_agent.T_CAPABILITIES, bytes(4)))))
        kind = number = None
        while kind != fake_agent.REQUEST:
            size, kind, _, _, number = struct.unpack(
                ">HBBHI", stream.read(10))
            stream.read(size - 8)
        return number

    def test_a_request_crosses_with_a_goaway(self):
        """Another process of that relay comes, and gets it."""
        accept = self.played_relay()
        for _ in range(5):
            try:
                return self.cross(accept)
            except (ssl.SSLError, ConnectionError, struct.error):
                pass  # we took longer than a relay waits for another
        return self.fail("no link stood")

    def cross(self, accept):
        waits = self.begin(self.relays[0])
        with accept() as tls:
            self.assertEqual(self.request_on(tls), 1)
            tls.sendall(self.frame(fake_agent.GOAWAY, 0, fake_agent.tlvs(
                (fake_agent.T_CODE, bytes(4)), (fake_agent.T_LAST, bytes(4)),
                (fake_agent.T_MIN, bytes(4)), (fake_agent.T_MAX, bytes(4)))))
            while tls.recv(4096):
                pass
        with accept() as tls:
            number = self.request_on(tls)
            tls.sendall(self.frame(fake_agent.RESPONSE, number, fake_agent.tlvs(
                (fake_agent.T_STATUS, struct.pack(">H", 200)),
                (fake_agent.T_HEADERS, b""), (fake_agent.T_BODY, b"here"),
                (fake_agent.T_BODY_LENGTH, struct.pack(">I", 4))), 1))
            self.assertEqual(waits.answer().body, b"here")

    @staticmethod
    def frame(kind, stream, payload, flags=0):
        return struct.pack(">HBBHI", 8 + len(payload), kind, flags, 0,
                           stream) + payload

    def challenge(self):
        return self.frame(fake_agent.CHALLENGE, 0, fake_agent.tlvs(
            (1, bytes(32)), (2, b"rude"), (3, b"\0\0"), (4, bytes(8)),
            (5, struct.pack(">I", 16384)), (6, struct.pack(">I", 32)),
            (7, bytes(4)), (11, b"\0")))


class Owners(Case):
    """One owner of a UUID: a key, wherever it comes in."""

    def test_newer_tunnel_of_the_key_takes_over(self):
        a, b, c = self.relays
        old = self.agent(a, self.k1, "old")
        self.assertEqual(self.who(c), "old")
        self.agent(b, self.k1, "new")
        old.join(harness.PATIENCE)
        self.assertEqual(old.code, 4409)
        for relay in a, b, c:
            self.assertEqual(self.who(relay), "new")

    def test_older_tunnel_that_claims_late(self):
        """It has to go, with a CLAIM under way that was judged before."""
        a, b, c = self.relays
        old = self.tunnel(a, self.k1)
        new = self.agent(b, self.k1, "new")
        # A stranger's UUID needs no word of the directory.
        self.send_claim(old, 1, self.uuid)
        self.send_claim(old, 2, str(uuid.uuid4()))
        self.assertEqual(old.wait_close(), 4409)
        for relay in a, b, c:
            self.assertEqual(self.who(relay), "new")
        self.assertIsNone(new.code)
        # Nothing was lost on the way, as its leak checker says.
        self.assertEqual(a.stop(), 0)

    @staticmethod
    def send_claim(t, number, name):
        t.send(fake_agent.CLAIM, number, fake_agent.tlvs(
            (fake_agent.T_CAPABILITIES, bytes(4)),
            (fake_agent.T_NAMES, uuid.UUID(name).bytes + bytes(1)),
            (fake_agent.T_MODE, bytes([EXCLUSIVE]))))

    def test_claim_of_a_leaving_tunnel(self):
        """It is answered, with no, while the last request is served."""
        a, b, _ = self.relays
        old = self.tunnel(a, self.k1)
        self.assertEqual(old.claim(self.uuid), [OK])
        answers = []
        host = threading.Thread(
            target=lambda: answers.append(self.ask(a)), daemon=True)
        host.start()
        request = old.request()
        self.agent(b, self.k1, "new")
        while old.recv()[0] != fake_agent.GOAWAY:
            pass
        self.assertEqual(old.claim(self.uuid), [DENIED])
        old.respond(request[0], body=b"old")
        self.assertEqual(old.wait_close(), 4409)
        host.join(harness.PATIENCE)
        self.assertEqual([one.body for one in answers], [b"old"])

    def test_other_key_is_denied_while_one_holds(self):
        a, b, c = self.relays
        one = self.agent(a, self.k1, "one")
        for relay in a, b, c:
            self.agent(relay, self.k2, "two", result=DENIED)
        self.assertEqual(self.who(b), "one")
        self.end(one)
        a.process.wait_line("tunnel acme/.*: down")
        self.wait_until("the UUID is given back",
                        lambda: self.tunnel(b, self.k2).claim(
                            self.uuid) == [OK])

    def test_a_dead_relay_bars_other_keys_until_it_is_back(self):
        """It may live, and just not reach anybody."""
        a, b, c = self.relays
        self.agent(a, self.k1, "one")
        a.kill()
        self.agent(b, self.k2, "two", result=DENIED)
        # The owner itself is free to come anywhere, at once.
        again = self.agent(c, self.k1, "again")
        self.assertEqual(self.who(b), "again")
        self.end(again)
        c.process.wait_line("tunnel acme/.*: down")
        self.agent(b, self.k2, "two", result=DENIED)
        # A new start is proof that what it held before is held no more.
        a.start()
        self.reached(a)
        self.wait_until("the UUID is free",
                        lambda: self.tunnel(b, self.k2).claim(
                            self.uuid) == [OK])

    def test_ranks(self):
        """Two agents, ordered: the first that is there, wherever."""
        a, b, c = self.relays
        second = self.agent(b, self.k2, "second", ORDERED, 2)
        first = self.agent(a, self.k1, "first", ORDERED, 1)
        for relay in a, b, c:
            self.wait_until("the first one is asked",
                            lambda r=relay: self.who(r, "validate") == "first")
        self.end(first)
        for relay in c, b, a:
            self.wait_until("the second one is asked",
                            lambda r=relay: self.who(r, "validate")
                            == "second")
        self.assertIsNone(second.code)

    def test_validate_goes_where_launch_was(self):
        a, b, c = self.relays
        first = self.agent(a, self.k1, "first", ORDERED, 1)
        self.agent(b, self.k2, "second", ORDERED, 2)
        self.end(first)
        self.wait_until("the second one is asked",
                        lambda: self.who(c) == "second")
        # The first is back, but the session is the second's.
        self.agent(a, self.k1, "first", ORDERED, 1)
        for relay in a, b, c:
            self.wait_until("the second one is preferred",
                            lambda r=relay: self.who(r, "validate")
                            == "second")

    def test_not_mine_tries_the_next(self):
        a, b, c = self.relays
        t = self.tunnel(a, self.k1)
        self.assertEqual(t.claim(self.uuid, mode=ORDERED, rank=1), [OK])
        refused = []

        def not_mine():
            while True:
                request = t.request()
                refused.append(request)
                t.reset(request[0], 3)
        threading.Thread(target=self.quietly, args=(not_mine,),
                         daemon=True).start()
        self.agent(b, self.k2, "second", ORDERED, 2)
        for relay in c, a, b:
            self.assertEqual(self.who(relay, "validate"), "second")
        self.assertEqual(len(refused), 3)

    @staticmethod
    def quietly(work):
        try:
            work()
        except (fake_agent.Closed, OSError, ValueError):
            pass

    def test_one_agent_at_all_relays(self):
        """The tunnels of one start of an agent, by other addresses, stand
        beside each other; one by the same address takes over."""
        boot = os.urandom(16)
        tunnels = []
        for slot, relay in enumerate(self.relays, 1):
            t = fake_agent.Tunnel(relay.public, self.lab.ca.cert, self.k1,
                                  hello=False)
            self.open.append(t)
            self.hello(t, boot, slot)
            self.assertEqual(t.claim(self.uuid), [OK])
            tunnels.append(fake_agent.Echo(t))
        for relay in self.relays:
            self.assertEqual(self.ask(relay, body=b"x").body, b"x")
        self.assertEqual([t.code for t in tunnels], [None] * 3)
        t = fake_agent.Tunnel(self.relays[2].public, self.lab.ca.cert,
                              self.k1, hello=False)
        self.open.append(t)
        self.hello(t, boot, 1)
        self.assertEqual(t.claim(self.uuid), [OK])
        for ended in tunnels[0], tunnels[2]:
            ended.join(harness.PATIENCE)
            self.assertEqual(ended.code, 4409)
        self.assertIsNone(tunnels[1].code)

    @staticmethod
    def hello(t, boot, slot):
        pairs = fake_agent.parse_tlvs(t.hello_payload())
        pairs[fake_agent.T_BOOT_ID] = boot
        pairs[0x8001] = struct.pack(">H", slot)
        t.send(fake_agent.HELLO, 0, fake_agent.tlvs(*pairs.items()))
        kind, _, _, payload = t.recv()
        assert kind == fake_agent.WELCOME, kind
        t.welcome = fake_agent.parse_tlvs(payload)

    def test_sessions_rise_over_relays(self):
        numbers = []
        for relay in self.relays * 3:
            t = self.tunnel(relay, self.k1)
            numbers.append(struct.unpack(">Q", t.welcome[0x22])[0])
        self.assertEqual(numbers, sorted(set(numbers)))


class RedisDown(Case):
    def test_local_tunnels_go_on(self):
        a, b, c = self.relays
        one = self.agent(a, self.k1, "one")
        mark = [r.process.mark() for r in self.relays]
        self.redis.kill()
        for relay, at in zip(self.relays, mark):
            relay.process.wait_line("directory: not reached", at)
        self.assertEqual(self.who(a), "one")
        self.unavailable(c)
        # The owner may come again to the relay that has its lease ...
        again = self.agent(a, self.k1, "again")
        one.join(harness.PATIENCE)
        self.assertEqual(self.who(a), "again")
        # ... while a claim that nobody can judge gets no answer yet.
        t = self.tunnel(b, self.k2)
        t.ws.sock.settimeout(1)
        with self.assertRaises(TimeoutError):
            t.claim(self.uuid)
        t.ws.sock.settimeout(fake_agent.PATIENCE)
        mark = [r.process.mark() for r in self.relays]
        self.redis.start()
        for relay, at in zip(self.relays, mark):
            self.reached(relay, at)
        kind, _, _, payload = t.recv()
        self.assertEqual(kind, fake_agent.CLAIMED)
        self.assertEqual(payload[-1], DENIED)
        for relay in a, b, c:
            self.wait_until("it is found again",
                            lambda r=relay: self.ask(r).body == b"again")
        self.assertIsNone(again.code)

    def test_starts_without_it(self):
        a, b, _ = self.relays
        self.redis.kill()
        a.kill()
        a.start()
        b.kill()
        b.start()
        t = self.tunnel(a, self.k1)
        self.redis.start()
        self.assertEqual(t.claim(self.uuid), [OK])
        fake_agent.Echo(t)
        self.assertEqual(self.ask(b, body=b"x").body, b"x")


class RedisForgets(RedisDown):
    """The same with a Redis that keeps nothing."""

    keeps = False

    def test_strange_words_in_it(self):
        """T45: what stands there is data of a stranger."""
        a, b, _ = self.relays
        self.agent(a, self.k1, "one")
        name = self.uuid.replace("-", "")
        key = "%064x" % 7
        now = str(int(time.time() * 1000) + 3600000)
        good = "%020d 00 00 1 0 0 0 %s" % (5, now)
        for node, value in (("node-9 " + key, good), ("node-1 x", good),
                            ("node-2 " + key, "nonsense"),
                            ("x", good), ("node-1 " + key, "%d" % 5)):
            self.redis.ask("-n", "1", "HSET", name, node, value)
        for node, at in (("node-9", "00 evil:1"), ("node-8", ""),
                         ("node-7", "00 127.0.0.1:1")):
            self.redis.ask("-n", "1", "HSET", "attest-relay:nodes", node, at)
        self.redis.ask("-n", "1", "PUBLISH", "attest-relay:lost:node-0",
                       "%s %s %s" % (name, key, "9" * 20))
        self.redis.ask("-n", "1", "PUBLISH", "attest-relay:lost:node-0",
                       "x" * 118)
        self.redis.ask("-n", "1", "SET", "attest-relay:prefer:" + name, "zz")
        self.assertEqual(self.who(b), "one")
        self.assertEqual(self.who(a), "one")


class FirstClaims(Case):
    """T11: what is nobody's yet, and each relay with a disk of its own."""

    count = 2

    def new_relay(self, i):
        relay = super().new_relay(i)
        relay.tenants = {
            "acme": (Keys(self.k1), [], "first-claim: yes", "claims: 1"),
            "zeta": (Keys(self.k2), [], "first-claim: yes")}
        relay.extra += "\nstate: " + self.lab.path("state-%d" % i)
        return relay

    def test_a_loser_is_not_bound_anywhere(self):
        a, b = self.relays
        self.agent(a, self.k1, "one")
        self.agent(b, self.k2, "two", result=DENIED)
        # Without the Redis the disk decides, and must not know the loser.
        mark = b.process.mark()
        self.redis.kill()
        b.process.wait_line("directory: not reached", mark)
        t = self.tunnel(b, self.k2)
        t.ws.sock.settimeout(1)
        with self.assertRaises(TimeoutError):
            t.claim(self.uuid)
        t.ws.sock.settimeout(fake_agent.PATIENCE)
        self.redis.start()
        kind, _, _, payload = t.recv()
        self.assertEqual((kind, payload[-1]), (fake_agent.CLAIMED, DENIED))
        # Nor is the owner shut out where the loser was.
        self.agent(b, self.k1, "one")
        self.assertEqual(self.who(b), "one")

    def test_not_released_by_halves(self):
        """On the disk and not in the Redis, it would be nobody's for good."""
        a, b = self.relays
        t = self.tunnel(b, self.k1)
        self.assertEqual(t.claim(self.uuid), [OK])
        mark = b.process.mark()
        self.redis.kill()
        b.process.wait_line("directory: not reached", mark)
        # The socket is of the relay that was started last.
        release = ("claims", "release", self.uuid)
        self.assertIn("the directory is not reached: nothing was released",
                      self.lab.ctl(*release, ok=(1,)).stderr)
        mark = b.process.mark()
        self.redis.start()
        self.reached(b, mark)
        self.lab.ctl(*release)
        t.close()
        self.wait_until("another key has it", lambda: self.tunnel(
            a, self.k2).claim(self.uuid) == [OK])

    def test_a_tenant_that_goes_lets_go(self):
        """Its UUIDs are free in the Redis, too."""
        a, b = self.relays
        key = fake_agent.Key()
        self.lab.ctl("tenants", "add", "eta", "--first-claim")
        self.lab.ctl("keys", "add", "--tenant", "eta", key.text())
        t = self.tunnel(b, key)
        self.assertEqual(t.claim(self.uuid), [OK])
        self.lab.ctl("tenants", "remove", "eta")
        self.assertEqual(t.wait_close(), 4402)
        self.wait_until("another key has it", lambda: self.tunnel(
            a, self.k2).claim(self.uuid) == [OK], 20)

    def test_over_the_quota_nothing_stays_bound(self):
        a, b = self.relays
        t = self.tunnel(a, self.k1)
        other = str(uuid.uuid4())
        self.assertEqual(t.claim(other), [OK])
        self.assertEqual(t.claim(self.uuid), [DENIED])
        self.wait_until("nobody has it", lambda: self.tunnel(
            b, self.k2).claim(self.uuid) == [OK])
        self.assertEqual(self.tunnel(b, self.k2).claim(other), [DENIED])


class Strained(Case):
    """The directory goes on, whatever a tenant, a key or Redis does."""

    count = 2
    lease = "3s\n  fence: 10s"

    def new_relay(self, i):
        relay = super().new_relay(i)
        self.keys = getattr(self, "keys", None) or [
            fake_agent.Key() for _ in range(12)]
        relay.tenants = {"acme": (
            Keys(self.k1, self.k2, *self.keys), [self.uuid],
            *(["requests: 1"] if "quota" in self.id() else []))}
        # One worker, and so one link between two relays.
        relay.extra += "\nworkers: 1\ntakeover: {socket: %s}" % (
            self.lab.path("takeover-%d" % i))
        return relay

    def stays_up(self, relay, mark):
        self.assertNotIn("not reached", "\n".join(relay.process.lines[mark:]))

    def test_many_ordered_agents(self):
        """More than one answer tells: those that would be asked first."""
        a, b = self.relays
        mark = b.process.mark()
        # Of one boot each, and in the way of no other.
        for rank, key in enumerate(self.keys[:8]):
            t = self.tunnel(a, key)
            t.claim(self.uuid, mode=ORDERED, rank=100 - rank)
            fake_agent.Echo(t, lambda request, rank=rank: {
                "body": b"%d" % rank})
        name = self.uuid.replace("-", "")
        entry = self.redis.ask("-n", "1", "HGETALL", name).split("\n")
        for i in range(24):
            self.redis.ask("-n", "1", "HSET", name, "node-0 %064x" % i,
                           entry[1].replace(" 1 93 ", " 1 900 "))
        self.assertEqual(self.who(b), "7")
        # One more than are taken is one too many, and not all of them.
        late = self.tunnel(b, self.k1)
        self.assertEqual(late.claim(self.uuid, mode=ORDERED, rank=1), [DENIED])
        again = self.tunnel(a, self.keys[0])
        self.assertEqual(
            again.claim(self.uuid, mode=ORDERED, rank=100), [STANDBY])
        self.stays_up(b, mark)

    def test_a_key_of_another_kind(self):
        a, b = self.relays
        mark = b.process.mark()
        self.redis.ask("-n", "1", "SET", self.uuid.replace("-", ""), "x")
        self.unavailable(b)
        self.stays_up(b, mark)

    def test_all_is_deleted(self):
        """While the connections stand."""
        a, b = self.relays
        self.agent(a, self.k1, "one")
        self.redis.ask("FLUSHALL")
        self.wait_until("it is found again",
                        lambda: self.ask(b).body == b"one")
        self.agent(b, self.k2, "two", result=DENIED)

    def test_a_redis_that_does_not_write(self):
        """It lets us in all the time; others may own the UUID soon."""
        a, _ = self.relays
        one = self.agent(a, self.k1, "one")
        self.redis.ask("REPLICAOF", "127.0.0.1", "1")
        one.join(harness.PATIENCE)
        self.assertEqual(one.code, 1001)

    def test_quota_over_the_hop(self):
        a, b = self.relays
        self.agent(a, self.k1, "one")
        mark = a.process.mark()
        got = [self.ask(b).status for _ in range(30)]
        self.assertIn(200, got)
        self.assertIn(503, got)
        # Its agent is told where it is.
        a.process.wait_line("over a quota of its tenant", mark)

    def take_over(self, relay):
        """Another process in its place, to which new tunnels come."""
        new = harness.Process("new", [
            os.path.join(harness.BIN, "attest-relay"), "--config",
            self.lab.path(relay.name + ".yaml"), "--takeover"],
            self.lab.path("new.log"))
        self.addCleanup(new.kill)
        new.wait_line("directory: reached")
        relay.process.wait_line("takes over: agents move there")
        relay.process.wait_line("following the configuration")
        return new

    def test_agents_that_have_moved_and_others(self):
        """Links between relays are of the process before, or of the one
        after; requests find agents of both."""
        a, b = self.relays
        one = self.agent(a, self.k1, "one")
        self.tunnel(a, self.k2)
        self.take_over(a)
        self.assertEqual(self.who(b), "one")
        self.agent(a, self.k1, "moved")
        mark = a.process.mark()
        self.end(one)
        a.process.wait_line("down: ", mark)
        self.assertEqual(self.who(b), "moved")

    def test_an_owner_is_asked_while_others_move(self):
        """A link that waits for its last answer is in nobody's way."""
        a, b = self.relays
        decided = threading.Event()
        self.addCleanup(decided.set)

        def decide(_):
            decided.wait(harness.PATIENCE)
            return {"body": b"approved"}

        one = self.agent(a, self.k1, "one", answer=decide)
        waits = self.begin(b)
        self.assertTrue(one.asked.wait(harness.PATIENCE))
        self.take_over(a)
        self.agent(a, self.k1, "moved")
        a.process.child.terminate()
        a.process.wait_line("draining")
        self.wait_until("others are answered",
                        lambda: self.ask(b).body == b"moved")
        decided.set()
        self.assertEqual(waits.answer().body, b"approved")

    def test_take_over(self):
        """While an agent has not moved, its UUID is its own."""
        a, b = self.relays
        self.agent(a, self.k1, "one")
        self.assertEqual(self.who(b), "one")
        old = a.process
        new = self.take_over(a)
        self.agent(b, self.k2, "two", result=DENIED)
        new.kill()
        old.wait_line("who took over is gone: serving on")
        self.assertEqual(self.who(b), "one")


class Late(Case):
    """Answers of the directory that come when they are not needed any more."""

    count = 1
    CLAIM, FIND = 18, 6  # words of the scripts' runs

    def extra(self, i):
        self.slow = SlowRedis(self.redis.port)
        return super().extra(i).replace(
            ":%d/1" % self.redis.port, ":%d/1" % self.slow.port).replace(
                "agent-wait: 3s", "agent-wait: 20s, agent-answer: 60s")

    def test_an_agent_comes_while_it_is_looked_for(self):
        """It is not its VM: the answer that nobody needed is not waited
        for."""
        relay = self.relays[0]
        name = self.uuid.replace("-", "").encode()
        t = self.tunnel(relay, self.k1)
        waits = self.begin(relay)
        self.slow.wait_asked(
            self.FIND, name, self.slow.wait_asked(self.FIND, name))
        self.slow.hold()
        t.send(fake_agent.CLAIM, 1, fake_agent.tlvs(
            (fake_agent.T_CAPABILITIES, bytes(4)), (fake_agent.T_MODE, b"\0"),
            (fake_agent.T_NAMES, bytes.fromhex(name.decode()) + b"\0")))
        claim = self.slow.wait_asked(self.CLAIM, name)
        self.slow.let(claim - 1)
        self.slow.wait_asked(self.FIND, name, claim)
        self.slow.let(claim)
        self.assertEqual(t.recv()[0], fake_agent.CLAIMED)
        stream = t.request()[0]
        mark = time.monotonic()
        self.slow.let()
        # The loop that hears Redis has gone round once: it has the answer.
        # (In the other order there is nothing to be seen.)
        for _ in range(2):
            self.lab.ctl("status")
        t.reset(stream, 3)
        self.assertIn(b":agent-unavailable", waits.answer().body)
        self.assertLess(time.monotonic() - mark, 20)


class Configuration(unittest.TestCase):
    def test_all_that_is_wrong(self):
        lab = harness.Lab()
        self.addCleanup(lab.close)

        class Nobody:
            key = fake_agent.Key().text()
        for text, says in (
                ("cluster: {directory: 'rediss://h'}", "no TLS"),
                ("cluster: {directory: 'http://h'}", "want redis://"),
                ("cluster: {directory: 'redis://:6379'}", "want redis://"),
                ("cluster: {directory: 'redis://h:0'}", "want redis://"),
                ("cluster: {directory: 'redis://h:65536'}", "want redis://"),
                ("cluster: {directory: 'redis://h/x'}", "want redis://"),
                ("cluster: {directory: 'redis://u:p@h'}", "want redis://"),
                ("cluster: {directory: 'redis://h'}", "cluster.node"),
                ("cluster: {directory: 'redis://h', lease: 10s, fence: 29s}",
                 "three times cluster.lease"),
                ("cluster: {directory: 'redis://h', node: a, listen: "
                 "['0.0.0.0:1']}", "cluster.advertise"),
                ("cluster: {directory: 'redis://h', node: a, advertise: "
                 "'10.0.0.1:0'}", "the port that others")):
            path = lab.relay_config({"acme": (Nobody, [])}, text)
            done = harness.run([os.path.join(harness.BIN, "attest-relay"),
                                "--config", path, "--check"], ok=(1,))
            self.assertIn(says, done.stderr + done.stdout, text)


del Case

if __name__ == "__main__":
    unittest.main(verbosity=2)
