"use strict";
const every = 2000, keep = 150; // milliseconds; samples of a sparkline: five minutes
const $ = id => document.getElementById(id);
const NS = "http://www.w3.org/2000/svg";

function el(tag, attrs, ...children) {
  const e = tag.startsWith("svg:") ? document.createElementNS(NS, tag.slice(4)) : document.createElement(tag);
  for (const k in attrs) e.setAttribute(k, attrs[k]);
  e.append(...children);
  return e;
}
function fill(id, ...children) { $(id).replaceChildren(...children); }

const sum = m => Object.values(m).reduce((a, b) => a + b, 0);
const number = n => Math.round(n).toLocaleString("en");
function rate(n) { return n >= 100 ? number(n) : n >= 10 ? n.toFixed(1) : n.toFixed(n > 0 && n < 1 ? 2 : 1); }
function bytes(n) {
  let u = 0;
  while (n >= 1024 && u < 4) { n /= 1024; u++; }
  return (u === 0 ? Math.round(n) : n.toFixed(1)) + " " + ["B", "KiB", "MiB", "GiB", "TiB"][u];
}
function span(s) {
  if (s < 1) return "under a second";
  for (const [unit, n] of [["d", 86400], ["h", 3600], ["min", 60]])
    if (s >= n) { const rest = Math.floor(s % n / (n === 86400 ? 3600 : n === 3600 ? 60 : 1)); return Math.floor(s / n) + " " + unit + (rest ? " " + rest + " " + ({d: "h", h: "min", min: "s"})[unit] : ""); }
  return Math.floor(s) + " s";
}
function ago(text, now) { return text ? span(Math.max(0, (now - Date.parse(text)) / 1000)) + " ago" : "never"; }

let before = null;
const history = {};

// per second, between the last two overviews; a counter that fell means that the
// node was restarted.
function perSecond(now, was) { return before && now >= was ? (now - was) / ((Date.parse(current.taken) - Date.parse(before.taken)) / 1000) : 0; }
let current = null;

function tile(name, value, note, sample) {
  const line = history[name] = (history[name] || []);
  if (before || sample !== null) line.push(sample || 0);
  if (line.length > keep) line.shift();
  const top = Math.max(...line, 1e-9);
  const points = line.map((v, i) => (100 * (i + keep - line.length) / (keep - 1)).toFixed(2) + "," + (25 - 24 * v / top).toFixed(2)).join(" ");
  return el("section", {}, el("span", {class: "soft"}, name), el("b", {}, value), el("span", {class: "soft"}, note),
    el("svg:svg", {viewBox: "0 0 100 26", preserveAspectRatio: "none", "aria-hidden": "true"}, el("svg:polyline", {class: "spark", points})));
}

function head(o) {
  const s = o.status, well = s.state === "ready";
  $("dot").className = "dot " + (well ? "good" : "bad");
  const isolated = s.isolated_since && "ISOLATED since " + new Date(s.isolated_since).toLocaleTimeString() + ", for " +
    span(Math.max(0, (Date.parse(o.taken) - Date.parse(s.isolated_since)) / 1000)) + ": no peer answers";
  $("headline").style.color = well ? "" : "var(--bad)";
  $("headline").textContent = isolated || (!well ? "The node is " + s.state : (s.serving ? "Serving " : "Client mode, ") + o.identity.protocol);
  $("peer").textContent = s.peer_id || "Open this page by IP address to see the peer ID and addresses.";
  $("count-addrs").textContent = o.identity.addrs.length + (o.identity.addrs.length === 1 ? " address" : " addresses");
  fill("addrs", ...o.identity.addrs.map(a => el("div", {}, a)));
  $("about").textContent = o.identity.agent + " · up " + span(s.uptime_seconds) + " · reachability " + s.reachability;
  document.title = (well ? "" : isolated ? "ISOLATED " : "! ") + "Holdfast " + s.peer_id.slice(-6);
}

function tiles(o) {
  const t = o.traffic, b = before && before.traffic, s = o.status;
  const rIn = b ? perSecond(sum(t.in), sum(b.in)) : 0, rOut = b ? perSecond(sum(t.out), sum(b.out)) : 0;
  const got = b ? perSecond(t.received, b.received) : 0, sent = b ? perSecond(t.sent, b.sent) : 0;
  const lookups = x => Object.values(x.lookups).reduce((a, l) => a + l.done, 0);
  const rLook = b ? perSecond(lookups(t), lookups(b)) : 0;
  fill("tiles",
    tile("Requests in", rate(rIn) + "/s", number(sum(t.in)) + " in total", rIn),
    tile("Requests out", rate(rOut) + "/s", number(t.out_failed) + " failed", rOut),
    tile("Bytes in", bytes(got) + "/s", bytes(sent) + "/s out", got),
    tile("Lookups", rate(rLook) + "/s", s.queries + " running", rLook),
    tile("Connected", number(s.connected_peers), s.verified_peers + " of " + s.table_peers + " in table alive", s.connected_peers),
    tile("Provider records", number(s.provider_records), number(s.value_records) + " values", s.provider_records));
}

function buckets(o) {
  if (!o.buckets.length) { fill("buckets", el("p", {class: "soft"}, "Empty: no peer has answered yet.")); return; }
  fill("buckets", ...o.buckets.map(b => {
    const cells = el("div", {class: "cells", role: "img", "aria-label": b.peers + " of " + b.room});
    for (let i = 0; i < b.room; i++) cells.append(el("i", {class: i < b.verified ? "v" : i < b.peers ? "u" : ""}));
    return el("div", {class: "bucket"}, el("span", {}, String(b.cpl)), cells, el("span", {}, b.peers + "/" + b.room));
  }));
}

// ring draws the keyspace clockwise from the top. The length of a sector is its share
// of the keys, its opacity shows how recently they were republished.
function ring(o) {
  const svg = el("svg:svg", {class: "ring", viewBox: "-110 -110 220 220", role: "img", "aria-label": "published keys around the keyspace"});
  const n = o.ring.length, most = Math.max(1, ...o.ring.map(s => s.keys));
  const keys = sum(o.ring.map(s => s.keys));
  const arc = (i, r1, r2, attrs) => {
    const gap = 0.012, a = 2 * Math.PI * i / n + gap, b = 2 * Math.PI * (i + 1) / n - gap;
    const at = (r, x) => (r * Math.sin(x)).toFixed(2) + " " + (-r * Math.cos(x)).toFixed(2);
    attrs.d = `M${at(r1, a)}A${r1} ${r1} 0 0 1 ${at(r1, b)}L${at(r2, b)}A${r2} ${r2} 0 0 0 ${at(r2, a)}Z`;
    return el("svg:path", attrs);
  };
  o.ring.forEach((s, i) => {
    svg.append(arc(i, 62, 66, {style: "fill:var(--empty)"}));
    if (!s.keys) return;
    const out = 70 + 36 * s.keys / most;
    const mark = arc(i, 68, out, {style: s.overdue ? "fill:var(--bad)" : s.active ? "fill:var(--second)" : "fill:var(--main);opacity:" + (0.2 + 0.8 * s.left).toFixed(2)});
    mark.append(el("svg:title", {}, s.keys + " keys, " + s.overdue + " overdue, " + s.active + " in progress, " + Math.round(100 * s.left) + " % of the interval left"));
    svg.append(mark);
  });
  svg.append(el("svg:text", {y: 0}, number(o.republish.keys)), el("svg:text", {class: "small", y: 16}, keys ? "published keys" : "nothing is published"));
  if (o.republish.overdue_keys) svg.append(el("svg:text", {class: "small", y: 32, style: "fill:var(--bad)"}, number(o.republish.overdue_keys) + " overdue"));
  fill("ring", svg);
  const swatch = (style, text) => el("span", {}, el("i", {style}), text);
  fill("ring-note", swatch("background:var(--main)", "just republished"), swatch("background:var(--main);opacity:.25", "nearly due"),
    swatch("background:var(--second)", "in progress"), swatch("background:var(--bad)", "overdue"), el("span", {}, "the interval is " + span(o.republish.cycle_seconds)));
}

function requests(o) {
  const t = o.traffic, b = before && before.traffic;
  const row = (kind) => el("tr", {}, el("td", {}, kind),
    el("td", {}, b ? rate(perSecond(t.in[kind] || 0, b.in[kind] || 0)) : "–"), el("td", {}, number(t.in[kind] || 0)),
    el("td", {}, b ? rate(perSecond(t.out[kind] || 0, b.out[kind] || 0)) : "–"), el("td", {}, number(t.out[kind] || 0)));
  fill("requests", el("tr", {}, ...["", "in /s", "in total", "out /s", "out total"].map(x => el("th", {}, x))),
    ...["FIND_NODE", "GET_PROVIDERS", "ADD_PROVIDER", "GET_VALUE", "PUT_VALUE", "PING"].map(row),
    el("tr", {}, el("td", {class: "soft"}, "refused / failed"), el("td", {}), el("td", {}, number(t.rejected)), el("td", {}), el("td", {}, number(t.out_failed))));
}

function facts(o) {
  const s = o.status, now = Date.parse(o.taken);
  const rows = [
    ["Provider records", number(s.provider_records)], ["Values", number(s.value_records)], ["Database", bytes(s.db_bytes) + ", " + Math.round(100 * s.db_fill) + " % full"],
    ["Disk", (s.disk_full_since ? "FULL, noticed " + ago(s.disk_full_since, now) + ", " : "") + (s.disk_total_bytes ? bytes(s.disk_free_bytes) + " of " + bytes(s.disk_total_bytes) + " free" : "unknown")],
    ["Refused by quotas", number(Object.values(s.refused || {}).reduce((sum, n) => sum + n, 0))],
    ["Network size", s.network_size ? "about " + number(s.network_size) : "unknown"], ["Restored at start", number(s.restored_peers) + " peers"],
    ["Last snapshot", ago(s.last_snapshot, now)], ["Last expiry", ago(s.last_expiry, now)],
    ["Last refresh", ago(s.last_refresh, now)], ["Last republish", ago(s.last_republish, now)],
    ["Next republish", o.republish.next_due ? "in " + span(Math.max(0, (Date.parse(o.republish.next_due) - now) / 1000)) : "none due"],
  ];
  fill("facts", ...rows.flatMap(([k, v]) => [el("dt", {}, k), el("dd", {}, v)]));
}

function lookups(o) {
  const names = {find_value: "Find a value", find_providers: "Find providers", find_peer: "Find a peer", find_closest: "Find the closest", store_value: "Store a value", store_provider: "Announce content", refresh: "Refresh a bucket", correct: "Correct a value"};
  fill("lookups", el("tr", {}, ...["", "running", "done", "failed", "mean time"].map(x => el("th", {}, x))),
    ...Object.keys(names).map(k => {
      const l = o.traffic.lookups[k] || {running: 0, done: 0, failed: 0, took_ms: 0};
      const mean = l.done ? l.took_ms / l.done : 0;
      return el("tr", {}, el("td", {}, names[k]), el("td", {}, number(l.running)), el("td", {}, number(l.done)), el("td", {}, number(l.failed)),
        el("td", {}, l.done ? (mean < 1000 ? (mean < 1 ? "<1" : Math.round(mean)) + " ms" : (mean / 1000).toFixed(1) + " s") : "–"));
    }));
}

async function update() {
  try {
    const r = await fetch("status.json", {cache: "no-store"});
    if (!r.ok) throw new Error((await r.text()).trim() || r.status);
    const o = await r.json();
    if (current && o.taken === current.taken) return;
    before = current;
    current = o;
    head(o); tiles(o); buckets(o); ring(o); requests(o); facts(o); lookups(o);
    $("alarm").style.display = "none";
    document.body.dataset.updates = 1 + Number(document.body.dataset.updates || 0);
  } catch (e) {
    $("alarm").textContent = "The node does not answer (" + e.message + ")" + (current ? "; the data below is from " + new Date(current.taken).toLocaleTimeString() : "");
    $("alarm").style.display = "block";
    $("dot").className = "dot bad";
  }
}

async function run() {
  if (!document.hidden) await update();
  setTimeout(run, every);
}
run();
