"""T2: CEKs on a block-list are refused, and lists are read as they change."""

import os
import unittest

import harness
from launch_first import opened


def fingerprint(cert):
    """SHA-256 of algorithm, curve, Qx and Qy: 152 bytes from offset 12."""
    with open(cert, "rb") as data:
        key = data.read()[12:12 + 152]
    return harness.hashlib.sha256(key).hexdigest()


class BlockList(harness.LabTest):
    CEK = os.path.join(harness.PLATFORM, "cek.cert")

    def write(self, name, text):
        """As an editor does it: another file takes the name."""
        path = self.lab.path(name)
        self.lab.file(name + ".new", text)
        os.rename(path + ".new", path)
        return path

    def launch(self, vm, ok):
        return self.lab.host("launch", *self.lab.guest(vm), ok=ok)

    def wait_log(self, pattern, since):
        return self.owner.process.wait_line(pattern, since)

    def test_for_all_vms(self):
        path = self.write("blocked", "# nobody yet\n\n")
        config = self.lab.file(
            "agent.yaml", "platform: {cek-blocklist: %s}\n" % path)
        env = dict(os.environ, XDG_CONFIG_HOME=self.lab.path("config"))
        os.makedirs(self.lab.path("config/attest-agent"))
        os.rename(config, self.lab.path("config/attest-agent/agent.yaml"))
        self.owner.stop()
        saved = dict(os.environ)
        os.environ.update(env)
        self.addCleanup(os.environ.update, saved)
        self.owner.start()
        self.assertEqual(opened(self.launch(self.vm, (0,))), self.passphrase)
        mark = self.owner.process.mark()
        self.write("blocked", "%s # leaked\n" % fingerprint(self.CEK).upper())
        self.wait_log("blocklist: 1 CEKs are blocked for all", mark)
        self.launch(self.vm, (1,))
        self.assertIn("block-list", self.owner.cli("explain").stdout)
        # What cannot be read leaves in force what was read last.
        mark = self.owner.process.mark()
        self.write("blocked", "not a fingerprint\n")
        self.wait_log("line 1: want the 64 hex digits", mark)
        self.launch(self.vm, (1,))
        mark = self.owner.process.mark()
        self.write("blocked", "")
        self.wait_log("blocklist: 0 CEKs", mark)
        self.assertEqual(opened(self.launch(self.vm, (0,))), self.passphrase)
        # One that was never there is no list: the agent does not serve.
        self.owner.stop()
        os.unlink(self.lab.path("blocked"))
        process = self.owner.start(ready=False)
        process.wait_line("CEK block-list .*blocked: ")
        self.assertEqual(process.wait(), 1)
        self.owner.process = None

    def test_of_one_vm(self):
        path = self.write("mine", fingerprint(self.CEK) + "\n")
        other = self.owner.add("web2", "other", "--cek-blocklist", path)
        self.lab.relay.kill()
        seen = self.owner.process.mark()
        self.lab.start_relay({"acme": (self.owner, [self.vm, other])})
        self.owner.wait_ready(seen)
        self.wait_log("blocklist: 1 CEKs are blocked", 0)
        self.launch(other, (1,))
        self.assertEqual(opened(self.launch(self.vm, (0,))), self.passphrase)
        mark = self.owner.process.mark()
        self.write("mine", "# " + fingerprint(self.CEK) + "\n")
        self.wait_log("blocklist: 0 CEKs", mark)
        self.assertEqual(opened(self.launch(other, (0,))), "other")
        # A restart says nothing new.
        self.owner.stop()
        os.unlink(path)
        self.owner.start()
        self.assertEqual(opened(self.launch(other, (0,))), "other")


if __name__ == "__main__":
    unittest.main(verbosity=2)
