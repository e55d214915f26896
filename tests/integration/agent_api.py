"""The owner's API: POST /vm/<UUID> on her Unix socket, and HTTPS with a token
on a loopback address."""

import base64
import json
import os
import socket
import subprocess
import unittest
import uuid

import harness
from launch_first import opened


def thread_form(passphrase, **more):
    """What the thread's owner posts, with a file of ours for firmware."""
    with open(os.path.join(harness.PLATFORM, "oca.cert"), "rb") as cert:
        cert = base64.b64encode(cert.read()).decode()
    return dict({
        "policy": "0x1", "cloud-cert": cert, "firmware": harness.FIRMWARE,
        "roots": [os.path.join(harness.PLATFORM, n)
                  for n in ("ark.cert", "ask.cert")],
        "secrets": [{"type": "luks-passphrase",
                     "passphrase": passphrase}]}, **more)


class Api(harness.LabTest):
    def curl(self, method, path, body=None, *args):
        """(status, JSON) over the Unix socket."""
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
        cmd = ["curl", "-sS", "--max-time", str(harness.PATIENCE), "-X",
               method, "-w", "\n%{http_code}"]
        if body is not None:
            cmd += ["--data-binary", "@-", "-H",
                    "Content-Type: application/json"]
        cmd += args or ["--unix-socket",
                        os.path.join(self.owner.state, "api.sock")]
        done = subprocess.run(cmd + [self.base + path], input=body,
                              capture_output=True, check=True)
        text, _, status = done.stdout.rpartition(b"\n")
        return int(status), json.loads(text) if text else None

    def start(self, *args):
        self.owner.stop()
        self.owner.start(*args)

    def start_socket(self):
        self.base = "http://localhost"
        self.start("--api-socket")
        self.owner.process.wait_line("owner's API on ")

    def start_https(self):
        token = self.owner.cli("api", "token").stdout.strip()
        cert, key = self.lab.ca.issue("api", ["IP:127.0.0.1"])
        self.start("--api-listen", "127.0.0.1:0", "--api-certificate", cert,
                   "--api-key", key)
        found = self.owner.process.wait_line(
            r"owner's API on (https://127.0.0.1:\d+)")
        self.base = found.group(1)
        self.ca = ("--cacert", self.lab.ca.cert)
        return token

    def serve(self, vm):
        """The relay gives the new VM to this owner, too."""
        seen = self.owner.process.mark()
        self.lab.relay.kill()
        self.lab.start_relay({"acme": (self.owner, [self.vm, vm])})
        self.owner.wait_ready(seen)

    def test_register_and_launch(self):
        self.start_socket()
        vm = str(uuid.uuid4())
        secret = harness.new_passphrase()
        status, made = self.curl("POST", "/vm/" + vm, thread_form(secret))
        self.assertEqual(status, 201, made)
        self.assertEqual(made["vm"], vm)
        self.assertEqual(made["name"], vm)
        self.assertTrue(made["digests"])
        self.assertTrue(any("max-instances" in n for n in made["notes"]))
        self.assertNotIn(secret, json.dumps(made))
        self.serve(vm)
        done = self.lab.host("launch", *self.lab.guest(vm))
        self.assertEqual(opened(done), secret)

        status, listed = self.curl("GET", "/vm")
        self.assertEqual({v["vm"] for v in listed["vms"]}, {self.vm, vm})
        status, shown = self.curl("GET", "/vm/" + vm.upper())
        self.assertEqual((status, shown["released"]), (200, 1))
        status, told = self.curl("GET", "/status")
        self.assertEqual((status, told["schema"]),
                         (200, "attest-agent.status/1"))
        status, removed = self.curl("DELETE", "/vm/" + vm)
        self.assertEqual((status, removed), (200, {"removed": vm}))
        self.assertEqual(self.curl("GET", "/vm/" + vm)[0], 404)

    def test_refusals(self):
        self.start_socket()
        vm = "/vm/" + str(uuid.uuid4())
        form = thread_form("x")
        for method, path, body, status, words in (
                ("GET", "/", None, 404, "path"),
                ("GET", "/vm/web1", None, 404, "uuid"),
                ("GET", vm + "/launch", None, 404, "uuid"),
                ("GET", "/vm?x=1", None, 400, "queries"),
                ("PUT", vm, {}, 405, "method"),
                ("DELETE", "/vm", None, 405, "method"),
                ("POST", vm, b"{", 400, "not JSON"),
                ("POST", vm, b'{"policy":1,"policy":1}', 400, "not JSON"),
                ("POST", vm, dict(form, polcy=1), 422, "unknown member"),
                ("POST", vm, dict(form, vm=str(uuid.uuid4())), 422,
                 "another VM"),
                ("POST", vm, dict(form, vm=str(uuid.uuid4()), name="web9"),
                 422, "another VM"),
                ("POST", vm, dict(form, firmware="OVMF.fd"), 422,
                 "absolute path"),
                ("POST", vm, dict(form, firmware="/dev/zero"), 422,
                 "no file"),
                ("POST", vm, dict(form, secrets=[
                    {"guid": "luks-key", "command": "id"}]), 422,
                 "commands are not run"),
                ("POST", vm, b"x" * ((1 << 20) + 1), 413, "large"),
                ("POST", "/vm/" + self.vm, form, 409, "registered already"),
                ("DELETE", vm, None, 404, "no VM")):
            with self.subTest(method=method, path=path, words=words):
                got, problem = self.curl(method, path, body)
                self.assertEqual(got, status, problem)
                self.assertIn(words, problem["detail"])
        # As strict as the relay, and alive after each.
        for raw, status in ((b"GET /vm HTTP/1.0\r\n\r\n", b"505"),
                            (b"POST /vm HTTP/1.1\r\nHost: x\r\n"
                             b"Transfer-Encoding: chunked\r\n\r\n", b"501"),
                            (b"GET /vm HTTP/1.1\nHost: x\n\n", b"400"),
                            (b"\0" * 100, b"400")):
            with socket.socket(socket.AF_UNIX) as s:
                s.connect(os.path.join(self.owner.state, "api.sock"))
                s.sendall(raw)
                self.assertIn(status, s.makefile("rb").readline())
        self.assertEqual(len(self.curl("GET", "/vm")[1]["vms"]), 1)

    def test_token(self):
        token = self.start_https()
        vm = "/vm/" + str(uuid.uuid4())
        good = ("-H", "Authorization: Bearer " + token)
        for bad in ((), ("-H", "Authorization: Bearer " + token[:-1]),
                    ("-H", "Authorization: Bearer " + token[::-1]),
                    ("-H", "Authorization: Basic " + token),
                    (*good, *good)):
            status, problem = self.curl("GET", "/vm", None, *self.ca, *bad)
            self.assertEqual(status, 401, problem)
        status, listed = self.curl("GET", "/vm", None, *self.ca, *good)
        self.assertEqual((status, len(listed["vms"])), (200, 1))
        # No file is read for it; all has to be in the body.
        form = thread_form("x")
        status, problem = self.curl("POST", vm, form, *self.ca, *good)
        self.assertEqual(status, 422)
        self.assertIn("Unix socket only", problem["detail"])
        del form["firmware"], form["roots"]
        form["digests"] = ["00" * 32]
        self.assertEqual(
            self.curl("POST", vm, form, *self.ca, *good)[0], 201)
        self.assertEqual(
            self.curl("DELETE", vm, None, *self.ca, *good)[0], 200)
        # The folder knows its hash only.
        for name in os.listdir(self.owner.state):
            path = os.path.join(self.owner.state, name)
            if os.path.isfile(path):
                with open(path, "rb") as data:
                    self.assertNotIn(token.encode(), data.read(), name)
        self.assertNotIn(token, self.owner.process.output())
        self.assertIn("already", self.owner.cli("api", "token",
                                                ok=(1,)).stderr)
        renewed = self.owner.cli("api", "token", "--renew").stdout.strip()
        self.assertNotEqual(renewed, token)

    def test_loopback_only(self):
        self.owner.stop()
        for address in ("0.0.0.0:1", "192.0.2.1:1", "[::]:1", "localhost:1",
                        "127.0.0.1", "127.0.0.1:99999", "[::1:1"):
            with self.subTest(address):
                done = self.owner.cli("run", "--api-listen", address, ok=(2,))
                self.assertRegex(done.stderr,
                                 "not a loopback address|want 127.0.0.1:PORT")

    def test_listen_wants_a_token(self):
        """Refused at once, rather than tried again for ever."""
        cert, key = self.lab.ca.issue("api", ["IP:127.0.0.1"])
        self.owner.stop()
        process = self.owner.start(
            "--api-listen", "127.0.0.1:0", "--api-certificate", cert,
            "--api-key", key, ready=False)
        process.wait_line("without a token: attest-agent api token")
        self.assertEqual(process.wait(), 1)
        os.chmod(key, 0o644)
        process = self.owner.start(
            "--api-listen", "127.0.0.1:0", "--api-certificate", cert,
            "--api-key", key, ready=False)
        process.wait_line("api.key: .* mode 0644 lets others use")
        self.assertEqual(process.wait(), 2)
        self.owner.process = None

    def test_nothing_by_default(self):
        self.assertNotIn("api.sock", os.listdir(self.owner.state))
        self.assertNotIn("owner's API", self.owner.process.output())


if __name__ == "__main__":
    unittest.main(verbosity=2)
