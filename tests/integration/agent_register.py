"""Registration from what an owner has, and what she is told when a launch
does not match (docs/operations-agent.md)."""

import json
import os
import re
import signal
import subprocess
import unittest

import harness
from launch_first import opened

DOMAIN = """<domain type='kvm'>
  <name>web9</name>
  <uuid>{vm}</uuid>
  <vcpu placement='static' current='2'>4</vcpu>
  <os>
    <type arch='x86_64' machine='q35'>hvm</type>
    <loader readonly='yes' type='pflash'>/nonexistent/OVMF.fd</loader>
    <nvram>/var/lib/libvirt/qemu/nvram/web9.fd</nvram>
    <kernel>{kernel}</kernel>
    <cmdline>console=ttyS0 quiet</cmdline>
  </os>
  <cpu mode='custom'><model fallback='forbid'>EPYC-Milan-v2</model></cpu>
  <launchSecurity type='sev' kernelHashes='yes'><policy>0x0007</policy>
  </launchSecurity>
</domain>
"""


class Register(harness.LabTest):
    PLATFORM = ("--root", os.path.join(harness.PLATFORM, "ark.cert"),
                "--root", os.path.join(harness.PLATFORM, "ask.cert"),
                "--cloud-cert", os.path.join(harness.PLATFORM, "oca.cert"))

    def setUp(self):
        super().setUp()
        self.kernel = self.lab.file("vmlinuz", os.urandom(5000))
        self.new = str(harness.uuid.uuid4())

    def test_what_is_said_of_a_secret_file(self):
        """Whether others may read it, and a newline that is part of it."""
        for text, mode in (("x", 0o600), ("x", 0o644), ("x\n", 0o600)):
            path = self.lab.file("word", text, mode)
            shown = self.owner.cli(
                "vm", "add", "word-%d-%o" % (len(text), mode), "--policy", "1",
                "--digest", "0" * 64, "--any-platform", "--secret-file",
                path).stdout
            self.assertEqual("mode 0644 lets others use" in shown,
                             mode == 0o644)
            self.assertEqual("ends in a newline" in shown, len(text) == 2)

    def test_output_that_does_not_get_out(self):
        """Said, and no answer of the store is written to a file of ours."""
        for out, words in (("/dev/full", "No space left"),
                           (None, "Bad file descriptor")):
            with open(out or "/dev/null", "wb") as stdout:
                done = subprocess.run(
                    [os.path.join(harness.BIN, "attest-agent"), "--state",
                     self.owner.state, "vm", "list", "--json"],
                    stdout=stdout, stderr=subprocess.PIPE, text=True,
                    timeout=harness.PATIENCE, check=False,
                    preexec_fn=None if out else lambda: os.close(1))
            self.assertEqual(done.returncode, 1)
            self.assertIn("attest-agent: stdout: " + words, done.stderr)

    def test_all_of_a_command_line(self):
        """What stands behind its usual beginning is seen before it counts."""
        line = "console=ttyS0 root=/dev/mapper/root ro quiet splash " \
            "init=/bin/sh"
        shown = self.owner.cli(
            "vm", "add", "web9", "--policy", "1", "--firmware",
            harness.OTHER_FIRMWARE, "--kernel", self.kernel, "--cmdline", line,
            "--no-secret", *self.PLATFORM).stdout
        self.assertIn('  initrd none  cmdline "%s"\n' % line, shown)

    def test_a_command_ends_with_us(self):
        """It is in a group of its own, which no key at a terminal ends."""
        place = self.lab.path("sleeper")
        child = harness.Process("add", [
            os.path.join(harness.BIN, "attest-agent"), "--state",
            self.owner.state, "vm", "add", "web9", "--policy", "1",
            "--digest", "1" * 64, "--any-platform", "--secret-command",
            "sh -c 'echo $$ >\"%s.new\"; mv \"%s.new\" \"%s\"; "
            "exec sleep 600'" % (
                (place,) * 3)], self.lab.path("add.log"))
        harness.eventually(lambda: os.path.exists(place))
        with open(place, encoding="ascii") as text:
            status = "/proc/%s/status" % text.read().strip()
        os.kill(child.child.pid, signal.SIGINT)
        child.wait()
        harness.eventually(lambda: self.ended(status))

    @staticmethod
    def ended(status):
        try:
            with open(status, encoding="ascii") as text:
                return "State:\tZ" in text.read()
        except FileNotFoundError:
            return True

    def serve(self):
        seen = self.owner.process.mark()
        self.lab.relay.kill()
        self.lab.start_relay({"acme": (self.owner, [self.vm, self.new])})
        self.owner.wait_ready(seen)

    def boot(self, *args, ok=(0,), vcpus=2, cmdline="console=ttyS0 quiet"):
        return self.lab.host(
            "launch", *self.lab.guest(self.new, harness.OTHER_FIRMWARE),
            "--kernel", self.kernel, "--cmdline", cmdline, "--vcpus",
            str(vcpus), "--cpu-sig", "0x00a00f11", *args, ok=ok)

    def add_domain(self):
        domain = self.lab.file("web9.xml", DOMAIN.format(
            vm=self.new, kernel=self.kernel))
        secret = harness.new_passphrase()
        path = self.lab.file("secret", secret + "\n")
        done = self.owner.cli(
            "vm", "add", "--domain", domain, "--firmware",
            harness.OTHER_FIRMWARE, "--secret-command", "cat '%s'" % path,
            *self.PLATFORM)
        os.unlink(path)
        return secret, done.stdout

    def test_domain(self):
        """Six commands: key new, vm add, run, and what they show."""
        secret, shown = self.add_domain()
        self.assertNotIn("lets others use", shown)
        for line in (r"^scheme    amd-sev-es \(policy 0x7 nodbg,noks,es\)$",
                     r"^firmware  synthetic-fw-b.bin  sha256 \w{16}\.\.\.  "
                     r"launch-secret area 3072 bytes  ok$",
                     r"^kernel    measured: vmlinuz  initrd none  cmdline "
                     r'"console=ttyS0 quiet"$',
                     r"^expects   launch digest \w{64}  for synthetic-fw-b.bin"
                     r" and kernel vmlinuz, 2 vCPUs$",
                     r"^warning   <nvram> present: variables are not measured",
                     r"^Registered web9 as " + self.new +
                     r"\.  Give your cloud:  uuid=" + self.new + "$"):
            self.assertRegex(shown, re.compile(line, re.M))
        self.assertNotIn(secret, shown)
        self.assertIn("\nroots      1 besides AMD's\n",
                      self.owner.cli("vm", "show", "web9").stdout)
        self.serve()
        self.assertEqual(opened(self.boot()), secret)

    def test_explain(self):
        """The owner learns what would have matched, and hosts nothing."""
        self.add_domain()
        self.serve()
        bodies = set()
        for args, words in (
                ({"vcpus": 4}, "another number of vCPUs, with "
                 "synthetic-fw-b.bin and 4 vCPUs"),
                ({"cmdline": "console=ttyS0 quiet\n"},
                 "a newline behind the command line"),
                ({"cmdline": "single"}, "none of the likely mistakes")):
            mark = self.owner.process.mark()
            # Without hints, by which it would be refused before it starts.
            done = self.boot("--thread-only", ok=(1,), **args)
            bodies.add(re.sub(r"[0-9a-f-]{24,36}|\d+", "", done.stderr))
            found = self.owner.process.wait_line(
                r"explain: validate (\S+): ", mark)
            told = self.owner.cli("explain", found.group(1)).stdout
            self.assertIn(words, told)
            self.assertIn("mismatch: validate " + found.group(1), told)
        self.assertEqual(len(bodies), 1, bodies)
        told = self.owner.cli("explain", "web9").stdout
        self.assertEqual(told.count("  -> "), 3)
        for line in self.owner.cli("explain", "--json").stdout.splitlines():
            self.assertIn(json.loads(line)["event"], ("mismatch", "explain"))
        self.assertIn("nothing was refused", self.owner.cli(
            "explain", "web1", ok=(1,)).stderr)
        # A host that comes again and again drives nothing else out.
        for _ in range(3):
            self.boot(vcpus=4, ok=(1,))
        told = self.owner.cli("explain", "web9").stdout
        self.assertEqual(told.count("     refused: launch "), 1, told)
        self.assertIn("and 2 times before, for the same reason\n", told)
        self.assertEqual(told.count("  -> "), 3)

    def test_yaml_with_two_kernels(self):
        other = self.lab.file("vmlinuz-2", os.urandom(6000))
        guid = "00000000-1111-2222-3333-444444444444"
        secret = harness.new_passphrase()
        form = self.lab.file("web9.yaml", """
# Two kernels and two numbers of vCPUs: four digests.
vm: %s
name: web9
policy: [nodbg, noks, es]
firmware: [{file: %s}]
kernels:
  - {kernel: %s, cmdline: "console=ttyS0 quiet"}
  - {kernel: %s}
cpu-count: [1, 2]
cpu-model: EPYC-Milan
secrets:
  - {type: luks-passphrase, passphrase: "%s"}
  - {guid: %s, command: "echo second"}
""" % (self.new, harness.OTHER_FIRMWARE, self.kernel, other, secret, guid))
        made = json.loads(self.owner.cli(
            "vm", "add", "--yaml", form, *self.PLATFORM, "--json").stdout)
        self.assertEqual(len(made["digests"]), 4)
        self.assertEqual(made["secrets"], 2)
        self.serve()
        self.assertEqual(opened(self.boot()), secret)
        self.kernel = other
        done = self.boot("--secret-guid", guid, vcpus=1, cmdline="")
        self.assertEqual(opened(done), "second")

    def test_preflight(self):
        """Nothing is asked or kept if the launch could not work."""
        domain = self.lab.file("web9.xml", DOMAIN.format(
            vm=self.new, kernel=self.kernel).replace(
                " kernelHashes='yes'", ""))
        for args, words in (
                (("--domain", domain, "--firmware", harness.OTHER_FIRMWARE),
                 "kernelHashes='yes'"),
                (("web9", "--policy", "0", "--firmware", harness.FIRMWARE),
                 "vm add: policy 0x0 without nodbg (bit 0): the host could "
                 "read the guest's memory (55766 3) (--allow-debug)\n"),
                (("web9", "--policy", "5", "--firmware", harness.FIRMWARE),
                 "vm add: synthetic-fw-a.bin: SEV-ES measures the vCPUs: give "
                 "their number, --cpus N\n"),
                (("web9", "--policy", "5", "--cpus", "2", "--firmware",
                  harness.FIRMWARE), "measures the vCPUs' model: give --cpu-"),
                (("web9", "--policy", "5", "--scheme", "amd-sev",
                  "--firmware", harness.FIRMWARE), "disagree"),
                (("web9", "--policy", "1", "--firmware", os.path.join(
                    harness.FIXTURES, "firmware",
                    "ovmf_OvmfX64_suffix.bin")), "AmdSev build")):
            with self.subTest(words):
                done = self.owner.cli(
                    "vm", "add", *args, "--luks-prompt", *self.PLATFORM,
                    ok=(2,), start_new_session=True)
                self.assertIn(words, done.stderr)
                self.assertNotIn("terminal", done.stderr)
        done = self.owner.cli("vm", "add", "--domain", "/none.xml", "--no-secret",
                              *self.PLATFORM, ok=(1,))
        self.assertEqual(done.stderr, "attest-agent: vm add: /none.xml: "
                         "No such file or directory\n")
        done = self.owner.cli("vm", "add", "web9", "--policy", "1",
                              "--firmware", harness.FIRMWARE, *self.PLATFORM,
                              ok=(2,))
        self.assertIn("--luks-prompt, or --no-secret", done.stderr)
        self.assertEqual(len(self.owner.cli("vm", "list").stdout.splitlines()),
                         1)

    def test_a_file_that_is_no_firmware(self):
        """Nothing refuses it where neither kernel nor secret wants a table."""
        done = self.owner.cli("vm", "add", "web9", "--policy", "1",
                              "--firmware", self.lab.ca.cert, "--no-secret",
                              *self.PLATFORM)
        self.assertIn("is it a firmware image?", done.stdout)
        self.owner.cli("vm", "remove", "web9")


if __name__ == "__main__":
    unittest.main(verbosity=2)
