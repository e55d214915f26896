"""Relays that share a real redis-server."""

import os
import socket
import threading
import time

import harness
from relays_case import RelaysCase


def free_port():
    with socket.socket() as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Redis:
    """redis-server on a port of its own, with a password, and with its data on
    disk or lost at each end."""

    def __init__(self, lab, keeps=True):
        self.lab = lab
        self.port = free_port()
        self.keeps = keeps
        self.process = None
        self.password = "redis-" + os.urandom(8).hex()
        self.password_file = lab.file("redis.password", self.password + "\n")

    def start(self):
        self.process = harness.Process("redis", [
            "redis-server", "--port", str(self.port), "--bind", "127.0.0.1",
            "--dir", self.lab.folder, "--save", "", "--requirepass",
            self.password, "--appendonly", "yes" if self.keeps else "no",
            "--appendfsync", "always"], self.lab.path("redis.log"))
        self.process.wait_line("Ready to accept connections")
        return self

    def kill(self):
        if self.process is not None:
            self.process.kill()
            self.process = None

    def ask(self, *words):
        done = harness.run(
            ["redis-cli", "-p", str(self.port), "--no-auth-warning", *words],
            env=dict(os.environ, REDISCLI_AUTH=self.password))
        return done.stdout.strip()


class SlowRedis:
    """Stands before a redis-server and holds back what it answers to one
    relay's commands."""

    def __init__(self, port):
        self.to = port
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.more = threading.Condition()
        self.asked = []  # the words of each command
        self.answered = 0
        self.upto = None  # so many of them at most; None: all
        self.spawn(self.serve)

    @staticmethod
    def spawn(what, *args):
        threading.Thread(target=what, args=args, daemon=True).start()

    def serve(self):
        # The connection for commands is made first, then one that listens.
        with self.listener:
            self.join(self.note, self.wait)
            self.join(lambda words: None, lambda words: None)

    def join(self, note, wait):
        near, _ = self.listener.accept()
        far = socket.create_connection(("127.0.0.1", self.to))
        self.spawn(self.carry, near, far, note)
        self.spawn(self.carry, far, near, wait)

    def carry(self, source, sink, each):
        with source, source.makefile("rb") as stream:
            try:
                raw, words = self.message(stream)
                while raw:
                    each(words)
                    sink.sendall(raw)
                    raw, words = self.message(stream)
                sink.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def message(self, stream):
        """As it came, and the texts in it."""
        raw = stream.readline()
        words = []
        if raw[:1] == b"$" and raw[1:2] != b"-":
            words = [stream.read(int(raw[1:]) + 2)]
            raw += words[0]
        elif raw[:1] == b"*":
            for _ in range(int(raw[1:])):
                part, more = self.message(stream)
                raw += part
                words += more
        return raw, words

    def note(self, words):
        with self.more:
            self.asked.append(words)
            self.more.notify_all()

    def wait(self, _):
        with self.more:
            self.more.wait_for(
                lambda: self.upto is None or self.answered < self.upto)
            self.answered += 1

    def hold(self):
        with self.more:
            self.upto = self.answered

    def let(self, upto=None):
        """The answers to the first so many commands, or to all."""
        with self.more:
            self.upto = upto
            self.more.notify_all()

    def wait_asked(self, words, name, since=0):
        """How many commands there were with the first script of so many words
        on the key `name` behind the first `since`."""
        def count():
            return next((i + 1 for i, asked in enumerate(self.asked)
                         if i >= since and len(asked) == words and
                         asked[3] == name + b"\r\n"), None)
        with self.more:
            if not self.more.wait_for(count, harness.PATIENCE):
                raise AssertionError("never asked: %r" % self.asked)
            return count()


class ClusterCase(RelaysCase):
    """`count` relays, each a node of one cluster."""

    keeps = True
    lease = "10s"

    def setUp(self):
        # Before the base class starts the relays, which need both.
        self.redis = None
        self.peer_ca = None
        super().setUp()

    def new_relay(self, i):
        if self.redis is None:
            self.redis = Redis(self.lab, self.keeps).start()
            # Its data is old: nobody is waited for who may have lost some.
            self.redis.ask("-n", "1", "SET", "attest-relay:born", "1")
            self.addCleanup(self.redis.kill)
            self.peer_ca = harness.Ca(self.lab.folder, "peers")
        return super().new_relay(i)

    def certificate(self, i):
        """The peer certificate of node i: (certificate, key, CA)."""
        node = "node-%d" % i
        cert, key = self.peer_ca.issue(
            node, ["DNS:" + node], usage="serverAuth,clientAuth")
        return cert, key, self.peer_ca.cert

    def extra(self, i):
        return "\n".join([
            "channel-binding: off",
            "cluster:",
            "  directory: redis://127.0.0.1:%d/1" % self.redis.port,
            "  password-file: " + self.redis.password_file,
            "  node: node-%d" % i,
            '  listen: ["127.0.0.1:0"]',
            "  certificate: %s\n  key: %s\n  ca: %s" % self.certificate(i),
            "  lease: " + self.lease,
            "timeouts: {agent-wait: 3s}"])

    def reached(self, relay, since=0):
        relay.process.wait_line("directory: reached", since)

    def wait_until(self, what, happens, patience=harness.PATIENCE):
        """What one relay did is seen at another through the directory, and
        neither says so: asked again."""
        deadline = time.monotonic() + patience
        while not happens():
            if time.monotonic() > deadline:
                self.fail("never happened: " + what)
            time.sleep(0.02)
