// The page: reads /status.json and shows it.

const EVERY = 2000, HIDDEN = 30000, PATIENCE = 10000; // ms between updates, of a hidden page, and for one answer
const FIRST = 6; // warnings that are shown at once
const MASKED = "Hidden under a host name. Open this page by IP address or as localhost.";

let before = null, current = null, announced = null;

// perSecond is the rate of a counter between the last two answers: null before the second
// one, and after a restart of the node.
function perSecond(now, was) {
  const s = before ? (Date.parse(current.taken) - Date.parse(before.taken)) / 1000 : 0;
  return s > 0 && (now || 0) >= (was || 0) ? ((now || 0) - (was || 0)) / s : null;
}

const facts = rows => rows.filter(Boolean).flatMap(([name, value]) => [el("dt", {}, name), el("dd", {}, value)]);
const tr = (...cells) => el("tr", {}, ...cells);
const td = (...content) => el("td", {}, ...content);
const wide = (...content) => el("td", {class: "wide"}, ...content); // not on a phone
const th = name => el("th", {scope: "row"}, name);
const time = (at, now) => el("time", {datetime: at}, clock(at, now, seconds));
const orNone = (rows, none) => rows.length ? rows : [el("li", {class: "empty"}, none)];

// head returns the caption, for screen readers, and the head of a table. Columns with a
// star are not shown on a phone.
const head = (caption, ...columns) => [
  el("caption", {class: "unseen"}, caption),
  el("thead", {}, tr(...columns.map(c => el("th", {scope: "col", class: c.endsWith("*") ? "wide" : "col"}, c.replace("*", ""))))),
];

const runbook = c => c.runbook && el("a", {href: c.runbook}, "What to do", text("unseen", " about: " + c.word));

// verdict shows what the node says about its state: in words, colour, title and icon.
function verdict(o, v, now) {
  const since = c => c.since ? "since " + clock(c.since, now) : "";
  $("verdict").dataset.level = v.level;
  fill("mark", sign(v.level));
  fill("word", v.word);
  fill("since", since(v));
  fill("why", sentence(v.why), " ", runbook(v));
  const cause = c => [el("b", {}, c.word), c.since && " " + since(c), c.why && ": " + c.why, ". ", runbook(c)];
  fill("causes", ...list(v.causes).slice(1).map(c => el("li", {}, text("sign " + c.level, sign(c.level)), text("", ...cause(c)))));
  document.title = [v.word, since(v), "· Holdfast", o && o.status.peer_id && "…" + o.status.peer_id.slice(-5)].filter(Boolean).join(" ");
  if ($("icon").href !== icon(v.level)) $("icon").href = icon(v.level);
  if (announced !== v.word) $("news").textContent = v.word + ". " + sentence(v.why);
  announced = v.word;
}

const REACH = {private: "private: behind a NAT or a firewall", unknown: "unknown: too few peers have tried to reach it"};

function node(o, now) {
  const s = o.status, c = o.config || {}, who = o.identity || {}, addrs = list(who.addrs), pending = list(c.restart_needed);
  $("short").textContent = s.peer_id ? "…" + s.peer_id.slice(-5) : "";
  $("about").textContent = [who.agent, "up " + duration(s.uptime_seconds || 0)].filter(Boolean).join(" · ");
  const rows = [
    ["Peer ID", s.peer_id ? text("mono", s.peer_id) : MASKED],
    ["Protocol", who.protocol || "unknown"],
    ["Mode", s.serving ? "server" : "client: it does not serve requests"],
    ["Reachability", REACH[s.reachability] || s.reachability || "unknown"],
    c.reload_failed_since && ["Reload", marked("warning", "failed at " + clock(c.reload_failed_since, now))],
    pending.length && ["Changed, needs a restart", marked("warning", pending.join(", "))],
  ];
  fill("node", ...rows.filter(Boolean).map(row => el("div", {}, ...facts([row]))));
  $("count-addrs").textContent = s.peer_id ? many(addrs.length, "address", "addresses") : "Addresses are hidden";
  fill("addrs", ...addrs.map(a => el("li", {}, a)));
}

const NEAR = {warning: "near its limit", critical: "at its limit"};

function limit(x) {
  const show = x.unit === "bytes" ? bytes : number, share = x.limit ? x.used / x.limit : 0;
  const percent = share > 0 && share < 0.01 ? "<1" : Math.round(100 * share);
  return el("li", {},
    el("div", {class: "line"},
      text("", x.label || x.name, " ", NEAR[x.level] && marked(x.level, NEAR[x.level])),
      text("num", x.limit ? `${show(x.used)} of ${show(x.limit)} · ${percent} %` : show(x.used) + ", no limit known")),
    x.limit > 0 && bar(share, x.level), NEAR[x.level] && x.note && el("p", {class: "note"}, x.note));
}

function upkeep(o, now) {
  const s = o.status;
  fill("facts", ...facts([
    ["Provider records", number(s.provider_records)],
    ["Values", number(s.value_records)],
    ["Records refused by quotas", number(sum(s.refused))],
    ["Starts", s.starts ? `${number(s.starts)}, ${number(s.unclean_starts)} after a crash or kill` : "unknown"],
    ["Restored at start", many(s.restored_peers, "peer")],
    ["Table saved", ago(s.last_snapshot, now)],
    ["Expired records removed", ago(s.last_expiry, now)],
    ["Table refreshed", ago(s.last_refresh, now)],
  ]));
}

function bucket(b) {
  const cell = i => el("i", {class: "cell" + (i < b.verified ? " v" : i < b.peers ? " u" : "")});
  return tr(th(String(b.cpl)), td(el("span", {class: "cells", "aria-hidden": "true"}, ...Array.from({length: b.room}, (_, i) => cell(i)))),
    td(`${b.peers} of ${b.room}`, text("unseen", `, ${b.verified} answered`)));
}

function table(o) {
  const s = o.status, c = o.connected || {}, rows = list(o.buckets);
  fill("peers", el("b", {}, many(s.table_peers, "peer")), `, ${number(s.verified_peers)} of them answered. `,
    el("b", {}, number(s.connected_peers) + " connected"), `: ${number(c.in)} in, ${number(c.out)} out. `,
    s.network_size ? `The network has about ${many(s.network_size, "node")}.` : "The size of the network is not known yet.");
  $("buckets").style.setProperty("--cell", Math.max(20, Math.min(46, Math.floor(240 / rows.length))) + "px");
  if (!rows.length) return fill("buckets", el("tbody", {}, tr(el("td", {class: "empty"}, "Empty: no peer has answered yet."))));
  fill("buckets", el("caption", {class: "unseen"}, "Peers by leading bits shared with this node"),
    el("thead", {class: "unseen"}, tr(...["Bits", "Picture", "Peers"].map(x => el("th", {scope: "col"}, x)))),
    el("tbody", {}, ...rows.map(bucket)));
}

// sector is the path of part i of n of a ring, clockwise from the top, between two radii.
function sector(i, n, inner, outer) {
  const gap = 0.012, a = 2 * Math.PI * i / n + gap, b = 2 * Math.PI * (i + 1) / n - gap;
  const at = (r, x) => (r * Math.sin(x)).toFixed(2) + " " + (-r * Math.cos(x)).toFixed(2);
  return `M${at(inner, a)}A${inner} ${inner} 0 0 1 ${at(inner, b)}L${at(outer, b)}A${outer} ${outer} 0 0 0 ${at(outer, a)}Z`;
}

// ring draws the keyspace. The length of a sector is its share of the published keys, its
// opacity shows how recently they were republished.
function ring(o) {
  const sectors = list(o.ring), most = Math.max(1, ...sectors.map(x => x.keys)), r = o.republish || {};
  const told = `Published keys around the keyspace: ${number(r.keys)}, ${number(r.active)} in progress, ${number(r.overdue_keys)} overdue`;
  const svg = el("svg:svg", {class: "ring", viewBox: "-110 -110 220 220", role: "img", "aria-label": told});
  sectors.forEach((x, i) => {
    svg.append(el("svg:path", {class: "track", d: sector(i, sectors.length, 62, 66)}));
    if (!x.keys) return;
    const kind = x.overdue ? "overdue" : x.active ? "active" : "v", opacity = kind === "v" ? (0.25 + 0.75 * (x.left || 0)).toFixed(2) : 1;
    const left = Math.round(100 * (x.left || 0));
    svg.append(el("svg:path", {class: kind, opacity, d: sector(i, sectors.length, 69, 72 + 36 * x.keys / most)},
      el("svg:title", {}, `${many(x.keys, "key")}, ${x.overdue} overdue, ${x.active} in progress, ${left} % of the interval left`)));
  });
  svg.append(el("svg:text", {y: 4}, number(r.keys)), el("svg:text", {class: "small", y: 26}, r.keys === 1 ? "key" : "keys"));
  fill("ring", svg);
}

function republish(o, now) {
  const r = o.republish || {}, due = r.next_due && (Date.parse(r.next_due) - now) / 1000;
  fill("republish", ...facts([
    ["Overdue", r.overdue_keys ? marked("warning", many(r.overdue_keys, "key")) : "none"],
    ["In progress", many(r.active, "key")],
    ["Never published", many(r.unannounced, "key")],
    ["Next", !r.keys ? "nothing is published" : !r.next_due ? "none due" : due > 0 ? "in " + duration(due) : "now"],
    ["Last success", ago(r.last_success, now)],
    ["Since the start", `${number(r.succeeded)} succeeded, ${number(r.failed)} failed`],
    r.cycle_seconds && ["Interval", duration(r.cycle_seconds)],
  ]));
}

const RESULTS = {connected: "ok", answered: "ok", failed: "warning"};

function bootstrap(o, now) {
  const row = b => el("li", {}, text("state", marked(RESULTS[b.result] || "starting", b.result || "unknown")),
    text("grow", text("mono", b.addr), b.why && el("p", {class: "note"}, b.why)), b.at && time(b.at, now));
  fill("bootstrap", ...orNone(list(o.bootstrap).map(row), o.masked ? MASKED : "No bootstrap peers are configured."));
}

function warnings(o, now) {
  const row = w => el("li", {}, time(w.time, now), text("level", marked(w.level === "ERROR" ? "critical" : "warning", w.level)),
    text("sub", w.subsystem), text("grow", w.text, w.count > 1 && text("soft", ` (${number(w.count)} times)`)));
  const rows = list(o.warnings).map(row);
  fill("warnings", ...orNone(rows.slice(0, FIRST), o.masked ? MASKED : "None since the start."));
  fill("older", ...rows.slice(FIRST));
  fill("count-more", many(rows.length - FIRST, "older warning"));
  $("more").hidden = rows.length <= FIRST;
}

// The reasons are label values of the metrics; here they are in words.
const REASONS = {
  unreachable: "no connection", unsupported: "the peer does not speak the protocol", stream_ended: "the stream ended early",
  timeout: "no answer in time", reply_type: "a reply of another type", too_large: "the message is too large",
  malformed: "the message is malformed", empty_frame: "an empty message", unknown_type: "an unknown request type",
  refused: "refused by the handler", too_many_streams: "too many streams", idle_stream: "an idle stream made way for another",
  memory: "refused by libp2p’s resource manager", rate_limited: "the peer sends too many", closed: "this node was stopping",
  no_key: "no key", key_too_long: "the key is too long", no_record: "no record", key_mismatch: "the record is for another key",
  unknown_namespace: "this node does not accept the namespace of the key",
  invalid_record: "the record is invalid", no_provider: "no provider", older_record: "the stored value is newer",
  quota: "a quota is reached", full: "the disk or the database is full", busy: "the write queue is full", storage: "the database failed",
};

function reasons(id, counts) {
  const all = sum(counts), sorted = Object.entries(counts || {}).filter(([, n]) => n > 0).sort(([, a], [, b]) => b - a);
  const row = ([reason, n]) => el("li", {},
    text("", text("mono", reason), REASONS[reason] && text("soft", " " + REASONS[reason])), text("num", number(n)), text("share", bar(n / all)));
  fill(id, ...orNone(sorted.map(row), "None."));
}

const TYPES = ["FIND_NODE", "GET_PROVIDERS", "ADD_PROVIDER", "GET_VALUE", "PUT_VALUE", "PING"];

function requests(id, caption, now, was, latency) {
  const row = type => {
    const l = (latency || {})[type] || {}, n = (now || {})[type];
    return tr(th(type), td(decimal(perSecond(n, (was || {})[type]))), wide(number(n)), td(ms(l.p50_ms)), td(ms(l.p95_ms)));
  };
  fill(id, ...head(caption, "Type", "Per s", "Total*", "p50", "p95"), el("tbody", {}, ...TYPES.map(row)));
}

function traffic(o) {
  const t = o.traffic || {}, b = before ? before.traffic || {} : {}, l = o.latency || {}, f = o.failures || {};
  requests("in", "Requests from peers, by type", t.in, b.in, l.in);
  requests("out", "Requests to peers, by type", t.out, b.out, l.out);
  const hour = f.window_seconds < 3600 ? duration(f.window_seconds) : "hour";
  fill("h-refused", "Refused in the last " + hour);
  fill("h-failed", "Failed in the last " + hour);
  reasons("refused", f.in);
  reasons("failed", f.out);
  $("window").textContent = l.window_seconds ? `, p50 and p95 of the last ${duration(l.window_seconds)}` : "";
}

function lookups(o) {
  const counts = (o.traffic || {}).lookups || {}, latency = (o.latency || {}).lookups || {};
  const row = kind => {
    const t = counts[kind] || {}, l = latency[kind] || {};
    return tr(th(KINDS[kind]), wide(number(t.running)), td(number(t.done)), td(number(t.failed)), td(ms(l.p50_ms)), td(ms(l.p95_ms)));
  };
  fill("lookups", ...head("Lookups by purpose", "Purpose", "Running*", "Done", "Failed", "p50", "p95"),
    el("tbody", {}, ...Object.keys(KINDS).map(row)));
}

const ON_PHONE = 10, UPKEEP_ON_PHONE = 3; // lookups

// onPhone returns the lookups that a phone shows: the last ten, and refreshes and
// corrections only in places that others leave free.
function onPhone(all) {
  const upkeep = x => x.kind === "refresh" || x.kind === "correct";
  return new Set([...all.filter(x => !upkeep(x)), ...all.filter(upkeep).slice(0, UPKEEP_ON_PHONE)].slice(0, ON_PHONE));
}

function recent(o, now) {
  const phone = onPhone(list(o.recent_lookups));
  const row = x => {
    const what = [KINDS[x.kind] || x.kind, x.key && " ", x.key && text("mono", x.key)];
    return el("tr", phone.has(x) ? {} : {class: "wide"}, td(time(x.started, now)), el("td", {class: "what"}, x.link ? el("a", {href: x.link, title: x.key}, ...what) : text("", ...what)),
      td(String(x.outcome).replace("_", " ")), wide(number(x.asked)), td(ms(x.took_ms)));
  };
  const rows = list(o.recent_lookups).map(row), none = o.masked ? MASKED : "None since the start.";
  if (!rows.length) return fill("recent", el("tbody", {}, tr(el("td", {class: "empty"}, none))));
  fill("recent", ...head("Last lookups, newest first; each links to its explain page", "Time", "Lookup", "Outcome", "Asked*", "Took"),
    el("tbody", {}, ...rows));
}

function show(o) {
  const now = Date.parse(o.taken), known = o.verdict && o.verdict.word;
  verdict(o, known ? o.verdict : {level: "warning", word: "No verdict", why: "the node is " + (o.status.state || "in an unknown state")}, now);
  node(o, now);
  charts(o);
  fill("limits", ...orNone(list(o.limits).map(limit), "No limits known."));
  upkeep(o, now);
  table(o);
  ring(o);
  republish(o, now);
  bootstrap(o, now);
  warnings(o, now);
  traffic(o);
  lookups(o);
  recent(o, now);
}

async function update() {
  let o = null;
  try {
    const r = await fetch("status.json", {cache: "no-store", signal: AbortSignal.timeout(PATIENCE)});
    if (!r.ok) throw new Error((await r.text()).trim() || r.status);
    o = await r.json();
    if (!current || o.taken !== current.taken) { before = current; current = o; }
    show(current);
    document.body.dataset.updates = 1 + Number(document.body.dataset.updates || 0);
  } catch (e) {
    const old = current ? "; the data below is from " + seconds.format(new Date(current.taken)) : "";
    const v = o ? {word: "PAGE FAILED", why: "this page has a bug: " + e.message} : {word: "NO ANSWER", why: `the node does not answer (${e.message})${old}`};
    verdict(current, {level: "critical", ...v}, Date.now());
  }
}

let timer = 0;
async function run() {
  clearTimeout(timer);
  await update();
  timer = setTimeout(run, document.hidden ? HIDDEN : EVERY);
}
document.addEventListener("visibilitychange", () => { if (!document.hidden) run(); });
run();
