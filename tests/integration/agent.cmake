# The agent at its edges: certificates, proxies, command line.
integration_test(agent_dial agent_dial.py)
