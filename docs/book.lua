-- Turns the pages of docs/ into one document: links between pages become links inside it, and every source file that a
-- page links to is printed at the end, from the file that is compiled. Headings of a page begin with its file's name, as
-- `dev book` puts it there.

local sources = {} -- base name -> path from the root
local order = {}

local function base(target) return target:gsub("#.*", ""):match("([^/]+)$") or target end

local function readable(path)
  local file = io.open(path)
  if not file then return nil end
  local text = file:read("a")
  file:close()
  return text
end

-- A link's target, without the steps up: "../../core/real.h" is core/real.h, and "real.h" stays.
local function from_root(target) return (target:gsub("^%.%./", ""):gsub("^%.%./", "")) end

local function link(l)
  local target = l.target
  if target:match("^%a+:") or target:match("^#") then return nil end
  local name = base(target)
  if name:match("%.md$") or target:match("/$") then
    if target:match("tour/README%.md$") or target == "README.md" then name = "tour" end
    l.target = target:match("#.+$") or "#" .. name
    return l
  end
  local path = from_root(target)
  if readable(path) then
    if not sources[path] then table.insert(order, path) end
    sources[path] = true
    l.target = "#" .. path:gsub("/", "-")
    return l
  end
  return l.content -- a file that the book does not have
end

-- The letter ᵀ as a T that is raised: some bold fonts have another letter in its place.
local function transposed(s)
  local parts, rest = pandoc.List(), s.text
  for before in rest:gmatch("(.-)ᵀ") do
    if before ~= "" then parts:insert(pandoc.Str(before)) end
    parts:insert(pandoc.Superscript({ pandoc.Str("T") }))
    rest = rest:sub(#before + #"ᵀ" + 1)
  end
  if #parts == 0 then return nil end
  if rest ~= "" then parts:insert(pandoc.Str(rest)) end
  return parts
end

function Pandoc(doc)
  doc = doc:walk({ Link = link, Str = transposed })
  if #order > 0 then
    doc.blocks:insert(pandoc.Header(1, "Source files", pandoc.Attr("source-files")))
    doc.blocks:insert(pandoc.Para("Those that the pages refer to, as they are compiled."))
    table.sort(order)
  end
  for _, path in ipairs(order) do
    local language = path:match("%.gp$") and "gnuplot" or "cpp"
    doc.blocks:insert(pandoc.Header(2, { pandoc.Code(path) }, pandoc.Attr((path:gsub("/", "-")))))
    doc.blocks:insert(pandoc.CodeBlock(readable(path), pandoc.Attr("", { language })))
  end
  return doc
end
