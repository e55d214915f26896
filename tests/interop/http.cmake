# HTTP: node's parser, llhttp, checks that we accept nothing it refuses.
add_executable(http_heads http/heads.c)
target_link_libraries(http_heads PRIVATE common_wire)
# By its name: where node is missing, the test fails and the build does not.
add_test(NAME interop.http_heads COMMAND node
  ${CMAKE_CURRENT_SOURCE_DIR}/http/oracle.js $<TARGET_FILE:http_heads>)
set_tests_properties(interop.http_heads PROPERTIES LABELS interop TIMEOUT 120)
