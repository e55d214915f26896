"""The operator's door: attest-relayctl and the admin listener (T29)."""

import json
import os
import shutil
import signal
import socket
import subprocess
import time
import unittest
import uuid

import fake_agent
import harness
import relay_case


def ask_socket(path, data):
    """Raw bytes to the admin socket; all it says until it closes."""
    s = socket.socket(socket.AF_UNIX)
    s.settimeout(harness.PATIENCE)
    s.connect(path)
    got = b""
    try:
        s.sendall(data)
        s.shutdown(socket.SHUT_WR)
        while True:
            more = s.recv(65536)
            if not more:
                break
            got += more
    except (BrokenPipeError, ConnectionResetError):
        pass
    s.close()
    return got


class Admin(relay_case.RelayCase):

    def ctl(self, *args, **kwargs):
        return self.lab.ctl(*args, **kwargs).stdout

    def js(self, *args):
        return json.loads(self.ctl("--json", *args))

    def path(self):
        return self.lab.path("admin.sock")

    def test_status_and_tunnels(self):
        self.tunnel(claim=[self.vm])
        status = self.js("status")
        self.assertEqual(status["schema"], "attest-relay.status/1")
        self.assertEqual(status["state"], "ready")
        self.assertEqual((status["tunnels"], status["uuids"]), (1, 1))
        tunnels = self.js("tunnels")["tunnels"]
        self.assertEqual(len(tunnels), 1)
        self.assertEqual(tunnels[0]["tenant"], "acme")
        self.assertEqual(tunnels[0]["key"], self.key.text())
        self.assertEqual(tunnels[0]["claims"], 1)
        text = self.ctl("tunnels")
        self.assertIn("TENANT", text.splitlines()[0])
        self.assertIn(self.key.text(), text.splitlines()[1])

    def test_t29_the_socket_is_ours_alone(self):
        mode = os.stat(self.path()).st_mode
        self.assertEqual(mode & 0o777, 0o600)
        # Even where the mode would let others in, the kernel names them.
        os.chmod(self.path(), 0o666)
        request = b"GET /v1/status HTTP/1.1\r\nHost: relay\r\n\r\n"
        self.assertIn(b" 200 ", ask_socket(self.path(), request))
        if os.geteuid() != 0:
            self.skipTest("another user can be had by root only")
        child = os.fork()
        if child == 0:
            try:
                os.setgid(12345)
                os.setuid(12345)
                os._exit(0 if ask_socket(self.path(), request) == b""
                         else 1)
            except BaseException:
                os._exit(2)
        self.assertEqual(os.waitpid(child, 0)[1], 0)
        self.lab.relay.wait_line(r"admin: refused uid 12345 \(pid \d+\)")

    def test_t29_no_admin_path_on_other_listeners(self):
        for port in (self.lab.relay_public, self.lab.relay_internal):
            for path in ("/v1/status", "/sev/v1/status", "/v1/drain",
                         "/healthz", "/metrics"):
                client = self.client(port)
                client.send(self.head("GET", path=path))
                self.problem(client.answer(), 404, "not-found")

    def test_t29_bad_requests_change_nothing(self):
        bodies = [b"{", b"[]", b'{"tenant":1}', b'{"tenant":""}',
                  b'{"tenant":"a b"}', b'{"tenant":"' + b"x" * 65 + b'"}',
                  b'{"tenant":"new","tenant":"two"}',
                  b'{"tenant":"new","typo":1}',
                  b'{"tenant":"new","tunnels":-1}',
                  b'{"tenant":"new","first-claim":"yes"}',
                  b'{"tenant":"new\\u0000"}',
                  # Told back, but not by half a letter.
                  b'{"tenant":"new","x' + 40 * "\u00e9".encode() + b'":1}']
        for body in bodies:
            got = ask_socket(
                self.path(), b"POST /v1/tenants HTTP/1.1\r\nHost: x\r\n"
                b"Content-Length: %d\r\n\r\n" % len(body) + body)
            self.assertIn(b" 400 ", got.split(b"\r\n")[0], body)
        for request, status in (
                (b"GET /v1/none HTTP/1.1\r\nHost: x\r\n\r\n", b" 404 "),
                (b"PUT /v1/tenants HTTP/1.1\r\nHost: x\r\n"
                 b"Content-Length: 0\r\n\r\n", b" 405 "),
                (b"GET /v1/tenants?a=b HTTP/1.1\r\nHost: x\r\n\r\n", b" 400 "),
                (b"POST /v1/tenants HTTP/1.1\r\nHost: x\r\n\r\n", b" 411 "),
                (b"POST /v1/tenants HTTP/1.1\r\nHost: x\r\n"
                 b"Content-Length: 65537\r\n\r\n", b" 413 ")):
            self.assertIn(status, ask_socket(self.path(), request), request)
        self.assertEqual(len(self.js("tenants")["tenants"]), 1)
        self.assertEqual(self.js("trail")["trail"], [])

    def test_exit_status(self):
        self.lab.ctl("tokens", "create", "--tenant", "none", ok=(1,))
        for says, *args in (
                ("no such command: nonsense", "nonsense"),
                ("tenants add wants tenant", "tenants", "add"),
                ("tokens create wants --tenant", "tokens", "create"),
                ("keys add wants --tenant", "keys", "add", "ed25519:x"),
                ("claims add wants uuids", "claims", "add"),
                ("tokens takes no frobnicate", "tokens", "frobnicate"),
                ("tokens create takes no --tll", "tokens", "create", "--tll"),
                ("ttl: x is no time", "tokens", "create", "--tenant", "acme",
                 "--ttl", "x")):
            self.assertIn(says, self.lab.ctl(*args, ok=(2,)).stderr)
        for where, why in (("none.sock", "No such file or directory"),
                           ("relay.yaml", "Connection refused")):
            done = harness.run(
                [os.path.join(harness.BIN, "attest-relayctl"), "--socket",
                 self.lab.path(where), "status"], ok=(3,))
            self.assertEqual(
                done.stderr, "attest-relayctl: no relay is reached at %s: %s "
                "(--socket PATH, which is admin.socket of relay.yaml)\n" %
                (self.lab.path(where), why))
        with open("/dev/full", "wb") as full:
            done = subprocess.run(
                [os.path.join(harness.BIN, "attest-relayctl"), "--socket",
                 self.path(), "tokens", "create", "--tenant", "acme"],
                stdout=full, stderr=subprocess.PIPE, text=True, check=False,
                timeout=harness.PATIENCE)
        self.assertEqual((done.returncode, done.stderr), (
            1, "attest-relayctl: stdout: No space left on device\n"))
        self.assertIn("exit status", harness.run(
            [os.path.join(harness.BIN, "attest-relayctl"), "--help"]).stdout)

    def test_tenants_come_and_go(self):
        other = fake_agent.Key()
        vm = str(uuid.uuid4())
        self.ctl("tenants", "add", "zeta", "--tunnels", "1", "--memory",
                 "1MiB")
        self.lab.ctl("tenants", "add", "zeta", ok=(1,))
        self.lab.ctl("tenants", "add", "acme", ok=(1,))
        self.lab.ctl("tenants", "remove", "acme", ok=(1,))
        self.ctl("keys", "add", "--tenant", "zeta", other.text())
        self.ctl("claims", "add", "--tenant", "zeta", vm)
        # What is in the configuration is not given away here.
        self.lab.ctl("claims", "add", "--tenant", "zeta", self.vm, ok=(1,))
        self.lab.ctl("keys", "add", "--tenant", "zeta", self.key.text(),
                     ok=(1,))
        tunnel = self.tunnel(other, claim=[vm])
        self.assertEqual(tunnel.claim(self.vm), [1])
        rows = {t["tenant"]: t for t in self.js("tenants")["tenants"]}
        self.assertEqual(rows["zeta"]["limits"]["tunnels"], 1)
        self.assertEqual(rows["zeta"]["limits"]["memory"], 1 << 20)
        self.assertEqual(rows["zeta"]["tunnels"], 1)
        self.ctl("tenants", "remove", "zeta")
        self.assertEqual(tunnel.wait_close(), 4402)
        self.assertEqual(len(self.js("claims")["claims"]), 1)
        self.assertEqual(len(self.js("keys")["keys"]), 1)

    def test_t13_a_revoked_key_is_gone_within_a_second(self):
        tunnel = self.tunnel(claim=[self.vm])
        self.ctl("keys", "revoke", self.key.text())
        before = time.monotonic()
        self.assertEqual(tunnel.wait_close(), 4402)
        self.assertLess(time.monotonic() - before, 1)
        # Also after the end of the relay, though relay.yaml still lists it.
        self.lab.relay.kill()
        self.start()
        with self.assertRaises(fake_agent.Closed) as caught:
            self.tunnel()
        self.assertEqual(caught.exception.code, 4402)
        row, = self.js("keys")["keys"]
        self.assertIsNotNone(row["revoked"])

    def test_t11_released_uuids_go_at_once(self):
        vm = str(uuid.uuid4())
        self.ctl("claims", "add", "--tenant", "acme", vm)
        tunnel = self.tunnel(claim=[vm, self.vm])
        self.assertEqual(self.js("status")["uuids"], 2)
        self.ctl("claims", "release", vm)
        self.lab.ctl("claims", "release", vm, ok=(1,))
        self.assertEqual(tunnel.claim(vm), [1])
        self.assertEqual(self.js("status")["uuids"], 1)

    def test_t11_a_released_uuid_of_somebody_elses_key(self):
        """Given away by mistake; it stays with nobody whose key it is not
        made of."""
        keys = [fake_agent.Key(), fake_agent.Key()]
        for tenant, key in zip(("zeta", "eta"), keys):
            self.ctl("tenants", "add", tenant, "--self-certifying")
            self.ctl("keys", "add", "--tenant", tenant, key.text())
        wrong, own = [self.tunnel(key) for key in keys]
        vm = fake_agent.self_certifying(keys[1], b"web1")
        self.ctl("claims", "add", "--tenant", "zeta", vm)
        self.assertEqual(wrong.claim(vm), [0])
        self.assertEqual(own.claim((vm, b"web1")), [1])
        self.ctl("claims", "release", vm)
        # The worker of the one may not have judged it yet.
        deadline = time.monotonic() + 10
        while own.claim((vm, b"web1")) != [0]:
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.02)
        self.assertEqual(wrong.claim(vm), [1])

    def test_t11_first_claims_are_bound_for_good(self):
        self.ctl("tenants", "add", "zeta", "--first-claim", "--claims", "3")
        one, two = fake_agent.Key(), fake_agent.Key()
        for key in (one, two):
            self.ctl("keys", "add", "--tenant", "zeta", key.text())
        vms = [str(uuid.uuid4()) for _ in range(4)]
        tunnel = self.tunnel(one)
        # Another tenant's, and one whose form is somebody's certificate.
        self.assertEqual(tunnel.claim(self.vm, vms[0]), [1, 0])
        self.assertEqual(tunnel.claim(vms[1][:14] + "8" + vms[1][15:]), [1])
        # The same again, and what is over the quota.
        self.assertEqual(tunnel.claim(*vms), [0, 0, 0, 1])
        # As the power does it: what was answered is on the disk.
        self.lab.relay.kill()
        self.start()
        other = self.tunnel(two)
        self.assertEqual(other.claim(*vms), [1, 1, 1, 1])
        acme = self.tunnel()
        self.assertEqual(acme.claim(vms[0]), [1])
        tunnel = self.tunnel(one)
        self.assertEqual(tunnel.claim(*vms[:3]), [0, 0, 0])
        rows = [c for c in self.js("claims")["claims"]
                if c["from"] == "first-claim"]
        self.assertEqual({c["uuid"] for c in rows}, set(vms[:3]))
        self.assertEqual({c["key"] for c in rows}, {one.text()})
        # Until released: then it goes from the one, and to the next.
        self.ctl("claims", "release", vms[0])
        self.assertEqual(other.claim(vms[0]), [0])
        self.assertEqual(tunnel.claim(vms[0]), [1])

    def test_t28_quotas_hold_for_their_tenant_alone(self):
        other, vm = fake_agent.Key(), str(uuid.uuid4())
        self.ctl("tenants", "add", "noisy", "--requests", "5")
        self.ctl("keys", "add", "--tenant", "noisy", other.text())
        self.ctl("claims", "add", "--tenant", "noisy", vm)
        noisy = self.tunnel(other, claim=[vm])
        fake_agent.Echo(noisy)
        self.echo()
        client = self.client()
        answers = [self.ask(vm=vm, client=client) for _ in range(200)]
        let = [a for a in answers if a.status == 200]
        # A second's worth at once, and five more for each second it took.
        self.assertGreaterEqual(len(let), 5)
        self.assertLess(len(let), 200)
        refused = next(a for a in answers if a.status != 200)
        self.problem(refused, 429, "rate-limited")
        self.assertIn("retry-after", refused.fields)
        for _ in range(20):
            self.assertEqual(self.ask(client=client).status, 200)
        self.lab.relay.wait_line("over a quota of its tenant")
        row = [t for t in self.js("tenants")["tenants"]
               if t["tenant"] == "noisy"]
        self.assertGreater(row[0]["refused"], 0)
        self.assertEqual(row[0]["streams"], 0)

    def noisy(self, *limits):
        """A tunnel of a tenant with these limits, its VM, and beside it a
        tenant that must not notice."""
        key, vm = fake_agent.Key(), str(uuid.uuid4())
        self.ctl("tenants", "add", "noisy", *limits)
        self.ctl("keys", "add", "--tenant", "noisy", key.text())
        self.ctl("claims", "add", "--tenant", "noisy", vm)
        self.echo()
        return self.tunnel(key, claim=[vm]), vm

    def begin(self, vm, body=b"{}"):
        """A request whose answer is not there yet."""
        client = self.client()
        client.send(self.head(vm=vm, length=len(body)).encode() + body)
        return client

    def overloaded(self, answer):
        self.problem(answer, 503, "overloaded")
        self.assertIn(int(answer.fields["retry-after"]), range(1, 7))

    def counted(self):
        row, = [t for t in self.js("tenants")["tenants"]
                if t["tenant"] == "noisy"]
        return row["refused"], row["streams"]

    def test_t28_streams_of_a_tenant(self):
        tunnel, vm = self.noisy("--streams", "2")
        hosts = [self.begin(vm), self.begin(vm)]
        streams = [tunnel.request()[0] for _ in hosts]
        for count in 1, 2:
            self.overloaded(self.ask(vm=vm))
            self.assertEqual(self.counted(), (count, 2))
        self.assertEqual(self.ask().status, 200)
        # The owner is told, once in a while: the second refusal was silent.
        kind, _, stream, payload = tunnel.recv()
        self.assertEqual((kind, stream), (fake_agent.NOTICE, 0))
        notice = fake_agent.parse_tlvs(payload)
        self.assertEqual(notice[fake_agent.T_CODE], b"\0\0\0\3")
        self.assertIn(b"over its quota", notice[fake_agent.T_TEXT])
        # One ends, one more may come.
        tunnel.respond(streams[0])
        self.assertEqual(hosts[0].answer().status, 200)
        more = self.begin(vm)
        kind, _, stream, _ = tunnel.recv()
        self.assertEqual(kind, fake_agent.REQUEST)
        for host, stream in (hosts[1], streams[1]), (more, stream):
            tunnel.respond(stream)
            self.assertEqual(host.answer().status, 200)
        harness.eventually(lambda: self.counted() == (2, 0))
        # A host that goes gives its stream back, too.
        for _ in range(3):
            host = self.begin(vm)
            tunnel.request()
            host.close()
            harness.eventually(lambda: self.counted()[1] == 0)

    def test_t28_bytes_of_a_tenant(self):
        tunnel, vm = self.noisy("--memory", "64KiB")
        body = b"x" * 40000
        host = self.begin(vm, body)
        stream = tunnel.request()[0]
        self.overloaded(self.ask(body, vm=vm))
        self.assertEqual(self.counted(), (1, 1))
        self.assertEqual(self.ask(body).body, body)
        # What is small still fits beside it.
        small = self.begin(vm)
        tunnel.respond(tunnel.request()[0])
        self.assertEqual(small.answer().status, 200)
        # Request and answer count together while both are here ...
        tunnel.respond(stream, body=body)
        self.overloaded(host.answer())
        # ... and are given back with the stream.
        for _ in range(3):
            host = self.begin(vm, body)
            tunnel.respond(tunnel.request()[0], body=b"y" * 20000)
            self.assertEqual(len(host.answer().body), 20000)
            harness.eventually(lambda: self.counted()[1] == 0)

    def test_t28_answers_of_a_tenant(self):
        """What its agents send counts, too, and they hear that it was
        refused."""
        tunnel, vm = self.noisy("--memory", "64KiB")
        for refused, size in (1, 50000), (2, 25537):
            host = self.begin(vm, b"x" * 40000)
            stream = tunnel.request()[0]
            tunnel.respond(stream, body=b"y" * size)
            self.overloaded(host.answer())
            harness.eventually(lambda: self.counted() == (refused, 0))
            if refused > 1:
                continue  # told at most every 10 s; and the stream was over
            kind, _, number, payload = tunnel.recv()
            while kind == fake_agent.WINDOW:
                kind, _, number, payload = tunnel.recv()
            self.assertEqual((kind, number), (fake_agent.RESET, stream))
            self.assertIn(b"over a quota", fake_agent.parse_tlvs(payload)[
                fake_agent.T_TEXT])
            kind, _, number, payload = tunnel.recv()
            self.assertEqual((kind, number), (fake_agent.NOTICE, 0))
            self.assertEqual(fake_agent.parse_tlvs(payload)[
                fake_agent.T_CODE], b"\0\0\0\3")
        # One byte less is none too many.
        host = self.begin(vm, b"x" * 40000)
        tunnel.respond(tunnel.request()[0], body=b"y" * 25536)
        self.assertEqual(host.answer().status, 200)
        self.assertIn('quota_refused_total{tenant="noisy"} 2', ask_socket(
            self.path(), b"GET /metrics HTTP/1.1\r\nHost: relay\r\n\r\n"
        ).decode())

    def told(self, *what):
        """The trail, which must be of just these changes, by us and now."""
        trail = self.js("trail")["trail"]
        self.assertEqual([row["what"] for row in trail], list(what))
        for row in trail:
            self.assertRegex(row["who"], r"^uid %d \(pid \d+\)$" %
                             os.geteuid())
            self.assertLess(abs(row["at"] / 1000 - time.time()), 300)
        return trail

    def test_t29_changes_are_told_with_who_and_when(self):
        self.ctl("tenants", "add", "zeta")
        self.lab.ctl("tenants", "add", "zeta", ok=(1,))
        self.ctl("log-level", "debug")
        self.assertEqual(self.js("log-level")["level"], "debug")
        self.ctl("log-level", "set", "info")
        # A relay that was root reads its key as nobody now.
        os.chmod(self.lab.server[1], 0o644)
        self.ctl("reload")
        self.lab.relay.wait_line(
            r"admin: uid %d \(pid \d+\): tenant add zeta" % os.geteuid())
        trail = self.told("tenant add zeta", "log-level debug",
                          "log-level info", "reload")
        # People get the time of day.
        self.assertRegex(self.ctl("trail", "--lines", "1"),
                         r"\n\d+ +\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ +uid ")
        # It outlives the relay.
        self.lab.relay.kill()
        self.start()
        self.assertEqual(self.js("trail", "--lines", "1")["trail"],
                         trail[-1:])

    def test_t29_each_change_is_told(self):
        key, vm = fake_agent.Key().text(), str(uuid.uuid4())
        self.ctl("tenants", "add", "zeta")
        self.ctl("tokens", "create", "--tenant", "zeta", "--ttl", "1h",
                 "--uses", "2")
        token, = self.js("tokens")["tokens"]
        self.ctl("tokens", "revoke", str(token["id"]))
        self.ctl("keys", "add", "--tenant", "zeta", key)
        self.ctl("keys", "revoke", key)
        self.ctl("claims", "add", "--tenant", "zeta", vm)
        self.ctl("claims", "release", vm)
        self.ctl("tenants", "remove", "zeta")
        self.told("tenant add zeta",
                  "token create tenant zeta enrol ttl 3600 s uses 2",
                  "token revoke %d" % token["id"],
                  "key add %s tenant zeta" % key, "key revoke " + key,
                  "claim add tenant zeta " + vm, "claim release " + vm,
                  "tenant remove zeta")

    def test_json_of_what_changes(self):
        self.assertEqual(self.js("tenants", "add", "zeta"), {"done": True})
        self.assertEqual(self.js("tenants", "remove", "zeta"), {"done": True})
        # A relay that was root reads its key as nobody now.
        os.chmod(self.lab.server[1], 0o644)
        self.assertEqual(self.js("reload"), {"reloaded": True, "said": ""})
        self.assertEqual(self.js("drain"), {"draining": True})
        self.assertEqual(self.lab.relay.wait(), 0)

    def test_reload_tells_what_is_wrong(self):
        with open(self.lab.path("relay.yaml"), "a", encoding="ascii") as out:
            out.write("".join("typo-%d: 1\n" % i for i in range(20)))
        done = self.lab.ctl("reload", ok=(1,))
        for i in range(20):
            self.assertIn("error: unknown key 'typo-%d'\n" % i, done.stderr)
        self.assertFalse(done.stderr.endswith("\n\n"), done.stderr)

    def test_drain(self):
        self.ctl("drain")
        self.assertEqual(self.lab.relay.wait(), 0)


class Certificates(relay_case.RelayCase):
    """The same over TLS, for holders of a certificate."""

    def setUp(self):
        super().setUp()
        cert, key = self.lab.server
        self.lab.relay.stop()
        self.start("admin:\n  socket: %s\n  listen: [\"127.0.0.1:0\"]\n"
                   "  certificate: %s\n  key: %s\n  client-ca: %s\n" % (
                       self.lab.path("admin.sock"), cert, key,
                       self.lab.ca.cert))
        self.port = int(self.lab.relay.wait_line(
            r"admin: serving 127.0.0.1:(\d+)").group(1))

    def remote(self, cert, key, *args, ok=(0,)):
        return harness.run(
            [os.path.join(harness.BIN, "attest-relayctl"), "--connect",
             "https://localhost:%d" % self.port, "--ca", self.lab.ca.cert,
             "--cert", cert, "--key", key, *args], ok=ok)

    def test_the_port_goes_along_at_a_take_over(self):
        """And comes back if the new relay dies."""
        if os.geteuid() == 0:
            # Not root any more, the old one makes its sockets anew.
            shutil.chown(self.lab.folder, "nobody")
        cert, key = self.lab.ca.issue("operator", ["DNS:op.example"],
                                      usage="clientAuth")
        self.tunnel()  # stays, and so the old one does
        old = self.lab.relay
        self.addCleanup(old.kill)
        new = self.lab.run_relay(self.lab.path("relay.yaml"), "--takeover")
        old.wait_line("following the configuration of who takes over")
        self.remote(cert, key, "tenants", "add", "zeta")
        new.wait_line("admin: mtls:op.example: tenant add zeta")
        new.kill()
        old.wait_line("serving on")
        self.remote(cert, key, "tenants", "add", "eta")
        old.wait_line("admin: mtls:op.example: tenant add eta")

    def test_the_port_is_free_once_it_went_along(self):
        """The old relay still works on a request when the new one dies:
        whoever is started then can bind it."""
        t = self.tunnel(claim=[self.vm])
        host = self.client()
        host.send(self.head(length=2).encode() + b"{}")
        t.request()  # not answered, and so the old one stays
        old = self.lab.relay
        self.addCleanup(old.kill)
        config = self.lab.path("relay.yaml")
        with open(config, encoding="ascii") as file:
            text = file.read()
        with open(config, "w", encoding="ascii") as file:
            file.write(text.replace(
                'listen: ["127.0.0.1:0"]\n  certificate',
                'listen: ["127.0.0.1:%d"]\n  certificate' % self.port))
        new = self.lab.run_relay(config, "--takeover")
        old.wait_line("following the configuration of who takes over")
        old.child.send_signal(signal.SIGTERM)
        new.wait_line("taken over: hosts are accepted")
        new.kill()
        self.lab.run_relay(config, "--takeover")

    def test_the_port_comes_back_without_the_socket(self):
        """The new relay dies, and the name of admin.socket cannot be had."""
        cert, key = self.lab.ca.issue("operator", ["DNS:op.example"],
                                      usage="clientAuth")
        self.tunnel()
        old = self.lab.relay
        self.addCleanup(old.kill)
        new = self.lab.run_relay(self.lab.path("relay.yaml"), "--takeover")
        old.wait_line("following the configuration of who takes over")
        self.addCleanup(os.chmod, self.lab.folder,
                        os.stat(self.lab.folder).st_mode & 0o777)
        os.chmod(self.lab.folder, 0o555)
        new.kill()
        old.wait_line("nobody can reach us: ")
        self.remote(cert, key, "status")

    def test_t29_certificates_name_operators(self):
        cert, key = self.lab.ca.issue("operator", ["DNS:op.example"],
                                      usage="clientAuth")
        self.remote(cert, key, "tenants", "add", "zeta")
        trail = json.loads(self.lab.ctl("--json", "trail").stdout)["trail"]
        self.assertEqual(trail[0]["who"], "mtls:op.example")

    def test_t29_an_authority_taken_away(self):
        """A reload is for this door, too, and for who is inside."""
        cert, key = self.lab.ca.issue("operator", ["DNS:op.example"],
                                      usage="clientAuth")
        client = relay_case.Client(self.port, self.lab.ca.cert, cert, key)
        self.open.append(client)
        request = b"GET /v1/status HTTP/1.1\r\nHost: relay\r\n\r\n"
        client.send(request)
        self.assertEqual(client.answer().status, 200)
        other = harness.Ca(self.lab.folder, "other")
        config = self.lab.path("relay.yaml")
        with open(config, encoding="ascii") as file:
            head, tail = file.read().split("admin:\n", 1)
        # Whoever it has become reads them.
        os.chmod(self.lab.folder, 0o755)
        os.chmod(self.lab.server[1], 0o644)
        with open(config, "w", encoding="ascii") as out:
            out.write(head + "admin:\n" + tail.replace(
                self.lab.ca.cert, other.cert))
        self.lab.ctl("reload")
        client.send(request)
        self.assertEqual(client.answer().status, 401)
        self.remote(cert, key, "status", ok=(3,))
        cert, key = other.issue("operator", ["DNS:op.example"],
                                usage="clientAuth")
        self.remote(cert, key, "status")

    def test_t29_no_certificate_no_answer(self):
        other = harness.Ca(self.lab.folder, "other")
        cert, key = other.issue("stranger", ["DNS:op.example"],
                                usage="clientAuth")
        self.remote(cert, key, "status", ok=(3,))
        got = subprocess.run(
            ["curl", "-sS", "--cacert", self.lab.ca.cert, "-o", os.devnull,
             "-w", "%{http_code}", "https://localhost:%d/v1/status" %
             self.port], capture_output=True, text=True, check=False)
        self.assertIn(got.stdout, ("401", "000"))


if __name__ == "__main__":
    unittest.main()
