# The offline verbs: chain, digest, verify and ovmf.  agent/main.c calls them.
add_library(agent_cli_sev STATIC
  chain_print.c cli_chain.c cli_digest.c cli_ovmf.c cli_verify.c
  offline_chain.c offline_file.c offline_launch.c offline_report.c)
target_link_libraries(agent_cli_sev PUBLIC sev common_base PkgConfig::JANSSON)
