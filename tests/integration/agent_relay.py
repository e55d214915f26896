"""A relay for the agent's tests, from docs/protocol.md 12 alone, that can also
be rude.  Python's TLS has no exporter, so channel-binding is off here.
"""

import base64
import hashlib
import queue
import ssl
import struct
import threading
import time

from cryptography.hazmat.primitives.asymmetric.ed25519 import (
    Ed25519PublicKey)

import agent_case
import fake_agent as wire

NAME = b"fake.example"
SUBPROTOCOL = b"attest-relay.v1"
PATIENCE = 60


def frame(kind, stream=0, payload=b"", flags=0):
    return struct.pack(">BBHI", kind, flags, 0, stream) + payload


class Tunnel:
    """One agent's tunnel, after the hello and the claims."""

    def __init__(self, tls):
        self.tls = tls
        self.buffer = b""
        self.lock = threading.Lock()
        self.head = ""
        self.closed = None  # code of the agent's close frame
        self.vms = []
        self.claims = []  # (mode, rank or None, UUIDs) of each CLAIM

    def take(self, size):
        while len(self.buffer) < size:
            data = self.tls.recv(65536)
            if not data:
                raise wire.Closed(self.closed)
            self.buffer += data
        data, self.buffer = self.buffer[:size], self.buffer[size:]
        return data

    def upgrade(self):
        while b"\r\n\r\n" not in self.buffer:
            self.buffer += self.tls.recv(65536)
        head, self.buffer = self.buffer.split(b"\r\n\r\n", 1)
        self.head = head.decode()
        key = [line.split(":", 1)[1].strip() for line in
               self.head.splitlines()
               if line.lower().startswith("sec-websocket-key:")][0]
        accept = base64.b64encode(hashlib.sha1((
            key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest())
        self.tls.sendall(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
            b"Connection: Upgrade\r\nSec-WebSocket-Accept: " + accept +
            b"\r\nSec-WebSocket-Protocol: " + SUBPROTOCOL + b"\r\n\r\n")

    def send(self, payload, opcode=2, fin=True):
        with self.lock:
            self.tls.sendall(wire.Socket.encode(payload, opcode, fin,
                                                masked=False))

    def receive(self):
        """The next binary message of the agent."""
        while True:
            first, second = self.take(2)
            if not second & 0x80:
                raise AssertionError("a client's frame without a mask")
            size = second & 0x7f
            if size == 126:
                size, = struct.unpack(">H", self.take(2))
            elif size == 127:
                size, = struct.unpack(">Q", self.take(8))
            mask = self.take(4)
            data = self.take(size)
            data = bytes(b ^ mask[i % 4] for i, b in enumerate(data))
            if first & 0x0f == 8:
                self.closed = struct.unpack(">H", data[:2])[0] if data else 0
                raise wire.Closed(self.closed)
            if first & 0x0f == 2:
                return data

    def next_frame(self):
        """The next frame that is not a PING: (kind, stream, payload)."""
        while True:
            data = self.receive()
            kind, _, _, stream = struct.unpack(">BBHI", data[:8])
            if kind != wire.PING:
                return kind, stream, data[8:]
            self.send(frame(wire.PONG, 0, data[8:]))

    def next(self, kind):
        """The next frame of that kind: (stream, payload)."""
        while True:
            got, stream, payload = self.next_frame()
            if got == kind:
                return stream, payload

    def end_of(self, stream):
        """The RESPONSE or RESET of that stream: (kind, payload)."""
        while True:
            kind, got, payload = self.next_frame()
            if got == stream and kind in (wire.RESPONSE, wire.RESET):
                return kind, payload

    def greet(self, claim_result=0, claims=1):
        nonce = bytes(range(32))
        self.send(frame(wire.CHALLENGE, 0, wire.tlvs(
            (1, nonce), (2, NAME), (3, b"\0\0"),
            (4, struct.pack(">Q", int(time.time() * 1000))),
            (5, struct.pack(">I", 16384)), (6, struct.pack(">I", 32)),
            (7, struct.pack(">I", 4096)), (11, b"\0"))))
        _, payload = self.next(wire.HELLO)
        hello = wire.parse_tlvs(payload)
        text = (b"attest-relay.v1 hello\0" + nonce + b"\0" + bytes(32) +
                struct.pack(">H", len(NAME)) + NAME +
                struct.pack(">H", len(SUBPROTOCOL)) + SUBPROTOCOL)
        Ed25519PublicKey.from_public_bytes(hello[0x10]).verify(
            hello[0x11], text)
        self.send(frame(wire.WELCOME, 0, wire.tlvs(
            (3, b"\0\0"), (0x20, b"acme"), (0x21, struct.pack(">I", 20000)),
            (0x22, struct.pack(">Q", 1)))))
        for _ in range(claims):
            self.claimed(self.claim(), claim_result)

    def claim(self):
        """The agent's next CLAIM: (number, UUIDs)."""
        number, payload = self.next(wire.CLAIM)
        claim = wire.parse_tlvs(payload)
        names = claim[wire.T_NAMES]
        vms = []
        while names:
            vms.append(names[:16])
            names = names[17 + names[16]:]
        rank = claim.get(wire.T_RANK)
        self.vms += vms
        self.claims.append((claim[wire.T_MODE][0],
                            rank and struct.unpack(">H", rank)[0], vms))
        return number, vms

    def claimed(self, claim, result=0):
        number, vms = claim
        self.send(frame(wire.CLAIMED, number, wire.tlvs((
            wire.T_RESULTS, b"".join(vm + bytes([result]) for vm in vms)))))

    def request(self, stream, path, body, pieces=1, flags=1):
        """REQUEST with the first piece of the body, DATA with the others."""
        step = (len(body) + pieces - 1) // pieces or 1
        parts = [body[i:i + step] for i in range(0, len(body), step)]
        head = [(wire.T_METHOD, b"POST"), (wire.T_PATH, path.encode()),
                (wire.T_HEADERS, wire.headers(
                    ("content-type", "application/json"),
                    ("request-id", "r%d" % stream))),
                (wire.T_BODY_LENGTH, struct.pack(">I", len(body))),
                (wire.T_DEADLINE, struct.pack(">I", 30000))]
        if parts:
            head.append((wire.T_BODY, parts[0]))
        last = len(parts) <= 1
        self.send(frame(wire.REQUEST, stream, wire.tlvs(*head),
                        flags if last else 0))
        for i, part in enumerate(parts[1:], 2):
            self.send(frame(wire.DATA, stream, part,
                            1 if i == len(parts) else 0))

    def response(self, stream):
        """(status, body) of a whole answer, its DATA included."""
        got, payload = self.next(wire.RESPONSE)
        if got != stream:
            raise AssertionError("stream %d, want %d" % (got, stream))
        head = wire.parse_tlvs(payload)
        want, = struct.unpack(">I", head[wire.T_BODY_LENGTH])
        body = head.get(wire.T_BODY, b"")
        while len(body) < want:
            _, more = self.next(wire.DATA)
            body += more
        return struct.unpack(">H", head[wire.T_STATUS])[0], body

    def goaway(self, code, last, low=0, high=0):
        self.send(frame(wire.GOAWAY, 0, wire.tlvs(
            (wire.T_CODE, struct.pack(">I", code)),
            (wire.T_LAST, struct.pack(">I", last)),
            (wire.T_MIN, struct.pack(">I", low)),
            (wire.T_MAX, struct.pack(">I", high)))))

    def notice(self, text):
        self.send(frame(wire.NOTICE, 0, wire.tlvs(
            (wire.T_CODE, struct.pack(">I", 3)), (wire.T_TEXT, text))))

    def close(self, code, why=b""):
        self.send(struct.pack(">H", code) + why, opcode=8)

    def end(self, timeout=PATIENCE):
        """Read until the agent closes; the code it gives."""
        self.tls.settimeout(timeout)
        try:
            while True:
                self.receive()
        except (wire.Closed, OSError):
            return self.closed


class Relay(agent_case.Server):
    """Greets each agent and puts its tunnel into self.tunnels."""

    def __init__(self, cert, key, greet=True, claims=1):
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(cert, key)
        self.tunnels = queue.Queue()
        self.greet = greet
        self.claims = claims  # that a tunnel answers before it is handed out
        self.over = threading.Event()
        super().__init__()

    def serve(self, peer):
        peer.settimeout(PATIENCE)
        with self.context.wrap_socket(peer, server_side=True) as tls:
            tunnel = Tunnel(tls)
            tunnel.upgrade()
            if self.greet:
                tunnel.greet(claims=self.claims)
            self.tunnels.put(tunnel)
            self.over.wait()

    def next(self):
        return self.tunnels.get(timeout=PATIENCE)

    def close(self):
        self.over.set()
        super().close()
