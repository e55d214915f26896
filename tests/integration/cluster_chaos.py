"""Relays of a cluster, and its Redis, killed at random instants under load: no
launch is lost for a host that retries, and no UUID ever has two owners.

SECONDS in the environment makes it longer, SEED repeats one."""

import concurrent.futures
import os
import random
import socket
import ssl
import threading
import time
import unittest
import uuid

import agent_case
import fake_agent
import harness
from cluster_case import ClusterCase
from relay_case import Client

SECONDS = float(os.environ.get("SECONDS", "8"))
HOSTS = 4
PATIENCE = 100


class Balancer(agent_case.Server):
    """TCP, to any relay that takes the connection."""

    def __init__(self, ports, dice):
        self.ports = ports
        self.dice = dice
        super().__init__()

    def serve(self, peer):
        ports = self.ports()
        self.dice.shuffle(ports)
        for port in ports:
            try:
                far = socket.create_connection(("127.0.0.1", port), 30)
            except OSError:
                continue
            with far:
                agent_case.pump(peer, far)
            return


class ChaosCase(ClusterCase):
    def setUp(self):
        seed = os.environ.get("SEED") or str(
            random.SystemRandom().getrandbits(32))
        print("SEED=" + seed, flush=True)
        self.dice = random.Random(seed)
        self.enough = threading.Event()
        super().setUp()

    def ends_at(self):
        return time.monotonic() + SECONDS


class Kills(ChaosCase):
    """One agent with one tunnel, behind a balancer, as hosts are."""

    def setUp(self):
        super().setUp()
        self.agents = Balancer(lambda: [r.public for r in self.relays],
                               self.dice)
        self.addCleanup(self.agents.close)
        self.hosts = Balancer(lambda: [r.internal for r in self.relays],
                              self.dice)
        self.addCleanup(self.hosts.close)
        self.lab.relay_internal = self.hosts.port

    def launches(self):
        """Whole launches until told to stop; how many."""
        count = 0
        while not self.enough.is_set():
            done = self.lab.host(
                "launch", *self.lab.guest(self.vm), "--timeout", PATIENCE,
                timeout=PATIENCE + 30)
            self.assertIn(self.secret, done.stdout)
            count += 1
        return count

    def under_load(self, harm):
        self.run_agent(self.url(self.agents.port),
                       args=("--allow-no-binding",))
        self.owner.process.wait_line("ready: relay")
        with concurrent.futures.ThreadPoolExecutor(HOSTS) as pool:
            loads = [pool.submit(self.launches) for _ in range(HOSTS)]
            try:
                harm()
            finally:
                self.enough.set()
            counts = [load.result() for load in loads]
        print("%d launches" % sum(counts), flush=True)
        self.assertGreater(min(counts), 0)

    def test_each_relay_in_turn(self):
        def harm():
            end = self.ends_at()
            kills = 0
            while kills < 2 * len(self.relays) or time.monotonic() < end:
                relay = self.relays[kills % len(self.relays)]
                mark = self.owner.process.mark()
                had = relay.process.output().count(": up: peer")
                downs = relay.process.output().count(": down: ")
                relay.kill()
                # If the agent was there, it comes to another one.
                if had > downs:
                    self.owner.process.wait_line("ready: relay", mark)
                relay.start()
                self.reached(relay)
                kills += 1
            print("%d kills" % kills, flush=True)
        self.under_load(harm)

    def test_redis(self):
        def harm():
            end = self.ends_at() - SECONDS / 2
            kills = 0
            while kills < 3 or time.monotonic() < end:
                marks = [r.process.mark() for r in self.relays]
                self.redis.kill()
                for relay, mark in zip(self.relays, marks):
                    relay.process.wait_line("directory: not reached", mark)
                self.redis.start()
                for relay, mark in zip(self.relays, marks):
                    self.reached(relay, mark)
                kills += 1
            print("%d kills" % kills, flush=True)
        self.under_load(harm)


class History:
    """Who held the UUID when: what is certain, and what may be."""

    def __init__(self):
        self.lock = threading.Lock()
        self.certain = []   # (from, to, key): between CLAIMED and our leaving
        self.asked = []     # (when, relay, key): CLAIMs, granted or not
        self.possible = []  # (from, to, key): from CLAIM to the end
        self.kills = []     # (when, relay)
        self.answers = []   # (asked, answered, key)

    def held(self, relay, name, asked, got, left, gone):
        with self.lock:
            died = [t for t, r in self.kills if r is relay and asked < t]
            self.certain.append((got, min([left] + died), name, relay))
            self.possible.append((asked, gone, name))

    def settled(self):
        """Less the time after a newer HELLO of the key at the same relay,
        which moves the UUID before the older tunnel hears of it."""
        for got, left, name, relay in self.certain:
            newer = [t for t, r, who in self.asked
                     if r is relay and who == name and got < t]
            if got < min([left] + newer):
                yield got, min([left] + newer), name

    def check(self, case):
        spans = list(self.settled())
        for i, (start, end, name) in enumerate(spans):
            for other_start, other_end, other in spans[i + 1:]:
                if other != name and start < other_end and other_start < end:
                    case.fail("two owners: %s %.6f..%.6f, %s %.6f..%.6f" % (
                        name, start, end, other, other_start, other_end))
        for asked, answered, name in self.answers:
            case.assertTrue(any(
                name == who and start < answered and asked < end
                for start, end, who in self.possible),
                "%s answered without a claim" % name)


class Owners(ChaosCase):
    """Two keys of one tenant fight for one UUID, everywhere."""

    def setUp(self):
        self.keys = {name: fake_agent.Key() for name in ("one", "two")}
        self.uuid = str(uuid.uuid4())
        self.history = History()
        self.stands = threading.Event()  # all relays do
        self.stands.set()
        super().setUp()

    def new_relay(self, i):
        relay = super().new_relay(i)

        class Keys:
            key = '", "'.join(key.text() for key in self.keys.values())
        relay.tenants = {"acme": (Keys, [self.uuid])}
        return relay

    def hold(self, name, relay):
        """Claim it at a relay, serve it for a moment, leave."""
        began = time.monotonic()
        with self.history.lock:
            self.history.asked.append((began, relay, name))
        t = fake_agent.Tunnel(relay.public, self.lab.ca.cert,
                              self.keys[name])
        try:
            t.ws.sock.settimeout(5)
            asked = time.monotonic()
            if t.claim(self.uuid) != [0]:
                return
            got = time.monotonic()
            t.ws.sock.settimeout(fake_agent.PATIENCE)
            echo = fake_agent.Echo(t, lambda _: {"body": name.encode()})
            echo.join(self.dice.uniform(0.005, 0.3))
            left = time.monotonic()
            if not echo.is_alive():
                left = got  # who ended it, and when, is not known
            try:
                t.ws.sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            echo.join(harness.PATIENCE)
            self.history.held(relay, name, asked, got, left,
                              time.monotonic() + 1)
        finally:
            t.close()

    def agent(self, name):
        while not self.enough.is_set():
            try:
                self.hold(name, self.dice.choice(self.relays))
            except (OSError, ssl.SSLError, ValueError, AssertionError,
                    fake_agent.Closed):
                self.stands.wait(1)  # one is being restarted

    def host(self):
        while not self.enough.is_set():
            relay = self.dice.choice(self.relays)
            asked = time.monotonic()
            try:
                c = Client(relay.internal, self.lab.ca.cert)
            except (OSError, ssl.SSLError):
                self.stands.wait(1)
                continue
            try:
                c.send(("POST /sev/vm/%s/launch HTTP/1.1\r\n"
                        "Host: localhost\r\nAuthorization: Bearer %s\r\n"
                        "Content-Length: 2\r\n\r\n{}" % (
                            self.uuid, self.lab.token)).encode())
                answer = c.answer()
            except (OSError, ssl.SSLError, AssertionError):
                continue
            finally:
                c.close()
            if answer is not None and answer.status == 200:
                with self.history.lock:
                    self.history.answers.append(
                        (asked, time.monotonic(), answer.body.decode()))

    def harm(self):
        end = self.ends_at()
        while time.monotonic() < end:
            # The schedule of harm: nothing is awaited here and below.
            time.sleep(self.dice.uniform(0.2, 1))
            if self.dice.random() < 0.25:
                self.redis.kill()
                time.sleep(self.dice.uniform(0, 0.7))
                self.redis.start()
                continue
            relay = self.dice.choice(self.relays)
            with self.history.lock:
                self.history.kills.append((time.monotonic(), relay))
            self.stands.clear()
            relay.kill()
            time.sleep(self.dice.uniform(0, 0.5))
            relay.start()
            self.stands.set()

    def test_never_two(self):
        threads = [threading.Thread(target=self.agent, args=(name,))
                   for name in ("one", "two") * 2]
        threads += [threading.Thread(target=self.host) for _ in range(HOSTS)]
        for thread in threads:
            thread.start()
        try:
            self.harm()
        finally:
            self.enough.set()
            for thread in threads:
                thread.join()
        h = self.history
        print("%d times held, %d answers, %d relays killed" % (
            len(h.certain), len(h.answers), len(h.kills)), flush=True)
        h.check(self)
        for name in self.keys:
            self.assertIn(name, [held[2] for held in h.certain])
        self.assertGreater(len(h.answers), 0)


del ChaosCase

if __name__ == "__main__":
    unittest.main(verbosity=2)
