"""The systemd units: known to systemd, and as closed as they say."""

import os
import shutil
import tempfile
import unittest

import harness

UNITS = os.path.join(harness.SOURCE, "deploy", "systemd")
EXPOSURE = "12"  # tenths


class Units(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="attest-units-")
        self.addCleanup(shutil.rmtree, self.folder)
        for name in os.listdir(UNITS):
            with open(os.path.join(UNITS, name), encoding="utf-8") as unit:
                text = unit.read()
            # The programs of this build, and a manual that is there.
            text = text.replace("/usr/bin/attest-", harness.BIN + "/attest-")
            with open(os.path.join(self.folder, name), "w",
                      encoding="utf-8") as out:
                out.write(text)

    def units(self, end):
        return [os.path.join(self.folder, name)
                for name in sorted(os.listdir(self.folder))
                if name.endswith(end)]

    def test_verify(self):
        """No word that systemd does not know."""
        done = harness.run(
            ["systemd-analyze", "verify", "--man=no",
             *self.units(".service"), *self.units(".socket"),
             *self.units(".timer")])
        self.assertEqual(done.stdout + done.stderr, "")

    def test_the_two_relay_units_differ_where_they_must(self):
        """attest-relay@.service is attest-relay.service with --takeover."""
        lines = []
        for name in ("attest-relay.service", "attest-relay@.service"):
            with open(os.path.join(UNITS, name), encoding="utf-8") as unit:
                lines.append({line for line in unit.read().splitlines()
                              if line and not line.startswith("#")})
        one, two = lines
        keys = {line.split("=")[0] for line in one ^ two}
        self.assertEqual(keys, {"Description", "ExecStart", "Sockets",
                                "RuntimeDirectoryPreserve"})

    def test_exposure(self):
        for unit in self.units(".service"):
            # One of a user has no more rights to give up than she has.
            if "agent" in os.path.basename(unit):
                continue
            done = harness.run(
                ["systemd-analyze", "security", "--offline=yes", "--no-pager",
                 "--threshold=" + EXPOSURE, unit])
            print(done.stdout.strip().splitlines()[-1])


if __name__ == "__main__":
    unittest.main(verbosity=2)
