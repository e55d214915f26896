#!/usr/bin/env python3
"""Each rule of lint.py finds what it is for, and nothing in a clean tree."""

import os
import subprocess
import sys
import tempfile
import unittest

LINT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "lint.py")


def lint(check, files):
    with tempfile.TemporaryDirectory() as root:
        for path, text in files.items():
            path = os.path.join(root, path)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "w", encoding="utf-8") as f:
                f.write(text)
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
        self.passes("words", "docs/a.md", "XXXX hacks\n")

    def test_size(self):
        self.finds("size", "relay/a.c", "\n" * 601, "601 lines")
        self.finds("size", "relay/a.c", "int\nf(void)\n{\n%s}\n" %
                   ("\tx;\n" * 81), "function of 81")
        self.passes("size", "relay/a.c", "int\nf(void)\n{\n%s}\n" %
                    ("\tx;\n" * 80))


if __name__ == "__main__":
    unittest.main()
