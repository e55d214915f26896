"""Many tunnels, storms, restarts, overload: each a mode that runs alone.

    scale.py MODE [TUNNELS]     one of the modes below; "all" for all of them,
                                "all --quick" for small ones in two minutes

Every mode prints rows: what, target, figure, reached or not.
"""

import os
import re
import signal
import subprocess
import sys
import time

import bench
from bench import cpu_us, median, rss_kb

PINGS_OFF = "timeouts:\n  ping: 600s\n"


def row(what, want, figure, reached):
    print("| %s | %s | %s | %s |" % (
        what, want, figure, "reached" if reached else "missed"), flush=True)


def add(agents, by):
    agents.say("add %d" % by)
    return agents.event()


def idle(tunnels=15000, most_kb=15.5, certificates=False):
    """Memory and processor time of tunnels that do nothing; handshakes."""
    b = bench.Bench()
    try:
        pair = []
        if certificates:
            cert, key = b.agents_pair()
            pair = ["--cert", cert, "--key", key]
        relay = b.start_relay(b.relay_config(tunnels, PINGS_OFF))
        agents = b.agents(tunnels, "--most", 64, *pair)
        empty, steps = rss_kb(relay.pid), {}
        step = min(1000, tunnels)
        for upto in range(step, tunnels + 1, step):
            before = cpu_us(relay.pid)
            add(agents, step)
            steps[upto] = (cpu_us(relay.pid) - before) / step
        first, last = sorted(steps)[0], sorted(steps)[-1]
        # The first and the last three steps, as one alone says little.
        head = median([steps[n] for n in sorted(steps)[:3]])
        tail = median([steps[n] for n in sorted(steps)[-3:]])
        row("processor time of a handshake, hello and claim, at %d against "
            "%d tunnels" % (last, first), "within 15 %",
            "%.0f us, %.0f us, ratio %.2f" % (head, tail, tail / head),
            tail <= 1.15 * head)
        time.sleep(6)
        before, began = cpu_us(relay.pid), time.monotonic()
        time.sleep(10)
        spent = ((cpu_us(relay.pid) - before) / tunnels /
                 (time.monotonic() - began))
        row("processor time of an idle tunnel, beside pings",
            "<= 1 us a second", "%.3f us a second" % spent, spent <= 1)
        full = rss_kb(relay.pid)
        each = (full - empty) / tunnels
        row("resident memory of an idle tunnel, of %d" % tunnels,
            "<= %g KB" % most_kb, "%.2f KB" % each, each <= most_kb)
        b.end(agents)
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline and \
                rss_kb(relay.pid) > empty + (full - empty) * 0.2:
            time.sleep(0.2)
        left = (rss_kb(relay.pid) - empty) / (full - empty)
        row("memory kept after all tunnels have gone", "<= 20 %",
            "%.0f %%" % (100 * left), left <= 0.2)
    finally:
        b.close()


def certificates(tunnels=15000):
    """The same of agents that show certificates instead of known keys."""
    idle(tunnels, 17, True)


STORMS = {1000: 1, 5000: 5, 15000: 16}


def storm_once(tunnels, *policy):
    """kill -9, 1 s down; seconds from the start of the next relay until every
    tunnel has answered a request, and its memory against that before."""
    b = bench.Bench()
    try:
        config = b.relay_config(tunnels, PINGS_OFF)
        relay = b.start_relay(config)
        agents = b.agents(tunnels, "--check", "127.0.0.1:%d" % b.internal,
                          *policy)
        add(agents, tunnels)
        before = rss_kb(relay.pid)
        b.end(relay)
        time.sleep(1)
        began = time.monotonic()
        relay = b.start_relay(config)
        took = agents.event()["at_ms"] / 1000 - began
        time.sleep(7)  # the relay looks every five
        return took, rss_kb(relay.pid) / before
    finally:
        b.close()


def storm(tunnels=None):
    """A relay that dies and comes back."""
    sizes = {tunnels: STORMS.get(tunnels, tunnels / 1000)} if tunnels \
        else STORMS
    for size, most in sizes.items():
        took, kept = storm_once(size)
        row("storm of %d agents, which dial again every 0.1 to 0.5 s" % size,
            "<= %g s" % most, "%.2f s" % took, took <= most)
        row("memory after the storm of %d against before" % size, "<= 1.2",
            "%.2f" % kept, kept <= 1.2)
        if size > 5000:
            continue
        took, _ = storm_once(size, "--jitter-ms", 0)
        row("the same without jitter, every 0.1 s", "no collapse (<= %g s)" %
            (2 * most), "%.2f s" % took, took <= 2 * most)
        took, _ = storm_once(size, "--backoff")
        row("the same with the back-off of attest-agent (full jitter)",
            "told, not judged", "%.2f s" % took, True)


def restart(tunnels=1000, seconds=105):
    """Planned restarts under fresh requests: none may be lost."""
    b = bench.Bench()
    try:
        config = b.relay_config(tunnels)
        relay = b.start_relay(config)
        agents = b.agents(tunnels)
        add(agents, tunnels)
        load = b.start([bench.DRIVER, "load", "--to", "127.0.0.1:%d" %
                        b.internal, "--token", bench.TOKEN, "--fresh",
                        "--rate", 200, "--connections", 400, "--count",
                        tunnels, "--seconds", seconds])
        restarts = 0
        deadline = time.monotonic() + seconds - 10
        while time.monotonic() < deadline:
            time.sleep(5)
            newer = b.start_relay(config, "--takeover")
            relay.child.wait(60)
            b.end(relay)
            relay = newer
            restarts += 1
        got = load.event()
        lost = got["lost"] + got["refused"] + got["wrong"]
        row("%d restarts by take-over, %d tunnels, 200 fresh requests a "
            "second" % (restarts, tunnels), "0 lost of 20,000 or more",
            "%d lost of %d" % (lost, got["ok"] + lost),
            lost == 0 and got["ok"] >= 190 * seconds)
    finally:
        b.close()


def owner(tunnels=500):
    """Owners whose old tunnels hang return and have their UUIDs at once."""
    b = bench.Bench()
    try:
        b.start_relay(b.relay_config(tunnels, PINGS_OFF))
        old = b.agents(tunnels)
        add(old, tunnels)
        old.child.send_signal(signal.SIGSTOP)
        new = b.agents(tunnels, "--ping", "--most", 1, "--check",
                       "127.0.0.1:%d" % b.internal)
        got = add(new, tunnels)
        old.child.send_signal(signal.SIGCONT)
        # A ping is a round trip without work; a claim must not wait for
        # anything beside its own.
        row("CLAIM to CLAIMED of a returning owner, its old tunnel hanging",
            "one round trip (a ping and at most 0.2 ms)",
            "%d us, a ping %d us" % (got["claim_p50_us"], got["ping_p50_us"]),
            got["claim_p50_us"] <= got["ping_p50_us"] + 200)
        row("requests that went to the old tunnel", "0", got["refused"],
            got["refused"] == 0)
    finally:
        b.close()


def beside(b, noise, reps, *flags, plain=None):
    """A load's p99 alone, and beside another load to the relay, by turns.
    Against it counts what it is when that load goes to the server ${plain}, so
    that only the machine is shared; without one, alone once more.  The lower
    quartile of short runs counts, as what else the machine and its host do can
    only add."""
    p99 = {"alone": [], "against": [], "relay": []}
    ports = {"relay": b.internal, "against": plain}
    for rep in range(reps):
        turn = list(p99)
        for what in turn[rep % 3:] + turn[:rep % 3]:
            port = ports.get(what)
            if port:
                other = b.start([bench.DRIVER, "load", "--to", "127.0.0.1:%d" %
                                 port, "--token", bench.TOKEN, *noise])
                time.sleep(0.3)
            p99[what].append(b.load(b.internal, *flags)["p99_us"])
            if port:
                b.end(other)
    return p99


def judge_beside(what, target, p99):
    """A row of it: a tenth more at most."""
    low = {key: sorted(runs)[len(runs) // 4] for key, runs in p99.items()}
    row(what, target, "%d us, against %d us: %+.0f %% (alone %d us; medians "
        "%s us)" % (
            low["relay"], low["against"],
            100 * (low["relay"] / low["against"] - 1), low["alone"],
            ", ".join("%d" % median(p99[key])
                      for key in ("relay", "against", "alone"))),
        low["relay"] <= 1.1 * low["against"])


def stuck(reps=21):
    """One stream that never ends beside others on its tunnel."""
    b = bench.Bench()
    try:
        b.start_relay(b.relay_config(1, PINGS_OFF))
        add(b.agents(1, "--stuck"), 1)
        judge_beside(
            "p99 beside a stuck stream, of 2,000 requests a second",
            "<= 10 % more", beside(
                b, ["--action", "validate", "--seconds", 60], reps,
                "--rate", 2000, "--connections", 64, "--seconds", 1))
    finally:
        b.close()


def neighbours(reps=21, quota=20):
    """A tenant that asks for 100 times its quota, and one that does not."""
    b = bench.Bench()
    try:
        b.start_relay(b.relay_config(2, PINGS_OFF, (
            "requests: %d" % quota, "requests: 0")))
        add(b.agents(2), 2)
        noise = ["--rate", 100 * quota, "--connections", 16]
        got = b.load(b.internal, *noise, "--seconds", 3)
        asked = (got["ok"] + got["refused"]) / got["seconds"]
        judge_beside(
            "p99 of 500 requests a second beside another tenant that may "
            "make %d, and makes %.0f, with %.0f answered; against one that "
            "asks a plain server" % (quota, asked, got["rps"]),
            "< 10 % more", beside(
                b, [*noise, "--seconds", 60], reps, "--first", 1, "--rate",
                500, "--connections", 16, "--seconds", 1,
                plain=b.backend(tls=True)))
    finally:
        b.close()


def overload(admitted=500):
    """Ten times the requests that a tenant may make, and ten times the hosts
    that keep the processors busy."""
    b = bench.Bench()
    try:
        limits = dict(bench.AGENT_LIMITS)
        bench.AGENT_LIMITS["tenant-requests"] = admitted
        b.start_relay(b.relay_config(1, PINGS_OFF))
        bench.AGENT_LIMITS = limits
        add(b.agents(1), 1)
        # A tenant may save up a second's requests, which must be spent first.
        steady = ["--warm-ms", 3000, "--seconds", 5]
        best = b.load(b.internal, "--connections", 16, "--rate",
                      2 * admitted, *steady)["rps"]
        over = b.load(b.internal, "--connections", 256, "--rate",
                      10 * admitted, *steady)
        row("goodput at 10 times the admitted rate (%d/s), against twice" %
            admitted, ">= 90 % of the peak",
            "%.0f/s of %.0f/s, %.0f %%; %d refused with %d" % (
                over["rps"], best, 100 * over["rps"] / best, over["refused"],
                over["status"]),
            0.9 * best <= over["rps"] <= 1.1 * admitted)
    finally:
        b.close()
    saturated("kept connections")
    saturated("fresh connections", "--fresh")


def saturated(what, *flags, hosts=16, reps=5):
    """As many hosts as keep all processors busy, and ten times as many; and
    what haproxy makes of them, which shares the machine's caches and our
    driver."""
    b = bench.Bench()
    try:
        b.start_relay(b.relay_config(1, PINGS_OFF))
        add(b.agents(1), 1)
        ports = {"relay": b.internal, "haproxy": b.haproxy(b.backend())[0]}
        got = {(name, n): [] for name in ports for n in (hosts, 10 * hosts)}
        for _ in range(reps):
            for (name, n), runs in got.items():
                runs.append(b.load(ports[name], "--connections", n, *flags,
                                   "--warm-ms", 1000, "--seconds", 3))
        rps = {key: median([run["rps"] for run in runs])
               for key, runs in got.items()}
        failed = sum(run["lost"] + run["refused"] + run["wrong"]
                     for run in got["relay", 10 * hosts])
        few, many = rps["relay", hosts], rps["relay", 10 * hosts]
        row("goodput of %d hosts on %s, against %d that saturate the machine" %
            (10 * hosts, what, hosts), ">= 90 % of the peak",
            "%.0f/s of %.0f/s, %.0f %% (haproxy %.0f %%); %d failed" % (
                many, few, 100 * many / few, 100 * rps[
                    "haproxy", 10 * hosts] / rps["haproxy", hosts], failed),
            many >= 0.9 * few and failed == 0)
    finally:
        b.close()


def launch():
    """What a whole launch costs the agent, against OpenSSL's own speed."""
    here = os.path.dirname(os.path.abspath(__file__))
    done = subprocess.run(
        [sys.executable, os.path.join(here, "launches.py"), "16", "50"],
        check=True, capture_output=True, text=True).stdout
    ratio = float(re.search(r"agent : two derivations \| ([\d.]+)",
                            done).group(1))
    row("agent's processor time of a launch against two P-384 derivations of "
        "openssl speed", "<= 1.3", "%.2f" % ratio, ratio <= 1.3)


MODES = {"idle": idle, "certificates": certificates, "storm": storm,
         "restart": restart, "owner": owner, "stuck": stuck,
         "neighbours": neighbours, "overload": overload, "launch": launch}


def main():
    mode = sys.argv[1] if len(sys.argv) > 1 else "all"
    if mode != "all" and mode not in MODES:
        sys.exit(__doc__ + "\nModes: " + ", ".join(MODES))
    print("| what | target | figure | |\n| --- | --- | --- | --- |")
    if mode == "all" and "--quick" in sys.argv:
        idle(3000)
        certificates(3000)
        storm(1000)
        restart(seconds=30)
        owner()
        stuck(3)
        neighbours(3)
        overload()
    elif mode == "all":
        for run in MODES.values():
            run()
    else:
        MODES[mode](*[int(n) for n in sys.argv[2:3]])


if __name__ == "__main__":
    main()
