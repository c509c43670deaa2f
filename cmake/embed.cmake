# joulery_embed(OUTPUT variable SYMBOL cpu_tdp FILE data/cpu_tdp.csv): an assembler file that holds FILE's bytes between
# the symbols joulery_embedded_<SYMBOL>_begin and _end, so that a table needs no file at run time and no parsing at start.
function(joulery_embed)
  cmake_parse_arguments(EMBED "" "OUTPUT;SYMBOL;FILE" "" ${ARGN})
  get_filename_component(file ${EMBED_FILE} ABSOLUTE BASE_DIR ${PROJECT_SOURCE_DIR})
  set(assembly ${CMAKE_CURRENT_BINARY_DIR}/embedded_${EMBED_SYMBOL}.S)
  set(symbol joulery_embedded_${EMBED_SYMBOL})
  # Hidden: each library that embeds a table reads its own, without a relocation.
  file(CONFIGURE OUTPUT ${assembly} CONTENT
".section .rodata.@symbol@, \"a\"
.balign 16
.global @symbol@_begin
.hidden @symbol@_begin
@symbol@_begin:
.incbin \"@file@\"
.global @symbol@_end
.hidden @symbol@_end
@symbol@_end:
.byte 0
.section .note.GNU-stack, \"\", %progbits
" @ONLY)
  set_source_files_properties(${assembly} PROPERTIES OBJECT_DEPENDS ${file} LANGUAGE ASM
                              COMPILE_OPTIONS "-Wno-unused-command-line-argument")
  set(${EMBED_OUTPUT} ${assembly} PARENT_SCOPE)
endfunction()
