"""A schedule of faults, all of it decided by one seed.

What happens when is decided before anything runs; only the programs' own
timing differs from run to run.
"""

import dataclasses
import random

# Events of a schedule that a fault can follow: a host asks, is answered,
# has measured a guest, has opened a secret.
EVENTS = ("asked", "answered", "measured", "opened")

# Kind of fault: how often, among all.
KINDS = {
    # the agent: all its processes at once, or one of them
    "agent-kill": 6, "keeper-kill": 3, "vault-kill": 4, "net-kill": 3,
    "agent-stop": 2, "agent-kill-again": 3, "vault-pause": 3, "net-pause": 2,
    # the relay
    "relay-kill": 5, "relay-drain": 2, "relay-takeover": 2,
    "relay-takeover-dies": 1, "relay-pause": 2,
    # between agent and relay: the NAT
    "nat-forget": 5, "nat-reset": 3, "nat-hang-up": 2, "nat-hold": 3,
    "nat-late": 2, "nat-slow": 2, "nat-cut": 4,
    # between host and relay
    "host-net-forget": 2, "host-net-reset": 3, "host-net-hold": 2,
    "host-net-slow": 2, "host-net-cut": 3,
}

# The same where the NAT is a kernel's, and nobody sits between its packets.
REAL_NAT = {"nat-forget": 6, "nat-move": 6, "nat-hold": 4, "nat-late": 3}
REAL_KINDS = {**{kind: often for kind, often in KINDS.items()
                 if not kind.startswith("nat-")}, **REAL_NAT}

# What a host does about a request, beside sending it until it is answered.
ASKING = {"plain": 6, "twice": 2, "drop": 2, "throw-away": 2}

# Between which steps a host is killed.
DEATHS = ("asked-launch", "launched", "measured", "asked-validate",
          "answered")


@dataclasses.dataclass
class Fault:
    kind: str
    event: str  # comes behind the n-th of these ...
    count: int
    delay: float  # ... and so many seconds
    length: float  # of a pause, a hold: 0 to 1
    way: str
    size: int
    act: str


@dataclasses.dataclass
class Guest:
    """How one start goes."""
    vm: int  # which VM without a limit; -1: the one with a limit
    keyed: bool  # Idempotency-Key
    named: bool  # session-id is sent back
    fresh: bool  # a connection for each request
    launch: str  # of ASKING
    validate: str
    deaths: list  # of DEATHS, one a life
    late: list  # verbs asked again when all is done
    rogue: bool  # a second guest of the same launch blob
    wait: float  # seconds before it begins


@dataclasses.dataclass
class Plan:
    seed: int
    limit: int  # of the VM with a limit; 0: none is used
    guests: list
    faults: list
    old: int  # how many requests of earlier schedules come again


def pick(dice, weights):
    return dice.choices(list(weights), list(weights.values()))[0]


def make_guest(dice, vm):
    return Guest(
        vm=vm, keyed=dice.random() < 0.7, named=dice.random() < 0.7,
        fresh=dice.random() < 0.4, launch=pick(dice, ASKING),
        validate=pick(dice, ASKING),
        deaths=[dice.choice(DEATHS) for _ in range(
            dice.choice((0, 0, 0, 1, 1, 2)))],
        late=[verb for verb in ("launch", "validate")
              if dice.random() < 0.15],
        rogue=dice.random() < 0.06, wait=dice.uniform(0, 0.03))


def make_fault(dice, guests, kinds):
    return Fault(
        kind=pick(dice, kinds), event=dice.choice(EVENTS),
        # Every guest comes to each event, so this one is reached, but for
        # guests that a limit refuses.
        count=dice.randrange(guests),
        delay=dice.choice((0, dice.uniform(0, 0.004), dice.uniform(0, 0.03))),
        length=dice.random(), way=dice.choice(("up", "down")),
        size=dice.choice((0, dice.randrange(64), dice.randrange(8192))),
        act=dice.choice(("forget", "reset", "hang_up")))


def make(seed, vms, kinds):
    """The plan of ${seed}, over ${vms} VMs without a limit."""
    dice = random.Random(seed)
    limit = dice.choice((0, 0, 1, 2))
    guests = [make_guest(dice, dice.randrange(vms))
              for _ in range(dice.randint(2, 4))]
    # More want to start than may; a stranger's second guest would make it
    # hard to say who was refused rightly.
    for _ in range(limit + 1 if limit else 0):
        guest = make_guest(dice, -1)
        guest.rogue = False
        guests.append(guest)
    free = sum(guest.vm >= 0 for guest in guests)
    return Plan(seed, limit, guests,
                [make_fault(dice, free, kinds)
                 for _ in range(dice.randint(1, 3))],
                dice.choice((0, 0, 1, 2)))
