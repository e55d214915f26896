"""The lab of launch_faults on the hosts of deploy/netlab.sh: a kernel's NAT,
which forgets, moves to another address and drops packets."""

import collections
import itertools
import os
import secrets
import time

import fault_lab
import fault_net
import fault_plan
import harness

NETLAB = os.path.join(harness.SOURCE, "deploy", "netlab.sh")


def possible():
    return harness.run([NETLAB, "check"], ok=None).returncode == 0


class Nat:
    """What fault_net.Middlebox is elsewhere."""

    def __init__(self, net):
        self.net = net
        self.addresses = itertools.cycle(range(3, 250))

    def tell(self, verb, *args):
        harness.run([NETLAB, verb, self.net, *args])

    def forget(self):
        self.tell("forget")

    def move(self):
        self.tell("move", "198.51.100.%d" % next(self.addresses))

    def hold(self, seconds):
        """No packet passes; TCP sends them again."""
        self.tell("cut")
        time.sleep(seconds)
        self.tell("mend")

    def bury(self):
        pass

    def close(self):
        pass


class NatLab(fault_lab.FaultLab):
    test = "launch_faults_nat"
    kinds = fault_plan.REAL_KINDS
    name = harness.NetLab.name
    public, internal = harness.NetLab.public, harness.NetLab.internal
    on = harness.NetLab.on

    def __init__(self, limits=()):
        self.net = "f" + secrets.token_hex(3)
        self.ready = collections.Counter()
        harness.run([NETLAB, "up", self.net])
        try:
            super().__init__(limits)
        except BaseException:
            harness.run([NETLAB, "down", self.net])
            raise

    def make_nets(self):
        self.nat = Nat(self.net)
        self.host_net = fault_net.Middlebox(self.net + "-compute")

    def route(self):
        """Agents come straight to its port, which is to stay."""
        self.host_net.target = (self.internal, self.relay_internal)
        self.config = self.write_config()

    def dialled(self):
        process = self.owner.process
        ready = process.output().count("ready: relay")
        dialled = ready - self.ready[process]
        self.ready[process] = ready
        self.count("tunnels", dialled)
        return dialled

    def close(self):
        super().close()
        harness.run([NETLAB, "down", self.net])
