"""Drives Chromium over the pages that commands write to files: see .ci/browser."""

import json
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
  return {text: t.textContent, svg: svgs.indexOf(t.closest('svg')), left: box.left, right: box.right, top: box.top, bottom: box.bottom,
    cut: box.left < paper.left - 1 || box.right > paper.right + 1 || box.top < paper.top - 3 || box.bottom > paper.bottom + 3};
})"""
ROUND = re.compile(r"\d{1,3}(\.\d{1,2})?( (µs|ms|s))?|\d{4,}|itself|[a-z]+")


def page(name):
    return os.path.join(WORK, name + ".html")


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
        bad = [x["text"] for x in labels if x["cut"] or not ROUND.fullmatch(x["text"])]
        bad += [x["text"] + " over " + y["text"] for i, x in enumerate(labels) for y in labels[:i] if overlap(x, y)]
        check(f"{name}-{width}-{scheme}: labels are round, whole and apart", not bad, bad)
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


with browser() as b:
    explain_pages(b)
    simulator_pages(b)
