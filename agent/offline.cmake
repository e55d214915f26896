# The offline verbs: chain, digest, verify and ovmf.  agent/main.c calls them.
add_library(agent_cli_sev STATIC
  cli/chain_print.c cli/cli_chain.c cli/cli_digest.c cli/cli_ovmf.c
  cli/cli_verify.c cli/offline_chain.c cli/offline_file.c
  cli/offline_launch.c cli/offline_report.c)
target_link_libraries(agent_cli_sev PUBLIC sev common_base PkgConfig::JANSSON)
