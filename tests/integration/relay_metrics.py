"""/healthz, /readyz and /metrics on the admin listener."""

import os
import re
import subprocess
import unittest

import fake_agent
import harness
import relay_case

# ux: the names that dashboards are made of.
NAMES = ("tunnels", "requests_total", "request_seconds", "wait_seconds",
         "streams", "reconnects_total", "rejected_total",
         "cert_expiry_seconds", "build_info")


class Metrics(relay_case.Scraper, relay_case.RelayCase):
    def test_health(self):
        self.assertEqual(self.get("/healthz"), "ok\n")
        self.assertEqual(self.get("/readyz"), "ready\n")

    def test_promtool_finds_nothing(self):
        self.echo()
        self.ask()
        text = self.get("/metrics")
        self.assertEqual(self.kind,
                         "text/plain; version=0.0.4; charset=utf-8")
        done = subprocess.run(["promtool", "check", "metrics"], input=text,
                              capture_output=True, text=True, timeout=60)
        self.assertEqual((done.returncode, done.stdout, done.stderr),
                         (0, "", ""))
        for name in NAMES:
            self.assertIn("# TYPE attest_relay_%s " % name, text)
        # Nobody learns from a scrape who starts what.
        self.assertNotIn(self.vm, text)
        self.assertNotRegex(text, r"[0-9a-f]{8}-[0-9a-f]{4}-")

    def test_alerts_are_about_what_there_is(self):
        rules = os.path.join(harness.SOURCE, "deploy", "prometheus",
                             "attest-relay.rules.yaml")
        harness.run(["promtool", "check", "rules", rules])
        self.echo()
        self.ask()
        text = self.get("/metrics")
        with open(rules, encoding="utf-8") as file:
            used = set(re.findall(r"attest_relay_\w+", file.read()))
        self.assertGreater(len(used), 5)
        for name in used:
            self.assertIn("# TYPE %s " % name, text)

    def test_what_happened_is_counted(self):
        echo = self.echo()
        for _ in range(3):
            self.assertEqual(self.ask(b"{}").status, 200)
        self.assertEqual(self.ask(token=False).status, 401)
        stranger = fake_agent.Key()
        with self.assertRaises(fake_agent.Closed):
            self.tunnel(key=stranger)
        text = self.get("/metrics")
        agent = {"route": "launch", "code": "200", "origin": "agent"}
        self.assertEqual(self.value(text, "requests_total", **agent), 3)
        self.assertEqual(self.value(
            text, "requests_total", route="launch", code="401",
            origin="relay"), 1)
        self.assertEqual(self.value(text, "tunnels", tenant="acme"), 1)
        self.assertEqual(self.value(text, "claims", tenant="acme"), 1)
        self.assertEqual(self.value(text, "streams", tenant="acme"), 0)
        self.assertEqual(self.value(text, "rejected_total", reason="host"), 1)
        self.assertEqual(self.value(text, "rejected_total",
                                    reason="hello"), 1)
        self.assertEqual(self.value(text, "request_seconds_count"), 4)
        self.assertEqual(self.value(text, "wait_seconds_count"), 3)
        self.assertEqual(self.value(text, "body_received_bytes_total"), 6)
        self.assertEqual(self.value(text, "tunnels_made_total"), 1)
        self.assertEqual(self.value(text, "host_moves_total"), 0)
        echo.tunnel.close()
        self.lab.relay.wait_line(r"down: ")
        text = self.get("/metrics")
        self.assertEqual(self.value(text, "tunnels", tenant="acme"), 0)
        self.assertEqual(sum(self.value(text, "reconnects_total",
                                        reason=reason)
                             for reason in ("closed", "lost")), 1)


if __name__ == "__main__":
    unittest.main(verbosity=2)
