"""Our relay beside its peers, in the same run: what a request costs.

    speed.py [--quick] [--json FILE]

Kinds of load: closed loops over 1 to 256 connections and one tunnel; the same
over 1,000 tunnels; a TLS connection for each request; an open loop of 500
requests a second.  Each is run REPS times, peer after peer, so that whatever
else the machine does meets all of them; medians count.  Twice: with the server
pinned to one processor and everything else to the other, and with all of them
on all processors.
"""

import json
import sys

import bench

TUNNELS = 1000
KINDS = (
    # name, flags of the driver, which targets
    ("1 connection", ["--connections", 1], "all"),
    ("16 connections", ["--connections", 16], "all"),
    ("64 connections", ["--connections", 64], "all"),
    ("256 connections", ["--connections", 256], "all"),
    ("fresh TLS", ["--connections", 16, "--fresh"], "all"),
    ("500/s open loop", ["--connections", 64, "--rate", 500], "direct"),
    ("64 over 1,000 tunnels", ["--connections", 64, "--count", TUNNELS],
     "all"),
)
MODES = {"pinned": ("0", "1"), "shared": (None, None)}


class Run:
    """All targets, up, in one mode."""

    def __init__(self, mode, seconds, peers):
        self.b = bench.Bench(*MODES[mode])
        b = self.b
        relay = b.start_relay(b.relay_config(TUNNELS))
        self.agents = b.agents(TUNNELS)
        self.grow(1)
        plain = b.backend()
        self.targets = {"relay": (b.internal, [relay.pid])}
        starters = {"haproxy": b.haproxy, "nginx": b.nginx, "ssh -R": b.ssh}
        for name in peers:
            self.targets[name] = starters[name](plain)
        direct = b.backend(tls=True)
        self.direct = {"direct": (direct, [b.children[-1].pid])}
        self.seconds = seconds

    def grow(self, by):
        self.agents.say("add %d" % by)
        return self.agents.event()

    def measure(self, flags, which, reps):
        """{target: [results]}"""
        targets = dict(self.targets)
        if which == "direct":
            targets.update(self.direct)
        results = {name: [] for name in targets}
        for _ in range(reps):
            for name, (port, pids) in targets.items():
                results[name].append(self.b.load(
                    port, *flags, "--seconds", self.seconds, pids=pids))
        return results


def medians(results):
    out = {}
    for name, runs in results.items():
        out[name] = {key: bench.median([run[key] for run in runs])
                     for key in ("cpu", "rps", "p50_us", "p99_us")}
        for key in ("wrong", "refused", "lost"):
            out[name][key] = sum(run[key] for run in runs)
    return out


def row(mode, kind, name, m, haproxy):
    base = haproxy or m
    return "| %s | %s | %s | %.1f | %.2f | %.0f | %.2f | %.0f | %.0f | %d |" % (
        mode, kind, name, m["cpu"], m["cpu"] / base["cpu"], m["rps"],
        m["rps"] / base["rps"], m["p50_us"], m["p99_us"],
        m["wrong"] + m["refused"] + m["lost"])


def verdict(what, figure, most, unit="", least=False):
    reached = figure >= most if least else figure <= most
    return "| %s | %s %g%s | %.2f%s | %s |" % (
        what, ">=" if least else "<=", most, unit, figure, unit,
        "reached" if reached else "missed")


def targets(mode, all_kinds):
    """Lines of the table of targets, in one mode."""
    def ratio(kind, key):
        m = all_kinds[kind]
        return m["relay"][key] / m["haproxy"][key]

    lines = []
    for count in 16, 64, 256:
        lines.append(verdict(
            "relay's processor time a request against haproxy, %d connections,"
            " %s" % (count, mode), ratio("%d connections" % count, "cpu"), 1))
    lines.append(verdict(
        "the same over 1,000 tunnels, " + mode,
        ratio("64 over 1,000 tunnels", "cpu"), 1.3))
    lines.append(verdict(
        "requests a second against haproxy, 64 connections, " + mode,
        ratio("64 connections", "rps"), 0.7, least=True))
    lines.append(verdict(
        "relay's processor time of fresh TLS against haproxy, " + mode,
        ratio("fresh TLS", "cpu"), 0.75))
    m = all_kinds["500/s open loop"]
    for key, most in ("p50_us", 120), ("p99_us", 400):
        lines.append(verdict(
            "%s added to the direct path at 500/s, %s" % (key[:3], mode),
            m["relay"][key] - m["direct"][key], most, " us"))
    return lines


def main():
    quick = "--quick" in sys.argv
    reps, seconds = 3 if quick else 5, 1
    report, judged, raw = [], [], {}
    for mode in MODES:
        # All peers once, and the one that the targets name twice.
        more = [] if quick or mode != "pinned" else ["nginx", "ssh -R"]
        run = Run(mode, seconds, ["haproxy"] + more)
        raw[mode] = {}
        try:
            for kind, flags, which in KINDS:
                if "--count" in flags:
                    run.grow(TUNNELS - 1)
                m = medians(run.measure(flags, which, reps))
                raw[mode][kind] = m
                for name in m:
                    report.append(row(mode, kind, name, m[name],
                                      m.get("haproxy")))
                    print(report[-1], file=sys.stderr, flush=True)
        finally:
            run.b.close()
        judged += targets(mode, raw[mode])
    print("| processors | load | server | processor time a request, us | "
          "against haproxy | requests a second | against haproxy | p50, us | "
          "p99, us | not answered |")
    print("| --- " * 10 + "|")
    print("\n".join(report) + "\n")
    print("| target | want | got | |\n| --- | --- | --- | --- |")
    print("\n".join(judged))
    if "--json" in sys.argv:
        with open(sys.argv[sys.argv.index("--json") + 1], "w",
                  encoding="ascii") as out:
            json.dump(raw, out, indent=1)


if __name__ == "__main__":
    main()
