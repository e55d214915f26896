#!/usr/bin/python3
"""The offline verbs at their command line: verbs.py FIXTURES PROGRAM...

PROGRAM is sev_verbs, or attest-agent itself.
"""
import base64
import json
import os
import subprocess
import sys
import tempfile

FIXTURES, PROGRAM = sys.argv[1], sys.argv[2:]
NAPLES, SYNTHETIC = "certs/naples/", "certs/synthetic-a/"
GENOA = "certs/genoa-9654-qemu/"
DIGEST = "effbf963420c4b4b34c8f9e3a69e8f29f962dd52909de3994275e47d21dd3465"

ran = 0


def run(want, *args, says=None):
    """Exit status, and words on stdout or stderr."""
    global ran
    ran += 1
    args = [os.path.join(FIXTURES, a) if isinstance(a, str) and
            a.startswith(("certs/", "firmware/")) else a for a in args]
    got = subprocess.run([*PROGRAM, *args], capture_output=True, text=True,
                         errors="replace", check=False, timeout=60)
    assert got.returncode == want, (args, want, got)
    out = got.stdout + got.stderr
    assert says is None or says in out, (args, says, out)
    if want == 2:
        assert got.stderr
        check_no_answer(args, got)
    return got.stdout


def check_no_answer(args, got):
    """Nothing on stdout, and with --json an object that says why."""
    if "--json" not in args:
        assert not got.stdout, got
        at = 2 if args[0] in ("chain", "ovmf") else 1
        got = subprocess.run([*PROGRAM, *args[:at], "--json", *args[at:]],
                             capture_output=True, text=True, errors="replace",
                             check=False, timeout=60)
        assert got.returncode == 2
    if got.stderr.startswith("usage:"):
        return
    answer = json.loads(got.stdout)
    assert sorted(answer) == ["error", "schema"], answer
    assert answer["error"] in got.stderr or answer["error"] == "see stderr"
    assert args[0] in answer["schema"], answer


def check_verify_chain(tmp):
    def write(name, data):
        path = os.path.join(tmp, name)
        with open(path, "wb") as f:
            f.write(data)
        return path

    def read(name):
        with open(os.path.join(FIXTURES, name), "rb") as f:
            return f.read()

    verify = ("chain", "verify")
    full, pdh = NAPLES + "chain-full.bin", NAPLES + "pdh.cert"
    qemu = NAPLES + "cert-chain-unsigned-cek.bin"
    wrapped = write("wrapped.b64", base64.encodebytes(read(full)))
    one_line = write("line.b64", base64.b64encode(read(full)) + b"\n")
    reply = {"pdh": base64.b64encode(read(pdh)).decode(), "cert-chain":
             base64.b64encode(read(NAPLES + "chain-sev.bin")).decode(),
             "cbitpos": 47}
    bare = write("bare.json", json.dumps(reply).encode())
    qmp = write("qmp.json", json.dumps(
        {"return": reply, "id": "libvirt-7"}).encode())
    virsh = write("virsh.txt", "".join(
        "%-20s: %s\n" % item for item in reply.items()).encode())
    torn = write("torn.json", b'{"return": {"pdh": "AQAA"}}')
    short = write("short.bin", read(full)[:-1])
    no_ca = write("no-ca.bin", read(SYNTHETIC + "chain-full.bin")[:8336])
    for files in ([full], [NAPLES + "chain-sev.bin"], [wrapped], [one_line],
                  [bare], [qmp], [virsh],
                  [pdh, NAPLES + "pek.cert", NAPLES + "oca.cert",
                   NAPLES + "cek.cert"],
                  [NAPLES + "chain-sev.bin",
                   NAPLES + "ask_ark_naples-as-published.cert"],
                  [full, NAPLES + "ask_ark_naples-as-published.cert"],
                  [NAPLES + "ask_ark_naples-as-published.cert", full],
                  ["--cek", NAPLES + "cek.cert", pdh, qemu],
                  ["--cloud-cert", NAPLES + "oca.cert", full],
                  ["--full", full],
                  ["--root", SYNTHETIC + "ark.cert",
                   SYNTHETIC + "chain-full.bin"],
                  ["--root", SYNTHETIC + "ask.cert",
                   "--root", SYNTHETIC + "ark.cert", no_ca]):
        run(0, *verify, *files, says="verified")
        assert json.loads(run(0, *verify, "--json", *files))["trusted"]
    for files, says in (
            ([pdh, qemu], "cek-unsigned"),
            (["--cek", SYNTHETIC + "cek.cert", pdh, qemu], "cek-other"),
            ([GENOA + "query-sev-capabilities.json"], "cek-unsigned"),
            ([SYNTHETIC + "chain-full.bin"], "ark-not-pinned"),
            (["--cloud-cert", GENOA + "oca.cert", full], "check: cloud"),
            (["--full", NAPLES + "chain-sev.bin"], "no ASK"),
            ([pdh], "no PEK"), ([qemu], "no PDH"),
            ([short], "check: format"),
            ([NAPLES + "cases/self-consistent-chain-under-a-forged-root-that-"
              "reuses-amd-key-ids.bin"], "ark-not-pinned")):
        run(1, *verify, *files, says=says)
        text = json.loads(run(1, *verify, "--json", *files))
        assert not text["trusted"] and text["reason"], text
    for files, says in (
            ([], "no FILE"), (["/nonexistent"], "No such file"),
            ([torn], "cert-chain"), ([write("empty", b"")], "0 bytes"),
            ([write("noise", bytes(range(200)))], "start with no"),
            ([write("text", b"hello, world")], "base64"),
            ([write("cut.json", b'{"pdh": ')], "line 1"),
            ([write("big", bytes(300000))], "more than"),
            (["--root", pdh, full], "usage"),
            (["--root", "/nonexistent", full], "No such file"),
            (["--root", NAPLES + "ask.cert",
              "--root", SYNTHETIC + "ark.cert", full],
             "none of 1 ARKs signed it"),
            (["--cek", pdh, full], "has no CEK"),
            (["--cloud-cert", pdh, full], "has no OCA"),
            (["--frobnicate", full], "--help")):
        run(2, *verify, *files, says=says)
    run(2, "chain", says="usage")
    run(2, "chain", "judge", full, says="usage")


def check_show(tmp):
    text = run(0, "chain", "show", GENOA + "query-sev-capabilities.json")
    for word in ("PDH", "PEK", "OCA", "CEK", "P-384", "API 1.55",
                 "AMD's signature is missing"):
        assert word in text, word
    certs = json.loads(run(0, "chain", "show", "--json",
                           NAPLES + "chain-full.bin"))["certificates"]
    assert [c["usage"] for c in certs] == ["PDH", "PEK", "OCA", "CEK", "ASK",
                                           "ARK"]
    assert certs[5]["pinned"] == "naples" and certs[4]["bits"] == 2048
    # A slot's codes may be any 32 bits; they are no negative numbers.
    with open(os.path.join(FIXTURES, NAPLES, "pdh.cert"), "rb") as f:
        odd = f.read()[:1564] + b"\xff" * 520
    path = os.path.join(tmp, "odd.cert")
    with open(path, "wb") as f:
        f.write(odd)
    slot = json.loads(run(0, "chain", "show", "--json", path))[
        "certificates"][0]["signatures"][1]
    assert slot["usage-code"] == slot["algorithm-code"] == 0xffffffff, slot
    run(2, "chain", "show", "/nonexistent", says="No such file")
    # A name that is no UTF-8 still makes JSON.
    run(2, "chain", "show", b"/nonexistent\xff", says="No such file")


def check_digest():
    fw = ("--firmware", "firmware/synthetic-fw-a.bin")
    milan = ("--cpu-family", "25", "--cpu-model", "1", "--cpu-stepping", "1")
    es = ("digest", *fw, "--policy", "5", "--cpus", "1")
    assert run(0, *es, *milan).strip() == DIGEST
    assert run(0, *es, "--cpu-sig", "0xa00f11").strip() == DIGEST
    assert run(0, *es, "--cpu-sig", "10489617").strip() == DIGEST
    assert run(0, "digest", *fw, "--cpus", "1", *milan).strip() == DIGEST
    assert run(0, *es, *milan, "--vmsa", "legacy").strip() == DIGEST
    assert run(0, *es, *milan, "--vmsa", "init2").strip() != DIGEST
    answer = json.loads(run(0, *es, *milan, "--json"))
    assert answer["launch-digest"] == DIGEST and answer["cpu-count"] == 1
    for args, says in (
            ((), "--firmware is needed"), ((*fw, "x"), "not an option"),
            ((*fw, *fw), "given twice"),
            ((*fw, "--initrd", "x"), "need --kernel"),
            ((*fw, "--policy", "5"), "CPU model"),
            ((*fw, "--policy", "5", *milan), "number is needed"),
            ((*fw, "--policy", "-1"), "want a number"),
            ((*fw, "--policy", "4294967296"), "at most"),
            ((*fw, "--policy", "0x"), "want a number"),
            ((*fw, "--cpus", "0"), "at least 1"),
            ((*fw, "--cpus", "5000"), "at most 4096"),
            ((*fw, "--cpu-family", "25"), "go together"),
            ((*fw, *milan, "--cpu-sig", "1"), "exclude each other"),
            ((*fw, "--vmsa", "init3"), "legacy and init2"),
            ((*fw, "--vmsa-cpu1", "x"), "needs --vmsa-cpu0"),
            ((*fw, "--policy", "4", "--cpus", "1", "--vmsa-cpu0",
              NAPLES + "pdh.cert"), "want 4096"),
            (("--firmware", "firmware/ovmf_OvmfX64_suffix.bin", "--kernel",
              "/dev/null"), "no area for kernel hashes"),
            (("--firmware", "/nonexistent"), "No such file"),
            (("--frobnicate",), "--help")):
        run(2, "digest", *args, says=says)


def check_verify(tmp):
    tik = os.path.join(tmp, "tik")
    with open(tik, "wb") as f:
        f.write(bytes.fromhex("b5573e5e958c66b89c7ae1c3e09db7da"))
    mac = ("1716369e6e80cabc531432542403b748484e06443198a962cbf0fa8695134232"
           "53ae71f5c4ff7ad82e4716193a61d4c7")

    def args(policy="5", minor="24", blob=mac, key=tik, digest=DIGEST):
        b64 = base64.b64encode(bytes.fromhex(blob)).decode()
        return ("verify", "--tik", key, "--digest", digest, "--measurement",
                b64, "--api-major", "0", "--api-minor", minor, "--build-id",
                "13", "--policy", policy)

    run(0, *args(), says="match")
    assert json.loads(run(0, *args(), "--json"))["match"]
    run(1, *args(policy="1"), says="does not match")
    run(1, *args(minor="25"), says="does not match")
    run(1, *args(blob=mac + "00"), says="49 bytes, want 48")
    run(1, *args(blob=mac[:64]), says="32 bytes, want 48")
    run(1, *args(digest="00" * 32), says="does not match")
    assert not json.loads(run(1, *args(policy="1"), "--json"))["match"]
    run(2, *args(minor="16"), says="0.17 or newer")
    run(2, *args(minor="256"), says="at most 255")
    run(2, *args(digest="00"), says="--digest")
    run(2, *args(key="/nonexistent"), says="No such file")
    run(2, *args(key=__file__), says="more than 16 bytes")
    run(2, *args()[:-2], says="--policy is needed")
    run(2, *args(), "--tik", tik, says="given twice")
    run(2, *args(), "--firmware", "x", says="either --digest or")
    run(2, *args()[:3], says="is needed")
    bad = list(args())
    bad[6] = "no base64!"
    run(2, *bad, says="--measurement")


def check_ovmf():
    text = run(0, "ovmf", "show", "firmware/synthetic-fw-a.bin")
    assert "0x0080b004" in text and "0x0080cc00, 1024 bytes" in text
    text = run(0, "ovmf", "show", "firmware/ovmf_OvmfX64_suffix.bin")
    assert text.count("use the AmdSev build") == 2
    answer = json.loads(run(0, "ovmf", "show", "--json",
                            "firmware/ovmf_AmdSev_suffix.bin"))
    assert answer["hash-area"] == {"base": 0x810c00, "size": 1024,
                                   "usable": True}
    run(1, "ovmf", "show", NAPLES + "pdh.cert", says="no OVMF footer")
    answer = json.loads(run(1, "ovmf", "show", "--json", NAPLES + "pdh.cert"))
    assert "no OVMF footer" in answer["error"]
    run(2, "ovmf", "show", "/nonexistent", says="No such file")
    run(2, "ovmf", "show", says="usage")
    run(2, "ovmf", says="usage")


def check_full():
    """An answer that stdout does not take is none."""
    fw = os.path.join(FIXTURES, "firmware/synthetic-fw-a.bin")
    chain = os.path.join(FIXTURES, NAPLES, "chain-full.bin")
    for args in (("digest", "--firmware", fw), ("ovmf", "show", fw),
                 ("ovmf", "show", "--json", fw), ("chain", "show", chain),
                 ("chain", "verify", "--json", chain)):
        with open("/dev/full", "w", encoding="utf8") as full:
            got = subprocess.run([*PROGRAM, *args], stdout=full, text=True,
                                 stderr=subprocess.PIPE, check=False)
        assert got.returncode == 2 and "stdout" in got.stderr, got


def main():
    for verb in (("chain",), ("chain", "verify"), ("chain", "show"),
                 ("digest",), ("verify",), ("ovmf",), ("ovmf", "show")):
        text = run(0, *verb, "--help", says="usage: attest-agent " + verb[0])
        assert all(len(line) <= 80 for line in text.split("\n")), verb
    with tempfile.TemporaryDirectory() as tmp:
        check_verify_chain(tmp)
        check_show(tmp)
        check_digest()
        check_verify(tmp)
        check_ovmf()
        check_full()
    print("%d command lines" % ran)


main()
