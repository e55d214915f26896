"""attest-launch qemu: real relay, real agent, QEMU on the software PSP."""

import json
import os
import select
import unittest
import uuid

import harness

LAUNCH = os.path.join(harness.BIN, "attest-launch")
MOCK = os.path.join(harness.TESTBIN, "mock-qemu")
CEK = ("--cek", os.path.join(harness.PLATFORM, "cek.cert"))


class QemuTest(harness.LabTest):
    # QEMU hands on the CEK without AMD's signature.
    add_args = CEK

    def setUp(self):
        super().setUp()
        os.chmod(self.lab.token_file, 0o600)
        self.record = self.lab.path("record")

    def command(self, *qemu, vm=None, fault="", flags=(),
                firmware=harness.FIRMWARE, platform=harness.PLATFORM):
        return ["env", "MOCK_QEMU_PLATFORM=" + platform,
                "MOCK_QEMU_RECORD=" + self.record,
                "MOCK_QEMU_FAULT=" + fault, LAUNCH, "qemu",
                *self.lab.reach(), "--uuid", vm or self.vm, *flags, "--",
                MOCK, "-machine", "q35", "-bios", firmware, *qemu]

    def launch(self, *qemu, ok=(0,), **how):
        flags = ["--json", *how.pop("flags", ())]
        return harness.run(self.command(*qemu, flags=flags, **how), ok=ok)

    def start(self, *qemu, **how):
        process = harness.Process(
            "launch", self.command(*qemu, **how), self.lab.path("launch.log"))
        self.addCleanup(process.kill)
        return process

    def events(self):
        if not os.path.exists(self.record):
            return {}
        with open(self.record, encoding="utf-8") as lines:
            return {line["event"]: line for line in map(json.loads, lines)}

    def assert_no_guest(self):
        """Nothing ran, nothing was given, and the process is gone."""
        seen = self.events()
        self.assertNotIn("running", seen)
        if "guest" in seen:
            with self.assertRaises(ProcessLookupError):
                os.kill(seen["guest"]["pid"], 0)

    def fails(self, status, says, *qemu, **how):
        done = self.launch(*qemu, ok=(status,), **how)
        end = json.loads(done.stdout.splitlines()[-1])
        self.assertEqual((end["step"], end["exit"]), ("end", status))
        self.assertIn(says, end["message"])
        self.assertIn(says, done.stderr)
        self.assertNotIn(self.passphrase, done.stdout + done.stderr)
        self.assert_no_guest()
        return end


def gone(pid):
    """Wait until a process has ended, by the kernel's word."""
    try:
        fd = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        poll = select.poll()
        poll.register(fd, select.POLLIN)
        return bool(poll.poll(harness.PATIENCE * 1000))
    finally:
        os.close(fd)


class Runs(QemuTest):
    def test_secret_reaches_the_guest(self):
        process = self.start()
        process.wait_line(r"running, process \d+")
        seen = self.events()
        self.assertTrue(seen["guest"]["paused"])
        self.assertEqual(seen["guest"]["cbitpos"], 51)
        self.assertEqual(seen["guest"]["policy"], 1)
        self.assertEqual(seen["injected"]["secret"], self.passphrase)
        self.assertIn("running", seen)
        # Its end is the guest's end.
        self.assertEqual(process.stop(), 0)
        self.assertTrue(gone(seen["guest"]["pid"]))

    def test_json_names_each_step(self):
        process = self.start(flags=["--json"])
        process.wait_line(r'"step": ?"running"')
        process.stop()
        steps = [json.loads(line)["step"] for line in process.lines
                 if line.startswith("{")]
        self.assertEqual(steps, ["probed", "session", "started", "measured",
                                 "validated", "running", "ended"])

    def test_killed_launcher_leaves_no_running_guest(self):
        process = self.start()
        process.wait_line(r"running, process \d+")
        pid = self.events()["guest"]["pid"]
        process.kill()
        self.assertTrue(gone(pid))

    def test_killed_launcher_leaves_no_paused_guest(self):
        process = self.start(fault="query-sev=@hang")
        found = process.wait_line(r"started paused, process (\d+)")
        process.kill()
        self.assertTrue(gone(int(found.group(1))))
        self.assertNotIn("running", self.events())

    def processes(self):
        """All that the launcher started, and itself: by what only they have
        in their environment."""
        found = set()
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open("/proc/%s/environ" % pid, "rb") as environ:
                    if self.record.encode() in environ.read():
                        found.add(int(pid))
            except OSError:
                continue
        return found

    def test_killed_at_each_step(self):
        """The probe and the guest, whatever QEMU is doing."""
        for fault, line in (
                ("qmp_capabilities", None), ("query-sev-capabilities", None),
                ("query-sev", "started paused"),
                ("query-sev-launch-measure", "started paused"),
                ("sev-inject-launch-secret", "measured"),
                ("cont", "secret injected"),
                ("query-status", "secret injected")):
            with self.subTest(fault=fault):
                process = self.start(fault=fault + "=@hang")
                if line is not None:
                    process.wait_line(line)
                harness.eventually(lambda: len(self.processes()) == 2)
                process.kill()
                harness.eventually(lambda: not self.processes())

    def test_ended_launcher_leaves_no_paused_guest(self):
        process = self.start(fault="query-sev=@hang")
        found = process.wait_line(r"started paused, process (\d+)")
        process.stop()
        self.assertTrue(gone(int(found.group(1))))

    def test_twenty_in_a_row(self):
        for _ in range(20):
            process = self.start()
            process.wait_line(r"running, process \d+")
            self.assertEqual(self.events()["injected"]["secret"],
                             self.passphrase)
            self.assertEqual(process.stop(), 0)
            os.unlink(self.record)


class DirectBoot(QemuTest):
    def test_kernel_hashes_and_es(self):
        kernel = self.lab.file("kernel", os.urandom(40000))
        initrd = self.lab.file("initrd", os.urandom(30000))
        line = ["-kernel", kernel, "-initrd", initrd, "-append", "quiet"]
        vm = self.owner.add(
            "web2", self.passphrase, *CEK, "--kernel", kernel, "--initrd",
            initrd, "--cmdline", "quiet", "--cpus", "2", "--cpu-sig",
            "0x00a00f11", policy="0x5")
        self.lab.relay.kill()
        since = self.owner.process.mark()
        self.lab.start_relay({"acme": (self.owner, [self.vm, vm])})
        self.owner.wait_ready(since)
        process = self.start(*line, "-smp", "2", vm=vm)
        process.wait_line(r"running, process \d+")
        seen = self.events()
        self.assertTrue(seen["guest"]["kernel-hashes"])
        self.assertEqual(seen["guest"]["policy"], 5)
        self.assertEqual(seen["injected"]["secret"], self.passphrase)
        self.assertEqual(process.stop(), 0)
        os.unlink(self.record)
        # Another kernel, another count of CPUs.
        self.fails(1, "measurement-mismatch", "-kernel", initrd, "-initrd",
                   initrd, "-append", "quiet", "-smp", "2", vm=vm)
        self.fails(1, "measurement-mismatch", *line, "-smp", "3", vm=vm)


class Refused(QemuTest):
    def test_wrong_measurement(self):
        end = self.fails(1, "measurement-mismatch",
                         firmware=harness.OTHER_FIRMWARE)
        self.assertEqual(end["status"], 403)
        self.assertEqual(end["type"],
                         "urn:attest-relay:problem:measurement-mismatch")
        self.assertNotIn("injected", self.events())
        self.fails(1, "measurement-mismatch",
                   fault="query-sev-launch-measure=@flip")

    def test_refused_chain(self):
        self.fails(1, "problem:refused", fault="query-sev-capabilities=@flip")
        self.assertNotIn("guest", self.events())

    def test_platform_without_a_signed_cek(self):
        folder = self.lab.path("foreign")
        harness.run([os.path.join(harness.TESTBIN, "psp"), "platform", "new",
                     folder, "--generation", "2048"])
        self.fails(3, "cek-unavailable", platform=folder,
                   flags=["--timeout", "10"])
        self.assertNotIn("guest", self.events())

    def test_packet_changed_on_its_way(self):
        self.fails(1, "failed to inject secret",
                   fault="sev-inject-launch-secret=@flip")

    def test_policy(self):
        self.fails(1, "problem:refused", flags=["--policy", "3"])

    def test_token(self):
        self.lab.token_file = self.lab.file("wrong", b"0" * 64)
        os.chmod(self.lab.token_file, 0o600)
        self.fails(1, "host-unauthenticated")

    def test_owner_away(self):
        self.owner.stop()
        self.fails(3, "in 2 s", flags=["--timeout", "2"])
        self.assertNotIn("guest", self.events())

    def test_unknown_vm(self):
        self.fails(3, "in 1 s", vm=str(uuid.uuid4()),
                   flags=["--timeout", "1"])

    def test_foreign_authority(self):
        other = harness.Ca(self.lab.folder, "other")
        self.fails(3, "no answer", flags=["--ca", other.cert])

    def test_service_gone(self):
        self.lab.relay.kill()
        self.fails(3, "in 1 s", flags=["--timeout", "1"])


class Faults(QemuTest):
    """Every word of QEMU that we know, and its silence."""

    TEXTS = (
        (5, "query-sev-capabilities", "KVM not enabled"),
        (5, "query-sev-capabilities", "SEV is not enabled in KVM"),
        (5, "query-sev-capabilities", "SEV: Failed to open /dev/sev"),
        (5, "query-sev-capabilities", "SEV feature is not available"),
        (5, "query-sev", "SEV feature is not available"),
        (5, "query-sev-launch-measure",
         "SEV launch measurement is not available"),
        (5, "sev-inject-launch-secret", "SEV not enabled for guest"),
        (4, "sev-inject-launch-secret", "SEV: no secret area found in OVMF, "
         "gpa must be specified."),
        (4, "sev-inject-launch-secret",
         "SEV: Not in correct state. (LSECRET) 1"),
        (1, "sev-inject-launch-secret",
         "SEV: failed to inject secret ret=-5 fw_error=10 'Bad measurement'"),
        (4, "cont", "Resetting the Virtual Machine is required"),
        (4, "qmp_capabilities", "Capability 'oob' not available"),
    )

    def test_each_text(self):
        for status, command, text in self.TEXTS:
            with self.subTest(command=command, text=text):
                # At most 160 bytes of it are told.
                self.fails(status, text, fault=command + "=" + text)

    def test_each_silence(self):
        for status, says, fault in (
                (5, "no KVM", "probe=@die"),
                (4, "its own words stand above", "start=@die"),
                (5, "not enabled for the guest", "query-sev=@off"),
                (4, "launch-update", "query-sev=@early"),
                (4, "has policy 0x3", "query-sev=@policy"),
                (4, "closed the connection", "query-sev=@die"),
                (4, "not JSON", "query-sev=@garbage"),
                (4, "line of over", "query-sev=@long"),
                (4, "another command", "query-sev=@other-id"),
                (4, "closed the connection",
                 "sev-inject-launch-secret=@die"),
                (4, "closed the connection", "cont=@die"),
                (4, "does not run", "cont=@paused")):
            with self.subTest(fault=fault):
                seen = self.events().get("running")
                self.assertIsNone(seen)
                self.fails(status, says, fault=fault)

    def test_hanging_qemu(self):
        self.fails(4, "no answer in time", fault="query-sev=@hang",
                   flags=["--timeout", "5"])

    def test_events_without_end(self):
        self.fails(4, "no answer in time", fault="query-sev=@flood",
                   flags=["--timeout", "5"])

    def test_no_such_program(self):
        done = harness.run([LAUNCH, "qemu", *self.lab.reach(), "--uuid",
                            self.vm, "--", "/nonexistent"], ok=(4,))
        self.assertIn("No such file", done.stderr)

    def test_lines_that_cannot_be(self):
        for words in (["-daemonize"], ["-accel", "tcg"], ["-incoming", "x"],
                      ["-object", "sev-guest,id=a"],
                      ["-machine", "q35,confidential-guest-support=a"]):
            self.fails(2, "cannot be in the line", *words)


class Fetch(QemuTest):
    def test_fetch_feeds_the_single_step(self):
        """What fetch prints is what launch takes."""
        host = {"MOCK_QEMU_PLATFORM": harness.PLATFORM}
        done = harness.run([LAUNCH, "fetch", "--qemu", MOCK],
                           env={**os.environ, **host})
        facts = json.loads(done.stdout)
        self.assertEqual(facts["cbitpos"], 51)
        path = self.lab.file("facts", done.stdout)
        done = harness.run([LAUNCH, "launch", *self.lab.reach(), "--uuid",
                            self.vm, "--in", path])
        answer = json.loads(done.stdout)
        self.assertEqual(answer["step"], "launch")
        self.assertEqual(answer["policy"], 1)
        self.assertEqual(len(answer["session"]), 172)

    def test_check(self):
        done = harness.run([LAUNCH, "check", *self.lab.reach(), "--json"])
        seen = json.loads(done.stdout)
        self.assertEqual(seen["versions"], [1])
        self.assertIn("amd-sev", seen["schemes"])

    def test_check_without_token(self):
        args = self.lab.reach()[:4]
        done = harness.run([LAUNCH, "check", *args, "--json"], ok=(1,))
        end = json.loads(done.stdout)
        self.assertEqual(end["status"], 401)
        self.assertIn("not let in, see --token-file", end["message"])
        # A certificate does as well.
        cert, key = self.lab.ca.issue("cn-18", ["DNS:cn-18"],
                                      usage="clientAuth")
        harness.run([LAUNCH, "check", *args, "--cert", cert, "--key", key])

    def test_check_elsewhere(self):
        args = self.lab.reach()
        known = "/.well-known/attest-relay: "
        for url, status, says in (
                (self.lab.service() + "/no", 3, "/no" + known + "status 404"),
                ("https://localhost:1/sev", 3,
                 "https://localhost:1/sev" + known + "no answer: "),
                ("https://localhost:%d/sev" % self.lab.relay_public, 1,
                 "not let in, is that the port for hosts?: status 404 "),
                ("http://localhost:1/sev", 2, "want https://")):
            done = harness.run([LAUNCH, "check", *args, "--service", url],
                               ok=(status,))
            self.assertIn(says, done.stderr)
        os.chmod(self.lab.token_file, 0o644)
        done = harness.run([LAUNCH, "check", *args], ok=(2,))
        self.assertIn("0644", done.stderr)


class Selftest(QemuTest):
    """Of a machine that has no SEV itself; QEMU says that it does."""

    def checks(self, *flags, fault=""):
        done = harness.run([
            "env", "MOCK_QEMU_PLATFORM=" + harness.PLATFORM,
            "MOCK_QEMU_RECORD=" + self.record, "MOCK_QEMU_FAULT=" + fault,
            LAUNCH, "selftest", "--json", "--qemu", MOCK, *flags],
            ok=(0, 5))
        lines = [json.loads(line) for line in done.stdout.splitlines()]
        found = {line["check"]: line for line in lines
                 if line["step"] == "selftest"}
        # What machine this is decides on the rest, and on the status.
        failed = [name for name, line in found.items()
                  if line["result"] == "failed"]
        self.assertEqual(done.returncode == 0, not failed)
        self.assertLessEqual({"cpu", "kvm-amd", "dev-kvm", "dev-sev"},
                             set(found))
        return found

    def test_nothing_but_the_host(self):
        found = self.checks()
        self.assertEqual(found["qemu"]["result"], "ok")
        self.assertIn("chip id", found["qemu"]["words"])
        for name in "guest", "libvirt", "service":
            self.assertEqual(found[name]["result"], "skipped")

    def test_guest_and_service(self):
        found = self.checks("--firmware", harness.FIRMWARE, *self.lab.reach())
        self.assertEqual(found["guest"]["result"], "ok")
        self.assertIn("API 1.55, build 0, policy 0x1", found["guest"]["words"])
        self.assertEqual(found["service"]["result"], "ok")
        # It never ran, and is gone.
        self.assert_no_guest()
        self.assertIn("guest", self.events())

    def test_failures(self):
        found = self.checks("--firmware", harness.FIRMWARE,
                            *self.lab.reach()[:4],
                            fault="query-sev-launch-measure=SEV launch "
                            "measurement is not available")
        self.assertEqual(found["qemu"]["result"], "ok")
        self.assertEqual(found["guest"]["result"], "failed")
        self.assertIn("401", found["service"]["words"])
        self.assert_no_guest()
        found = self.checks("--firmware", harness.FIRMWARE, fault=
                            "query-sev-capabilities=KVM not enabled")
        self.assertIn("KVM not enabled", found["qemu"]["words"])
        self.assertIn("not tried", found["guest"]["words"])

    def test_usage(self):
        harness.run([LAUNCH, "selftest", "--bogus"], ok=(2,))


if __name__ == "__main__":
    unittest.main(verbosity=2)
