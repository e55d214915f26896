"""Planned restarts under launches: real agents, real hosts, no launch lost.

RESTART_SECONDS is how long launches begin (default: a few restarts), and
RESTART_RATE how many a second, each when it is due, whatever became of the
others, on one of RESTART_HOSTS hosts; RESTART_EVERY the seconds between two
restarts.  The figures are printed.  At length: tests/bench/run.sh restarts.
"""

import json
import os
import shutil
import signal
import time
import unittest

import harness

SECONDS = int(os.environ.get("RESTART_SECONDS", "6"))
EVERY = float(os.environ.get("RESTART_EVERY", "2.5"))
AGENTS = int(os.environ.get("RESTART_AGENTS", "4"))
VMS = 16
HOSTS = int(os.environ.get("RESTART_HOSTS", "32"))
RATE = int(os.environ.get("RESTART_RATE", "40"))


class Restart(unittest.TestCase):
    """Several owners with a few VMs each, and hosts that launch them."""

    def setUp(self):
        self.lab = harness.Lab()
        self.addCleanup(self.lab.close)
        self.old = []
        self.addCleanup(lambda: [p.kill() for p in self.old])
        tenants, lines = {}, []
        for i in range(AGENTS):
            owner = self.lab.agent("owner%d" % i)
            vms = []
            for k in range(VMS // AGENTS):
                secret = harness.new_passphrase()
                vms.append(owner.add("web%d" % k, secret))
                lines.append(vms[-1] + " " + secret)
            tenants["t%d" % i] = (owner, vms)
        self.config = self.lab.relay_config(tenants, self.extra())
        self.lab.run_relay(self.config)
        # The same ports for all that follow.
        self.config = self.lab.relay_config(tenants, self.extra())
        for owner in self.lab.agents.values():
            owner.start()
        self.vm = lines[0].split()[0]
        self.vms = self.lab.file("vms", "\n".join(lines) + "\n")

    @staticmethod
    def extra():
        # All hosts are one address, and wait together for their agent.
        return ("limits:\n  held-per-source: 1000\n"
                "  queue-per-source: 1000\n  queue: 1000\n"
                "  connections-per-address: 4000\n"
                "  handshakes-per-block: 4000\n")

    def load(self, *args):
        """Hosts in the background, as long as SECONDS."""
        return harness.Process(
            "hosts", [os.path.join(harness.TESTBIN, "compute-host"), "launch",
                      *self.lab.reach(), "--uuid-file", self.vms,
                      "--platform", harness.PLATFORM, "--firmware",
                      harness.FIRMWARE, "--chain", "signed", "--hosts",
                      str(HOSTS), "--seconds", str(SECONDS), "--rate",
                      str(RATE), "--json", *args],
            os.path.join(self.lab.folder, "hosts.log"))

    def take_over(self):
        old = self.lab.relay
        self.old.append(old)
        new = self.lab.run_relay(self.config, "--takeover")
        new.wait_line("taken over: hosts are accepted")
        self.assertNotIn("was another process's", new.output())
        old.wait_line("draining")

    def restart(self):
        old = self.lab.relay
        self.old.append(old)
        old.child.send_signal(signal.SIGTERM)
        old.wait_line("draining")
        self.lab.run_relay(self.config)

    def under_load(self, act, *args):
        """act() every EVERY seconds until the hosts are done."""
        hosts = self.load(*args)
        began, times = time.monotonic(), 0
        while times < 2 or not hosts.ends_within(
                began + times * EVERY - time.monotonic()):
            act()
            times += 1
        hosts.wait(SECONDS + harness.PATIENCE)
        result = json.loads(hosts.lines[-1])
        print("%s: %d times in %.0f s: %s" % (
            self.id().split(".")[-1], times, time.monotonic() - began,
            {k: result[k] for k in ("begun", "late", "ok", "lost", "mixed-up",
                                    "retries", "statuses", "seconds",
                                    "launches-per-s", "latency-ms")
             if k in result}))
        self.assertEqual(result["begun"], SECONDS * RATE)
        self.assertGreater(result["seconds"], SECONDS - 1)
        self.assertEqual(result["lost"], 0, result)
        self.assertEqual(result["mixed-up"], 0, result)
        for old in self.old:
            self.assertEqual(old.wait(), 0, old.output()[-3000:])
        self.old = []
        return result

    def test_takeover_keepalive(self):
        """Nothing fails, and nothing had to be sent again."""
        result = self.under_load(self.take_over)
        self.assertEqual(result["retries"], 0, result)

    def test_takeover_fresh_connections(self):
        result = self.under_load(self.take_over, "--no-keepalive")
        self.assertEqual(result["retries"], 0, result)

    def test_a_new_one_that_dies(self):
        """The old one goes on, and can be taken over again."""
        if os.geteuid() == 0:
            # Not root any more, it makes its sockets there anew.
            shutil.chown(self.lab.folder, "nobody")
        old = self.lab.relay
        self.old.append(old)
        for agent in self.lab.agents.values():
            agent.process.child.send_signal(signal.SIGSTOP)
        dying = self.lab.run_relay(self.config, "--takeover")
        old.wait_line("takes over: agents move there")
        dying.kill()
        old.wait_line("who took over is gone: serving on")
        mark = old.mark()
        for agent in self.lab.agents.values():
            agent.process.child.send_signal(signal.SIGCONT)
        status, _, _ = self.lab.curl(
            "/vm/%s/launch" % self.vm, b"{}")
        self.assertEqual(status, 422)
        self.assertNotIn("draining", "\n".join(old.lines[mark:]))
        self.lab.relay = old
        self.old.remove(old)
        self.take_over()
        self.assertEqual(old.wait(), 0, old.output()[-3000:])

    def test_nobody_to_take_over_from(self):
        self.assertEqual(self.lab.relay.stop(), 0)
        self.lab.run_relay(self.config, "--takeover").wait_line(
            "no relay runs: nothing to take over")

    @unittest.skipUnless(os.geteuid() == 0, "becomes another user")
    def test_other_users_are_refused(self):
        """Listeners and ticket keys are for our own user."""
        path = os.path.join(self.lab.folder, "takeover.sock")
        os.chmod(self.lab.folder, 0o755)
        os.chmod(path, 0o777)
        done = harness.run(
            ["setpriv", "--reuid=65533", "--clear-groups", "/usr/bin/python3",
             "-c",
             "import socket, struct, sys\n"
             "s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)\n"
             "s.connect(sys.argv[1])\n"
             "try:\n"
             "    s.send(struct.pack('>BI', 1, 2))\n"
             "    print('got', len(s.recv(100)))\n"
             "except ConnectionError:\n"
             "    print('got 0')\n", path])
        self.assertEqual(done.stdout, "got 0\n")
        self.lab.relay.wait_line("refused: the other relay is run by user")

    def test_restart(self):
        """Without a successor at hand: hosts that retry lose nothing."""
        self.under_load(self.restart)


if __name__ == "__main__":
    unittest.main(verbosity=2)
