"""launch_faults behind a kernel's NAT that forgets its mappings, changes its
outer address and drops packets; needs root and network namespaces."""

import unittest

import fault_nat
import launch_faults


@unittest.skipUnless(fault_nat.possible(), "needs root, namespaces")
class NatFaults(launch_faults.Faults):
    lab = fault_nat.NatLab
    fixed = 7


if __name__ == "__main__":
    unittest.main(verbosity=2)
