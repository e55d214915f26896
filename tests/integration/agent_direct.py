"""The agent without a relay: its own listener, and moving there."""

import hashlib
import json
import os
import socket
import ssl
import subprocess
import unittest

import harness
from launch_first import opened


class Direct:
    """An agent that listens; what lab.host() needs to reach it."""

    def __init__(self, lab, agent, *args, auth="bearer", relay=False,
                 networks=""):
        self.lab = lab
        cert, key = lab.server
        digest = hashlib.sha256(lab.token.encode()).hexdigest()
        text = ["direct:", "  listen: 127.0.0.1:0", "  base: /sev",
                "  certificate: " + cert, "  key: " + key,
                "  client-ca: " + lab.ca.cert, "  auth: [%s]" % auth,
                "  networks: [%s]" % networks,
                "  tokens:", "    - name: cn-17", "      sha256: " + digest]
        if relay:
            text += ["relay:", "  url: wss://%s:%d/sev" % (
                lab.name, lab.relay_public), "  ca: " + lab.ca.cert]
        config = lab.file(agent.name + ".yaml", "\n".join(text) + "\n")
        os.chmod(config, 0o600)
        agent.process = harness.Process(agent.name, [
            os.path.join(harness.BIN, "attest-agent"), "--state", agent.state,
            "--config", config, "run", *args], agent.log)
        found = agent.process.wait_line(
            r"ready: hosts at https://127\.0\.0\.1:(\d+)/sev")
        self.port = int(found.group(1))
        self.service = "https://localhost:%d/sev" % self.port

    def guest(self, vm, *args):
        """The flags of a host that starts one VM by this listener."""
        return ["--service", self.service, "--ca", self.lab.ca.cert,
                "--token-file", self.lab.token_file, "--uuid", vm,
                "--platform", harness.PLATFORM, "--firmware",
                harness.FIRMWARE, "--chain", "signed", *args]

    def curl(self, path, body=None, *args, **kwargs):
        """As Lab.curl(), of this listener."""
        relay = self.lab.service
        self.lab.service = lambda: self.service
        try:
            return self.lab.curl(path, body, *args, **kwargs)
        finally:
            self.lab.service = relay


class Listener(unittest.TestCase):
    def setUp(self):
        self.lab = harness.Lab()
        self.addCleanup(self.lab.close)
        self.passphrase = harness.new_passphrase()
        self.owner = self.lab.agent()
        self.vm = self.owner.add("web1", self.passphrase)

    def test_launch_without_relay(self):
        direct = Direct(self.lab, self.owner)
        done = self.lab.host("launch", *direct.guest(self.vm))
        self.assertEqual(opened(done), self.passphrase)
        status = json.loads(self.owner.cli("status", "--json").stdout)
        self.assertEqual(status["direct"], "127.0.0.1:%d" % direct.port)
        self.assertEqual(status["answers"], 2)
        self.assertIn("token:cn-17", self.owner.cli("log", "show").stdout)
        self.assertEqual(self.owner.stop(), 0)

    def test_beside_a_relay(self):
        self.lab.start_relay({"acme": (self.owner, [self.vm])})
        direct = Direct(self.lab, self.owner, relay=True)
        self.owner.wait_ready()
        for guest in direct.guest(self.vm), self.lab.guest(self.vm):
            done = self.lab.host("launch", *guest)
            self.assertEqual(opened(done), self.passphrase)

    def test_answers_are_the_relays(self):
        """Status, headers and problem of what goes wrong are the same by
        both ways."""
        self.lab.start_relay({"acme": (self.owner, [self.vm])})
        direct = Direct(self.lab, self.owner, relay=True)
        self.owner.wait_ready()
        launch = "/vm/%s/launch" % self.vm
        cases = [
            (launch, b"{}", (), {}),
            (launch, b"{", (), {}),
            (launch, b"{}", (), {"token": False}),
            (launch, b"{}", ("-H", "Authorization: Bearer x"),
             {"token": False}),
            (launch, b"x" * 65537, (), {}),
            (launch, b"{}", (), {"media": "text/plain"}),
            (launch, b"{}", (), {"media": "application/jsonx"}),
            (launch, b"{}", (), {"media": "Application/JSON; charset=x"}),
            (launch, b"{}", ("-H", "Content-Type: text/plain"), {}),
            (launch, b"{}", ("-H", "Content-Encoding: gzip"), {}),
            (launch, None, (), {}),
            (launch, b"{}", ("-X", "PUT"), {}),
            (launch + "?x=1", b"{}", (), {}),
            ("/vm/%s/start" % self.vm, b"{}", (), {}),
            ("/vm/x/launch", b"{}", (), {}),
            ("/metrics", None, (), {}),
            ("/vm/" + self.vm, b"{}", (), {}),
            ("/.well-known/attest-relay", b"{}", (), {}),
            ("/.well-known/attest-relay", b"{}", (), {"token": False}),
        ]
        fields = ("content-type", "attest-origin", "cache-control",
                  "request-id", "allow", "www-authenticate", "content-length")
        for path, body, args, kwargs in cases:
            with self.subTest(path=path, args=args, kwargs=kwargs):
                args = (*args, "-H", "Request-Id: case-1")
                want = self.lab.curl(path, body, *args, **kwargs)
                got = direct.curl(path, body, *args, **kwargs)
                self.assertEqual(got[0], want[0])
                self.assertEqual({f: got[1].get(f) for f in fields},
                                 {f: want[1].get(f) for f in fields})
                self.assertEqual(json.loads(got[2]), json.loads(want[2]))

    def test_health_is_the_one_open_path(self):
        direct = Direct(self.lab, self.owner)
        status, head, body = direct.curl("/.well-known/attest-relay",
                                         token=False)
        self.assertEqual(status, 200)
        self.assertEqual(head["attest-origin"], "agent")
        body = json.loads(body)
        self.assertEqual(body["versions"], [1])
        self.assertEqual(body["auth"], ["bearer"])
        status, head, _ = direct.curl("/vm/%s/launch" % self.vm, b"{}",
                                      token=False)
        self.assertEqual(status, 401)
        self.assertRegex(head["request-id"], r"^[0-9a-f]{24}$")

    def test_the_owner_is_asked(self):
        """PENDING keeps the host waiting here, too."""
        vm = self.owner.add("asks", self.passphrase, "--approve", "always")
        direct = Direct(self.lab, self.owner)
        host = harness.Process("compute-host", [
            os.path.join(harness.TESTBIN, "compute-host"), "launch",
            *direct.guest(vm)], self.lab.path("host.log"))
        asked = self.owner.process.wait_line(r"#(\d+) asked: ").group(1)
        self.owner.cli("approve", asked)
        self.assertEqual(host.wait(), 0, host.output())
        self.assertIn(self.passphrase, host.output())

    def test_unknown_vm_looks_like_an_agent_that_is_away(self):
        direct = Direct(self.lab, self.owner)
        status, head, _ = direct.curl(
            "/vm/00000000-0000-4000-8000-000000000000/validate",
            json.dumps({"measurement": "A" * 64, "api-major": 1,
                        "api-minor": 55, "build-id": 24}).encode())
        self.assertEqual(status, 503)
        self.assertIn(int(head["retry-after"]), range(4, 7))

    def test_closed_by_default(self):
        direct = Direct(self.lab, self.owner, auth="")
        self.owner.process.wait_line(r"no host will be let in")
        for token in True, False:
            status, _, _ = direct.curl("/vm/%s/launch" % self.vm, b"{}",
                                       token=token)
            self.assertEqual(status, 401)

    def test_networks_of_hosts(self):
        for network, want in ("127.0.0.0/8", 422), ("10.0.0.0/8", 401):
            direct = Direct(self.lab, self.owner, auth="networks",
                            networks=network)
            status, _, _ = direct.curl("/vm/%s/launch" % self.vm, b"{}",
                                       token=False)
            self.assertEqual(status, want)
            self.owner.stop()

    def test_certificates_of_hosts(self):
        direct = Direct(self.lab, self.owner, auth="mtls")
        cert, key = self.lab.ca.issue("cn-9", ["DNS:cn-9.cloud.test"],
                                      usage="clientAuth")
        path = "/vm/%s/launch" % self.vm
        status, _, _ = direct.curl(path, b"{}", token=True)
        self.assertEqual(status, 401)
        status, _, _ = direct.curl(path, b"{}", "--cert", cert, "--key", key,
                                   token=False)
        self.assertEqual(status, 422)
        self.owner.process.wait_line(r"host=mtls:cn-9\.cloud\.test")
        other = harness.Ca(self.lab.folder, "other")
        cert, key = other.issue("evil", ["DNS:cn-9.cloud.test"],
                                usage="clientAuth")
        with self.assertRaises(AssertionError):
            direct.curl(path, b"{}", "--cert", cert, "--key", key,
                        token=False)

    def test_slow_and_silent_hosts(self):
        """Others are served while these say nothing; at the end they go."""
        direct = Direct(self.lab, self.owner)
        context = ssl.create_default_context(cafile=self.lab.ca.cert)
        silent = [socket.create_connection(("127.0.0.1", direct.port))
                  for _ in range(20)]
        slow = context.wrap_socket(
            socket.create_connection(("127.0.0.1", direct.port)),
            server_hostname="localhost")
        slow.sendall(b"POST /sev/vm/%s/launch HTTP/1.1\r\nHost: x\r\n"
                     % self.vm.encode())
        done = self.lab.host("launch", *direct.guest(self.vm))
        self.assertEqual(opened(done), self.passphrase)
        self.assertEqual(self.owner.stop(), 0)
        for peer in [*silent, slow]:
            peer.close()

    def test_what_it_wants_to_listen(self):
        done = self.owner.cli("run", "--listen", "127.0.0.1:0", ok=(2,))
        self.assertIn("--certificate", done.stderr)
        done = self.owner.cli("run", "--listen", "localhost:1", ok=(2,))
        self.assertIn("IPv4 address", done.stderr)
        done = self.owner.cli("run", ok=(2,))
        self.assertIn("--listen ADDR:PORT", done.stderr)
        cert, key = self.lab.ca.issue("shown", ["DNS:localhost"])
        os.chmod(key, 0o644)
        done = self.owner.cli("run", "--listen", "127.0.0.1:0",
                              "--certificate", cert, "--key", key, ok=(2,))
        self.assertIn("direct.key: ", done.stderr)
        self.assertIn("mode 0644 lets others use", done.stderr)
        cert, _ = self.lab.server
        done = self.owner.cli("run", "--listen", "127.0.0.1:0",
                              "--certificate", cert, "--key",
                              self.lab.ca.key, ok=(1,))
        self.assertIn("direct.key", done.stderr)


class Move(harness.LabTest):
    """Issue 4.5: VM 1 by the relay, then the agent moves into it, and VM 2
    is launched from there."""

    def setUp(self):
        super().setUp()
        self.second = harness.new_passphrase()
        self.vm2 = self.owner.add("web2", self.second, "--max-instances",
                                  "2/24h")
        self.lab.relay.kill()
        self.lab.start_relay({"acme": (self.owner, [self.vm, self.vm2])})
        self.owner.wait_ready(self.owner.process.mark())
        self.cloud = self.lab.agent("cloud")

    def seal_to(self):
        return self.cloud.cli("key", "seal-to").stdout.strip()

    def move(self, *names):
        """Export from the owner, import into the cloud; the file."""
        path = self.lab.path("moved-" + names[0])
        self.owner.cli("export", "--sealed-to", self.seal_to(), "--out", path,
                       *names)
        self.cloud.cli("import", path, "--from", self.owner.key)
        return path

    def test_first_by_the_relay_second_from_there(self):
        done = self.lab.host("launch", *self.lab.guest(self.vm))
        self.assertEqual(opened(done), self.passphrase)
        done = self.lab.host("launch", *self.lab.guest(self.vm2))
        self.assertEqual(opened(done), self.second)
        direct = Direct(self.lab, self.cloud)
        status, _, _ = direct.curl("/vm/%s/launch" % self.vm2, b"{}")
        seen = self.owner.process.mark()
        path = self.move("web2")
        self.assertEqual(os.stat(path).st_mode & 0o777, 0o600)
        done = self.lab.host("launch", *direct.guest(self.vm2))
        self.assertEqual(opened(done), self.second)
        # One was released before the move, one after: that is all.
        done = self.lab.host("launch", *direct.guest(self.vm2), ok=None)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("max-instances is 2", self.cloud.cli(
            "log", "show").stdout)
        # The old one serves what it kept and knows no more of the other.
        done = self.lab.host("launch", *self.lab.guest(self.vm))
        self.assertEqual(opened(done), self.passphrase)
        self.owner.process.wait_line(r"web2: handed over", seen)
        status, head, _ = direct.curl("/vm/%s/launch" % self.vm, b"{}")
        self.assertEqual(status, 422)
        listed = json.loads(self.owner.cli("vm", "list", "--json").stdout)
        self.assertEqual([v["name"] for v in listed["vms"]], ["web1"])

    def test_the_file_is_for_one_and_once(self):
        thief = self.lab.agent("thief")
        thief.cli("key", "seal-to")
        path = self.move("web2")
        for agent, key, words in (
                (self.cloud, self.owner.key, "imported here before"),
                (thief, self.owner.key, "another agent's key"),
                (self.cloud, thief.key, "another agent than --from")):
            done = agent.cli("import", path, "--from", key, ok=(1,))
            self.assertIn(words, done.stderr)
        with open(path, "rb") as file:
            self.assertNotIn(self.second.encode(), file.read())
        done = self.owner.cli("export", "--sealed-to", self.seal_to(),
                              "--out", path, "web1", ok=(1,))
        self.assertIn("exists", done.stderr)
        self.owner.cli("vm", "show", "web1")

    def test_killed_while_it_hands_over(self):
        """A VM is here or in an export, never in both and never in none."""
        to = self.seal_to()
        # The last one has all the time that it wants.
        for ms in 0, 1, 2, 4, 8, 16, 32, 64, 1000 * harness.PATIENCE:
            out = self.lab.path("kill-%d" % ms)
            export = subprocess.Popen(
                [os.path.join(harness.BIN, "attest-agent"), "--state",
                 self.owner.state, "export", "--sealed-to", to, "--out", out,
                 "web2"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            try:
                export.wait(ms / 1000)
            except subprocess.TimeoutExpired:
                pass
            self.owner.kill()
            export.wait()
            self.owner.start(ready=False)
            self.owner.process.wait_line(r"ready: relay")
            here = [v["name"] for v in json.loads(self.owner.cli(
                "vm", "list", "--json").stdout)["vms"]]
            gone = json.loads(self.owner.cli(
                "export", "--list", "--json").stdout)["vms"]
            self.assertEqual(("web2" in here) + len(gone), 1)
            if gone:
                again = out + ".again"
                self.owner.cli("export", "--again", gone[0]["export"],
                               "--out", again)
                self.cloud.cli("import", again, "--from", self.owner.key)
                return
        self.fail("not handed over without a kill")

    def test_killed_in_between(self):
        """The file is lost on its way: the store still has it."""
        lost = os.path.join(self.lab.folder, "lost")
        self.owner.cli("export", "--sealed-to", self.seal_to(), "--out",
                       lost, "web1", "web2")
        with open(lost, "rb") as file:
            first = file.read()
        os.unlink(lost)
        self.owner.kill()
        self.owner.start()
        listed = json.loads(self.owner.cli("export", "--list",
                                           "--json").stdout)["vms"]
        self.assertEqual({v["name"] for v in listed}, {"web1", "web2"})
        self.owner.cli("export", "--again", listed[0]["export"], "--out",
                       lost)
        with open(lost, "rb") as file:
            self.assertEqual(file.read(), first)
        self.cloud.cli("import", lost, "--from", self.owner.key)
        direct = Direct(self.lab, self.cloud)
        done = self.lab.host("launch", *direct.guest(self.vm))
        self.assertEqual(opened(done), self.passphrase)
        done = self.owner.cli(
            "vm", "add", "web1", "--uuid", self.vm, "--policy", "1",
            "--firmware", harness.FIRMWARE, "--any-platform", "--no-secret",
            ok=(1,))
        self.assertIn("handed over", done.stderr)
        self.owner.cli("export", "--forget", listed[0]["export"])
        self.assertEqual(self.owner.cli("export", "--list").stdout, "")
