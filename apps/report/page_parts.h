// The style and the script of index.html.
#pragma once

namespace orthoread {

// Light and dark use the same hues, a little lighter in the dark. gnuplot's black becomes the colour of the text.
inline constexpr const char* kPageStyle = R"css(
:root {
  color-scheme: light dark;
  --ink: #1a1a1a; --soft: #595959; --line: #d0d0d0; --paper: #ffffff; --panel: #f5f6f8; --link: #0b57d0;
  --s0: #d55e00; --s1: #0072b2; --s2: #009e73; --s3: #aa4499; --s4: #3a9bd9; --s5: #b87800; --s6: #666666;
}
@media (prefers-color-scheme: dark) {
  :root {
    --ink: #e8e8e8; --soft: #b0b0b0; --line: #444; --paper: #16181c; --panel: #20242a; --link: #8ab4f8;
    --s0: #ff9d57; --s1: #5cb3f0; --s2: #3fd1a2; --s3: #e38fd2; --s4: #9ad7ff; --s5: #f2c14e; --s6: #b5b5b5;
  }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink); font: 16px/1.5 system-ui, sans-serif; }
main, header, footer { max-width: 76rem; margin: 0 auto; padding: 0 1.25rem; }
header { padding-top: 1.5rem; }
h1 { font-size: 1.6rem; line-height: 1.2; margin: 0 0 .75rem; }
h2 { font-size: 1.2rem; margin: 2.25rem 0 .5rem; overflow-wrap: anywhere; }
h3 { font-size: 1rem; margin: 0 0 .25rem; }
.answer { border-left: 4px solid var(--link); background: var(--panel); padding: .75rem 1rem; }
.answer p { margin: .25rem 0; }
.answer p:first-child { font-size: 1.2rem; font-weight: 600; }
.soft, figcaption, .how { color: var(--soft); font-size: .875rem; }
.missing { border: 1px solid var(--line); padding: .5rem 1rem; margin-top: 1rem; overflow-wrap: anywhere; }
.plots { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 27rem), 1fr)); gap: 1.5rem 2rem; }
figure { margin: 0; min-width: 0; max-width: 40rem; }
figure svg { display: block; width: 100%; height: auto; }
nav a { margin-right: 1rem; }
a { color: var(--link); }
.table { overflow-x: auto; border: 1px solid var(--line); }
.table:focus-visible { outline: 2px solid var(--link); }
table { border-collapse: collapse; width: 100%; font-size: .875rem; font-variant-numeric: tabular-nums; }
th, td { padding: .35rem .6rem; text-align: right; white-space: nowrap; border-bottom: 1px solid var(--line); }
th.word, td.word { text-align: left; }
thead th { background: var(--panel); vertical-align: bottom; white-space: normal; min-width: 4.5rem; }
tbody tr:last-child td { border-bottom: 0; }
th button { all: unset; cursor: pointer; font-weight: 600; }
th button:focus-visible { outline: 2px solid var(--link); }
th[aria-sort=ascending] button::after { content: " \25B2"; }
th[aria-sort=descending] button::after { content: " \25BC"; }
td.marked { font-weight: 700; }
summary { cursor: pointer; }
details > ul { margin: .25rem 0; }
footer { padding: 2rem 1.25rem; }
svg .s0 { stroke: var(--s0); } svg .s1 { stroke: var(--s1); } svg .s2 { stroke: var(--s2); } svg .s3 { stroke: var(--s3); }
svg .s4 { stroke: var(--s4); } svg .s5 { stroke: var(--s5); } svg .s6 { stroke: var(--s6); } svg .grid { stroke: var(--line); }
svg .f0 { fill: var(--s0); } svg .f1 { fill: var(--s1); } svg .f2 { fill: var(--s2); } svg .f3 { fill: var(--s3); }
svg .f4 { fill: var(--s4); } svg .f5 { fill: var(--s5); } svg .f6 { fill: var(--s6); }
@media (max-width: 30rem) {
  main, header { padding-left: 1rem; padding-right: 1rem; }
  .answer p:first-child { font-size: 1.05rem; }
}
@media print {
  :root { --ink: #000; --soft: #333; --line: #ccc; --paper: #fff; --panel: #fff; --link: #000;
    --s0: #d55e00; --s1: #0072b2; --s2: #009e73; --s3: #aa4499; --s4: #3a9bd9; --s5: #b87800; --s6: #666666; }
  body, figcaption, .how { font-size: 9pt; }
  nav { display: none; }
  .plots { grid-template-columns: 1fr 1fr; }
  figure, tr { break-inside: avoid; }
  h2, h3 { break-after: avoid; }
  .table { overflow: visible; border: 0; }
  table { font-size: 7pt; }
  th, td { padding: .15rem .25rem; white-space: normal; }
  thead th { min-width: 0; }
}
)css";

// Sorts a table by a column: numbers before words, dashes last. Opens all folded parts before printing.
inline constexpr const char* kPageScript = R"js(
for (const button of document.querySelectorAll("th button")) {
  button.addEventListener("click", () => {
    const head = button.parentElement, body = head.closest("table").tBodies[0];
    const down = head.getAttribute("aria-sort") === "ascending";
    for (const other of head.parentElement.children) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", down ? "descending" : "ascending");
    const key = row => {
      const cell = row.cells[head.cellIndex];
      return cell.dataset.v === undefined ? cell.textContent : Number(cell.dataset.v);
    };
    const compare = (a, b) => {
      const x = key(a), y = key(b), dashes = (x === "–") - (y === "–");
      if (dashes) return dashes;
      const order = typeof x === "number" && typeof y === "number"
        ? x - y : String(x).localeCompare(String(y), "en", {numeric: true});
      return down ? -order : order;
    };
    body.append(...[...body.rows].sort(compare));
  });
}
addEventListener("beforeprint", () => { for (const part of document.querySelectorAll("details")) part.open = true; });
)js";

}  // namespace orthoread
