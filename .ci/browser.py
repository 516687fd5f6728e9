"""Drives Chromium over the pages of a small network: see .ci/browser."""

import base64
import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request

HOLDFAST, WORK, SHOTS = sys.argv[1:4]
PATIENCE = 60  # seconds that any step may take
ENV = dict(
    os.environ,
    HOLDFAST_NETWORK__PROTOCOL_PREFIX="/browser",
    HOLDFAST_METRICS__LISTEN="127.0.0.1:0",
    HOLDFAST_NETWORK__LISTEN="/ip4/127.0.0.1/tcp/0",
)
# The last options keep Chromium from connecting to the internet at each start.
FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync --hide-scrollbars --disable-dev-shm-usage"
).split()


def until(what, ready):
    """Waits until ready() returns a true value, and returns it."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        got = ready()
        if got:
            return got
        time.sleep(0.05)
    sys.exit(f"not in {PATIENCE} s: {what}")


class Daemon:
    def __init__(self, name, *flags):
        self.dir = os.path.join(WORK, name)
        self.log = os.path.join(WORK, name + ".log")
        self.process = subprocess.Popen(
            [HOLDFAST, "serve", "--data-dir", self.dir, *flags], env=ENV, stdout=open(self.log, "w"), stderr=subprocess.STDOUT
        )
        until(name + " is ready", lambda: "\nReady\n" in open(self.log).read())
        self.addr = re.search(r"^/ip4/127.0.0.1/tcp/.*$", open(self.log).read(), re.M).group()

    def ask(self, *args):
        return subprocess.run([HOLDFAST, *args, "--data-dir", self.dir], env=ENV, check=True, capture_output=True, text=True).stdout

    def url(self):
        return "http://" + json.loads(self.ask("status", "--json"))["metrics_addr"] + "/"


class Browser:
    """One session of WebDriver (w3.org/TR/webdriver2)."""

    def __init__(self, port):
        self.base = f"http://127.0.0.1:{port}"
        until("chromedriver answers", self.up)
        options = {"args": FLAGS + ["--user-data-dir=" + os.path.join(WORK, "profile")]}
        wanted = {"goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL"}}
        session = self.send("POST", "/session", {"capabilities": {"alwaysMatch": wanted}})
        self.base += "/session/" + session["sessionId"]

    def up(self):
        try:
            return self.send("GET", "/status")["ready"]
        except urllib.error.URLError:
            return False

    def send(self, method, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.base + path, data, {"Content-Type": "application/json"}, method=method)
        with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
            return json.load(answer)["value"]

    def js(self, code):
        return self.send("POST", "/execute/sync", {"script": "return " + code, "args": []})

    def cdp(self, command, **params):
        return self.send("POST", "/goog/cdp/execute", {"cmd": command, "params": params})

    def open(self, url, width, scheme):
        self.cdp("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=width < 500)
        self.cdp("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        self.send("POST", "/url", {"url": url})

    def shot(self, name):
        size = self.cdp("Page.getLayoutMetrics")["cssContentSize"]
        clip = {"x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1}
        png = self.cdp("Page.captureScreenshot", captureBeyondViewport=True, clip=clip)["data"]
        open(os.path.join(SHOTS, name + ".png"), "wb").write(base64.b64decode(png))

    def complaints(self):
        return [e["message"] for e in self.send("POST", "/se/log", {"type": "browser"}) if e["level"] in ("SEVERE", "WARNING")]


def check(what, ok):
    if not ok:
        sys.exit("FAIL " + what)
    print("ok  ", what)


def fits(browser, what):
    check(what + " fits its width", browser.js("document.documentElement.scrollWidth <= window.innerWidth"))


def live(browser, daemon):
    """Makes the daemon send a request, and returns whether the first tiles show it."""
    daemon.ask("closest", "some key")
    return browser.js("[...document.querySelectorAll('.tiles b')].slice(0, 4).some(b => !b.innerText.startsWith('0'))")


def status_page(browser, daemon):
    url, grounds = daemon.url(), {}
    for width, scheme in ((1180, "light"), (1180, "dark"), (390, "light"), (390, "dark")):
        name = f"status-{width}-{scheme}"
        browser.open(url, width, scheme)
        until("three updates", lambda: browser.js("Number(document.body.dataset.updates) >= 3"))
        fits(browser, name)
        grounds[scheme] = browser.js("getComputedStyle(document.body).backgroundColor")
        browser.shot(name)
    check("dark is dark", grounds["dark"] != grounds["light"])
    text = browser.js("document.body.innerText")
    check("it says who and what", "Serving /browser/kad/1.0.0" in text and "12D3KooW" in text)
    check("buckets are drawn", browser.js("document.querySelectorAll('.bucket .cells i.v').length") == 2)
    check("the ring is drawn", browser.js("document.querySelectorAll('.ring path').length") > 64)
    check("there are six tiles", browser.js("document.querySelectorAll('.spark').length") == 6)
    until("live rates", lambda: live(browser, daemon))
    check("no complaint of the browser", not browser.complaints())


def silence(browser, url, daemon):
    browser.open(url, 1180, "light")
    until("an update", lambda: browser.js("Number(document.body.dataset.updates) >= 1"))
    daemon.process.send_signal(signal.SIGKILL)
    until("the alarm", lambda: browser.js("document.getElementById('alarm').offsetHeight > 0"))
    check("a silent node is said to be", "does not answer" in browser.js("document.getElementById('alarm').innerText"))
    browser.complaints()


def isolation(browser, daemon, others):
    """Removes all peers of a daemon."""
    browser.open(daemon.url(), 1180, "light")
    for other in others:
        other.process.send_signal(signal.SIGKILL)
    headline = "document.getElementById('headline')"
    until("isolation is said", lambda: "ISOLATED since " in (browser.js(headline + ".innerText") or ""))
    check("and in the title", browser.js("document.title").startswith("ISOLATED "))
    check("and in colour", browser.js(f"getComputedStyle({headline}).color != getComputedStyle(document.body).color"))
    browser.shot("status-isolated")
    browser.complaints()


def explain_page(browser, page):
    for width, scheme in ((1180, "light"), (1180, "dark"), (390, "light")):
        browser.open("file://" + page, width, scheme)
        fits(browser, f"explain-{width}-{scheme}")
        browser.shot(f"explain-{width}-{scheme}")
    check("each request has a bar", browser.js("document.querySelectorAll('td.when rect').length") >= 2)
    check("no complaint of the browser", not browser.complaints())


def main():
    daemons = [Daemon("a")]
    daemons += [Daemon(name, "--bootstrap", daemons[0].addr) for name in ("b", "c")]
    until("two peers", lambda: json.loads(daemons[1].ask("status", "--json"))["verified_peers"] == 2)
    daemons[1].ask("provide", *(f"key {i}" for i in range(100)))
    page = os.path.join(WORK, "explain.html")
    daemons[2].ask("explain", "find-providers", "key 7", "--html", page)
    driver = subprocess.Popen(["chromedriver", "--port=9515"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        browser = Browser(9515)
        status_page(browser, daemons[1])
        explain_page(browser, page)
        silence(browser, daemons[2].url(), daemons[2])
        isolation(browser, daemons[1], (daemons[0], daemons[2]))
        browser.send("DELETE", "")
    finally:
        driver.kill()
        for d in daemons:
            d.process.kill()


main()
