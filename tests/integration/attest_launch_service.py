"""attest-launch against a service that plays a script: every answer there is,
and what the launcher sends."""

import base64
import email.utils
import http.server
import json
import os
import ssl
import subprocess
import threading
import time
import unittest
import uuid

import harness

LAUNCH = os.path.join(harness.BIN, "attest-launch")
VM = "57f669c2-c427-4132-bc7a-26f56b6a718c"


def b64(length):
    return base64.b64encode(bytes(length)).decode()


FACTS = {"pdh": b64(2084), "cert-chain": b64(6252), "cpu-id": b64(64)}
MEASURED = {"measurement": b64(48), "api-major": 1, "api-minor": 55,
            "build-id": 21}
SESSION = {"session": b64(128), "owner-cert": b64(2084), "policy": 3,
           "session-id": "9f8c6f5e-2a8f-4a4e-9d5e-0f0b1c2d3e4f",
           "expires-in": 600, "kernel-hashes": True, "scheme": "amd-sev"}
PACKET = {"secret-header": b64(52), "secret-table": b64(64),
          "secret-payload": b64(64), "session-id": SESSION["session-id"]}


def good(body):
    return 200, {"Content-Type": "application/json"}, json.dumps(body)


def problem(status, name, **headers):
    body = {"type": "urn:attest-relay:problem:" + name, "title": name,
            "status": status, "detail": "As the table says.",
            "origin": "agent", "retry": True}
    return (status, {"Content-Type": "application/problem+json", **headers},
            json.dumps(body))


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_GET(self):
        self.answer()

    def do_POST(self):
        self.answer()

    def answer(self):
        length = int(self.headers.get("Content-Length", 0))
        body = self.rfile.read(length)
        server = self.server
        server.seen.append((self.path, self.headers, body))
        script = server.script
        what = script.pop(0) if len(script) > 1 else script[0]
        if what == "close":
            self.close_connection = True
            self.connection.shutdown(2)
            return
        status, headers, text = what
        data = text if isinstance(text, bytes) else text.encode()
        self.send_response_only(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if "Content-Length" not in headers:
            self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        try:
            self.wfile.write(data)
        except OSError:
            self.close_connection = True


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request, client_address):
        """Peers that hang up are part of the tests."""


class ServiceTest(unittest.TestCase):
    tls_max = None

    @classmethod
    def setUpClass(cls):
        cls.lab = harness.Lab()
        cls.addClassCleanup(cls.lab.close)
        os.chmod(cls.lab.token_file, 0o600)
        cls.server = Server(("127.0.0.1", 0), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*cls.lab.server)
        if cls.tls_max is not None:
            context.maximum_version = cls.tls_max
        cls.server.socket = context.wrap_socket(
            cls.server.socket, server_side=True, do_handshake_on_connect=False)
        cls.thread = threading.Thread(target=cls.server.serve_forever)
        cls.thread.start()
        cls.addClassCleanup(cls.stop)

    @classmethod
    def stop(cls):
        cls.server.shutdown()
        cls.thread.join()
        cls.server.server_close()

    def step(self, verb, facts, script, *flags, ok=0, token=True):
        """Run a single step; (its JSON, what the service saw, stderr)."""
        self.server.script = list(script)
        self.server.seen = []
        args = [LAUNCH, verb, "--service",
                "https://localhost:%d/sev" % self.server.server_address[1],
                "--ca", self.lab.ca.cert, "--uuid", VM, "--timeout", "10",
                *flags]
        if token:
            args += ["--token-file", self.lab.token_file]
        done = subprocess.run(
            args, input=facts if isinstance(facts, str) else json.dumps(facts),
            capture_output=True, text=True, timeout=harness.PATIENCE)
        self.assertEqual(done.returncode, ok, done.stderr)
        lines = done.stdout.splitlines()
        self.assertEqual(len(lines), 1, done.stdout)
        out = json.loads(lines[0])
        if ok != 0:
            self.assertEqual((out["step"], out["exit"]), ("end", ok))
        return out, self.server.seen, done.stderr


class Steps(ServiceTest):
    def test_launch(self):
        out, seen, _ = self.step("launch", FACTS, [good(SESSION)])
        for name in ("session", "owner-cert", "policy", "session-id",
                     "expires-in", "kernel-hashes", "scheme"):
            self.assertEqual(out[name], SESSION[name])
        (path, headers, body), = seen
        self.assertEqual(path, "/sev/vm/%s/launch" % VM)
        self.assertEqual(headers["Content-Type"], "application/json")
        self.assertEqual(headers["Authorization"],
                         "Bearer " + self.lab.token)
        key = headers["Idempotency-Key"]
        self.assertEqual((key[0], key[-1]), ('"', '"'))
        uuid.UUID(key[1:-1])
        sent = json.loads(body)
        self.assertEqual(sent.pop("host")["tool"], "attest-launch")
        self.assertEqual(sent, FACTS)

    def test_launch_takes_what_libvirt_gives(self):
        info = {"pdh": FACTS["pdh"], "cert-chain": FACTS["cert-chain"],
                "cpu0-id": FACTS["cpu-id"], "cbitpos": 51,
                "reduced-phys-bits": 1, "max-guests": 450,
                "max-es-guests": 49}
        _, seen, _ = self.step("launch", info, [good(SESSION)])
        sent = json.loads(seen[0][2])
        del sent["host"]
        self.assertEqual(sent, FACTS)

    def test_host_of_the_manager(self):
        _, seen, _ = self.step("launch", {**FACTS, "host": "node-17"},
                               [good(SESSION)])
        self.assertEqual(json.loads(seen[0][2])["host"]["name"], "node-17")

    def test_key_of_the_manager(self):
        _, seen, _ = self.step("launch", FACTS, [good(SESSION)],
                               "--idempotency-key", "job-17")
        self.assertEqual(seen[0][1]["Idempotency-Key"], '"job-17"')

    def test_validate(self):
        facts = {**MEASURED, "session-id": SESSION["session-id"], "policy": 3}
        out, seen, _ = self.step("validate", facts, [good(PACKET)])
        self.assertEqual(out, {
            "step": "validate", "inject": True,
            "secret-header": PACKET["secret-header"],
            "secret-table": PACKET["secret-table"]})
        self.assertEqual(json.loads(seen[0][2]), facts)
        self.assertIsNone(seen[0][1]["Idempotency-Key"])

    def test_validate_takes_what_libvirt_gives(self):
        info = {"sev-measurement": MEASURED["measurement"], "sev-api-major": 1,
                "sev-api-minor": 55, "sev-build-id": 21, "sev-policy": 3}
        _, seen, _ = self.step("validate", info, [good(PACKET)])
        self.assertEqual(json.loads(seen[0][2]), {**MEASURED, "policy": 3})

    def test_no_secret(self):
        out, _, _ = self.step("validate", MEASURED, [good({"inject": False})])
        self.assertEqual(out, {"step": "validate", "inject": False})

    def test_input_that_will_not_do(self):
        for facts, says in (
                ("", "not JSON"), ("[]", "object"),
                ('{"pdh":"","pdh":""}', "not JSON"),
                ({}, "pdh is missing"),
                ({**FACTS, "pdh": b64(2083)}, "2083"),
                ({**FACTS, "cpu-id": "!"}, "cpu-id"),
                ({**FACTS, "polcy": 1}, "polcy: unknown member"),
                ({**FACTS, "policy": -1}, "policy"),
                ({**FACTS, "cpu0-id": b64(64)}, "two names"),
                ({**FACTS, "uuid": VM[:-1] + "d"}, "not that of the input"),
                ("x" * 70000, "over 65536")):
            with self.subTest(says=says):
                out, seen, err = self.step("launch", facts, [good(SESSION)],
                                           ok=2)
                self.assertIn(says, out["message"])
                self.assertIn(says, err)
                self.assertEqual(seen, [])


class Retries(ServiceTest):
    def test_same_request_until_it_is_answered(self):
        script = ["close", problem(503, "agent-unavailable"),
                  problem(502, "tunnel-lost"), problem(504, "agent-timeout"),
                  problem(429, "rate-limited", **{"Retry-After": "1"}),
                  good(SESSION)]
        _, seen, _ = self.step("launch", FACTS, script, "--timeout", "60")
        self.assertEqual(len(seen), 6)
        self.assertEqual(len({headers["Idempotency-Key"]
                              for _, headers, _ in seen}), 1)
        self.assertEqual(len({body for _, _, body in seen}), 1)

    def test_no_other_is_sent_again(self):
        for status, name in ((400, "bad-request"), (401, "host-unauthenticated"),
                             (403, "refused"), (403, "measurement-mismatch"),
                             (404, "not-found"), (409, "launch-blob-reused"),
                             (410, "session-closed"),
                             (422, "invalid-field"), (413, "http-413"),
                             (500, "odd"), (501, "http-501")):
            with self.subTest(name=name):
                out, seen, err = self.step(
                    "validate", MEASURED,
                    [problem(status, name, **{"Retry-After": "1"})], ok=1)
                self.assertEqual(len(seen), 1)
                self.assertEqual(out["status"], status)
                self.assertEqual(out["outcome"], "refused")
                self.assertEqual(out["type"],
                                 "urn:attest-relay:problem:" + name)
                self.assertIn(name, err)

    def test_time_is_up(self):
        out, seen, err = self.step(
            "launch", FACTS,
            [problem(503, "agent-unavailable", **{"Retry-After": "5"})],
            "--timeout", "3", ok=3)
        self.assertEqual(len(seen), 1)
        self.assertEqual(out["outcome"], "unreachable")
        self.assertIn("no final answer in 3 s", err)

    def test_forms_of_retry_after(self):
        """A date, too; and what is none is passed over."""
        late = email.utils.formatdate(time.time() + 3600, usegmt=True)
        for after in late, "3600", "9" * 10:
            with self.subTest(after=after):
                _, seen, _ = self.step(
                    "launch", FACTS, [problem(503, "agent-unavailable",
                                              **{"Retry-After": after})],
                    "--timeout", "5", ok=3)
                self.assertEqual(len(seen), 1)
        old = email.utils.formatdate(0, usegmt=True)
        self.step("launch", FACTS, [
            problem(503, "agent-unavailable", **{"Retry-After": after})
            for after in (old, "0", "soon")] + [good(SESSION)])

    def test_approval_pending(self):
        out, seen, _ = self.step(
            "launch", FACTS,
            [problem(503, "approval-pending", **{"Retry-After": "1"})],
            "--timeout", "6", ok=75)
        self.assertEqual(out["outcome"], "approval-pending")
        self.assertGreaterEqual(len(seen), 2)

    def test_approval_pending_and_then_cut_off(self):
        """The last word of the owner's side counts, not our own patience."""
        pending = problem(503, "approval-pending", **{"Retry-After": "1"})
        for script, ok in (([pending, "close"], 75),
                           ([pending, problem(503, "agent-unavailable"),
                             "close"], 3)):
            out, seen, _ = self.step("launch", FACTS, script, "--timeout",
                                     "6", ok=ok)
            self.assertGreaterEqual(len(seen), 2)

    def test_approved_in_time(self):
        self.step("launch", FACTS,
                  [problem(503, "approval-pending", **{"Retry-After": "1"}),
                   good(SESSION)])

    def test_in_progress(self):
        """A connection is lost while the owner thinks: the same request
        again meets the first one, which still waits for her."""
        waits = problem(409, "in-progress", **{"Retry-After": "1"})
        _, seen, _ = self.step("launch", FACTS, ["close", waits, waits,
                                                 good(SESSION)])
        self.assertEqual(len(seen), 4)
        self.assertEqual(len({headers["Idempotency-Key"]
                              for _, headers, _ in seen}), 1)
        out, seen, _ = self.step("launch", FACTS, ["close", waits],
                                 "--timeout", "3", ok=75)
        self.assertGreaterEqual(len(seen), 2)
        self.assertEqual(out["status"], 409)
        # Another 409 is final, whatever its fields ask for.
        reused = problem(409, "launch-blob-reused", **{"Retry-After": "1"})
        _, seen, _ = self.step("launch", FACTS, [waits, reused], ok=1)
        self.assertEqual(len(seen), 2)


class OldTls(ServiceTest):
    tls_max = ssl.TLSVersion.TLSv1_2

    def test_only_if_asked_for(self):
        _, seen, _ = self.step("launch", FACTS, [good(SESSION)], "--timeout",
                               "1", ok=3)
        self.assertEqual(seen, [])
        self.step("launch", FACTS, [good(SESSION)], "--tls-min", "1.2")


class Hostile(ServiceTest):
    """Answers of what is not, or does not want to be, such a service."""

    def refuses(self, answer, says, verb="launch"):
        facts = FACTS if verb == "launch" else MEASURED
        out, seen, err = self.step(verb, facts, [answer], ok=3)
        self.assertEqual(len(seen), 1)
        self.assertIn(says, out["message"])
        return err

    def test_redirect_is_not_followed(self):
        self.refuses((307, {"Location": "https://localhost:%d/else"
                            % self.server.server_address[1]}, ""), "307")

    def test_other_media(self):
        self.refuses((200, {"Content-Type": "text/html"}, json.dumps(SESSION)),
                     "no application/json")
        self.refuses((200, {}, json.dumps(SESSION)), "no application/json")

    def test_too_long(self):
        self.refuses(good({**SESSION, "more": "x" * 70000}), "over 65536")

    def test_head_without_end(self):
        """CVE-2023-38039: what libcurl keeps of it has a limit of ours."""
        _, fields, body = good(SESSION)
        more = {"X-%d" % i: "x" * 8000 for i in range(5)}
        self.refuses((200, {**fields, **more}, body), "head of over 32768")

    def test_broken_json(self):
        head = {"Content-Type": "application/json; charset=utf-8"}
        text = json.dumps(SESSION)
        self.refuses((200, head, text[:-1]), "not JSON")
        self.refuses((200, head, text[:-1] + ', "policy": 1}'), "not JSON")
        self.refuses((200, head, b"\xef\xbb\xbf" + text.encode()), "not JSON")
        self.refuses((200, head, "[" * 60000), "deeper")

    def test_members(self):
        for change, says in (
                ({"session": b64(127)}, "127 bytes, want 128"),
                ({"owner-cert": b64(2085)}, "owner-cert"),
                ({"policy": "3"}, "policy"), ({"policy": 1 << 32}, "policy"),
                ({"session-id": "../x"}, "session-id"),
                ({"scheme": "amd-snp"}, "scheme"),
                ({"kernel-hashes": 1}, "kernel-hashes")):
            with self.subTest(says=says):
                self.refuses(good({**SESSION, **change}), says)
        for change, says in (
                ({"secret-header": b64(51)}, "51 bytes, want 52"),
                ({"secret-payload": b64(48)}, "differs"),
                ({"secret-table": b64(60), "secret-payload": b64(60)},
                 "multiple of 16"),
                ({"secret-address": 7}, "secret-address"),
                ({"inject": False}, "beside a secret")):
            with self.subTest(says=says):
                self.refuses(good({**PACKET, **change}), says, "validate")

    def test_words_cannot_move_the_cursor(self):
        bad = problem(403, "refused")
        body = json.loads(bad[2])
        body["detail"] = "\x1b[2Jgone\nattest-launch: running"
        _, _, err = self.step("launch", FACTS,
                              [(bad[0], bad[1], json.dumps(body))], ok=1)
        self.assertNotIn("\x1b", err)
        self.assertEqual(len(err.splitlines()), 1)

    def test_tls(self):
        other = harness.Ca(self.lab.folder, "other")
        out, seen, _ = self.step("launch", FACTS, [good(SESSION)],
                                 "--ca", other.cert, ok=3)
        self.assertEqual(seen, [])
        self.assertIn("certificate", out["message"])
        url = "https://127.0.0.1:%d/sev" % self.server.server_address[1]
        _, seen, _ = self.step("launch", FACTS, [good(SESSION)],
                               "--service", url, ok=3)
        self.assertEqual(seen, [])

    def test_usage(self):
        for flags in (["--service", "http://localhost/"],
                      ["--service", "https://a:b@localhost/"],
                      ["--service", "https://localhost/?q"],
                      ["--service", "https://localhost:1/#", "--timeout", "1"],
                      ["--cert", "x"], ["--timeout", "0"],
                      ["--token-file", "/nonexistent"],
                      ["--ca", "/nonexistent"],
                      ["--cert", "/nonexistent", "--key", "/nonexistent"],
                      ["--bogus"], ["--uuid", "x"]):
            with self.subTest(flags=flags):
                done = subprocess.run(
                    [LAUNCH, "launch", "--service", "https://localhost:1/",
                     "--uuid", VM, *flags], input=json.dumps(FACTS),
                    capture_output=True, text=True, timeout=harness.PATIENCE)
                self.assertEqual(done.returncode, 2, done.stderr)

    def test_stdout_that_is_full(self):
        """What was not written was not answered."""
        for flag in ("--version", "--help"):
            with self.subTest(flag), open("/dev/full", "wb") as full:
                done = subprocess.run(
                    [LAUNCH, flag], stdout=full, stderr=subprocess.PIPE,
                    text=True, timeout=harness.PATIENCE)
                self.assertEqual(done.returncode, 6, done.stderr)
                self.assertIn("stdout does not take the answer", done.stderr)


if __name__ == "__main__":
    unittest.main(verbosity=2)
