# The agent at its edges: certificates, proxies, command line.
integration_test(agent_dial agent_dial.py)
integration_test(agent_api agent_api.py)
integration_test(agent_register agent_register.py)
integration_test(agent_blocklist agent_blocklist.py)
integration_test(agent_keyserver agent_keyserver.py)
integration_test(agent_tunnel agent_tunnel.py)
integration_test(agent_relays agent_relays.py)
integration_test(agent_direct agent_direct.py)
