# SEV: Debian's virt-qemu-sev-validate checks us, and we check it.
add_executable(sev_verbs sev/verbs.c)
target_link_libraries(sev_verbs PRIVATE agent_cli_sev)
