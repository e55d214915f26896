"""attest-launch start: the real libvirtd, QEMU and OVMF, the real relay, and
the real agent behind a NAT."""

import json
import os
import signal
import struct
import subprocess
import time
import unittest
import uuid

import harness
import libvirt_lab
from libvirt_case import CEK, LAUNCH, LibvirtTest


class Runs(LibvirtTest):
    def test_from_a_file(self):
        self.addCleanup(self.destroy)
        done = self.launch(self.file(self.host.xml(self.name, self.vm)))
        self.assertEqual(self.state(), "running")
        self.assert_opened()
        steps = [json.loads(line) for line in done.stdout.splitlines()]
        self.assertEqual([s["step"] for s in steps], [
            "probed", "session", "started", "measured", "validated",
            "running"])
        self.assertEqual(steps[-1]["domain-uuid"], self.vm)
        self.assertTrue(self.host.event("guest")["paused"])
        # It stays defined, without the session of this launch.
        self.host.virsh("destroy", self.name)
        xml = self.host.virsh("dumpxml", "--inactive", self.name).stdout
        self.assertNotIn("<session>", xml)
        self.assertNotIn("urn:attest-relay", xml)

    def test_a_defined_domain_needs_no_flags(self):
        """Service and UUID from <metadata>, which others use, too."""
        self.addCleanup(self.destroy)
        other = "<app:x xmlns:app='urn:other'/>"
        metadata = self.host.service(self.lab.service(), self.vm)
        xml = self.host.xml(
            self.name, str(uuid.uuid4()),
            metadata=metadata.replace("<metadata>", "<metadata>" + other))
        self.host.virsh("define", self.file(xml))
        # Twice: the definition is not used up.
        for _ in range(2):
            self.launch("--domain", self.name, reach=self.lab.reach()[2:])
            self.assert_opened()
            live = self.host.virsh("dumpxml", self.name).stdout
            self.assertIn("urn:other", live)
            self.assertIn("urn:attest-relay:service:1", live)
            self.host.virsh("destroy", self.name)
        xml = self.host.virsh("dumpxml", "--inactive", self.name).stdout
        self.assertNotIn("<session>", xml)
        self.assertIn(self.lab.service(), xml)

    def test_transient(self):
        """No UUID and no launchSecurity in the file: both come by us."""
        done = self.launch("--transient", "--uuid", self.vm, self.file(
            self.host.xml(self.name, security=False)))
        self.addCleanup(self.destroy)
        self.assertIn('"running"', done.stdout)
        self.assert_opened()
        live = self.host.virsh("dumpxml", self.name).stdout
        self.assertIn("<policy>0x0001</policy>", live)
        self.host.virsh("destroy", self.name)
        self.assertNotIn(self.name, self.host.virsh("list", "--all").stdout)

    def test_words_that_nobody_takes(self):
        """The guest runs all the same, and that is what the status says."""
        self.addCleanup(self.destroy)
        with open("/dev/full", "wb") as full:
            done = subprocess.run(self.command("--json", self.file(
                self.host.xml(self.name, self.vm))), stdout=full,
                stderr=subprocess.PIPE, check=False)
        self.assertEqual(done.returncode, 0)
        self.assertIn(b"stdout does not take", done.stderr)
        self.assertEqual(self.state(), "running")

    def test_certificate_of_the_host(self):
        self.addCleanup(self.destroy)
        cert, key = self.lab.ca.issue(self.name, ["DNS:cn-18"],
                                      usage="clientAuth")
        self.launch(self.file(self.host.xml(self.name, self.vm)), reach=[
            *self.lab.reach()[:4], "--cert", cert, "--key", key])
        self.assert_opened()

    def test_twenty_in_a_row(self):
        path = self.file(self.host.xml(self.name, self.vm))
        for _ in range(20):
            self.launch("--transient", path)
            self.assert_opened()
            self.host.virsh("destroy", self.name)
            self.host.forget()

    def test_selftest(self):
        done = harness.run([LAUNCH, "selftest", "--connect", self.host.uri,
                            "--json"], ok=(0, 5))
        found = {line.get("check"): line for line in map(
            json.loads, done.stdout.splitlines())}
        self.assertEqual(found["libvirt"]["result"], "ok")

    def test_autodestroy_ends_with_the_launcher(self):
        path = self.file(self.host.xml(self.name, self.vm))
        process = self.background("--transient", "--autodestroy", path)
        process.wait_line(r": running$")
        self.assert_opened()
        self.host.forget()
        process.kill()
        self.wait_no_guest()
        # And the launcher with its guest.
        process = self.background("--transient", "--autodestroy", path)
        process.wait_line(r": running$")
        self.host.virsh("destroy", self.name)
        self.assertEqual(process.wait(), 0)


class DirectBoot(LibvirtTest):
    def test_kernel_hashes(self):
        self.addCleanup(self.destroy)
        kernel = os.path.join(self.host.root, "kernel")
        initrd = os.path.join(self.host.root, "initrd")
        image = bytearray(os.urandom(30000))
        # The least that QEMU's loader takes for a kernel of protocol 2.12.
        struct.pack_into("<B", image, 0x1f1, 1)
        struct.pack_into("<4sH", image, 0x202, b"HdrS", 0x20c)
        struct.pack_into("<I", image, 0x22c, 0x7fffffff)
        for path in kernel, initrd:
            with open(path, "wb") as out:
                out.write(image)
        # A policy that decimal digits would get wrong: libvirt takes them as
        # hexadecimal.
        vm = self.owner.add("web2", self.passphrase, *CEK, "--kernel", kernel,
                            "--initrd", initrd, "--cmdline", "quiet",
                            policy="0xb", firmware=self.host.firmware)
        self.lab.relay.kill()
        since = self.owner.process.mark()
        self.lab.start_relay({"acme": (self.owner, [self.vm, vm])})
        self.owner.wait_ready(since)
        boot = ("<kernel>%s</kernel><initrd>%s</initrd>"
                "<cmdline>%s</cmdline>")
        self.launch(self.file(self.host.xml(
            self.name, vm, "b", extra=boot % (kernel, initrd, "quiet"))))
        self.assertTrue(self.host.event("guest")["kernel-hashes"])
        self.assert_opened()
        self.destroy()
        self.host.forget()
        self.fails(1, "measurement-mismatch", xml=self.host.xml(
            self.name, vm, "b",
            extra=boot % (kernel, initrd, "init=/bin/sh")))


class Refused(LibvirtTest):
    def test_wrong_measurement(self):
        other = self.host.at("other.fd")
        with open(self.host.firmware, "rb") as image:
            data = bytearray(image.read())
        data[5000] ^= 1
        with open(other, "wb") as image:
            image.write(data)
        end = self.fails(1, "measurement-mismatch", xml=self.host.xml(
            self.name, self.vm, firmware=other))
        self.assertEqual(end["status"], 403)
        self.assertIsNone(self.host.event("injected"))
        self.fails(1, "measurement-mismatch", "--transient",
                   xml=self.host.xml(self.name, self.vm, firmware=other))

    def test_packet_changed_on_its_way(self):
        self.host.fault("sev-inject-launch-secret=@flip")
        self.fails(1, "failed to inject secret")

    def test_policy_of_the_definition(self):
        self.fails(1, "problem:refused", xml=self.host.xml(
            self.name, self.vm, policy="0x3"))
        self.assertIsNone(self.host.event("guest"))

    def test_owner_away(self):
        self.owner.stop()
        try:
            self.fails(3, "in 1 s", "--timeout", "1")
            self.assertIsNone(self.host.event("guest"))
        finally:
            self.owner.start()

    def test_firmware_without_a_place(self):
        """QEMU's words for Debian's own image."""
        self.host.fault("sev-inject-launch-secret=SEV: no secret area found "
                        "in OVMF, gpa must be specified.")
        self.fails(4, "no secret area")

    def test_qemu_that_fails(self):
        for status, says, fault in (
                (4, "libvirt: start", "start=@die"),
                (4, "libvirt: measurement", "query-sev-launch-measure=@die"),
                (1, "measurement-mismatch", "query-sev-launch-measure=@flip"),
                (4, "libvirt: secret", "sev-inject-launch-secret=@die"),
                (4, "libvirt: resume", "cont=@die")):
            with self.subTest(fault=fault):
                self.host.fault(fault)
                self.host.forget()
                self.fails(status, says)

    def test_definitions_that_cannot_be(self):
        good = self.host.xml(self.name, self.vm)
        for status, says, xml in (
                (4, "line 1", "<domain"),
                (4, "document type", "<!DOCTYPE domain [<!ENTITY e SYSTEM "
                 "'/etc/hostname'>]><domain><name>&e;</name></domain>"),
                (4, "no <domain>", "<network/>"),
                (4, "sev-snp", good.replace("type='sev'", "type='sev-snp'")),
                (4, "twice", good.replace("<vcpu>", "<name>x</name><vcpu>")),
                (2, "--uuid", self.host.xml(self.name)),
                (4, "libvirt: define", good.replace("q35", "no-such"))):
            with self.subTest(says=says):
                self.fails(status, says, xml=xml)

    def test_a_guest_that_is_there_is_left_alone(self):
        self.addCleanup(self.destroy)
        path = self.file(self.host.xml(self.name, self.vm))
        self.launch(path)
        for flags in ([path], ["--transient", path], ["--domain", self.name]):
            done = self.launch(*flags, ok=(4,))
            self.assertIn("active already", done.stderr)
        self.assertEqual(self.state(), "running")

    def test_usage(self):
        path = self.file(self.host.xml(self.name, self.vm))
        for flags in ([], [path, "--domain", "x"], [path, path],
                      ["--transient", "--domain", "x"],
                      ["--transient=yes", path], ["/nonexistent"]):
            with self.subTest(flags=flags):
                self.launch(*flags, ok=(2,))
        self.launch(path, ok=(2,), reach=self.lab.reach()[2:])
        self.launch("--domain", "nobody", ok=(4,))
        done = self.launch(path, "--connect", "qemu+unix:///session?socket=/no",
                           ok=(4,))
        self.assertIn("libvirt: connect", done.stderr)


class NoSev(LibvirtTest):
    """A host whose QEMU says that it cannot; libvirt asks it once."""

    shared = False

    def test_no_sev(self):
        self.host.fault("query-sev-capabilities=SEV is not enabled in KVM")
        self.fails(5, "SEV")
        self.assertIsNone(self.host.event("guest"))


class RefusedChain(LibvirtTest):
    shared = False

    def test_refused_chain(self):
        self.host.fault("query-sev-capabilities=@flip")
        self.fails(1, "problem:refused")
        self.assertIsNone(self.host.event("guest"))


class Ends(LibvirtTest):
    """Whatever ends, and whenever: no guest is left."""

    def start(self):
        return self.background("--transient", self.file(
            self.host.xml(self.name, self.vm)))

    def hold(self):
        """A launch that waits for its measurement."""
        self.host.fault("query-sev-launch-measure=@wait")
        process = self.start()
        process.wait_line(r"started paused")
        return process

    def test_killed_at_each_step(self):
        # However late we are to kill it, it does not come to the end.
        self.host.fault("sev-inject-launch-secret=@wait")
        # The guard has the launcher's stderr, so that kill() returns when
        # both are gone.
        for line in (r"host: SEV", r"session of the owner", r"started paused",
                     r"measured"):
            with self.subTest(line=line):
                process = self.start()
                process.wait_line(line)
                process.kill()
                self.assert_no_guest()
                self.host.forget()

    def test_killed_while_qemu_is_silent(self):
        process = self.hold()
        process.kill()
        self.assertIn("destroyed", process.output())
        self.assert_no_guest()

    def test_signals(self):
        for signo in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            with self.subTest(signal=signo):
                # Whoever runs us may have them ignored (nohup), and that
                # is inherited.
                before = signal.signal(signo, signal.SIG_DFL)
                process = self.hold()
                signal.signal(signo, before)
                process.child.send_signal(signo)
                self.assertEqual(process.wait(), -signo)
                self.assert_no_guest()
                self.host.forget()

    def test_owner_leaves_and_the_launcher_gives_up(self):
        self.host.fault("query-sev-launch-measure=@wait")
        process = self.background("--transient", "--timeout", "4", self.file(
            self.host.xml(self.name, self.vm)))
        process.wait_line(r"started paused")
        self.owner.stop()
        try:
            self.host.fault("")
            self.assertEqual(process.wait(), 3)
            self.assert_no_guest()
        finally:
            self.owner.start()

    def test_record_that_cannot_be_written(self):
        command = self.command("--transient", self.file(
            self.host.xml(self.name, self.vm)))
        on = len(self.lab.on("compute"))
        # No byte in a file of ours: what a full disk says, without one.
        done = harness.run([
            *command[:on], "sh", "-c", 'ulimit -f 0; trap "" XFSZ; exec "$@"',
            "sh", *command[on:]], ok=(2,))
        self.assertIn("record of the launch: File too large", done.stderr)
        self.assertIsNone(self.host.event("guest"))
        self.assertEqual(os.listdir(self.launches()), [])

    def test_killed_without_standard_files(self):
        """With 0 to 2 closed no record becomes what the words go to, and no
        guard takes /dev/null for it."""
        self.host.fault("query-sev-launch-measure=@wait")
        command = self.command("--json", "--transient", self.file(
            self.host.xml(self.name, self.vm)))
        on = len(self.lab.on("compute"))
        process = harness.Process("launch", [
            *command[:on], "sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh",
            *command[on:]], self.lab.path("launch.log"))
        self.addCleanup(process.kill)
        deadline = time.monotonic() + harness.PATIENCE
        while self.host.event("guest") is None:
            self.assertLess(time.monotonic(), deadline)
        process.child.kill()
        self.wait_no_guest()
        # The guard took its record away, too.
        while os.listdir(self.launches()):
            self.assertLess(time.monotonic(), deadline)

    def test_definition_that_another_start_uses(self):
        """One of two starts of a new file fails, and the other's guest keeps
        its definition."""
        self.addCleanup(self.destroy)
        path = self.file(self.host.xml(self.name, self.vm))
        process = harness.Process("launch", self.command(
            "--timeout", "4", path, reach=[
                "--service", "https://127.0.0.1:1/", *self.lab.reach()[2:]]),
            self.lab.path("launch.log"))
        self.addCleanup(process.kill)
        process.wait_line(r"again in")
        process.child.send_signal(signal.SIGSTOP)
        self.launch(path)
        process.child.send_signal(signal.SIGCONT)
        self.assertEqual(process.wait(), 3)
        self.assertEqual(self.state(), "running")
        self.assertIn("yes", self.host.virsh("dominfo", self.name).stdout.split(
            "Persistent:")[1].split("\n")[0])

    def test_killed_guard(self):
        """Then the launcher sees to it itself."""
        self.host.fault("query-sev-launch-measure=@wait")
        process = self.background("--transient", "--timeout", "4", self.file(
            self.host.xml(self.name, self.vm)))
        process.wait_line(r"started paused")
        os.kill(libvirt_lab.find("attest-guard", self.name), signal.SIGKILL)
        self.owner.stop()
        try:
            self.host.fault("")
            self.assertEqual(process.wait(), 3)
            self.assert_no_guest()
        finally:
            self.owner.start()

    def test_daemon_killed_and_restarted(self):
        """The guest outlives the daemon; the launcher sees to its end."""
        process = self.hold()
        guest = self.host.event("guest")
        self.host.kill()
        os.kill(guest["qemu"], 0)
        self.host.fault("")
        self.host.start()
        self.assertEqual(process.wait(), 4)
        self.assertIn("destroyed", process.output())
        self.assert_no_guest()

    def test_daemon_and_launcher_killed(self):
        process = self.hold()
        self.host.kill()
        process.child.kill()
        self.host.fault("")
        self.host.start()
        process.kill()
        self.assert_no_guest()


class Approval(LibvirtTest):
    """The owner is asked when the guest is measured, and paused."""

    add_args = ("--approve", "always", "--approve-at", "release")
    shared = False

    def question(self, since):
        return self.owner.process.wait_line(r"#(\d+) asked: ", since).group(1)

    def start(self, *flags):
        since = self.owner.process.mark()
        process = self.background("--transient", *flags, self.file(
            self.host.xml(self.name, self.vm)))
        return process, self.question(since)

    def test_approved(self):
        self.addCleanup(self.destroy)
        process, asked = self.start()
        self.assertEqual(self.state(), "paused")
        self.owner.cli("approve", asked)
        self.assertEqual(process.wait(), 0)
        self.assert_opened()

    def test_denied(self):
        process, asked = self.start()
        self.owner.cli("deny", asked)
        self.assertEqual(process.wait(), 1)
        self.assert_no_guest()

    def test_killed_while_the_owner_thinks(self):
        process, _ = self.start()
        process.kill()
        self.assert_no_guest()

    def test_not_decided(self):
        """The agent gives up first, and says so."""
        self.owner.stop()
        path = self.lab.file("agent.yaml", "approval:\n  wait: 2s\n")
        self.owner.start(config=path)
        self.addCleanup(self.owner.start)
        self.addCleanup(self.owner.stop)
        process, _ = self.start("--timeout", "8")
        self.assertEqual(process.wait(), 75)
        self.assertIn("the owner has not decided", process.output())
        self.assert_no_guest()


if __name__ == "__main__":
    unittest.main(verbosity=2)
