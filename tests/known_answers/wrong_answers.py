#!/usr/bin/python3
"""kat must notice: wrong_answers.py KAT FIXTURES

Every answer of the fixtures, changed by one digit, is a failure, and so is
every shape that kat does not know.  All changed cases of a file go into one new
file beside a copy of its companions; none of them may pass.
"""
import copy
import hashlib
import hmac
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile

KAT, FIXTURES = sys.argv[1:]

# Members that are answers, or inputs that an answer depends on.
ANSWERS = {
    "launch": ["launch_digest", "measurement_blob", "measurement_b64", "nonce",
               "hash_table", "vmsa0_sha256", "vmsa1_sha256", "reset_addr",
               "cpu_signature", "tik", "policy", "api_minor", "build_id",
               "secret.table", "secret.header_b64", "secret.payload_b64",
               "secret.iv", "secret.oracle_payload_len",
               "sev_snp_measure_says"],
    "session": ["godh_private_scalar_hex", "tek", "tik", "nonce", "wrap_iv",
                "z", "master_secret", "kek", "kik", "wrap_tk", "wrap_mac",
                "policy_mac", "session_b64", "policy"],
    "public": ["out", "wrap_tk", "wrap_mac", "policy_mac", "measure",
               "header_b64", "payload_b64", "launch_digest", "key"],
}


def change(value):
    """The same type and length, another value."""
    if isinstance(value, int):
        return value ^ 1
    at = 3 if value.startswith("0x") else 1
    other = "B" if value[at] == "A" else "A"
    if re.fullmatch(r"(0x)?[0-9a-f]*", value):
        other = "1" if value[at] == "0" else "0"
    return value[:at] + other + value[at + 1:]


def changed_answers(case, names):
    for name in names:
        outer, _, inner = name.partition(".")
        if outer not in case or (inner and inner not in case[outer]):
            continue
        new = copy.deepcopy(case)
        where, key = (new[outer], inner) if inner else (new, outer)
        if not isinstance(where[key], (int, str)) or where[key] == "":
            continue
        where[key] = change(where[key])
        new["name"] = "%s: %s changed" % (case.get("name"), name)
        yield new


def unknown_shapes(case):
    yield dict(case, name="unknown member", surprise=1)
    if "negatives" in case:
        new = copy.deepcopy(case)
        new["negatives"].append({"name": "the moon is full"})
        yield new
        new = copy.deepcopy(case)
        new["negatives"][0]["twist"] = True
        yield new
        # The oracle's word on a variant: accepted, wrong usage, no exit code.
        for code in (0, 2, 7, "1", None):
            new = copy.deepcopy(case)
            new["negatives"][0]["oracle_exit"] = code
            yield new
    if "secret" in case:
        for shape in ({}, [], "x", 5, None, {"iv": case["secret"]["iv"]},
                      {k: v for k, v in case["secret"].items()
                       if k != "payload_b64"}):
            yield dict(case, name="secret %r" % shape, secret=shape)


def run(*files):
    got = subprocess.run([KAT, *files], capture_output=True, text=True,
                         check=False)
    last = got.stdout.strip().split("\n")[-1]
    counts = re.fullmatch(r"(\d+) passed, (\d+) failed, (\d+) skipped", last)
    assert counts, got
    return (got.returncode, *map(int, counts.groups())), got.stdout


def none_passes(root, path, cases, whole=None):
    with open(os.path.join(root, path), "w", encoding="utf8") as f:
        json.dump(dict(whole or {}, cases=cases), f)
    (status, passed, failed, skipped), text = run(os.path.join(root, path))
    assert status == 1 and passed == 0 and failed == len(cases), \
        [line for line in text.split("\n") if not line.startswith("FAIL")]
    assert skipped == 0
    print("%s: %d changed cases, all noticed" % (path, failed))


def load(root, path):
    with open(os.path.join(root, path), encoding="utf8") as f:
        return json.load(f)


def bad_refusals(cases):
    """Only a refusal by the product is one, not a case that is wrong itself."""
    secret = cases["sevctl secret build, one secret"]
    refused = cases["kernel with a firmware whose hash area is 0/0"]
    firmware = {"firmware": "synthetic-fw-a.bin", "kernel": "",
                "expect": "error: any"}
    bare = {k: v for k, v in secret.items()
            if k not in ("header_b64", "payload_b64")}
    return [dict(secret, header_b64="AAAA", expect="error: any"),
            bare, dict(bare, expect="error: any"),
            dict(bare, expect="error: any", tik="zz"),
            dict(bare, expect="error: any", iv_b64=5),
            dict(bare, payload_b64=secret["payload_b64"]),
            firmware, dict(firmware, hash_table="00" * 176),
            dict(firmware, reset_addr="0x1"), dict(firmware, kernel="0"),
            dict(firmware, firmware="absent.bin"),
            dict(refused, expect="accept"), dict(refused, expect=None),
            dict(refused, vmsa0_sha256="00" * 32),
            dict(refused, launch_digest="00" * 32)]


def foreign_keys(cases):
    """Keys of another pair than the certificate's."""
    made, tool = cases["session-synthetic-policy-1"], cases["sev-tool-generated"]
    other = cases["session-naples-real-pdh"]
    return [dict(tool, pdh_cert_b64=other["pdh_cert_b64"]),
            dict(tool, pdh_private_pem=made["godh_private_pem"]),
            {k: v for k, v in made.items() if k != "godh_cert_b64_unsigned"},
            {k: made[k] for k in ("policy", "tek", "tik", "session_b64")}]


def check_answers(root):
    for form, names in ANSWERS.items():
        whole = load(root, "kat/%s.json" % form)
        cases = [c for c in whole["cases"]
                 if not c.get("firmware", "").startswith("debian")]
        bad = [b for c in cases for b in changed_answers(c, names)]
        bad += [b for c in cases for b in unknown_shapes(c)]
        bad += [{}, {"name": "nothing"}, 7, [], {"firmware": "../../etc"},
                {"firmware": "absent.bin", "launch_digest": "00" * 32}]
        bad += {"public": bad_refusals, "session": foreign_keys}.get(
            form, lambda _: [])({c["name"]: c for c in cases})
        none_passes(root, "kat/changed.json", bad, {
            k: v for k, v in whole.items() if k == "firmware_sha256"})


def check_chains(root):
    folder = "certs/naples/"
    other = {"accept": "reject", "reject": "accept"}
    bad = []
    for case in load(root, folder + "chain-cases.json")["cases"]:
        bad.append(dict(case, expect=other[case["expect"]], fails_at=None))
        bad.append(dict(case, expect="perhaps"))
    good = load(root, folder + "chain-cases.json")["cases"][0]
    bad += [dict(good, patches=[[99999, "00"]]), dict(good, patches=[[1]]),
            dict(good, patches=[[-1, "00"]]), dict(good, truncate_to=99999),
            dict(good, append_hex="0"), dict(good, file="absent.bin"),
            dict(good, surprise=1), dict(good, fails_at="pek-pdh"),
            dict(good, fails_at=7)]
    none_passes(root, folder + "changed.json", bad)


def check_synthetic(root):
    """The platform's own ark.cert is the configured root; without it, none."""
    folder = "certs/synthetic-a/"
    cases = [
        {"name": "untouched", "expect": "accept", "patches": []},
        {"name": "pdh", "expect": "reject", "patches": [[30, "ffff"]]},
        {"name": "cek unsigned", "expect": "reject",
         "patches": [[7296, "00100000" + "00" * 4]]},
        {"name": "short", "expect": "reject", "truncate_to": 11535},
        {"name": "without ark", "expect": "reject", "truncate_to": 9936},
    ]
    with open(root + "/" + folder + "chain-cases.json", "w",
              encoding="utf8") as f:
        json.dump({"cases": cases}, f)
    got, text = run(root + "/" + folder + "chain-cases.json")
    assert got == (0, 5, 0, 0), text
    cases = [dict(cases[0], roots=["ark.cert"]),
             dict(cases[0], roots=[], expect="reject"),
             dict(cases[0], base="cert-chain-unsigned-cek.bin",
                  expect="reject")]
    with open(root + "/" + folder + "more.json", "w", encoding="utf8") as f:
        json.dump({"cases": cases}, f)
    got, text = run(root + "/" + folder + "more.json")
    assert got == (0, 3, 0, 0), text
    os.remove(root + "/" + folder + "ark.cert")
    got, text = run(root + "/" + folder + "chain-cases.json")
    assert got == (1, 4, 1, 0), text


def check_files(root):
    for name, text in {"empty.json": "", "no.json": "{}", "list.json": "[]",
                       "none.json": '{"cases": []}',
                       "twice.json": '{"cases": [1], "cases": [2]}',
                       "member.json": '{"cases": [{}], "surprise": 1}',
                       "cut.json": '{"cases": ['}.items():
        path = os.path.join(root, name)
        with open(path, "w", encoding="utf8") as f:
            f.write(text)
        got, out = run(path)
        assert got == (1, 0, 1, 0), (name, out)
    assert run(os.path.join(root, "absent.json"))[0] == (1, 0, 1, 0)
    assert run(root)[0] == (1, 0, 1, 0)


def check_sums(root):
    """A sum of a firmware that cannot be read is one that is not compared."""
    case = {"firmware": "synthetic-fw-a.bin", "launch_digest":
            "5e090f7930b36c6e13ae1901f3692d2a2ab561f7b0fdf6d466e5d825fbba29e5"}
    path = os.path.join(root, "kat", "sums.json")
    for sums, want in (({}, 1), ({case["firmware"]: case["launch_digest"]}, 1),
                       ({case["firmware"]: "00" * 32}, 0), ([], 0), ("x", 0),
                       ({case["firmware"]: 5}, 0),
                       ({case["firmware"]: "00"}, 0)):
        with open(path, "w", encoding="utf8") as f:
            json.dump({"cases": [case], "firmware_sha256": sums}, f)
        got, out = run(path)
        assert got == (1 - want, want, 1 - want, 0), (sums, out)


def check_lines(root):
    """One line a case, and a status for answers that could not be written."""
    with open(os.path.join(root, "kat/public.json"), encoding="utf8") as f:
        case = json.load(f)["cases"][0]
    path = os.path.join(root, "kat", "lines.json")
    with open(path, "w", encoding="utf8") as f:
        json.dump({"cases": [dict(case, name="a\nok b\r\x1b[2J"), case]}, f)
    got, out = run(path)
    assert got == (0, 2, 0, 0) and out.count("\n") == 3, out
    assert out.startswith("ok %s: a?ok b??[2J\n" % path), out
    # From another folder, and by a path with no folder in it.
    for cwd, name in ((root, "kat/lines.json"), (root + "/kat", "lines.json"),
                      (root + "/kat", "../kat/lines.json")):
        assert subprocess.run([KAT, name], cwd=cwd, check=False,
                              stdout=subprocess.DEVNULL).returncode == 0
    with open("/dev/full", "w", encoding="utf8") as full:
        assert subprocess.run([KAT, path], stdout=full,
                              check=False).returncode == 1


def check_large_area(root):
    """An area beyond what the secure processor takes counts as that much."""
    with open(root + "/firmware/synthetic-fw-a.bin", "rb") as f:
        image = bytearray(f.read())
    at = image.index(bytes.fromhex("61b32e4c9b7dc34c8081127c90d3d294")) - 6
    image[at:at + 4] = (1 << 16).to_bytes(4, "little")
    with open(root + "/firmware/large.bin", "wb") as f:
        f.write(image)
    digest, key = hashlib.sha256(image).digest(), bytes(16)
    text = bytes([4, 1, 55, 21, 1, 0, 0, 0]) + digest + bytes(16)
    blob = hmac.new(key, text, "sha256").digest() + bytes(16)
    case = {"firmware": "large.bin", "policy": 1, "api_major": 1,
            "api_minor": 55, "build_id": 21, "tik": key.hex(),
            "launch_digest": digest.hex(), "measurement_blob": blob.hex()}
    guid = "736869e5-84f0-4973-92ec-06879ce3da0b"
    path = os.path.join(root, "kat", "large.json")
    for length, want in ((5000, 1), (16344, 1), (16345, 0)):
        with open(path, "w", encoding="utf8") as f:
            json.dump({"cases": [dict(case, secrets=[[guid, "61" * length]])]},
                      f)
        got, out = run(path)
        assert got == (1 - want, want, 1 - want, 0), (length, out)


def main():
    with tempfile.TemporaryDirectory() as root:
        for part in ("kat", "firmware", "certs"):
            shutil.copytree(os.path.join(FIXTURES, part),
                            os.path.join(root, part))
        check_answers(root)
        check_chains(root)
        check_synthetic(root)
        check_files(root)
        check_sums(root)
        check_lines(root)
        check_large_area(root)


main()
