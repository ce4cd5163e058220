# cmake -DROOT=… -DOUT=… -DHEADER=… -DNAME=… "-DFILES=ops/*.h,ops/*.cpp" -P embed.cmake: the text of files as a C++ map from
# path to text, which the header declares.
string(REPLACE "," ";" patterns "${FILES}")
list(TRANSFORM patterns PREPEND ${ROOT}/)
file(GLOB files RELATIVE ${ROOT} ${patterns})
set(text "#include \"${HEADER}\"\n\nnamespace orthoread {\n\nconst std::map<std::string, std::string> ${NAME} = {\n")
foreach(file IN LISTS files)
  file(READ ${ROOT}/${file} content)
  string(APPEND text "{\"${file}\", R\"~source~(${content})~source~\"},\n")
endforeach()
file(WRITE ${OUT} "${text}};\n\n}  // namespace orthoread\n")
