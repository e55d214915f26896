"""The load driver tells the truth: every answer right, nothing lost, and what
is wrong is counted.  No figure is judged here."""

import unittest

import bench


class DriverTest(unittest.TestCase):
    def setUp(self):
        self.b = bench.Bench()
        self.addCleanup(self.b.close)

    def start(self, tunnels, *args, quotas=("",)):
        self.b.start_relay(self.b.relay_config(tunnels, quotas=quotas))
        agents = self.b.agents(tunnels, *args)
        agents.say("add %d" % tunnels)
        self.assertEqual(agents.event()["tunnels"], tunnels)

    def load(self, port, *args):
        return self.b.load(port, "--seconds", 1, "--warm-ms", 100, *args)

    def all_right(self, port, *args):
        got = self.load(port, *args)
        self.assertGreater(got["ok"], 0)
        self.assertEqual((got["wrong"], got["refused"], got["lost"]),
                         (0, 0, 0), got)
        return got

    def test_answers_of_many_tunnels_are_right(self):
        self.start(20, "--check", "127.0.0.1:%d" % self.b.internal, "--ping")
        for kind in (["--connections", 16], ["--connections", 4, "--fresh"],
                     ["--connections", 16, "--rate", 100]):
            self.all_right(self.b.internal, "--count", 20, *kind)

    def test_answers_of_the_plain_server_are_right(self):
        for tls in False, True:
            self.all_right(self.b.backend(tls), "--connections", 4,
                           *([] if tls else ["--plain"]))

    def test_a_slow_agent_shows_in_the_latency(self):
        self.start(1, "--delay-ms", 40)
        got = self.all_right(self.b.internal, "--connections", 4)
        self.assertGreaterEqual(got["p50_us"], 35000)

    def test_what_is_not_answered_is_counted(self):
        self.start(1)
        got = self.load(bench.free_port(), "--connections", 1)
        self.assertEqual(got["ok"], 0)
        self.assertGreater(got["lost"], 0)
        got = self.load(self.b.internal, "--token", "other")
        self.assertEqual(got["ok"], 0)
        self.assertGreater(got["refused"] + got["lost"], 0)

    def test_a_tenant_over_its_quota_is_refused_and_no_other(self):
        """What scale.py neighbours is about."""
        self.start(2, quotas=("requests: 1", "requests: 0"))
        flags = ["--connections", 4, "--rate", 100]
        got = self.load(self.b.internal, *flags)
        self.assertGreater(got["refused"], 0)
        self.assertEqual((got["status"], got["wrong"], got["lost"]),
                         (429, 0, 0))
        self.all_right(self.b.internal, "--first", 1, *flags)


if __name__ == "__main__":
    unittest.main()
