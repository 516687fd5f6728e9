"""Drives Chromium over the pages of a small network: see .ci/b."""

import json
import os
import signal

from browser_driver import WORK, Daemon, browser, check, until


def fits(b, what):
    check(what + " fits its width", b.js("document.documentElement.scrollWidth <= window.innerWidth"))


def live(b, daemon):
    """Makes the daemon send a request, and returns whether the first tiles show it."""
    daemon.ask("closest", "some key")
    return b.js("[...document.querySelectorAll('.tiles b')].slice(0, 4).some(b => !b.innerText.startsWith('0'))")


def status_page(b, daemon):
    url, grounds = daemon.url(), {}
    for width, scheme in ((1180, "light"), (1180, "dark"), (390, "light"), (390, "dark")):
        name = f"status-{width}-{scheme}"
        b.open(url, width, scheme)
        until("three updates", lambda: b.js("Number(document.body.dataset.updates) >= 3"))
        fits(b, name)
        grounds[scheme] = b.js("getComputedStyle(document.body).backgroundColor")
        b.shot(name)
    check("dark is dark", grounds["dark"] != grounds["light"])
    text = b.js("document.body.innerText")
    check("it says who and what", "Serving /browser/kad/1.0.0" in text and "12D3KooW" in text)
    check("buckets are drawn", b.js("document.querySelectorAll('.bucket .cells i.v').length") == 2)
    check("the ring is drawn", b.js("document.querySelectorAll('.ring path').length") > 64)
    check("there are six tiles", b.js("document.querySelectorAll('.spark').length") == 6)
    until("live rates", lambda: live(b, daemon))
    check("no complaint of the browser", not b.complaints())


def silence(b, url, daemon):
    b.open(url, 1180, "light")
    until("an update", lambda: b.js("Number(document.body.dataset.updates) >= 1"))
    daemon.process.send_signal(signal.SIGKILL)
    until("the alarm", lambda: b.js("document.getElementById('alarm').offsetHeight > 0"))
    check("a silent node is said to be", "does not answer" in b.js("document.getElementById('alarm').innerText"))
    b.complaints()


def isolation(b, daemon, others):
    """Removes all peers of a daemon."""
    b.open(daemon.url(), 1180, "light")
    for other in others:
        other.process.send_signal(signal.SIGKILL)
    headline = "document.getElementById('headline')"
    until("isolation is said", lambda: "ISOLATED since " in (b.js(headline + ".innerText") or ""))
    check("and in the title", b.js("document.title").startswith("ISOLATED "))
    check("and in colour", b.js(f"getComputedStyle({headline}).color != getComputedStyle(document.body).color"))
    b.shot("status-isolated")
    b.complaints()


def explain_page(b, page):
    for width, scheme in ((1180, "light"), (1180, "dark"), (390, "light")):
        b.open("file://" + page, width, scheme)
        fits(b, f"explain-{width}-{scheme}")
        b.shot(f"explain-{width}-{scheme}")
    check("each request has a bar", b.js("document.querySelectorAll('td.when rect').length") >= 2)
    check("no complaint of the browser", not b.complaints())


def main():
    daemons = [Daemon("a")]
    daemons += [Daemon(name, "--bootstrap", daemons[0].addr) for name in ("b", "c")]
    until("two peers", lambda: json.loads(daemons[1].ask("status", "--json"))["verified_peers"] == 2)
    daemons[1].ask("provide", *(f"key {i}" for i in range(100)))
    page = os.path.join(WORK, "explain.html")
    daemons[2].ask("explain", "find-providers", "key 7", "--html", page)
    try:
        with browser() as b:
            status_page(b, daemons[1])
            explain_page(b, page)
            silence(b, daemons[2].url(), daemons[2])
            isolation(b, daemons[1], (daemons[0], daemons[2]))
    finally:
        for d in daemons:
            d.process.kill()


main()
