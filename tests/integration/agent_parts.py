"""The processes of the agent: what each may do, and what is left behind."""

import base64
import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import tempfile
import unittest

import harness
from agent_blocklist import fingerprint

SANITIZED = b"__asan_init" in open(
    os.path.join(harness.BIN, "attest-agent"), "rb").read()


def part(owner, name):
    """The process id of one of them."""
    parent = owner.process.child.pid
    with open("/proc/%d/task/%d/children" % (parent, parent),
              encoding="ascii") as f:
        for pid in f.read().split():
            with open("/proc/%s/cmdline" % pid, "rb") as words:
                if name.encode() in words.read().split(b"\0"):
                    return int(pid)
    raise AssertionError("no " + name)


def field(pid, name):
    with open("/proc/%d/status" % pid, encoding="ascii") as f:
        return re.search(r"^%s:\s*(.*)$" % name, f.read(), re.M).group(1)


def forms(secret):
    """As bytes, hex and base64 at each of its three offsets."""
    out = [secret, secret.hex().encode(), secret.hex().upper().encode()]
    for shift in range(3):
        text = base64.b64encode(b"\0" * shift + secret)
        out.append(text[4 if shift else 0:len(text) // 4 * 4 - 4])
    return out


class Parts(harness.LabTest):
    def test_net_dies(self):
        """kill -SEGV: an open session, and all else, is as before."""
        state = self.lab.path("guest")
        self.lab.host("step-launch", *self.lab.guest(self.vm), "--out", state)
        vault = part(self.owner, "part-vault")
        for _ in range(2):
            seen = self.owner.process.mark()
            os.kill(part(self.owner, "part-net"), signal.SIGSEGV)
            self.owner.process.wait_line(r"starting it again", seen)
            self.owner.wait_ready(seen)
        answer = self.lab.path("answer")
        self.lab.host("step-validate", state, "--out", answer)
        done = self.lab.host("step-open", state, answer)
        self.assertIn(self.passphrase, done.stdout)
        self.assertEqual(part(self.owner, "part-vault"), vault)

    def test_vault_dies(self):
        """Without it nothing is served: the service manager starts anew."""
        os.kill(part(self.owner, "part-vault"), signal.SIGKILL)
        self.assertEqual(self.owner.process.wait(), 3)
        self.owner.start()
        done = self.lab.host("launch", *self.lab.guest(self.vm))
        self.assertIn(self.passphrase, done.stdout)

    def test_store_that_another_program_keeps(self):
        """The agent says so and ends, rather than wait for ever."""
        self.owner.stop()
        db = sqlite3.connect(os.path.join(self.owner.state, "agent.db"),
                             isolation_level=None)
        self.addCleanup(db.close)
        db.execute("BEGIN IMMEDIATE")
        process = self.owner.start(ready=False)
        process.wait_line("database is locked")
        db.execute("ROLLBACK")
        self.assertNotEqual(process.wait(), 0)
        self.owner.process = None

    def test_nobody_is_left(self):
        """kill -9 of the parent ends both parts."""
        pids = [part(self.owner, name) for name in ("part-vault", "part-net")]
        self.owner.kill()
        for pid in pids:
            harness.eventually(
                lambda: not os.path.exists("/proc/%d" % pid) or
                field(pid, "State").startswith("Z"))

    def test_confined(self):
        """T14, T18: filter, no new privileges, no capabilities but one."""
        for name, may in (("part-vault", 1 << 14), ("part-net", 0)):
            pid = part(self.owner, name)
            self.assertEqual(field(pid, "Seccomp"), "2", name)
            self.assertEqual(field(pid, "NoNewPrivs"), "1", name)
            self.assertEqual(int(field(pid, "CapEff"), 16) & ~may, 0, name)
            with open("/proc/%d/limits" % pid, encoding="ascii") as f:
                self.assertRegex(f.read(), r"Max core file size +0 +0")
            # A thread left outside would be the way out of it.
            for task in os.listdir("/proc/%d/task" % pid):
                for what in ("Seccomp", "NoNewPrivs", "CapEff"):
                    self.assertEqual(field(int(task), what),
                                     field(pid, what), name)
            with open("/proc/%d/environ" % pid, "rb") as f:
                self.assertNotIn(self.passphrase.encode(), f.read())

    def test_sockets_of_the_vault(self):
        """Two pairs and nothing that has an address."""
        fds = "/proc/%d/fd" % part(self.owner, "part-vault")
        links = [os.readlink(os.path.join(fds, fd)) for fd in os.listdir(fds)]
        sockets = {l[8:-1] for l in links if l.startswith("socket:")}
        self.assertEqual(len(sockets), 2, links)
        with open("/proc/net/unix", encoding="ascii") as f:
            for line in f.read().splitlines()[1:]:
                words = line.split()
                if words[6] in sockets:
                    self.assertEqual(len(words), 7, line)
        for table in ("tcp", "tcp6", "udp", "udp6"):
            with open("/proc/net/" + table, encoding="ascii") as f:
                for line in f.read().splitlines()[1:]:
                    self.assertNotIn(line.split()[9], sockets)

    @unittest.skipIf(SANITIZED, "the leak checker is a ptrace")
    def test_memory_is_locked(self):
        pid = part(self.owner, "part-vault")
        locked = int(field(pid, "VmLck").split()[0])
        if locked == 0:
            self.assertIn("memory cannot be locked",
                          self.owner.process.output())

    @unittest.skipIf(SANITIZED, "a sanitizer's shadow is most of it")
    @unittest.skipIf(os.geteuid() != 0, "root may look at the undumpable")
    def test_private_memory(self):
        """10 MiB for all processes; what they share with each other and with
        the rest of the machine, code for the most part, is not in it."""
        self.lab.host("launch", *self.lab.guest(self.vm))
        total = 0
        for pid in (self.owner.process.child.pid,
                    part(self.owner, "part-vault"),
                    part(self.owner, "part-net")):
            with open("/proc/%d/smaps_rollup" % pid, encoding="ascii") as f:
                total += int(re.search(r"^Private_Dirty:\s+(\d+) kB",
                                       f.read(), re.M).group(1))
        self.assertLess(total, 10 * 1024)

    def test_calls_are_written_down(self):
        """The filter's list, and docs/operations-agent.md's."""
        with open(os.path.join(harness.SOURCE, "agent", "sandbox.c"),
                  encoding="utf-8") as f:
            table = re.search(r"vault_calls\[\] = \{(.*?)\};", f.read(),
                              re.S).group(1)
        calls = re.findall(r'"(\w+)"', table)
        with open(os.path.join(harness.SOURCE, "docs", "operations-agent.md"),
                  encoding="utf-8") as f:
            said = re.search(r"System calls of the vault\.\*\* (.*?)\n\n",
                             f.read(), re.S).group(1)
        self.assertEqual(sorted(re.findall(r"`(\w+)`", said)), calls)

    @unittest.skipIf(SANITIZED, "the leak checker is a ptrace")
    def test_calls_of_a_launch(self):
        """strace: none but those, from the first launch to the end."""
        trace = self.lab.path("trace")
        vault = part(self.owner, "part-vault")
        strace = subprocess.Popen(
            ["strace", "-q", "-o", trace, "-p", str(vault)],
            stderr=subprocess.PIPE)
        harness.eventually(lambda: field(vault, "TracerPid") != "0")
        self.lab.host("launch", *self.lab.guest(self.vm))
        self.owner.cli("log", "verify")
        self.owner.stop()
        strace.wait()
        strace.stderr.close()
        with open(trace, encoding="ascii", errors="replace") as f:
            lines = f.read().splitlines()
        refused = [line for line in lines if "EPERM" in line]
        # SQLite syncs the folder when it takes its log away, at the end.
        self.assertEqual([line for line in refused
                          if not line.startswith("openat(")], [])


class PoorKernel(harness.LabTest):
    """A kernel without Landlock, for `net` to be kept out of the state."""

    def run_without(self, text):
        config = self.lab.file("agent.yaml", text)
        self.assertEqual(self.owner.stop(), 0)
        self.owner.process = harness.Process("owner", [
            sys.executable, os.path.abspath("without_landlock.py"),
            os.path.join(harness.BIN, "attest-agent"), "--state",
            self.owner.state, "--config", config, "run", "--offline",
            "--relay", "wss://localhost:%d/sev" % self.lab.relay_public,
            "--ca", self.lab.ca.cert], self.owner.log)
        return self.owner.process

    def test_warns(self):
        agent = self.run_without("")
        agent.wait_line("the kernel has no Landlock")
        self.owner.wait_ready()

    def test_does_not_start_if_it_must_have_it(self):
        agent = self.run_without("sandbox: {landlock: require}\n")
        agent.wait_line("sandbox.landlock: require: the kernel has no")
        self.assertEqual(agent.wait(), 1)
        self.assertNotIn("ready:", agent.output())
        self.owner.process = None


class Canaries(harness.LabTest):
    add_args = ()

    def memory(self, pid):
        """All of it, as gcore writes it."""
        with tempfile.TemporaryDirectory() as folder:
            base = os.path.join(folder, "core")
            done = subprocess.run(["gcore", "-o", base, str(pid)],
                                  capture_output=True, text=True)
            path = "%s.%d" % (base, pid)
            self.assertTrue(os.path.exists(path), done.stderr)
            with open(path, "rb") as core:
                return core.read()

    @unittest.skipIf(SANITIZED, "freed memory is kept for its reports")
    @unittest.skipIf(os.geteuid() != 0, "root may look at the undumpable")
    def test_tik_that_was_exported_leaves(self):
        """receipts.keep-tik: what the owner was given stays nowhere else."""
        config = self.lab.file("agent.yaml", "receipts: {keep-tik: yes}\n")
        self.owner.stop()
        self.owner.start(config=config)
        state, answer = self.lab.path("guest"), self.lab.path("answer")
        self.lab.host("step-launch", *self.lab.guest(self.vm), "--out", state)
        self.lab.host("step-validate", state, "--out", answer)
        with open(state, encoding="utf-8") as saved:
            tik = bytes.fromhex(json.load(saved)["guest"]["tik"])
        number = json.loads(self.owner.cli(
            "receipts", "list", "--json").stdout.splitlines()[0])["receipt"]
        self.owner.cli("vm", "remove", "web1")
        for _ in range(3):
            bundle = json.loads(self.owner.cli(
                "receipts", "export", str(number), "--with-tik").stdout)
            self.assertEqual(base64.b64decode(bundle["tik"]), tik)
        self.owner.cli("status")
        for pid in (part(self.owner, "part-vault"),
                    self.owner.process.child.pid):
            core = self.memory(pid)
            # Not assertNotIn(), which would print all of it.
            self.assertFalse(any(form in core for form in forms(tik)))

    @unittest.skipIf(SANITIZED, "freed memory is kept for its reports")
    @unittest.skipIf(os.geteuid() != 0, "root may look at the undumpable")
    def test_passphrase_and_keys_leave(self):
        """T18, T24: after the end of a launch, nowhere."""
        before = set(os.listdir(self.lab.folder))
        state, answer = self.lab.path("guest"), self.lab.path("answer")
        self.lab.host("step-launch", *self.lab.guest(self.vm), "--out", state)
        self.lab.host("step-validate", state, "--out", answer)
        done = self.lab.host("step-open", state, answer)
        self.assertIn(self.passphrase, done.stdout)
        pids = [part(self.owner, name) for name in ("part-vault", "part-net")]
        pids.append(self.owner.process.child.pid)
        # For an answer that is asked for again its packet is enough.
        for pid in pids:
            core = self.memory(pid)
            self.assertFalse(any(form in core for form in forms(
                self.passphrase.encode())))
        with open(state, encoding="utf-8") as saved:
            guest = json.load(saved)["guest"]
        self.owner.cli("status")
        self.owner.cli("log", "show")
        self.owner.cli("receipts", "list")
        # This ends the session, whose answer could be asked for again.
        self.owner.cli("vm", "remove", "web1")
        wanted = [(what, form) for what, secret in (
            ("passphrase", self.passphrase.encode()),
            ("TEK", bytes.fromhex(guest["tek"])),
            ("TIK", bytes.fromhex(guest["tik"]))) for form in forms(secret)]
        # One that does look: the machinery finds what is there.
        hits = self.memory(os.getpid())
        self.assertTrue(any(form in hits for _, form in wanted))
        for pid in pids:
            core = self.memory(pid)
            self.assertEqual([what for what, form in wanted if form in core],
                             [])
            for entry in "cmdline", "environ":
                with open("/proc/%d/%s" % (pid, entry), "rb") as f:
                    self.assertNotIn(self.passphrase.encode(), f.read())
        for base, _, files in os.walk(self.lab.folder):
            for name in files:
                if base == self.lab.folder and name not in before:
                    continue
                path = os.path.join(base, name)
                if not os.path.isfile(path):
                    continue
                with open(path, "rb") as f:
                    data = f.read()
                for what, form in wanted:
                    self.assertNotIn(form, data, path)


class Sealed(harness.LabTest):
    """The key of the store under a passphrase."""

    def setUp(self):
        super().setUp()
        self.owner.stop()
        self.word = self.lab.file("word", "correct horse\n", 0o600)
        self.owner.cli("key", "passphrase", "--passphrase-file", self.word)

    def test_locked_until_the_passphrase(self):
        self.assertFalse(os.path.exists(
            os.path.join(self.owner.state, "seal.key")))
        self.owner.start(ready=False)
        self.owner.process.wait_line(r"ready: relay .* 0 VMs claimed")
        wrong = self.lab.file("wrong", "battery staple", 0o600)
        done = self.owner.cli("unlock", "--passphrase-file", wrong, ok=(1,))
        self.assertIn("wrong passphrase", done.stderr)
        # Its VMs are not gone.
        self.assertIn("locked   until", self.owner.cli("status").stdout)
        self.assertIn("locked: attest-agent unlock",
                      self.owner.cli("vm", "list").stderr)
        self.assertIn("locked: attest-agent unlock", self.owner.cli(
            "vm", "show", "web1", ok=(1,)).stderr)
        os.chmod(self.word, 0o604)
        done = self.owner.cli("unlock", "--passphrase-file", self.word,
                              ok=(2,))
        self.assertIn("mode 0604 lets others use", done.stderr)
        os.chmod(self.word, 0o440)
        self.owner.cli("unlock", "--passphrase-file", self.word)
        self.assertEqual(self.owner.cli("vm", "list").stderr, "")
        self.assertNotIn("locked", self.owner.cli("status").stdout)
        done = self.lab.host("launch", *self.lab.guest(self.vm))
        self.assertIn(self.passphrase, done.stdout)

    def test_lock_and_on_with_the_session(self):
        """An open session waits behind the lock."""
        self.owner.start(ready=False)
        self.owner.process.wait_line(r"ready: relay")
        self.owner.cli("unlock", "--passphrase-file", self.word)
        state = self.lab.path("guest")
        self.lab.host("step-launch", *self.lab.guest(self.vm), "--out", state)
        self.owner.cli("lock")
        self.assertEqual(self.owner.cli("vm", "list").stdout, "")
        for words in (("receipts", "list"), ("export", "--list"),
                      ("key", "seal-to"), ("cancel", self.vm),
                      ("vm", "add", "web2", "--digest", "ab" * 32,
                       "--policy", "1", "--any-platform", "--no-secret")):
            done = self.owner.cli(*words, ok=(1,))
            self.assertIn("locked: attest-agent unlock", done.stderr)
        self.owner.cli("unlock", "--passphrase-file", self.word)
        answer = self.lab.path("answer")
        self.lab.host("step-validate", state, "--out", answer)
        done = self.lab.host("step-open", state, answer)
        self.assertIn(self.passphrase, done.stdout)

    def test_killed_while_it_was_put_under_one(self):
        """A seal.key that was left in the clear goes with the next unlock,
        unless it is another one."""
        clear = os.path.join(self.owner.state, "seal.key")
        self.owner.start(ready=False)
        self.owner.process.wait_line(r"ready: relay")
        with open(os.open(clear, os.O_CREAT | os.O_WRONLY, 0o600), "wb") as f:
            f.write(b"\0" * 32)
        self.owner.cli("unlock", "--passphrase-file", self.word)
        self.assertTrue(os.path.exists(clear))
        os.unlink(clear)

    def test_block_list_behind_the_lock(self):
        """A list that could not be taken while locked is in force after."""
        blocked = self.lab.file("blocked", "")
        config = self.lab.file(
            "locked.yaml", "platform: {cek-blocklist: %s}\n" % blocked)
        self.owner.start(ready=False, config=config)
        self.owner.process.wait_line(r"ready: relay")
        self.owner.cli("unlock", "--passphrase-file", self.word)
        self.owner.cli("lock")
        self.lab.file("blocked", "%s\n" % fingerprint(
            os.path.join(harness.PLATFORM, "cek.cert")))
        seen = self.owner.process.mark()
        self.owner.cli("unlock", "--passphrase-file", self.word)
        self.owner.process.wait_line("1 CEKs are blocked for all", seen)
        self.lab.host("launch", *self.lab.guest(self.vm), ok=(1,))

    def test_disabled(self):
        self.owner.start(ready=False)
        self.owner.process.wait_line(r"ready: relay")
        self.owner.cli("unlock", "--passphrase-file", self.word)
        self.owner.cli("vm", "disable", "web1")
        self.assertIn(", disabled\n", self.owner.cli("vm", "list").stdout)
        self.assertIn("disabled ", self.owner.cli("vm", "show", "web1").stdout)
        self.lab.host("launch", *self.lab.guest(self.vm),
                      ok=(1, 2, 3, 77))
        self.assertIn("is disabled", self.owner.process.output())
        self.owner.cli("vm", "enable", "web1")
        self.lab.host("launch", *self.lab.guest(self.vm))

    def test_key_elsewhere(self):
        """A file of the owner's choice, or a credential of systemd."""
        other = self.lab.agent("other")
        other.cli("vm", "list")
        path = os.path.join(other.state, "seal.key")
        folder = self.lab.path("credentials")
        os.mkdir(folder)
        moved = os.path.join(folder, "attest-agent.seal")
        os.rename(path, moved)
        done = other.cli("vm", "list", ok=(1,))
        self.assertIn("seal.key is missing", done.stderr)
        other.cli("vm", "list",
                  env=dict(os.environ, CREDENTIALS_DIRECTORY=folder))
        other.cli("vm", "list",
                  env=dict(os.environ, ATTEST_AGENT_SEAL_FILE=moved))
        os.chmod(moved, 0o644)
        done = other.cli("vm", "list", ok=(2,),
                         env=dict(os.environ, ATTEST_AGENT_SEAL_FILE=moved))
        self.assertIn("mode 0644 lets others use", done.stderr)


if __name__ == "__main__":
    unittest.main(verbosity=2)
