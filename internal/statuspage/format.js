"use strict";
// Elements and texts. What the node says becomes text nodes and attributes, never markup.

const $ = id => document.getElementById(id);

function el(tag, attrs, ...children) {
  const e = tag.startsWith("svg:") ? document.createElementNS("http://www.w3.org/2000/svg", tag.slice(4)) : document.createElement(tag);
  for (const k in attrs) e.setAttribute(k, attrs[k]);
  e.append(...children.filter(present));
  return e;
}
const present = x => x != null && x !== false && x !== "";
const text = (kind, ...children) => el("span", kind ? {class: kind} : {}, ...children);

// fill replaces the content of an element if it differs. While text in it is selected, it
// stays. A link keeps the keyboard focus if the new content has it too.
function fill(id, ...children) {
  const old = $(id), next = old.cloneNode(false), picked = document.getSelection();
  next.append(...children.filter(present));
  if (old.isEqualNode(next) || (!picked.isCollapsed && old.contains(picked.anchorNode))) return;
  const focus = old.contains(document.activeElement) && document.activeElement.getAttribute("href");
  old.replaceChildren(...next.childNodes);
  if (focus) [...old.querySelectorAll("a")].find(a => a.getAttribute("href") === focus)?.focus();
}

const list = x => x || [];
const sum = m => Object.values(m || {}).reduce((a, b) => a + b, 0);
const number = n => Math.round(n || 0).toLocaleString("en");
const many = (n, one, more) => number(n) + " " + (Math.round(n) === 1 ? one : more || one + "s");
const compact = new Intl.NumberFormat("en", {notation: "compact", maximumSignificantDigits: 3});

function decimal(n) {
  if (n == null) return "–";
  if (n === 0) return "0";
  if (n < 0.005) return "<0.01";
  return n >= 100 ? number(n) : n >= 10 ? n.toFixed(1) : n > 0 && n < 1 ? n.toFixed(2) : n.toFixed(1);
}
const rate = n => n == null ? "–" : decimal(n) + "/s";
const percent = n => n == null ? "–" : decimal(100 * n) + " %";
const count = n => n == null ? "–" : number(n);

// fixed has one decimal, so that columns align; round numbers have none.
const fixed = n => Number.isInteger(n) ? String(n) : n.toFixed(1);

function bytes(n) {
  if (n == null) return "–";
  let u = 0;
  while (n >= 1024 && u < 5) { n /= 1024; u++; }
  return (u === 0 || n >= 100 ? Math.round(n) : fixed(n)) + " " + ["B", "KiB", "MiB", "GiB", "TiB", "PiB"][u];
}
const byteRate = n => n == null ? "–" : bytes(n) + "/s";

function ms(n) {
  if (n == null) return "–";
  if (n < 0.1) return "<0.1 ms";
  return n < 10 ? fixed(n) + " ms" : n < 1000 ? Math.round(n) + " ms" : fixed(n / 1000) + " s";
}

// duration is a time of s seconds in its two largest units.
function duration(s) {
  for (const [unit, n, below, m] of [["d", 86400, "h", 3600], ["h", 3600, "min", 60], ["min", 60, "s", 1]])
    if (s >= n) { const rest = Math.floor(s % n / m); return Math.floor(s / n) + " " + unit + (rest ? " " + rest + " " + below : ""); }
  return s < 1 ? "under a second" : Math.floor(s) + " s";
}
const ago = (time, now) => time ? duration(Math.max(0, (now - Date.parse(time)) / 1000)) + " ago" : "never";

const minutes = new Intl.DateTimeFormat("en-GB", {hour: "2-digit", minute: "2-digit"});
const seconds = new Intl.DateTimeFormat("en-GB", {hour: "2-digit", minute: "2-digit", second: "2-digit"});
const day = new Intl.DateTimeFormat("en-GB", {day: "numeric", month: "short"});

// clock is the time of day, with the day if it is not the day of now.
function clock(time, now, form = minutes) {
  const t = new Date(time);
  return (day.format(t) === day.format(now) ? "" : day.format(t) + ", ") + form.format(t);
}
const sentence = words => words ? words[0].toUpperCase() + words.slice(1) + (/[.!?]$/.test(words) ? "" : ".") : "";

// The sign of each level: an outline to fill and a mark to draw in it. Levels differ in
// shape as well as in colour.
const SIGNS = {
  ok: ["M8 1a7 7 0 1 0 0 14A7 7 0 0 0 8 1Z", "m4.8 8.3 2.2 2.2 4.2-4.7", "#17703f"],
  starting: ["M8 1a7 7 0 1 0 0 14A7 7 0 0 0 8 1Z", "M4.7 8v.01M8 8v.01M11.3 8v.01", "#57606a"],
  warning: ["M8 .8 15.6 15H.4Z", "M8 6v4.2M8 12.6v.01", "#a86900"],
  critical: ["M5 1h6l4 4v6l-4 4H5l-4-4V5Z", "m5.4 5.4 5.2 5.2m0-5.2-5.2 5.2", "#b3261e"],
};
const signOf = level => SIGNS[level] || SIGNS.warning;

function sign(level) {
  const [outline, mark] = signOf(level);
  return el("svg:svg", {viewBox: "0 0 16 16", "aria-hidden": "true"},
    el("svg:path", {class: "outer", d: outline}), el("svg:path", {class: "inner", d: mark}));
}

function icon(level) {
  const [outline, mark, colour] = signOf(level);
  return "data:image/svg+xml," + encodeURIComponent(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16">` +
    `<path d="${outline}" fill="${colour}"/><path d="${mark}" fill="none" stroke="#fff" stroke-width="2" stroke-linecap="round"/></svg>`);
}

// marked is a text with the sign of its level before it.
const marked = (level, ...words) => text(level, text("sign", sign(level)), " ", ...words);

// bar is filled to a share, from 0 to 1.
function bar(share, level) {
  const inside = el("i", {});
  inside.style.width = (100 * Math.min(1, share)).toFixed(1) + "%";
  return text("bar" + (level ? " " + level : ""), inside);
}
