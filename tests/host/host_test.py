#!/usr/bin/python3
"""compute-host against an owner written in Python: no relay, no agent.

usage: host_test.py BIN, the folder of compute-host and psp
"""
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import fake_owner  # noqa: E402

BIN = sys.argv.pop(1)
FIRMWARE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..",
                        "fixtures", "firmware", "synthetic-fw-a.bin")
VM = "57f669c2-c427-4132-bc7a-26f56b6a718c"
OTHER = "57f669c2-c427-4132-bc7a-26f56b6a718d"
PASSPHRASE = b"correct horse battery"


def sh(*args):
    return subprocess.run(args, capture_output=True, text=True, timeout=120,
                          check=False)


class HostTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory(prefix="host-test-")
        cls.path = cls.folder.name
        cls.cert, cls.key = cls.at("ca.crt"), cls.at("ca.key")
        made = sh("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                  "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
                  "-subj", "/CN=localhost", "-addext",
                  "subjectAltName=DNS:localhost", "-keyout", cls.key,
                  "-out", cls.cert)
        assert made.returncode == 0, made.stderr
        made = sh(os.path.join(BIN, "psp"), "platform", "new",
                  cls.at("platform"), "--generation", "2048")
        assert made.returncode == 0, made.stderr
        with open(FIRMWARE, "rb") as firmware:
            cls.digest = hashlib.sha256(firmware.read()).digest()
        with open(cls.at("expect"), "wb") as out:
            out.write(PASSPHRASE)

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    @classmethod
    def at(cls, name):
        return os.path.join(cls.path, name)

    def setUp(self):
        self.owner = fake_owner.Owner(3, [self.digest],
                                      {VM: PASSPHRASE, OTHER: b"another"})
        self.server = fake_owner.serve(self.owner, self.cert, self.key)
        self.service = "https://localhost:%d/sev" % \
            self.server.server_address[1]

    def tearDown(self):
        self.server.shutdown()
        self.server.server_close()

    def host(self, verb, *args, status=0, common=True):
        args = list(args)
        if common:
            args = ["--service", self.service, "--ca", self.cert,
                    "--platform", self.at("platform"), "--firmware",
                    FIRMWARE, "--timeout", "5"] + args
        done = sh(os.path.join(BIN, "compute-host"), verb, *args)
        self.assertEqual(done.returncode, status, done.stdout + done.stderr)
        return done

    def launch(self, *args, status=0):
        return self.host("launch", "--uuid", VM, *args, status=status)

    def bodies(self):
        return [json.loads(raw) for _, _, raw in self.owner.requests]

    def test_transcript_ends_with_the_secret(self):
        done = self.launch("--transcript", "--expect-secret-file",
                           self.at("expect"))
        self.assertEqual(done.stdout.splitlines()[-1], "secret opened by "
                         "the secure processor: correct horse battery")
        self.assertIn("session-id", self.bodies()[1])

    def test_thread_only_sends_the_thread_s_fields(self):
        self.launch("--thread-only")
        first, second = self.bodies()
        self.assertEqual(set(first), {"pdh", "cert-chain", "cpu-id",
                                      "cek-signed"})
        self.assertEqual(set(second), {"measurement", "api-major",
                                       "api-minor", "build-id", "policy"})
        for _, headers, _ in self.owner.requests:
            self.assertEqual(set(headers), {"Host", "Accept", "Content-Type",
                                            "Content-Length"})

    def test_headers_on_request(self):
        with open(self.at("token"), "w", encoding="ascii") as out:
            out.write("abc\n")
        self.launch("--idempotent", "--token-file", self.at("token"))
        headers = self.owner.requests[0][1]
        self.assertEqual(headers["Authorization"], "Bearer abc")
        self.assertRegex(headers["Idempotency-Key"], '^"[0-9a-f-]{36}"$')

    def test_chains(self):
        sizes = {"qemu": 6252, "signed": 6252, "sevctl": 8336,
                 "full": 8336 + 832 + 832}
        for form, size in sizes.items():
            self.owner.requests.clear()
            self.launch("--chain", form)
            chain = self.bodies()[0]["cert-chain"]
            self.assertEqual(len(fake_owner.base64.b64decode(chain)), size)

    def test_sets_change_members(self):
        self.launch("--launch-set", "policy=\"0x3\"", "--launch-set",
                    "host=", "--validate-set", "extra=[1]")
        first, second = self.bodies()
        self.assertEqual(first["policy"], "0x3")
        self.assertNotIn("host", first)
        self.assertEqual(second["extra"], [1])

    def test_retries(self):
        # A connection lost while new: curl mends a lost old one by itself.
        busy = (503, "agent-unavailable", [("Retry-After", "0")])
        self.owner.plan = ["drop", busy, (502, "tunnel-lost"), None,
                           (429, "rate-limited", [("Retry-After", "1")]),
                           (504, "agent-timeout")]
        done = self.launch("--transcript", "--idempotent")
        self.assertIn("sent again 3 times", done.stdout)
        self.assertIn("sent again 2 times", done.stdout)
        keys = [h["Idempotency-Key"] for _, h, _ in self.owner.requests]
        self.assertEqual(len(set(keys[:4])), 1)
        self.assertEqual(len(set(keys)), 2)

    def test_refusals_are_not_repeated(self):
        self.owner.plan = [(403, "refused")]
        done = self.launch("--json", status=1)
        self.assertIn("urn:attest-relay:problem:refused", done.stderr)
        self.assertEqual(json.loads(done.stdout)["status"], 403)
        self.assertEqual(len(self.owner.requests), 1)

    def test_unreachable(self):
        self.owner.plan = [(503, "agent-unavailable",
                            [("Retry-After", "30")])]
        done = self.launch(status=3)
        self.assertIn("no final answer in 5 s", done.stderr)
        self.server.shutdown()
        self.server.server_close()
        self.launch("--timeout", "1", status=3)

    def test_certificates_are_verified(self):
        done = sh(os.path.join(BIN, "compute-host"), "launch", "--uuid", VM,
                  "--service", self.service, "--platform",
                  self.at("platform"), "--firmware", FIRMWARE)
        self.assertEqual(done.returncode, 3, done.stderr)
        self.assertIn("certificate", done.stderr)
        self.assertEqual(self.owner.requests, [])

    def test_secure_processor_refuses(self):
        done = self.launch("--policy", "1", status=4)
        self.assertIn("LAUNCH_START: firmware error 11", done.stderr)
        self.owner.policy = 7
        done = self.launch("--no-es", status=4)
        self.assertIn("LAUNCH_START: firmware error 7", done.stderr)

    def test_wrong_secret_is_seen(self):
        self.owner.mix_up = True
        self.launch("--expect-secret-file", self.at("expect"), status=5)

    def test_bad_answers(self):
        for answer in ({}, {"session": "!", "owner-cert": "", "policy": 3},
                       {"session": "AAAA", "owner-cert": "AAAA"}):
            self.owner.plan = [(200, answer)]
            self.launch(status=5)

    def test_cross(self):
        done = self.launch("--cross", "--expect-secret-file",
                           self.at("expect"))
        self.assertEqual(done.stdout.count("secret opened by"), 2)
        self.assertEqual(done.stdout.count("error 11 (BAD_MEASUREMENT)"), 2)
        for body in self.bodies():
            self.assertNotIn("session-id", body)

    def test_steps(self):
        one, two, answer = (self.at(n) for n in ("one", "two", "answer"))
        self.host("step-launch", "--uuid", VM, "--out", one)
        done = self.host("step-validate", one, "--corrupt", "measurement",
                         "--json", status=1, common=False)
        self.assertIn("measurement-mismatch", json.loads(done.stdout)["type"])
        self.host("step-validate", one, "--out", answer, common=False)
        done = self.host("step-open", one, answer, "--expect-secret-file",
                         self.at("expect"), common=False)
        self.assertIn("correct horse battery", done.stdout)
        # A second guest from the same launch blob.
        self.host("step-start", "--from", one, "--out", two, common=False)
        self.host("step-open", two, answer, status=4, common=False)
        done = self.host("step-validate", two, status=1, common=False)
        self.assertIn("launch-blob-reused", done.stderr)
        done = self.host("step-validate", two, "--measurement-of", one,
                         common=False)
        with open(answer, encoding="ascii") as first:
            self.assertEqual(done.stdout, first.read())

    def test_load(self):
        with open(self.at("vms"), "w", encoding="ascii") as out:
            out.write("%s %s\n%s another\n" % (VM, PASSPHRASE.decode(),
                                               OTHER))
        args = ["--uuid-file", self.at("vms"), "--hosts", "4", "--launches",
                "5"]
        found = json.loads(self.host("launch", *args).stdout)
        self.assertEqual((found["ok"], found["lost"], found["mixed-up"]),
                         (20, 0, 0))
        self.assertEqual(found["statuses"], {"200": 40})
        self.owner.mix_up = True
        found = json.loads(self.host("launch", *args, status=5).stdout)
        self.assertEqual(found["mixed-up"], 20)

    def psp(self, *args, status=0):
        done = sh(os.path.join(BIN, "psp"), "platform", *args)
        self.assertEqual(done.returncode, status, done.stderr)
        return done.stdout

    def test_platforms(self):
        one, two = self.at("first"), self.at("second")
        self.psp("new", one, "--generation", "2048", "--api", "0.24.13",
                 "--chip", "ab" * 64)
        self.psp("new", two, "--root", one)
        shown = [json.loads(self.psp("show", d)) for d in (one, two)]
        sizes = {"pdh": 2084, "cert-chain": 6252, "cpu0-id": 64}
        for name, size in sizes.items():
            raw = [fake_owner.base64.b64decode(s[name]) for s in shown]
            self.assertEqual([len(r) for r in raw], [size, size])
            self.assertNotEqual(*raw)
        for name, same in (("ask.cert", True), ("cek.cert", False)):
            with open(os.path.join(one, name), "rb") as a, \
                    open(os.path.join(two, name), "rb") as b:
                self.assertEqual(a.read() == b.read(), same)
        self.psp("new", self.at("third"), "--generation", "1024", status=2)
        self.psp("new", self.at("third"), "--chip", "ab", status=2)
        self.psp("show", self.at("third"), status=1)

    def test_a_rotated_pdh_ends_old_sessions(self):
        self.psp("new", self.at("rotated"), "--generation", "2048")
        self.host("step-launch", "--uuid", VM, "--platform",
                  self.at("rotated"), "--out", self.at("old"))
        before = self.psp("show", self.at("rotated"))
        self.psp("rotate", self.at("rotated"))
        self.assertNotEqual(before, self.psp("show", self.at("rotated")))
        done = self.host("step-start", "--from", self.at("old"), "--out",
                         self.at("new"), status=4, common=False)
        self.assertIn("LAUNCH_START: firmware error 11", done.stderr)
        self.launch("--platform", self.at("rotated"))

    def test_usage(self):
        for args in ([], ["launch"], ["nonsense"], ["launch", "--hosts"],
                     ["launch", "--vcpus", "x"], ["step-open", "one"],
                     ["launch", "--service", "https://x", "--uuid", VM,
                      "--cross", "--hosts", "2"]):
            done = sh(os.path.join(BIN, "compute-host"), *args)
            self.assertEqual(done.returncode, 2, done.stderr)


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0]])
