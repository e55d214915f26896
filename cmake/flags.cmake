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
