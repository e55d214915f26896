"""Initramfs images of Debian's own tools, with deploy/guest installed as its
README says: in a copy of this machine's root that only the copy's processes
see (overlayfs in a mount namespace), so that nothing is changed here."""

import os
import re
import shutil
import subprocess

import harness

GUEST = os.path.join(harness.SOURCE, "deploy", "guest")
VERSION = "6.1.0-attest"  # a kernel of one module

# $1: a folder for the copy, $2: what comes and goes, $3: what runs inside.
COPY = r"""
set -eu
mount -t tmpfs tmpfs "$1"
mkdir "$1/upper" "$1/work" "$1/root"
mount -t overlay overlay -o \
    "lowerdir=/,upperdir=$1/upper,workdir=$1/work" "$1/root"
mkdir "$1/root/out"
mount --bind "$2" "$1/root/out"
for shared in proc sys dev; do
    mount --rbind "/$shared" "$1/root/$shared"
done
exec chroot "$1/root" sh -c "$3"
"""

# A module that modprobe and depmod take for one.
KERNEL = r"""
set -eu
mkdir -p /lib/modules/%(version)s/kernel /boot
cd /lib/modules/%(version)s
echo 'static const char l[] __attribute__((section(".modinfo"), used)) =
    "license=GPL";' >/out/module.c
gcc -c -o kernel/efi_secret.ko /out/module.c
: >modules.builtin; : >modules.order; : >modules.builtin.modinfo
depmod %(version)s
printf 'CONFIG_BLK_DEV_INITRD=y\nCONFIG_RD_GZIP=y\n' >/boot/config-%(version)s
""" % {"version": VERSION}

# What runs in an image finds the devices of an initramfs, but no console.
INSIDE = r"""
mkdir -p "$1/dev"
for name in null random urandom; do
    : >>"$1/dev/$name"
    mount --bind "/dev/$name" "$1/dev/$name"
done
exec chroot "$@"
"""


def namespaces():
    return ["unshare", "--mount", *(["--map-root-user"]
                                    if os.getuid() != 0 else [])]


def installed(heading):
    """The commands of a section of the README, up to the one that makes the
    image."""
    with open(os.path.join(GUEST, "README.md"), encoding="utf-8") as text:
        section = re.search(r"^## %s.*?\n(.*?)^## |\Z" % re.escape(heading),
                            text.read() + "\n## ", re.M | re.S).group(1)
    lines = [line.strip() for line in re.findall(r"^    (.*)$", section, re.M)]
    end = next(i for i, line in enumerate(lines)
               if re.match(r"update-initramfs|dracut", line))
    return "set -eu\ncd '%s'\n%s\n" % (GUEST, "\n".join(lines[:end]))


class Image:
    """One image, and the files in it under self.tree."""

    def __init__(self, folder, script):
        self.out = os.path.join(folder, "out")
        self.tree = os.path.join(self.out, "tree")
        place = os.path.join(folder, "copy")
        for path in folder, self.out, place:
            os.makedirs(path, exist_ok=True)
        done = subprocess.run(
            [*namespaces(), "sh", "-c", COPY, "sh", place, self.out,
             script + "\nunmkinitramfs /out/image /out/tree\n"],
            capture_output=True, text=True, timeout=5 * harness.PATIENCE)
        self.said = done.stdout + done.stderr
        assert done.returncode == 0, self.said
        # With microcode in front of it.
        if os.path.isdir(os.path.join(self.tree, "main")):
            self.tree = os.path.join(self.tree, "main")

    def at(self, path):
        return os.path.join(self.tree, path.lstrip("/"))

    def find(self, path):
        """Links of the image lead to places in it."""
        done = self.run(["sh", "-c", 'test -e "$1"', "sh", path], ok=None)
        return done.returncode == 0

    def command(self, args):
        return [*namespaces(), "sh", "-ec", INSIDE, "sh", self.tree, *args]

    def start(self, args, stdin=subprocess.PIPE, **env):
        return subprocess.Popen(
            self.command(args), stdin=stdin, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, env={
                "PATH": "/usr/sbin:/usr/bin:/sbin:/bin", **env})

    def run(self, args, ok=0, key=b"", **env):
        with self.start(args, **env) as process:
            out, err = process.communicate(key, harness.PATIENCE)
        done = subprocess.CompletedProcess(args, process.returncode, out, err)
        if ok is not None:
            assert done.returncode == ok, (args, done)
        return done

    def write(self, path, data):
        os.makedirs(os.path.dirname(self.at(path)), exist_ok=True)
        with open(self.at(path), "wb") as out:
            out.write(data)

    def remove(self, path):
        if os.path.exists(self.at(path)):
            os.unlink(self.at(path))


def initramfs_tools(folder, crypttab, kernel=KERNEL, version=VERSION, more=""):
    """mkinitramfs, with the modules that are asked for and no others."""
    return Image(folder, kernel + installed("Debian, Ubuntu") + more + """
cat >/etc/crypttab <<'TABLE'
%s
TABLE
sed -i 's/^MODULES=.*/MODULES=list/; s/^COMPRESS=.*/COMPRESS=gzip/' \\
    /etc/initramfs-tools/initramfs.conf
mkinitramfs -o /out/image %s
""" % (crypttab, version))


def dracut(folder):
    """dracut, with what the module depends on."""
    return Image(folder, KERNEL + installed("Fedora, RHEL, SUSE") + """
dracut --no-hostonly --no-early-microcode --modules "attest-luks base dash" \\
    --gzip -f /out/image %s
""" % VERSION)


def free(folder):
    shutil.rmtree(folder)
