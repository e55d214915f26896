#!/usr/bin/env python3
"""Each rule of lint.py finds what it is for, and nothing in a clean tree."""

import os
import subprocess
import sys
import tempfile
import unittest

import docs

LINT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "lint.py")


def write(root, files):
    for path, text in files.items():
        path = os.path.join(root, path)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)


def lint(check, files):
    with tempfile.TemporaryDirectory() as root:
        write(root, files)
        done = subprocess.run([sys.executable, LINT, check, "--root", root],
                              text=True, capture_output=True, check=False)
        return done.returncode, done.stdout


class Lint(unittest.TestCase):
    def finds(self, check, path, text, says, **more):
        code, words = lint(check, {path: text, **more})
        self.assertEqual(code, 1, (path, text))
        self.assertIn(path, words)
        self.assertIn(says, words)

    def passes(self, check, path, text):
        self.assertEqual(lint(check, {path: text}), (0, ""))

    def test_directions(self):
        for path, name in (
                ("relay/a.c", "agent/b.h"), ("agent/a.c", "relay/b.h"),
                ("agent/a.c", "agent/sev/cert.h"), ("common/a.c", "relay/b.h"),
                ("agent/sev/a.c", "common/log.h"),
                ("agent/sev/a.c", "agent/vault/vault.h"),
                ("agent/net/a.c", "agent/vault/vault.h"),
                ("agent/vault/a.c", "agent/net/link.h"),
                ("agent/cli/a.c", "agent/vault/vault.h"),
                ("launch/a.c", "agent/b.h"), ("relay/a.c", "b.h")):
            self.finds("includes", path, '#include "%s"\n' % name,
                       "may not include")
        # Brackets find the same file.
        self.finds("includes", "relay/a.c", "#include <agent/b.h>\n",
                   'is ours: want "agent/b.h"')
        for path, name in (
                ("relay/a.c", "common/b.h"), ("agent/a.c", "agent/sev/sev.h"),
                ("agent/sev/a.c", "common/err.h"),
                ("agent/net/a.c", "agent/door.h"),
                ("agent/cli/a.c", "agent/vault/owner.h"),
                ("tests/a.c", "relay/b.h")):
            self.passes("includes", path, '#include "%s"\n' % name)

    def test_layers(self):
        for path, name in (
                ("common/frame.c", "common/log.h"),
                ("common/tunnel_send.c", "common/loop.h"),
                ("common/err.c", "common/secret.h"),
                ("common/hex.h", "common/buf.h")):
            self.finds("includes", path, '#include "%s"\n' % name, "is below")
        self.passes("includes", "common/tunnel_send.c",
                    '#include "common/tunnel_impl.h"\n')

    def test_doors(self):
        for path, name in (
                ("relay/a.c", "yaml.h"), ("common/log.c", "event2/event.h"),
                ("agent/vault/vault.c", "openssl/ssl.h"),
                ("relay/route.c", "openssl/evp.h"),
                ("agent/vault/vault.c", "sqlite3.h"),
                ("relay/config.c", "jansson.h")):
            self.finds("includes", path, "#include <%s>\n" % name, "doors")
        self.passes("includes", "common/conf.c", "#include <yaml.h>\n")

    def test_no_io(self):
        for path, name in (("agent/sev/a.c", "sys/socket.h"),
                           ("agent/sev/a.c", "openssl/rand.h"),
                           ("common/frame.c", "unistd.h")):
            self.finds("includes", path, "#include <%s>\n" % name, "no I/O")
        self.passes("includes", "agent/sev/a.c", "#include <openssl/evp.h>\n")
        self.finds("banned", "agent/sev/a.c", "\tf = fopen(a, b);\n", "no I/O")
        self.passes("banned", "agent/key.c", "\tf = fopen(a, b);\n")

    def test_own_header_first(self):
        self.finds("includes", "relay/a.c",
                   '#include <stdio.h>\n#include "relay/a.h"\n', "first",
                   **{"relay/a.h": ""})

    def test_banned(self):
        self.finds("banned", "relay/a.c", "\tstrcpy(a, b);\n", "strcpy()")
        self.finds("banned", "common/a.c", "\tx = atoi (b);\n", "atoi()")
        self.finds("banned", "agent/a.c", "\tif (memcmp(a, b, 3))\n",
                   "memcmp()")
        for text in ("/* strcpy(a, b) */\n", '\tf("atoi(x)");\n',
                     "\tmy_system(a);\n", "\tv->random(a);\n",
                     "\tCRYPTO_memcmp(a, b, 3);\n"):
            self.passes("banned", "agent/a.c", text)
        self.passes("banned", "agent/net/tunnel_tls.c",
                    "\tmemcmp(a,\n\t    l->url->pin, 3);\n")

    def test_headers(self):
        self.finds("headers", "relay/a.h", "#ifndef RELAY_A_H\n"
                   "#define RELAY_A_H\nint f(size_t n);\n#endif\n",
                   "does not compile alone")
        self.finds("headers", "relay/a.h", "int f(int n);\n", "wants the guard")
        self.passes("headers", "relay/a.h", "#ifndef RELAY_A_H\n"
                    "#define RELAY_A_H\n#include <stddef.h>\n"
                    "int f(size_t n);\n#endif\n")

    def test_words(self):
        self.finds("words", "docs/a.md", "x TO" + "DO: y\n", "unfinished")
        self.finds("words", "relay/a.c", "/* FIX" + "ME */\n", "unfinished")
        self.finds("words", "deploy/a.sh", "cd /wor" + "k/x\n", "one machine")
        self.finds("words", "deploy/a", "# TO" + "DO\n", "unfinished")
        self.passes("words", "docs/a.md", "XXXX hacks\n")

    def test_size(self):
        self.finds("size", "relay/a.c", "\n" * 601, "601 lines")
        self.finds("size", "relay/a.c", "int\nf(void)\n{\n%s}\n" %
                   ("\tx;\n" * 81), "function of 81")
        self.passes("size", "relay/a.c", "int\nf(void)\n{\n%s}\n" %
                    ("\tx;\n" * 80))

    # A tree whose documents are true; each case adds one line that is not.
    TREE = {
        "README.md": "[all](docs/protocol.md)\n",
        "docs/protocol.md": """# P
## 8. Headers: `accept`
## 9. Problems
| 403 | `refused` | agent |
## 10. Tunnel
### 10.1 Frames
| 0x01 | HELLO | a->r |
| 0x0010 | KEY | 32 bytes |
""",
        "docs/operations.md": "| name (`attest_relay_...`) |\n| --- |\n"
                              "| `tunnels`, `workers` | now |\n\n",
        "docs/operations-agent.md": "| `relay.url`, `.ca` | `--relay` |\n",
        "common/problem.c": '\t[P_R] = { "refused", 403,\n',
        "common/frame.h": "\tFRAME_HELLO = 0x01,\n",
        "common/frame_table.h": "\tTAG_KEY = 0x0010,\n",
        "relay/config.c": "struct conf_key relay_keys[] = {\n"
                          '\t{ "limits.held", CONF_INT,\n};\n',
        "relay/metrics.c": '\tgauge(out, "workers", "x");\n'
                           '\ttenants(out, r, T, "tunnels", "x");\n',
        "agent/config.c": "struct conf_key keys[] = {\n"
                          '\t{ "relay.url", CONF_STRING,\n'
                          '\t{ "relay.ca", CONF_PATH,\n};\n',
        "agent/main.c": '/* docs/protocol.md 10.1 */\n\t{ "run", run },\n'
                        '\t"relay"\n    "run"\n',
        "tests/unit/CMakeLists.txt":
            "foreach(part a b)\n  unit_test(x_${part} ${part}_test.c lib)\n"
            "endforeach()\n",
        "tests/unit/a_test.c": "static void\nholds_it(void **s)\n",
        "tests/unit/b_test.c": "static void\nbreaks_it(void **s)\n",
        "tests/integration/relay.cmake": "integration_test(r r_case.py)\n",
        "tests/integration/r_case.py":
            "class Case:\n    def test_one(self):\n",
    }

    def with_line(self, path, line):
        found = []
        with tempfile.TemporaryDirectory() as root:
            write(root, {**self.TREE,
                         path: self.TREE.get(path, "") + line + "\n"})
            docs.check(root, lambda p, _, words: found.append(p + ": " + words))
        return found

    def test_docs_that_are_true(self):
        self.assertEqual(lint("docs", self.TREE), (0, ""))
        table = "| what | shown by |\n| --- | --- |\n| x | %s |"
        for line in ("`relay/config.c`, `relay/config`, `tests/unit/*_test.c`, "
                     "`common/problem.c`", "`main.c` x.md: `limits.held`",
                     "unit.x_a, unit.x_b, integration.r `test_one`",
                     "`limits.*`, `relay.url`, `relay.yaml`",
                     "    attest-agent run --relay wss://a.example/sev",
                     "`attest-agent run`, docs/protocol.md 10.1",
                     table % "unit.x_a `holds_it`, `holds_*`",
                     table % "unit.x_b and integration.r `Case.test_*`, `Case`"):
            self.assertEqual(self.with_line("docs/a.md", line), [], line)

    def test_docs_that_rot(self):
        table = "| what | shown by |\n| --- | --- |\n| x | %s |"
        for path, line, says in (
                ("docs/a.md", "in `relay/gone.c`", "no such file: relay/gone"),
                ("docs/a.md", "in relay/gone.c", "no such file: relay/gone"),
                ("docs/a.md", "`tests/*/gone*`", "no such file: tests/*/gone"),
                ("docs/a.md", "see `gone.c`", "no such file: gone.c"),
                ("docs/a.md", "[x](gone.md)", "link to nowhere: docs/gone.md"),
                ("docs/a.md", "unit.x_c", "no such test: unit.x_c"),
                ("docs/a.md", "`test_two`", "no such test: test_two"),
                ("docs/a.md", table % "unit.x_a `breaks_it`", "unit/a_test.c"),
                ("docs/a.md", table % "r `test_o*`, x_gone", "test: x_gone"),
                ("docs/a.md", "`secret_gone()`", "no such function"),
                ("docs/a.md", "`limits.gone`", "no such key: limits.gone"),
                ("docs/a.md", "`relay.gone-*`", "no such key: relay.gone"),
                ("docs/a.md", "give `--gone`", "no such flag: --gone"),
                ("docs/a.md", "    attest-agent gone", "has no gone"),
                ("docs/a.md", "docs/protocol.md 10.2", "no section 10.2"),
                ("relay/a.c", "/* docs/protocol.md 7 */", "no section 7"),
                ("relay/host_job.c", '\t{ "cookie", true },',
                 "8 has no header cookie"),
                ("relayctl/command.c", '\t{ "fence", NULL, "POST", "/v1/f",',
                 "the help does not know fence"),
                ("relayctl/command.c", '\t{ "fence", NULL, "POST", "/v1/f",',
                 'request "POST", "/v1/f" is not in relay/admin_table.c'),
                ("docs/protocol.md", "| 0x0011 | SIGN | x |", "0x0011 SIGN"),
                ("common/frame.h", "\tFRAME_PING = 0x20,", "0x20 PING"),
                ("common/problem.c", '\t[P_X] = { "gone", 4', "problem gone"),
                ("relay/metrics.c", '\tcounter(out, "gone", "x");',
                 "metric gone"),
                ("agent/config.c", "struct conf_key keys[] = {\n"
                 '\t{ "log.level", CONF_ENUM,\n};', "log.level is not in"),
        ):
            found = self.with_line(path, line)
            self.assertTrue(any(says in words for words in found),
                            (line, found))


if __name__ == "__main__":
    unittest.main()
