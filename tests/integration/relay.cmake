# The relay alone, between hosts and agents that Python plays.
foreach(part http tunnel streams slow move config ops restart succession hostile access
    metrics admin)
  integration_test(relay_${part} relay_${part}.py)
endforeach()
integration_test(relay_cluster relay_cluster.py)
# systemd's own opinion of the units.
integration_test(deploy_systemd deploy_systemd.py)
integration_test(cluster_chaos cluster_chaos.py)
