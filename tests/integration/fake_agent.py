"""An agent for the relay's tests: WebSocket, frames and hello by hand, from
docs/protocol.md 12 alone, so that it can also do all that a good agent never
would.  The TLS module of Python has no exporter: channel-binding must be off.
"""

import base64
import hashlib
import os
import socket
import ssl
import struct
import threading
import uuid

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import (
    Ed25519PrivateKey)

CHALLENGE, HELLO, WELCOME, CLAIM, CLAIMED, UNCLAIM = 1, 2, 3, 4, 5, 6
REQUEST, RESPONSE, DATA, RESET, WINDOW, PENDING = (
    0x10, 0x11, 0x12, 0x13, 0x14, 0x15)
PING, PONG, GOAWAY, NOTICE = 0x20, 0x21, 0x22, 0x23
END = 1
T_NONCE, T_RELAY_NAME, T_MAX_STREAMS, T_BINDING = 1, 2, 6, 11
T_KEY, T_SIGNATURE, T_SOFTWARE, T_BOOT_ID, T_CAPABILITIES = (
    0x10, 0x11, 0x12, 0x13, 0x14)
T_NAMES, T_RESULTS, T_UUIDS, T_MODE, T_RANK = 0x30, 0x31, 0x32, 0x33, 0x34
T_METHOD, T_PATH, T_HEADERS, T_BODY_LENGTH, T_DEADLINE, T_BODY = (
    0x40, 0x41, 0x42, 0x43, 0x44, 0x45)
T_STATUS, T_CODE, T_TEXT, T_CREDIT, T_REASON, T_EXTEND = (
    0x50, 0x60, 0x61, 0x62, 0x63, 0x64)
T_LAST, T_MIN, T_MAX = 0x70, 0x71, 0x72
PATIENCE = 60


class Closed(Exception):
    """The relay ended the tunnel; code is the WebSocket's, None if bare."""

    def __init__(self, code, why=""):
        super().__init__("closed: %s %s" % (code, why))
        self.code = code


def tlvs(*pairs):
    return b"".join(struct.pack(">HH", tag, len(value)) + value
                    for tag, value in sorted(pairs))


def parse_tlvs(payload):
    out, at = {}, 0
    while at < len(payload):
        tag, size = struct.unpack_from(">HH", payload, at)
        out[tag] = payload[at + 4:at + 4 + size]
        at += 4 + size
    return out


def headers(*pairs):
    out = b""
    for name, value in pairs:
        name = name.encode("latin-1") if isinstance(name, str) else name
        value = value.encode("latin-1") if isinstance(value, str) else value
        out += struct.pack(">B", len(name)) + name
        out += struct.pack(">H", len(value)) + value
    return out


def parse_headers(raw):
    out, at = [], 0
    while at < len(raw):
        size = raw[at]
        name = raw[at + 1:at + 1 + size].decode()
        at += 1 + size
        size, = struct.unpack_from(">H", raw, at)
        out.append((name, raw[at + 2:at + 2 + size].decode()))
        at += 2 + size
    return out


class Key:
    def __init__(self):
        self.private = Ed25519PrivateKey.generate()
        self.public = self.private.public_key().public_bytes(
            serialization.Encoding.Raw, serialization.PublicFormat.Raw)

    def text(self):
        return "ed25519:" + base64.b64encode(self.public).decode()


def self_certifying(key, label):
    """The UUID that `key` makes of `label` (docs/protocol.md 12.3)."""
    raw = bytearray(hashlib.sha256(
        b"attest-relay.vm\0" + key.public + label).digest()[:16])
    raw[6] = raw[6] & 0x0f | 0x80
    raw[8] = raw[8] & 0x3f | 0x80
    return str(uuid.UUID(bytes=bytes(raw)))


class Socket:
    """A WebSocket client over TLS."""

    def __init__(self, port, ca, path="/sev/agent/v1",
                 subprotocol="attest-relay.v1", extra="", cert=None,
                 before_upgrade=lambda: None):
        context = ssl.create_default_context(cafile=ca)
        if cert:
            context.load_cert_chain(*cert)
        raw = socket.create_connection(("127.0.0.1", port), PATIENCE)
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock = context.wrap_socket(raw, server_hostname="localhost")
        self.sock.settimeout(PATIENCE)
        self.buffer = b""
        self.lock = threading.Lock()
        key = base64.b64encode(os.urandom(16)).decode()
        before_upgrade()
        self.sock.sendall((
            "GET %s HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
            "Connection: Upgrade\r\nSec-WebSocket-Key: %s\r\n"
            "Sec-WebSocket-Version: 13\r\n"
            "Sec-WebSocket-Protocol: %s\r\n%s\r\n" % (
                path, key, subprotocol, extra)).encode())
        while b"\r\n\r\n" not in self.buffer:
            self._more()
        head, self.buffer = self.buffer.split(b"\r\n\r\n", 1)
        self.head = head.decode()
        self.status = int(self.head.split()[1])

    def _more(self):
        data = self.sock.recv(65536)
        if not data:
            raise Closed(None)
        self.buffer += data

    def _take(self, size):
        while len(self.buffer) < size:
            self._more()
        data, self.buffer = self.buffer[:size], self.buffer[size:]
        return data

    @staticmethod
    def encode(payload, opcode=2, fin=True, masked=True):
        first = (0x80 if fin else 0) | opcode
        bit = 0x80 if masked else 0
        if len(payload) < 126:
            head = struct.pack(">BB", first, bit | len(payload))
        elif len(payload) < 65536:
            head = struct.pack(">BBH", first, bit | 126, len(payload))
        else:
            head = struct.pack(">BBQ", first, bit | 127, len(payload))
        if not masked:
            return head + payload
        mask = os.urandom(4)
        pad = (mask * (len(payload) // 4 + 1))[:len(payload)]
        body = (int.from_bytes(payload, "big") ^
                int.from_bytes(pad, "big")).to_bytes(len(payload), "big")
        return head + mask + body

    def send(self, payload, **kwargs):
        with self.lock:
            self.sock.sendall(self.encode(payload, **kwargs))

    def send_raw(self, data):
        with self.lock:
            self.sock.sendall(data)

    def recv(self):
        """The next (opcode, payload); Closed at the end."""
        first, second = self._take(2)
        size = second & 0x7f
        if size == 126:
            size, = struct.unpack(">H", self._take(2))
        elif size == 127:
            size, = struct.unpack(">Q", self._take(8))
        payload = self._take(size)
        if first & 0x0f == 8:
            code = struct.unpack(">H", payload[:2])[0] if payload else None
            raise Closed(code, payload[2:].decode("utf-8", "replace"))
        return first & 0x0f, payload

    def close(self):
        try:
            self.sock.close()
        except OSError:
            pass


class Tunnel:
    """Frames, and the greeting."""

    def __init__(self, port, ca, key=None, hello=True, **kwargs):
        self.ws = Socket(port, ca, **kwargs)
        if self.ws.status != 101:
            raise AssertionError(self.ws.head)
        self.key = key or Key()
        self.claim_number = 0
        self.partial = {}
        self.give_credit = True
        kind, _, _, payload = self.recv()
        assert kind == CHALLENGE, kind
        self.challenge = parse_tlvs(payload)
        if hello:
            self.send_hello()
            kind, _, _, payload = self.recv()
            assert kind == WELCOME, kind
            self.welcome = parse_tlvs(payload)

    def hello_text(self):
        name = self.challenge[T_RELAY_NAME]
        sub = b"attest-relay.v1"
        return (b"attest-relay.v1 hello\0" + self.challenge[T_NONCE] +
                self.challenge[T_BINDING] + bytes(32) +
                struct.pack(">H", len(name)) + name +
                struct.pack(">H", len(sub)) + sub)

    def hello_payload(self, signature=None, key=None):
        return tlvs(
            (T_MAX_STREAMS, struct.pack(">I", 32)),
            (T_KEY, key or self.key.public),
            (T_SIGNATURE, signature or
             self.key.private.sign(self.hello_text())),
            (T_SOFTWARE, b"fake-agent/1"), (T_BOOT_ID, os.urandom(16)),
            (T_CAPABILITIES, struct.pack(">I", 0)))

    def send_hello(self, **kwargs):
        self.send(HELLO, 0, self.hello_payload(**kwargs))

    def send(self, kind, stream, payload=b"", flags=0):
        self.ws.send(struct.pack(">BBHI", kind, flags, 0, stream) + payload)

    def recv(self):
        """(type, flags, stream, payload)."""
        while True:
            opcode, message = self.ws.recv()
            if opcode != 2:
                continue
            kind, flags, _, stream = struct.unpack_from(">BBHI", message)
            return kind, flags, stream, message[8:]

    def claim(self, *names, capabilities=0, mode=0, rank=None):
        """Claim UUIDs or (UUID, label); the list of results."""
        self.claim_number += 1
        value = b""
        for name in names:
            vm, label = name if isinstance(name, tuple) else (name, b"")
            value += bytes.fromhex(vm.replace("-", "")) + bytes(
                [len(label)]) + label
        pairs = [(T_CAPABILITIES, struct.pack(">I", capabilities)),
                 (T_NAMES, value), (T_MODE, bytes([mode]))]
        if rank is not None:
            pairs.append((T_RANK, struct.pack(">H", rank)))
        self.send(CLAIM, self.claim_number, tlvs(*pairs))
        while True:
            kind, _, number, payload = self.recv()
            if kind == CLAIMED:
                break
        assert number == self.claim_number
        results = parse_tlvs(payload)[T_RESULTS]
        return [results[i + 16] for i in range(0, len(results), 17)]

    def request(self):
        """The next whole request: (stream, method, path, headers, body)."""
        while True:
            kind, flags, stream, payload = self.recv()
            if kind == PING:
                self.send(PONG, 0, payload)
                continue
            request = self.take(kind, flags, stream, payload)
            if request is not None:
                return request
            assert kind in (REQUEST, DATA, RESET, WINDOW, NOTICE,
                            GOAWAY, PONG), kind

    def take(self, kind, flags, stream, payload):
        """Frames of requests, as they come mixed: the request that is now
        complete, or None."""
        if kind == REQUEST:
            fields = parse_tlvs(payload)
            self.partial[stream] = fields
            fields[T_BODY] = fields.get(T_BODY, b"")
        elif kind == DATA and stream in self.partial:
            fields = self.partial[stream]
            fields[T_BODY] += payload
            # The first window is enough but for KBS paths (12.4).
            want, = struct.unpack(">I", fields[T_BODY_LENGTH])
            if want > 65536 and self.give_credit and not flags & END:
                self.send(WINDOW, stream, tlvs(
                    (T_CREDIT, struct.pack(">I", len(payload)))))
        else:
            if kind == RESET:
                self.partial.pop(stream, None)
            return None
        if not flags & END:
            return None
        del self.partial[stream]
        want, = struct.unpack(">I", fields[T_BODY_LENGTH])
        assert len(fields[T_BODY]) == want, (len(fields[T_BODY]), want)
        if want and self.give_credit:
            self.send(WINDOW, 0, tlvs((T_CREDIT, struct.pack(">I", want))))
        return (stream, fields[T_METHOD].decode(), fields[T_PATH].decode(),
                dict(parse_headers(fields[T_HEADERS])), fields[T_BODY])

    def respond(self, stream, status=200, body=b"", fields=(
            ("content-type", "application/json"),), first=15000):
        head = headers(*fields)
        first = min(first, 16384 - 8 - 60 - len(head))
        pairs = [(T_HEADERS, head),
                 (T_BODY_LENGTH, struct.pack(">I", len(body))),
                 (T_STATUS, struct.pack(">H", status))]
        if body:
            pairs.append((T_BODY, body[:first]))
        self.send(RESPONSE, stream, tlvs(*pairs),
                  END if len(body) <= first else 0)
        for at in range(first, len(body), 16000):
            piece = body[at:at + 16000]
            self.send(DATA, stream, piece,
                      END if at + len(piece) == len(body) else 0)

    def respond_paced(self, stream, body):
        """A body beyond the stream's window, as credit for it comes."""
        window, at = 65536, 0
        while at < len(body) or at == 0:
            size = min(16000 if at else 15000, len(body) - at, window)
            if size == 0:
                kind, _, number, payload = self.recv()
                if (kind, number) == (WINDOW, stream):
                    window += struct.unpack(
                        ">I", parse_tlvs(payload)[T_CREDIT])[0]
                continue
            piece = body[at:at + size]
            end = END if at + size == len(body) else 0
            if at:
                self.send(DATA, stream, piece, end)
            else:
                self.send(RESPONSE, stream, tlvs(
                    (T_HEADERS, b""),
                    (T_BODY_LENGTH, struct.pack(">I", len(body))),
                    (T_STATUS, struct.pack(">H", 200)), (T_BODY, piece)), end)
            at += size
            window -= size

    def reset(self, stream, code):
        self.send(RESET, stream, tlvs((T_CODE, struct.pack(">I", code))))

    def wait_close(self):
        """Read on until the relay closes; the close code."""
        try:
            while True:
                self.recv()
        except Closed as end:
            return end.code
        except (ConnectionError, ssl.SSLError):
            return None

    def close(self):
        self.ws.close()


class Echo(threading.Thread):
    """Serves a tunnel in the background: answer(request) -> respond()'s
    arguments.  By default the body goes back as it came."""

    def __init__(self, tunnel, answer=None):
        super().__init__(daemon=True)
        self.tunnel = tunnel
        self.answer = answer or (lambda request: {"body": request[4]})
        self.requests = []
        self.asked = threading.Event()  # by a first request
        self.code = None
        self.start()

    def run(self):
        try:
            while True:
                request = self.tunnel.request()
                self.requests.append(request)
                self.asked.set()
                answer = self.answer(request)
                if answer is not None:
                    self.tunnel.respond(request[0], **answer)
        except Closed as end:
            self.code = end.code
        except (OSError, ValueError):
            pass
