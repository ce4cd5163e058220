# cmake -DROOT=… -DVERSION=… -DOUT=… -P version.cmake: the function version() of environment.h, as a source file. Writes only
# what is new, so that nothing is compiled in vain.
cmake_policy(VERSION 3.25)
if(EXISTS ${ROOT}/.git)  # git would also find the repository of a folder above
  execute_process(COMMAND git -C ${ROOT} describe --always --exclude=* --abbrev=12 --dirty=.changed
    OUTPUT_VARIABLE commit OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
endif()
if(commit)
  string(APPEND VERSION "+${commit}")
endif()
file(CONFIGURE OUTPUT ${OUT} CONTENT "#include \"apps/environment.h\"

namespace orthoread {

std::string version() { return \"${VERSION}\"; }

}  // namespace orthoread
")
