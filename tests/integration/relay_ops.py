"""What an operator does to a relay that serves: reload, restart, and the
service manager's part."""

import json
import os
import re
import shutil
import signal
import socket
import sqlite3
import ssl
import struct
import unittest

import fake_agent
import harness
import relay_case

RELOADS = int(os.environ.get("RELOADS", "1000"))


class Manager:
    """The service manager's end of $NOTIFY_SOCKET."""

    def __init__(self, folder):
        self.path = os.path.join(folder, "notify.sock")
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.sock.bind(self.path)
        os.chmod(self.path, 0o777)  # the relay may be nobody by now
        self.sock.settimeout(harness.PATIENCE)

    def wait(self, word):
        """The first message with that line; others are passed over."""
        while True:
            text = self.sock.recv(4096).decode()
            if word in text.split("\n"):
                return text


class OpsCase(relay_case.RelayCase):
    """A relay that can read its files again, whoever it has become."""

    env = None

    def start(self, extra=None):
        os.chmod(self.lab.folder, 0o755)
        os.chmod(self.lab.server[1], 0o644)
        self.config = self.lab.relay_config(
            self.tenants(), "channel-binding: off\n" + self.extra)
        kwargs = {"env": {**os.environ, **self.env}} if self.env else {}
        self.lab.run_relay(self.config, **kwargs)
        # From now on with the ports that were chosen.
        self.rewrite()

    def rewrite(self, extra="", tenants=None):
        return self.lab.relay_config(
            tenants or self.tenants(),
            "channel-binding: off\n" + self.extra + extra)

    def reload(self, says=r"reloaded: "):
        mark = self.lab.relay.mark()
        self.lab.relay.child.send_signal(signal.SIGHUP)
        return self.lab.relay.wait_line(says, mark)

    def serial(self):
        pem = ssl.get_server_certificate(
            ("127.0.0.1", self.lab.relay_internal))
        return harness.run(["openssl", "x509", "-noout", "-serial"],
                           input=pem).stdout


class Reload(OpsCase):
    def test_renewed_certificate(self):
        """A file that is replaced is read anew, inside the sandbox too; the
        tunnel and an open connection stay."""
        echo = self.echo()
        client = self.client()
        self.assertEqual(self.ask(client=client).status, 200)
        before = self.serial()
        cert, key = self.lab.ca.issue("renewed", ["DNS:localhost"])
        os.chmod(key, 0o644)
        os.rename(key, self.lab.server[1])
        os.rename(cert, self.lab.server[0])
        self.reload()
        self.assertNotEqual(self.serial(), before)
        self.assertEqual(self.ask(client=client).status, 200)
        self.assertIsNone(echo.code)

    def test_bad_files_change_nothing(self):
        echo = self.echo()
        bad = (
            ("nonsense: 1\n", r"relay\.yaml:\d+:1: error: unknown key"),
            ("limits:\n  streams: 0\n", r":\d+:\d+: error: limits\.streams"),
            ("timeouts: {request: 1s}\nhosts: 3\n", "error: "),
        )
        for text, says in bad:
            with self.subTest(text):
                self.rewrite(text)
                mark = self.lab.relay.mark()
                self.reload("not reloaded: the configuration stays")
                self.lab.relay.wait_line(says, mark)
                self.assertEqual(self.ask().status, 200)
        self.rewrite()
        os.rename(self.lab.server[1], self.lab.server[1] + ".away")
        mark = self.lab.relay.mark()
        self.reload("not reloaded")
        self.lab.relay.wait_line(r"public\.key: .*No such file", mark)
        self.assertEqual(self.ask().status, 200)
        os.rename(self.lab.server[1] + ".away", self.lab.server[1])
        self.reload()
        self.assertIsNone(echo.code)

    def test_what_needs_a_restart_is_said(self):
        self.rewrite("workers: 7\n")
        mark = self.lab.relay.mark()
        self.reload()
        self.lab.relay.wait_line("needs a restart: workers", mark)

    def test_limits_and_log_level(self):
        """What is open sees them at once."""
        self.echo()
        client = self.client()
        self.assertEqual(self.ask(client=client).status, 200)
        self.lab.relay.wait_line("POST launch")
        self.rewrite("log: {level: error, access: no}\n"
                     "timeouts: {idle: 100ms}\n")
        mark = self.lab.relay.mark()
        self.reload()
        self.assertEqual(self.ask(client=client).status, 200)
        self.assertTrue(client.at_end())
        self.assertNotIn("POST launch", "\n".join(
            self.lab.relay.lines[mark:]))

    def by_reload(self, level):
        self.rewrite("log: {level: %s}\n" % level)
        self.reload()

    def by_word(self, level):
        self.lab.ctl("log-level", "set", level)

    def test_log_level_alone(self):
        """What it lets be seen and what not, by the file and by a word."""
        relay = self.lab.relay
        # What is said before the host, or the agent, is answered: a debug
        # line and a warning.
        says = "not authenticated: ", "tunnel refused: "
        for change in self.by_reload, self.by_word:
            for level, seen in (("debug", [True, True]),
                                ("info", [False, True]),
                                ("error", [False, False]),
                                ("warn", [False, True])):
                with self.subTest(change.__name__, level=level):
                    change(level)
                    # Said by the thread that reloads, once it is done.
                    self.assertEqual(self.level(), level)
                    mark = relay.mark()
                    self.assertEqual(self.ask(token=False).status, 401)
                    with self.assertRaises(fake_agent.Closed):
                        self.tunnel(key=fake_agent.Key())
                    # What comes later, and is seen at any level.
                    self.by_reload("info")
                    relay.wait_line("reloaded: ", mark)
                    text = "\n".join(relay.lines[mark:])
                    self.assertEqual([one in text for one in says], seen)

    def level(self):
        return json.loads(self.lab.ctl("--json", "log-level").stdout)["level"]

    def test_tokens(self):
        """A token that is taken off the list opens nothing any more, also on
        a connection that was open before."""
        self.echo()
        client = self.client()
        self.assertEqual(self.ask(client=client).status, 200)
        self.lab.token = "another"
        self.rewrite()
        self.reload()
        fresh = self.ask()
        self.assertEqual(fresh.status, 200)
        self.lab.token = "the first one"
        self.assertEqual(self.ask(client=client).status, 401)

    def test_reloaded_is_in_force(self):
        """Once it is said, no thread judges by the old file any more: a token
        that comes and goes, asked with on several connections."""
        self.echo()
        clients = [self.client() for _ in range(4)]
        for turn in range(40):
            self.lab.token = "turn-%d" % turn
            self.rewrite()
            self.reload()
            for client in clients:
                self.assertEqual(self.ask(client=client).status, 200, turn)
            self.lab.token = "nobody"
            self.assertEqual(self.ask().status, 401, turn)

    def test_an_authority_taken_away(self):
        """Certificates of an old authority open nothing any more: neither on
        a connection that is open, nor on a new one with its ticket."""
        self.rewrite("tls: {tickets: on}\n")
        self.reload()
        self.echo()
        cert, key = self.lab.ca.issue("cn-1", ["DNS:cn-1"],
                                      usage="clientAuth")
        context = ssl.create_default_context(cafile=self.lab.ca.cert)
        plain = ssl.create_default_context(cafile=self.lab.ca.cert)
        context.load_cert_chain(cert, key)

        def ask(client, token=False):
            client.send(self.head(length=2, token=token) + "{}")
            return client.answer().status

        def dial(session=None, context=context):
            client = relay_case.Client.__new__(relay_case.Client)
            raw = socket.create_connection(
                ("127.0.0.1", self.lab.relay_internal), harness.PATIENCE)
            client.sock = context.wrap_socket(
                raw, server_hostname="localhost", session=session)
            client.buffer = b""
            self.open.append(client)
            return client

        open_one = dial()
        self.assertEqual(ask(open_one), 200)
        again = dial(open_one.sock.session)
        self.assertEqual(ask(again), 200)
        self.assertFalse(again.sock.session_reused)
        # A ticket is for who shows a token each time.
        first = dial(context=plain)
        self.assertEqual(ask(first, token=True), 200)
        second = dial(first.sock.session, context=plain)
        self.assertEqual(ask(second, token=True), 200)
        self.assertTrue(second.sock.session_reused)
        # Reloads that change nothing about it.
        self.reload()
        self.assertEqual(ask(open_one), 200)
        other = harness.Ca(self.lab.folder, "other")
        os.rename(other.cert, self.lab.ca.cert + ".other")
        with open(self.config, encoding="ascii") as file:
            text = file.read()
        with open(self.config, "w", encoding="ascii") as out:
            out.write(text.replace(
                "client-ca: " + self.lab.ca.cert,
                "client-ca: " + self.lab.ca.cert + ".other"))
        self.reload()
        self.assertEqual(ask(open_one), 401)
        last = dial(again.sock.session)
        self.assertFalse(last.sock.session_reused)
        with self.assertRaisesRegex(ssl.SSLError, "UNKNOWN_CA"):
            ask(last)

    def test_a_key_taken_away(self):
        """Its tunnel ends with 4402; another tenant that comes is let in; a
        UUID that is taken away is served no longer."""
        echo = self.echo()
        self.assertEqual(self.ask().status, 200)
        self.rewrite("timeouts: {agent-wait: 0ms}\n", tenants={
            "acme": (self.key_of(self.key), [])})
        self.reload()
        self.assertEqual(self.ask().status, 503)
        self.assertIsNone(echo.code)
        key = fake_agent.Key()
        self.rewrite("timeouts: {agent-wait: 0ms}\n", tenants={
            "other": (self.key_of(key), [self.vm])})
        self.reload()
        echo.join(harness.PATIENCE)
        self.assertEqual(echo.code, 4402)
        fake_agent.Echo(self.tunnel(key=key, claim=[self.vm]))
        self.assertEqual(self.ask().status, 200)


class ReloadUnderLoad(harness.LabTest):
    def setUp(self):
        super().setUp()
        os.chmod(self.lab.folder, 0o755)
        os.chmod(self.lab.server[1], 0o644)
        self.lab.relay_config({"acme": (self.owner, [self.vm])},
                              self.relay_extra)

    def hosts(self):
        """Some launches by hosts that end by themselves."""
        hosts = harness.Process(
            "hosts", [os.path.join(harness.TESTBIN, "compute-host"), "launch",
                      *self.lab.guest(self.vm), "--hosts", "4", "--launches",
                      "10", "--json"],
            os.path.join(self.lab.folder, "hosts.log"))
        self.addCleanup(hosts.kill)
        return hosts

    def judge(self, hosts):
        """A connection that is lost before its request line is in no line of
        the relay: only the hosts know."""
        status = hosts.wait()
        result = json.loads(hosts.lines[-1])
        self.assertEqual((status, result["ok"], result["lost"],
                          result["mixed-up"], result["retries"]),
                         (0, 40, 0, 0, 0), result)

    def test_a_thousand_reloads(self):
        """No tunnel ends, and no request fails or has to be sent again."""
        relay = self.lab.relay
        hosts, launches = self.hosts(), 40
        relay.wait_line(r" POST validate ")
        for i in range(RELOADS):
            if hosts.ends_within(0):
                self.judge(hosts)
                hosts, launches = self.hosts(), launches + 40
            if i % 100 == 50:
                cert, key = self.lab.ca.issue("r%d" % i, ["DNS:localhost"])
                os.chmod(key, 0o644)
                os.rename(key, self.lab.server[1])
                os.rename(cert, self.lab.server[0])
            mark = relay.mark()
            relay.child.send_signal(signal.SIGHUP)
            relay.wait_line("reloaded: ", mark)
        self.judge(hosts)
        self.assertNotRegex(relay.output(), r"tunnel \S+: down")
        self.assertEqual(relay.stop(), 0)
        lines = [line for line in relay.lines if " POST " in line]
        self.assertEqual(len(lines), 2 * launches)
        bad = [line for line in lines if not re.search(r" 200 agent ", line)]
        self.assertEqual(bad, [])
        print("%d reloads, %d requests" % (RELOADS, len(lines)))


class TakeOver(OpsCase):
    """New relays that do not come to serve: the old one loses nothing."""

    def start(self, extra=None):
        # Its own, as systemd and packages make the folder of its sockets.
        if os.geteuid() == 0:
            shutil.chown(self.lab.folder, "nobody")
        self.config = self.lab.relay_config(
            self.tenants(), "channel-binding: off\ntimeouts: {drain: 0ms}\n")
        self.lab.run_relay(self.config)

    def ask(self):
        """HELLO, as a new relay says it; the socket, with an offer."""
        s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.open.append(s)
        s.settimeout(harness.PATIENCE)
        s.connect(self.lab.path("takeover.sock"))
        s.send(struct.pack(">BI", 1, 2))
        self.assertGreater(len(s.recv(65536)), 80)
        return s

    def stands(self):
        """It has its names, and may be changed and asked again."""
        self.lab.ctl("log-level", "debug")
        self.ask().close()

    def test_one_that_fails(self):
        state = self.lab.path("other.state")
        os.mkdir(state, 0o755)
        with open(os.path.join(state, "relay.db"), "wb") as out:
            out.write(b"no database " * 400)
        os.chmod(os.path.join(state, "relay.db"), 0o600)
        with open(self.config, encoding="ascii") as file:
            text = file.read()
        bad = self.lab.file("bad.yaml", text.replace(
            self.lab.path("relay.state"), state))
        self.config = bad
        self.assertEqual(self.starts("bad").wait(), 1)
        self.lab.relay.wait_line("have their names again")
        self.stands()

    def test_one_that_does_not_ask(self):
        """Two relays with one admin.socket: the second says so."""
        with open(self.config, encoding="ascii") as file:
            text = file.read()
        other = self.lab.file("second.yaml", text.replace(
            self.lab.path("relay.state"), self.lab.path("second.state")))
        second = harness.Process(
            "second", [os.path.join(harness.BIN, "attest-relay"), "--config",
                       other], self.lab.path("second.log"))
        self.addCleanup(second.kill)
        second.wait_line("admin.sock was another process's")

    def test_one_that_goes(self):
        self.ask().close()
        self.lab.relay.wait_line("have their names again")
        self.stands()

    def test_one_that_hangs(self):
        """Meanwhile nothing may be changed that it would not know of."""
        hangs = self.ask()
        self.assertIn("another relay takes over", self.lab.ctl(
            "log-level", "debug", ok=(1,)).stderr)
        self.lab.relay.wait_line("does not go on")
        self.assertEqual(hangs.recv(1), b"")
        self.stands()

    def starts(self, name):
        """A new relay, that is not waited for."""
        return harness.Process(
            name, [os.path.join(harness.BIN, "attest-relay"), "--config",
                   self.config, "--takeover"], self.lab.path(name + ".log"))

    def other(self):
        """Listens where a relay does that can be taken over from."""
        one = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.open.append(one)
        os.unlink(self.lab.path("takeover.sock"))
        one.bind(self.lab.path("takeover.sock"))
        one.listen()
        return one

    def test_one_that_is_refused(self):
        """Whether it has said HELLO by then or not."""
        other = self.other()
        for i in range(3):
            new = self.starts("refused%d" % i)
            other.accept()[0].close()
            self.assertEqual(new.wait(), 1)
            new.wait_line("refuses: it hands over already")

    def test_told_to_reload_while_it_waits(self):
        """For the offer of one that takes its time, and then has none."""
        other = self.other()
        new = self.starts("new")
        asked, _ = other.accept()
        self.open.append(asked)
        self.assertEqual(asked.recv(64), struct.pack(">BI", 1, 2))

        def state(name):
            with open("/proc/%d/status" % new.child.pid,
                      encoding="ascii") as status:
                return re.search("^%s:\t(.*)$" % name, status.read(),
                                 re.M).group(1)
        harness.eventually(lambda: state("State").startswith("S"))
        new.child.send_signal(signal.SIGHUP)
        harness.eventually(lambda: int(state("ShdPnd"), 16) & 1)
        asked.close()
        self.assertEqual(new.wait(), 1)
        new.wait_line("refuses: it hands over already")

    def test_nothing_is_under_way_at_an_offer(self):
        """What was sent to the registry before is on the disk by then."""
        for i in range(20):
            one = socket.socket(socket.AF_UNIX)
            self.open.append(one)
            one.connect(self.lab.path("admin.sock"))
            body = b'{"tenant":"t%d"}' % i
            one.sendall(b"POST /v1/tenants HTTP/1.1\r\nHost: x\r\n"
                        b"Content-Length: %d\r\n\r\n" % len(body) + body)
            asked = self.ask()
            names = self.names()
            asked.close()
            one.settimeout(harness.PATIENCE)
            good = b" 200 " in one.recv(4096)
            self.assertEqual(good, "t%d" % i in names)
            self.lab.relay.wait_line("have their names again",
                                     self.mark)
            self.mark = self.lab.relay.mark()

    def drain(self):
        """A relay that has one tunnel left, and ends by itself."""
        self.echo()
        old = self.lab.relay
        old.child.send_signal(signal.SIGTERM)
        old.wait_line("draining")
        return old

    def test_asked_while_it_drains(self):
        """There is nothing to hand over: the new one starts as usual."""
        old = self.drain()
        self.lab.run_relay(self.config, "--takeover")
        self.assertEqual(old.wait(), 0)
        self.stands()

    def test_told_to_end_between_offer_and_go(self):
        asked = self.ask()
        old = self.drain()
        asked.send(struct.pack(">B", 3))
        old.wait_line("takes over: agents move there")
        self.assertEqual(old.wait(), 0)

    def test_told_to_end_with_nothing_left_but_an_offer(self):
        """Who has it would not start if nobody took its GO."""
        asked = self.ask()
        old = self.lab.relay
        old.child.send_signal(signal.SIGTERM)
        old.wait_line("draining")
        asked.send(struct.pack(">B", 3))
        self.assertEqual(asked.recv(65536), b"\x04")
        self.assertEqual(old.wait(), 0)

    def test_told_to_end_with_an_offer_that_nobody_wants(self):
        asked = self.ask()
        self.lab.relay.child.send_signal(signal.SIGTERM)
        self.lab.relay.wait_line("draining")
        asked.close()
        self.assertEqual(self.lab.relay.wait(), 0)

    def test_told_to_end_and_then_nobody_comes(self):
        asked = self.ask()
        old = self.drain()
        asked.close()
        self.assertEqual(old.wait(), 0)
        self.assertNotIn("names again", old.output())

    mark = 0

    def names(self):
        with sqlite3.connect(self.lab.path("relay.state/relay.db")) as db:
            found = {row[0] for row in db.execute("SELECT name FROM tenants")}
        db.close()
        return found


class ServiceManager(OpsCase):
    def setUp(self):
        self.watched = {}
        super().setUp()

    def start(self, extra=None):
        self.manager = Manager(self.lab.folder)
        self.addCleanup(self.manager.sock.close)
        self.env = {"NOTIFY_SOCKET": self.manager.path,
                    "WATCHDOG_USEC": "300000"}
        super().start()

    def test_words(self):
        text = self.manager.wait("READY=1")
        self.assertIn("STATUS=public 127.0.0.1:", text)
        for _ in range(3):
            self.manager.wait("WATCHDOG=1")
        self.reload()
        text = self.manager.wait("RELOADING=1")
        self.assertRegex(text, r"\nMONOTONIC_USEC=\d+$")
        self.manager.wait("READY=1")
        self.lab.relay.child.send_signal(signal.SIGTERM)
        self.manager.wait("STOPPING=1")
        self.assertEqual(self.lab.relay.wait(), 0)


class Sockets(harness.unittest.TestCase):
    """Sockets that the manager has bound (sd_listen_fds(3))."""

    def setUp(self):
        self.lab = harness.Lab()
        self.addCleanup(self.lab.close)
        self.socks = []
        self.addCleanup(lambda: [s.close() for s in self.socks])

    def listen(self, kind=socket.SOCK_STREAM):
        sock = socket.socket(socket.AF_INET, kind)
        self.socks.append(sock)
        sock.bind(("127.0.0.1", 0))
        if kind == socket.SOCK_STREAM:
            sock.listen(64)
        return sock

    def run_with(self, names, socks):
        """The relay, with the sockets from descriptor 3 on."""
        # The shell moves them there, in the process that is to have them.
        moves = " ".join("%d<&%d" % (20 + i, s.fileno())
                         for i, s in enumerate(socks))
        back = " ".join("%d<&%d" % (3 + i, 20 + i)
                        for i in range(len(socks)))
        script = ("exec %s; exec %s; LISTEN_PID=$$ LISTEN_FDS=%d "
                  "LISTEN_FDNAMES=%s exec \"$@\"") % (
                      moves, back, len(socks), names)
        return harness.Process(
            "relay", ["bash", "-c", script, "bash",
                      os.path.join(harness.BIN, "attest-relay"), "--config",
                      self.lab.relay_config({"acme": (
                          relay_case.RelayCase.key_of(fake_agent.Key()),
                          [])})],
            os.path.join(self.lab.folder, "relay.log"),
            pass_fds=[s.fileno() for s in socks])

    def test_sockets_of_the_manager(self):
        """They take the place of both listen keys; who connected before the
        relay was there is served."""
        socks = [self.listen(), self.listen(), self.listen()]
        ports = [s.getsockname()[1] for s in socks]
        early = socket.create_connection(("127.0.0.1", ports[1]), 10)
        self.addCleanup(early.close)
        self.lab.relay = self.run_with("public:internal:public", socks)
        self.lab.relay.wait_line(
            r"ready: public 127\.0\.0\.1:%d and 127\.0\.0\.1:%d, "
            r"internal 127\.0\.0\.1:%d$" % (ports[0], ports[2], ports[1]))
        context = ssl.create_default_context(cafile=self.lab.ca.cert)
        with context.wrap_socket(early, server_hostname="localhost") as tls:
            tls.sendall(b"GET /sev/.well-known/attest HTTP/1.1\r\n"
                        b"Host: localhost\r\n\r\n")
            self.assertIn(b"HTTP/1.1 ", tls.recv(4096))
        self.assertEqual(self.lab.relay.stop(), 0)

    def test_wrong_ones(self):
        for names, sock, says in (
                ("other", self.listen(),
                 'is named "other", want public, internal, '),
                ("public", self.listen(socket.SOCK_DGRAM),
                 "is no listening stream socket")):
            with self.subTest(names):
                relay = self.run_with(names, [sock])
                self.assertEqual(relay.wait(), 1)
                self.assertIn(says, relay.output())


if __name__ == "__main__":
    unittest.main(verbosity=2)
