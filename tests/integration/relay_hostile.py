"""A directory that turns on its relay (T45): the relay goes on, serves its own
agents, and uses the directory again once that behaves."""

import hashlib
import json
import os
import socket
import threading
import unittest

import harness
import relay_case


class FakeRedis(threading.Thread):
    """Speaks to a relay as a Redis would, until it is told otherwise.  The
    connection of an AUTH that is followed by SUBSCRIBE is the one that
    listens."""

    def __init__(self):
        super().__init__(daemon=True)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.speaks = self.listens = None
        self.find = None
        self.silent = False
        self.asked = 0  # who serves a UUID
        self.start()

    def run(self):
        while True:
            try:
                conn, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(conn,),
                             daemon=True).start()

    def serve(self, conn):
        file = conn.makefile("rb")
        try:
            while True:
                line = file.readline()
                if not line:
                    return
                words = []
                for _ in range(int(line[1:])):
                    size = int(file.readline()[1:])
                    words.append(file.read(size + 2)[:-2])
                reply = self.answer(conn, words)
                if not self.silent:
                    conn.sendall(reply)
        except (OSError, ValueError):
            pass
        finally:
            conn.close()

    def answer(self, conn, words):
        if words[0] in (b"AUTH", b"SELECT"):
            return b"+OK\r\n"
        if words[0] == b"SUBSCRIBE":
            self.listens = conn
            return b"*3\r\n$9\r\nsubscribe\r\n$%d\r\n%s\r\n:1\r\n" % (
                len(words[1]), words[1])
        if words[0] == b"SCRIPT":
            sha = hashlib.sha1(words[2]).hexdigest().encode()
            if b"table.sort" in words[2]:
                self.find = sha
            return b"$40\r\n%s\r\n" % sha
        self.speaks = conn
        if words[0] == b"TIME":
            return b"*2\r\n$10\r\n1700000000\r\n$1\r\n0\r\n"
        if words[1] == self.find:
            self.asked += 1
            return b"*1\r\n$0\r\n\r\n"
        return b":1\r\n"

    def close(self):
        self.listener.close()


class Hostile(relay_case.RelayCase):
    def start(self, extra=None):
        self.redis = FakeRedis()
        self.addCleanup(self.redis.close)
        ca = harness.Ca(self.lab.folder, "peers")
        cert, key = ca.issue("peer", ["DNS:node-0"],
                             usage="serverAuth,clientAuth")
        super().start("\n".join([
            "limits: {memory: 1MiB, held-per-source: 100}"
            if "t21" in self.id() else "",
            "timeouts: {agent-wait: 1s}",
            "cluster:",
            "  directory: redis://127.0.0.1:%d" % self.redis.port,
            "  node: node-0",
            '  listen: ["127.0.0.1:0"]',
            "  certificate: %s\n  key: %s\n  ca: %s" % (cert, key, ca.cert)]))

    def resident(self):
        with open("/proc/%d/statm" % self.lab.relay.child.pid,
                  encoding="ascii") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    def test_t45_nothing_ends_the_relay(self):
        relay, mark = self.lab.relay, 0
        relay.wait_line("directory: reached")
        self.echo()
        before = self.resident()

        def silence():
            self.redis.silent = True
        for act, says in (
                (lambda: self.redis.speaks.sendall(b":1\r\n" * 1000),
                 "nobody asked for"),
                (lambda: self.redis.listens.sendall(
                    b">2\r\n+invalidate\r\n*0\r\n"), "type 0x3e"),
                (lambda: self.redis.speaks.sendall(
                    b"$2147483648\r\n" + b"x" * 100000), "text of 2147483648"),
                (lambda: self.redis.listens.sendall(b"*1\r\n" * 100000),
                 "nobody asked for|list within a list"),
                (silence, "no answer in time")):
            relay.wait_line("directory: reached", mark)
            mark = relay.mark()
            harness.eventually(lambda: self.redis.speaks is not None)
            act()
            relay.wait_line("not reached: .*(%s)" % says, mark)
            # Its own agent is there all the same.
            self.assertEqual(self.ask().status, 200)
            self.redis.speaks = None
            self.redis.silent = False
        relay.wait_line("directory: reached", mark)
        self.assertLess(self.resident() - before, 64 << 20)
        self.assertEqual(self.ask().status, 200)

    def test_t21_wishes_that_wait_are_charged(self):
        """A directory that is slow does not take the relay's memory."""
        self.lab.relay.wait_line("directory: reached")
        # 45 connections are a seventh below the mark, so that about 20 of
        # them may ask.
        hosts = [self.client() for _ in range(45)]
        self.redis.silent = True
        for host in hosts:
            host.send(self.head(length=2).encode() + b"{}")
        refused = 0
        for host in hosts:
            answer = host.answer()
            self.assertEqual(answer.status, 503)
            refused += b":overloaded" in answer.body
        self.assertIn(refused, range(10, 40))
        self.assertIn(self.redis.asked, range(1, 45 - refused + 1))
        # What they held is given back.
        for host in hosts[1:]:
            host.close()
        mark = self.lab.relay.mark()
        self.redis.silent = False
        self.lab.relay.wait_line("directory: reached", mark)
        harness.eventually(lambda: json.loads(self.lab.ctl(
            "--json", "status").stdout)["memory"] == 16384)

    def test_t45_one_that_never_was(self):
        """What is wrong with it is told, once."""
        self.lab.relay.stop()
        self.redis.answer = lambda conn, words: b"-WRONGPASS no\033[2J\r\n"
        self.lab.run_relay(self.lab.path("relay.yaml"))
        line = self.lab.relay.wait_line("directory: not reached: WRONGPASS.*")
        self.assertNotIn("\033", line.group(0))
        self.redis.answer = FakeRedis.answer.__get__(self.redis)
        self.lab.relay.wait_line("directory: reached")
        self.assertEqual(self.lab.relay.output().count("not reached"), 1)


if __name__ == "__main__":
    unittest.main(verbosity=2)
