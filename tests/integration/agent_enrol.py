"""From a token to a tunnel: attest-relayctl token create, attest-agent enrol,
attest-agent run; and all who must not get in (T13, T17, T27)."""

import base64
import hashlib
import json
import os
import re
import secrets
import socket
import struct
import time
import unittest
import uuid

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import (
    Ed25519PrivateKey)

import agent_case
import fake_agent
import harness
import relay_case


class Owner:
    """A state folder without a key, and nothing configured."""

    def __init__(self, lab, name):
        self.lab = lab
        self.state = lab.path(name + ".state")
        self.log = lab.path(name + ".log")
        self.process = None

    def cli(self, *args, ok=(0,)):
        return harness.run(
            [os.path.join(harness.BIN, "attest-agent"), "--state", self.state,
             "--config", self.lab.file("empty.yaml", ""), *args], ok=ok)

    def run(self, *args):
        self.process = harness.Process("agent", [
            os.path.join(harness.BIN, "attest-agent"), "--state", self.state,
            "--config", self.lab.file("empty.yaml", ""), "run", *args],
            self.log)
        return self.process


def proof(key, token, binding=0):
    """docs/protocol.md 12.3, without the exporter that Python lacks."""
    public = key.public_key().public_bytes(
        serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    text = (b"attest-relay.v1 enrol\0" + bytes([binding]) + bytes(32) +
            hashlib.sha256(token.encode()).digest() + public)
    return {"token": token,
            "key": "ed25519:" + base64.b64encode(public).decode(),
            "binding": binding,
            "signature": base64.b64encode(key.sign(text)).decode()}


class Enrol(relay_case.RelayCase):

    extra = "limits: {enrolments: 0}\n"

    def start(self, extra=None):
        # As operators have it: bound to the TLS connection.
        self.lab.start_relay(self.tenants(),
                             self.extra if extra is None else extra)

    def setUp(self):
        super().setUp()
        self.owners = []
        self.addCleanup(self.end_owners)

    def end_owners(self):
        for owner in self.owners:
            if owner.process is not None:
                owner.process.kill()

    def owner(self, name="owner"):
        self.owners.append(Owner(self.lab, name))
        return self.owners[-1]

    def link(self, *args):
        line, = self.lab.ctl("token", "create", "--tenant", "acme",
                             *args).stdout.splitlines()
        self.assertRegex(line, r"^https://localhost:%d/sev/e/[\w-]{43}"
                         r"#sha256/[A-Za-z0-9+/]{43}=$" %
                         self.lab.relay_public)
        return line

    def test_one_line_and_no_flags(self):
        owner = self.owner()
        link = self.link("--ttl", "10m", "--uses", "1")
        said = owner.cli("enrol", link).stdout
        self.assertRegex(said, r"tenant  acme\nkey     ed25519:\S+ \(made now")
        owner.run().wait_line("ready: relay")
        row, = json.loads(self.lab.ctl("--json", "tunnels").stdout)["tunnels"]
        self.assertIn(row["key"], said)
        # The answer may have been lost: the same again is fine.
        owner.cli("enrol", link)
        # Nobody else gets anything for it, and the log tells why.
        other = self.owner("other")
        self.assertIn("used or is over",
                      other.cli("enrol", link, ok=(1,)).stderr)
        self.lab.relay.wait_line(r"enrolment refused: token \d+ was used")
        # Neither the log nor the trail has the token.
        token = re.search(r"/e/([\w-]+)#", link).group(1)
        self.assertNotIn(token, self.lab.relay.output())
        self.assertNotIn(token, self.lab.ctl("--json", "trail").stdout)
        with open(self.lab.path("relay.state/relay.db-wal"), "rb") as db:
            self.assertNotIn(token.encode(), db.read())
        # It outlives the relay, and a revoked key is final for the agent.
        self.lab.relay.kill()
        mark = owner.process.mark()
        self.start()
        owner.process.wait_line("ready: relay", mark)
        self.lab.ctl("keys", "revoke", row["key"])
        self.assertEqual(owner.process.wait(), 4)
        self.assertIn("4402", owner.process.output())

    def test_other_verbs_know_the_relay(self):
        owner = self.owner()
        owner.cli("enrol", self.link())
        owner.run().wait_line("ready: relay")
        offline = self.lab.file("offline.yaml",
                                "key-server: {offline: yes}\n")
        done = owner.cli("--config", offline, "doctor", "--json")
        said = {c["check"]: c for c in json.loads(done.stdout)["checks"]}
        self.assertIn("wss://localhost:", said["relay"]["found"])
        self.assertEqual(said["relay"]["level"], "ok", said)
        # The pin alone decides, so it must.
        path = os.path.join(owner.state, "relay.yaml")
        with open(path, encoding="ascii") as f:
            text = f.read()
        with open(path, "w", encoding="ascii") as f:
            f.write(re.sub(r"sha256/[^\"]*", "sha256/" + base64.b64encode(
                bytes(32)).decode(), text))
        done = owner.cli("--config", offline, "doctor", ok=(1,))
        self.assertRegex(done.stdout, r"(?m)^fail  pin ")
        self.assertNotRegex(done.stdout, r"(?m)^\w+ +relay ")
        with open(path, "w", encoding="ascii") as f:
            f.write(text)
        done = owner.cli(
            "vm", "add", "web1", "--new-uuid", "--policy", "1", "--firmware",
            harness.FIRMWARE, "--any-platform", "--no-secret")
        self.assertRegex(done.stdout, r"service=https://localhost:%d/sev  uuid="
                         % self.lab.relay_public)

    def test_denied_claims_are_asked_for_again(self):
        owner, vm = self.owner(), str(uuid.uuid4())
        owner.cli("enrol", self.link())
        owner.cli("vm", "add", "web1", "--uuid", vm, "--policy", "1",
                  "--firmware", harness.FIRMWARE, "--any-platform",
                  "--no-secret")
        agent = owner.run()
        agent.wait_line("claim of %s denied" % vm)
        agent.wait_line("ready: relay .*, 0 VMs claimed")
        # Not told, so found out; and one word of it is enough.
        for _ in range(2):
            self.lab.relay.wait_line("claims 0, denied 1",
                                     self.lab.relay.mark())
        self.lab.ctl("claims", "add", "--tenant", "acme", vm)
        agent.wait_line("claimed " + vm)
        self.assertEqual(agent.output().count("denied: "), 1)
        harness.eventually(lambda: "1 claimed, 0 denied" in
                           owner.cli("status").stdout)

    def test_t27_the_pin_decides(self):
        owner = self.owner()
        link = self.link()
        wrong = link[:link.index("sha256/")] + "sha256/" + \
            base64.b64encode(bytes(32)).decode()
        done = owner.cli("enrol", wrong, ok=(1,))
        self.assertIn("nothing was sent", done.stderr)
        other = harness.Ca(self.lab.folder, "other")
        owner.cli("enrol", "--ca", other.cert, link, ok=(1,))
        owner.cli("enrol", "--ca", self.lab.ca.cert, link)
        owner.run().wait_line("ready: relay")
        # A relay with another key is not the one that was enrolled with.
        owner.process.kill()
        path = os.path.join(owner.state, "relay.yaml")
        with open(path, encoding="ascii") as f:
            text = f.read()
        with open(path, "w", encoding="ascii") as f:
            f.write(re.sub(r"sha256/[^\"]*", "sha256/" + base64.b64encode(
                bytes(32)).decode(), text).replace(
                    "pin-only: no", "pin-only: yes"))
        owner.run().wait_line("next try|certificate is refused")
        self.assertNotIn("ready: relay", owner.process.output())

    def test_not_while_another_relay_takes_over(self):
        """It has read the registry already, and would not know the key."""
        owner, link = self.owner(), self.link()
        s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        s.settimeout(harness.PATIENCE)
        s.connect(self.lab.path("takeover.sock"))
        s.send(struct.pack(">BI", 1, 2))
        self.assertGreater(len(s.recv(65536)), 80)
        said = owner.cli("enrol", link, ok=(1,)).stderr
        self.assertNotIn("used or is over", said)
        s.close()
        # With or without its names, as the folder lets it.
        self.lab.relay.wait_line("names again|nobody can reach us")
        owner.cli("enrol", link)

    def test_links_that_are_none(self):
        owner = self.owner()
        link = self.link()
        for bad in ("", "x", link.split("#")[0], link.replace("https", "http"),
                    link.replace("/e/", "/f/"), link[:-1],
                    link.replace("sha256/", "sha1/"),
                    link.replace("/e/", "/e/%2e")):
            owner.cli("enrol", bad, ok=(2,))
        owner.cli("enrol", ok=(2,))
        self.assertFalse(os.path.exists(
            os.path.join(owner.state, "agent.key")))

    def post(self, body, port=None):
        client = self.client(port or self.lab.relay_public)
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        client.send(b"POST /sev/agent/v1/enrol HTTP/1.1\r\nHost: x\r\n"
                    b"Content-Length: %d\r\n\r\n" % len(data) + data)
        return client.answer()


class Unbound(Enrol):
    """Behind a balancer that ends TLS: what a hostile client can send."""

    extra = "channel-binding: off\nlimits: {enrolments: 0}\n"
    test_one_line_and_no_flags = None
    test_other_verbs_know_the_relay = None
    test_denied_claims_are_asked_for_again = None
    test_t27_the_pin_decides = None
    test_links_that_are_none = None

    def token(self, *args):
        return re.search(r"/e/([\w-]+)#", self.link(*args)).group(1)

    def test_agents_must_allow_it(self):
        owner = self.owner()
        link = self.link()
        owner.cli("enrol", "--allow-no-binding", link)
        owner.run().wait_line("ready: relay")

    def test_t13_t17_all_refusals_are_one(self):
        key = Ed25519PrivateKey.generate()
        used, revoked = self.token(), self.token()
        self.assertEqual(self.post(proof(
            Ed25519PrivateKey.generate(), used)).status, 200)
        ids = [t["id"] for t in json.loads(
            self.lab.ctl("--json", "tokens").stdout)["tokens"]
            if t["uses"] == 1]
        for one in ids:
            self.lab.ctl("tokens", "revoke", str(one))
        agent = self.lab.ctl("token", "create", "--tenant", "acme",
                             "--agent").stdout.strip()
        good = self.token()
        forged = proof(key, good)
        forged["signature"] = base64.b64encode(bytes(64)).decode()
        swapped = proof(key, good)
        swapped["key"] = proof(Ed25519PrivateKey.generate(), good)["key"]
        moved = proof(key, used)
        moved["token"] = good
        answers = set()
        for body in (proof(key, secrets.token_urlsafe(32)), proof(key, used),
                     proof(key, revoked), proof(key, agent), forged, swapped,
                     moved):
            answer = self.post(body)
            self.problem(answer, 403, "enrolment-refused")
            text = answer.body.decode().replace(
                answer.fields["request-id"], "ID")
            answers.add((text, tuple(sorted(answer.fields))))
        self.assertEqual(len(answers), 1)
        # The good one is as good as before.
        self.assertEqual(self.post(proof(key, good)).status, 200)
        self.tunnel(FixedKey(key))

    def test_t13_bad_bodies(self):
        good = proof(Ed25519PrivateKey.generate(), self.token())
        for change in ({"token": ""}, {"token": 1}, {"key": "ed25519:AAAA"},
                       {"token": "x" * 129}, {"binding": 2},
                       {"binding": "0"}, {"signature": "AAAA"},
                       {"signature": None},
                       {"key": "ed25519:" + base64.b64encode(
                           bytes(32)).decode()}):
            self.problem(self.post(dict(good, **change)), 400, "bad-request")
        for raw in (b"", b"{", b"[]", b"null", b'{"token":"a","token":"b"}',
                    b"[" * 1000):
            self.problem(self.post(raw), 400, "bad-request")
        self.problem(self.post(b"x" * 1025), 413, "http-413")
        # Not here: hosts' side.
        self.problem(self.post(good, self.lab.relay_internal), 404,
                     "not-found")
        self.assertEqual(self.post(good).status, 200)

    def test_t13_guessing_is_slow(self):
        self.lab.relay.stop()
        self.start("channel-binding: off\nlimits: {enrolments: 3}\n")
        body = proof(Ed25519PrivateKey.generate(), "guess")
        for _ in range(3):
            self.problem(self.post(body), 403, "enrolment-refused")
        answer = self.post(body)
        self.problem(answer, 429, "rate-limited")
        self.assertIn("retry-after", answer.fields)


class FixedKey(fake_agent.Key):
    """A key that the test made."""

    def __init__(self, private):
        super().__init__()
        self.private = private
        self.public = private.public_key().public_bytes(
            serialization.Encoding.Raw, serialization.PublicFormat.Raw)


class OtherWays(relay_case.RelayCase):
    """Tokens and certificates in place of a known key (12.3)."""

    extra = ""

    def setUp(self):
        super().setUp()
        self.lab.relay.stop()
        config = self.lab.relay_config(self.tenants(),
                                       "channel-binding: off\n"
                                       "agents: {auth: [key, token, mtls]}\n")
        with open(config, encoding="ascii") as f:
            text = f.read()
        text = text.replace("internal:\n", "  client-ca: %s\ninternal:\n" %
                            self.lab.ca.cert, 1)
        text = text.replace("    vms:", "    certificates: [agent.test]\n"
                            "    self-certifying: yes\n    vms:")
        # Whoever it becomes reads its files again.
        os.chmod(self.lab.folder, 0o755)
        os.chmod(self.lab.server[1], 0o644)
        self.config, self.text = config, text
        self.write(text)
        self.lab.run_relay(config)

    def write(self, text):
        with open(self.config, "w", encoding="ascii") as f:
            f.write(text)

    def reload(self, *changes):
        text = self.text
        for old, new in changes:
            self.assertIn(old, text)
            text = text.replace(old, new, 1)
        self.write(text)
        self.lab.ctl("reload")

    def refused(self, *args, **kwargs):
        with self.assertRaises(fake_agent.Closed) as caught:
            self.tunnel(*args, **kwargs)
        self.assertEqual(caught.exception.code, 4402)

    def test_t13_long_lived_tokens(self):
        token = self.lab.ctl("token", "create", "--tenant", "acme",
                             "--agent").stdout.strip()
        header = "Authorization: Bearer %s\r\n"
        key = fake_agent.Key()
        self.refused(key)
        self.refused(key, extra=header % ("x" * 43))
        self.refused(key, extra="Authorization: Basic x\r\n")
        # A known key does not make up for a bad token.
        self.refused(extra=header % ("x" * 43))
        tunnel = self.tunnel(key, claim=[self.vm], extra=header % token)
        # An enrolment token is none of these.
        link = self.lab.ctl("token", "create", "--tenant", "acme").stdout
        self.refused(key, extra=header % re.search(
            r"/e/([\w-]+)#", link).group(1))
        row = [t for t in json.loads(self.lab.ctl(
            "--json", "tokens").stdout)["tokens"] if t["kind"] == "agent"]
        self.lab.ctl("tokens", "revoke", str(row[0]["id"]))
        self.assertEqual(tunnel.wait_close(), 4402)
        self.refused(key, extra=header % token)

    def test_t13_a_token_takes_its_tunnels_along(self):
        """At the end of its ttl, though nobody asks and nothing moves."""
        before = time.time()
        token = self.lab.ctl("token", "create", "--tenant", "acme",
                             "--agent", "--ttl", "4s").stdout.strip()
        made = time.time()
        header = "Authorization: Bearer %s\r\n" % token
        key, known = fake_agent.Key(), self.tunnel()
        tunnel = self.tunnel(key, claim=[self.vm], extra=header)
        self.assertEqual(tunnel.wait_close(), 4402)
        self.assertGreaterEqual(time.time(), before + 4)
        self.assertLess(time.time(), made + 4 + 1)
        self.lab.relay.wait_line("sent away: its token has ended")
        self.refused(key, extra=header)
        # Who needs none stays.
        self.assertEqual(known.claim(self.vm), [0])

    def test_t13_certificates(self):
        key = fake_agent.Key()
        good = self.lab.ca.issue("agent", ["DNS:agent.test"],
                                 usage="clientAuth")
        other = self.lab.ca.issue("stranger", ["DNS:other.test"],
                                  usage="clientAuth")
        self.refused(key, cert=other)
        tunnel = self.tunnel(key, claim=[self.vm], cert=good)
        self.lab.ctl("keys", "add", "--tenant", "acme", key.text())
        self.lab.ctl("keys", "revoke", key.text())
        self.assertEqual(tunnel.wait_close(), 4402)
        self.refused(key, cert=good)

    def launch_by(self, *flags):
        """An agent whose key nobody knows, let in by ${flags} alone."""
        owner = self.lab.agent()
        self.addCleanup(owner.stop)
        passphrase = harness.new_passphrase()
        owner.add("vm", passphrase, vm=self.vm)
        agent = owner.start("--allow-no-binding", ready=False)
        self.assertEqual(agent.wait(), 4)
        self.assertIn("4402", agent.output())
        owner.start("--allow-no-binding", *flags)
        done = self.lab.host("launch", *self.lab.guest(self.vm))
        self.assertIn(passphrase, done.stdout)
        return owner

    def test_agent_with_a_token(self):
        token = self.lab.ctl("token", "create", "--tenant", "acme",
                             "--agent").stdout
        path = self.lab.file("relay.token", token.encode(), 0o600)
        owner = self.launch_by("--relay-token-file", path)
        # Neither who looks at processes nor who reads the log gets it.
        with open("/proc/%d/cmdline" % owner.process.child.pid, "rb") as args:
            self.assertNotIn(token.strip().encode(), args.read())
        self.assertNotIn(token.strip(), owner.process.output())
        self.lab.ctl("tokens", "revoke", "1")
        self.assertEqual(owner.process.wait(), 4)

    def test_agent_with_a_certificate(self):
        cert, key = self.lab.ca.issue("agent", ["DNS:agent.test"],
                                      usage="clientAuth")
        config = self.lab.file("agent.yaml", (
            "relay: {certificate: %s, key: %s}\n" % (cert, key)).encode())
        self.launch_by("--relay-certificate", cert, "--relay-key", key).stop()
        self.lab.agents["owner"].start("--allow-no-binding", config=config)

    def test_t27_what_is_shown_reaches_no_other(self):
        """A pin that does not fit ends it before the token is sent."""
        owner = self.lab.agent()
        self.addCleanup(owner.stop)
        path = self.lab.file("relay.token", b"secret-of-the-agent", 0o600)
        for wrong in (True, False):
            # One for each, as the agent dials more than once.
            server = agent_case.TlsServer(*self.lab.server)
            self.addCleanup(server.close)
            url = "wss://localhost:%d" % server.port
            pin = "#sha256/" + base64.b64encode(bytes(32)).decode()
            agent = owner.start("--relay-token-file", path, "--relay",
                                url + pin * wrong, ready=False)
            server.wait(1)
            self.assertEqual(b"secret-of-the-agent" in server.heard,
                             not wrong)
            agent.stop()

    def test_agent_says_what_is_wrong_with_files(self):
        owner = self.lab.agent()
        cert, key = self.lab.ca.issue("agent", ["DNS:agent.test"],
                                      usage="clientAuth")
        _, other = self.lab.ca.issue("other", ["DNS:other.test"])
        shown = self.lab.ca.issue("shown", ["DNS:agent.test"],
                                  usage="clientAuth")
        os.chmod(shown[1], 0o644)

        def token(name, data, mode=0o600):
            return ["--relay-token-file", self.lab.file(name, data, mode)]
        for flags, status, want in (
                (["--relay-certificate", cert], 2, "go together"),
                (["--relay-key", key], 2, "go together"),
                (["--relay-certificate", key, "--relay-key", key], 1,
                 "no certificate in it"),
                (["--relay-certificate", cert, "--relay-key", other], 1,
                 "not the private key of the certificate"),
                (["--relay-token-file", "/nowhere"], 1, "No such file"),
                (token("empty", b""), 2, "want one line, a token"),
                (token("two", b"a\nb\n"), 2, "want one line, a token"),
                (token("long", b"x" * 513), 2, "want one line, a token"),
                (token("huge", b"x" * 5130), 1, "more than 513 bytes"),
                (token("open", b"x", 0o644), 2,
                 "mode 0644 lets others use"),
                (["--relay-certificate", shown[0], "--relay-key", shown[1]],
                 2, "relay.key: ")):
            with self.subTest(flags=flags):
                agent = owner.start(*flags, ready=False)
                self.assertEqual(agent.wait(), status)
                self.assertIn(want, agent.output())

    def test_t43_an_authority_taken_away(self):
        """Tunnels that its certificates made end with the reload."""
        good = self.lab.ca.issue("agent", ["DNS:agent.test"],
                                 usage="clientAuth")
        tunnel = self.tunnel(fake_agent.Key(), claim=[self.vm], cert=good)
        known = self.tunnel()
        self.reload()
        self.assertEqual(
            self.lab.ctl("tunnels").stdout.count("ed25519:"), 2)
        other = harness.Ca(self.lab.folder, "other")
        self.reload(("client-ca: " + self.lab.ca.cert,
                     "client-ca: " + other.cert))
        self.assertEqual(tunnel.wait_close(), 4402)
        self.assertEqual(
            self.lab.ctl("tunnels").stdout.count("ed25519:"), 1)
        known.close()

    def test_t43_an_authority_taken_away_before_the_upgrade(self):
        """What the handshake took for good is judged again then."""
        good = self.lab.ca.issue("agent", ["DNS:agent.test"],
                                 usage="clientAuth")
        self.tunnel(fake_agent.Key(), cert=good,
                    before_upgrade=self.reload).close()
        other = harness.Ca(self.lab.folder, "other")
        with self.assertRaises(fake_agent.Closed) as closed:
            self.tunnel(fake_agent.Key(), cert=good,
                        before_upgrade=lambda: self.reload(
                            ("client-ca: " + self.lab.ca.cert,
                             "client-ca: " + other.cert)))
        self.assertEqual(closed.exception.code, 4402)

    def test_t43_a_way_taken_away(self):
        """agents.auth without token and mtls."""
        good = self.lab.ca.issue("agent", ["DNS:agent.test"],
                                 usage="clientAuth")
        token = self.lab.ctl("token", "create", "--tenant", "acme",
                             "--agent").stdout.strip()
        one = self.tunnel(fake_agent.Key(), cert=good)
        two = self.tunnel(fake_agent.Key(),
                          extra="Authorization: Bearer %s\r\n" % token)
        self.reload(("[key, token, mtls]", "[key]"))
        self.assertEqual(one.wait_close(), 4402)
        self.assertEqual(two.wait_close(), 4402)

    def test_t43_a_tenant_taken_away(self):
        """What was given out for it, keys and tokens, opens nothing."""
        key, last = fake_agent.Key(), fake_agent.Key()
        self.lab.ctl("keys", "add", "--tenant", "acme", key.text())
        token = self.lab.ctl("token", "create", "--tenant", "acme",
                             "--agent").stdout.strip()
        header = "Authorization: Bearer %s\r\n" % token
        link = self.lab.ctl("token", "create", "--tenant", "acme").stdout
        one, two = self.tunnel(key), self.tunnel(last, extra=header)
        self.reload(("name: acme", "name: other"))
        self.assertEqual(one.wait_close(), 4402)
        self.assertEqual(two.wait_close(), 4402)
        self.refused(key)
        self.refused(last, extra=header)
        owner = Owner(self.lab, "late")
        owner.cli("enrol", link.strip(), ok=(1,))
        self.lab.relay.wait_line("enrolment refused: its tenant is gone")


if __name__ == "__main__":
    unittest.main()
