"""Hosts' connections that move to the worker of their agent's tunnel
(relay/host_move.c): nobody sees it but by the counter."""

import os
import signal
import threading
import unittest
import uuid

import fake_agent
import harness
import relay_case

ROUNDS = int(os.environ.get("MOVE_ROUNDS", "4"))
HOSTS = 8
EACH = 120


class Moving(relay_case.Scraper, relay_case.RelayCase):
    """Connections are dealt in turn: the tunnel is the first worker's, every
    second host the other one's."""

    extra = "workers: 2\n"

    def setUp(self):
        self.other_key = fake_agent.Key()
        self.other_vm = str(uuid.uuid4())
        super().setUp()

    def tenants(self):
        return {"acme": (self.key_of(self.key), [self.vm]),
                "zeta": (self.key_of(self.other_key), [self.other_vm])}

    def start(self, extra=None):
        # Whoever it becomes: it reads its files again.
        os.chmod(self.lab.folder, 0o755)
        os.chmod(self.lab.server[1], 0o644)
        self.write()
        self.lab.run_relay(self.config)
        self.write()

    def write(self):
        self.config = self.lab.relay_config(
            self.tenants(), "channel-binding: off\n" + self.extra)

    def count(self, name):
        return self.value(self.get("/metrics"), name)

    def moved(self, client=None, **kwargs):
        """A connection that has moved, by requests that were all answered."""
        before = self.count("host_moves_total")
        client = client or self.client()

        def asked():
            for _ in range(16):
                answer = self.ask(b"{}", client=client, **kwargs)
                self.assertEqual(answer.status, 200)
            return self.count("host_moves_total") > before
        harness.eventually(asked)
        return client


class Serves(Moving):
    def test_requests_go_on(self):
        """Of every size, and it moves once."""
        self.echo()
        client = self.moved()
        for i in range(100):
            body = b"%04d" % i * (1 + i * 160)
            answer = self.ask(body, client=client)
            self.assertEqual((answer.status, answer.body), (200, body))
        self.assertEqual(self.count("host_moves_total"), 1)

    def test_who_is_near_stays(self):
        self.echo()
        self.client()
        near = self.client()
        for _ in range(200):
            self.assertEqual(self.ask(client=near).status, 200)
        self.assertEqual(self.count("host_moves_total"), 0)

    def test_requests_sent_ahead(self):
        """What waits unread keeps a connection where it is; no request is
        lost or answered out of its turn."""
        self.echo()
        client = self.client()
        wanted = [b"%d" % i for i in range(400)]
        for body in wanted:
            client.send(self.head(length=len(body)).encode() + body)
        self.assertEqual([client.answer().body for _ in wanted], wanted)
        for _ in range(3):
            self.assertEqual(self.ask(client=client).status, 200)

    def test_back_again(self):
        """To the worker of another tunnel, and back."""
        self.echo()
        fake_agent.Echo(self.tunnel(self.other_key, claim=[self.other_vm]))
        client = self.client()
        for vm in self.other_vm, self.vm, self.other_vm:
            self.moved(client, vm=vm)

    def test_who_it_is_goes_along(self):
        """The certificate, and a reload that no longer knows the token."""
        echo = self.echo()
        cert, key = self.lab.ca.issue("host", ["DNS:cn-18.example"],
                                      usage="clientAuth")
        by_token = self.moved()
        # That one went where the tunnel is: the next is the other worker's.
        by_cert = self.moved(self.client(cert=cert, key=key), token=False)
        self.assertEqual(echo.requests[-1][3]["host-identity"],
                         "mtls:cn-18.example")
        self.lab.token, token = "another", self.lab.token
        self.write()
        mark = self.lab.relay.mark()
        self.lab.relay.child.send_signal(signal.SIGHUP)
        self.lab.relay.wait_line("reloaded: ", mark)
        self.lab.token = token
        self.problem(self.ask(client=by_token), 401, "host-unauthenticated")
        self.assertEqual(
            self.ask(client=by_cert, token=False).status, 200)


class Limits(Moving):
    extra = "workers: 2\nlimits: {connections-per-address: 4}\n"

    def test_a_place_is_taken_once_and_given_once(self):
        self.echo()
        client = self.moved()
        self.client()
        self.client()
        self.assertEqual(self.count("connections"), 4)
        with self.assertRaises(OSError):
            self.client().answer()
        client.close()
        harness.eventually(lambda: self.count("connections") == 3)
        self.assertEqual(self.ask(client=self.client()).status, 200)


class Ends(Moving):
    def under_way(self):
        """A moved connection, and its request that the agent has."""
        held = threading.Event()
        arrived = threading.Event()

        def answer(request):
            if request[4] == b"wait":
                arrived.set()
                held.wait(harness.PATIENCE)
            return {"body": request[4]}
        self.echo(answer)
        client = self.moved()
        client.send(self.head(length=4) + "wait")
        self.assertTrue(arrived.wait(harness.PATIENCE))
        return client, held

    def test_drain_answers_what_is_under_way(self):
        client, held = self.under_way()
        relay = self.lab.relay
        relay.child.send_signal(signal.SIGTERM)
        relay.wait_line("draining")
        held.set()
        answer = client.answer()
        self.assertEqual((answer.status, answer.body), (200, b"wait"))
        self.assertEqual(answer.fields["connection"], "close")
        self.assertEqual(relay.wait(), 0)

    def test_drain_closes_one_that_is_idle(self):
        self.echo()
        client = self.moved()
        relay = self.lab.relay
        relay.child.send_signal(signal.SIGTERM)
        self.assertTrue(client.at_end())
        self.assertEqual(relay.wait(), 0)

    def test_take_over_hands_its_request_on(self):
        """The agent is the new relay's, the connection the old one's."""
        echo = self.echo()
        client = self.moved()
        old = self.lab.relay
        self.addCleanup(old.kill)
        self.lab.run_relay(self.config, "--takeover")
        old.wait_line("takes over: agents move there")
        fake_agent.Echo(self.tunnel(claim=[self.vm]))
        echo.tunnel.close()
        old.wait_line("draining")
        answer = self.ask(b"over", client=client)
        self.assertEqual((answer.status, answer.body), (200, b"over"))
        self.assertEqual(answer.fields["connection"], "close")
        self.assertEqual(old.wait(), 0)

    def test_the_host_goes(self):
        """Its request is taken off the agent's hands."""
        client, held = self.under_way()
        client.close()
        harness.eventually(lambda: self.count("connections") == 1)
        held.set()
        self.assertEqual(self.ask().status, 200)

    def test_the_agent_goes(self):
        client, held = self.under_way()
        self.open[0].close()
        held.set()
        self.problem(client.answer(), 502, "tunnel-lost")


class Crowd(Moving):
    """Hosts that move between two tunnels all the time."""

    def setUp(self):
        super().setUp()
        self.wrong = []
        self.over = False
        self.echo()
        fake_agent.Echo(self.tunnel(self.other_key, claim=[self.other_vm]))

    def host(self, number, rounds):
        """Each round is a connection; until the relay ends it."""
        try:
            for i in range(rounds):
                client = self.client()
                for k in range(EACH):
                    body = b"%d.%d.%d" % (number, i, k)
                    vm = (self.vm, self.other_vm)[(k // 30 + number) % 2]
                    answer = self.ask(body, client=client, vm=vm)
                    if answer is None or self.over:
                        return
                    if answer.status != 503 and answer.body != body:
                        self.wrong.append((answer, body))
                client.close()
        except OSError:
            pass  # it is gone

    def start_hosts(self, rounds):
        hosts = [threading.Thread(target=self.host, args=(i, rounds),
                                  daemon=True) for i in range(HOSTS)]
        for one in hosts:
            one.start()
        self.addCleanup(setattr, self, "over", True)
        return hosts

    def test_no_request_is_lost(self):
        hosts = self.start_hosts(ROUNDS)
        for one in hosts:
            one.join()
        self.assertEqual(self.wrong, [])
        self.assertGreater(self.count("host_moves_total"), 0)
        text = self.get("/metrics")
        self.assertEqual(
            self.value(text, "requests_total", route="launch", code="200",
                       origin="agent"), HOSTS * ROUNDS * EACH)
        harness.eventually(lambda: self.count("connections") == 2)

    def ends_in_the_middle(self, signals):
        """Whatever is in a mailbox then."""
        hosts = self.start_hosts(1000)
        harness.eventually(lambda: self.count("host_moves_total") > 3)
        relay = self.lab.relay
        for _ in range(signals):
            relay.child.send_signal(signal.SIGTERM)
            relay.wait_line("draining")
        for one in hosts:
            one.join()
        self.assertEqual(self.wrong, [])
        self.assertEqual(relay.wait(), 0)

    def test_drain_in_the_middle(self):
        self.ends_in_the_middle(1)

    def test_end_in_the_middle(self):
        self.ends_in_the_middle(2)


if __name__ == "__main__":
    unittest.main(verbosity=2)
