"""deploy/guest in images of the real initramfs-tools and dracut: what is in
them, and that it works with what is in them and nothing else."""

import os
import pty
import select
import subprocess
import tempfile
import unittest

import guest_lab
import harness

SECRET = ("/sys/kernel/security/secrets/coco/"
          "736869e5-84f0-4973-92ec-06879ce3da0b")
LIB = "/usr/lib/attest-relay/"
MODULE = "/usr/lib/modules/%s/kernel/efi_secret.ko" % guest_lab.VERSION


class ImageTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        if harness.run([*guest_lab.namespaces(), "true"],
                       ok=None).returncode != 0:
            raise unittest.SkipTest("no mount namespaces here")
        cls.folder = tempfile.mkdtemp(prefix="attest-initramfs-")
        cls.addClassCleanup(guest_lab.free, cls.folder)
        cls.passphrase = harness.new_passphrase().encode()
        cls.image = cls.make(os.path.join(cls.folder, "i"))

    def volume(self):
        volume = os.path.join(self.folder, "volume")
        with open(volume, "wb") as out:
            out.truncate(20 << 20)
        subprocess.run(
            ["/usr/sbin/cryptsetup", "luksFormat", "-q", "--type", "luks2",
             "--pbkdf", "pbkdf2", "--pbkdf-force-iterations", "1000", volume,
             "-"], input=self.passphrase, check=True, capture_output=True)
        return volume


class InitramfsTools(ImageTest):
    @classmethod
    def make(cls, folder):
        return guest_lab.initramfs_tools(
            folder, "root UUID=%s none luks,initramfs,keyscript=%s" % (
                "b4f1a5b2-0f5f-4d1a-8a0c-0f1b2c3d4e5f",
                LIB + "attest-keyscript"))

    def setUp(self):
        self.image.remove(SECRET)

    def test_what_is_in_it(self):
        for path in (LIB + "attest-secret", LIB + "attest-keyscript", MODULE,
                     "/scripts/init-bottom/attest-luks",
                     "/lib/cryptsetup/askpass", "/sbin/cryptsetup"):
            self.assertTrue(self.image.find(path), path)
        # Called after the root is open, and by its name.
        with open(self.image.at("/scripts/init-bottom/ORDER"),
                  encoding="ascii") as order:
            self.assertIn("/scripts/init-bottom/attest-luks", order.read())
        with open(self.image.at("/cryptroot/crypttab"),
                  encoding="ascii") as table:
            self.assertIn("keyscript=" + LIB + "attest-keyscript",
                          table.read())

    def test_secret_opens(self):
        self.image.write(SECRET, self.passphrase + bytes(32))
        key = self.image.run([LIB + "attest-keyscript"], CRYPTTAB_NAME="root",
                             CRYPTTAB_TRIED="0").stdout
        self.assertEqual(key, self.passphrase)
        # By the image's own cryptsetup.
        os.rename(self.volume(), self.image.at("/volume"))
        os.makedirs(self.image.at("/run/cryptsetup"), exist_ok=True)
        self.image.run(["cryptsetup", "open", "--test-passphrase",
                        "--key-file", "-", "/volume"], key=key)
        self.image.run(["/scripts/init-bottom/attest-luks"])
        self.assertFalse(self.image.find(SECRET))

    def wait_prompt(self, fd):
        seen = b""
        while b"unlock disk root: " not in seen:
            ready, _, _ = select.select([fd], [], [], harness.PATIENCE)
            self.assertTrue(ready, seen)
            more = os.read(fd, 4096)
            self.assertTrue(more, seen)
            seen += more

    def test_none_is_asked_for(self):
        """By cryptsetup's real askpass, at a terminal."""
        for tried, secret in (("0", None), ("1", b"does not fit")):
            with self.subTest(tried=tried):
                if secret is not None:
                    self.image.write(SECRET, secret)
                terminal, other = pty.openpty()
                self.addCleanup(os.close, terminal)
                self.addCleanup(os.close, other)
                with self.image.start(
                        [LIB + "attest-keyscript"], stdin=other,
                        CRYPTTAB_NAME="root", CRYPTTAB_TRIED=tried) as asks:
                    self.addCleanup(asks.kill)
                    self.wait_prompt(asks.stderr.fileno())
                    os.write(terminal, b"typed\n")
                    key, _ = asks.communicate(timeout=harness.PATIENCE)
                    self.assertEqual(key, b"typed")


class Dracut(ImageTest):
    @classmethod
    def make(cls, folder):
        return guest_lab.dracut(folder)

    def test_what_is_in_it(self):
        for path in (LIB + "attest-secret", LIB + "attest-luks-key", MODULE,
                     "/usr/lib/dracut/hooks/pre-pivot/50-attest-luks-wipe.sh",
                     "/usr/lib/systemd/systemd-cryptsetup",
                     "/usr/lib/systemd/system/attest-luks-key.service",
                     "/usr/lib/systemd/system/cryptsetup-pre.target",
                     "/etc/systemd/system/sysinit.target.wants/"
                     "attest-luks-key.service"):
            self.assertTrue(self.image.find(path) or os.path.islink(
                self.image.at(path)), path)

    def test_secret_opens(self):
        self.image.write(SECRET, self.passphrase + b"\n" + bytes(3))
        self.image.write("/proc/cmdline", b"quiet rd.luks.uuid=12\n")
        self.image.run([LIB + "attest-luks-key"])
        # Its systemd-cryptsetup has no trial; the file is the whole key.
        harness.run(["/usr/sbin/cryptsetup", "open", "--test-passphrase",
                     "--key-file",
                     self.image.at("/run/cryptsetup-keys.d/luks-12.key"),
                     self.volume()])
        self.image.run(["sh", "-c", ". /usr/lib/dracut/hooks/pre-pivot/"
                        "50-attest-luks-wipe.sh"])
        self.assertFalse(self.image.find(SECRET))
        self.assertEqual(os.listdir(self.image.at("/run/cryptsetup-keys.d")),
                         [])

    def test_none_is_asked_for(self):
        self.image.remove(SECRET)
        self.image.write("/proc/cmdline", b"rd.luks.uuid=12\n")
        done = self.image.run([LIB + "attest-luks-key"])
        self.assertIn(b"the passphrase is asked for", done.stderr)
        self.assertEqual(os.listdir(self.image.at("/run/cryptsetup-keys.d")),
                         [])


del ImageTest

if __name__ == "__main__":
    unittest.main(verbosity=2)
