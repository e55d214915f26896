"""Hosts and the relay's HTTP: docs/protocol.md 2, 8, 9."""

import json
import os
import ssl
import unittest

import harness
from harness import run
from relay_case import RelayCase

TOKEN = "Authorization: Bearer @\r\n"
HOST = "Host: localhost\r\n"
POST = "POST /sev/vm/57f669c2-c427-4132-bc7a-26f56b6a718c/launch HTTP/1.1\r\n"
CHUNKED = "Transfer-Encoding: chunked\r\n"
LENGTH = "Content-Length: 2\r\n"


def probe(*fields, line=POST, body="{}", host=HOST):
    return (line + host + TOKEN + "".join(fields) + "\r\n" + body).encode(
        "latin-1")


# Shapes that two readers of HTTP could read differently; one parser of ours
# must take none of them.
PROBES = {
    "CL and TE": probe(LENGTH, CHUNKED, body="2\r\n{}\r\n0\r\n\r\n"),
    "TE and CL": probe(CHUNKED, LENGTH, body="2\r\n{}\r\n0\r\n\r\n"),
    "two different CL": probe(LENGTH, "Content-Length: 3\r\n"),
    "two equal CL": probe(LENGTH, LENGTH),
    "CL +0": probe("Content-Length: +0\r\n", body=""),
    "CL 0x0": probe("Content-Length: 0x0\r\n", body=""),
    "CL 0, 0": probe("Content-Length: 0, 0\r\n", body=""),
    "CL -1": probe("Content-Length: -1\r\n", body=""),
    "CL 0 0": probe("Content-Length: 0 0\r\n", body=""),
    "TE xchunked": probe("Transfer-Encoding: xchunked\r\n"),
    "TE chunked, identity": probe("Transfer-Encoding: chunked, identity\r\n"),
    "TE with space before the colon": probe("Transfer-Encoding : chunked\r\n"),
    "TE with vertical tab": probe("Transfer-Encoding: \x0bchunked\r\n"),
    "bare LF lines": probe(LENGTH).replace(b"\r\n", b"\n"),
    "bare CR in a value": probe(LENGTH, "X-A: a\rb\r\n"),
    "obs-fold": probe(LENGTH, "X-A: a\r\n b\r\n"),
    "NUL in a value": probe(LENGTH, "X-A: a\0b\r\n"),
    "chunk extension with LF": probe(CHUNKED, body="2;a\n{}\r\n0\r\n\r\n"),
    "chunk size 0x0": probe(CHUNKED, body="0x0\r\n\r\n"),
    "chunk size overflow": probe(
        CHUNKED, body="10000000000000002\r\n{}\r\n0\r\n\r\n"),
    "chunk data without CRLF": probe(CHUNKED, body="2\r\n{}0\r\n\r\n"),
    "bare LF in chunks": probe(CHUNKED, body="2\n{}\n0\n\n"),
    "no Host": probe(LENGTH, host=""),
    "two Hosts": probe(LENGTH, HOST),
    "HTTP/1.0 with TE": probe(CHUNKED, line=POST.replace("1.1", "1.0"),
                              body="2\r\n{}\r\n0\r\n\r\n"),
    "absolute form of another host": probe(
        LENGTH, line=POST.replace(" /", " http://other.example/")),
    "HTTP/9.9": probe(LENGTH, line=POST.replace("1.1", "9.9")),
    "space before the first field": probe(LENGTH, host=" " + HOST),
    "field without colon": probe(LENGTH, "X-A\r\n"),
    "empty field name": probe(LENGTH, ": a\r\n"),
    "lower-case method": probe(LENGTH, line=POST.replace("POST", "post")),
    "HTTP/2 preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
}


class Http(RelayCase):
    def test_t19_probes_are_refused_and_the_connection_closed(self):
        self.assertEqual(len(PROBES), 32)
        echo = self.echo()
        for name, text in PROBES.items():
            with self.subTest(name):
                c = self.client()
                c.send(text.replace(b"@", self.lab.token.encode()) +
                       b"GET /sev/.well-known/attest-relay HTTP/1.1\r\n"
                       b"Host: localhost\r\n\r\n")
                answer = c.answer()
                self.assertIsNotNone(answer)
                self.assertIn(answer.status, (400, 501, 505))
                self.assertEqual(answer.fields["connection"], "close")
                self.assertEqual(answer.fields["attest-origin"], "relay")
                self.assertTrue(c.at_end())
                c.close()
        self.assertEqual(echo.requests, [])

    def test_a_request_reaches_the_agent_and_its_answer_the_host(self):
        echo = self.echo(lambda r: {"body": b"answer", "status": 201})
        answer = self.ask(b'{"a":1}', extra=(
            "Content-Type: application/json; charset=utf-8\r\n"
            "Request-Id: cn17.42\r\nAccept: application/json\r\n"
            'Idempotency-Key: "k1"\r\nCookie: a=b\r\nX-Other: 1\r\n'
            "Forwarded: for=1.2.3.4\r\nX-Forwarded-For: 1.2.3.4\r\n"
            "Host-Identity: mtls:liar\r\nAttest-Origin: relay\r\n"))
        self.assertEqual((answer.status, answer.body), (201, b"answer"))
        self.assertEqual(sorted(answer.fields), [
            "attest-origin", "cache-control", "content-length",
            "content-type", "date", "request-id"])
        self.assertEqual(answer.fields["attest-origin"], "agent")
        self.assertEqual(answer.fields["request-id"], "cn17.42")
        _, method, path, fields, body = echo.requests[0]
        self.assertEqual((method, path, body), (
            "POST", "/vm/%s/launch" % self.vm, b'{"a":1}'))
        self.assertIn("relay-time", fields)
        del fields["relay-time"]
        self.assertEqual(fields, {
            "content-type": "application/json; charset=utf-8",
            "request-id": "cn17.42", "accept": "application/json",
            "idempotency-key": '"k1"', "content-length": "7",
            "host-identity": "token:cn-17"})

    def test_bodies_of_any_bytes_pass_unchanged_up_to_the_limit(self):
        self.echo()
        c = self.client()
        for size in (0, 1, 15999, 16375, 16376, 16377, 16384, 32768, 65535,
                     65536):
            body = os.urandom(size)
            answer = self.ask(body, client=c)
            self.assertEqual(answer.status, 200, size)
            self.assertEqual(answer.body, body, size)
        every = bytes(range(256)) * 256
        self.assertEqual(self.ask(every, client=c).body, every)

    def test_t21_one_byte_over_the_limit_is_refused(self):
        echo = self.echo()
        self.problem(self.ask(b"x" * 65537), 413, "http-413")
        # ... and by its announcement already.
        c = self.client()
        c.send(self.head(length=10 ** 10))
        self.problem(c.answer(), 413, "http-413")
        self.assertTrue(c.at_end())
        self.assertEqual(echo.requests, [])

    def test_t21_an_answer_over_the_limit_is_the_agents_breach(self):
        self.echo(lambda r: {"body": b"x" * int(r[4])})
        self.assertEqual(len(self.ask(b"65536").body), 65536)
        self.problem(self.ask(b"65537"), 502, "agent-protocol")
        self.assertEqual(len(self.ask(b"65536").body), 65536)

    def test_paths(self):
        self.echo()
        table = [
            ("POST", "/", 404), ("POST", "/sev", 404), ("POST", "/vm", 404),
            ("POST", "/sev/vm/%s" % self.vm, 404),
            ("POST", "/sev/vm/%s/" % self.vm, 404),
            ("POST", "/sev/vm/%s/launch/" % self.vm, 404),
            ("POST", "/sev/vm/%s/other" % self.vm, 404),
            ("POST", "/sev/vm/%s/sessions/1" % self.vm, 404),
            ("POST", "/vm/%s/launch" % self.vm, 404),
            ("POST", "/sev/vm/{%s}/launch" % self.vm, 404),
            ("POST", "/sev/vm/%s/launch" % self.vm.replace("-", ""), 404),
            ("POST", "/sev/vm/%s/launch" % self.vm[:-1], 404),
            ("POST", "/sev/vm/%s0/launch" % self.vm, 404),
            ("POST", "/sev//vm/%s/launch" % self.vm, 404),
            ("POST", "/sev/./vm/%s/launch" % self.vm, 404),
            ("POST", "/sev/x/../vm/%s/launch" % self.vm, 404),
            ("POST", "/sev/vm/%s/%%6caunch" % self.vm, 404),
            ("POST", "/sev/vm/%s/launch?" % self.vm, 400),
            ("POST", "/sev/vm/%s/launch?a=b" % self.vm, 400),
            ("GET", "/sev/vm/%s/launch" % self.vm, 405),
            ("HEAD", "/sev/vm/%s/launch" % self.vm, 405),
            ("PUT", "/sev/vm/%s/validate" % self.vm, 405),
            ("DELETE", "/sev/vm/%s/validate" % self.vm, 405),
            ("OPTIONS", "/sev/vm/%s/validate" % self.vm, 405),
            ("POST", "/sev/.well-known/attest-relay", 405),
            ("GET", "/sev/agent/v1", 404),
            ("POST", "/sev/vm/%s/kbs/v0/resource/a/b" % self.vm, 404),
            ("POST", "/sev/vm/%s/kbs/v0/resource/a/../c" % self.vm, 404),
            ("POST", "/sev/vm/%s/launch" % self.vm, 200),
            ("POST", "/sev/vm/%s/validate" % self.vm.upper(), 200),
        ]
        c = self.client()
        for method, path, status in table:
            with self.subTest(path):
                c.send(self.head(method, path=path, length=(
                    0 if method in ("POST", "PUT") else None)))
                answer = c.answer(head_only=method == "HEAD")
                self.assertEqual(answer.status, status, answer)
                if status == 405:
                    self.assertIn(answer.fields["allow"], ("POST", "GET"))
                else:
                    self.assertNotIn("allow", answer.fields)

    def test_t29_no_host_path_on_the_public_listener(self):
        self.echo()
        for method, path, status in (
                ("POST", "/sev/vm/%s/launch" % self.vm, 404),
                ("GET", "/sev/vm/%s/launch" % self.vm, 404),
                ("GET", "/sev/.well-known/attest-relay", 200),
                ("GET", "/sev/agent/v1", 426),
                ("POST", "/sev/agent/v1", 405),
                ("GET", "/sev/admin", 404), ("GET", "/metrics", 404)):
            c = self.client(self.lab.relay_public)
            c.send(self.head(method, path=path, length=(
                0 if method == "POST" else None)))
            self.assertEqual(c.answer().status, status, path)

    def test_well_known(self):
        c = self.client()
        c.send(self.head("GET", path="/sev/.well-known/attest-relay",
                         token=False))
        answer = c.answer()
        self.assertEqual(answer.status, 200)
        self.assertEqual(answer.fields["content-type"], "application/json")
        got = json.loads(answer.body)
        self.assertEqual((got["versions"], got["minor"]), ([1], 0))
        self.assertEqual(got["schemes"], ["amd-sev"])
        self.assertEqual(got["auth"], ["mtls", "bearer"])
        self.assertEqual(got["limits"]["body"], 65536)

    def test_hosts_of_some_networks(self):
        """hosts.auth networks: who needs to show nothing, and who is none."""
        echo = self.echo()
        auth = "  auth: [mtls, bearer]"

        def restart(networks, words="networks"):
            self.lab.relay.kill()
            config = self.lab.relay_config(
                self.tenants(), "channel-binding: off\n" + self.extra)
            with open(config, encoding="ascii") as f:
                text = f.read()
            self.assertIn(auth, text)
            with open(config, "w", encoding="ascii") as f:
                f.write(text.replace(auth, "  auth: [%s]\n  networks: [%s]" %
                                     (words, networks)))
            self.lab.run_relay(config)
            return self.echo()

        def well_known():
            c = self.client()
            c.send(self.head("GET", path="/sev/.well-known/attest-relay",
                             token=False))
            return json.loads(c.answer().body)["auth"]

        # By default where a host comes from is nothing.
        self.problem(self.ask(token=False), 401, "host-unauthenticated")
        for networks in "127.0.0.0/8", '"::/0"', '"10.0.0.0/8", 127.0.0.1':
            echo = restart(networks)
            self.assertEqual(well_known(), ["networks"])
            self.assertEqual(self.ask(token=False).status, 200)
            self.assertEqual(echo.requests[-1][3]["host-identity"], "none")
        for networks in "127.0.0.2", "10.0.0.0/8", '"::1"':
            echo = restart(networks)
            self.problem(self.ask(token=False), 401, "host-unauthenticated")
            # Nor does a token help that nobody asks for.
            self.problem(self.ask(), 401, "host-unauthenticated")
            self.assertEqual(echo.requests, [])
        # Beside others: what is shown counts, and must be good.
        echo = restart("127.0.0.0/8", "mtls, bearer, networks")
        self.assertEqual(well_known(), ["mtls", "bearer", "networks"])
        self.assertEqual(self.ask().status, 200)
        self.assertEqual(echo.requests[-1][3]["host-identity"], "token:cn-17")
        self.assertEqual(self.ask(token=False).status, 200)
        self.problem(self.ask(token=False, extra="Authorization: Bearer x\r\n"),
                     401, "host-unauthenticated")

    def test_without_auth_no_host_is_let_in(self):
        """The default: what others would take is good for nothing."""
        config = self.lab.relay_config(self.tenants(), "channel-binding: off")
        with open(config, encoding="ascii") as file:
            text = file.read()
        auth = "  auth: [mtls, bearer]\n"
        self.assertIn(auth, text)
        with open(config, "w", encoding="ascii") as out:
            out.write(text.replace(auth, ""))
        self.lab.relay.stop()
        self.lab.run_relay(config)
        self.lab.relay.wait_line("hosts.auth is empty: no host is let in")
        echo = self.echo()
        cert, key = self.lab.ca.issue("cn-1", ["DNS:cn-1"],
                                      usage="clientAuth")
        for token in False, True:
            for shown in {}, {"cert": cert, "key": key}:
                with self.subTest(token=token, **shown):
                    self.problem(
                        self.ask(token=token, client=self.client(**shown)),
                        401, "host-unauthenticated")
        self.assertEqual(echo.requests, [])

    def test_refusals_of_form(self):
        self.echo()
        table = [
            (self.head(), 411, "http-411"),
            (self.head(length=2, extra="Transfer-Encoding: chunked\r\n"),
             501, "http-501"),
            (self.head(length=2, extra="Early-Data: 1\r\n"), 425,
             "too-early"),
            (self.head(length=2, extra="Expect: tea\r\n"), 417, "http-417"),
            (self.head(length=2, extra="Content-Type: text/plain\r\n"), 415,
             "http-415"),
            (self.head(length=2, extra="Content-Encoding: gzip\r\n"), 415,
             "http-415"),
            (self.head(length=2, extra="Content-Type: application/json\r\n"
                       "Content-Type: application/json\r\n"), 400,
             "bad-request"),
            (self.head(path="/" + "a" * 512, length=2), 414, "http-414"),
            (self.head(length=2, extra="X-A: %s\r\n" % ("a" * 16384)), 431,
             "http-431"),
            (self.head(length=2, extra="X-A: a\r\n" * 64), 431, "http-431"),
            (self.head(length=2).replace("1.1", "1.0"), 505, "http-505"),
        ]
        for text, status, name in table:
            with self.subTest(name):
                c = self.client()
                c.send(text)
                self.problem(c.answer(), status, name)
                self.assertTrue(c.at_end())

    def test_expect_100_continue(self):
        self.echo()
        c = self.client()
        c.send(self.head(length=3, extra="Expect: 100-continue\r\n"))
        while b"\r\n\r\n" not in c.buffer:
            c.more()
        self.assertTrue(c.buffer.startswith(b"HTTP/1.1 100 Continue\r\n"))
        c.send(b"abc")
        self.assertEqual(c.answer().body, b"abc")
        # Not for one that is refused.
        c = self.client()
        c.send(self.head(length=3, extra="Expect: 100-continue\r\n",
                         token=False))
        self.problem(c.answer(), 401, "host-unauthenticated")

    def test_keep_alive_and_one_request_sent_ahead(self):
        echo = self.echo()
        c = self.client()
        for i in range(20):
            self.assertEqual(self.ask(b"%d" % i, client=c).body, b"%d" % i)
        text = self.head(length=1).encode()
        c.send(text + b"a" + text + b"b")
        self.assertEqual(c.answer().body, b"a")
        self.assertEqual(c.answer().body, b"b")
        c.send(self.head(length=1, extra="Connection: close\r\n") + "c")
        answer = c.answer()
        self.assertEqual(answer.fields["connection"], "close")
        self.assertEqual(answer.body, b"c")
        self.assertTrue(c.at_end())
        self.assertEqual(len(echo.requests), 23)

    def test_hosts_without_a_name_are_refused(self):
        echo = self.echo()
        table = [
            "", "Authorization: Bearer " + "0" * 64 + "\r\n",
            "Authorization: Bearer\r\n", "Authorization: Bearer \r\n",
            "Authorization: Basic YTpi\r\n",
            "Authorization: Bearer %s x\r\n" % self.lab.token,
            "Authorization: Bearer %s\r\nAuthorization: Bearer %s\r\n" % (
                self.lab.token, self.lab.token),
            "Authorization: %s\r\n" % self.lab.token,
        ]
        for extra in table:
            answer = self.ask(b"", extra=extra, token=False)
            self.problem(answer, 401, "host-unauthenticated")
            self.assertEqual(answer.fields["www-authenticate"], "Bearer")
        self.assertEqual(echo.requests, [])
        self.assertEqual(self.ask(
            b"", token=False,
            extra="authorization: bearer %s\r\n" % self.lab.token).status,
            200)

    def test_hosts_with_certificates(self):
        echo = self.echo()
        cert, key = self.lab.ca.issue("cn-21", ["DNS:cn-21.example"],
                                      usage="clientAuth")
        c = self.client(cert=cert, key=key)
        self.assertEqual(self.ask(client=c, token=False).status, 200)
        self.assertEqual(echo.requests[0][3]["host-identity"],
                         "mtls:cn-21.example")
        # A bad token is not forgiven for a good certificate.
        self.problem(self.ask(
            b"", client=c, token=False, extra="Authorization: Bearer x\r\n"),
            401, "host-unauthenticated")
        # Resumed or not, the certificate stays; another CA's does not pass.
        other = harness.Ca(self.lab.folder, "other")
        cert, key = other.issue("cn-22", ["DNS:cn-21.example"],
                                usage="clientAuth")
        with self.assertRaises((ssl.SSLError, ConnectionError)):
            c = self.client(cert=cert, key=key)
            c.send(self.head(length=0, token=False))
            if c.answer() is None:
                raise ConnectionError("closed")

    def test_names_in_certificates(self):
        """The first DNS name, else URI, else address; else nobody."""
        echo = self.echo()
        uri, address = "URI:spiffe://cloud.example/cn-23", "IP:2001:db8::17"
        table = [
            ([address, uri, "DNS:cn-23.example", "DNS:other.example"],
             "mtls:cn-23.example"),
            ([address, uri, "URI:spiffe://other.example"],
             "mtls:spiffe://cloud.example/cn-23"),
            ([address, "IP:192.0.2.17"], "mtls:2001:db8::17"),
            (["email:cn-23@cloud.example"], None),
        ]
        for names, identity in table:
            with self.subTest(names):
                cert, key = self.lab.ca.issue("named", names,
                                              usage="clientAuth")
                answer = self.ask(client=self.client(cert=cert, key=key),
                                  token=False)
                if identity is None:
                    self.problem(answer, 401, "host-unauthenticated")
                    continue
                self.assertEqual(answer.status, 200)
                self.assertEqual(echo.requests[-1][3]["host-identity"],
                                 identity)

    def test_unknown_vms_get_one_line_in_the_log_and_no_body(self):
        self.echo(lambda r: {"body": b"ANSWER-CANARY"})
        self.ask(b"REQUEST-CANARY", extra="Cookie: COOKIE-CANARY\r\n")
        self.lab.relay.wait_line("POST launch %s 200 agent" % self.vm)
        self.lab.relay.stop()
        said = self.lab.relay.output()
        self.assertNotIn("CANARY", said)
        self.assertNotIn(self.lab.token, said)


class TlsCase(RelayCase):
    def s_client(self, *flags):
        """What openssl s_client says, having asked one question."""
        return run(["openssl", "s_client", "-connect",
                    "127.0.0.1:%d" % self.lab.relay_internal,
                    "-servername", "localhost", "-CAfile", self.lab.ca.cert,
                    "-ign_eof", *flags], ok=None, input=self.question()).stdout

    def question(self):
        return self.head("GET", path="/sev/.well-known/attest-relay",
                         extra="Connection: close\r\n")


class Tls(TlsCase):
    def test_no_tickets(self):
        said = self.s_client("-msg")
        self.assertIn("200 OK", said)
        self.assertNotIn("NewSessionTicket", said)

    def test_no_old_versions(self):
        with self.assertRaises((ssl.SSLError, ConnectionError)):
            self.client(tls12=True)


class Tickets(TlsCase):
    extra = "tls: {tickets: on}\n"

    def test_t25_no_ticket_allows_early_data(self):
        session = os.path.join(self.lab.folder, "session")
        early = os.path.join(self.lab.folder, "early")
        with open(early, "w", encoding="ascii") as out:
            out.write(self.question())
        self.assertIn("NewSessionTicket",
                      self.s_client("-msg", "-sess_out", session))
        said = self.s_client("-sess_in", session, "-early_data", early)
        self.assertIn("Reused, TLSv1.3", said)
        self.assertNotIn("Early data was accepted", said)


class Tls12(TlsCase):
    extra = 'tls: {min: "1.2"}\n'

    def test_no_tickets(self):
        said = self.s_client("-msg", "-tls1_2")
        self.assertIn("200 OK", said)
        self.assertNotIn("NewSessionTicket", said)

    def test_version_12_by_option(self):
        self.echo()
        c = self.client(tls12=True)
        self.assertEqual(c.sock.version(), "TLSv1.2")
        self.assertEqual(self.ask(client=c).status, 200)


if __name__ == "__main__":
    unittest.main()
