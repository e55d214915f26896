# One place for compiler flags.  Warnings are errors in every preset.
add_compile_definitions(_GNU_SOURCE ATTEST_VERSION="${PROJECT_VERSION}"
  OPENSSL_API_COMPAT=30000 OPENSSL_NO_DEPRECATED)
add_compile_options(-Wall -Wextra -Werror -Wshadow -Wstrict-prototypes
  -Wmissing-prototypes -Wpointer-arith -Wcast-qual -Wwrite-strings -Wvla
  -Wformat=2 -Wundef -Wno-missing-field-initializers
  -fno-common -fstack-protector-strong)
if(CMAKE_C_COMPILER_ID STREQUAL "GNU")
  add_compile_options(-Wlogical-op -Wduplicated-cond -fstack-clash-protection
    -fcf-protection)
endif()
add_link_options(-Wl,-z,relro -Wl,-z,now)

if(ATTEST_SANITIZE)
  add_compile_options(-fsanitize=address,undefined -fno-sanitize-recover=all
    -fno-omit-frame-pointer -O1 -g)
  add_link_options(-fsanitize=address,undefined)
  if(ATTEST_FUZZ)
    add_compile_options(-fsanitize=fuzzer-no-link)
    add_link_options(-fsanitize=fuzzer-no-link)
  endif()
else()
  add_compile_definitions($<$<CONFIG:Release>:_FORTIFY_SOURCE=2>)
  set(CMAKE_C_FLAGS_RELEASE "-O2 -g1")
endif()

# Programs in whose path it counts see all of their own code at once: spans and
# readers are calls of a few instructions each, thousands for a request.  The
# objects hold ordinary code as well, by which everything else is linked.
if(CMAKE_C_COMPILER_ID STREQUAL "GNU" AND CMAKE_BUILD_TYPE STREQUAL "Release")
  set(ATTEST_WHOLE_PROGRAM ON)
  add_link_options($<IF:$<BOOL:$<TARGET_PROPERTY:ATTEST_WHOLE>>,-flto=auto,-fno-lto>)
endif()
function(whole_program program)
  if(ATTEST_WHOLE_PROGRAM)
    set_target_properties(${program} PROPERTIES ATTEST_WHOLE ON)
    foreach(target ${program} ${ARGN})
      target_compile_options(${target} PRIVATE -flto -ffat-lto-objects)
    endforeach()
  endif()
endfunction()
