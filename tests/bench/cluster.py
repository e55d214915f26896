"""What a cluster costs and how soon it is whole again.

    cluster.py [hop|failover]

hop: two relays and a Redis; requests for one agent by its own relay and by the
other one, in turns, open loop.  failover: three relays, an agent behind a
balancer; the relay that has its tunnel is killed, until a request by another
relay is answered by the agent.
"""

import os
import re
import shutil
import statistics
import sys
import time

import bench

ROUNDS = 7
KILLS = 10
RATE = 500


def row(what, want, figure, reached):
    print("| %s | %s | %s | %s |" % (
        what, want, figure, "reached" if reached else "missed"), flush=True)


def peer_certificate(b, node):
    """Of an authority that both share; made by openssl, as an operator may."""
    ca, ca_key = b.path("peers.crt"), b.path("peers.key")
    run = bench.subprocess.run
    ec = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
          "-nodes"]
    if not os.path.exists(ca):
        run(["openssl", "req", "-x509", *ec, "-days", "2", "-subj",
             "/CN=peers", "-keyout", ca_key, "-out", ca], check=True,
            capture_output=True)
    base = b.path(node)
    ext = b.write(node + ".ext", "subjectAltName=DNS:%s\n"
                  "extendedKeyUsage=serverAuth,clientAuth\n" % node)
    run(["openssl", "req", *ec, "-subj", "/CN=" + node, "-keyout",
         base + ".key", "-out", base + ".csr"], check=True,
        capture_output=True)
    run(["openssl", "x509", "-req", "-in", base + ".csr", "-CA", ca,
         "-CAkey", ca_key, "-CAcreateserial", "-days", "2", "-extfile", ext,
         "-out", base + ".crt"], check=True, capture_output=True)
    return base + ".crt", base + ".key", ca


def start_node(b, redis, i):
    """One relay of the cluster; its (public, internal) ports."""
    b.public, b.internal = bench.free_port(), bench.free_port()
    cert, key, ca = peer_certificate(b, "node-%d" % i)
    config = b.relay_config(1, """cluster:
  directory: redis://127.0.0.1:%d
  node: node-%d
  listen: ["127.0.0.1:%d"]
  certificate: %s
  key: %s
  ca: %s
""" % (redis, i, bench.free_port(), cert, key, ca))
    own = b.path("relay-%d.yaml" % i)
    shutil.copy(config, own)
    with open(own, encoding="ascii") as text:
        words = text.read().replace("takeover.sock", "takeover-%d.sock" % i)
    with open(own, "w", encoding="ascii") as out:
        out.write(words)
    b.start_relay(own)
    return b.public, b.internal


def hop():
    b = bench.Bench()
    try:
        redis = bench.free_port()
        b.start(["redis-server", "--port", str(redis), "--bind", "127.0.0.1",
                 "--save", "", "--dir", b.folder], log=b.path("redis.log"))
        bench.wait_port(redis)
        here = start_node(b, redis, 0)
        there = start_node(b, redis, 1)
        b.public = here[0]
        agents = b.agents(1)
        agents.say("add 1")
        agents.event()
        got = {"own relay": [], "other relay": []}
        for _ in range(ROUNDS):
            for name, port in (("own relay", here[1]),
                               ("other relay", there[1])):
                got[name].append(b.load(
                    port, "--rate", RATE, "--connections", 16, "--count", 1,
                    "--seconds", 4))
        for name, results in got.items():
            print("%s: p50 %s us, p99 %s us" % (
                name, [r["p50_us"] for r in results],
                [r["p99_us"] for r in results]), file=sys.stderr)
        # What else the machine does only adds: the best round says most.
        own, other = (min(r["p50_us"] for r in got[name])
                      for name in ("own relay", "other relay"))
        row("time added by the hop, p50 of the best of %d rounds, %d requests "
            "a second" % (ROUNDS, RATE), "<= 150 us", "%d us (%d, %d)" % (
                other - own, own, other), other - own <= 150)
    finally:
        b.close()


def failover():
    sys.path.insert(0, os.path.join(os.environ["SOURCE_DIR"], "tests",
                                    "integration"))
    import cluster_chaos

    class Run(cluster_chaos.Kills):
        def runTest(self):
            self.took = []
            for _ in range(KILLS):
                self.took.append(self.once())

        def once(self):
            # A new one each time: waits grow with each end of a young tunnel.
            self.run_agent(self.url(self.agents.port),
                           args=("--allow-no-binding",))
            self.owner.process.wait_line("ready: relay")
            self.wait_until("the agent is somewhere",
                            lambda: any(map(self.has_tunnel, self.relays)))
            relay = next(r for r in self.relays if self.has_tunnel(r))
            other = next(r for r in self.relays if r is not relay)
            relay.kill()
            began = time.monotonic()
            while not self.answers(other):
                pass
            took = time.monotonic() - began
            self.owner.stop()
            relay.start()
            self.reached(relay)
            return took

        @staticmethod
        def has_tunnel(relay):
            ends = re.findall(r"tunnel acme/\S+: (up|down): ",
                              relay.process.output())
            return bool(ends) and ends[-1] == "up"

        def answers(self, relay):
            self.lab.relay_internal = relay.internal
            _, headers, _ = self.lab.curl("/vm/%s/launch" % self.vm, b"{}")
            return headers.get("attest-origin") == "agent"

    run = Run()
    run.setUp()
    try:
        run.runTest()
    finally:
        run.doCleanups()
    row("failover of a relay, of %d: from kill -9 to an answer of the agent "
        "by another relay" % KILLS, "<= 3 s", "median %.2f s, worst %.2f s" % (
            statistics.median(run.took), max(run.took)), max(run.took) <= 3)


if __name__ == "__main__":
    for mode in sys.argv[1:] or ("hop", "failover"):
        {"hop": hop, "failover": failover}[mode]()
