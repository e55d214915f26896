"""deploy/guest: a LUKS volume opened with the launch secret, with a folder in
the place of securityfs."""

import os
import shutil
import subprocess
import tempfile
import unittest

import harness

GUEST = os.path.join(harness.SOURCE, "deploy", "guest")
KEYSCRIPT = os.path.join(GUEST, "initramfs-tools", "attest-keyscript")
HOOK = os.path.join(GUEST, "initramfs-tools", "hooks", "attest-luks")
BOTTOM = os.path.join(GUEST, "initramfs-tools", "scripts", "init-bottom",
                      "attest-luks")
DRACUT = os.path.join(GUEST, "dracut", "90attest-luks")
GUID = "736869e5-84f0-4973-92ec-06879ce3da0b"
# An initramfs of Debian has the second or the third, dracut's the last.
SHELLS = (["dash"], ["busybox", "sh"], ["bash"])


def has_device_mapper():
    try:
        os.close(os.open("/dev/mapper/control", os.O_RDWR))
        return True
    except OSError:
        return False


class Guest(unittest.TestCase):
    """An initramfs to be, in a folder."""

    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.mkdtemp(prefix="attest-guest-")
        cls.addClassCleanup(shutil.rmtree, cls.folder)
        cls.passphrase = harness.new_passphrase()
        cls.volume = os.path.join(cls.folder, "volume")
        with open(cls.volume, "wb") as out:
            out.truncate(20 << 20)
        # A fast key derivation: it is not what is tested.
        cls.cryptsetup("luksFormat", "-q", "--type", "luks2", "--pbkdf",
                       "pbkdf2", "--pbkdf-force-iterations", "1000",
                       cls.volume, "-", key=cls.passphrase.encode())

    @staticmethod
    def cryptsetup(*args, key=b"", ok=0):
        done = subprocess.run(["/usr/sbin/cryptsetup", *args], input=key,
                              capture_output=True, timeout=harness.PATIENCE,
                              check=False)
        assert done.returncode == ok, done.stderr
        return done

    def setUp(self):
        self.secrets = os.path.join(self.folder, "coco")
        self.keys = os.path.join(self.folder, "keys")
        for name in self.secrets, self.keys:
            shutil.rmtree(name, ignore_errors=True)
        os.mkdir(self.secrets)
        self.file = os.path.join(self.secrets, GUID)
        self.asked = os.path.join(self.folder, "asked")
        if os.path.exists(self.asked):
            os.unlink(self.asked)
        self.askpass = os.path.join(self.folder, "askpass")
        self.write(self.askpass, '#!/bin/sh\necho "$1" >"%s"\n'
                   'printf typed\n' % self.asked)
        os.chmod(self.askpass, 0o755)

    def write(self, path, data):
        with open(path, "wb") as out:
            out.write(data if isinstance(data, bytes) else data.encode())

    def secret(self, data):
        self.write(self.file, data)

    def env(self, **more):
        return {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "ATTEST_LIB": GUEST,
                "ATTEST_SECRETS": self.secrets, "ATTEST_KEYS": self.keys,
                "ATTEST_ASKPASS": self.askpass, **more}

    def sh(self, shell, *args, ok=0, **more):
        done = subprocess.run([*shell, *args], env=self.env(**more),
                              stdin=subprocess.DEVNULL, capture_output=True,
                              timeout=harness.PATIENCE, check=False)
        self.assertEqual(done.returncode, ok, done.stderr)
        self.assertNotIn(self.passphrase.encode(), done.stderr)
        return done.stdout

    def assert_opens(self, key, ok=0):
        """As an initramfs does it; without a device mapper, as far as that."""
        if ok != 0 or not has_device_mapper():
            self.cryptsetup("open", "--test-passphrase", "--key-file", "-",
                            self.volume, key=key, ok=ok)
            return
        name = "attest-guest-%d" % os.getpid()
        self.cryptsetup("open", "--key-file", "-", self.volume, name, key=key)
        self.cryptsetup("close", name)


class Secret(Guest):
    def test_padding_is_no_part_of_it(self):
        want = self.passphrase.encode()
        for data in (want, want + b"\n", want + bytes(100),
                     want + b"\n" + bytes(7)):
            for shell in SHELLS:
                with self.subTest(shell=shell, data=data):
                    self.secret(data)
                    key = self.sh(shell, os.path.join(GUEST, "attest-secret"),
                                  "show")
                    self.assertEqual(key, want)
                    self.assert_opens(key)

    def test_none(self):
        for data in None, b"", bytes(16):
            for shell in SHELLS:
                with self.subTest(shell=shell, data=data):
                    if data is not None:
                        self.secret(data)
                    self.assertEqual(b"", self.sh(
                        shell, os.path.join(GUEST, "attest-secret"), "show",
                        ok=1))

    def test_wipe(self):
        for shell in SHELLS:
            self.secret(self.passphrase)
            other = os.path.join(self.secrets, "another")
            self.write(other, "x")
            for _ in range(2):
                self.sh(shell, os.path.join(GUEST, "attest-secret"), "wipe")
                self.assertEqual(os.listdir(self.secrets), ["another"])

    def test_usage(self):
        self.sh(["dash"], os.path.join(GUEST, "attest-secret"), ok=2)


class InitramfsTools(Guest):
    def keyscript(self, shell, **more):
        return self.sh(shell, KEYSCRIPT, CRYPTTAB_NAME="root", **more)

    def test_secret_opens(self):
        for shell in SHELLS:
            self.secret(self.passphrase.encode() + bytes(32))
            self.assert_opens(self.keyscript(shell, CRYPTTAB_TRIED="0"))
            self.assertFalse(os.path.exists(self.asked))
            # The root is open.
            self.sh(shell, BOTTOM)
            self.assertFalse(os.path.exists(self.file))

    def test_none_is_asked_for(self):
        for shell in SHELLS:
            self.assertEqual(self.keyscript(shell), b"typed")
            with open(self.asked, encoding="ascii") as words:
                self.assertIn("root", words.read())

    def test_one_that_does_not_fit_is_asked_for(self):
        self.secret("another")
        key = self.keyscript(["dash"], CRYPTTAB_TRIED="0")
        self.assert_opens(key, ok=2)
        self.assertEqual(self.keyscript(["dash"], CRYPTTAB_TRIED="1"),
                         b"typed")

    def test_hook(self):
        self.assertEqual(self.sh(["dash"], HOOK, "prereqs"), b"cryptroot\n")
        self.assertEqual(self.sh(["dash"], BOTTOM, "prereqs"), b"")
        functions = os.path.join(self.folder, "hook-functions")
        self.write(functions, 'copy_exec() { echo "copy $*"; }\n'
                   'manual_add_modules() { echo "modules $*"; }\n')
        self.assertEqual(
            self.sh(["dash"], HOOK, ATTEST_HOOK_FUNCTIONS=functions),
            b"copy /usr/lib/attest-relay/attest-secret\n"
            b"modules efi_secret\n")


class Dracut(Guest):
    def keys_for(self, crypttab, cmdline):
        table = os.path.join(self.folder, "crypttab")
        line = os.path.join(self.folder, "cmdline")
        self.write(table, crypttab)
        self.write(line, cmdline)
        for shell in SHELLS:
            shutil.rmtree(self.keys, ignore_errors=True)
            self.sh(shell, os.path.join(DRACUT, "attest-luks-key"),
                    ATTEST_CRYPTTAB=table, ATTEST_CMDLINE=line)
            yield sorted(os.listdir(self.keys))

    def test_key_file_of_each_volume(self):
        self.secret(self.passphrase.encode() + b"\n" + bytes(3))
        for names in self.keys_for(
                "# comment\n\nroot UUID=1 none luks\ndata UUID=2 - luks\n"
                "../../tmp/x UUID=3\nlast UUID=4",
                "quiet rd.luks.name=123=swap rd.luks.uuid=luks-45 "
                "rd.luks.uuid=67 root=/dev/mapper/root\n"):
            self.assertEqual(names, [
                "data.key", "last.key", "luks-45.key", "luks-67.key",
                "root.key", "swap.key"])
            path = os.path.join(self.keys, "root.key")
            self.assertEqual(os.stat(path).st_mode & 0o777, 0o600)
            with open(path, "rb") as key:
                self.assert_opens(key.read())

    def test_none_is_asked_for(self):
        for names in self.keys_for("root UUID=1 none luks\n", "quiet\n"):
            self.assertEqual(names, [])

    def test_wiped_when_the_root_is_open(self):
        self.secret(self.passphrase)
        for _ in self.keys_for("root UUID=1\n", ""):
            pass
        self.sh(["bash"], "-c", ". " + os.path.join(
            DRACUT, "attest-luks-wipe.sh"))
        self.assertEqual(os.listdir(self.keys), [])
        self.assertFalse(os.path.exists(self.file))

    def test_module(self):
        """dracut's calls, by functions that say so."""
        said = self.sh(["bash"], "-ec", """
            require_binaries() { echo "wants $*"; }
            instmods() { echo "module $*"; }
            inst_script() { echo "script $*"; }
            inst_simple() { echo "file $*"; }
            inst_hook() { echo "hook $*"; }
            SYSTEMCTL=true moddir=%s systemdsystemunitdir=/usr/lib/systemd
            initdir=/x; . "$moddir/module-setup.sh"
            check || [ $? = 255 ]; depends; installkernel; install
        """ % DRACUT).decode()
        self.assertIn("module efi_secret", said)
        self.assertIn("hook pre-pivot 50", said)
        # What is installed is there.
        for line in said.splitlines():
            kind, path, *_ = line.split()
            if kind in ("script", "file") and path.startswith("/usr/lib/a"):
                path = path.replace("/usr/lib/attest-relay", GUEST)
            if kind in ("script", "file"):
                self.assertTrue(os.path.exists(path), path)


class Scripts(unittest.TestCase):
    def test_shellcheck(self):
        scripts = [os.path.join(GUEST, "attest-secret"), KEYSCRIPT, HOOK,
                   BOTTOM, os.path.join(harness.SOURCE, "docs", "integration",
                                        "virsh.sh")]
        scripts += [os.path.join(DRACUT, name) for name in (
            "module-setup.sh", "attest-luks-key", "attest-luks-wipe.sh")]
        harness.run(["shellcheck", *scripts])
        for path in scripts:
            self.assertTrue(os.access(path, os.X_OK), path)


del Guest

if __name__ == "__main__":
    unittest.main(verbosity=2)
