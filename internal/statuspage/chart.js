// The charts of the last hour. The node keeps the samples, so they are complete on the
// first load. All charts show their values at the same time: now, or the time under the
// pointer, or the time that the slider selects.

const CHARTS = [
  {name: "Requests", lines: [["in", "requests_in"], ["out", "requests_out"]], show: rate},
  {name: "Traffic", lines: [["in", "bytes_in"], ["out", "bytes_out"]], show: byteRate, binary: true},
  {name: "Refused and failed requests", lines: [["", "failures"]], show: rate},
  {name: "Lookups", lines: [["", "lookups"]], show: rate},
  {name: "Lookup time, p95", lines: [["", "p95_ms"]], show: ms},
  {name: "Peers", lines: [["connected", "connected"], ["in table, alive", "verified"]], show: count, whole: true},
  {name: "Records", lines: [["provider records", "provider_records"], ["values", "values"]], show: count, whole: true},
  {name: "Memory", lines: [["", "memory_bytes"]], show: bytes, binary: true},
  {name: "CPU, of one core", lines: [["", "cpu"]], show: percent},
];
const SHORTEST = 600; // seconds of the time axis; a younger node has a line that grows
const FEWEST = 3; // samples, below which a chart says that the node still collects them

// past is the history on the page: its values, its last point and the ends of the time axis.
const past = {series: {}, step: 30, points: 0, from: 0, begin: 0, end: 0};
const cursor = {pinned: null, hovered: null}; // times in ms; null: now

const timeOf = i => past.from + i * past.step * 1000;
const valueAt = (series, i) => { const v = list(past.series[series])[i]; return v == null ? null : v; };
const across = i => (timeOf(i) - past.begin) / (past.end - past.begin);

// nearest is the index of the sample nearest to a time; the last one for null.
function nearest(time) {
  if (time == null) return past.points - 1;
  return Math.max(0, Math.min(past.points - 1, Math.round((time - past.from) / past.step / 1000)));
}

// ceiling is the round number at the top of an axis. Half of it is round too.
function ceiling(most, chart) {
  if (!(most > 0)) return chart.binary ? 1024 : chart.whole ? 2 : 1;
  if (chart.binary) return 2 ** Math.ceil(Math.log2(most));
  const unit = 10 ** Math.floor(Math.log10(most)), steps = chart.whole ? [2, 4, 6, 10] : [1, 2, 5, 10];
  return unit * steps.find(n => most <= n * unit * 1.0001);
}

function tick(v, chart) {
  if (chart.binary) return bytes(v);
  return chart.show === ms ? ms(v) : chart.show === percent ? compact.format(100 * v) + " %" : compact.format(v);
}

function makeChart(chart) {
  const parts = chart.parts = {
    reads: chart.lines.map(() => el("b", {})), paths: chart.lines.map((_, n) => el("svg:path", {class: "l" + n})),
    fill: el("svg:path", {class: "fill"}), cross: el("svg:path", {class: "cross"}), dots: chart.lines.map((_, n) => el("i", {class: "l" + n})),
    points: chart.lines.map((_, n) => el("svg:path", {class: "p" + n})),
    ticks: [0, 1, 2].map(() => el("span", {})), ends: [el("span", {}), el("span", {})], when: el("b", {}), empty: el("p", {}),
  };
  const key = n => el("svg:svg", {viewBox: "0 0 16 8", "aria-hidden": "true"}, el("svg:path", {class: "l" + n, d: "M0 4H16"}));
  const plot = el("svg:svg", {viewBox: "0 0 1000 100", preserveAspectRatio: "none", "aria-hidden": "true"},
    el("svg:path", {class: "grid", d: "M0 0H1000M0 50H1000M0 100H1000"}), parts.fill, ...parts.paths.slice().reverse(), ...parts.points, parts.cross);
  parts.area = el("div", {class: "area", role: "img"}, plot, parts.empty, ...parts.dots);
  parts.area.addEventListener("pointermove", e => point(e, parts.area));
  parts.area.addEventListener("pointerdown", e => point(e, parts.area));
  parts.area.addEventListener("pointerleave", () => { cursor.hovered = null; showValues(); });
  const read = chart.lines.map(([name], n) => text("", chart.lines.length > 1 && key(n), name, name && " ", parts.reads[n]));
  return el("div", {class: "chart"}, el("div", {class: "top"}, el("h3", {}, chart.name), el("p", {class: "read"}, ...read)),
    el("div", {class: "plot"}, parts.area, el("div", {class: "ys", "aria-hidden": "true"}, ...parts.ticks),
      el("div", {class: "xs", "aria-hidden": "true"}, ...parts.ends, parts.when)));
}

function point(event, area) {
  if (!past.points) return;
  const box = area.getBoundingClientRect();
  cursor.hovered = past.begin + (event.clientX - box.left) / box.width * (past.end - past.begin);
  showValues();
}

// runs returns the points of a series in pieces, with a gap where the node has no value.
function runs(series, top) {
  const pieces = [];
  for (let i = 0, open = false; i < past.points; i++) {
    const v = valueAt(series, i);
    if (v != null && !open) pieces.push([]);
    if (v != null) pieces[pieces.length - 1].push((1000 * across(i)).toFixed(1) + " " + (100 - 100 * v / top).toFixed(2));
    open = v != null;
  }
  return pieces;
}
const line = pieces => pieces.filter(p => p.length > 1).map(p => "M" + p.join("L")).join("");
const single = pieces => pieces.filter(p => p.length === 1).map(p => "M" + p[0] + "h.01").join(""); // a dot
const under = pieces => pieces.filter(p => p.length > 1).map(p => "M" + p.join("L") + "V100H" + p[0].split(" ")[0] + "Z").join("");

function drawChart(chart) {
  const {parts} = chart, all = chart.lines.map(([, series]) => list(past.series[series]).filter(v => v != null));
  const top = ceiling(Math.max(0, ...all.flat()), chart);
  chart.lines.forEach(([, series], n) => {
    parts.paths[n].setAttribute("d", line(runs(series, top)));
    parts.points[n].setAttribute("d", single(runs(series, top)));
  });
  parts.fill.setAttribute("d", under(runs(chart.lines[0][1], top)));
  [top, top / 2, 0].forEach((v, n) => { parts.ticks[n].textContent = !all.flat().length ? "" : v ? tick(v, chart) : "0"; });
  parts.ends[0].textContent = past.points ? minutes.format(past.begin) : "";
  parts.ends[1].textContent = past.points ? minutes.format(past.end) : "";
  parts.empty.textContent = past.points < FEWEST ? "Collecting" : all.flat().length ? "" : "Nothing measured";
  const told = chart.lines.map(([name, series], n) => (name ? name + " " : "") + (all[n].length ?
    `${chart.show(valueAt(series, past.points - 1))} now, between ${chart.show(Math.min(...all[n]))} and ${chart.show(Math.max(...all[n]))}` : "no value"));
  parts.area.setAttribute("aria-label", `${chart.name} in the last hour: ${told.join("; ")}`);
  chart.top = top;
}

// showValues shows the values of all charts at the cursor.
function showValues() {
  const time = cursor.hovered ?? cursor.pinned, i = nearest(time), x = past.points ? across(i) : 0, told = [];
  for (const chart of CHARTS) {
    const {parts} = chart, still = time == null || !past.points;
    parts.cross.setAttribute("d", still ? "" : `M${(1000 * x).toFixed(1)} 0V100`);
    parts.when.textContent = still ? "" : minutes.format(timeOf(i));
    parts.when.hidden = still;
    parts.when.style.left = `clamp(22px, ${(100 * x).toFixed(2)}%, calc(100% - 22px))`;
    chart.lines.forEach(([name, series], n) => {
      const v = past.points ? valueAt(series, i) : null;
      parts.reads[n].textContent = chart.show(v);
      parts.dots[n].hidden = still || v == null;
      if (v != null) { parts.dots[n].style.left = (100 * x).toFixed(2) + "%"; parts.dots[n].style.top = (100 - 100 * v / chart.top).toFixed(2) + "%"; }
      told.push(`${chart.name} ${name} ${chart.show(v)}`);
    });
  }
  const when = !past.points || time == null ? "now" : seconds.format(timeOf(i));
  $("at-time").textContent = when;
  $("at").value = past.points < 2 ? $("at").max : nearest(cursor.pinned);
  $("at").setAttribute("aria-valuetext", when + ": " + told.join(", "));
}

function historyTable() {
  if (!$("history-as-table").open) return;
  const lines = CHARTS.flatMap(c => c.lines.map(([name, series]) => ({title: c.name + (name ? ", " + name : ""), series, show: c.show})));
  const row = i => el("tr", {}, el("th", {scope: "row"}, seconds.format(timeOf(i))), ...lines.map(l => el("td", {}, l.show(valueAt(l.series, i)))));
  const order = Array.from({length: past.points}, (_, i) => past.points - 1 - i);
  fill("history", el("caption", {class: "unseen"}, `Samples of the last hour, one every ${past.step} s, newest first`),
    el("thead", {}, el("tr", {}, el("th", {scope: "col"}, "Time"), ...lines.map(l => el("th", {scope: "col"}, l.title)))), el("tbody", {}, ...order.map(row)));
}

function charts(o) {
  const h = o.history || {};
  past.series = h.series || {};
  past.step = h.step_seconds || 30;
  past.points = Math.max(0, ...Object.values(past.series).map(s => list(s).length));
  past.from = Date.parse(h.from) || Date.parse(o.taken) || 0;
  past.end = timeOf(Math.max(0, past.points - 1));
  past.begin = Math.min(past.from, past.end - SHORTEST * 1000);
  if (cursor.pinned != null && cursor.pinned < past.from) cursor.pinned = null;
  $("at").max = Math.max(1, past.points - 1);
  $("at").disabled = past.points < 2;
  CHARTS.forEach(drawChart);
  showValues();
  historyTable();
}

fill("charts", ...CHARTS.map(makeChart));
$("history-as-table").addEventListener("toggle", historyTable);
$("at").addEventListener("input", () => {
  const i = Number($("at").value);
  cursor.pinned = i >= past.points - 1 ? null : timeOf(i);
  showValues();
});
$("at").addEventListener("keydown", e => { if (e.key === "Escape") { cursor.pinned = null; showValues(); } });
