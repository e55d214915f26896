# The whole: relay, agent and compute host with its secure processor.
foreach(part first crash rules load nat)
  integration_test(launch_${part} launch_${part}.py)
endforeach()
