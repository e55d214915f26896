"""The owner's word: asked for, waited for, given from any shell."""

import contextlib
import json
import os
import pty
import re
import signal
import subprocess
import termios
import threading
import unittest

import agent_case
import harness


class Ask(harness.LabTest):
    add_args = ("--approve", "always")

    def start_host(self, *args, name="host", verb="launch"):
        return harness.Process(
            "compute-host",
            [os.path.join(harness.TESTBIN, "compute-host"), verb,
             *self.lab.guest(self.vm), *args], self.lab.path(name + ".log"))

    def question(self, seen=0):
        """The number of the next one asked behind the mark."""
        return self.owner.process.wait_line(r"#(\d+) asked: ", seen).group(1)

    def post(self, body, *args):
        """As any other client; (status, headers, body)."""
        return self.lab.curl("/vm/%s/launch" % self.vm,
                             json.dumps(body).encode(), *args)

    def events(self):
        lines = self.owner.cli("log", "show", "--json").stdout.splitlines()
        return [json.loads(line)["event"] for line in lines]

    def watch(self, *args, columns=0):
        """On a terminal: the process, and the other end of that."""
        child, fd = pty.fork()
        if child == 0:
            termios.tcsetwinsize(0, (25, columns))
            os.execv(os.path.join(harness.BIN, "attest-agent"),
                     ["attest-agent", "--state", self.owner.state, "watch",
                      "--no-notify", *args])
        return child, fd

    def finish(self, host):
        self.assertEqual(host.wait(), 0, host.output())
        self.assertIn(self.passphrase, host.output())


class AtLaunch(Ask):
    def test_approved(self):
        """PENDING keeps the host waiting until somebody says yes."""
        host = self.start_host()
        self.owner.cli("approve", self.question())
        self.finish(host)
        self.assertEqual(self.events()[1:],
                         ["asked", "approved", "launch", "released"])

    def test_word_is_for_one_launch(self):
        host = self.start_host()
        self.owner.cli("approve", self.question())
        self.finish(host)
        seen = self.owner.process.mark()
        host = self.start_host(name="second")
        self.owner.cli("approve", self.question(seen))
        self.finish(host)

    def test_denied(self):
        host = self.start_host()
        asked = self.question()
        self.owner.cli("deny", asked)
        self.assertNotEqual(host.wait(), 0)
        self.assertIn("refused", host.output())
        self.assertNotIn("released", self.events())
        # The word holds, and is said once.
        done = self.owner.cli("approve", asked, ok=(1,))
        self.assertIn("answered already", done.stderr)
        self.lab.host("launch", *self.lab.guest(self.vm), ok=(1, 2, 3))
        self.assertEqual(self.events().count("asked"), 1)

    def ask_twice(self):
        """Two hosts that wait, and the numbers of their questions."""
        other = self.owner.add("web2", self.passphrase, "--approve", "always",
                               vm="11111111-1111-4111-8111-111111111111")
        self.lab.relay.stop()
        self.lab.start_relay({"acme": (self.owner, [self.vm, other])})
        self.owner.process.wait_line(r"2 VMs claimed")
        first = self.start_host()
        one = self.question()
        seen = self.owner.process.mark()
        vm, self.vm = self.vm, other
        second = self.start_host(name="second")
        two = self.question(seen)
        self.vm = vm
        return (first, one), (second, two)

    def test_two_questions_at_once(self):
        """Each has a number; the answers may come in any order."""
        (first, one), (second, two) = self.ask_twice()
        self.assertNotEqual(one, two)
        self.owner.cli("approve", two)
        self.finish(second)
        self.owner.cli("approve", one)
        self.finish(first)

    def test_no_such_question(self):
        done = self.owner.cli("approve", "999", ok=(1,))
        self.assertIn("no question has number 999", done.stderr)
        self.owner.cli("approve", "x", ok=(2,))

    def test_watch_lines(self):
        """JSON without being asked for it, where there is no terminal."""
        watch = harness.Process(
            "watch", [os.path.join(harness.BIN, "attest-agent"), "--state",
                      self.owner.state, "watch", "--after", "0"],
            self.lab.path("watch.log"))
        watch.wait_line(r'"event":"register"')
        host = self.start_host()
        found = watch.wait_line(r'(\{"id":.*)')
        ask = json.loads(found.group(1))
        self.assertEqual(ask["kind"], "launch")
        self.assertIn("chain ok", ask["verified"])
        self.owner.cli("approve", str(ask["id"]))
        self.finish(host)
        watch.wait_line(r'"event":"released"')
        watch.kill()

    def test_desktop_is_told(self):
        """With nothing of a host's in it, and nobody waits for it."""
        told = self.lab.path("told")
        program = self.lab.path("notify-send")
        with open(program, "w", encoding="ascii") as out:
            out.write('#!/bin/sh\nprintf "%%s|" "$@" >%s.new\n'
                      'mv %s.new %s\nread -r never <%s\n'
                      % (told, told, told, self.lab.path("fifo")))
        os.chmod(program, 0o755)
        os.mkfifo(self.lab.path("fifo"))
        watch = harness.Process(
            "watch", [os.path.join(harness.BIN, "attest-agent"), "--state",
                      self.owner.state, "watch", "--json", "--after", "0"],
            self.lab.path("watch.log"),
            env=dict(os.environ, PATH="%s:%s" % (self.lab.folder,
                                                 os.environ["PATH"])))
        self.addCleanup(watch.kill)
        watch.wait_line(r'"event":"register"')
        host = self.start_host()
        asked = self.question()
        watch.wait_line(r'\{"id":%s' % asked)
        self.owner.cli("approve", asked)
        self.finish(host)
        watch.wait_line(r'"event":"released"')
        with open(self.lab.path("fifo"), "w", encoding="ascii"):
            pass
        with open(told, encoding="ascii") as words:
            self.assertEqual(
                words.read(), "--app-name=attest-agent|attest-agent: your "
                "word is wanted|attest-agent approve %s, or deny|" % asked)

    def test_watch_prompts(self):
        """On a terminal: what is verified apart from what a host claims; No
        is the default."""
        child, fd = self.watch()
        try:
            agent_case.read_until(fd, b"WHAT")
            host = self.start_host()
            shown = agent_case.read_until(fd, b"[y/N] ")
            self.assertIn(b"verified ", shown)
            os.write(fd, b"y\n")
            self.finish(host)
            row = agent_case.read_until(fd, b"measurement matches")
            self.assertRegex(row, rb"\n\d\d:\d\d:\d\d  released    %s  "
                             % self.vm[:8].encode())
            seen = self.owner.process.mark()
            host = self.start_host(name="second")
            agent_case.read_until(fd, b"[y/N] ")
            os.write(fd, b"\n")
            self.assertNotEqual(host.wait(), 0)
            self.owner.process.wait_line(r"denied: ", seen)
        finally:
            os.kill(child, 9)
            os.waitpid(child, 0)
            os.close(fd)

    def test_typed_ahead(self):
        """T30: a word typed before its question was shown is for no one."""
        hosts = {number: host for host, number in self.ask_twice()}
        child, fd = self.watch()
        try:
            first = self.prompted(fd)
            os.write(fd, b"y\ny\n")
            second = self.prompted(fd)
            self.assertEqual({first, second}, set(hosts))
            self.finish(hosts[first])
            os.write(fd, b"\n")
            self.owner.process.wait_line("denied: question " + second)
            self.assertNotEqual(hosts[second].wait(), 0)
        finally:
            os.kill(child, 9)
            os.waitpid(child, 0)
        os.close(fd)

    def prompted(self, fd):
        shown = agent_case.read_until(fd, b"[y/N] ")
        return re.search(rb"Approve question (\d+)", shown).group(1).decode()

    def ask_as(self, claims):
        """Another launch by a host that says this of itself."""
        host = self.start_host("--out", self.lab.path("guest"),
                               verb="step-launch")
        self.owner.cli("approve", self.question())
        self.assertEqual(host.wait(), 0, host.output())
        with open(self.lab.path("guest"), encoding="utf-8") as saved:
            body = json.loads(json.load(saved)["launch"]["request"])
        body["host"] = claims
        seen = self.owner.process.mark()
        threading.Thread(target=self.post, args=(body,), daemon=True).start()
        self.question(seen)

    def test_claims_keep_to_their_column(self):
        """T30: a host that knows the terminal's width draws no line."""
        words = "Question 99: launch; verified: all is well "
        self.ask_as({"name": " " * 48 + words + " " * 80 + words})
        for columns, indent in (80, 32), (40, 8):
            child, fd = self.watch("--after", "0", columns=columns)
            shown = agent_case.read_until(fd, b"[y/N] ").decode()
            os.kill(child, 9)
            os.waitpid(child, 0)
            os.close(fd)
            lines = shown.replace("\r", "").split("\n")
            self.assertLessEqual(max(map(len, lines)), columns)
            self.assertIn("all is well",
                          shown.replace("\r\n" + " " * indent, ""))
            for line in lines:
                if "verified: " in line or "Question 99" in line:
                    self.assertEqual(line[:indent].strip(), "", line)

    def test_terminal_goes_away(self):
        """Without SIGHUP, too: nobody reads it for ever."""
        with self.ignoring_hangup():
            child, fd = self.watch()
        agent_case.read_until(fd, b"WHAT")
        os.close(fd)
        self.assertEqual(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), 1)

    def test_nobody_reads(self):
        """What SIGPIPE does not end ends by itself."""
        reader, writer = os.pipe()
        os.close(reader)
        done = subprocess.run(
            [os.path.join(harness.BIN, "attest-agent"), "--state",
             self.owner.state, "watch", "--json", "--after", "0"],
            stdout=writer, stderr=subprocess.PIPE, text=True, check=False,
            timeout=harness.PATIENCE, preexec_fn=lambda: signal.signal(
                signal.SIGPIPE, signal.SIG_IGN))
        os.close(writer)
        self.assertEqual(done.returncode, 1)
        self.assertIn("watch: stdout cannot be written", done.stderr)

    @staticmethod
    @contextlib.contextmanager
    def ignoring_hangup():
        """As nohup has it for what is started meanwhile."""
        old = signal.signal(signal.SIGHUP, signal.SIG_IGN)
        try:
            yield
        finally:
            signal.signal(signal.SIGHUP, old)

    def test_terminal_escapes(self):
        """T30: what a host claims reaches no terminal as it is."""
        self.ask_as({"name": "cn\x1b[2J\x07\u202e", "tool": "\x9bx\t"})
        child, fd = self.watch("--after", "0")
        shown = agent_case.read_until(fd, b"[y/N] ")
        os.kill(child, 9)
        os.waitpid(child, 0)
        os.close(fd)
        self.assertIn(b"CLAIMED BY HOST", shown)
        self.assertEqual([c for c in shown if c < 32 and c not in b"\r\n" or
                          c > 126], [])


class AtRelease(Ask):
    add_args = ("--approve", "first-use", "--approve-at", "release")

    def test_first_use(self):
        host = self.start_host()
        self.owner.cli("approve", self.question())
        self.finish(host)
        self.assertEqual(self.events()[1:],
                         ["launch", "asked", "approved", "released"])
        self.finish(self.start_host(name="second"))
        self.assertEqual(self.events().count("asked"), 1)


class Confirm(Ask):
    add_args = ("--max-instances", "1", "--then", "confirm")

    def test_one_more(self):
        """C8: at the limit the owner decides, and is told in the log."""
        self.finish(self.start_host())
        host = self.start_host(name="second")
        self.owner.cli("approve", self.question())
        self.finish(host)
        seen = self.owner.process.mark()
        host = self.start_host(name="third")
        self.owner.cli("deny", self.question(seen))
        self.assertNotEqual(host.wait(), 0)
        self.assertEqual(self.events().count("released"), 2)
        self.assertEqual(self.events().count("over-limit"), 1)


class Bounded(Ask):
    wait = "10s"

    def setUp(self):
        super().setUp()
        self.owner.stop()
        path = self.lab.file("agent.yaml", "approval:\n  wait: %s\n" % self.wait)
        self.owner.start(config=path)
        host = self.start_host("--out", self.lab.path("guest"),
                               verb="step-launch")
        self.owner.cli("approve", self.question())
        self.assertEqual(host.wait(), 0, host.output())
        with open(self.lab.path("guest"), encoding="utf-8") as saved:
            self.body = json.loads(json.load(saved)["launch"]["request"])

    def test_patience_ends(self):
        """503 approval-pending, Retry-After; her late word is remembered for
        the next try."""
        seen = self.owner.process.mark()
        status, headers, body = self.post(self.body)
        self.assertEqual(status, 503)
        self.assertIn(b"approval-pending", body)
        self.assertIn("retry-after", headers)
        self.owner.cli("approve", self.question(seen))
        self.assertEqual(self.post(self.body)[0], 200)

    def test_same_key_in_progress(self):
        """docs/protocol.md 7: 409 while the first one waits."""
        key = ("-H", 'Idempotency-Key: "k1"')
        seen = self.owner.process.mark()
        first = []
        thread = threading.Thread(
            target=lambda: first.append(self.post(self.body, *key)))
        thread.start()
        asked = self.question(seen)
        status, _, body = self.post(self.body, *key)
        self.assertEqual(status, 409, body)
        self.assertIn(b"in-progress", body)
        other = dict(self.body, api_note="x")
        self.assertEqual(self.post(other, *key)[0], 422)
        self.owner.cli("approve", asked)
        thread.join()
        again = self.post(self.body, *key)
        self.assertEqual(again[0], 200)
        if first[0][0] == 200:
            self.assertEqual(first[0][2], again[2])


if __name__ == "__main__":
    unittest.main(verbosity=2)
