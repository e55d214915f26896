"""Launches a second, and processor time of each party, beside OpenSSL's own.

Processor time is read from the kernel's accounts of each process, so that it
says the same on a busy machine; the rate does not.
"""

import json
import os
import re
import statistics
import subprocess
import sys

sys.path.insert(0, os.path.join(os.environ["SOURCE_DIR"], "tests",
                                "integration"))
import bench  # noqa: E402
import harness  # noqa: E402

RUNS = 3


def parts(pid):
    """A program's processes: the agent is three."""
    return [pid] + bench.children_of(pid)


def cpu_us(pid):
    return sum(bench.cpu_us(part) for part in parts(pid))


def pss_kb(pid):
    """Memory: what is shared among processes counts once."""
    total = 0
    for part in parts(pid):
        with open("/proc/%d/smaps_rollup" % part, encoding="ascii") as maps:
            total += int(re.search(r"Pss:\s+(\d+)", maps.read()).group(1))
    return total


def derivation_us():
    """One P-384 derivation by the openssl program, in this very run."""
    done = subprocess.run(
        ["openssl", "speed", "-seconds", "2", "-mr", "ecdhp384"],
        capture_output=True, text=True, check=True)
    return float(re.search(r"\+F5:\d+:384:[\d.]+:([\d.]+)",
                           done.stdout).group(1)) * 1e6


def measure(hosts, each):
    lab = harness.Lab()
    try:
        owner = lab.agent()
        lines = []
        for i in range(hosts):
            secret = harness.new_passphrase()
            lines.append(owner.add("web%d" % i, secret) + " " + secret)
        lab.start_relay({"acme": (owner, [line.split()[0] for line in lines])},
                        "log:\n  access: no\n")
        owner.start()
        # The first launches fill the agent's cache of chains.
        path = lab.file("vms", "\n".join(lines) + "\n")
        flags = [*lab.reach(), "--uuid-file", path, "--platform",
                 harness.PLATFORM, "--firmware", harness.FIRMWARE, "--chain",
                 "signed", "--hosts", str(hosts), "--json"]
        lab.host("launch", *flags, "--launches", "1", timeout=600)
        pids = {"relay": lab.relay.child.pid, "agent": owner.process.child.pid}
        before = {name: cpu_us(pid) for name, pid in pids.items()}
        done = lab.host("launch", *flags, "--launches", str(each),
                        timeout=600)
        result = json.loads(done.stdout.strip().splitlines()[-1])
        for name, pid in pids.items():
            result[name] = (cpu_us(pid) - before[name]) / result["ok"]
            result[name + "-pss"] = pss_kb(pid)
        return result
    finally:
        lab.close()


def main():
    hosts = int(sys.argv[1]) if len(sys.argv) > 1 else 16
    each = int(sys.argv[2]) if len(sys.argv) > 2 else 100
    runs = [measure(hosts, each) for _ in range(RUNS)]
    ecdh = derivation_us()

    def median(name):
        return statistics.median(run[name] for run in runs)

    rows = [
        ("hosts x launches", "%d x %d, %d runs, medians" % (hosts, each,
                                                            RUNS)),
        ("launches a second", "%.0f" % median("launches-per-s")),
        ("latency of a launch, p50", "%.0f ms" % statistics.median(
            run["latency-ms"]["p50"] for run in runs)),
        ("lost, mixed up", "%d, %d" % (sum(run["lost"] for run in runs),
                                       sum(run["mixed-up"] for run in runs))),
        ("relay, processor time a launch (2 requests)",
         "%.0f us" % median("relay")),
        ("agent, processor time a launch", "%.0f us" % median("agent")),
        ("one P-384 derivation by openssl speed", "%.0f us" % ecdh),
        ("agent : two derivations", "%.2f" % (median("agent") / (2 * ecdh))),
        ("relay, memory (PSS)", "%.0f KB" % median("relay-pss")),
        ("agent, memory (PSS), all processes",
         "%.0f KB" % median("agent-pss")),
    ]
    for name, value in rows:
        print("| %s | %s |" % (name, value))


if __name__ == "__main__":
    main()
