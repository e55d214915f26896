"""A cluster of relays (docs/protocol.md 16): requests reach their agent by one
hop, whatever relay it is at."""

import unittest

import harness
from cluster_case import ClusterCase


class Hop(ClusterCase):
    def test_one_hop(self):
        a, b, c = self.relays
        self.run_agent(self.url(a), args=("--allow-no-binding",))
        self.ready_at(self.owner.process, a)
        for relay in a, b, c:
            self.launch_by(relay)
        self.launch_split(b, c)


if __name__ == "__main__":
    unittest.main(verbosity=2)
