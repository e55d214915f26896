# SEV: Debian's virt-qemu-sev-validate checks us, and we check it.  Without it
# the test fails: tests/run.sh installs it.
add_executable(sev_verbs sev/verbs.c)
target_link_libraries(sev_verbs PRIVATE agent_cli_sev)
add_executable(sev_ours sev/ours.c ../known_answers/field.c)
target_link_libraries(sev_ours PRIVATE sev PkgConfig::JANSSON)
add_test(NAME interop.sev_launches COMMAND /usr/bin/python3
  ${CMAKE_CURRENT_SOURCE_DIR}/sev/launches.py $<TARGET_FILE:sev_ours>
  $<TARGET_FILE:sev_verbs> ${PROJECT_SOURCE_DIR}/tests/fixtures)
set_tests_properties(interop.sev_launches PROPERTIES LABELS interop
  TIMEOUT 120)
add_test(NAME interop.sev_verbs COMMAND /usr/bin/python3
  ${CMAKE_CURRENT_SOURCE_DIR}/sev/verbs.py ${PROJECT_SOURCE_DIR}/tests/fixtures
  $<TARGET_FILE:sev_verbs>)
set_tests_properties(interop.sev_verbs PROPERTIES LABELS interop TIMEOUT 120)
if(TARGET attest-agent)
  add_test(NAME interop.agent_verbs COMMAND /usr/bin/python3
    ${CMAKE_CURRENT_SOURCE_DIR}/sev/verbs.py
    ${PROJECT_SOURCE_DIR}/tests/fixtures $<TARGET_FILE:attest-agent>)
  set_tests_properties(interop.agent_verbs PROPERTIES LABELS interop
    TIMEOUT 120)
endif()
