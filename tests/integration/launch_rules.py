"""Claims, sizes, and what a host can learn from answers."""

import json
import os
import unittest
import uuid

import harness
from launch_first import opened


class Claims(harness.LabTest):
    def test_foreign_agent_cannot_claim(self):
        """Issue 6.7, T11: a tenant's key opens no door to another's UUID."""
        thief = self.lab.agent("thief")
        thief.add("web1", "stolen", vm=self.vm)
        own = thief.add("own", "mine")
        self.lab.relay.kill()
        self.lab.start_relay({"acme": (self.owner, [self.vm]),
                              "evil": (thief, [own])})
        seen = self.owner.process.mark()
        process = thief.start(ready=False)
        process.wait_line(r"(?i)denied")
        self.owner.wait_ready(seen)
        for _ in range(3):
            done = self.lab.host("launch", *self.lab.guest(self.vm))
            self.assertEqual(opened(done), self.passphrase)
        self.assertNotIn("session", thief.cli("log", "show").stdout)

    def test_unknown_key_is_refused_for_good(self):
        stranger = self.lab.agent("stranger")
        stranger.add("web1", "x", vm=self.vm)
        process = stranger.start(ready=False)
        process.wait_line(r"4402|(?i:refused|unknown key)")

    def test_self_certifying_uuid(self):
        state = self.lab.agent("second")
        path = self.lab.file("pass", b"certified")
        added = state.cli(
            "vm", "add", "own", "--new-uuid", "--policy", "1", "--firmware",
            harness.FIRMWARE, "--root",
            os.path.join(harness.PLATFORM, "ark.cert"), "--root",
            os.path.join(harness.PLATFORM, "ask.cert"), "--any-platform",
            "--secret-file", path, "--json")
        vm = json.loads(added.stdout)["vm"]
        self.assertEqual(uuid.UUID(vm).version, 8)
        self.lab.relay.kill()
        cfg = self.lab.relay_config({"acme": (self.owner, [self.vm]),
                                     "beta": (state, [])})
        with open(cfg, encoding="ascii") as text:
            text = text.read()
        with open(cfg, "w", encoding="ascii") as out:
            out.write(text.replace("vms: []", "self-certifying: yes"))
        self.lab.run_relay(cfg)
        state.start()
        done = self.lab.host("launch", *self.lab.guest(vm))
        self.assertEqual(opened(done), "certified")


class Sizes(harness.LabTest):
    """Issue 6.8: one byte under and one over."""

    def body(self, size):
        head = b'{"pad":"'
        return head + b"x" * (size - len(head) - 2) + b'"}'

    def test_body_limit(self):
        for path in "launch", "validate":
            url = "/vm/%s/%s" % (self.vm, path)
            for size, want in ((65535, (422, 400)), (65536, (422, 400)),
                               (65537, (413,))):
                with self.subTest(path=path, size=size):
                    status, head, _ = self.lab.curl(url, self.body(size))
                    self.assertIn(status, want)
                    origin = "relay" if status == 413 else "agent"
                    self.assertEqual(head["attest-origin"], origin)

    def test_head_limit(self):
        url = "/vm/%s/launch" % self.vm
        status, _, _ = self.lab.curl(url, b"{}", "-H", "X-Pad: " + "x" * 15000)
        self.assertIn(status, (400, 422))
        status, _, _ = self.lab.curl(url, b"{}", "-H", "X-Pad: " + "x" * 16400)
        self.assertEqual(status, 431)


class Oracles(harness.LabTest):
    # Short, since both answers wait for an agent that never comes.
    relay_extra = "timeouts:\n  agent-wait: 1s\n"

    def ask(self, vm):
        return self.lab.curl("/vm/%s/launch" % vm, b"{}", "-H",
                             "Request-Id: same")

    def test_unknown_and_offline_look_the_same(self):
        """Issue 6.10, T17, C20."""
        self.owner.stop()
        unknown = self.ask(uuid.uuid4())
        offline = self.ask(self.vm)
        self.assertEqual(unknown[0], 503)
        self.assertEqual(unknown[0], offline[0])
        self.assertEqual(set(unknown[1]), set(offline[1]))
        for name in unknown[1]:
            if name not in ("date", "retry-after"):
                self.assertEqual(unknown[1][name], offline[1][name], name)
        # Retry-After is drawn from 4 to 6 for both (docs/protocol.md 9).
        for answer in unknown, offline:
            self.assertIn(int(answer[1]["retry-after"]), range(4, 7))
        self.assertEqual(unknown[2], offline[2])

    def test_host_must_show_who_it_is(self):
        status, _, body = self.lab.curl("/vm/%s/launch" % self.vm, b"{}",
                                        token=False)
        self.assertEqual(status, 401)
        self.assertIn(b"host-unauthenticated", body)

    def test_mtls_host(self):
        cert, key = self.lab.ca.issue("cn-18", ["DNS:cn-18.example"],
                                      usage="clientAuth")
        done = self.lab.host(
            "launch", "--service", self.lab.service(), "--ca",
            self.lab.ca.cert, "--cert", cert, "--key", key, "--uuid", self.vm,
            "--platform", harness.PLATFORM, "--firmware", harness.FIRMWARE,
            "--chain", "signed")
        self.assertEqual(opened(done), self.passphrase)


class Secrets(harness.LabTest):
    """Issue 6.11, T18: nothing secret in any log, at any level."""

    relay_extra = "log:\n  level: debug\n"

    def test_no_secret_in_any_log(self):
        self.owner.stop()
        self.owner.start("-vv")
        state = self.lab.path("guest")
        self.lab.host("step-launch", *self.lab.guest(self.vm), "--out", state)
        bad = self.lab.host("step-validate", "--corrupt", "nonce", state,
                            ok=(1,))
        self.assertEqual(bad.returncode, 1)
        answer = self.lab.path("answer")
        self.lab.host("step-validate", state, "--out", answer)
        self.owner.stop()
        self.lab.relay.stop()
        with open(state, encoding="ascii") as text:
            saved = json.load(text)
        guest = saved["guest"]
        # The relay logs no body either, not even what anybody may see.
        with open(self.lab.path("relay.log"), encoding="ascii") as text:
            relay_log = text.read()
        self.assertIn("POST launch", relay_log)
        for body in saved["launch"]["request"], saved["launch"]["answer"]:
            for value in json.loads(body).values():
                if isinstance(value, str) and len(value) > 36:
                    self.assertNotIn(value[:36], relay_log)
        raw = [self.passphrase.encode(), bytes.fromhex(guest["tek"]),
               bytes.fromhex(guest["tik"])]
        needles = []
        for secret in raw:
            needles += [secret, secret.hex().encode(),
                        secret.hex().upper().encode(),
                        harness.base64.b64encode(secret).rstrip(b"=")[:-1]]
        texts = {"log show": self.owner.cli(
            "log", "show", "--json").stdout.encode()}
        texts["vm show"] = self.owner.cli(
            "vm", "show", "web1", "--json").stdout.encode()
        # The state folder too: what lies there is sealed (T24).
        paths = [self.owner.log, self.lab.path("relay.log")] + [
            os.path.join(self.owner.state, name)
            for name in os.listdir(self.owner.state)]
        for path in paths:
            if os.path.isfile(path):
                with open(path, "rb") as data:
                    texts[path] = data.read()
        for name, text in texts.items():
            for needle in needles:
                self.assertNotIn(needle, text, name)


if __name__ == "__main__":
    unittest.main(verbosity=2)
