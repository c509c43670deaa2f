# Warnings, sanitizers and link options that hold for every target.
add_compile_options(-Wall -Wextra -Wpedantic -Wshadow -Wnon-virtual-dtor -Woverloaded-virtual -Wimplicit-fallthrough
                    -Wno-gnu-zero-variadic-macro-arguments -fno-omit-frame-pointer -ffunction-sections -fdata-sections)
add_compile_definitions(_FILE_OFFSET_BITS=64 FMT_USE_CONSTEVAL=0)
if(CMAKE_BUILD_TYPE STREQUAL "Debug" OR JOULERY_SANITIZE)
  add_compile_definitions(_GLIBCXX_ASSERTIONS)
endif()
add_link_options(-fuse-ld=lld -Wl,--gc-sections -Wl,--as-needed -Wl,-O1)
if(JOULERY_SANITIZE)
  add_compile_options(-fsanitize=${JOULERY_SANITIZE} -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${JOULERY_SANITIZE})
else()
  # Every relocation that is resolved inside the library is one less at start-up.
  add_link_options(-Wl,-Bsymbolic-functions)
  # Tables of OpenSSL alone have 20,000 addresses that every start would mend one by one.
  add_link_options(-Wl,-z,pack-relative-relocs)
endif()
if(JOULERY_FUZZ)
  add_compile_options(-fsanitize=fuzzer-no-link)
endif()
if(JOULERY_COVERAGE)
  add_compile_options(--coverage -fprofile-update=atomic)
  add_link_options(--coverage)
endif()
