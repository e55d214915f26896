# The whole: relay, agent and compute host with its secure processor.
foreach(part first crash chaos faults rules load nat)
  integration_test(launch_${part} launch_${part}.py)
endforeach()
# 12,800 launches with the sanitizers on, and alone, so that nothing else
# starves.
set_tests_properties(integration.launch_load PROPERTIES
  TIMEOUT 900 RUN_SERIAL ON)
# What judges launch_faults, given histories that are wrong.
integration_test(fault_checker fault_checker.py)
