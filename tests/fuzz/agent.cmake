# Everything of the agent that reads bytes of a host, a relay or a file.
fuzz_target(agent_request agent_request_fuzz.c agent_core)
fuzz_target(agent_register agent_register_fuzz.c agent_core)
fuzz_target(agent_record agent_record_fuzz.c agent_core)
fuzz_target(agent_control agent_control_fuzz.c agent_core)
fuzz_target(agent_move agent_move_fuzz.c agent_core)
