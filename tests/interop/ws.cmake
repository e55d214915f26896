# WebSocket: wslay, a codec that is not ours, on the other end of the wire.
# Debian's libwslay-dev has no pkg-config file.  Where it is missing, the test
# fails and the build does not.
find_library(WSLAY_LIBRARY wslay)
if(WSLAY_LIBRARY)
  add_executable(ws_wslay ws/wslay.c)
  target_link_libraries(ws_wslay PRIVATE common_wire ${WSLAY_LIBRARY})
  add_test(NAME interop.ws_wslay COMMAND ws_wslay)
else()
  add_test(NAME interop.ws_wslay COMMAND ${CMAKE_COMMAND} -E
    cat libwslay-dev-is-not-installed)
endif()
set_tests_properties(interop.ws_wslay PROPERTIES LABELS interop TIMEOUT 120)
