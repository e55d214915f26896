# The whole: relay, agent and compute host with its secure processor.
foreach(part first crash chaos faults rules load nat)
  integration_test(launch_${part} launch_${part}.py)
endforeach()
# 12,800 launches with the sanitizers on, and alone, so that nothing else
# starves.
set_tests_properties(integration.launch_load PROPERTIES
  TIMEOUT 900 RUN_SERIAL ON)
integration_test(launch_faults_nat launch_faults_nat.py)
# Each schedule has a patience of its own; SCHEDULES=2000 takes a while.
set_tests_properties(integration.launch_faults integration.launch_faults_nat
  PROPERTIES TIMEOUT 7200)
# What judges them, given histories that are wrong.
integration_test(fault_checker fault_checker.py)
