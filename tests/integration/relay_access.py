"""The access log: one line a request, one id in all three programs' words,
and never a byte of a body."""

import json
import os
import secrets
import unittest

import harness


class AccessLog(harness.LabTest):
    relay_extra = "log: {format: json, level: debug}\n"

    def lines(self):
        return [json.loads(line) for line in self.lab.relay.lines
                if line.startswith("{")]

    def wait_for(self, request_id):
        self.lab.relay.wait_line('"id":"%s"' % request_id)
        found = [line for line in self.lines()
                 if line.get("id") == request_id]
        self.assertEqual(len(found), 1, found)
        return found[0]

    def test_every_line_is_an_object(self):
        _, headers, _ = self.lab.curl("/vm/%s/launch" % self.vm, b"{}")
        self.wait_for(headers["request-id"])
        for line in list(self.lab.relay.lines):
            self.assertLessEqual({"time", "level", "subject"},
                                 set(json.loads(line)))

    def test_fields(self):
        body = b'{"api-major":1}'
        status, headers, answer = self.lab.curl(
            "/vm/%s/launch" % self.vm, body)
        line = self.wait_for(headers["request-id"])
        ms = line.pop("ms")
        self.assertGreater(ms, 0)
        self.assertRegex(line.pop("time"), r"^\d{4}-\d\d-\d\dT.*Z$")
        self.assertRegex(line.pop("subject"), r"^host 127\.0\.0\.1:\d+$")
        self.assertEqual(line, {
            "level": "info", "method": "POST", "resource": "launch",
            "uuid": self.vm, "status": status, "origin": "agent",
            "in": len(body), "out": len(answer),
            "id": headers["request-id"], "host": "token:cn-17"})

    def test_refused_for_its_form(self):
        _, headers, _ = self.lab.curl(
            "/vm/%s/launch" % self.vm, b"x", "-H", "Expect: nonsense")
        line = self.wait_for(headers["request-id"])
        self.assertEqual(line["origin"], "relay")
        self.assertIn("why", line)

    def test_one_id_everywhere_and_no_body_anywhere(self):
        """Answer, relay and agent name a request alike; what was in it and
        in its answer is in no log, at the most talkative level."""
        self.owner.stop()
        self.owner.start("-v")
        canary = "canary" + secrets.token_hex(8)
        given = "host-" + secrets.token_hex(6)
        status, headers, answer = self.lab.curl(
            "/vm/%s/launch" % self.vm,
            ('{"x-%s": "%s"}' % (canary, canary)).encode(),
            "-H", "request-id: " + given, "-H", "X-Other: " + canary)
        self.assertEqual(headers["request-id"], given)
        self.wait_for(given)
        self.assertIn(given, answer.decode())
        # A whole launch, too, by the host's program at its most talkative.
        self.lab.host("launch", *self.lab.guest(self.vm), "--transcript",
                      "--expect-secret-file",
                      self.lab.file("secret", self.passphrase))
        served = [line["id"] for line in self.lines()
                  if line.get("status") == 200]
        self.assertEqual(len(served), 2)
        kept = self.owner.cli("log", "show", "--json").stdout
        for request_id in served:
            self.assertIn(request_id, kept)
        logs = kept + self.lab.relay.output() + self.owner.process.output()
        for name in os.listdir(self.lab.folder):
            if name.endswith(".log"):
                with open(self.lab.path(name), encoding="utf-8",
                          errors="replace") as log:
                    logs += log.read()
        for secret in (canary, self.passphrase, self.lab.token):
            self.assertNotIn(secret, logs)


if __name__ == "__main__":
    unittest.main(verbosity=2)
