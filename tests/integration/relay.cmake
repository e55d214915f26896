# The relay alone, between hosts and agents that Python plays.
foreach(part http tunnel streams slow config)
  integration_test(relay_${part} relay_${part}.py)
endforeach()
