"""The report's style sheet: readable, printable, light and dark, nothing fetched."""

CSS = """
:root { color-scheme: light dark;
  --ground: #fbfaf8; --paper: #ffffff; --ink: #1d2430; --soft: #5f6b7a; --rule: #e4e1db;
  --video: #c2410c; --reference: #1d4ed8; --area: #d9d4ca; --good: #15803d; --bad: #b91c1c;
  --band: #fde8d8; }
@media (prefers-color-scheme: dark) { :root {
  --ground: #14171c; --paper: #1c2027; --ink: #e8e6e1; --soft: #9aa5b4; --rule: #323843;
  --video: #fb923c; --reference: #7cb0ff; --area: #39404c; --good: #4ade80; --bad: #f87171;
  --band: #46301f; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--ground); color: var(--ink);
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; }
main { max-width: 1060px; margin: 0 auto; padding: 40px 24px 64px; }
h1 { font-size: 30px; line-height: 1.2; margin: 0 0 4px; letter-spacing: -0.01em; }
h2 { font-size: 19px; margin: 44px 0 4px; }
p { margin: 4px 0 12px; max-width: 72ch; }
.soft, .lead { color: var(--soft); }
.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(150px, 1fr)); gap: 12px;
  margin: 24px 0 8px; }
.card { background: var(--paper); border: 1px solid var(--rule); border-radius: 10px;
  padding: 12px 16px; }
.card b { display: block; font-size: 26px; font-weight: 650; letter-spacing: -0.01em; }
.card span { color: var(--soft); font-size: 13px; }
.card small { font-size: 14px; font-weight: 400; color: var(--soft); }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; background: var(--paper);
  border: 1px solid var(--rule); border-radius: 10px; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: 9px 14px; border-top: 1px solid var(--rule);
  vertical-align: top; }
thead th { border-top: 0; color: var(--soft); font-size: 13px; font-weight: 500; }
tbody th { font-weight: 600; white-space: nowrap; }
td.figure { white-space: nowrap; }
td .what { display: block; color: var(--soft); font-size: 13px; max-width: 52ch; }
.better { color: var(--good); } .worse { color: var(--bad); }
.strip { display: grid; grid-template-columns: auto; gap: 4px; }
.row { display: grid; grid-auto-flow: column; grid-auto-columns: minmax(84px, 1fr); gap: 4px; }
.row figure { margin: 0; } .row img { width: 100%; display: block; border-radius: 4px; }
.row figcaption { font-size: 12px; color: var(--soft); text-align: center; padding: 2px 0 4px; }
.side { font-size: 13px; color: var(--soft); margin: 8px 0 2px; }
.side::before, .key::before { content: ""; display: inline-block; width: 14px; height: 3px;
  border-radius: 2px; margin-right: 6px; vertical-align: middle; background: currentColor; }
.side.video::before, .key.video::before { background: var(--video); }
.side.reference::before, .key.reference::before { background: var(--reference); }
.key.area::before { background: var(--area); height: 10px; }
.legend { font-size: 13px; color: var(--soft); margin: 8px 0 2px; }
.key { margin-right: 18px; }
.chart { width: 100%; height: auto; background: var(--paper); border: 1px solid var(--rule);
  border-radius: 10px; display: block; }
.grid { stroke: var(--rule); stroke-width: 1; }
.tick { fill: var(--soft); font-size: 12px; }
.line { fill: none; stroke-width: 1.8; stroke-linejoin: round; }
.line.video { stroke: var(--video); } .line.reference { stroke: var(--reference); }
.grid.mark { stroke: var(--soft); stroke-dasharray: 3 4; } .spot { fill: var(--video); }
.tick.name { fill: var(--ink); }
.face { display: block; max-width: 100%; border-radius: 10px; background: #000; }
.area { fill: var(--area); opacity: 0.75; } .band { fill: var(--band); }
.bars td.bar { width: 60%; vertical-align: middle; }
.bars td.bar span { display: block; height: 10px; border-radius: 5px; background: var(--reference);
  min-width: 2px; opacity: 0.8; }
footer { margin-top: 48px; color: var(--soft); font-size: 13px; }
@media print { main { max-width: none; padding: 0; } h2 { break-after: avoid; } }
"""
