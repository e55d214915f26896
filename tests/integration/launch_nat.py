"""Issue 6.12: the owner behind a NAT that forgets her."""

import os
import secrets
import unittest

import harness
from launch_first import opened

NETLAB = os.path.join(harness.SOURCE, "deploy", "netlab.sh")


class Nat(unittest.TestCase):
    def setUp(self):
        if harness.run([NETLAB, "check"], ok=None).returncode != 0:
            self.skipTest("needs root and network namespaces")
        self.net = "t" + secrets.token_hex(3)
        harness.run([NETLAB, "up", self.net])
        self.addCleanup(harness.run, [NETLAB, "down", self.net])
        self.lab = harness.NetLab(self.net)
        self.addCleanup(self.lab.close)
        self.passphrase = harness.new_passphrase()
        self.owner = self.lab.agent()
        self.vm = self.owner.add("web1", self.passphrase)
        # Pings often enough for a test to wait for a death.
        self.lab.start_relay({"acme": (self.owner, [self.vm])},
                             "timeouts:\n  ping: 1s\n")
        self.owner.start()

    def launch(self):
        done = self.lab.host("launch", *self.lab.guest(self.vm))
        self.assertEqual(opened(done), self.passphrase)

    def test_lost_mapping(self):
        self.launch()
        # Nobody reaches the owner from outside.
        probe = harness.run(
            [NETLAB, "exec", self.net, "edge", "/usr/bin/python3", "-c",
             "import socket\n"
             "try: socket.create_connection(('198.51.100.2', 22), 1)\n"
             "except OSError: print('closed')"])
        self.assertIn("closed", probe.stdout)
        for _ in range(2):
            seen = self.owner.process.mark()
            harness.run([NETLAB, "forget", self.net])
            self.owner.wait_ready(seen)
            self.launch()

    def test_mapping_lost_under_a_waiting_host(self):
        """The request waits, or comes again; the launch is not lost."""
        harness.run([NETLAB, "forget", self.net])
        self.launch()


if __name__ == "__main__":
    unittest.main(verbosity=2)
