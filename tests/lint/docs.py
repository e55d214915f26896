"""What documents name exists: files, tests, keys, flags, metrics, problems,
and the sections of docs/protocol.md that code cites.

check(root, add) calls add(path, line, words) for each name that does not.
"""

import fnmatch
import os
import re

CODE = ("common", "relay", "relayctl", "agent", "launch")
FOLDERS = CODE + ("cmake", "deploy", "docs", "tests")
# Names behind a dot that are no keys of a configuration.
FILES = ("c", "db", "example", "h", "json", "key", "service", "sock", "socket",
         "token", "yaml")
CTEST = r"\b(?:unit|fuzz|integration|interop|lint|model|kat)\.(?!md)[a-z]\w*"


class Tree:
    """The files below a root, by their paths from it."""

    def __init__(self, root):
        self.root = root
        self.paths = set()
        self.folders = set()
        for base, folders, names in os.walk(root):
            folders[:] = [d for d in folders
                          if d not in (".git", "build", "__pycache__")]
            here = os.path.relpath(base, root)
            self.folders.add(here)
            self.paths.update(os.path.normpath(os.path.join(here, n))
                              for n in names)

    def read(self, path):
        if path not in self.paths:
            return ""
        with open(os.path.join(self.root, path), encoding="utf-8",
                  errors="replace") as f:
            return f.read()

    def under(self, folders, suffixes):
        return sorted(p for p in self.paths
                      if p.startswith(tuple(d + "/" for d in folders)) and
                      p.endswith(suffixes))

    def has(self, name):
        """A path, a folder, a pair x.c and x.h without suffix, or a glob."""
        name = name.rstrip("/")
        if "{" in name:
            head, words, tail = re.fullmatch(r"(.*?)\{(.*?)\}(.*)",
                                             name).groups()
            return all(self.has(head + w + tail) for w in words.split(","))
        if "*" in name:
            return bool(fnmatch.filter(self.paths, name))
        return name in self.paths or name in self.folders or \
            name + ".c" in self.paths or name + ".h" in self.paths


def lines_of(tree, paths):
    for path in paths:
        for n, line in enumerate(tree.read(path).split("\n"), 1):
            yield path, n, line


def check_paths(tree, docs, add):
    folder = "(?:%s)/" % "|".join(FOLDERS)
    tails = {p.rsplit("/", k)[-1] if k == 1 else "/".join(p.split("/")[-k:])
             for p in tree.paths for k in (1, 2)}
    for path, n, line in lines_of(tree, docs):
        # In backticks a whole path; elsewhere what ends like a file.
        named = re.findall(r"`(%s[\w*{},./-]*[\w*/])`" % folder, line)
        named += re.findall(r"(?<![\w/.:}-])" + folder +
                            r"[\w*{},./-]*\.[a-z]+\b", line)
        for name in named:
            if not tree.has(name):
                add(path, n, "no such file: " + name)
        for name in re.findall(r"`([\w/-]+\.(?:c|h|py|sh|pml|cmake))\b", line):
            if name not in ("x.c", "x.h") and not tree.has(name) and name not in tails:
                add(path, n, "no such file: " + name)
        for name in re.findall(r"\]\(([^)#:]+)", line):
            name = os.path.normpath(os.path.join(os.path.dirname(path), name))
            if not tree.has(name):
                add(path, n, "link to nowhere: " + name)


def tests_of(tree):
    """Name of a test -> its source, from the CMake lists.  A name that ends
    in a dot is a whole label."""
    tests = {}
    kinds = {"unit_test": "unit.", "integration_test": "integration.",
             "fuzz_target": "fuzz.", "add_test": ""}
    for path in tree.under(("tests",), (".cmake", "CMakeLists.txt")):
        text = re.sub(r"#.*", "", tree.read(path))
        loops = [(m.start(), m.end(), m.group(1), m.group(2).split())
                 for m in re.finditer(
                     r"foreach\((\w+) ([^)]*)\)(?:(?!endforeach).)*", text,
                     re.S)]
        for m in re.finditer(r"\b(%s)\((?:NAME )?([\w.${}]+)\s+([\w.${}]*)" %
                             "|".join(kinds), text):
            _, _, word, values = next(
                (x for x in loops if x[0] < m.start() < x[1]),
                (0, 0, "none", [""]))
            for value in values:
                name, source = (g.replace("${%s}" % word, value)
                                for g in m.groups()[1:])
                tests[kinds[m.group(1)] + name] = os.path.normpath(
                    os.path.join(os.path.dirname(path), source))
    return tests


def definitions(text):
    """Functions and classes of Python, functions of C; methods as X.y, too."""
    names, inside = set(), ""
    for m in re.finditer(r"^(class|\s*def) (\w+)|^(\w+)\(", text, re.M):
        names.add(m.group(2) or m.group(3))
        if m.group(1) == "class":
            inside = m.group(2)
        elif m.group(1):
            names.add("%s.%s" % (inside, m.group(2)))
    return names


def check_tests(tree, docs, add):
    tests = tests_of(tree)
    everything = set()
    for path in tree.under(("tests",), (".py", ".c")):
        everything |= definitions(tree.read(path))
    column = None
    for path, n, line in lines_of(tree, docs):
        for name in re.findall(CTEST + r"(?!\w*\.)", line):
            if name not in tests and not re.search(r"\.(c|h|py)$", name):
                add(path, n, "no such test: " + name)
        for name in re.findall(r"`((?:\w+\.)?test_\w*)(?:\*?`)", line):
            if not any(d.startswith(name) for d in everything):
                add(path, n, "no such test: " + name)
        # Tables whose last column names tests: each function that stands
        # there is one of the tests before it.
        if not line.startswith("|"):
            column = None
            continue
        cell = line.rstrip("| ").rsplit("|", 1)[-1].strip()
        if re.fullmatch(r"shown by|Test", cell):
            column = cell
        elif column and not re.fullmatch(r"-+", cell):
            check_cell(tree, tests, cell, lambda w: add(path, n, w))


def check_cell(tree, tests, cell, add):
    sources = []
    for word in re.findall(r"`[^`]*`|[\w.*/]*\w_[\w.]*\w|" + CTEST,
                           re.sub(r"fuzz `(\w+)`", r"fuzz.\1", cell)):
        if not word.startswith("`"):
            source = [tests[t] for t in (word, "integration." + word)
                      if t in tests] or [
                p for p in tree.paths
                if p.startswith("tests/unit/sev/") and
                p.endswith("/%s.c" % re.sub(r"\.c$", "", word))]
            if not source:
                add("no such test: " + word)
            sources += source
            continue
        name = word.strip("`")
        if not re.fullmatch(r"[\w.]+?(\*|_\.\.\.)?", name) or \
                re.search(r"\.(json|py|c)$", name):
            continue
        head = re.sub(r"(\*|\.\.\.)$", "", name)
        known = set().union(*(definitions(tree.read(s)) for s in sources))
        if not any(d == name or d.startswith(head) and d != head and
                   head != name for d in known):
            add("no such test in %s: %s" % (", ".join(sources) or "?", name))


def check_functions(tree, docs, add):
    code = "".join(tree.read(p)
                   for p in tree.under(CODE + ("tests",), (".c", ".h", ".py")))
    for path, n, line in lines_of(tree, docs):
        for name in re.findall(r"`(\w+)\(\)|`(sev_\w+)\*?`", line):
            name = name[0] or name[1]
            if not re.search(r"\b" + name, code):
                add(path, n, "no such function: " + name)


def keys_of(text):
    """Tables of keys, name of the table -> keys."""
    return {m.group(1): re.findall(r'^\t\{ "([\w.-]+)", CONF_', m.group(2),
                                   re.M)
            for m in re.finditer(r"struct conf_key (\w+)\[\] = \{(.*?)\n\};",
                                 text, re.S)}


def check_keys(tree, docs, add):
    relay = keys_of(tree.read("relay/config.c"))
    agent = keys_of(tree.read("agent/config.c")).get("keys", [])
    known = set(agent) | set(relay.get("relay_keys", []))
    known |= {"tenants[]." + k for k in relay.get("tenant_keys", [])}
    sections = {k.split(".")[0] for k in known if "." in k}
    said = set()
    for path, n, line in lines_of(tree, docs):
        last = ""
        for word in re.findall(r"`([a-z\[\]-]*\.[a-z.*-]+)(?:`|:)", line):
            if word.startswith("."):
                word = last.split(".")[0] + word
            if word.split(".")[0] not in sections:
                continue
            last = word
            said.add((path, word))
            head = re.sub(r"(\*|\.\.\.)$", "", word)
            if word not in known and word.split(".")[-1] not in FILES and not (
                    head != word and any(k.startswith(head) for k in known)):
                add(path, n, "no such key: " + word)
    for key in agent:
        if ("docs/operations-agent.md", key) not in said:
            add("agent/config.c", 1,
                "%s is not in docs/operations-agent.md" % key)


def check_flags(tree, docs, add):
    have = set()
    for path in tree.under(CODE, (".c", ".h")) + \
            tree.under(("deploy", "tests"), (".sh", ".py")):
        have |= set(re.findall(r'"(?:--)?([a-z][a-z-]*)"|--([a-z][a-z-]*)',
                               tree.read(path)))
    have = {a or b for a, b in have}
    for path, n, line in lines_of(tree, docs):
        for name in re.findall(r"(?<![\w-])--([a-z][a-z-]+)", line):
            if name not in have:
                add(path, n, "no such flag: --" + name)
    check_verbs(tree, docs, add)


def check_verbs(tree, docs, add):
    verbs = {}
    for folder, program in (("agent", "agent"), ("launch", "launch"),
                            ("relayctl", "relayctl")):
        verbs[program] = {
            v for p in tree.under((folder,), (".c",))
            for v in re.findall(r'\{ "([a-z-]+)", ', tree.read(p))}
    # The help texts are documents, too.
    for program, table in (("agent", "agent/main.c"),
                           ("launch", "launch/main.c"),
                           ("relayctl", "relayctl/command.c")):
        usage = " ".join(re.findall(r'^    "(.*)"', tree.read(
            os.path.dirname(table) + "/main.c"), re.M))
        for row in re.findall(r'^\t\{ "([a-z-]+)", (?:"([a-z-]+)")?',
                              tree.read(table), re.M):
            # A list's default needs no word.
            for verb in set(row) - {"", "list", "show"}:
                if not re.search(r"\b%s\b" % verb, usage):
                    add(table, 1, "the help does not know " + verb)
    fence = False
    for path, n, line in lines_of(tree, docs):
        fence ^= line.startswith("```")
        start = "`|" + ("^" if fence else "^ {4,}") + r"(?:\w+\$ +)?"
        for program, verb in re.findall(
                "(?:%s)attest-(%s) ([a-z][a-z-]+)" %
                (start, "|".join(verbs)), line):
            if not verbs[program] & {verb, verb + "s"}:
                add(path, n, "attest-%s has no %s" % (program, verb))


def same(add, path, what, said, have, where):
    for name in sorted(set(said) - set(have)):
        add(path, 1, "%s %s is not in %s" % (what, name, where))
    for name in sorted(set(have) - set(said)):
        add(where, 1, "%s %s is not in %s" % (what, name, path))


def check_lists(tree, add):
    """Tables in documents that are lists of a table in code."""
    text = tree.read("docs/operations.md")
    table = re.search(r"^\| name \(`attest_relay_.*?\n\n", text,
                      re.M | re.S)
    cells = re.findall(r"^\| (`.*?) \|", table.group(0), re.M) if table else []
    same(add, "docs/operations.md", "metric",
         [w for c in cells for w in re.findall(r"`(\w+)`", c)],
         re.findall(r'^\t(?:family|gauge|counter|histogram|by_reason|tenants)'
                    r'\(out,(?: r, \w+,)?\s+"(\w+)"',
                    tree.read("relay/metrics.c"), re.M), "relay/metrics.c")
    same(add, "relayctl/command.c", "request",
         re.findall(r'"(?:GET|POST)", "/v1/[a-z/-]+"',
                    tree.read("relayctl/command.c")),
         re.findall(r'"(?:GET|POST)", "/v1/[a-z/-]+"',
                    tree.read("relay/admin_table.c")), "relay/admin_table.c")
    text = tree.read("docs/protocol.md")
    part = re.search(r"\n## 9\..*?\n## ", text, re.S)
    rows = re.findall(r"^\| [\d/]+ \|(.*?)\|", part.group(0), re.M) \
        if part else []
    names = {w for r in rows for w in re.findall(r"`([a-z0-9-]+)`", r)}
    part8 = re.search(r"^## 8\..*?^## ", text, re.M | re.S)
    for name in re.findall(r'^\t\{ "([a-z-]+)", (?:true|false) \}',
                           tree.read("relay/host_job.c"), re.M):
        if part8 and "`%s`" % name not in part8.group(0):
            add("relay/host_job.c", 1, "docs/protocol.md 8 has no header " +
                name)
    same(add, "docs/protocol.md", "problem", names,
         [p for p in re.findall(r'\] = \{ "([\w-]+)"',
                                tree.read("common/problem.c"))
          if not p.startswith("http-")], "common/problem.c")
    for what, row, enum, path in (
            ("frame", r"^\| (0x\d\d)(?:/(0x\d\d))? \| ([A-Z]+)(?:/([A-Z]+))? \|",
             r"^\tFRAME_([A-Z_]+) = (0x\d+)", "common/frame.h"),
            ("tag", r"^\| (0x[\da-f]{4})() \| ([A-Z-]+)() \|",
             r"^\tTAG_([A-Z_]+) = (0x[\da-f]+)", "common/frame_table.h")):
        said = [(m[k], m[k + 2]) for m in re.findall(row, text, re.M)
                for k in (0, 1) if m[k]]
        same(add, "docs/protocol.md", what, [" ".join(p) for p in said],
             ["%s %s" % (number, name.replace("_", "-"))
              for name, number in re.findall(enum, tree.read(path), re.M)
              if name != "IGNORABLE"], path)


def check_sections(tree, docs, add):
    have = set(re.findall(r"^#+ ([\d.]+?)\.? ", tree.read("docs/protocol.md"),
                          re.M))
    # The tests of this file name sections that no document has.
    code = [p for p in tree.under(FOLDERS, (".c", ".h", ".py", ".sh"))
            if not p.startswith("tests/lint/")]
    for path, n, line in lines_of(tree, docs + code):
        for name in re.findall(r"docs/protocol\.md (\d+(?:\.\d+)?)", line):
            if name not in have:
                add(path, n, "docs/protocol.md has no section " + name)


def check(root, add):
    tree = Tree(root)
    docs = sorted(p for p in tree.paths if p.endswith(".md") and
                  (p.startswith(("docs/", "deploy/", "tests/psp/")) or
                   "/" not in p))
    check_paths(tree, docs, add)
    check_tests(tree, docs, add)
    check_functions(tree, docs, add)
    check_keys(tree, docs, add)
    check_flags(tree, docs, add)
    check_lists(tree, add)
    check_sections(tree, docs, add)
