"""A relay between a host and agents that the test plays itself."""

import hashlib
import os
import re
import secrets
import socket
import ssl
import subprocess
import unittest
import uuid

import fake_agent
import harness

PATIENCE = harness.PATIENCE


class Answer:
    def __init__(self, status, fields, body):
        self.status = status
        self.fields = fields
        self.body = body

    def __repr__(self):
        return "%d %r %r" % (self.status, self.fields, self.body[:200])


class Client:
    """A TLS connection to the relay, byte by byte."""

    def __init__(self, port, ca, cert=None, key=None, tls12=False):
        context = ssl.create_default_context(cafile=ca)
        if tls12:
            context.maximum_version = ssl.TLSVersion.TLSv1_2
        if cert:
            context.load_cert_chain(cert, key)
        raw = socket.create_connection(("127.0.0.1", port), PATIENCE)
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock = context.wrap_socket(raw, server_hostname="localhost")
        self.sock.settimeout(PATIENCE)
        self.buffer = b""

    def send(self, data):
        self.sock.sendall(data if isinstance(data, bytes) else data.encode())

    def more(self):
        data = self.sock.recv(65536)
        self.buffer += data
        return bool(data)

    def answer(self, head_only=False):
        """The next answer; None at the end of the connection."""
        while True:
            while b"\r\n\r\n" not in self.buffer:
                if not self.more():
                    return None
            head, rest = self.buffer.split(b"\r\n\r\n", 1)
            lines = head.decode("latin-1").split("\r\n")
            status = int(lines[0].split()[1])
            if status != 100:
                break
            self.buffer = rest
        fields = {}
        for line in lines[1:]:
            name, _, value = line.partition(": ")
            fields[name.lower()] = value
        size = 0 if head_only else int(fields.get("content-length", "0"))
        while len(rest) < size:
            data = self.sock.recv(65536)
            if not data:
                raise AssertionError("cut short: %r" % rest)
            rest += data
        self.buffer = rest[size:]
        return Answer(status, fields, rest[:size])

    def at_end(self):
        """Is the connection closed, with nothing more said?"""
        try:
            while self.more():
                pass
        except (ConnectionError, ssl.SSLError):
            pass
        return self.buffer == b""

    def close(self):
        self.sock.close()


class RelayCase(unittest.TestCase):
    """One relay with a tenant, one VM, and a key of a fake agent."""

    extra = ""

    def setUp(self):
        self.lab = harness.Lab()
        self.addCleanup(self.lab.close)
        self.key = fake_agent.Key()
        self.vm = str(uuid.uuid4())
        self.open = []
        self.addCleanup(self.close_all)
        self.start()

    def close_all(self):
        for one in self.open:
            one.close()

    def tenants(self):
        return {"acme": (self.key_of(self.key), [self.vm])}

    @staticmethod
    def key_of(key):
        class Owner:
            pass
        owner = Owner()
        owner.key = key.text()
        return owner

    def start(self, extra=None):
        self.lab.start_relay(
            self.tenants(),
            "channel-binding: off\n" + (self.extra if extra is None
                                        else extra))

    def tunnel(self, key=None, claim=None, **kwargs):
        t = fake_agent.Tunnel(self.lab.relay_public, self.lab.ca.cert,
                              key or self.key, **kwargs)
        self.open.append(t)
        if claim is not None:
            self.assertEqual(t.claim(*claim), [0] * len(claim))
        return t

    def echo(self, answer=None, **kwargs):
        return fake_agent.Echo(self.tunnel(claim=[self.vm], **kwargs), answer)

    def client(self, port=None, **kwargs):
        c = Client(port or self.lab.relay_internal, self.lab.ca.cert, **kwargs)
        self.open.append(c)
        return c

    def head(self, method="POST", verb="launch", vm=None, length=None,
             extra="", token=True, path=None):
        text = "%s %s HTTP/1.1\r\nHost: localhost\r\n" % (
            method, path or "/sev/vm/%s/%s" % (vm or self.vm, verb))
        if token:
            text += "Authorization: Bearer %s\r\n" % self.lab.token
        if length is not None:
            text += "Content-Length: %d\r\n" % length
        return text + extra + "\r\n"

    def ask(self, body=b"{}", client=None, **kwargs):
        c = client or self.client()
        c.send(self.head(length=len(body), **kwargs).encode() + body)
        return c.answer()

    def problem(self, answer, status, name):
        self.assertIsNotNone(answer)
        self.assertEqual(answer.status, status, answer)
        self.assertEqual(answer.fields["content-type"],
                         "application/problem+json")
        self.assertIn('"urn:attest-relay:problem:%s"' % name,
                      answer.body.decode())
        self.assertEqual(answer.fields["attest-origin"], "relay")
        self.assertEqual(answer.fields["cache-control"], "no-store")
        self.assertIn("date", answer.fields)
        self.assertIn(answer.fields["request-id"], answer.body.decode())


class Scraper:
    """Of a RelayCase: what the admin listener says of it."""

    def get(self, path, status=200):
        done = subprocess.run(
            ["curl", "-sS", "--unix-socket", self.lab.path("admin.sock"), "-w",
             "\n%{http_code} %{content_type}", "http://relay" + path],
            capture_output=True, text=True, timeout=harness.PATIENCE)
        body, _, last = done.stdout.rpartition("\n")
        self.assertEqual(int(last.split()[0]), status, done.stdout)
        self.kind = last.split(" ", 1)[1]
        return body

    def value(self, text, name, **labels):
        want = ",".join('%s="%s"' % pair for pair in labels.items())
        line = "attest_relay_" + name + ("{%s}" % want if want else "")
        found = re.search("^%s (.*)$" % re.escape(line), text, re.M)
        self.assertIsNotNone(found, "%s in\n%s" % (line, text))
        return float(found.group(1))
