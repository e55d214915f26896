"""An owner to test compute-host with: docs/protocol.md 4 to 6, on TLS.

Written in another language from the same specification, so that the secure
processor is not only in agreement with itself.
"""
import base64
import hashlib
import hmac
import http.server
import json
import os
import ssl
import struct
import threading
import uuid

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

DISK = "736869e5-84f0-4973-92ec-06879ce3da0b"


def mac(key, *parts):
    return hmac.new(key, b"".join(parts), hashlib.sha256).digest()


def kdf(key, label, context=b""):
    return mac(key, struct.pack("<I", 1), label, b"\0", context,
               struct.pack("<I", 128))[:16]


def ctr(key, iv, data):
    return Cipher(algorithms.AES(key), modes.CTR(iv)).encryptor().update(data)


def public_key(cert):
    numbers = ec.EllipticCurvePublicNumbers(
        int.from_bytes(cert[20:92], "little"),
        int.from_bytes(cert[92:164], "little"), ec.SECP384R1())
    return numbers.public_key()


class Session:
    """One launch session (AMD 55766 6.2)."""

    def __init__(self, pdh, policy):
        self.id = str(uuid.uuid4())
        self.policy = policy
        self.tek, self.tik = os.urandom(16), os.urandom(16)
        self.answer = None
        godh = ec.generate_private_key(ec.SECP384R1())
        nonce, iv = os.urandom(16), os.urandom(16)
        z = godh.exchange(ec.ECDH(), public_key(pdh))
        master = kdf(z, b"sev-master-secret", nonce)
        wrapped = ctr(kdf(master, b"sev-kek"), iv, self.tek + self.tik)
        self.blob = (nonce + wrapped + iv +
                     mac(kdf(master, b"sev-kik"), wrapped) +
                     mac(self.tik, struct.pack("<I", policy)))
        point = godh.public_key().public_numbers()
        empty = struct.pack("<II", 0x1000, 0) + bytes(512)
        self.cert = (struct.pack("<IBBHIII", 1, 0, 0, 0, 0x1003, 3, 2) +
                     point.x.to_bytes(72, "little") +
                     point.y.to_bytes(72, "little") + bytes(880) +
                     empty + empty)

    def measures(self, blob, api, digest):
        return mac(self.tik, b"\x04", bytes(api),
                   struct.pack("<I", self.policy), digest,
                   blob[32:]) == blob[:32]

    def packet(self, measure, table):
        iv = os.urandom(16)
        body = ctr(self.tek, iv, table)
        size = struct.pack("<I", len(body))
        tag = mac(self.tik, b"\x01", bytes(4), iv, size, size, body, measure)
        return bytes(4) + iv + tag, body


def secret_table(secret):
    guid = uuid.UUID(DISK).bytes_le
    table = (uuid.UUID("1e74f542-71dd-4d66-963e-ef4287ff173b").bytes_le +
             struct.pack("<I", 40 + len(secret)) + guid +
             struct.pack("<I", 20 + len(secret)) + secret)
    return table + bytes(-len(table) % 16)


class Owner:
    """The secrets and sessions behind one fake service."""

    def __init__(self, policy, digests, secrets):
        self.policy, self.digests, self.secrets = policy, digests, secrets
        self.sessions = {}
        self.lock = threading.Lock()
        self.requests = []      # (path, headers, body)
        self.plan = []          # answers to give before any real one
        self.mix_up = False     # give every VM the secret of another

    def launch(self, vm, ask):
        session = Session(base64.b64decode(ask["pdh"]), self.policy)
        with self.lock:
            self.sessions.setdefault(vm, []).append(session)
        return 200, {"session": base64.b64encode(session.blob).decode(),
                     "owner-cert": base64.b64encode(session.cert).decode(),
                     "policy": self.policy, "session-id": session.id,
                     "kernel-hashes": True, "expires-in": 600}

    def validate(self, vm, ask):
        blob = base64.b64decode(ask["measurement"])
        api = [ask["api-major"], ask["api-minor"], ask["build-id"]]
        for session in self.sessions.get(vm, []):
            if "session-id" in ask and ask["session-id"] != session.id:
                continue
            if not any(session.measures(blob, api, digest)
                       for digest in self.digests):
                continue
            if session.answer is None:
                names = sorted(self.secrets)
                who = names[(names.index(vm) + 1) % len(names)] \
                    if self.mix_up else vm
                session.answer = blob, session.packet(
                    blob[:32], secret_table(self.secrets[who]))
            if session.answer[0] != blob:
                return 409, "launch-blob-reused"
            header, body = map(base64.b64encode, session.answer[1])
            return 200, {"secret-header": header.decode(),
                         "secret-table": body.decode(),
                         "secret-payload": body.decode(),
                         "session-id": session.id}
        return 403, "measurement-mismatch"


def serve(owner, cert, key):
    """Start a service on a free port; returns the server."""

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *args):
            pass

        def reply(self, status, answer, headers=()):
            if isinstance(answer, str):
                answer = {"type": "urn:attest-relay:problem:" + answer,
                          "status": status, "origin": "agent"}
            body = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            for name, value in headers:
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def do_POST(self):
            raw = self.rfile.read(int(self.headers["Content-Length"]))
            with owner.lock:
                owner.requests.append((self.path, dict(self.headers), raw))
                planned = owner.plan.pop(0) if owner.plan else None
            if planned == "drop":
                self.close_connection = True
                return
            if planned:
                self.reply(*planned)
                return
            _, vm, what = self.path.rsplit("/", 2)
            if vm not in owner.secrets:
                self.reply(503, "agent-unavailable", [("Retry-After", "1")])
                return
            self.reply(*getattr(owner, what)(vm, json.loads(raw)))

    class Server(http.server.ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 128

        def handle_error(self, request, client_address):
            pass            # a client that went away is what a test wanted

    server = Server(("127.0.0.1", 0), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    server.socket = context.wrap_socket(server.socket, server_side=True,
                                        do_handshake_on_connect=False)
    threading.Thread(target=server.serve_forever, args=(0.02,),
                     daemon=True).start()
    return server
