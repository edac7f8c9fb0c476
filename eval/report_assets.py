"""The style sheet and the script of the HTML report."""

__all__ = ["COLOURS", "SCRIPT", "STYLE"]

COLOURS = (
    "#2f6fde",
    "#d9622b",
    "#2b9a66",
    "#8d4fc4",
    "#b8860b",
    "#c2334d",
    "#0f8b8d",
    "#777777",
)
"""One colour per run. They are reused cyclically."""

STYLE = """
:root { color-scheme: light dark; --ink: #1c1f24; --soft: #667; --rule: #d9dce1; --back: #fff;
  --card: #f6f7f9; }
@media (prefers-color-scheme: dark) { :root { --ink: #e7e9ec; --soft: #9aa3ad; --rule: #3a4048;
  --back: #16191d; --card: #1f2329; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 28px 24px 60px; max-width: 1180px; background: var(--back);
  color: var(--ink); font: 15px/1.5 system-ui, sans-serif; }
h1 { font-size: 26px; margin: 0 0 4px; }
h2 { font-size: 19px; margin: 40px 0 10px; padding-top: 14px; border-top: 1px solid var(--rule); }
h3 { font-size: 15px; margin: 18px 0 4px; }
p, figcaption { color: var(--soft); margin: 4px 0 10px; max-width: 76ch; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: 5px 12px; text-align: right; border-bottom: 1px solid var(--rule);
  white-space: nowrap; }
th { color: var(--soft); font-weight: 600; }
th:first-child, td:first-child { text-align: left; padding-left: 2px; }
td.best { font-weight: 700; }
.run { display: inline-block; width: 11px; height: 11px; border-radius: 3px; margin-right: 7px; }
.legend span.name { margin-right: 20px; }
.pair { display: grid; grid-template-columns: 1fr 1fr; gap: 14px; }
.plot { background: var(--card); border-radius: 8px; padding: 6px 8px 2px; position: relative; }
.plot svg { display: block; width: 100%; height: auto; }
.plot text { fill: var(--soft); font: 10px system-ui, sans-serif; }
.plot .grid { stroke: var(--rule); stroke-width: 1; }
.plot .half { stroke-dasharray: 3 3; }
.plot polyline { fill: none; stroke-width: 1.8; stroke-linejoin: round; }
.plot .cursor { stroke: var(--soft); visibility: hidden; }
.tip { position: absolute; top: 6px; padding: 3px 8px; border-radius: 5px; font-size: 12px;
  background: var(--back); border: 1px solid var(--rule); pointer-events: none; display: none;
  white-space: pre; z-index: 2; }
.frames { display: grid; gap: 10px; margin: 8px 0 22px; }
.frames figure { margin: 0; }
.frames img { width: 100%; display: block; border-radius: 6px; }
.frames figcaption { margin: 2px 0 0; font-size: 13px; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: 2px 18px; margin: 0; }
dt { color: var(--soft); } dd { margin: 0; overflow-wrap: anywhere; }
@media (max-width: 760px) { .pair { grid-template-columns: 1fr; } }
"""

SCRIPT = """
const data = JSON.parse(document.getElementById("series").textContent);
for (const plot of document.querySelectorAll(".plot")) {
  const { frames, runs } = data[Number(plot.dataset.series)];
  const svg = plot.querySelector("svg"), cursor = plot.querySelector(".cursor");
  const tip = plot.querySelector(".tip"), box = svg.viewBox.baseVal;
  const left = Number(svg.dataset.left), right = Number(svg.dataset.right);
  svg.addEventListener("mousemove", (event) => {
    const view = svg.getBoundingClientRect();
    const x = ((event.clientX - view.left) / view.width) * box.width;
    const last = Math.max(frames.length - 1, 1);
    const at = Math.round(((x - left) / (right - left)) * last);
    const index = Math.min(Math.max(at, 0), frames.length - 1);
    const spot = left + ((right - left) * index) / last;
    cursor.setAttribute("x1", spot); cursor.setAttribute("x2", spot);
    cursor.style.visibility = "visible";
    tip.textContent = frames[index] + runs.map(([name, values]) =>
      "\\n" + name + "  " + (values[index] == null ? "not scored" : values[index].toFixed(3))
    ).join("");
    tip.style.display = "block";
    const half = event.clientX - view.left > view.width / 2;
    tip.style.left = half ? "" : event.clientX - view.left + 24 + "px";
    tip.style.right = half ? view.right - event.clientX + 24 + "px" : "";
  });
  svg.addEventListener("mouseleave", () => {
    cursor.style.visibility = "hidden"; tip.style.display = "none";
  });
}
"""
