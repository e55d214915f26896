"""docs/integration: what is shown there works, on the real libvirtd."""

import os
import time
import unittest

import harness
from libvirt_case import IN_START, LibvirtTest

EXAMPLES = os.path.join(harness.SOURCE, "docs", "integration")


class Example(LibvirtTest):
    # What libvirt would take for another one if it came in decimal.
    add_args = ("--policy", "0xb")

    def command(self, *args):
        return [*self.lab.on("compute"), "env",
                "PATH=%s:%s" % (harness.BIN, os.environ["PATH"]),
                "LIBVIRT_DEFAULT_URI=" + self.host.uri,
                *args]

    def other_firmware(self):
        path = self.host.at("other.fd")
        with open(self.host.firmware, "rb") as image:
            data = bytearray(image.read())
        data[5000] ^= 1
        with open(path, "wb") as image:
            image.write(data)
        return path


class Virsh(Example):
    def script(self, ok=(0,)):
        return harness.run(self.command(
            os.path.join(EXAMPLES, "virsh.sh"), self.name, self.vm,
            *self.lab.reach()), ok=ok)

    def test_virsh(self):
        self.addCleanup(self.destroy)
        self.host.virsh("define", self.file(
            self.host.xml(self.name, self.vm)))
        self.script()
        self.assertEqual(self.state(), "running")
        self.assert_opened()

    def test_virsh_leaves_no_guest(self):
        self.addCleanup(self.destroy)
        self.host.virsh("define", self.file(self.host.xml(
            self.name, self.vm, firmware=self.other_firmware())))
        done = self.script(ok=(1,))
        self.assertIn("measurement-mismatch", done.stderr)
        self.assertEqual(self.state(), "shut off")
        self.assertIsNone(self.host.event("running"))


    def test_virsh_ended_while_libvirt_starts_it(self):
        self.addCleanup(self.destroy)
        self.host.virsh("define", self.file(
            self.host.xml(self.name, self.vm)))
        self.host.fault(IN_START + "=@wait")
        process = harness.Process("virsh.sh", self.command(
            os.path.join(EXAMPLES, "virsh.sh"), self.name, self.vm,
            *self.lab.reach()), self.lab.path("launch.log"))
        self.addCleanup(process.kill)
        deadline = time.monotonic() + harness.PATIENCE
        while self.host.event("guest") is None:
            self.assertLess(time.monotonic(), deadline)
        process.child.terminate()
        self.host.fault("")
        self.assertEqual(process.wait(), 1)
        self.assertEqual(self.state(), "shut off")


class Python(Example):
    def program(self, **xml):
        path = self.file(self.host.xml(self.name, self.vm, **xml))
        process = harness.Process("launch.py", self.command(
            "/usr/bin/python3", os.path.join(EXAMPLES, "launch.py"), path,
            self.vm, self.lab.service(), self.lab.ca.cert,
            self.lab.token_file), self.lab.path("launch.log"))
        self.addCleanup(process.kill)
        return process

    def test_python(self):
        process = self.program()
        process.wait_line("^running$")
        self.assertEqual(self.state(), "running")
        self.assert_opened()
        self.host.virsh("destroy", self.name)
        process.wait()

    def test_python_leaves_no_guest(self):
        process = self.program(firmware=self.other_firmware())
        self.assertEqual(process.wait(), 1)
        self.assertIn("measurement-mismatch", process.output())
        self.wait_no_guest()

    def test_it_is_as_short_as_promised(self):
        with open(os.path.join(EXAMPLES, "launch.py"),
                  encoding="ascii") as lines:
            self.assertLessEqual(len(lines.readlines()), 60)


del LibvirtTest, Example

if __name__ == "__main__":
    unittest.main(verbosity=2)
