# What is shipped, where the sanitizers' build cannot stand for it: which system
# calls it makes, and what is left in its memory.
if(ATTEST_SANITIZE)
  set(release ${CMAKE_BINARY_DIR}/release)
  add_test(NAME release.programs
    COMMAND sh -c "${CMAKE_COMMAND} --preset release -B '${release}' &&
      ${CMAKE_COMMAND} --build '${release}' --target \
        attest-agent attest-relay psp compute-host"
    WORKING_DIRECTORY ${PROJECT_SOURCE_DIR})
  set_tests_properties(release.programs PROPERTIES
    LABELS integration TIMEOUT 900 FIXTURES_SETUP release)
  integration_test_in(${release} release_parts agent_parts.py)
  set_tests_properties(integration.release_parts PROPERTIES
    FIXTURES_REQUIRED release)
endif()
