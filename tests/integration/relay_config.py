"""attest-relay's command line, its configuration and its privileges."""

import ctypes
import os
import re
import unittest

import harness
from harness import BIN, run
from relay_case import RelayCase

RELAY = os.path.join(BIN, "attest-relay")


class Words(unittest.TestCase):
    def test_help_and_version(self):
        done = run([RELAY, "--help"])
        self.assertIn("usage: attest-relay", done.stdout)
        self.assertEqual(max(len(line) for line in done.stdout.split("\n")) <=
                         80, True)
        self.assertRegex(run([RELAY, "--version"]).stdout,
                         r"^attest-relay \d+\.\d+\.\d+ \(OpenSSL .*\)\n$")

    def test_usage_errors(self):
        for args in (["--no-such"], ["extra"], ["--config"]):
            done = run([RELAY, *args], ok=(2,))
            self.assertEqual(done.stdout, "")
            self.assertIn("usage: attest-relay", done.stderr)
            self.assertIn("--help tells more", done.stderr)
            self.assertIn(args[0].lstrip("-"), done.stderr)
            self.assertLessEqual(len(done.stderr.splitlines()), 3)

    def test_the_example_is_current(self):
        with open(os.path.join(harness.SOURCE, "relay.yaml.example"),
                  encoding="utf-8") as example:
            self.assertEqual(run([RELAY, "--example"]).stdout, example.read())


class Check(RelayCase):
    def start(self, extra=None):
        self.path = self.lab.relay_config(self.tenants())

    def edit(self, old, new):
        with open(self.path, encoding="utf-8") as f:
            text = f.read()
        self.assertIn(old, text)
        with open(self.path, "w", encoding="utf-8") as f:
            f.write(text.replace(old, new, 1))

    def test_a_good_one(self):
        done = run([RELAY, "--config", self.path, "--check"])
        self.assertEqual(done.stdout, "%s: good: 1 tenants, 1 tokens\n" %
                         self.path)
        # Certificates of these tests last two days.
        self.assertRegex(done.stderr, r"^(\S+ warn  (public|internal)\."
                         r"certificate ends in [12] days\n){2}$")

    def test_what_is_good_and_hurts(self):
        cert, key = self.lab.ca.issue("ended", ["DNS:localhost"], days=-1)
        self.edit("certificate: " + self.lab.server[0], "certificate: " + cert)
        self.edit("key: " + self.lab.server[1], "key: " + key)
        self.edit("auth: [mtls, bearer]", "auth: []")
        done = run([RELAY, "--config", self.path, "--check"])
        self.assertIn("public.certificate has expired", done.stderr)
        self.assertIn("hosts.auth is empty: no host is let in", done.stderr)

    def test_all_errors_with_their_places(self):
        self.edit("base: /sev", "base: sev\nlistne: 1")
        self.edit("auth: [mtls, bearer]", "auth: [mtls, magic]")
        self.edit("    vms: [", "    vms: [web1, ")
        done = run([RELAY, "--config", self.path, "--check"], ok=(1,))
        lines = done.stderr.splitlines()
        self.assertGreaterEqual(len(lines), 3)
        for line in lines:
            self.assertRegex(line, r"^%s:\d+:\d+: error: " %
                             re.escape(self.path))
        self.assertIn(":2:7: error: base", done.stderr)
        self.assertIn(":3:1: error: ", done.stderr)

    def test_no_file(self):
        done = run([RELAY, "--config", self.path + ".none", "--check"],
                   ok=(1,))
        self.assertIn("No such file", done.stderr)

    def test_a_port_that_is_taken(self):
        import socket
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            s.listen()
            self.edit('listen: ["127.0.0.1:0"]',
                      'listen: ["127.0.0.1:%d"]' % s.getsockname()[1])
            done = run([RELAY, "--config", self.path], ok=(1,))
            self.assertIn("listen on 127.0.0.1:", done.stderr)
            self.assertIn("in use", done.stderr)


class Privileges(RelayCase):
    def status(self, name, task=""):
        with open("/proc/%d/%sstatus" % (self.lab.relay.child.pid, task),
                  encoding="ascii") as lines:
            for line in lines:
                if line.startswith(name + ":"):
                    return line.split()[1:]
        raise AssertionError(name)

    def test_it_does_not_run_as_root(self):
        self.assertNotIn("0", self.status("Uid"))
        self.assertNotIn("0", self.status("Gid"))
        self.assertNotIn("0", self.status("Groups"))
        self.assertEqual(self.status("NoNewPrivs"), ["1"])

    def test_it_is_in_its_sandbox(self):
        """A filter of system calls for each thread, and Landlock where the
        kernel has it."""
        tasks = os.listdir("/proc/%d/task" % self.lab.relay.child.pid)
        self.assertGreater(len(tasks), 1)
        for task in tasks:
            self.assertEqual(self.status("Seccomp", "task/%s/" % task), ["2"])
        # landlock_create_ruleset(2), asked which version there is.
        version = ctypes.CDLL(None).syscall(444, None, 0, 1)
        self.lab.relay.wait_line("sandbox: seccomp on, landlock %s$" %
                                 ("on" if version > 0 else "off"))

    @unittest.skipIf(os.geteuid() != 0, "only root can become another")
    def test_a_user_that_is_root_or_nobody_known(self):
        for user, says in (("root", "does not run as root"),
                           ("no-such-user", "no such user")):
            path = self.lab.relay_config(self.tenants(), "user: " + user)
            self.lab.relay.stop()
            for more in ([], ["--check"]):
                done = run([RELAY, "--config", path, *more], ok=(1,))
                self.assertRegex(done.stderr, r"^%s:\d+:\d+: error: user: "
                                 r"user %s: .*%s" % (path, user, says))
            self.assertFalse(os.path.exists(self.lab.path("made.state")))

    @unittest.skipIf(os.geteuid() != 0, "only root makes what others cannot")
    def test_a_state_that_its_user_cannot_write(self):
        path = self.lab.relay_config(self.tenants())
        self.lab.relay.stop()
        os.chown(self.lab.path("relay.state"), 0, 0)
        done = run([RELAY, "--config", path], ok=(1,))
        self.assertRegex(done.stderr, r"relay\.state/relay\.db: .*Permission "
                         "denied")


if __name__ == "__main__":
    unittest.main()
