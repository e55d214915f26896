# Every library from outside, in one place; deploy/packages.sh has the Debian
# names.  Targets below are used as PkgConfig::NAME.
find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)
pkg_check_modules(CRYPTO REQUIRED IMPORTED_TARGET libcrypto>=3.0)
pkg_check_modules(SSL REQUIRED IMPORTED_TARGET libssl>=3.0 libcrypto>=3.0)
pkg_check_modules(EVENT REQUIRED IMPORTED_TARGET libevent_core>=2.1
  libevent_pthreads>=2.1)
pkg_check_modules(YAML REQUIRED IMPORTED_TARGET yaml-0.1)
pkg_check_modules(JANSSON REQUIRED IMPORTED_TARGET jansson>=2.13)
pkg_check_modules(XML2 REQUIRED IMPORTED_TARGET libxml-2.0)
pkg_check_modules(SQLITE REQUIRED IMPORTED_TARGET sqlite3>=3.38)
pkg_check_modules(HIREDIS REQUIRED IMPORTED_TARGET hiredis>=0.14)
pkg_check_modules(LWS REQUIRED IMPORTED_TARGET libwebsockets>=4.1)
# 7.85 has CURLOPT_PROTOCOLS_STR, and curl_easy_header() since 7.84.
pkg_check_modules(SECCOMP REQUIRED IMPORTED_TARGET libseccomp>=2.5)
pkg_check_modules(CURL REQUIRED IMPORTED_TARGET libcurl>=7.85)
# 8.0 has virDomainSetLaunchSecurityState().
pkg_check_modules(LIBVIRT REQUIRED libvirt>=8.0)
if(ATTEST_TESTS)
  pkg_check_modules(CMOCKA REQUIRED IMPORTED_TARGET cmocka)
endif()
