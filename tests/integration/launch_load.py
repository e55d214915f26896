"""Issue 6.9: 64 hosts, 200 launches each, none lost and none mixed up."""

import json
import unittest
import uuid

import harness

HOSTS = 64
LAUNCHES = 200


class Load(unittest.TestCase):
    def test_64_hosts(self):
        lab = harness.Lab()
        self.addCleanup(lab.close)
        owner = lab.agent()
        lines = []
        for i in range(HOSTS):
            secret = harness.new_passphrase()
            vm = owner.add("web%d" % i, secret, vm=str(uuid.uuid4()))
            lines.append("%s %s" % (vm, secret))
        vms = [line.split()[0] for line in lines]
        lab.start_relay({"acme": (owner, vms)})
        owner.start()
        path = lab.file("vms", "\n".join(lines) + "\n")
        done = lab.host(
            "launch", *lab.reach(), "--uuid-file", path, "--platform",
            harness.PLATFORM, "--firmware", harness.FIRMWARE, "--chain",
            "signed", "--hosts", str(HOSTS), "--launches", str(LAUNCHES),
            "--json", ok=(0, 1, 3, 4, 5), timeout=600)
        print(done.stdout)
        result = json.loads(done.stdout.strip().splitlines()[-1])
        self.assertEqual(result["lost"], 0, done.stdout + done.stderr)
        self.assertEqual(result["mixed-up"], 0)
        self.assertEqual(result["ok"], HOSTS * LAUNCHES)
        log = owner.cli("log", "show", "--json").stdout
        self.assertEqual(log.count('"released"'), HOSTS * LAUNCHES)


if __name__ == "__main__":
    unittest.main(verbosity=2)
