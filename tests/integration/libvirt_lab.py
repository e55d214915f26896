"""A real libvirtd of our own, with the real QEMU and OVMF of Debian behind
tests/emulator, which plays the secure processor.

The daemon is a session daemon in folders of the lab: nothing of the machine's
own libvirt is read, written or started, no user and no service is needed.  As
root it runs as nobody, since libvirtd takes root for the system's daemon.
Without KVM: the guests are type='qemu' (TCG).
"""

import json
import os
import select
import shutil
import struct
import tempfile
import time
import uuid
from xml.sax.saxutils import escape, quoteattr

import harness

EMULATOR = os.path.join(harness.TESTBIN, "..", "emulator", "bin",
                        "qemu-system-x86_64")
OVMF = "/usr/share/ovmf/OVMF.fd"
NOBODY = 65534
# In OvmfPkg's memory layout a page that nothing uses, between the CPUID page
# and the temporary RAM of SEC: what lies there stays there.
AREA, AREA_LEN, HASHES_LEN = 0x80f000, 0x1000, 0x400
SECRET_GUID = uuid.UUID("4c2eb361-7d9b-4cc3-8081-127c90d3d294").bytes_le
HASHES_GUID = uuid.UUID("7255371f-3a3b-4b04-927b-1da6efa8d454").bytes_le


def ovmf_with_areas(to):
    """Debian's OVMF publishes areas of no bytes for the secret and for the
    hashes of a kernel; the build of OvmfPkg/AmdSev has places for them.  The
    same bytes, with such places."""
    with open(OVMF, "rb") as image:
        data = bytearray(image.read())
    for guid, place, room in ((SECRET_GUID, AREA, AREA_LEN - HASHES_LEN),
                              (HASHES_GUID, AREA + AREA_LEN - HASHES_LEN,
                               HASHES_LEN)):
        at = data.rfind(guid)
        base, size, length = struct.unpack_from("<IIH", data, at - 10)
        assert (base, size, length) == (0, 0, 26), (base, size, length)
        struct.pack_into("<II", data, at - 10, place, room)
    with open(to, "wb") as image:
        image.write(data)


def gone(pid):
    """Wait until a process has ended, by the kernel's word."""
    try:
        fd = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        poll = select.poll()
        poll.register(fd, select.POLLIN)
        return bool(poll.poll(harness.PATIENCE * 1000))
    finally:
        os.close(fd)


class Libvirtd:
    """The daemon, its folders, and the guests it started."""

    def __init__(self):
        self.root = tempfile.mkdtemp(prefix="attest-libvirt-")
        self.bin = self.at("bin")
        for name in ("bin", "config/libvirt", "cache", "data", "run"):
            os.makedirs(self.at(name))
        shutil.copy(EMULATOR, self.bin)
        self.use_platform(harness.PLATFORM)
        self.firmware = self.at("OVMF.fd")
        ovmf_with_areas(self.firmware)
        with open(self.at("config/libvirt/qemu.conf"), "w",
                  encoding="ascii") as conf:
            conf.write('stdio_handler = "file"\n')
        self.socket = self.at("run/libvirt/libvirt-sock")
        self.uri = "qemu+unix:///session?socket=" + self.socket
        self.process = None

    def at(self, name):
        return os.path.join(self.root, name)

    def own(self):
        """Everything here is the daemon's."""
        if os.getuid() != 0:
            return
        for base, folders, names in os.walk(self.root):
            for name in [".", *folders, *names]:
                os.chown(os.path.join(base, name), NOBODY, NOBODY,
                         follow_symlinks=False)

    def use_platform(self, folder):
        shutil.rmtree(os.path.join(self.bin, "platform"), ignore_errors=True)
        shutil.copytree(folder, os.path.join(self.bin, "platform"))

    def start(self):
        self.own()
        drop = []
        if os.getuid() == 0:
            drop = ["setpriv", "--reuid=%d" % NOBODY, "--regid=%d" % NOBODY,
                    "--clear-groups"]
        self.process = harness.Process("libvirtd", [
            *drop, "env", "-i", "PATH=%s:/usr/sbin:/usr/bin:/sbin:/bin"
            % self.bin, "HOME=" + self.root,
            "XDG_CONFIG_HOME=" + self.at("config"),
            "XDG_CACHE_HOME=" + self.at("cache"),
            "XDG_DATA_HOME=" + self.at("data"),
            "XDG_RUNTIME_DIR=" + self.at("run"), "libvirtd", "--pid-file",
            self.at("libvirtd.pid")], self.at("log"))
        deadline = time.monotonic() + harness.PATIENCE
        while self.virsh("uri", ok=None).returncode != 0:
            if time.monotonic() > deadline or \
                    self.process.child.poll() is not None:
                raise AssertionError("libvirtd: " + self.process.output())

    def kill(self):
        if self.process is not None:
            self.process.kill()
        self.process = None

    def virsh(self, *args, ok=(0,)):
        return harness.run(["virsh", "-q", "-c", self.uri, *args], ok=ok)

    def fault(self, text):
        """What is to go wrong with the next guests; "" for nothing, and
        who waits goes on."""
        path = os.path.join(self.bin, "fault")
        if not text:
            if os.path.exists(path):
                os.unlink(path)
            return
        with open(path, "w", encoding="ascii") as out:
            out.write(text)
        os.chmod(path, 0o644)

    def events(self):
        path = os.path.join(self.bin, "record")
        if not os.path.exists(path):
            return []
        with open(path, encoding="utf-8") as lines:
            return [json.loads(line) for line in lines]

    def event(self, name):
        """The last of that name, or None."""
        found = [e for e in self.events() if e["event"] == name]
        return found[-1] if found else None

    def forget(self):
        path = os.path.join(self.bin, "record")
        if os.path.exists(path):
            os.unlink(path)

    def xml(self, name, vm=None, policy="0x1", metadata="", extra="",
            firmware=None, security=True):
        """A domain as an operator writes it."""
        sec = ("<launchSecurity type='sev'><cbitpos>51</cbitpos>"
               "<reducedPhysBits>1</reducedPhysBits><policy>%s</policy>"
               "</launchSecurity>" % policy) if security else ""
        return """<domain type='qemu'>
  <name>%s</name>%s
  %s
  <memory unit='MiB'>128</memory>
  <memoryBacking><source type='memfd'/><access mode='shared'/></memoryBacking>
  <vcpu>1</vcpu>
  <os>
    <type arch='x86_64' machine='q35'>hvm</type>
    <loader readonly='yes' type='pflash' stateless='yes'>%s</loader>
    %s
  </os>
  <features><acpi/></features>
  <on_reboot>destroy</on_reboot>
  <devices><emulator>%s</emulator><memballoon model='none'/></devices>
  %s
</domain>
""" % (escape(name), "<uuid>%s</uuid>" % vm if vm else "", metadata,
            escape(firmware or self.firmware), extra,
            escape(os.path.join(self.bin, "qemu-system-x86_64")), sec)

    @staticmethod
    def service(url=None, vm=None):
        """The element that an operator puts into <metadata>."""
        attributes = ""
        if url:
            attributes += " url=" + quoteattr(url)
        if vm:
            attributes += " uuid=" + quoteattr(vm)
        return ("<metadata><attest:service xmlns:attest="
                "'urn:attest-relay:service:1'%s/></metadata>" % attributes)

    def memory(self, name, address, length):
        """Bytes of a guest's memory, by QEMU's word."""
        path = self.at("dump-" + uuid.uuid4().hex)
        self.virsh("qemu-monitor-command", name, json.dumps({
            "execute": "pmemsave", "arguments": {
                "val": address, "size": length, "filename": path}}))
        with open(path, "rb") as dump:
            data = dump.read()
        os.unlink(path)
        return data

    def close(self):
        for event in self.events():
            if event["event"] == "guest":
                try:
                    os.kill(event["pid"], 9)
                except ProcessLookupError:
                    pass
        self.kill()
        if not os.environ.get("KEEP"):
            shutil.rmtree(self.root)


def secret_of(memory):
    """The disk passphrase that a guest finds in its secret area, as Linux'
    efi_secret judges it: a table of GUID, length, data."""
    table = uuid.UUID("1e74f542-71dd-4d66-963e-ef4287ff173b").bytes_le
    disk = uuid.UUID("736869e5-84f0-4973-92ec-06879ce3da0b").bytes_le
    if memory[:16] != table:
        return None
    total, = struct.unpack_from("<I", memory, 16)
    at = 20
    while at + 20 <= total:
        length, = struct.unpack_from("<I", memory, at + 16)
        if memory[at:at + 16] == disk:
            return memory[at + 20:at + length].decode()
        at += length
    return None


def find(name, word):
    """The process of that name with that word in its command line."""
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open("/proc/%s/comm" % pid, encoding="utf-8") as comm, \
                    open("/proc/%s/cmdline" % pid, "rb") as line:
                if comm.read().strip() == name and \
                        word.encode() in line.read():
                    return int(pid)
        except OSError:
            continue
    raise AssertionError("no process %s" % name)


def tool(name):
    """Is the program there?  Its absence fails a test, and skips none."""
    if shutil.which(name, path="/usr/sbin:/usr/bin:/sbin:/bin") is None:
        raise AssertionError("%s is missing: deploy/packages.sh install test"
                             % name)


def check_tools():
    for name in ("libvirtd", "virsh", "qemu-system-x86_64", "setpriv"):
        tool(name)
