# What the headers' comments mean, told to Doxygen: a comment behind a declaration documents it, one of several variables
# all of them, and a doc comment holds for the overloads that follow it directly.
/^ *\/\/\/ / {
  text = $0
  sub(/^ *\/\/\/ /, "", text)
  doc = continued ? doc " " text : text
  continued = 1
  name = ""
  print
  next
}
{
  code = $0
  behind = ""
  if (match($0, /([;,)}]|\).*{) +\/\/ /)) {
    behind = substr($0, RSTART + RLENGTH)
    code = substr($0, 1, RSTART + RLENGTH - 4)
    sub(/ +$/, "", code)
  }
  if (code ~ /^ *$/) doc = ""

  # type a = 1, b = 2;
  if (code ~ /^ +[a-zA-Z0-9_:<> ]+ [a-z0-9_]+( = [^,;()]+)?(, [a-z0-9_]+( = [^,;()]+)?)+;$/) {
    holds = behind != "" ? behind : doc
    match(code, / [a-z0-9_]+( = [^,;()]+)?,/)
    type = substr(code, 1, RSTART)
    count = split(substr(code, RSTART + 1, length(code) - RSTART - 1), variables, ", ")
    for (i = 1; i <= count; ++i) {
      if (holds != "" && (i > 1 || behind != "")) printf "/** %s */ ", holds
      printf "%s%s; ", type, variables[i]
    }
    print ""
  } else if (behind != "") {
    print code ~ /{$/ ? "/** " behind " */ " code : code "  ///< " behind
  } else {
    called = match(code, /[a-zA-Z0-9_]+\(/) ? substr(code, RSTART, RLENGTH) : ""
    if (called != "" && called == name && doc != "" && !continued) printf "/** %s */ ", doc
    if (called != "" && name == "") name = called
    print
  }
  if (code ~ /{$/) doc = ""  # what is inside has its own
  if (code !~ /^ *template </) continued = 0
}
