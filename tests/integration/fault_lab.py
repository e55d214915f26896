"""A relay, an agent behind a NAT, compute hosts, and what goes wrong with
each of them."""

import collections
import json
import os
import re
import shutil
import signal
import sqlite3
import threading
import time

import fault_history
import fault_host
import fault_net
import fault_plan
import harness
from agent_parts import part

FREE = 6  # VMs without a limit
# Seconds of silence on a tunnel before a ping, and for its answer: as short as
# this machine can keep up with now, judged by the registration of a VM.
PING_LEAST, PING_MOST = 0.3, 1.2
PINGS = 8  # registrations in one
NET_KILLS = 1  # then the agent's parent waits a second, and longer each time
DIALS = 4  # then the agent does
# What no program says that was only killed, paused and cut off.
WRONG = re.compile(r"ERROR: AddressSanitizer|runtime error:|[Aa]ssertion|"
                   r"vault died of signal (?!9\b)")
# It holds no secret, is started again and loses nothing: that is counted.
NET_DIED = re.compile(r"net died of signal (?!9\b)")
RELAY = """timeouts:
  ping: %(ping)dms
  drain: 3s
limits:
  held-per-source: 1000
admin:
  socket: %(run)s/admin.sock
takeover:
  socket: %(run)s/takeover.sock
"""


class Events:
    """What has happened in a schedule, for faults to wait for."""

    def __init__(self):
        self.more = threading.Condition()
        self.counts = collections.Counter()
        self.over = False

    def happen(self, name):
        with self.more:
            self.counts[name] += 1
            self.more.notify_all()

    def wait(self, name, count):
        """For the one behind so many; False: there was none."""
        with self.more:
            self.more.wait_for(
                lambda: self.over or self.counts[name] > count)
            return self.counts[name] > count

    def end(self):
        with self.more:
            self.over = True
            self.more.notify_all()


def send(number, pids):
    """A signal to those that are still there."""
    for pid in pids:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            pass


class FaultLab(harness.Lab):
    """One owner whose agent reaches the relay through `nat`; hosts reach it
    through `host_net`."""

    test = "launch_faults"
    kinds = fault_plan.KINDS

    def __init__(self, limits=()):
        super().__init__()
        self.make_nets()
        self.machines = fault_host.Machines()
        self.tls = fault_host.context(self.ca.cert)
        self.history = fault_history.History()
        self.events = Events()
        self.figures = collections.Counter()
        self.figures_lock = threading.Lock()
        self.relay_lock = threading.Lock()
        self.agent_lock = threading.Lock()
        self.leaving = []  # relays that drain, and are to end by themselves
        self.net_kills = self.dials = 0
        self.vms = {}
        self.owner = self.agent()
        began = time.monotonic()
        self.free = [self.new_vm() for _ in range(FREE)]
        self.ping = min(PING_MOST, max(PING_LEAST, PINGS * (
            time.monotonic() - began) / FREE))
        self.death = 3 * self.ping  # both ends know of a dead tunnel by then
        self.limited = collections.defaultdict(list)
        for limit in limits:
            self.limited[limit].append(self.new_vm(limit))
        # A relay started as root is nobody when it makes its sockets anew.
        os.mkdir(self.path("run"))
        if os.geteuid() == 0:
            shutil.chown(self.path("run"), "nobody")
        self.config = self.write_config()
        self.run_relay(self.config)
        self.owner.start()

    def make_nets(self):
        self.nat = fault_net.Middlebox()
        self.host_net = fault_net.Middlebox()

    def write_config(self):
        return self.relay_config(
            {"acme": (self.owner, list(self.vms))},
            RELAY % {"ping": 1000 * self.ping, "run": self.path("run")})

    def new_vm(self, limit=0):
        secret = harness.new_passphrase()
        args = ("--max-instances", str(limit)) if limit else ()
        vm = self.owner.add("web%d" % len(self.vms), secret, *args)
        self.vms[vm] = fault_history.Vm(secret, limit)
        return vm

    def count(self, what, by=1):
        with self.figures_lock:
            self.figures[what] += by

    def run_relay(self, config, *args, **kwargs):
        relay = super().run_relay(config, *args, **kwargs)
        self.route()
        return relay

    def route(self):
        """The relay's ports are new ones each time; the middleboxes' stay."""
        self.nat.target = (self.public, self.relay_public)
        self.host_net.target = (self.internal, self.relay_internal)
        self.relay_public = self.nat.port

    def written(self):
        """Lines of the owner's log that are on the disk now, as another
        process sees them; -1: the store is being recovered."""
        path = os.path.join(self.owner.state, "agent.db")
        try:
            db = sqlite3.connect("file:%s?mode=ro" % path, uri=True,
                                 timeout=0)
            try:
                return db.execute("SELECT max(seq) FROM audit").fetchone()[0]
            finally:
                db.close()
        except sqlite3.Error:
            return -1

    # -- faults of the agent ----------------------------------------------

    def parts(self):
        """Process ids by name, of those that run."""
        found = {"keeper": self.owner.process.child.pid}
        for name in ("vault", "net"):
            try:
                found[name] = part(self.owner, "part-" + name)
            except (AssertionError, OSError):
                pass
        return found

    def start_agent(self):
        self.net_kills = self.dials = 0
        self.owner.start(ready=False)

    def kill_parts(self, *names):
        """kill -9, all of them before any could tell another."""
        send(signal.SIGKILL, [pid for name, pid in self.parts().items()
                              if name in names])

    def kill_agent(self, *names):
        self.kill_parts(*names)
        self.owner.process.wait()
        self.start_agent()

    def agent_kill(self, fault):
        self.kill_agent("keeper", "vault", "net")

    def keeper_kill(self, fault):
        self.kill_agent("keeper")

    def vault_kill(self, fault):
        if "vault" not in self.parts():
            return self.kill_agent("keeper")
        return self.kill_agent("vault")

    def net_kill(self, fault):
        self.net_kills += 1
        self.kill_parts("net")

    def agent_stop(self, fault):
        process = self.owner.process
        self.ended_well(process, self.owner.stop())
        self.start_agent()

    def agent_kill_again(self, fault):
        """... while it starts."""
        self.kill_agent("keeper", "vault", "net")
        time.sleep(fault.length / 10)
        self.kill_agent("keeper", "vault", "net")

    @staticmethod
    def pause(pids, fault):
        send(signal.SIGSTOP, pids)
        time.sleep(0.02 + fault.length / 5)
        send(signal.SIGCONT, pids)

    def pause_part(self, name, fault):
        self.pause([pid for found, pid in self.parts().items()
                    if found == name], fault)

    def vault_pause(self, fault):
        self.pause_part("vault", fault)

    def net_pause(self, fault):
        self.pause_part("net", fault)

    # -- faults of the relay ----------------------------------------------

    def relay_kill(self, fault):
        self.relay.kill()
        self.run_relay(self.config)

    def relay_drain(self, fault):
        old = self.relay
        mark = old.mark()
        old.child.send_signal(signal.SIGTERM)
        old.wait_line("draining", mark)
        self.leaving.append(old)
        self.run_relay(self.config)

    def relay_takeover(self, fault):
        self.leaving.append(self.relay)
        self.run_relay(self.config, "--takeover").wait_line(
            "taken over: hosts are accepted")

    def relay_takeover_dies(self, fault):
        """The new one, at some point; the old one may have left by then."""
        old = self.relay
        mark = old.mark()
        new = self.run_relay(self.config, "--takeover")
        time.sleep(fault.length / 20)
        new.kill()
        self.relay = old  # the ports have been the same
        found = old.wait_line("who took over is gone: serving on|draining",
                              mark)
        if "draining" in found.group(0):
            self.leaving.append(old)
            self.run_relay(self.config)

    def relay_pause(self, fault):
        self.pause([self.relay.child.pid], fault)

    # -- faults of the networks -------------------------------------------

    def net_fault(self, net, what, fault):
        if what == "hold":
            net.hold(0.05 + fault.length * self.death / 4)
        elif what == "late":
            net.hold(self.death + fault.length * self.death / 2)
        elif what == "slow":
            net.slow(0.001 + fault.length / 40)
        elif what == "cut":
            net.cut(fault.way, fault.size, fault.act)
        else:
            getattr(net, what.replace("-", "_"))()

    def inject(self, fault):
        """When its event has come."""
        if not self.events.wait(fault.event, fault.count):
            self.count("not reached")
            return
        time.sleep(fault.delay)  # between the event and the next, by the plan
        if fault.kind.startswith("host-net-"):
            self.net_fault(self.host_net, fault.kind[9:], fault)
        elif fault.kind.startswith("nat-"):
            self.net_fault(self.nat, fault.kind[4:], fault)
        else:
            lock = self.relay_lock if fault.kind.startswith("relay-") \
                else self.agent_lock
            with lock:
                getattr(self, fault.kind.replace("-", "_"))(fault)
        self.count("fault " + fault.kind)

    # -- a schedule -------------------------------------------------------

    def settle(self):
        """After a schedule: what waits long by design is made anew."""
        for old in self.leaving:
            self.ended_well(old, old.wait())
        self.leaving.clear()
        self.nat.bury()
        self.host_net.bury()
        self.dials += self.dialled()
        if self.net_kills >= NET_KILLS or self.dials > DIALS:
            self.agent_stop(None)
            self.count("agent restarted")

    @staticmethod
    def ended_well(process, status):
        """SIGTERM before its handler stands ends it, too."""
        if status not in (0, -signal.SIGTERM):
            raise AssertionError("%s ended with status %d; it said:\n%s" % (
                process.name, status, process.output()[-3000:]))

    def end(self):
        """Everything in order, with nothing wrong said on the way."""
        owner = self.owner.process
        self.ended_well(owner, self.owner.stop())
        self.ended_well(self.relay, self.relay.stop())
        for name in ("relay.log", "owner.log"):
            with open(self.path(name), encoding="utf-8",
                      errors="replace") as log:
                lines = list(log)
            self.count("net crashed", sum(
                bool(NET_DIED.search(line)) for line in lines))
            wrong = [line for line in lines if WRONG.search(line)]
            if wrong:
                raise AssertionError(name + ": " + "".join(wrong[:20]))

    def dialled(self):
        """How often the agent did, since it was asked last."""
        connections = self.nat.counts.pop("connections", 0)
        self.count("tunnels", connections)
        return connections

    def evidence(self):
        """Of the agent, which has ended."""
        def lines(*args):
            return [json.loads(line) for line in self.owner.cli(
                *args, "--json").stdout.splitlines()]
        log = lines("log", "show")
        self.owner.cli("log", "verify")
        receipts = []
        for one in lines("receipts", "list"):
            vm, session = (re.search(r"^%s: (\S+)$" % name, one["statement"],
                                     re.M)[1] for name in ("vm", "session"))
            receipts.append((vm, session))
        for vm, facts in self.vms.items():
            facts.shown = json.loads(self.owner.cli(
                "vm", "show", vm, "--json").stdout)["released"]
        return fault_history.Evidence(log, receipts, self.vms)

    def close(self):
        self.nat.close()
        self.host_net.close()
        self.machines.close()
        for old in self.leaving:
            old.kill()
        super().close()
