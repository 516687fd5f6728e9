"""A browser and daemons for the tests of the pages: see .ci/browser."""

import base64
import contextlib
import json
import os
import re
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
SMALLEST = 13  # px, of any text


def until(what, ready):
    """Waits until ready() returns a true value, and returns it."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        got = ready()
        if got:
            return got
        time.sleep(0.05)
    sys.exit(f"not in {PATIENCE} s: {what}")


def check(what, ok, detail=""):
    if not ok:
        sys.exit(f"FAIL {what} {detail}")
    print("ok  ", what)


class Daemon:
    def __init__(self, name, *flags):
        self.dir = os.path.join(WORK, name)
        self.log = os.path.join(WORK, name + ".log")
        self.process = subprocess.Popen(
            [HOLDFAST, "serve", "--data-dir", self.dir, *flags], env=ENV, stdout=open(self.log, "w"), stderr=subprocess.STDOUT
        )
        until(name + " is ready", lambda: "\nReady\n" in open(self.log).read())
        self.addr = re.search(r"^/ip4/127.0.0.1/tcp/.*$", open(self.log).read(), re.M).group()

    def ask(self, *args, check=True):
        return subprocess.run([HOLDFAST, *args, "--data-dir", self.dir], env=ENV, check=check, capture_output=True, text=True).stdout

    def url(self):
        return "http://" + json.loads(self.ask("status", "--json"))["metrics_addr"] + "/"


class Browser:
    """One session of WebDriver (w3.org/TR/webdriver2)."""

    def __init__(self, port, profile):
        self.base = f"http://127.0.0.1:{port}"
        options = {"args": FLAGS + ["--user-data-dir=" + profile]}
        wanted = {"goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL"}}
        session = self.send("POST", "/session", {"capabilities": {"alwaysMatch": wanted}})
        self.base += "/session/" + session["sessionId"]
        self.axe = open(os.path.join(WORK, "axe.min.js")).read()

    def send(self, method, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.base + path, data, {"Content-Type": "application/json"}, method=method)
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
                return json.load(answer)["value"]
        except urllib.error.HTTPError as err:
            sys.exit(f"{path} {body}: {json.load(err)['value']['message']}")

    def js(self, code):
        return self.send("POST", "/execute/sync", {"script": "return " + code, "args": []})

    def cdp(self, command, **params):
        return self.send("POST", "/goog/cdp/execute", {"cmd": command, "params": params})

    def look(self, width, scheme):
        """Changes the size of the window and the colour scheme, while the page is open."""
        self.cdp("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=width < 500)
        self.cdp("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])

    def open(self, url, width, scheme):
        self.look(width, scheme)
        self.send("POST", "/url", {"url": url})

    def press(self, key, times=1):
        steps = [{"type": kind, "value": key} for kind in ("keyDown", "keyUp")] * times
        self.send("POST", "/actions", {"actions": [{"type": "key", "id": "keyboard", "actions": steps}]})

    def shot(self, name, clip=None):
        if clip is None:
            size = self.cdp("Page.getLayoutMetrics")["cssContentSize"]
            clip = {"x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1}
        png = self.cdp("Page.captureScreenshot", captureBeyondViewport=True, clip=clip)["data"]
        open(os.path.join(SHOTS, name + ".png"), "wb").write(base64.b64decode(png))

    def violations(self):
        """Returns what axe-core finds on the page, in one line each."""
        if not self.js("typeof axe === 'object'"):
            self.send("POST", "/execute/sync", {"script": self.axe, "args": []})
        run = "const done = arguments[0]; axe.run({resultTypes: ['violations']}).then(r => done(r.violations))"
        found = self.send("POST", "/execute/async", {"script": run, "args": []})
        return [f"{v['id']}: {v['help']}: {n['html'][:200]}: {n['failureSummary']}" for v in found for n in v["nodes"]]

    def complaints(self):
        return [e["message"] for e in self.send("POST", "/se/log", {"type": "browser"}) if e["level"] in ("SEVERE", "WARNING")]

    def tiny(self):
        """Returns the texts that are smaller than SMALLEST; those for screen readers have no size."""
        return self.js(
            "[...document.querySelectorAll('body *')].filter(e => e.checkVisibility() && [...e.childNodes].some(n => n.nodeType === 3 && n.data.trim())"
            f" && e.getBoundingClientRect().width > 1 && parseFloat(getComputedStyle(e).fontSize) < {SMALLEST}).map(e => e.outerHTML.slice(0, 100))"
        )

    def judge(self, name):
        """Checks what holds for every page at any width, in any scheme."""
        found = self.violations()
        check(f"{name}: axe-core finds nothing", not found, "\n".join(found))
        wide = self.js("document.documentElement.scrollWidth - window.innerWidth")
        check(f"{name}: it fits its width", wide <= 0, f"by {wide} px")
        check(f"{name}: no text is under {SMALLEST} px", not self.tiny(), self.tiny())


@contextlib.contextmanager
def browser():
    """Starts a browser, and ends it."""
    driver = subprocess.Popen(["chromedriver", "--port=0"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        port = next(m.group(1) for m in (re.search(r"successfully on port (\d+)", line) for line in driver.stdout) if m)
        b = Browser(port, os.path.join(WORK, f"profile-{port}"))
        yield b
        b.send("DELETE", "")
    finally:
        driver.kill()
