#!/usr/bin/python3
"""Generated launches, judged by Debian's virt-qemu-sev-validate and by us.

launches.py OURS VERBS FIXTURES

Firmware x kernel set x command line x vCPUs 1..64 x CPU models x policy: each
launch that we compute must satisfy the tool, and each one changed by a byte
must be refused by both.  Secrets made by each side must open by the other's
rules.  The tool's file is imported once; a few cases go through its command
line for the exit codes.  Everything is drawn from a fixed seed.
"""
import base64
import hashlib
import importlib.machinery
import importlib.util
import json
import os
import random
import subprocess
import sys
import tempfile
import uuid

TOOL = "/usr/bin/virt-qemu-sev-validate"
OURS, VERBS, FIXTURES = sys.argv[1:]
LAUNCHES = 640  # each number of vCPUs ten times
ES = 4

MODELS = [[23, 1, 2], [23, 49, 0], [25, 1, 1], [25, 17, 0], [25, 17, 1],
          [26, 0, 0], [15, 107, 1]]
CMDLINES = ["", " ", "console=ttyS0", "  quiet  ro ", "label=größe",
            "root=/dev/mapper/root " + "x" * 1800]

rng = random.Random(20220218)


def load_tool():
    loader = importlib.machinery.SourceFileLoader("validate", TOOL)
    spec = importlib.util.spec_from_loader("validate", loader)
    module = importlib.util.module_from_spec(spec)
    sys.dont_write_bytecode = True
    loader.exec_module(module)
    return module


class Ours:
    """The JSON-speaking program."""

    def __init__(self):
        self.child = subprocess.Popen([OURS], stdin=subprocess.PIPE,
                                      stdout=subprocess.PIPE, text=True)

    def ask(self, op, **request):
        self.child.stdin.write(json.dumps(dict(request, op=op)) + "\n")
        self.child.stdin.flush()
        return json.loads(self.child.stdout.readline())

    def good(self, op, **request):
        answer = self.ask(op, **request)
        assert "error" not in answer, (answer, request)
        return answer

    def close(self):
        self.child.stdin.close()
        assert self.child.wait() == 0


def firmwares(root):
    """Fixtures, and larger images in front of real and made-up ends."""
    names = []
    for i, end in enumerate(["synthetic-fw-a.bin", "synthetic-fw-b.bin",
                             "ovmf_AmdSev_suffix.bin"] * 3):
        with open(os.path.join(FIXTURES, "firmware", end), "rb") as f:
            image = f.read()
        path = os.path.join(root, "fw%d" % i)
        with open(path, "wb") as f:
            f.write(rng.randbytes([0, 4096, 100001][i // 3]) + image)
        names.append(path)
    return names


def draw(i, images):
    """The i-th launch."""
    es = rng.random() < 0.6
    launch = {
        "firmware": images[i % len(images)],
        "policy": (rng.choice([1, 3, 0x0b, 0x3b]) | (ES if es else 0) |
                   rng.choice([0, 0, 0x18000000, 0x37010000])),
        "cpus": i % 64 + 1,
        "cpu": (rng.choice(MODELS) if rng.random() < 0.8 else
                [rng.randrange(16, 200), rng.randrange(256),
                 rng.randrange(16)]),
        "build": [rng.randrange(1, 3), rng.randrange(256),
                  rng.randrange(256)],
        "tik": rng.randbytes(16).hex(),
        "nonce": rng.randbytes(16).hex(),
    }
    kind = rng.randrange(6)
    if kind > 0:
        launch["kernel"] = rng.randbytes(rng.choice([0, 1, 5000])).hex()
    if kind in (2, 3, 5):
        launch["initrd"] = rng.randbytes(rng.choice([0, 1, 3000])).hex()
    if kind > 2:
        launch["cmdline"] = rng.choice(CMDLINES).encode().hex()
    return launch


def guest(tool, launch, mac, pages=None):
    """The launch as the tool's own object."""
    blob = bytes.fromhex(mac + launch["nonce"])
    vm = tool.OfflineConfidentialVM(
        measurement=base64.b64encode(blob).decode(),
        api_major=launch["build"][0], api_minor=launch["build"][1],
        build_id=launch["build"][2], policy=launch["policy"],
        num_cpus=launch["cpus"])
    vm.load_firmware(launch["firmware"])
    vm.tik = bytes.fromhex(launch["tik"])
    table = vm.kernel_table
    if "kernel" in launch:
        table.kernel = hashlib.sha256(bytes.fromhex(launch["kernel"])).digest()
    if "initrd" in launch:
        table.initrd = hashlib.sha256(bytes.fromhex(launch["initrd"])).digest()
    if "cmdline" in launch:
        table.load_cmdline(bytes.fromhex(launch["cmdline"]).decode())
    if pages:
        vm.vmsa_cpu0, vm.vmsa_cpu1 = pages
    elif launch["policy"] & ES:
        vm.build_vmsas(*launch["cpu"])
    return vm


def tool_accepts(tool, *args):
    try:
        guest(tool, *args).attest()
        return True
    except tool.AttestationFailedException:
        return False


def flip_hex(text):
    at = rng.randrange(len(text) // 2)
    raw = bytearray.fromhex(text)
    raw[at] ^= 1 << rng.randrange(8)
    return raw.hex()


def changed(launch, mac, root):
    """One byte of something that is measured, or MACed, is another one."""
    kinds = ["mac", "nonce", "tik", "firmware", "policy", "build"]
    kinds += [k for k in ("kernel", "initrd", "cmdline")
              if launch.get(k)]
    if launch["policy"] & ES:
        kinds += ["cpus", "cpu"]
    kind = rng.choice(kinds)
    new = dict(launch)
    if kind == "mac":
        mac = flip_hex(mac)
    elif kind in ("nonce", "tik", "kernel", "initrd"):
        new[kind] = flip_hex(launch[kind])
    elif kind == "cmdline":
        new[kind] = launch[kind][:-2] + "7e"  # the last becomes '~'
    elif kind == "firmware":
        with open(launch["firmware"], "rb") as f:
            image = bytearray(f.read())
        # Not in the GUID table, which both sides must still read.
        image[rng.randrange(len(image) - 1024)] ^= 0x40
        new[kind] = os.path.join(root, "changed")
        with open(new[kind], "wb") as f:
            f.write(image)
    elif kind == "policy":
        new[kind] ^= 1 << rng.choice([b for b in range(32) if b != 2])
    elif kind == "build":
        new[kind] = list(launch[kind])
        new[kind][rng.randrange(3)] ^= 1
        if new[kind][0] == 0:
            new[kind][0] = 7  # below 0.17 we say "unsupported"
    elif kind == "cpus":
        new[kind] += 1
    else:
        new[kind] = [launch[kind][0] + 1] + launch[kind][1:]
    return kind, new, mac


def check_launches(tool, ours, images, root):
    refused = {}
    for i in range(LAUNCHES):
        launch = draw(i, images)
        mac = ours.good("measure", **launch)["mac"]
        assert tool_accepts(tool, launch, mac), launch
        assert ours.good("verify", blob=mac + launch["nonce"], **launch)
        kind, bad, bad_mac = changed(launch, mac, root)
        assert not tool_accepts(tool, bad, bad_mac), (kind, bad)
        answer = ours.ask("verify", blob=bad_mac + bad["nonce"], **bad)
        assert answer.get("code") == 3, (kind, answer)  # ERR_UNTRUSTED
        refused[kind] = refused.get(kind, 0) + 1
    assert len(refused) == 11, refused
    print("%d launches accepted by both, %d changed ones refused by both: %s"
          % (LAUNCHES, sum(refused.values()), refused))


def check_init2(tool, ours, images):
    """The init2 form, which the tool takes from files only."""
    for i in range(64):
        launch = dict(draw(i, images), variant="init2")
        launch["policy"] |= ES
        pages = ours.good("vmsa", firmware=launch["firmware"],
                          cpu=launch["cpu"], variant="init2")
        pages = [bytes.fromhex(pages["vmsa0"]), bytes.fromhex(pages["vmsa1"])]
        mac = ours.good("measure", **launch)["mac"]
        assert tool_accepts(tool, launch, mac, pages)
        assert not tool_accepts(tool, launch, mac), "legacy form"
    print("64 launches of the init2 form accepted from files")


def draw_secrets():
    guids = ["736869e5-84f0-4973-92ec-06879ce3da0b"]
    guids += [str(uuid.UUID(bytes=rng.randbytes(16), version=4))
              for _ in range(rng.randrange(4))]
    rng.shuffle(guids)
    return [[g, rng.randbytes(rng.choice([0, 1, 15, 16, 24, 40, 500])).hex()]
            for g in guids]


def with_secrets(tool, ours, launch, secrets, tek):
    mac = ours.good("measure", **launch)["mac"]
    vm = guest(tool, launch, mac)
    vm.tek = bytes.fromhex(tek)
    for guid, data in secrets:
        vm.secrets_table.secrets[uuid.UUID(guid)] = bytes.fromhex(data)
    return mac, vm


def check_secrets(tool, ours, images):
    rounds = 200
    for i in range(rounds):
        launch, secrets = draw(i, images), draw_secrets()
        tek = rng.randbytes(16).hex()
        mac, vm = with_secrets(tool, ours, launch, secrets, tek)
        table = bytes.fromhex(ours.good(
            "table", secrets=secrets, step=rng.choice([0, 16, 256]))["table"])
        theirs = vm.secrets_table.build()
        # One table but for the padding: the tool always adds some.
        length = int.from_bytes(table[16:20], "little")
        assert table[:length] == theirs[:length] and not any(table[length:])
        assert length < len(theirs) <= length + 16
        # Made by the tool: our rules give the same bytes for its IV.
        header, payload = map(base64.b64decode, vm.build_secrets())
        ours_says = ours.good("seal", table=theirs.hex(), tek=tek,
                              tik=launch["tik"], iv=header[4:20].hex(),
                              mac=mac)
        assert ours_says == {"header": header.hex(),
                             "payload": payload.hex()}
        # Made by us: the tool's rules give the same bytes for our IV.
        iv = rng.randbytes(16)
        ours_says = ours.good("seal", table=table.hex(), tek=tek,
                              tik=launch["tik"], iv=iv.hex(), mac=mac)
        vm.secrets_table.build = lambda t=table: t
        vm_random, tool.os.urandom = tool.os.urandom, lambda n, v=iv: v
        header, payload = map(base64.b64decode, vm.build_secrets())
        tool.os.urandom = vm_random
        assert ours_says == {"header": header.hex(),
                             "payload": payload.hex()}
        # And opened with the tool's cipher.
        opened = tool.Cipher(
            tool.algorithms.AES(bytes.fromhex(tek)),
            tool.modes.CTR(iv)).decryptor().update(
                bytes.fromhex(ours_says["payload"]))
        assert opened == table
    print("%d secrets made by each side, opened by the other's rules" % rounds)


def cli(*command):
    return subprocess.run(command, stdout=subprocess.DEVNULL,
                          stderr=subprocess.DEVNULL, check=False).returncode


def check_command_lines(ours, images, root):
    """The same flags to both programs, the same exit status."""
    def write(name, data):
        path = os.path.join(root, name)
        with open(path, "wb") as f:
            f.write(data)
        return path

    launch = dict(draw(2, images), policy=5, cpus=3, cpu=[25, 1, 1],
                  kernel="abcd", initrd="ef", cmdline=b"ro".hex())
    mac = ours.good("measure", **launch)["mac"]
    flags = {
        "--measurement": base64.b64encode(
            bytes.fromhex(mac + launch["nonce"])).decode(),
        "--api-major": str(launch["build"][0]),
        "--api-minor": str(launch["build"][1]),
        "--build-id": str(launch["build"][2]), "--policy": "5",
        "--firmware": launch["firmware"],
        "--kernel": write("kernel", b"\xab\xcd"),
        "--initrd": write("initrd", b"\xef"), "--cmdline": "ro",
        "--num-cpus": "3", "--cpu-family": "25", "--cpu-model": "1",
        "--cpu-stepping": "1", "--tik": write(
            "tik", bytes.fromhex(launch["tik"])),
    }
    tek = write("tek", bytes(16))
    cases = [
        ("as it is", 0, {}),
        ("another cmdline", 1, {"--cmdline": "ro "}),
        ("another initrd", 1, {"--initrd": write("x", b"x")}),
        ("no initrd", 1, {"--initrd": None}),
        ("no kernel at all", 1,
         {"--kernel": None, "--initrd": None, "--cmdline": None}),
        ("one vCPU more", 1, {"--num-cpus": "4"}),
        ("another stepping", 1, {"--cpu-stepping": "2"}),
        ("another policy", 1, {"--policy": "7"}),
        ("another build", 1, {"--build-id": "256"[:1]}),
        ("another key", 1, {"--tik": tek}),
        ("MAC without nonce", 1, {"--measurement": base64.b64encode(
            bytes.fromhex(mac)).decode()}),
        ("no number of vCPUs", 2, {"--num-cpus": None}),
        ("no CPU model", 2, {"--cpu-family": None, "--cpu-model": None,
                             "--cpu-stepping": None}),
        ("half a CPU model", 2, {"--cpu-model": None}),
        ("initrd without kernel", 2, {"--kernel": None}),
        ("no measurement", 2, {"--measurement": None}),
        ("no policy", 2, {"--policy": None}),
        ("no firmware", 2, {"--firmware": None}),
        ("short key", 2, {"--tik": write("short", bytes(15))}),
    ]
    for name, want, change in cases:
        args = []
        for flag, value in dict(flags, **change).items():
            if value is not None:
                args += [flag, value]
        assert cli("/usr/bin/python3", TOOL, "--tek", tek, *args) == want, name
        got = cli(VERBS, "verify", *args)
        assert got == want, (name, got, want)
    print("%d command lines, one exit status" % len(cases))


def main():
    if not os.path.exists(TOOL):
        sys.exit(TOOL + " is missing: apt-get install libvirt-clients-qemu "
                 "python3-lxml python3-cryptography")
    tool, ours = load_tool(), Ours()
    with tempfile.TemporaryDirectory() as root:
        images = firmwares(root)
        check_launches(tool, ours, images, root)
        check_init2(tool, ours, images)
        check_secrets(tool, ours, images)
        check_command_lines(ours, images, root)
    ours.close()


main()
