#!/usr/bin/env python3
"""Rules of docs/contributing.md that a machine can hold.

    lint.py includes|banned|headers|words|size|docs [--root DIR] [--cc CC]

One line for each finding, FILE:LINE: words; exit status 1 if there is one.
Folders that do not exist yet are passed over.
"""

import argparse
import concurrent.futures
import os
import re
import subprocess
import sys

import docs

PRODUCT = ("common", "relay", "relayctl", "agent", "launch")
SOURCES = PRODUCT + ("tests",)

# Who may include whom: folder, then what its files may name.  The first
# folder that fits decides.
BASE = ("err", "span", "secret", "hex", "base64", "uuid", "utf8")
WIRE = ("buf", "http_head", "ws", "frame", "frame_table", "problem", "tunnel",
        "tunnel_impl")
DIRECTIONS = (
    ("agent/sev/", r"agent/sev/\w+\.h|common/(%s)\.h" % "|".join(
        b for b in BASE if b != "utf8")),
    # sev.h is the one door into agent/sev.
    # What an attacker reaches knows the vault by the messages of door.h.
    ("agent/net/", r"agent/(net/)?\w+\.h|agent/sev/sev\.h|common/\w+\.h"),
    ("agent/vault/", r"agent/(vault/)?\w+\.h|agent/sev/sev\.h|common/\w+\.h"),
    ("agent/register/",
     r"agent/(register/)?\w+\.h|agent/sev/sev\.h|common/\w+\.h"),
    ("agent/api/", r"agent/(api/)?\w+\.h|agent/(register/register|vault/owner|"
     r"sev/sev)\.h|common/\w+\.h"),
    ("agent/cli/", r"agent/(cli/)?\w+\.h|agent/(api/api_token|register/register|"
     r"vault/owner|vault/move_seal|sev/sev)\.h|common/\w+\.h"),
    # The parent and what all parts share.
    ("agent/", r"agent/((api|cli|net|vault)/)?\w+\.h|agent/sev/sev\.h|"
     r"common/\w+\.h"),
    ("relay/", r"relay/\w+\.h|common/\w+\.h"),
    ("relayctl/", r"relayctl/\w+\.h|common/\w+\.h"),
    ("launch/", r"launch/\w+\.h|common/\w+\.h"),
    ("common/", r"common/\w+\.h"),
)

# What common/ may include of itself, by layer: a file is of the layer that
# names the header it belongs to, else it may include all of common/.
LAYERS = (
    (("err", "span"), ()),
    (("secret",), ("err", "span")),
    (BASE, BASE),
    (WIRE, BASE + WIRE),
)
HALVES = {"http_put": "http_head", "ws_handshake": "ws", "frame_list": "frame",
          "tunnel_greet": "tunnel", "tunnel_send": "tunnel",
          "tunnel_stream": "tunnel"}

# Doors: a library's headers, and the only product files that may name them.
DOORS = (
    (r"yaml\.h", r"common/conf(_foreign)?\.c|agent/register/register_yaml\.c"),
    (r"libxml/.*", r"agent/register/register_xml\.c|launch/domain_xml\.c"),
    (r"libwebsockets\.h", r"agent/net/tunnel_ws\.c"),
    (r"event2/.*", r"common/(loop|loop_memory|conn|conn_dial)\.c"),
    (r"openssl/(ssl|x509v3)\.h",
     r"common/(tls|tls_peer|conn|conn_io)\.c|agent/net/tunnel_(tls|ws)\.c"),
    (r"openssl/.*",
     r"common/(admit|secret|uuid|ws_handshake|tls|tls_memory|tls_peer|conn|"
     r"conn_io)\.c|"
     r"agent/sev/\w+\.[ch]|"
     r"agent/(net/tunnel_tls|net/tunnel_ws|key|vault/move_seal|seal_key|"
     r"vault/store_seal)\.c|"
     r"relay/(keyring|main)\.c"),
    (r"sqlite3\.h",
     r"agent/vault/store(_\w+)?\.[ch]|relay/registry_db(_\w+)?\.[ch]"),
    (r"seccomp\.h", r"(agent|relay)/sandbox\.c"),
    (r"jansson\.h",
     r"common/json_strict\.[ch]|"
     r"agent/(json|net/part_net|vault/owner_impl|net/service(_\w+)?|"
     r"register/\w+|cli/(cli(_\w+)?|offline_\w+|chain_print))\.[ch]|"
     r"launch/(answer|ask|check|flow|json|libvirt|qemu|qmp|qmp_sev|report|"
     r"request|selftest|step)"
     r"\.[ch]|relay/(admin_\w+|enrol)\.[ch]|relayctl/\w+\.[ch]|"
     r"agent/cli/enrol\.c"),
    (r"curl/.*", r"agent/(net/keyserver|cli/(enrol|cli_enrol|probe))\.c|launch/service\.c|"
     r"relayctl/(call|main)\.c"),
    (r"hiredis/.*", r"relay/redis_link\.c"),
    (r"libvirt/.*", r"launch/libvirt_api\.h"),
)

# What decides without I/O: paths, the C library's headers it may have, and
# calls of those headers that it may not make.
PURE = (
    ("agent/sev/", r"(assert|stdarg|stdbool|stddef|stdint|stdio|stdlib|string)"
     r"\.h|openssl/(?!rand).*"),
    ("common/", r"(assert|stdarg|stdbool|stddef|stdint|stdio|stdlib|string|"
     r"time)\.h|openssl/.*"),
)
OUTSIDE = ("fopen", "printf", "fprintf", "puts", "getenv", "time",
           "clock_gettime")

# Calls that no product file makes.
BANNED = {
    "strcpy": "no bound; use snprintf() or a writer",
    "strcat": "no bound; use snprintf() or a writer",
    "strncpy": "leaves out the NUL; use snprintf()",
    "sprintf": "no bound; use snprintf()",
    "vsprintf": "no bound; use vsnprintf()",
    "gets": "no bound",
    "atoi": "tells no errors; use strtoul() or conf",
    "atol": "tells no errors",
    "atoll": "tells no errors",
    "alloca": "the stack is no heap",
    "strtok": "keeps state between callers",
    "rand": "guessable; use secret_random()",
    "random": "guessable; use secret_random()",
    "system": "no shell",
    "popen": "no shell",
    "tmpnam": "races",
    "mktemp": "races",
    "gmtime": "one buffer for all threads; use gmtime_r()",
    "localtime": "one buffer for all threads; use localtime_r()",
}

# memcmp() tells by its time how many bytes agree.  In agent/ it is allowed
# for what is no secret, line by line.
MEMCMP = (
    ("agent/vault/policy.c", r"SEV_SHA256_LEN",
     "digests of firmware and keys, which the host sends or knows"),
    ("agent/register/register_digest.c", r"SEV_SHA256_LEN",
     "the owner's own digests, at registration"),
    ("agent/register/register_near.c", r"SEV_SHA256_LEN",
     "the owner's own digests, at registration"),
    ("agent/vault/session.c", r"\(boot, ", "an id of this start of the agent"),
    ("agent/vault/vault_launch.c", r"list->key, in->key|s->body, in->body",
     "the host's own idempotency key and the hash of its own body"),
    ("agent/vault/vault_judge.c", r"e->id, id", "hash of a chip's public id"),
    ("agent/net/keyplan.c", r"KEYPLAN_CHIP_LEN", "chip ids, which hosts show"),
    ("agent/vault/vault_move.c", r"own, recipient|moved->id, of->id",
     "public keys, and ids that the owner reads"),
    ("agent/vault/vault_cek.c", r"key, key|cpu_id, cpu_id|list->keys, keys",
     "fingerprints of CEKs and chip ids, which hosts show"),
    ("agent/vault/vault_validate.c", r"s->measure\.(mac|nonce), m->(mac|nonce)",
     "a measurement that the host sent against one that it sent before; "
     "the trial MAC itself is compared by secret_equal()"),
    ("agent/vault/store_audit.c", r"row->(prev|hash)|v->head",
     "hashes of the audit chain, which stand in the file"),
    ("agent/net/tunnel_tls.c", r"url->pin", "hash of a public key"),
    ("agent/sev/guid.c", r"SEV_GUID_LEN", "GUIDs of the firmware"),
)

# Split, so that this file does not find itself.
WORDS = tuple("".join(w) for w in (
    ("TO", "DO"), ("FIX", "ME"), ("XX", "X"), ("HA", "CK")))
PATHS = ("/wor" + "k/", "../sha" + "red", "/home/" + "user")
TEXTS = (".c", ".h", ".py", ".sh", ".md", ".txt", ".cmake", ".yaml", ".yml",
         ".json", ".service", ".socket", ".timer", ".example")

FILE_MAX = 600
FUNCTION_MAX = 80


class Findings:
    def __init__(self, root):
        self.root = root
        self.count = 0

    def add(self, path, line, words):
        print("%s:%d: %s" % (path, line, words))
        self.count += 1


def walk(root, folders, suffixes):
    """Paths from the root, sorted, of the files in these folders."""
    for folder in folders:
        for base, dirs, names in os.walk(os.path.join(root, folder)):
            dirs[:] = sorted(d for d in dirs
                             if d not in ("fixtures", "seeds", "build"))
            for name in sorted(names):
                if name.endswith(suffixes) or suffixes == TEXTS and \
                        "." not in name:
                    yield os.path.relpath(os.path.join(base, name), root)


def read(root, path):
    with open(os.path.join(root, path), encoding="utf-8",
              errors="replace") as f:
        return f.read()


def without_comments(text):
    """Comments and strings blanked, lines kept."""
    def blank(m):
        return re.sub(r"[^\n]", " ", m.group(0))
    return re.sub(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|'
                  r"'(?:\\.|[^'\\\n])*'", blank, text, flags=re.S)


def includes_of(text):
    for n, line in enumerate(text.split("\n"), 1):
        m = re.match(r'\s*#\s*include\s+(["<])([^">]+)[">]', line)
        if m:
            yield n, m.group(1), m.group(2)


def layer_of(path):
    name = os.path.splitext(os.path.basename(path))[0]
    name = HALVES.get(name, name)
    for members, may in LAYERS:
        if name in members:
            return members, tuple(may) + (name,)
    return None


def pure_rule(path):
    """Headers that a file may have of those that are not ours; None: any."""
    if path.startswith("common/") and not layer_of(path):
        return None
    return next((r for d, r in PURE if path.startswith(d)), None)


def check_includes(f):
    for path in walk(f.root, PRODUCT, (".c", ".h")):
        rule = next((r for d, r in DIRECTIONS if path.startswith(d)), None)
        text = read(f.root, path)
        first = None
        for n, kind, name in includes_of(text):
            if kind == '"':
                first = first or name
                if rule and not re.fullmatch(rule, name):
                    f.add(path, n, 'may not include "%s"' % name)
                layer = path.startswith("common/") and layer_of(path)
                inner = re.fullmatch(r"common/(\w+)\.h", name)
                if layer and inner and inner.group(1) not in layer[1] and \
                        inner.group(1) not in layer[0]:
                    f.add(path, n, 'is below "%s"' % name)
                continue
            first = first or name
            if name.startswith(tuple(d + "/" for d in SOURCES)):
                f.add(path, n, 'is ours: want "%s"' % name)
            elif not re.fullmatch(pure_rule(path) or ".*", name):
                f.add(path, n, "does no I/O: wants no <%s>" % name)
            for header, files in DOORS:
                if re.fullmatch(header, name):
                    if not re.fullmatch(files, path):
                        f.add(path, n, "<%s> has its doors in %s" %
                              (name, files.replace("\\", "")))
                    break
        own = path[:-2] + ".h"
        if path.endswith(".c") and first != own and \
                os.path.exists(os.path.join(f.root, own)) and \
                '"%s"' % own in text:
            f.add(path, 1, 'must include "%s" first' % own)


def check_banned(f):
    call = re.compile(r"(?<![\w.>])(%s)\s*\(" % "|".join(BANNED))
    outside = re.compile(r"(?<![\w.>])(%s)\s*\(" % "|".join(OUTSIDE))
    for path in walk(f.root, PRODUCT, (".c", ".h")):
        lines = without_comments(read(f.root, path)).split("\n")
        for n, line in enumerate(lines, 1):
            m = call.search(line)
            if m:
                f.add(path, n, "%s(): %s" % (m.group(1), BANNED[m.group(1)]))
            m = pure_rule(path) and outside.search(line)
            if m:
                f.add(path, n, m.group(1) + "(): does no I/O")
            if path.startswith("agent/") and \
                    re.search(r"(?<!\w)memcmp\s*\(", line):
                # A call may go on in the next line.
                whole = line + lines[n] if n < len(lines) else line
                if not any(p == path and re.search(r, whole)
                           for p, r, _ in MEMCMP):
                    f.add(path, n, "memcmp(): secrets want secret_equal(); "
                          "what is none is listed in tests/lint/lint.py")


def check_headers(f, cc):
    def compile_one(path):
        # A header with no include but itself, twice, must compile.
        source = '#include "%s"\n#include "%s"\n' % (path, path)
        done = subprocess.run(
            [cc, "-std=c17", "-D_GNU_SOURCE", "-Wall", "-Wextra",
             "-Wno-unused-function", "-Werror", "-fsyntax-only", "-I.",
             "-x", "c", "-"],
            input=source, cwd=f.root, text=True, capture_output=True)
        return path, done.returncode, done.stderr.strip()

    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        for path, code, words in pool.map(
                compile_one, walk(f.root, SOURCES, (".h",))):
            if code != 0:
                f.add(path, 1, "does not compile alone: " +
                      (words.split("\n") or ["?"])[0])
    for path in walk(f.root, PRODUCT, (".h",)):
        guard = re.sub(r"[/.]", "_", path).upper()
        if "#ifndef %s\n#define %s\n" % (guard, guard) not in \
                read(f.root, path):
            f.add(path, 1, "wants the guard " + guard)


def check_words(f):
    words = re.compile(r"\b(%s)\b" % "|".join(WORDS))
    folders = SOURCES + ("docs", "deploy", "cmake", ".ci")
    tops = (n for n in sorted(os.listdir(f.root))
            if os.path.isfile(os.path.join(f.root, n)) and
            (n.endswith(TEXTS) or n.endswith("CMakeLists.txt")))
    for path in list(tops) + list(walk(f.root, folders, TEXTS)):
        for n, line in enumerate(read(f.root, path).split("\n"), 1):
            m = words.search(line)
            if m:
                f.add(path, n, "unfinished: " + m.group(1))
            for p in PATHS:
                if p in line:
                    f.add(path, n, "path of one machine: " + p)


def check_size(f):
    for path in walk(f.root, SOURCES, (".c", ".h")):
        lines = read(f.root, path).split("\n")
        if len(lines) - 1 > FILE_MAX:
            f.add(path, len(lines) - 1, "%d lines, at most %d" %
                  (len(lines) - 1, FILE_MAX))
        # KNF: a body's braces stand alone in the first column.
        start = None
        for n, line in enumerate(lines, 1):
            if line == "{":
                start = n
            elif line == "}" and start is not None:
                if n - start - 1 > FUNCTION_MAX:
                    f.add(path, start - 1, "function of %d lines, at most %d" %
                          (n - start - 1, FUNCTION_MAX))
                start = None


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("check", choices=("includes", "banned", "headers",
                                          "words", "size", "docs"))
    parser.add_argument("--root", default=".")
    parser.add_argument("--cc", default="cc")
    args = parser.parse_args()
    f = Findings(args.root)
    if args.check == "headers":
        check_headers(f, args.cc)
    elif args.check == "docs":
        docs.check(f.root, f.add)
    else:
        globals()["check_" + args.check](f)
    return 1 if f.count else 0


if __name__ == "__main__":
    sys.exit(main())
