#!/usr/bin/python3
"""The secure processor's launches, judged by Debian's virt-qemu-sev-validate.

Measurements of generated launches must be accepted there, changed ones
refused, and the secrets it makes must open here.
usage: interop_test.py BIN, the folder of compute-host and psp
"""
import base64
import itertools
import json
import os
import subprocess
import sys
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "host"))
import fake_owner  # noqa: E402

BIN = sys.argv.pop(1)
TOOL = "/usr/bin/virt-qemu-sev-validate"
FIRMWARE = os.path.join(HERE, "..", "fixtures", "firmware")
VM = "57f669c2-c427-4132-bc7a-26f56b6a718c"
API = (1, 55, 21)

FIRMWARES = ["synthetic-fw-a.bin", "synthetic-fw-b.bin",
             "ovmf_AmdSev_suffix.bin"]
KERNELS = [{}, {"kernel": b"k"}, {"kernel": b"kk", "initrd": b"i"},
           {"kernel": b"kkk", "initrd": b"ii", "cmdline": " a=b  ro "}]
CPUS = [(23, 1, 2, 0x00800f12), (25, 1, 1, 0x00a00f11),
        (26, 0, 0, 0x00b00f00)]
POLICIES = [1, 3, 5, 7, 0x37010003]


def sh(*args):
    return subprocess.run(args, capture_output=True, text=True, timeout=120,
                          check=False)


class InteropTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        if not os.path.exists(TOOL):
            raise unittest.SkipTest(TOOL + " is not installed")
        cls.folder = tempfile.TemporaryDirectory(prefix="psp-interop-")
        for args in (["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                      "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
                      "-subj", "/CN=localhost", "-addext",
                      "subjectAltName=DNS:localhost", "-keyout",
                      cls.at("ca.key"), "-out", cls.at("ca.crt")],
                     [os.path.join(BIN, "psp"), "platform", "new",
                      cls.at("platform"), "--generation", "2048", "--api",
                      "%d.%d.%d" % API]):
            made = sh(*args)
            assert made.returncode == 0, made.stderr
        cls.owner = fake_owner.Owner(1, [], {VM: b""})
        cls.server = fake_owner.serve(cls.owner, cls.at("ca.crt"),
                                      cls.at("ca.key"))

    @classmethod
    def tearDownClass(cls):
        cls.server.shutdown()
        cls.server.server_close()
        cls.folder.cleanup()

    @classmethod
    def at(cls, name):
        return os.path.join(cls.folder.name, name)

    def write(self, name, data):
        with open(self.at(name), "wb") as out:
            out.write(data)
        return self.at(name)

    def start(self, case, name="state"):
        """Measure a guest; its state, and the flags for the tool."""
        firmware, files, cpu, policy, cpus = case
        self.owner.policy = policy
        path = os.path.join(FIRMWARE, firmware)
        ours = ["--firmware", path]
        for key, value in files.items():
            ours += ["--" + key, value if key == "cmdline" else
                     self.write(key, value)]
        done = sh(os.path.join(BIN, "compute-host"), "step-launch", *ours,
                  "--service", "https://localhost:%d" %
                  self.server.server_address[1], "--ca", self.at("ca.crt"),
                  "--platform", self.at("platform"), "--uuid", VM,
                  "--cpu-sig", hex(cpu[3]), "--vcpus", str(cpus),
                  "--out", self.at(name))
        self.assertEqual(done.returncode, 0, done.stderr)
        with open(self.at(name), encoding="ascii") as text:
            guest = json.load(text)["guest"]
        theirs = ours[:]
        if "cmdline" in files:      # its value may look like an option
            theirs[theirs.index("--cmdline"):] = [
                "--cmdline=" + files["cmdline"]]
        theirs += ["--tik", self.write("tik", bytes.fromhex(guest["tik"])),
                   "--tek", self.write("tek", bytes.fromhex(guest["tek"])),
                   "--api-major", str(API[0]), "--api-minor", str(API[1]),
                   "--build-id", str(API[2]), "--policy", str(policy)]
        if policy & 4:
            theirs += ["--num-cpus", str(cpus), "--cpu-family", str(cpu[0]),
                       "--cpu-model", str(cpu[1]), "--cpu-stepping",
                       str(cpu[2])]
        return guest, theirs

    def judge(self, guest, flags, flip=None):
        blob = bytearray.fromhex(guest["measure"] + guest["mnonce"])
        if flip is not None:
            blob[flip] ^= 1
        return sh("/usr/bin/python3", TOOL, "--measurement",
                  base64.b64encode(blob).decode(), *flags)

    def cases(self):
        """Every firmware, kernel set and policy; CPUs change from one to
        the next."""
        cpus = itertools.cycle(itertools.product(CPUS, (1, 2, 7, 64)))
        for firmware, files, policy in itertools.product(FIRMWARES, KERNELS,
                                                         POLICIES):
            cpu, count = next(cpus)
            yield firmware, files, cpu, policy, count

    def test_measurements_are_accepted(self):
        for case in self.cases():
            with self.subTest(case=case):
                guest, flags = self.start(case)
                done = self.judge(guest, flags)
                self.assertEqual(done.returncode, 0, done.stderr)

    def test_changed_measurements_are_refused(self):
        guest, flags = self.start(next(self.cases()))
        for flip in (0, 31, 32, 47):
            self.assertEqual(self.judge(guest, flags, flip).returncode, 1)
        flags[flags.index("--build-id") + 1] = "22"
        self.assertEqual(self.judge(guest, flags).returncode, 1)

    def test_its_secrets_open_here(self):
        case = ("ovmf_AmdSev_suffix.bin", KERNELS[3], CPUS[1], 7, 2)
        for size in (1, 15, 16, 24, 700):
            secret = bytes(range(1, 256)) * 3
            secret = secret[:size]
            guest, flags = self.start(case)
            done = self.judge(guest, flags + [
                "--inject-secret", "luks-key:" + self.write("key", secret),
                "--secret-header", self.at("header"), "--secret-payload",
                self.at("payload")])
            self.assertEqual(done.returncode, 0, done.stderr)
            answer = {}
            for name, file in (("secret-header", "header"),
                               ("secret-table", "payload")):
                with open(self.at(file), encoding="ascii") as text:
                    answer[name] = text.read()
            self.write("answer", json.dumps(answer).encode())
            opened = sh(os.path.join(BIN, "compute-host"), "step-open",
                        self.at("state"), self.at("answer"), "--json")
            self.assertEqual(opened.returncode, 0, opened.stderr)
            self.assertEqual(base64.b64decode(
                json.loads(opened.stdout)["secret-base64"]), secret)
            # And in no other guest of the same VM.
            self.start(case, "other")
            opened = sh(os.path.join(BIN, "compute-host"), "step-open",
                        self.at("other"), self.at("answer"))
            self.assertEqual(opened.returncode, 4)
            self.assertIn("firmware error 11", opened.stderr)


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0]])
