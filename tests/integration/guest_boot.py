"""A guest that boots Debian's kernel with an initramfs of initramfs-tools and
deploy/guest, and opens its encrypted root; in QEMU without KVM, by hand:

    apt-get download linux-image-6.1.0-56-cloud-amd64
    GUEST_KERNEL=$PWD/linux-image-*.deb ... python3 -m unittest guest_boot.py

That kernel has no efi_secret, and a real table of secrets takes a secure
processor: a script of the test puts a file into the place of the kernel's.
"""

import os
import re
import subprocess
import tempfile
import unittest
import uuid

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

import guest_lab
import harness

KERNEL = os.environ.get("GUEST_KERNEL", "")
SECTOR, OFFSET, ROOT_LEN = 512, 16 << 20, 8 << 20
PATIENCE = 600  # nothing but QEMU's own translation, on a busy machine

INIT = r"""
#include <stdio.h>
#include <sys/reboot.h>
#include <unistd.h>

int
main(void)
{
	const char *left = "/sys/kernel/security/secrets/coco/"
	    "736869e5-84f0-4973-92ec-06879ce3da0b";

	printf("the root is open, the secret is %s\n",
	    access(left, F_OK) == 0 ? "still there" : "gone");
	fflush(stdout);
	return reboot(RB_POWER_OFF);
}
"""

# What efi_secret would show, from the kernel's command line.
PUT_SECRET = r"""#!/bin/sh
[ "$1" != prereqs ] || exit 0
for word in $(cat /proc/cmdline); do
    case $word in
    test.secret=*)
        mount -t tmpfs tmpfs /sys/kernel/security
        mkdir -p /sys/kernel/security/secrets/coco
        printf %s "${word#*=}" \
            >/sys/kernel/security/secrets/coco/736869e5-84f0-4973-92ec-06879ce3da0b
        ;;
    esac
done
"""

MORE = r"""
for name in virtio_pci virtio_blk dm_mod dm_crypt xts; do
    echo "$name" >>/etc/initramfs-tools/modules
done
install -m 755 /out/put-secret /etc/initramfs-tools/scripts/init-premount/
"""


@unittest.skipUnless(KERNEL, "GUEST_KERNEL is not set")
class Boot(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.mkdtemp(prefix="attest-boot-")
        cls.addClassCleanup(guest_lab.free, cls.folder)
        cls.passphrase = harness.new_passphrase()
        cls.volume = str(uuid.uuid4())
        harness.run(["dpkg", "-x", KERNEL, cls.at("k")])
        cls.version, = os.listdir(cls.at("k/lib/modules"))
        os.mkdir(cls.at("out"))
        with open(cls.at("out/put-secret"), "w", encoding="ascii") as script:
            script.write(PUT_SECRET)
        kernel = ("set -eu\ncp '%s/boot/'* /boot\nmkdir -p /lib/modules\n"
                  "cp -r '%s/lib/modules/'* /lib/modules\ndepmod %s\n" % (
                      cls.at("k"), cls.at("k"), cls.version))
        guest_lab.initramfs_tools(
            cls.folder, "root UUID=%s none luks,initramfs,keyscript="
            "/usr/lib/attest-relay/attest-keyscript" % cls.volume,
            kernel, cls.version, MORE)
        cls.make_disk()

    @classmethod
    def at(cls, name):
        return os.path.join(cls.folder, name)

    @classmethod
    def make_disk(cls):
        """A root of one program.  Without a device mapper its sectors are
        encrypted here, as dm-crypt does it (aes-xts-plain64)."""
        os.makedirs(cls.at("root/sbin"))
        for name in "dev", "proc", "sys", "run":
            os.mkdir(cls.at("root/" + name))
        with open(cls.at("init.c"), "w", encoding="ascii") as source:
            source.write(INIT)
        harness.run(["gcc", "-static", "-o", cls.at("root/sbin/init"),
                     cls.at("init.c")])
        harness.run(["/usr/sbin/mke2fs", "-q", "-t", "ext4", "-d",
                     cls.at("root"), cls.at("plain"), str(ROOT_LEN >> 10)])
        key = os.urandom(64)
        with open(cls.at("key"), "wb") as out:
            out.write(key)
        with open(cls.at("disk"), "wb") as disk:
            disk.truncate(OFFSET + ROOT_LEN)
        subprocess.run(
            ["/usr/sbin/cryptsetup", "luksFormat", "-q", "--type", "luks2",
             "--uuid", cls.volume, "--volume-key-file", cls.at("key"),
             "--key-size", "512", "--cipher", "aes-xts-plain64",
             "--sector-size", str(SECTOR), "--offset", str(OFFSET // SECTOR),
             "--pbkdf", "pbkdf2", "--pbkdf-force-iterations", "1000",
             cls.at("disk"), "-"], input=cls.passphrase.encode(), check=True)
        with open(cls.at("plain"), "rb") as plain, \
                open(cls.at("disk"), "r+b") as disk:
            disk.seek(OFFSET)
            for n in range(ROOT_LEN // SECTOR):
                data = Cipher(algorithms.AES(key), modes.XTS(
                    n.to_bytes(16, "little"))).encryptor()
                disk.write(data.update(plain.read(SECTOR)))

    def boot(self, *words):
        process = subprocess.Popen(
            ["qemu-system-x86_64", "-machine", "q35", "-accel", "tcg",
             "-cpu", "max", "-m", "512", "-nographic", "-no-reboot",
             "-nic", "none", "-kernel",
             self.at("k/boot/vmlinuz-" + self.version), "-initrd",
             self.at("out/image"), "-append", " ".join((
                 "console=ttyS0 quiet panic=-1 root=/dev/mapper/root ro",
                 *words)),
             "-drive", "if=virtio,format=raw,snapshot=on,file="
             + self.at("disk")],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT)
        self.addCleanup(process.stdin.close)
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        return process

    def wait_for(self, process, pattern):
        seen = b""
        while not re.search(pattern, seen):
            more = os.read(process.stdout.fileno(), 4096)
            self.assertTrue(more, seen.decode("utf-8", "replace"))
            seen += more
        return seen

    def test_opened_by_the_secret(self):
        process = self.boot("test.secret=" + self.passphrase)
        seen = self.wait_for(process, rb"the root is open, the secret is gone")
        self.assertNotIn(b"Please unlock", seen)
        self.assertEqual(process.wait(PATIENCE), 0)

    def test_asked_for(self):
        """There is none, or it does not fit."""
        for words in (), ("test.secret=another",):
            with self.subTest(words=words):
                process = self.boot(*words)
                self.wait_for(process, rb"Please unlock disk root: ")
                process.stdin.write(self.passphrase.encode() + b"\n")
                process.stdin.flush()
                self.wait_for(process, rb"the root is open")
                self.assertEqual(process.wait(PATIENCE), 0)


if __name__ == "__main__":
    unittest.main(verbosity=2)
