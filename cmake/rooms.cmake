# One room = one folder under src/ = one target `joulery_<room>`.
#
#   joulery_room(NAME base SOURCES a.cpp HEADERS a.hpp TESTS a_test.cpp LINKS joulery_x fmt::fmt)
#
# Rooms are object libraries: libjoulery_core.so is made of the objects of those named in JOULERY_CORE_ROOMS, and
# each room's own test program links that library, so that tests run what ships.
set_property(GLOBAL PROPERTY JOULERY_CORE_ROOMS "")

function(joulery_room)
  cmake_parse_arguments(ROOM "NOT_IN_CORE" "NAME" "SOURCES;HEADERS;TESTS;LINKS;TEST_LINKS" ${ARGN})
  set(target joulery_${ROOM_NAME})
  add_library(${target} OBJECT ${ROOM_SOURCES})
  target_sources(${target} PUBLIC FILE_SET HEADERS BASE_DIRS ${PROJECT_SOURCE_DIR}/src FILES ${ROOM_HEADERS})
  target_link_libraries(${target} PUBLIC ${ROOM_LINKS})
  if(NOT ROOM_NOT_IN_CORE)
    set_property(GLOBAL APPEND PROPERTY JOULERY_CORE_ROOMS ${target})
  endif()
  if(JOULERY_TESTS AND ROOM_TESTS)
    joulery_test(NAME ${ROOM_NAME}_test SOURCES ${ROOM_TESTS} LINKS ${ROOM_LINKS} ${ROOM_TEST_LINKS})
  endif()
endfunction()

# A GoogleTest program, registered with ctest as one test per case.
function(joulery_test)
  cmake_parse_arguments(TEST "" "NAME;TIMEOUT" "SOURCES;LINKS" ${ARGN})
  if(NOT TEST_TIMEOUT)
    set(TEST_TIMEOUT 120)
  endif()
  add_executable(${TEST_NAME} ${TEST_SOURCES})
  target_include_directories(${TEST_NAME} PRIVATE ${PROJECT_SOURCE_DIR}/src)
  target_link_libraries(${TEST_NAME} PRIVATE joulery_core ${TEST_LINKS} GTest::gmock GTest::gtest_main)
  target_compile_definitions(${TEST_NAME} PRIVATE JOULERY_SOURCE_DIR="${PROJECT_SOURCE_DIR}")
  set_target_properties(${TEST_NAME} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/test_bin)
  include(GoogleTest)
  gtest_discover_tests(${TEST_NAME} PROPERTIES TIMEOUT ${TEST_TIMEOUT} DISCOVERY_TIMEOUT 60)
endfunction()
