"""How an agent reaches its relay: whom it trusts, and when it gives up."""

import base64
import hashlib
import json
import os
import pty
import re
import shutil
import signal
import socket
import ssl
import tempfile
import termios
import unittest

import agent_case
import harness


class Untrusted(unittest.TestCase):
    """T27: nothing is said to a relay that is not proven to be the one."""

    def setUp(self):
        self.lab = harness.Lab()
        self.addCleanup(self.lab.close)
        self.owner = self.lab.agent()
        self.ca = agent_case.Authority()
        self.ca_file = self.ca.write(self.lab.path("own-ca.crt"))

    def run_agent(self, port, *args, ca=None):
        return harness.Process("owner", [
            os.path.join(harness.BIN, "attest-agent"), "--state",
            self.owner.state, "run", "--relay",
            "wss://localhost:%d/sev" % port, "--ca", ca or self.ca_file,
            *args], self.lab.path("owner.log"))

    def refused(self, cert_key, *args, version=None, ca=None, says=""):
        server = agent_case.TlsServer(*cert_key, version=version)
        agent = self.run_agent(server.port, *args, ca=ca)
        try:
            agent.wait_line(r"tunnel: .*%s.*next try" % says)
            server.wait(1)
            self.assertEqual(server.heard, b"")
            self.assertNotIn("ready:", agent.output())
        finally:
            self.assertEqual(agent.stop(), 0)
            server.close()

    def test_wrong_host(self):
        self.refused(self.ca.issue(self.lab.path("w"), "other.example"),
                     says="certificate is refused: [Hh]ostname mismatch")

    def test_expired(self):
        self.refused(self.ca.issue(self.lab.path("e"), "localhost", -3, -1),
                     says="certificate has expired")

    def test_addresses(self):
        """A relay by address: its certificate must have that address, as an
        address; a DNS name that looks like one is none."""
        cases = (
            ("127.0.0.1", "IP:127.0.0.1", True),
            ("127.0.0.1", "DNS:127.0.0.1", False),
            ("127.0.0.1", "IP:127.0.0.2", False),
            ("127.0.0.1", "DNS:localhost", False),
            ("[::1]", "IP:::1", True),
            ("[::1]", "IP:::2", False),
            ("[::1]", "DNS:ip6", False),
            ("[::1]", "DNS:localhost", False),
        )
        for host, san, good in cases:
            if ":" in host and not agent_case.has_ipv6():
                continue
            with self.subTest(host=host, san=san):
                server = agent_case.TlsServer(
                    *self.lab.ca.issue("address", [san]),
                    answer=b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n",
                    host=host.strip("[]"))
                agent = harness.Process("owner", [
                    os.path.join(harness.BIN, "attest-agent"), "--state",
                    self.owner.state, "run", "--relay",
                    "wss://%s:%d" % (host, server.port), "--ca",
                    self.lab.ca.cert], self.lab.path("owner.log"))
                agent.wait_line(r"tunnel: .*next try")
                server.wait(1)
                self.assertEqual(agent.stop(), 0)
                server.close()
                self.assertEqual(server.heard != b"", good)

    def test_self_signed(self):
        self.refused(self.ca.issue(self.lab.path("s"), "localhost",
                                   self_signed=True), says="self.signed")

    def test_other_authority(self):
        other = agent_case.Authority("another CA")
        self.refused(other.issue(self.lab.path("o"), "localhost"),
                     says="unable to get local issuer")

    def test_old_tls(self):
        self.refused(self.ca.issue(self.lab.path("t"), "localhost"),
                     version=ssl.TLSVersion.TLSv1_2)

    def test_good_one_is_spoken_to(self):
        """So that the five above fail for their own reason."""
        cert = self.ca.issue(self.lab.path("g"), "localhost")
        server = agent_case.TlsServer(
            *cert, answer=b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n")
        agent = self.run_agent(server.port)
        # No tunnel comes of it, in words for owners.
        agent.wait_line(r"tunnel: .*lets no agent in.*base of relay\.url.*next "
                        "try")
        server.wait(1)
        head = server.heard.decode("ascii").lower()
        agent.stop()
        server.close()
        self.assertIn("get /sev/agent/v1 http/1.1", head)
        self.assertIn("sec-websocket-protocol: attest-relay.v1", head)
        self.assertIn("host: localhost:%d" % server.port, head)
        self.assertNotIn("sec-websocket-extensions", head)

    def test_nobody_there(self):
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
        agent = self.run_agent(port)
        agent.wait_line(r"tunnel: .*not reached: is the relay up.*next try")
        agent.stop()

    def test_redirects_are_not_followed(self):
        cert = self.ca.issue(self.lab.path("r"), "localhost")
        for status in 301, 302, 303, 307, 308:
            with self.subTest(status):
                other = agent_case.TlsServer(*cert)
                server = agent_case.TlsServer(*cert, answer=(
                    "HTTP/1.1 %d Moved\r\nLocation: https://localhost:%d/x"
                    "\r\nContent-Length: 0\r\n\r\n" % (
                        status, other.port)).encode())
                agent = self.run_agent(server.port)
                agent.wait_line(r"tunnel: .*next try")
                server.wait(1)
                agent.stop()
                self.assertEqual((other.count, len(other.open)), (0, 0))
                server.close()
                other.close()

    def test_back_off(self):
        """Waits stay under a cap that doubles from half a second."""
        cert = self.ca.issue(self.lab.path("b"), "localhost")
        server = agent_case.TlsServer(
            *cert, answer=b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n")
        agent = self.run_agent(server.port)
        mark = 0
        for _ in range(4):
            agent.wait_line("next try", mark)
            mark = agent.mark()
        agent.stop()
        server.close()
        waits = [float(w) for w in
                 re.findall(r"next try in ([0-9.]+) s", agent.output())]
        self.assertGreaterEqual(len(waits), 4)
        for wait, cap in zip(waits, (0.5, 1, 2, 4, 8, 16, 32)):
            self.assertLessEqual(wait, cap)


def spki_pin(cert):
    der = harness.run(["openssl", "x509", "-in", cert, "-noout",
                       "-pubkey"]).stdout
    body = "".join(der.strip().splitlines()[1:-1])
    return "sha256/" + base64.b64encode(
        hashlib.sha256(base64.b64decode(body)).digest()).decode()


class Dialling(harness.LabTest):
    def again(self, *args, ready=True):
        self.owner.stop()
        return self.owner.start(*args, ready=ready)

    def test_pin(self):
        pin = spki_pin(self.lab.server[0])
        self.again("--pin", pin)
        other = spki_pin(self.lab.ca.cert)
        agent = self.again("--pin", other, ready=False)
        agent.wait_line(r"tunnel: .*pinned.*next try")
        self.assertNotIn("ready:", agent.output())
        done = self.owner.cli("status", ok=(1,))
        self.assertIn("pinned", done.stdout)

    def test_relay_name(self):
        self.again("--relay-name", "localhost")
        agent = self.again("--relay-name", "other.example", ready=False)
        agent.wait_line(r"calls itself .localhost., want .other.example.")

    def test_unknown_key_stops(self):
        """4402 is final: the relay would say the same for ever."""
        stranger = self.lab.agent("stranger")
        stranger.start(ready=False)
        stranger.process.wait_line(r"stopped: .*4402.*key show")
        self.assertEqual(stranger.process.wait(), 4)
        stranger.process = None

    def test_second_agent_of_one_key_supersedes(self):
        """4409: the older one ends instead of fighting the newer."""
        twin = self.lab.agent("twin")
        with open(os.path.join(self.owner.state, "agent.key"), "rb") as key:
            data = key.read()
        with open(os.path.join(twin.state, "agent.key"), "wb") as out:
            out.write(data)
        twin.start()
        self.owner.process.wait_line(r"stopped: .*taken over")
        self.assertEqual(self.owner.process.wait(), 4)
        self.owner.process = None
        self.assertEqual(
            twin.cli("status").stdout.count("tunnel   ready"), 1)

    def test_vms_come_and_go(self):
        """A running agent takes registrations and removals at once."""
        status = self.owner.cli("status").stdout
        self.assertIn("1 registered, 1 claimed", status)
        # It is the running agent that says so, not a store of our own.
        done = self.owner.cli("vm", "show", "nobody", ok=(1,))
        self.assertIn("no VM of that name", done.stderr)
        self.owner.cli("vm", "remove", "web1")
        listed = self.owner.cli("vm", "list").stdout
        self.assertEqual(listed, "")
        self.owner.add("web2", "x" * 20, vm=self.vm)
        self.owner.process.wait_line(r"claimed " + self.vm)
        status = self.owner.cli("status").stdout
        self.assertIn("1 registered, 1 claimed", status)

    def test_no_core_file(self):
        """T18: a crash must not write keys to the disk."""
        with open("/proc/%d/limits" % self.owner.process.child.pid,
                  encoding="ascii") as limits:
            self.assertRegex(limits.read(), r"Max core file size +0 +0 ")

    def test_config_file(self):
        self.owner.stop()
        path = self.lab.file("agent.yaml", (
            "relay:\n  url: wss://localhost:%d/sev\n  ca: %s\n"
            "log: {format: json}\n" % (
                self.lab.relay_public, self.lab.ca.cert)))
        agent = harness.Process("owner", [
            os.path.join(harness.BIN, "attest-agent"), "--state",
            self.owner.state, "--config", path, "run"],
            self.lab.path("yaml.log"))
        agent.wait_line(r'"msg":"ready: relay')
        self.assertEqual(agent.stop(), 0)
        bad = self.lab.file("bad.yaml", "relay:\n  urll: x\n")
        done = self.owner.cli("--config", bad, "run", ok=(2,))
        self.assertRegex(done.stderr, r"bad\.yaml:2:\d+: .*urll")

    def test_one_agent_a_folder(self):
        done = harness.run([
            os.path.join(harness.BIN, "attest-agent"), "--state",
            self.owner.state, "run", "--relay", "wss://localhost:1"],
            ok=(1,))
        self.assertIn("in use by another attest-agent", done.stderr)


class Binding(harness.LabTest):
    relay_extra = "channel-binding: off\n"

    def setUp(self):
        self.lab = harness.Lab()
        self.addCleanup(self.lab.close)
        self.owner = self.lab.agent()
        self.vm = self.owner.add("web1", harness.new_passphrase())
        self.lab.start_relay({"acme": (self.owner, [self.vm])},
                             self.relay_extra)

    def test_off_is_refused_unless_allowed(self):
        agent = self.owner.start(ready=False)
        agent.wait_line(r"channel-binding off")
        self.assertNotIn("ready:", agent.output())
        self.owner.stop()
        self.owner.start("--allow-no-binding")
        self.assertIn("OFF", self.owner.cli("status").stdout)

    def test_off_is_allowed_to_one_relay(self):
        """What one relay may do, another may not."""
        way = agent_case.Forwarder(self.lab.relay_public)
        self.addCleanup(way.close)
        url = "wss://localhost:%d/sev" % way.port
        agent = self.owner.start("--relay", url, ready=False)
        agent.wait_line(r"tunnel: %s:? .*channel-binding off" % url)
        self.owner.stop()
        agent = self.owner.start("--relay", url + "#no-binding")
        agent.wait_line(r"ready: relay %s" % url)
        agent.wait_line(r"tunnel: wss://localhost:%d/.*channel-binding off" %
                        self.lab.relay_public)
        self.owner.stop()


class Drained(unittest.TestCase):
    """12.5: a relay that goes away sends its agents to the next one."""

    def test_agents_move(self):
        lab = harness.Lab()
        self.addCleanup(lab.close)
        owner = lab.agent()
        secret = harness.new_passphrase()
        vm = owner.add("web1", secret)
        old = lab.start_relay({"acme": (owner, [vm])})
        balancer = agent_case.Forwarder(lab.relay_public)
        self.addCleanup(balancer.close)
        agent = harness.Process("owner", [
            os.path.join(harness.BIN, "attest-agent"), "--state",
            owner.state, "run", "--relay",
            "wss://localhost:%d/sev" % balancer.port, "--ca", lab.ca.cert],
            lab.path("owner.log"))
        self.addCleanup(agent.kill)
        agent.wait_line("ready: relay")
        lab.relay_public = lab.relay_internal = 0
        lab.start_relay({"acme": (owner, [vm])})
        balancer.target = lab.relay_public
        mark = agent.mark()
        self.assertEqual(old.stop(), 0)
        agent.wait_line("going away", mark)
        agent.wait_line("ready: relay", mark)
        done = lab.host("launch", *lab.guest(vm))
        self.assertIn(secret, done.stdout)


class Proxied(unittest.TestCase):
    """12.5: CONNECT through HTTPS_PROXY, and TLS to the relay inside."""

    def setUp(self):
        self.lab = harness.Lab()
        self.addCleanup(self.lab.close)
        self.owner = self.lab.agent()
        self.vm = self.owner.add("web1", harness.new_passphrase())
        self.lab.start_relay({"acme": (self.owner, [self.vm])})

    def start(self, env, *args, ready=True):
        saved = dict(os.environ)
        os.environ.update(env)
        try:
            return self.owner.start(*args, ready=ready)
        finally:
            os.environ.clear()
            os.environ.update(saved)

    def test_https_proxy(self):
        proxy = agent_case.Proxy()
        self.addCleanup(proxy.close)
        self.start({"HTTPS_PROXY": "http://127.0.0.1:%d" % proxy.port})
        self.assertEqual(len(proxy.heads), 1)
        self.assertRegex(proxy.heads[0], r"^CONNECT localhost:%d HTTP/1\.[01]"
                         % self.lab.relay_public)
        self.owner.stop()

    def test_password_for_the_proxy(self):
        proxy = agent_case.Proxy()
        self.addCleanup(proxy.close)
        self.start({}, "--proxy", "http://u:pass@127.0.0.1:%d" % proxy.port)
        want = base64.b64encode(b"u:pass").decode()
        self.assertRegex(proxy.heads[0],
                         r"(?i)proxy-authorization: *basic +" + want)
        self.owner.stop()

    def test_no_proxy(self):
        proxy = agent_case.Proxy()
        self.addCleanup(proxy.close)
        self.start({"HTTPS_PROXY": "http://127.0.0.1:%d" % proxy.port,
                    "NO_PROXY": "example.com,localhost"})
        self.assertEqual(proxy.heads, [])
        self.owner.stop()

    def test_refusing_proxy(self):
        proxy = agent_case.Proxy(status="403 Forbidden")
        self.addCleanup(proxy.close)
        agent = self.start(
            {"HTTPS_PROXY": "http://127.0.0.1:%d" % proxy.port}, ready=False)
        agent.wait_line(r"tunnel: .*next try")
        self.owner.stop()


class CommandLine(unittest.TestCase):
    VERBS = (("vm", "add"), *((verb,) for verb in (
        "key enrol vm run status watch approve deny lock unlock receipts log "
        "api cancel explain doctor diag service export import help chain "
        "digest verify ovmf").split()))

    def agent(self, *args, ok=(0,), env=None):
        return harness.run([os.path.join(harness.BIN, "attest-agent"), *args],
                           ok=ok, env=env)

    def test_help(self):
        for verb in ((), *self.VERBS):
            done = self.agent(*verb, "--help")
            self.assertTrue(done.stdout.startswith("usage: attest-agent"))
            self.assertEqual(done.stderr, "")
            for line in done.stdout.splitlines():
                self.assertLessEqual(len(line), 80, line)

    def test_misuse(self):
        for verb in ((), ("bogus",), ("--bogus",), ("key",), ("key", "x"),
                     ("vm",), ("vm", "x"), ("vm", "show"), ("vm", "add"),
                     ("vm", "add", "a", "--bogus"), ("run", "--bogus"),
                     ("run", "--relay"), ("status", "x"), ("log",),
                     ("log", "show", "--after", "x")):
            done = self.agent(*verb, ok=(2,))
            self.assertEqual(done.stdout, "")
            self.assertIn("attest-agent", done.stderr)

    def test_version(self):
        self.assertRegex(self.agent("--version").stdout,
                         r"^attest-agent \d+\.\d+\.\d+\n$")

    def test_authorities_that_are_none(self):
        lab = harness.Lab()
        self.addCleanup(lab.close)
        owner = lab.agent()
        empty = lab.file("empty.pem", "")
        for path, why in (("/none/ca.pem", "No such file or directory"),
                          (empty, "no certificate")):
            done = owner.cli("run", "--relay", "wss://localhost:1", "--ca",
                             path, ok=(1,))
            self.assertIn("attest-agent: %s: %s" % (path, why), done.stderr)

    def test_no_key_yet(self):
        folder = tempfile.mkdtemp(prefix="attest-no-key-")
        self.addCleanup(shutil.rmtree, folder)
        done = self.agent("--state", folder, "key", "show", ok=(1,))
        self.assertEqual(done.stderr, "attest-agent: %s: no key yet: "
                         "attest-agent key new\n" % folder)

    def test_not_running(self):
        lab = harness.Lab()
        self.addCleanup(lab.close)
        owner = lab.agent()
        done = owner.cli("watch", ok=(1,))
        self.assertIn("no agent runs on %s (attest-agent run" % owner.state,
                      done.stderr)
        done = owner.cli("status", "--json", ok=(1,))
        self.assertIn('"not-running"', done.stdout)
        done = owner.cli("key", "new", ok=(1,))
        self.assertIn("exists already", done.stderr)
        done = owner.cli("run", ok=(1, 2))
        self.assertIn("no relay", done.stderr)

    def test_secret_from_descriptor_and_json(self):
        lab = harness.Lab()
        self.addCleanup(lab.close)
        owner = lab.agent()
        secret = harness.new_passphrase()
        read, write = os.pipe()
        os.write(write, secret.encode())
        os.close(write)
        owner.cli("vm", "add", "a", "--policy", "1", "--firmware",
                  harness.FIRMWARE, "--any-platform", "--secret-fd",
                  str(read), pass_fds=(read,))
        os.close(read)
        form = ('{"policy": 1, "any-platform": true, "firmware": "%s",'
                '"secrets": [{"type": "luks-passphrase", "passphrase": "%s"}]}'
                % (harness.FIRMWARE, secret))
        path = lab.file("form.json", form)
        owner.cli("vm", "add", "b", "--json", path)
        owner.cli("vm", "add", "c", "--json", "-", input=form)
        listed = owner.cli("vm", "list").stdout
        self.assertEqual(len(listed.splitlines()), 3)
        # T24: nothing of it in the clear on the disk.
        for name in os.listdir(owner.state):
            with open(os.path.join(owner.state, name), "rb") as data:
                self.assertNotIn(secret.encode(), data.read(), name)
        for out in (listed, owner.cli("vm", "show", "b", "--json").stdout,
                    owner.cli("log", "show").stdout):
            self.assertNotIn(secret, out)

    def test_json_errors(self):
        """Whatever goes wrong, --json gives one line of JSON, and status 1
        or 2 the words on stderr."""
        lab = harness.Lab()
        self.addCleanup(lab.close)
        owner = lab.agent()
        form = lab.file("form.json", '{"policy": 1, "polcy": 2}')
        for args, status in (
                (("key", "new"), 1), (("vm", "show", "nobody"), 1),
                (("vm", "remove", "nobody"), 1),
                (("log", "show", "--vm", "nobody"), 1),
                (("vm", "add", "a"), 2), (("vm", "add"), 2),
                (("vm", "add", "a", "--json", form), 2),
                (("vm", "add", "a", "--json", "/nonexistent"), 1),
                (("vm", "add", "--bogus"), 2)):
            with self.subTest(args):
                done = owner.cli(*args, "--json", ok=(status,))
                error = json.loads(done.stdout)
                self.assertEqual(error["schema"], "attest-agent.error/1")
                self.assertIn(error["error"], done.stderr)

    def test_json_in_and_out(self):
        """--json FILE reads, --json alone prints, in any order."""
        lab = harness.Lab()
        self.addCleanup(lab.close)
        owner = lab.agent()
        vm = "57F669C2-C427-4132-BC7A-26F56B6A718C"
        with open(harness.FIRMWARE, "rb") as image:
            digest = hashlib.sha256(image.read())
        with open(os.path.join(harness.PLATFORM, "oca.cert"), "rb") as cert:
            cert = base64.b64encode(cert.read()).decode()
        form = lab.file("form.json", json.dumps({
            "scheme": "amd-sev", "policy": "0x1", "cpu-count": 2,
            "cloud-cert": cert, "firmware-hashes": [digest.hexdigest()],
            "secrets": [{"type": "luks-passphrase", "passphrase": "x"}]}))
        for words in ((vm, "--json", form, "--json"),
                      ("--json", form, vm, "--json"),
                      ("--json", "--json=" + form, "--uuid", vm),
                      ("--uuid", vm, "--json=" + form, "--json")):
            with self.subTest(words):
                made = json.loads(owner.cli("vm", "add", *words).stdout)
                self.assertEqual(made["vm"], vm.lower())
                self.assertEqual(made["name"], vm.lower())
                self.assertTrue(made["notes"])
                for word in vm, vm.lower(), vm[:6]:
                    self.assertIn(vm.lower(),
                                  owner.cli("vm", "show", word).stdout)
                owner.cli("vm", "remove", vm)

    def test_prompt(self):
        """Asked last, twice, without echo; Ctrl-C gives the echo back."""
        lab = harness.Lab()
        self.addCleanup(lab.close)
        owner = lab.agent()
        secret = harness.new_passphrase()
        args = [os.path.join(harness.BIN, "attest-agent"), "--state",
                owner.state, "vm", "add", "a", "--policy", "1", "--firmware",
                harness.FIRMWARE, "--any-platform", "--secret-prompt"]
        for words, status in (((secret, secret), 0), ((secret, "y"), 2),
                              (("\x03",), -signal.SIGINT)):
            child, terminal = pty.fork()
            if child == 0:
                os.execv(args[0], args)
            said = b""
            for word, prompt in zip(words, (b"of a: ", b"(again): ")):
                said += agent_case.read_until(terminal, prompt)
                self.assertFalse(termios.tcgetattr(terminal)[3] &
                                 termios.ECHO)
                os.write(terminal, word.encode() +
                         (b"" if word == "\x03" else b"\n"))
                said += agent_case.read_until(
                    terminal, b"\n" if word != "\x03" else None)
            said += agent_case.read_until(terminal, None)
            _, ended = os.waitpid(child, 0)
            self.assertEqual(os.waitstatus_to_exitcode(ended), status, said)
            self.assertNotIn(secret.encode(), said)
            self.assertTrue(termios.tcgetattr(terminal)[3] & termios.ECHO)
            os.close(terminal)
        self.assertEqual(len(owner.cli("vm", "list").stdout.splitlines()), 1)
        # A misspelt flag behind it is told before anything is asked.
        done = harness.run([*args, "--bogus"], ok=(2,),
                           start_new_session=True)
        self.assertIn("unknown option --bogus", done.stderr)

    def test_no_terminal(self):
        lab = harness.Lab()
        self.addCleanup(lab.close)
        done = lab.agent().cli(
            "vm", "add", "a", "--policy", "1", "--firmware",
            harness.FIRMWARE, "--any-platform", "--secret-prompt", ok=(1,),
            start_new_session=True)
        self.assertIn("no terminal", done.stderr)


if __name__ == "__main__":
    unittest.main(verbosity=2)
