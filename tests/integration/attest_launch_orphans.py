"""attest-launch start and its guard killed together, libvirtd hung, stopped
and restarted: what is left, and who ends it."""

import json
import os
import signal
import unittest

import harness
import libvirt_lab
from libvirt_case import IN_START, LAUNCH, LibvirtTest

# libvirt waits 30 s for a guest that another call holds.
TAKES = 3 * harness.PATIENCE


class OrphanTest(LibvirtTest):
    def setUp(self):
        super().setUp()
        self.addCleanup(self.destroy)
        # Whatever a test left: its processes are gone by then.
        self.addCleanup(self.host.fault, "")

    def start(self, *flags, name=None):
        # Each a UUID of its own; the owner knows them by one.
        path = self.lab.file((name or self.name) + ".xml",
                             self.host.xml(name or self.name))
        return self.background("--transient", "--uuid", self.vm, *flags, path)

    def guard(self, name=None):
        found = []

        def is_there():
            try:
                found.append(libvirt_lab.find("attest-guard",
                                              (name or self.name) + ".xml"))
            except AssertionError:
                return False
            return True
        harness.eventually(is_there)
        return found[0]

    def kill_both(self, process, name=None):
        """At the same moment: the guard does nothing in between."""
        guard = self.guard(name)
        os.kill(guard, signal.SIGSTOP)
        process.child.kill()
        os.kill(guard, signal.SIGKILL)
        # Its output ends when nobody holds it.
        process.kill()
        self.assertTrue(libvirt_lab.gone(guard))

    @staticmethod
    def kill_launcher(process, _):
        process.kill()

    def sweep(self, *flags, ok=(0,)):
        """What it found, by domain."""
        done = harness.run([LAUNCH, "sweep", "--state", self.launches(),
                            "--json", *flags], ok=ok, timeout=TAKES)
        lines = [json.loads(line) for line in done.stdout.splitlines()]
        return {line["domain"]: line["found"] for line in lines
                if line["step"] == "swept"}

    def records(self):
        return os.listdir(self.launches())

    def hold(self, fault, line, *flags):
        self.host.fault(fault)
        process = self.start(*flags)
        process.wait_line(line)
        if fault:
            harness.eventually(lambda: self.host.event("waiting"))
        return process

    def assert_swept(self, silent=False):
        if not silent:
            self.host.fault("")
        self.assertEqual(self.sweep(), {self.name: "destroyed"})
        self.assertEqual(self.records(), [])
        self.assert_no_guest()
        self.host.fault("")


class BothKilled(OrphanTest):
    def test_before_there_is_a_guest(self):
        """The owner is away: nothing was asked of libvirt."""
        self.owner.stop()
        self.addCleanup(self.owner.start)
        self.kill_both(self.hold("", r"host: SEV"))
        self.assertEqual(self.sweep(), {})
        self.assertEqual(self.records(), [])
        self.assertIsNone(self.host.event("guest"))

    def test_while_libvirt_starts_the_guest(self):
        self.kill_both(self.hold(IN_START + "=@wait", "session of the owner"))
        self.assert_swept()

    def test_paused(self):
        self.kill_both(self.hold("query-sev-launch-measure=@wait",
                                 "started paused"))
        self.assert_swept()

    def test_paused_and_qemu_is_silent(self):
        self.kill_both(self.hold("query-sev-launch-measure=@wait",
                                 "started paused"))
        self.assert_swept(silent=True)

    def test_with_the_secret_on_its_way(self):
        self.kill_both(self.hold("sev-inject-launch-secret=@wait",
                                 "measured"))
        self.assert_swept()

    def test_about_to_be_resumed(self):
        """By the record alone nobody can tell whether it ever ran; QEMU
        knows."""
        process = self.hold("query-sev-launch-measure=@wait", "started paused")
        self.kill_both(process)
        self.host.fault("")
        record, = self.records()
        with open(os.path.join(self.launches(), record), "ab") as out:
            out.write(b"resuming\nhalf a wo")
        self.assert_swept()

    def test_libvirt_of_the_environment(self):
        """The record says where its guest is, whoever sweeps."""
        self.host.fault("query-sev-launch-measure=@wait")
        path = self.file(self.host.xml(self.name, self.vm))
        args = self.command("--transient", path)
        at = args.index("--connect")
        process = harness.Process(
            "launch", [*args[:at], *args[at + 2:]], self.lab.path("env.log"),
            env={**os.environ, "LIBVIRT_DEFAULT_URI": self.host.uri})
        self.addCleanup(process.kill)
        process.wait_line("started paused")
        self.kill_both(process)
        self.assert_swept()

    def test_a_name_with_white_space(self):
        path, self.name = self.name, " %s a\tb " % self.name
        for kill in self.kill_launcher, self.kill_both:
            self.host.fault("query-sev-launch-measure=@wait")
            process = self.background("--transient", self.lab.file(
                path + ".xml", self.host.xml(self.name, self.vm)))
            process.wait_line("started paused")
            kill(process, path)
            self.host.fault("")
            if kill == self.kill_both:
                self.assertEqual(self.sweep(), {self.name: "destroyed"})
            self.assertEqual(self.records(), [])
            self.assert_no_guest()
            self.host.forget()

    def test_daemon_killed_too(self):
        process = self.hold("query-sev-launch-measure=@wait", "started paused")
        self.host.kill()
        self.kill_both(process)
        self.host.fault("")
        self.assertEqual(self.sweep("--libvirt-timeout", "1", ok=(3,)),
                         {self.name: "no-answer"})
        self.assertEqual(len(self.records()), 1)
        self.host.start()
        self.assert_swept()

    def test_next_start_sweeps(self):
        """The same guest again: what is in its way goes first."""
        self.kill_both(self.hold("query-sev-launch-measure=@wait",
                                 "started paused"))
        self.host.fault("")
        done = self.launch("--transient", "--uuid", self.vm,
                           self.lab.path(self.name + ".xml"))
        steps = [json.loads(line)["step"] for line in done.stdout.splitlines()]
        self.assertEqual((steps[0], steps[-1]), ("swept", "running"))
        self.assertEqual(self.records(), [])
        self.assert_opened()


class LeftAlone(OrphanTest):
    """A sweep ends nobody's guest."""

    def resumed(self):
        """Killed while it waits for libvirt's word that the guest runs."""
        self.kill_both(self.hold("cont=@wait", "secret injected"))
        self.host.fault("")
        harness.eventually(lambda: self.state() == "running")

    def test_running(self):
        self.resumed()
        self.assertEqual(self.sweep(), {self.name: "in-use"})
        self.assertEqual(self.records(), [])
        self.assertEqual(self.sweep(), {})
        self.assertEqual(self.state(), "running")

    def test_suspended_since(self):
        self.resumed()
        self.host.virsh("suspend", self.name)
        self.assertEqual(self.sweep(), {self.name: "in-use"})
        self.assertEqual(self.state(), "paused")

    def test_resumed_by_an_operator(self):
        process = self.hold("query-sev-launch-measure=@wait", "started paused")
        self.kill_both(process)
        self.host.fault("")
        self.host.virsh("resume", self.name)
        self.host.virsh("suspend", self.name)
        self.assertEqual(self.sweep(), {self.name: "in-use"})
        self.assertEqual(self.state(), "paused")

    def test_another_of_that_name(self):
        process = self.hold("query-sev-launch-measure=@wait", "started paused")
        self.kill_both(process)
        self.host.fault("")
        self.host.virsh("destroy", self.name)
        self.host.virsh("create", "--paused", self.file(
            self.host.xml(self.name, security=False)))
        self.assertEqual(self.sweep(), {self.name: "none"})
        self.assertEqual(self.records(), [])
        self.assertEqual(self.state(), "paused")

    def test_launches_under_way(self):
        """Killed ones go, and those that live come to their end."""
        names = [self.name + "-%d" % i for i in range(4)]
        self.host.fault("query-sev-launch-measure=@wait")
        started = []
        for name in names:
            self.addCleanup(self.host.virsh, "destroy", name, ok=None)
            started.append(self.start(name=name))
            started[-1].wait_line("started paused")
        # They all wait for the owner.
        self.owner.stop()
        self.addCleanup(lambda: self.owner.process or self.owner.start())
        self.host.fault("")
        for process in started:
            process.wait_line("asking the owner for its secret")
        for i in 0, 2:
            self.kill_both(started[i], names[i])
        self.assertEqual(self.sweep(),
                         {names[0]: "destroyed", names[2]: "destroyed"})
        self.assertEqual(len(self.records()), 2)
        self.owner.start()
        for i in 1, 3:
            self.assertEqual(started[i].wait(), 0)
            self.assertEqual(self.host.virsh(
                "domstate", names[i]).stdout.strip(), "running")
        self.assertEqual(self.records(), [])


class Hung(OrphanTest):
    """A libvirtd that is there and does nothing."""

    def stop_daemon(self):
        daemon = self.host.process.child
        daemon.send_signal(signal.SIGSTOP)
        self.addCleanup(daemon.send_signal, signal.SIGCONT)
        return daemon

    def test_launcher_ends_and_the_guard_goes_on(self):
        process = self.hold("query-sev-launch-measure=@wait", "started paused",
                            "--libvirt-timeout", "20")
        daemon = self.stop_daemon()
        guard = self.guard()
        process.wait_line(r"no answer in time")
        self.assertEqual(process.child.wait(harness.PATIENCE), 4)
        process.wait_line(r"process %d goes on trying" % guard)
        # It holds the lock: nobody else does its work.
        self.assertEqual(self.sweep(), {})
        self.host.fault("")
        daemon.send_signal(signal.SIGCONT)
        process.wait()
        self.assertIn("destroyed", process.output())
        self.assertEqual(self.records(), [])
        self.assert_no_guest()

    def test_killed_meanwhile(self):
        process = self.hold("query-sev-launch-measure=@wait", "started paused")
        daemon = self.stop_daemon()
        process.child.kill()
        self.host.fault("")
        os.kill(self.guard(), 0)
        daemon.send_signal(signal.SIGCONT)
        process.kill()
        self.assertEqual(self.records(), [])
        self.assert_no_guest()

    def test_in_the_middle_of_the_start(self):
        process = self.hold(IN_START + "=@wait", "session of the owner")
        daemon = self.stop_daemon()
        process.child.kill()
        self.host.fault("")
        daemon.send_signal(signal.SIGCONT)
        process.kill()
        self.assert_no_guest()

    def test_killed_in_the_middle_of_the_start(self):
        """libvirtd, and what it was about to start."""
        process = self.hold(IN_START + "=@wait", "session of the owner")
        self.host.kill()
        self.host.fault("")
        self.host.start()
        self.assertEqual(process.wait(), 4)
        # libvirtd ends by itself what it had not finished starting.
        self.assertIn(self.sweep().get(self.name), (None, "later"))
        self.assert_no_guest()

    def test_from_the_beginning(self):
        self.stop_daemon()
        done = self.launch("--libvirt-timeout", "2", "--transient", self.file(
            self.host.xml(self.name, self.vm)), ok=(4,))
        self.assertIn("libvirt: connect: no answer in time", done.stderr)
        self.assertEqual(self.records(), [])
        done = harness.run([LAUNCH, "selftest", "--libvirt-timeout", "1",
                            "--connect", self.host.uri], ok=(4,))
        self.assertIn("libvirt: no answer in time", done.stderr)

    def test_both_killed_meanwhile(self):
        process = self.hold("query-sev-launch-measure=@wait", "started paused")
        daemon = self.stop_daemon()
        self.kill_both(process)
        self.host.fault("")
        self.assertEqual(self.sweep("--libvirt-timeout", "1", ok=(3,)),
                         {self.name: "no-answer"})
        daemon.send_signal(signal.SIGCONT)
        self.assert_swept()


class Bound(OrphanTest):
    """--autodestroy: the guest ends with its launcher, and however."""

    def run_bound(self):
        process = self.start("--autodestroy")
        process.wait_line(r": running$")
        return process

    def test_daemon_killed(self):
        """libvirt's own AUTODESTROY does not outlive that."""
        process = self.run_bound()
        self.host.kill()
        self.host.start()
        self.assertEqual(process.wait(), 4)
        self.assertIn("destroyed", process.output())
        self.assertEqual(self.records(), [])
        self.assertEqual(self.state(), "")

    def test_all_killed(self):
        process = self.run_bound()
        self.host.kill()
        self.kill_both(process)
        self.host.start()
        self.assertEqual(self.state(), "running")
        self.assertEqual(self.sweep(), {self.name: "destroyed"})
        self.assertEqual(self.state(), "")


class Folder(OrphanTest):
    def test_others_could_write_it(self):
        path = self.lab.path("open")
        os.mkdir(path)
        os.chmod(path, 0o770)
        for args in (["sweep"], [*self.command(self.file("<domain/>"))[
                len(self.lab.on("compute")) + 1:]]):
            done = harness.run([LAUNCH, *args, "--state", path], ok=(2,))
            self.assertIn("nobody else may write", done.stderr)
        os.chmod(path, 0o755)
        harness.run([LAUNCH, "sweep", "--state", path])

    def test_what_is_no_record(self):
        path = self.lab.path("odd")
        os.mkdir(path, 0o700)
        for name in ("README", "x" * 36):
            with open(os.path.join(path, name), "w",
                      encoding="ascii") as out:
                out.write("kept")
        harness.run([LAUNCH, "sweep", "--state", path])
        self.assertEqual(len(os.listdir(path)), 2)
        bad = os.path.join(path, self.vm)
        with open(bad, "w", encoding="ascii") as out:
            out.write("{}\n")
        done = harness.run([LAUNCH, "sweep", "--state", path, "--json"],
                           ok=(4,))
        self.assertIn("no domain", json.loads(done.stdout)["message"])
        self.assertTrue(os.path.exists(bad))
        # Nothing was asked for.
        with open(bad, "w", encoding="ascii") as out:
            out.write('{"domain":"half a li')
        harness.run([LAUNCH, "sweep", "--state", path])
        self.assertFalse(os.path.exists(bad))
        os.symlink("/etc/passwd", bad)
        harness.run([LAUNCH, "sweep", "--state", path], ok=(4,))


if __name__ == "__main__":
    unittest.main(verbosity=2)
