"""doctor finds what is planted, diag tells no secret, service writes a unit."""

import base64
import hashlib
import json
import os
import re
import resource
import secrets
import socket
import stat
import subprocess
import tempfile
import time
import unittest
from email.utils import formatdate

from cryptography import x509
from cryptography.hazmat.primitives import serialization

import harness
from agent_case import Authority, Proxy, TlsServer
from launch_first import opened

AGENT = os.path.join(harness.BIN, "attest-agent")
DESCRIPTION = b'{"versions":[1],"minor":0,"limits":{},"schemes":[]}'


class Relay(TlsServer):
    """What doctor sees of a relay: its description, by TLS."""

    def __init__(self, files, body=DESCRIPTION, status="200 OK", skew=0):
        self.body, self.status, self.skew = body, status, skew
        super().__init__(*files)

    @property
    def answer(self):
        """With the time of day when it is sent."""
        date = formatdate(time.time() + self.skew, usegmt=True)
        head = ("HTTP/1.1 %s\r\ndate: %s\r\ncontent-length: %d\r\n"
                "connection: close\r\n\r\n" % (
                    self.status, date, len(self.body)))
        return head.encode() + self.body

    @answer.setter
    def answer(self, value):
        """Of the base class, which has one answer for all."""


def closed_port():
    """A port on which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


class Faults(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.mkdtemp(prefix="attest-doctor-")
        cls.authority = Authority()
        cls.ca = cls.authority.write(os.path.join(cls.folder, "ca.crt"))
        cls.files = cls.authority.issue(cls.at("good"), "localhost")
        cls.relay = Relay(cls.files)
        cls.keys = Relay(cls.files, body=b"", status="404 Not Found")

    @classmethod
    def tearDownClass(cls):
        cls.relay.close()
        cls.keys.close()
        subprocess.run(["rm", "-r", cls.folder], check=True)

    @classmethod
    def at(cls, name):
        return os.path.join(cls.folder, name)

    def setUp(self):
        self.name = secrets.token_hex(4)
        self.state = self.at(self.name)
        self.config = self.at(self.name + ".yaml")
        harness.run([AGENT, "--state", self.state, "key", "new"])
        harness.run([AGENT, "--state", self.state, "key", "seal-to"])

    def write(self, relay=None, ca=None, extra=(), url=None):
        """agent.yaml that is good but for what is given."""
        relay = relay or self.relay
        text = ["relay:", "  url: " + (url or "wss://localhost:%d/sev" %
                                       relay.port),
                "  ca: " + (ca or self.ca), "key-server:",
                "  url: https://localhost:%d" % self.keys.port,
                "  ca: " + self.ca, *extra]
        with open(self.config, "w", encoding="ascii") as out:
            out.write("\n".join(text) + "\n")
        os.chmod(self.config, 0o600)

    def doctor(self, limit=None):
        def lower():
            if limit is not None:
                resource.setrlimit(limit[0], (limit[1], limit[1]))

        env = {k: v for k, v in os.environ.items()
               if "proxy" not in k.lower()}
        done = harness.run([AGENT, "--state", self.state, "--config",
                            self.config, "doctor", "--json"], ok=(0, 1),
                           preexec_fn=lower, env=env)
        answer = json.loads(done.stdout)
        self.assertEqual(answer["schema"], "attest-agent.doctor/1")
        failed = any(c["level"] == "fail" for c in answer["checks"])
        self.assertEqual(done.returncode, 1 if failed else 0)
        return answer["checks"]

    def find(self, check, words, level="fail", **kwargs):
        """The planted fault is named, with what to do."""
        lines = self.doctor(**kwargs)
        hits = [c for c in lines if c["check"] == check and
                c["level"] == level]
        self.assertTrue(hits, "no %s of %s in %r" % (level, check, lines))
        self.assertRegex(hits[0]["found"], words)
        self.assertTrue(hits[0]["fix"])

    def test_a_healthy_one(self):
        self.write()
        lines = self.doctor()
        self.assertNotIn("fail", [c["level"] for c in lines])
        seen = {c["check"]: c["level"] for c in lines}
        for check in ("state", "key", "store", "disk", "config", "dns", "tcp",
                      "tls", "relay", "clock", "key-server"):
            self.assertEqual(seen.get(check), "ok", check)
        self.assertEqual(seen["agent"], "warn")

    # The configuration.

    def test_01_no_relay(self):
        self.write(url='""')
        self.find("config", "no relay")

    def test_02_a_word_that_is_no_key(self):
        self.write(extra=["relais: x"])
        self.find("config", "not usable")

    def test_03_configuration_that_others_write(self):
        self.write()
        os.chmod(self.config, 0o666)
        self.find("config", "0666 lets others write")

    # The way to the relay.

    def test_04_no_such_name(self):
        self.write(url="wss://relay.invalid/sev")
        self.find("dns", "(?i)resolv")

    def test_05_nobody_listens(self):
        self.write(url="wss://localhost:%d/sev" % closed_port())
        self.find("tcp", "(?i)connect")

    def test_06_another_authority(self):
        other = Authority("other").write(self.at(self.name + ".crt"))
        self.write(ca=other)
        self.find("tls", "(?i)certificate")

    def test_07_another_host(self):
        relay = Relay(self.authority.issue(self.at(self.name), "elsewhere"))
        self.addCleanup(relay.close)
        self.write(relay)
        self.find("tls", "localhost")

    def test_08_expired(self):
        relay = Relay(self.authority.issue(self.at(self.name), "localhost",
                                           -3, -1))
        self.addCleanup(relay.close)
        self.write(relay)
        self.find("tls", "(?i)expired")

    def test_09_self_signed(self):
        relay = Relay(self.authority.issue(self.at(self.name), "localhost",
                                           self_signed=True))
        self.addCleanup(relay.close)
        self.write(relay)
        self.find("tls", "(?i)self.signed")

    def test_10_no_file_of_authorities(self):
        self.write(ca=self.at("missing.crt"))
        self.find("tls", "missing.crt|certificate")

    def pin(self, cert):
        with open(cert, "rb") as pem:
            key = x509.load_pem_x509_certificate(pem.read()).public_key()
        spki = key.public_bytes(
            serialization.Encoding.DER,
            serialization.PublicFormat.SubjectPublicKeyInfo)
        return "sha256/" + base64.b64encode(
            hashlib.sha256(spki).digest()).decode()

    def test_11_another_pin(self):
        url = "wss://localhost:%d/sev#" % self.relay.port
        self.write(url='"%s"' % (url + self.pin(self.ca)))
        self.find("pin", "(?i)pin|key")
        self.write(url='"%s"' % (url + self.pin(self.files[0])))
        self.assertIn(("pin", "ok"), [(c["check"], c["level"])
                                      for c in self.doctor()])

    def test_12_no_relay_there(self):
        relay = Relay(self.files, body=b"welcome", status="404 Not Found")
        self.addCleanup(relay.close)
        self.write(relay)
        self.find("relay", "no attest-relay is there .HTTP 404")

    def test_13_proxy_that_is_away(self):
        self.write(extra=["proxy:", "  url: http://localhost:%d" %
                          closed_port()])
        self.find("proxy", "(?i)connect")

    def test_14_proxy_that_refuses(self):
        proxy = Proxy(status="403 Forbidden")
        self.addCleanup(proxy.close)
        self.write(extra=["proxy:", "  url: http://localhost:%d" %
                          proxy.port])
        self.find("proxy", "403")

    def test_15_clock(self):
        for skew, level in ((3600, "fail"), (-3600, "fail"), (90, "warn")):
            relay = Relay(self.files, skew=skew)
            self.addCleanup(relay.close)
            self.write(relay)
            self.find("clock", "behind" if skew > 0 else "before", level)

    def test_16_key_server_away(self):
        self.write(extra=[])
        with open(self.config, encoding="ascii") as text:
            text = text.read().replace(str(self.keys.port),
                                       str(closed_port()))
        with open(self.config, "w", encoding="ascii") as out:
            out.write(text)
        self.find("key-server", "(?i)connect", "warn")
        with open(self.config, "w", encoding="ascii") as out:
            out.write(text + "  offline: yes\n")
        self.assertIn("offline: never asked",
                      [c["found"] for c in self.doctor()])

    def test_17_key_server_throttles(self):
        keys, self.keys = self.keys, Relay(self.files, status="429 Slow")
        self.addCleanup(self.keys.close)
        self.write()
        self.find("key-server", "HTTP 429", "warn")
        self.keys = keys

    # The state.

    def test_18_no_key(self):
        self.write()
        os.unlink(os.path.join(self.state, "agent.key"))
        self.find("key", "no key yet")

    def test_19_key_that_others_read(self):
        self.write()
        os.chmod(os.path.join(self.state, "agent.key"), 0o644)
        self.find("key", "0644 lets others in")

    def test_20_key_that_is_none(self):
        self.write()
        with open(os.path.join(self.state, "agent.key"), "w",
                  encoding="ascii") as out:
            out.write("garbage")
        self.find("key", "not a private key")

    def test_21_folder_that_others_enter(self):
        self.write()
        os.chmod(self.state, 0o755)
        self.find("state", "0755 lets others in")

    def test_22_store_without_its_key(self):
        self.write()
        os.unlink(os.path.join(self.state, "seal.key"))
        self.find("store", "its seal key is not")

    def test_23_store_that_others_read(self):
        self.write()
        os.chmod(os.path.join(self.state, "agent.db"), 0o644)
        self.find("store", "agent.db: .*0644")

    def test_28_seal_key_that_others_read(self):
        self.write()
        os.chmod(os.path.join(self.state, "seal.key"), 0o640)
        self.find("store", "seal.key: .*0640")

    def test_24_disk_that_takes_nothing(self):
        self.write()
        self.find("disk", "cannot be written",
                  limit=(resource.RLIMIT_FSIZE, 0))

    def test_25_memory_that_is_not_locked(self):
        self.write()
        self.find("memory", "64 KiB", "warn",
                  limit=(resource.RLIMIT_MEMLOCK, 65536))

    # Its own listener.

    def test_26_certificate_of_another_key(self):
        other = self.authority.issue(self.at(self.name), "localhost")
        self.write(extra=["direct:", "  listen: 127.0.0.1:0",
                          "  certificate: " + self.files[0],
                          "  key: " + other[1]])
        self.find("listen", "key")

    def test_27_certificate_that_ends_soon(self):
        self.write(extra=["direct:", "  listen: 127.0.0.1:0",
                          "  certificate: " + self.files[0],
                          "  key: " + self.files[1], "  auth: [networks]",
                          "  networks: [127.0.0.0/8]"])
        self.find("listen", "certificate for 1 days", "warn")

    def test_29_listener_key_that_others_read(self):
        pair = self.authority.issue(self.at(self.name), "localhost")
        os.chmod(pair[1], 0o644)
        self.write(extra=["direct:", "  listen: 127.0.0.1:0",
                          "  certificate: " + pair[0],
                          "  key: " + pair[1]])
        self.find("listen", "mode 0644")


class Running(harness.LabTest):
    """Issue 4.3: with an agent, and what diag tells of it."""

    def doctor(self):
        done = self.owner.cli("doctor", "--json", ok=(0, 1))
        return json.loads(done.stdout)["checks"]

    def test_claims(self):
        lines = {c["check"]: c for c in self.doctor()}
        self.assertEqual(lines["agent"]["level"], "ok")
        self.assertEqual(lines["claims"]["level"], "ok")
        seen = self.owner.process.mark()
        self.owner.add("other", "x")
        self.owner.process.wait_line("(?i)denied", seen)
        lines = {c["check"]: c for c in self.doctor()}
        self.assertEqual(lines["claims"]["level"], "fail")
        self.assertIn("1 claimed, 1 denied", lines["claims"]["found"])
        self.lab.relay.kill()
        self.owner.process.wait_line("next try", seen)
        lines = {c["check"]: c for c in self.doctor()}
        self.assertEqual(lines["tunnel"]["level"], "fail")

    def test_diag_has_no_secret(self):
        """Canaries: passphrase, token, private keys, the proxy's password,
        and the keys of a session that is open."""
        done = self.lab.host("launch", *self.lab.guest(self.vm))
        self.assertEqual(opened(done), self.passphrase)
        guest = self.lab.path("guest")
        self.lab.host("step-launch", *self.lab.guest(self.vm), "--out", guest)
        with open(guest, encoding="ascii") as text:
            transport = re.findall(r'"t[ei]k": *"([0-9a-f]{32})"', text.read())
        self.assertEqual(len(transport), 2)
        word = secrets.token_hex(12)
        config = self.lab.file("diag.yaml", "\n".join([
            "relay:", "  url: wss://localhost:1/sev", "proxy:",
            "  url: http://me:%s@localhost:1" % word, "direct:",
            "  tokens:", "    - {name: cn-17, sha256: %s}" % hashlib.sha256(
                self.lab.token.encode()).hexdigest(), "key-server:",
            "  offline: yes", ""]))
        os.chmod(config, 0o600)
        path = self.lab.path("diag.json")
        harness.run([AGENT, "--state", self.owner.state, "--config", config,
                     "diag", "--out", path])
        self.assertEqual(stat.S_IMODE(os.stat(path).st_mode), 0o600)
        with open(path, encoding="utf-8") as text:
            text = text.read()
        said = json.loads(text)
        self.assertEqual(said["schema"], "attest-agent.diag/1")
        self.assertEqual(said["vms"][0]["name"], "web1")
        self.assertEqual(said["vms"][0]["secrets"], 1)
        self.assertEqual(said["config"]["proxy.url"], "***@localhost:1")
        self.assertIn("released", [
            line["event"] for line in said["log"]["last"]["lines"]])
        canaries = [self.passphrase, self.lab.token, word, hashlib.sha256(
            self.lab.token.encode()).hexdigest()]
        with open(os.path.join(self.owner.state, "agent.key"),
                  encoding="ascii") as pem:
            canaries += [x for x in pem.read().splitlines() if x]
        with open(os.path.join(self.owner.state, "seal.key"), "rb") as key:
            key = key.read()
        for raw in (key, *(bytes.fromhex(x) for x in transport)):
            canaries += [raw.hex(), base64.b64encode(raw).decode()]
        for canary in canaries:
            for form in (canary, base64.b64encode(canary.encode()).decode(),
                         canary.encode().hex()):
                self.assertNotIn(form, text)
        done = self.owner.cli("diag", "--out", path, ok=(1,))
        self.assertIn("exists", done.stderr)


class Service(unittest.TestCase):
    def setUp(self):
        self.home = tempfile.mkdtemp(prefix="attest-service-")
        self.addCleanup(subprocess.run, ["rm", "-r", self.home], check=True)
        self.env = dict(os.environ, HOME=self.home, XDG_CONFIG_HOME=os.path
                        .join(self.home, "config"),
                        XDG_RUNTIME_DIR=self.home)
        self.unit = os.path.join(self.home, "config", "systemd", "user",
                                 "attest-agent.service")

    def cli(self, *args, ok=(0,)):
        return harness.run([AGENT, *args], ok=ok, env=self.env)

    def test_unit_is_written_and_nothing_started(self):
        # A systemctl that tells on who calls it.
        told = os.path.join(self.home, "told")
        program = os.path.join(self.home, "systemctl")
        with open(program, "w", encoding="ascii") as out:
            out.write("#!/bin/sh\necho \"$@\" >>'%s'\n" % told)
        os.chmod(program, 0o755)
        self.env["PATH"] = self.home + ":" + self.env["PATH"]
        done = self.cli("service", "install")
        self.assertIn("systemctl --user enable --now", done.stdout)
        self.assertFalse(os.path.exists(told))
        with open(self.unit, encoding="ascii") as unit:
            self.assertEqual(unit.read(), self.cli("service", "show").stdout)
        done = self.cli("service", "install", ok=(1,))
        self.assertIn("service remove", done.stderr)
        # A state folder that only this shell knows would be another one.
        self.env["ATTEST_AGENT_STATE"] = self.home
        self.assertIn(' --state "%s" run' % self.home,
                      self.cli("service", "show").stdout)
        del self.env["ATTEST_AGENT_STATE"]
        self.env["XDG_STATE_HOME"] = self.home
        os.mkdir(os.path.join(self.home, "attest-agent"))
        self.assertIn(' --state "%s/attest-agent" run' % self.home,
                      self.cli("service", "show").stdout)
        del self.env["XDG_STATE_HOME"]
        self.cli("service", "remove")
        self.assertFalse(os.path.exists(self.unit))
        self.assertFalse(os.path.exists(told))
        self.cli("service", "install", "--now")
        self.cli("service", "remove", "--now")
        with open(told, encoding="ascii") as lines:
            self.assertEqual(lines.read().splitlines(), [
                "--user daemon-reload",
                "--user enable --now attest-agent.service",
                "--user disable --now attest-agent.service"])

    def test_systemd_finds_no_fault(self):
        os.mkdir(os.path.join(self.home, "state dir"))
        self.cli("--state", os.path.join(self.home, "state dir"), "service",
                 "install")
        done = harness.run(["systemd-analyze", "--user", "verify",
                            self.unit], env=self.env)
        self.assertEqual(done.stderr, "")
        with open(self.unit, encoding="ascii") as unit:
            self.assertIn('state dir" run', unit.read())

    def test_paths_that_a_unit_cannot_name(self):
        odd = os.path.join(self.home, "a%b")
        os.mkdir(odd)
        done = self.cli("--state", odd, "service", "show", ok=(2,))
        self.assertIn("cannot name a path", done.stderr)
