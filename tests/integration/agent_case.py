"""Servers that an agent must not trust, or has to go through."""

import datetime
import os
import select
import socket
import ssl
import threading

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


class Authority:
    """A certificate authority that also makes what is wrong."""

    def __init__(self, name="agent test CA"):
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self.cert = self._build(self.name, self.key, self.name, self.key,
                                None, -1, 2, ca=True)

    @staticmethod
    def _build(name, key, issuer, issuer_key, host, first, last, ca=False):
        now = datetime.datetime.now(datetime.timezone.utc).replace(tzinfo=None)
        day = datetime.timedelta(days=1)
        cert = (x509.CertificateBuilder().subject_name(name)
                .issuer_name(issuer).public_key(key.public_key())
                .serial_number(x509.random_serial_number())
                .not_valid_before(now + first * day)
                .not_valid_after(now + last * day)
                .add_extension(x509.BasicConstraints(ca, None), True))
        if host:
            cert = cert.add_extension(
                x509.SubjectAlternativeName([x509.DNSName(host)]), False)
        return cert.sign(issuer_key, hashes.SHA256())

    def write(self, path):
        with open(path, "wb") as out:
            out.write(self.cert.public_bytes(serialization.Encoding.PEM))
        return path

    def issue(self, base, host, first=-1, last=2, self_signed=False):
        """Paths of a certificate and its key."""
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
        cert = self._build(name, key, name if self_signed else self.name,
                           key if self_signed else self.key, host, first,
                           last)
        with open(base + ".crt", "wb") as out:
            out.write(cert.public_bytes(serialization.Encoding.PEM))
        with open(base + ".key", "wb") as out:
            os.fchmod(out.fileno(), 0o600)
            out.write(key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption()))
        return base + ".crt", base + ".key"


def read_until(fd, what):
    """Bytes of a terminal until these have come, or all (None)."""
    data = b""
    while what is None or what not in data:
        if not select.select([fd], [], [], 60)[0]:
            raise AssertionError("no %r behind %r" % (what, data))
        try:
            more = os.read(fd, 1)
        except OSError:  # the other end has closed
            more = b""
        if not more:
            break
        data += more
    return data


def has_ipv6():
    """Whether there is a [::1] here."""
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
        return True
    except OSError:
        return False


def pump(a, b):
    """Bytes both ways until one end has no more."""
    while True:
        ready, _, _ = select.select([a, b], [], [], 60)
        if not ready:
            return
        for near in ready:
            data = near.recv(65536)
            if not data:
                return
            (b if near is a else a).sendall(data)


class Server:
    """Accepts on loopback and hands each connection to self.serve()."""

    def __init__(self, host="127.0.0.1"):
        self.listener = socket.create_server(
            (host, 0), family=socket.AF_INET6 if ":" in host
            else socket.AF_INET)
        self.port = self.listener.getsockname()[1]
        self.more = threading.Condition()
        self.count = 0
        self.open = set()
        self.thread = threading.Thread(target=self._accept, daemon=True)
        self.thread.start()

    def _accept(self):
        while True:
            try:
                peer, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._one, args=(peer,),
                             daemon=True).start()

    def _one(self, peer):
        with self.more:
            self.open.add(peer)
        try:
            self.serve(peer)
        except OSError:
            pass
        finally:
            peer.close()
            with self.more:
                self.open.discard(peer)
                self.count += 1
                self.more.notify_all()

    def serve(self, peer):
        raise NotImplementedError

    def wait(self, count, timeout=60):
        """Until so many connections have come and gone."""
        with self.more:
            if not self.more.wait_for(lambda: self.count >= count, timeout):
                raise AssertionError("%d connections, want %d" % (
                    self.count, count))

    def close(self):
        # A thread blocked in accept() is woken by shutdown() alone.
        try:
            self.listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.listener.close()
        self.thread.join(10)
        with self.more:
            left = list(self.open)
        for peer in left:
            try:
                peer.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass


class TlsServer(Server):
    """A relay by certificate alone: notes what it is told inside TLS."""

    def __init__(self, cert, key, answer=b"", version=None,
                 host="127.0.0.1"):
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(cert, key)
        if version:
            self.context.maximum_version = version
        self.answer = answer
        self.heard = b""
        super().__init__(host)

    def serve(self, peer):
        peer.settimeout(30)
        with self.context.wrap_socket(peer, server_side=True) as tls:
            data = tls.recv(4096)
            self.heard += data
            if data and self.answer:
                tls.sendall(self.answer)


class Forwarder(Server):
    """A TCP balancer with one target at a time."""

    def __init__(self, port):
        self.target = port
        super().__init__()

    def serve(self, peer):
        with socket.create_connection(("127.0.0.1", self.target), 30) as far:
            pump(peer, far)


class Proxy(Server):
    """An HTTP proxy that knows CONNECT, and keeps the heads it got."""

    def __init__(self, to=None, status="200 OK"):
        self.heads = []
        self.to = to
        self.status = status
        super().__init__()

    def serve(self, peer):
        peer.settimeout(30)
        head = b""
        while b"\r\n\r\n" not in head:
            data = peer.recv(4096)
            if not data:
                return
            head += data
        with self.more:
            self.heads.append(head.decode("ascii"))
        peer.sendall(("HTTP/1.1 %s\r\n\r\n" % self.status).encode())
        if not self.status.startswith("200"):
            return
        target = self.to or head.split()[1].decode("ascii")
        host, _, port = target.rpartition(":")
        with socket.create_connection((host, int(port)), 30) as far:
            pump(peer, far)
