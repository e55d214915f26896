"""Signed CEKs from a key server of our own: honest, unknowing, throttling,
lying, stalling and gone.  C12, T34."""

import base64
import http.server
import json
import os
import ssl
import threading
import unittest

import harness
from launch_first import opened

CHIP = os.path.join(harness.PLATFORM, "cpu0-id.bin")


def fixture(name):
    with open(os.path.join(harness.PLATFORM, name), "rb") as data:
        return data.read()


class KeyServer:
    """GET /cek/id/<hex>; what it answers is a function of the request's
    number, and every request is counted."""

    def __init__(self, lab, name="localhost"):
        self.asked = []
        self.answers = []
        self.more = threading.Condition()
        self.over = threading.Event()
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                with outer.more:
                    at = min(len(outer.asked), len(outer.answers) - 1)
                    outer.asked.append(self.path)
                    answer = outer.answers[at]
                    outer.more.notify_all()
                answer(self)

            def log_message(self, *args):
                pass

        self.server = http.server.ThreadingHTTPServer(
            ("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        # A client that has read enough of a lie hangs up.
        self.server.handle_error = lambda *args: None
        cert, key = lab.ca.issue("key-server", ["DNS:" + name])
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(cert, key)
        self.server.socket = context.wrap_socket(
            self.server.socket, server_side=True)
        self.url = "https://localhost:%d/mirror/" % self.server.server_port
        self.thread = threading.Thread(
            target=self.server.serve_forever, daemon=True)
        self.thread.start()

    def wait_asked(self, count):
        with self.more:
            if not self.more.wait_for(lambda: len(self.asked) >= count,
                                      harness.PATIENCE):
                raise AssertionError("asked %d times" % len(self.asked))

    def close(self):
        self.over.set()
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()

    # What it may answer.

    @staticmethod
    def body(data, status=200, **fields):
        def answer(request):
            request.send_response(status)
            for name, value in fields.items():
                request.send_header(name.replace("_", "-"), value)
            request.send_header("Content-Length", str(len(data)))
            request.end_headers()
            request.wfile.write(data)
        return answer

    def stall(self, request):
        request.send_response(200)
        request.send_header("Content-Length", "2084")
        request.end_headers()
        request.wfile.write(b"\x01\0\0\0")
        request.wfile.flush()
        self.over.wait(harness.PATIENCE)


class Fetch(harness.LabTest):
    def start(self, *answers, ca=None):
        """The agent again, with a key server that gives these in turn."""
        self.keys = KeyServer(self.lab)
        self.addCleanup(self.keys.close)
        self.keys.answers = list(answers)
        self.owner.stop()
        self.owner.start(
            "--key-server", self.keys.url, "--key-server-gap", "0",
            "--key-server-ca", ca or self.lab.ca.cert)

    def launch(self, ok):
        return self.lab.host(
            "launch", *self.lab.guest(self.vm, chain="qemu"), "--timeout",
            "40" if ok == (0,) else "1", ok=ok)

    def refused(self):
        """503 cek-unavailable with Retry-After, as often as it is asked."""
        body = json.dumps({
            "pdh": base64.b64encode(fixture("pdh.cert")).decode(),
            "cert-chain": base64.b64encode(
                fixture("pek.cert") + fixture("oca.cert") +
                fixture("cek-unsigned.cert")).decode(),
            "cpu-id": base64.b64encode(fixture("cpu0-id.bin")).decode(),
        }).encode()
        status, headers, answer = self.lab.curl(
            "/vm/%s/launch" % self.vm, body)
        self.assertEqual(status, 503, answer)
        self.assertIn(b"cek-unavailable", answer)
        return int(headers["retry-after"])

    def test_fetched_once_and_for_good(self):
        self.start(KeyServer.body(fixture("cek.cert")))
        self.assertEqual(opened(self.launch((0,))), self.passphrase)
        self.assertEqual(self.keys.asked,
                         ["/mirror/cek/id/" + fixture("cpu0-id.bin").hex()])
        self.owner.stop()
        self.owner.start()  # offline
        self.assertEqual(opened(self.launch((0,))), self.passphrase)
        self.assertEqual(len(self.keys.asked), 1)
        self.assertIn("signed CEK of chip", self.owner.cli(
            "log", "show").stdout)

    def test_lies(self):
        """None of it gets anything, nor is it asked for again at once."""
        for data in (fixture("cek-unsigned.cert"), fixture("pek.cert"),
                     b"", b"x" * 2084, fixture("cek.cert")[:-1],
                     fixture("cek.cert") + b"x", b"x" * 1000000):
            with self.subTest(len(data)):
                self.start(KeyServer.body(data))
                self.refused()
                self.owner.process.wait_line("gave no CEK of AMD's")
                for _ in range(3):
                    self.refused()
                self.assertEqual(len(self.keys.asked), 1)

    def test_another_chip(self):
        """A CEK of AMD's that is not this chip's: the host is refused."""
        self.start(KeyServer.body(fixture("cek-other-chip.cert")))
        self.refused()
        self.owner.process.wait_line("signed CEK fetched")
        self.launch((1,))
        self.assertIn("another CEK", self.owner.cli("explain").stdout)

    def test_throttled(self):
        """429 with Retry-After, then the certificate."""
        self.start(KeyServer.body(b"later", 429, Retry_After="1"),
                   KeyServer.body(fixture("cek.cert")))
        self.assertEqual(self.refused(), 5)
        self.keys.wait_asked(2)
        self.assertEqual(opened(self.launch((0,))), self.passphrase)
        self.assertEqual(len(self.keys.asked), 2)

    def test_unavailable(self):
        """503 is nothing the server says of the chip: it is asked again."""
        self.start(KeyServer.body(b"sorry", 503),
                   KeyServer.body(fixture("cek.cert")))
        self.refused()
        self.owner.process.wait_line("key server: not now.*status 503")
        self.keys.wait_asked(2)
        self.owner.process.wait_line("signed CEK fetched")
        self.assertEqual(opened(self.launch((0,))), self.passphrase)
        self.assertEqual(len(self.keys.asked), 2)

    def test_unknown_chip(self):
        self.start(KeyServer.body(b"no", 404))
        self.refused()
        self.owner.process.wait_line("does not know this chip")
        self.refused()
        self.assertEqual(len(self.keys.asked), 1)

    def test_redirect_is_not_followed(self):
        self.start(KeyServer.body(b"", 302, Location="https://localhost:1/"))
        self.refused()
        self.owner.process.wait_line("does not know this chip: status 302")

    def test_stalls(self):
        """Hosts are answered, and the agent ends, while it stalls."""
        self.start(KeyServer.body(b""))
        self.keys.answers = [self.keys.stall]
        self.refused()
        self.keys.wait_asked(1)
        self.refused()
        self.assertEqual(self.owner.stop(), 0)

    def test_wrong_authority(self):
        other = harness.Ca(self.lab.folder, "other")
        self.start(KeyServer.body(fixture("cek.cert")), ca=other.cert)
        self.refused()
        self.owner.process.wait_line("key server: not now")
        self.assertEqual(self.keys.asked, [])

    def test_offline(self):
        self.owner.stop()
        self.owner.start("--offline")
        self.assertEqual(self.refused(), 30)
        self.assertNotIn("key server:", self.owner.process.output())
        self.assertIn("vm add --cek", self.owner.cli("explain").stdout)


if __name__ == "__main__":
    unittest.main(verbosity=2)
