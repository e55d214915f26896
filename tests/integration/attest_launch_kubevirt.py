"""docs/integration/kubevirt.py against an API server with the rules of
KubeVirt's virt-api, and QEMU on the software secure processor."""

import http.server
import json
import os
import socket
import subprocess
import threading
import unittest

import harness

CONTROLLER = os.path.join(harness.SOURCE, "docs", "integration", "kubevirt.py")
MOCK = os.path.join(harness.TESTBIN, "mock-qemu")
NAME = "/virtualmachineinstances/web1"


class Cluster(http.server.ThreadingHTTPServer):
    """One VMI that asks for attestation, and its virt-launcher."""

    daemon_threads = True

    def __init__(self, lab, vm):
        super().__init__(("127.0.0.1", 0), Handler)
        self.lab = lab
        self.firmware = harness.FIRMWARE
        self.session = None
        self.fail = None    # status of the next setupsession
        self.secret = None  # what the guest found
        self.qemu = None
        self.vmi = {
            "metadata": {"name": "web1", "uid": "0d3a", "annotations": {}},
            "spec": {"domain": {"firmware": {"uuid": vm}}},
            "status": {"phase": "Scheduled", "nodeName": "node-17",
                       "conditions": []}}

    def paused(self, yes):
        self.vmi["status"]["conditions"] = [
            {"type": "Paused", "status": "True" if yes else "False"}]

    def start(self, session):
        """As virt-launcher does once the session is there."""
        ours, theirs = socket.socketpair()
        cert = self.lab.file("dhcert", session["dhCert"])
        blob = self.lab.file("session", session["session"])
        self.qemu = subprocess.Popen(
            [MOCK, "-S", "-machine",
             "q35,accel=kvm,confidential-guest-support=lsec0", "-bios",
             self.firmware, "-object",
             "sev-guest,id=lsec0,cbitpos=51,reduced-phys-bits=1,policy=1,"
             "dh-cert-file=%s,session-file=%s" % (cert, blob), "-chardev",
             "socket,id=qmp,fd=%d" % theirs.fileno()],
            pass_fds=[theirs.fileno()], env={
                **os.environ, "MOCK_QEMU_PLATFORM": harness.PLATFORM,
                "MOCK_QEMU_RECORD": self.lab.path("record")})
        theirs.close()
        self.qmp = ours.makefile("rw", encoding="utf-8")
        self.qmp.readline()
        self.session = session
        self.vmi["status"]["phase"] = "Running"
        self.paused(True)

    def ask(self, command, **arguments):
        self.qmp.write(json.dumps({"execute": command,
                                   "arguments": arguments}) + "\n")
        self.qmp.flush()
        while True:
            answer = json.loads(self.qmp.readline())
            if "event" not in answer:
                return answer

    def end(self):
        self.shutdown()
        self.server_close()
        if self.qemu is not None:
            self.qmp.close()
            self.qemu.kill()
            self.qemu.wait()

    # -- the subresources: (status, body) ---------------------------------

    def state(self):
        status = (self.vmi or {}).get("status", {})
        return status.get("phase"), any(
            c["status"] == "True" for c in status.get("conditions", []))

    def fetchcertchain(self, _):
        if self.state()[0] != "Scheduled":
            return 409, {}
        done = harness.run([os.path.join(harness.TESTBIN, "psp"), "platform",
                            "show", harness.PLATFORM])
        host = json.loads(done.stdout)
        return 200, {"pdh": host["pdh"], "certChain": host["cert-chain"]}

    def setupsession(self, body):
        if self.fail is not None:
            status, self.fail = self.fail, None
            self.session = body
            return status, {}
        if self.state()[0] != "Scheduled":
            return 409, {}
        before = self.session
        self.start(body)
        self.same = before in (None, body)
        return 202, {}

    def querylaunchmeasurement(self, _):
        if self.state() != ("Running", True):
            return 409, {}
        info = self.ask("query-sev")["return"]
        return 200, {
            "measurement": self.ask("query-sev-launch-measure")["return"][
                "data"],
            "apiMajor": info["api-major"], "apiMinor": info["api-minor"],
            "buildID": info["build-id"], "policy": info["policy"],
            "loaderSHA": "0" * 64}

    def injectlaunchsecret(self, body):
        if self.state() != ("Running", True):
            return 409, {}
        done = self.ask("sev-inject-launch-secret", **{
            "packet-header": body["header"], "secret": body["secret"]})
        return (202, {}) if "return" in done else (500, done)

    def unpause(self, _):
        if self.state() != ("Running", True):
            return 409, {}
        self.ask("cont")
        self.paused(False)
        return 202, {}


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self):
        length = int(self.headers.get("Content-Length", 0))
        body = json.loads(self.rfile.read(length) or b"{}")
        status, out = self.decide(body)
        data = json.dumps(out).encode()
        self.send_response_only(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    do_GET = do_PUT = do_PATCH = do_DELETE = answer

    def decide(self, body):
        cluster = self.server
        base, _, sub = self.path.partition(NAME)
        if cluster.vmi is None:
            return 404, {}
        if base == "/apis/subresources.kubevirt.io/v1/namespaces/default":
            return getattr(cluster, sub.split("/")[-1])(body)
        if self.command == "DELETE":
            cluster.vmi = None
        if self.command == "PATCH":
            cluster.vmi["metadata"]["annotations"].update(
                body["metadata"]["annotations"])
        return 200, cluster.vmi or {}


class KubeVirt(harness.LabTest):
    # KubeVirt hands on the CEK as QEMU does, and no chip id.
    add_args = ("--cek", os.path.join(harness.PLATFORM, "cek.cert"))

    def setUp(self):
        super().setUp()
        os.chmod(self.lab.token_file, 0o600)
        self.cluster = Cluster(self.lab, self.vm)
        thread = threading.Thread(target=self.cluster.serve_forever)
        thread.start()
        self.addCleanup(thread.join)
        self.addCleanup(self.cluster.end)

    def step(self, ok):
        return harness.run(
            ["/usr/bin/python3", CONTROLLER, "http://127.0.0.1:%d"
             % self.cluster.server_address[1], "default", "web1",
             *self.lab.reach(), "--timeout", "5"], ok=(ok,), env={
                 **os.environ, "PATH": harness.BIN + ":" + os.environ["PATH"]})

    def record(self):
        with open(self.lab.path("record"), encoding="utf-8") as lines:
            return {line["event"]: line for line in map(json.loads, lines)}

    def test_to_the_secret(self):
        self.step(75)
        self.assertEqual(self.cluster.state(), ("Running", True))
        self.step(0)
        self.assertEqual(self.record()["injected"]["secret"], self.passphrase)
        self.assertIn("running", self.record())
        # And nothing more.
        self.step(0)

    def test_controller_that_starts_again(self):
        """Between session and set-up: the same session, by its key."""
        self.cluster.fail = 500
        self.step(75)
        self.assertEqual(self.cluster.state()[0], "Scheduled")
        self.step(75)
        self.assertTrue(self.cluster.same)
        self.step(0)
        self.assertEqual(self.record()["injected"]["secret"], self.passphrase)

    def test_wrong_measurement(self):
        self.cluster.firmware = harness.OTHER_FIRMWARE
        self.step(75)
        self.step(1)
        self.assertIsNone(self.cluster.vmi)
        self.assertNotIn("injected", self.record())

    def test_owner_away(self):
        self.owner.stop()
        self.step(75)
        self.assertEqual(self.cluster.state()[0], "Scheduled")
        self.owner.start()
        self.step(75)
        self.owner.stop()
        # It stays, paused.
        self.step(75)
        self.assertEqual(self.cluster.state(), ("Running", True))

    def test_too_early(self):
        self.cluster.vmi["status"]["phase"] = "Scheduling"
        self.step(75)
        self.assertIsNone(self.cluster.session)


if __name__ == "__main__":
    unittest.main(verbosity=2)
