"""attest-launch start: the real libvirtd, QEMU and OVMF, the real relay, and
the real agent behind a NAT."""

import json
import os
import secrets
import unittest
import uuid

import harness
import libvirt_lab

LAUNCH = os.path.join(harness.BIN, "attest-launch")
NETLAB = os.path.join(harness.SOURCE, "deploy", "netlab.sh")
CEK = ("--cek", os.path.join(harness.PLATFORM, "cek.cert"))


def lab():
    """The four hosts of deploy/netlab.sh; on a machine that does not let us
    make them the same on loopback, without the NAT."""
    if harness.run([NETLAB, "check"], ok=None).returncode != 0:
        print("no network namespaces here: the owner is behind no NAT")
        return harness.Lab(), None
    net = "t" + secrets.token_hex(3)
    harness.run([NETLAB, "up", net])
    return harness.NetLab(net), net


class LibvirtTest(unittest.TestCase):
    """One daemon, one relay and one owner for all tests of a class."""

    @classmethod
    def setUpClass(cls):
        libvirt_lab.check_tools()
        cls.host = libvirt_lab.Libvirtd()
        cls.addClassCleanup(cls.host.close)
        cls.host.start()
        cls.lab, net = lab()
        if net is not None:
            cls.addClassCleanup(harness.run, [NETLAB, "down", net])
        cls.addClassCleanup(cls.lab.close)
        os.chmod(cls.lab.token_file, 0o600)
        cls.owner = cls.lab.agent()
        cls.passphrase = harness.new_passphrase()
        cls.vm = cls.owner.add("web1", cls.passphrase, *CEK,
                               firmware=cls.host.firmware)
        cls.lab.start_relay({"acme": (cls.owner, [cls.vm])})
        cls.owner.start()

    def setUp(self):
        self.host.forget()
        self.host.fault("")
        self.name = "web-" + secrets.token_hex(3)

    def file(self, xml):
        return self.lab.file(self.name + ".xml", xml)

    def command(self, *flags, reach=None):
        return [*self.lab.on("compute"), LAUNCH, "start", "--connect",
                self.host.uri, *(self.lab.reach() if reach is None else reach),
                *flags]

    def launch(self, *flags, ok=(0,), reach=None):
        return harness.run(self.command("--json", *flags, reach=reach), ok=ok)

    def background(self, *flags):
        process = harness.Process("launch", self.command(*flags),
                                  self.lab.path("launch.log"))
        self.addCleanup(process.kill)
        return process

    def destroy(self):
        self.host.virsh("destroy", self.name, ok=None)
        self.host.virsh("undefine", self.name, ok=None)

    def state(self):
        return self.host.virsh("domstate", self.name,
                               ok=None).stdout.strip()

    def assert_opened(self, passphrase=None):
        want = passphrase or self.passphrase
        self.assertEqual(self.host.event("injected")["secret"], want)
        # What the running guest itself finds where its firmware says.
        memory = self.host.memory(self.name, libvirt_lab.AREA,
                                  libvirt_lab.AREA_LEN)
        self.assertEqual(libvirt_lab.secret_of(memory), want)

    def assert_no_guest(self):
        """Not for libvirt, and not for the kernel."""
        self.assertNotIn(self.name, self.host.virsh("list", "--all",
                                                    "--name").stdout)
        self.assertIsNone(self.host.event("running"))
        guest = self.host.event("guest")
        if guest is not None:
            self.assertTrue(libvirt_lab.gone(guest["pid"]))
            self.assertTrue(libvirt_lab.gone(guest["qemu"]))

    def fails(self, status, says, *flags, xml=None, reach=None):
        done = self.launch(self.file(xml or self.host.xml(self.name, self.vm)),
                           *flags, ok=(status,), reach=reach)
        end = json.loads(done.stdout.splitlines()[-1])
        self.assertEqual((end["step"], end["exit"]), ("end", status))
        self.assertIn(says, end["message"])
        self.assertNotIn(self.passphrase, done.stdout + done.stderr)
        self.assert_no_guest()
        return end


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
        guest = self.host.event("guest")
        self.assertTrue(guest["paused"])
        # It stays defined, without the session of this launch.
        self.host.virsh("destroy", self.name)
        xml = self.host.virsh("dumpxml", "--inactive", self.name).stdout
        self.assertNotIn("<session>", xml)
        self.assertNotIn("attest", xml)


if __name__ == "__main__":
    unittest.main(verbosity=2)
