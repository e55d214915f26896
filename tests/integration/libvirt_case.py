"""One real libvirtd, one relay and one owner, for tests of attest-launch start;
see libvirt_lab.py."""

import json
import os
import secrets
import time
import unittest

import harness
import libvirt_lab

LAUNCH = os.path.join(harness.BIN, "attest-launch")
NETLAB = os.path.join(harness.SOURCE, "deploy", "netlab.sh")
# A call of QEMU's that libvirt makes while it starts a guest.
IN_START = "query-cpus-fast"
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


# What classes share that want the same; closed with the module.
places = {}


class Place:
    """One daemon, one relay and one owner, and how it all ends."""

    def __init__(self, add_args, at_end):
        self.host = libvirt_lab.Libvirtd()
        at_end(self.host.close)
        self.host.start()
        self.lab, net = lab()
        if net is not None:
            at_end(harness.run, [NETLAB, "down", net])
        at_end(self.lab.close)
        os.chmod(self.lab.token_file, 0o600)
        self.owner = self.lab.agent()
        self.passphrase = harness.new_passphrase()
        self.vm = self.owner.add("web1", self.passphrase, *CEK, *add_args,
                                 firmware=self.host.firmware)
        self.lab.start_relay({"acme": (self.owner, [self.vm])})
        self.owner.start()


class LibvirtTest(unittest.TestCase):
    add_args = ()
    shared = True

    @classmethod
    def setUpClass(cls):
        libvirt_lab.check_tools()
        if not cls.shared:
            place = Place(cls.add_args, cls.addClassCleanup)
        elif "shared" not in places:
            unittest.addModuleCleanup(places.clear)
            place = Place(cls.add_args, unittest.addModuleCleanup)
            places["shared"] = place
        else:
            place = places["shared"]
        cls.host, cls.lab, cls.owner = place.host, place.lab, place.owner
        cls.passphrase, cls.vm = place.passphrase, place.vm

    def setUp(self):
        self.host.forget()
        self.host.fault("")
        self.name = "web-" + secrets.token_hex(3)
        self.state_folder = self.lab.path("launches-" + self.name)

    def file(self, xml):
        return self.lab.file(self.name + ".xml", xml)

    def launches(self):
        """Where attest-launch keeps those under way; a killed one may be
        kept for longer than its test."""
        return self.state_folder

    def command(self, *flags, reach=None):
        return [*self.lab.on("compute"), LAUNCH, "start", "--connect",
                self.host.uri, "--state", self.launches(),
                *(self.lab.reach() if reach is None else reach), *flags]

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

    def wait_no_guest(self):
        """libvirt ends what AUTODESTROY says when it sees the connection
        closed, and nobody waits for that."""
        deadline = time.monotonic() + harness.PATIENCE
        while self.name in self.host.virsh("list", "--all").stdout:
            self.assertLess(time.monotonic(), deadline)
        self.assert_no_guest()

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
        if os.path.exists(self.launches()):
            self.assertEqual(os.listdir(self.launches()), [])
        return end
