"""Drives Chromium over the pages that commands write to files: see .ci/browser."""

import json
import math
import os
import re
import subprocess

from browser_driver import ENV, HOLDFAST, WORK, Daemon, browser, check, until

ENV["HOLDFAST_VALUES__UNVALIDATED_NAMESPACES"] = "example"
VALUE = "a value of two lines\nof text"

# The labels of plots and of time axes, with the drawing they are in.
LABELS = """[...document.querySelectorAll('svg text')].filter(t => t.checkVisibility() && !(t.closest('thead')?.offsetWidth <= 1)).map(t => {
  const box = t.getBoundingClientRect(), paper = t.closest('svg').getBoundingClientRect();
  const svgs = [...document.querySelectorAll('svg')];
  return {text: t.textContent, svg: svgs.indexOf(t.closest('svg')), x: t.getAttribute('x'), y: t.getAttribute('y'),
    unit: t.closest('svg').querySelector('text.axis')?.textContent || "", left: box.left, right: box.right, top: box.top, bottom: box.bottom,
    cut: box.left < paper.left - 1 || box.right > paper.right + 1 || box.top < paper.top - 3 || box.bottom > paper.bottom + 3};
})"""
TICK = re.compile(r"(\d+(?:\.\d+)?)(?: (µs|ms|s))?")
UNITS = {"µs": 1e-6, "ms": 1e-3, "s": 1}
STEPS = (1, 2, 2.5, 5)  # times a power of ten
TIME_STEPS = {"minutes": (15, 30), "hours": (3, 6, 12), "days": (7, 14, 28)}  # further ones

# The tables that are wider than the page shows.
CUT = "[...document.querySelectorAll('.scroll')].filter(e => e.checkVisibility() && e.scrollWidth > e.clientWidth + 1).map(e => e.getAttribute('aria-label'))"


def page(name):
    return os.path.join(WORK, name + ".html")


def unround(labels):
    """Returns the axes whose ticks are not at multiples of 1, 2, 2.5 or 5 times a power of ten."""
    axes, bad = {}, []
    for x in labels:
        column = sum(y["svg"] == x["svg"] and y["x"] == x["x"] for y in labels) > 1
        if column or x["unit"] in ("", *TIME_STEPS):  # other plots have the values of an option along the x axis
            axes.setdefault((x["svg"], x["x"] if column else "", "" if column else x["y"]), []).append(x)
    for (_, column, _), axis in axes.items():
        texts = [x["text"] for x in axis]
        ticks = [m for m in map(TICK.fullmatch, texts) if m]
        if len(ticks) < 2:
            continue
        unit = UNITS[max((m[2] or "s" for m in ticks), key=UNITS.get)]  # where only the last tick has it
        places = sorted(float(m[1]) * (UNITS[m[2]] if m[2] else unit) for m in ticks)
        steps = {float(f"{b - a:.5g}") for a, b in zip(places, places[1:])}
        step = max(steps)
        scaled = float(f"{step / 10 ** math.floor(math.log10(step)):.5g}") if step > 0 else 0
        time = "" if column else axis[0]["unit"]
        whole = all(abs(p / step - round(p / step)) < 1e-3 for p in places) if step > 0 else False
        if len(steps) != 1 or not whole or scaled not in STEPS and step not in TIME_STEPS.get(time, ()):
            bad.append(texts)
    return bad


def overlap(a, b):
    return a["svg"] == b["svg"] and a["left"] < b["right"] and b["left"] < a["right"] and a["top"] < b["bottom"] and b["top"] < a["bottom"]


def judge(b, name):
    """Checks a page, with its labels."""
    grounds = {}
    for width, scheme in ((1280, "light"), (390, "dark")):
        b.open("file://" + page(name), width, scheme)
        b.judge(f"{name}-{width}-{scheme}")
        grounds[scheme] = b.js("getComputedStyle(document.body).backgroundColor")
        b.shot(f"{name}-{width}-{scheme}")
        b.look(width, "dark" if scheme == "light" else "light")
        b.shot(f"{name}-{width}-" + ("dark" if scheme == "light" else "light"))
        b.look(width, scheme)
        labels = b.js(LABELS)
        bad = unround(labels) + [x["text"] for x in labels if x["cut"]]
        bad += [x["text"] + " over " + y["text"] for i, x in enumerate(labels) for y in labels[:i] if overlap(x, y)]
        check(f"{name}-{width}-{scheme}: labels are round, whole and apart", not bad, bad)
    for width in (390, 1280):
        b.look(width, "light")
        check(f"{name}-{width}: no table is cut", not b.js(CUT), b.js(CUT))
    b.look(721, "light")
    hint = b.js("[...document.querySelectorAll('.scroll')].every(e => getComputedStyle(e).backgroundAttachment === 'local, scroll')")
    check(f"{name}: a table that is cut between these widths has a shadow", hint)
    check(f"{name}: dark is dark", grounds["dark"] != grounds["light"])
    check(f"{name}: every plot has its text", b.js("[...document.querySelectorAll('svg')].every(s => s.closest('[aria-hidden=true], [role=img][aria-label]'))"))
    check(f"{name}: no complaint of the browser", not b.complaints())
    return b.js("document.body.innerText")


def explain_pages(b):
    a = Daemon("first")
    nodes = [a] + [Daemon(name, "--bootstrap", a.addr) for name in ("second", "third", "fourth")]
    try:
        until("three peers", lambda: all(json.loads(n.ask("status", "--json"))["verified_peers"] == 3 for n in nodes))
        nodes[1].ask("put", "/example/key3", VALUE)
        nodes[1].ask("provide", "key 7")
        peer = json.loads(nodes[2].ask("id", "--json"))["peer_id"]
        for lookup, key in (("get", "/example/key3"), ("find-providers", "key 7"), ("find-peer", peer), ("closest", "some key")):
            if lookup == "closest":
                nodes[1].process.kill()
            a.ask("explain", lookup, key, "--html", page("explain-" + lookup))
        a.ask("put", "/example/bytes", "\x01\x02", check=False)
        stores = [t for t in map(json.loads, a.ask("explain", "list", "--json").splitlines()) if t["kind"] == "store_value"]
        a.ask("explain", "show", str(stores[0]["id"]), "--html", page("explain-put"))
        text = judge(b, "explain-get")
        check("the page of a get names it and shows the value", "GET /example/key3" in text and VALUE in text and "find_value" not in text)
        check("it explains its columns", "place among the closest" in text and "leading bits" in text)
        provider = re.search(r"/p2p/(\S+)", nodes[1].addr).group(1)
        text = judge(b, "explain-find-providers")
        check("each request has a bar", b.js("document.querySelectorAll('td.when rect').length >= 2"))
        check("the provider is shown", text.split("Distance to the key")[0].count(provider) == 1)
        check("a peer that was looked up is itself", "itself" in judge(b, "explain-find-peer"))
        check("a failed request says why", "failed: " in judge(b, "explain-closest"))
        check("bytes are shown in hex", "0102" in judge(b, "explain-put"))
    finally:
        for n in nodes:
            n.process.kill()


def simulator_pages(b):
    run = [HOLDFAST, "sim", "run", "--nodes", "60", "--warmup", "1m"]
    for name, flags in {
        "sim-steady": ["--hours", "1", "--seed", "7"],
        "sim-restart": ["--scenario", "restart", "--hours", "0.3"],
        "sim-days": ["--scenario", "forget", "--hours", "80"],
        "sim-sweep": ["--hours", "0.1", "--dead", "0.2", "--sweep", "alpha=1,3,10"],
    }.items():
        subprocess.run([*run, *flags, "--html", page(name)], check=True, capture_output=True)
        text = judge(b, name)
        check(f"{name}: its head says what was simulated", "Simulated network of 60 nodes" in text and "--nodes 60" in text)
    b.open("file://" + page("sim-steady"), 1280, "light")
    check("the seed is in the head", "Seed\n7\n" in b.js("document.querySelector('.tiles').innerText") + "\n")
    check("each operation has a strip", b.js("document.querySelectorAll('.strip rect').length") == 6)
    check("minutes are round", b.js("[...document.querySelectorAll('figure:first-of-type text')].map(t => t.textContent).join(' ')").endswith("0 10 20 30 40 50 60 minutes"))


def ticks(*texts):
    """Returns the labels of a made-up axis."""
    return [{"text": t, "svg": 0, "x": str(i), "y": "0", "unit": ""} for i, t in enumerate(texts)]


for wrong in (("0", "137"), ("0", "0.37", "0.74"), ("0", "1", "3"), ("1", "3", "5"), ("0", "300 µs", "600 µs"), ("0", "15", "30")):
    check(f"{wrong} is found", unround(ticks(*wrong)))
for right in (("0", "0.25", "0.5 s"), ("0", "500 µs", "1 ms"), ("8", "10", "12"), ("0", "2.5", "5"), ("itself",)):
    check(f"{right} is round", not unround(ticks(*right)))
with browser() as b:
    explain_pages(b)
    simulator_pages(b)
