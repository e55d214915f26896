"""Receipts: evidence that others can check without this project."""

import base64
import json
import os
import sqlite3
import subprocess
import unittest

import harness

VALIDATE = "/usr/bin/virt-qemu-sev-validate"


class Receipts(harness.LabTest):
    def setUp(self):
        super().setUp()
        self.owner.stop()
        self.owner.start(config=self.lab.file(
            "agent.yaml", "receipts:\n  keep-tik: yes\n"))
        self.lab.host("launch", *self.lab.guest(self.vm))
        listed = self.owner.cli("receipts", "list", "--json").stdout
        self.number = str(json.loads(listed.splitlines()[-1])["receipt"])

    def export(self, *args, ok=(0,)):
        folder = self.lab.path("bundle")
        done = self.owner.cli("receipts", "export", self.number, "--to",
                              folder, *args, ok=ok)
        return folder, done

    def openssl(self, folder):
        return subprocess.run(
            ["openssl", "pkeyutl", "-verify", "-pubin", "-inkey",
             os.path.join(folder, "agent.pub"), "-rawin", "-in",
             os.path.join(folder, "statement"), "-sigfile",
             os.path.join(folder, "statement.sig")],
            capture_output=True, text=True)

    def test_signature(self):
        """openssl accepts it, and not with one byte changed."""
        folder, _ = self.export()
        self.assertEqual(self.openssl(folder).returncode, 0)
        with open(os.path.join(folder, "statement"), "r+b") as f:
            f.seek(40)
            byte = f.read(1)
            f.seek(40)
            f.write(bytes([byte[0] ^ 1]))
        self.assertNotEqual(self.openssl(folder).returncode, 0)

    def test_says_what_is_not_attested(self):
        """T5."""
        shown = self.owner.cli("receipts", "show", self.number).stdout
        self.assertIn("CVE-2021-26311", shown)
        self.assertIn("vm: " + self.vm, shown)
        self.assertNotIn(self.passphrase, shown)

    def test_hashes_are_of_the_files(self):
        folder, _ = self.export()
        with open(os.path.join(folder, "statement"), encoding="ascii") as f:
            facts = dict(line.split(": ", 1) for line in f if ": " in line)
        for name, fact in (("pdh.cert", "pdh-sha256"),
                           ("cert_chain.cert", "cert-chain-sha256"),
                           ("godh.cert", "owner-cert-sha256"),
                           ("launch_blob.bin", "launch-blob-sha256")):
            with open(os.path.join(folder, name), "rb") as f:
                self.assertEqual(harness.hashlib.sha256(f.read()).hexdigest(),
                                 facts[fact].strip(), name)

    def test_tik_after_the_session_only(self):
        _, done = self.export("--with-tik", ok=(1,))
        self.assertIn("has not ended", done.stderr)

    @unittest.skipUnless(os.path.exists(VALIDATE), "it is not installed")
    def test_measurement(self):
        """virt-qemu-sev-validate accepts the bundle once TIK is in it."""
        self.owner.cli("vm", "remove", "web1")
        folder, _ = self.export("--with-tik")
        tek = self.lab.file("tek", b"\0" * 16)  # it asks, and does not use it
        with open(os.path.join(folder, "measurement"), encoding="ascii") as f:
            measurement = f.read()
        with open(os.path.join(folder, "statement"), encoding="ascii") as f:
            text = f.read()
        words = text.split("platform-firmware: ")[1].split("\n")[0].split()
        major, minor = words[0].split(".")
        policy = text.split("policy: ")[1].split("\n")[0]

        def judge(firmware):
            return subprocess.run(
                ["/usr/bin/python3", VALIDATE, "--measurement", measurement,
                 "--api-major", major, "--api-minor", minor, "--build-id",
                 words[2], "--policy", str(int(policy, 16)), "--firmware",
                 firmware, "--tik", os.path.join(folder, "tik.bin"), "--tek",
                 tek, "--insecure"], capture_output=True, text=True)
        done = judge(harness.FIRMWARE)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertNotEqual(judge(harness.OTHER_FIRMWARE).returncode, 0)

    def test_bundle_as_json(self):
        bundle = json.loads(self.owner.cli("receipts", "export",
                                           self.number).stdout)
        self.assertEqual(len(base64.b64decode(bundle["pdh"])), 2084)
        self.assertNotIn("tik", bundle)
        self.owner.cli("receipts", "show", "9999", ok=(1,))

    def test_cut_end_of_the_log(self):
        """Lines taken off the end, with all that SQLite knows of them."""
        self.owner.stop()
        self.owner.cli("log", "verify")
        db = sqlite3.connect(os.path.join(self.owner.state, "agent.db"))
        db.execute("DELETE FROM audit WHERE seq = "
                   "(SELECT max(seq) FROM audit)")
        db.commit()
        db.close()
        done = self.owner.cli("log", "verify", ok=(1,))
        self.assertIn("its end was cut off", done.stderr)


if __name__ == "__main__":
    unittest.main(verbosity=2)
