"""Looks at the status page in a browser: see .ci/browser."""

import http.server
import json
import signal
import threading
import urllib.request

from browser_driver import Daemon, browser, check, until

FIXTURES = "internal/statuspage/testdata"
WIDTHS = (390, 1280, 1600)
SCHEMES = ("light", "dark")
# The start of the title, and the level, of each state of a node in FIXTURES.
VERDICTS = {
    "healthy": ("Healthy · Holdfast …", "ok"),
    "starting": ("Starting since ", "starting"),
    "warning": ("Configuration not loaded since ", "warning"),
    "isolated": ("ISOLATED since ", "critical"),
    "disk-full": ("DISK FULL since ", "critical"),
    "overloaded": ("OVERLOADED since ", "critical"),
    "masked": ("Healthy · Holdfast", "ok"),
    "empty": ("No verdict · Holdfast …", "warning"),
}
COLOURS = {"ok": "#17703f", "starting": "#57606a", "warning": "#a86900", "critical": "#b3261e"}  # of the icon
TAB, ENTER, ESCAPE, LEFT = "\ue004", "\ue007", "\ue00c", "\ue012"


def merged(base, patch):
    """A JSON merge patch (RFC 7396), but null stays null."""
    if not (isinstance(base, dict) and isinstance(patch, dict)):
        return patch
    return base | {k: merged(base.get(k), v) for k, v in patch.items()}


def fixture(name):
    base = json.load(open(f"{FIXTURES}/healthy.json"))
    return base if name == "healthy" else merged(base, json.load(open(f"{FIXTURES}/{name}.json")))


def stand_in(daemon):
    """Serves the page of a daemon, with its headers, at /NAME/ over the data of a fixture."""
    with urllib.request.urlopen(daemon.url()) as answer:
        page, headers = answer.read(), answer.headers

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            _, name, file = self.path.split("/", 2)
            known = name in VERDICTS and file in ("", "status.json")
            self.send_response(200 if known else 404)
            for header in ("Content-Type", "Content-Security-Policy") if file == "" else ():
                self.send_header(header, headers[header])
            self.end_headers()
            if known:
                self.wfile.write(json.dumps(fixture(name)).encode() if file else page)

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{server.server_port}/"


def clean(b, name):
    complaints = b.complaints()
    check(f"{name}: no complaint of the browser", not complaints, complaints)


def updates(b, n):
    until(f"{n} updates", lambda: b.js(f"Number(document.body.dataset.updates) >= {n}"))


def verdict_page(b, url, name):
    """Looks at the page in one state of the node, in every width and scheme."""
    title, level = VERDICTS[name]
    b.open(url + name + "/", WIDTHS[0], SCHEMES[0])
    updates(b, 1)
    if name not in ("starting", "empty"):
        check(f"{name}: an hour of history at the first load", b.js("[...document.querySelectorAll('.area path.l0')].every(p => p.getAttribute('d').split(/[ML]/).length > 115)"))
    collecting = b.js("[...document.querySelectorAll('.area p')].filter(p => p.textContent === 'Collecting').length")
    check(f"{name}: charts without a line say that the node collects samples", collecting == (9 if name in ("starting", "empty") else 0), collecting)
    check(f"{name}: the title says it", b.js("document.title").startswith(title), b.js("document.title"))
    check(f"{name}: the icon shows it", COLOURS[level] in b.js("decodeURIComponent(document.getElementById('icon').href)"))
    check(f"{name}: the heading says it", b.js("document.querySelector('h1').innerText").startswith(title.split(" · ")[0].strip()))
    check(f"{name}: a screen reader hears it", b.js("document.querySelector('[role=status]').textContent").startswith(title.split(" since")[0].split(" ·")[0]))
    said = b.js("document.body.innerText + [...document.querySelectorAll('[aria-label], [aria-valuetext]')].map(e => e.ariaLabel + ' ' + e.ariaValueText).join()")
    strange = [w for w in ("undefined", "NaN", "Infinity", "Invalid", "[object") if w in said]
    check(f"{name}: no raw value in the text", not strange, strange)
    check(f"{name}: what the node says is text", b.js("document.querySelectorAll('img, iframe, main script').length") == 0)
    for scheme in SCHEMES:
        for width in WIDTHS:
            b.look(width, scheme)
            b.judge(f"{name}-{width}-{scheme}")
            if width != 1600:
                b.shot(f"status-{name}-{width}-{scheme}")
    clean(b, name)


def keyboard(b, url):
    """Goes through the page with the keyboard alone."""
    b.open(url + "isolated/", 1280, "light")
    updates(b, 1)
    focused, path = "document.activeElement", []
    while True:
        b.press(TAB)
        if b.js(f"{focused} === document.body") or len(path) > 60:
            break
        path.append(b.js(f"{focused}.id || {focused}.getAttribute('href') || {focused}.innerText"))
        check(f"the focus on {path[-1]} is visible", b.js(f"getComputedStyle({focused}).outlineStyle") == "solid")
    data = fixture("isolated")
    expected = [c["runbook"] for c in data["verdict"]["causes"]] + ["count-addrs", "at", "The last hour as a table"]
    expected += [x["link"] for x in data["recent_lookups"] if x["link"]] + ["metrics", "healthz", "readyz", "status.json"]
    check("the keyboard reaches every control in the order of the page", path == expected, path)


def charts(b, url):
    """Reads the charts with the keyboard, and with the pointer."""
    b.open(url + "healthy/", 1280, "light")
    updates(b, 1)
    requests = fixture("healthy")["history"]["series"]["requests_in"]
    value, shown = lambda i: b.js(f"rate({requests[i]})"), lambda: b.js("document.querySelector('.read b').textContent")
    when = lambda: b.js("document.getElementById('at-time').textContent")
    check("the charts show now", (when(), shown()) == ("now", value(-1)))
    b.js("document.getElementById('at').focus()")
    b.press(LEFT, 3)
    check("three keys left are three samples ago", shown() == value(-4), shown())
    check("with their time", when().count(":") == 2 and b.js("document.querySelector('.xs b').innerText") == when()[:5])
    check("also for screen readers", f"Requests in {value(-4)}" in b.js("document.getElementById('at').getAttribute('aria-valuetext')"))
    b.shot("status-charts")
    b.press(ESCAPE)
    check("Escape returns to now", (when(), shown()) == ("now", value(-1)))
    box = b.js("document.querySelector('.area').getBoundingClientRect().toJSON()")
    b.cdp("Input.dispatchMouseEvent", type="mouseMoved", x=box["left"] + 1, y=box["top"] + 20)
    check("the pointer shows the value under it", shown() == value(0), shown())
    b.cdp("Input.dispatchMouseEvent", type="mouseMoved", x=1, y=1)
    check("and now when it leaves", shown() == value(-1))
    b.js("charts({...current, history: {...current.history, series: {p95_ms: current.history.series.p95_ms.map((v, i) => i === 60 ? v : null)}}})")
    dot = b.js("(p => [p.getAttribute('d') !== '', parseFloat(getComputedStyle(p).strokeWidth)])(document.querySelectorAll('.chart')[4].querySelector('.p0'))")
    check("a sample between gaps is a dot that can be seen", dot[0] and dot[1] >= 4, dot)
    b.js("charts(current)")
    b.js("document.querySelector('#history-as-table summary').focus()")
    b.press(ENTER)
    until("the table opens", lambda: b.js("document.querySelectorAll('#history tbody tr').length") == 120)
    b.judge("history as a table")


def phone(b, url):
    """Counts the last lookups that a phone shows."""
    b.open(url + "healthy/", 390, "light")
    updates(b, 1)
    seen = lambda: b.js("[...document.querySelectorAll('#recent tbody tr')].filter(r => r.checkVisibility()).map(r => r.innerText.includes('REFRESH'))")
    check("a phone shows ten lookups, and refreshes only beside fewer than ten others", seen() == [False] * 10, seen())
    b.js("recent({recent_lookups: Array.from({length: 20}, () => ({...current.recent_lookups[2]}))}, Date.now())")
    check("and at most three refreshes", seen() == [True] * 3, seen())


def limits(b, url):
    """Compares the bars of what is limited with the data."""
    b.open(url + "overloaded/", 1280, "light")
    updates(b, 1)
    shares = b.js("[...document.querySelectorAll('#limits .bar')].map(x => x.firstChild.getBoundingClientRect().width / x.getBoundingClientRect().width)")
    data = fixture("overloaded")["limits"]
    right = [abs(share - x["used"] / x["limit"]) < 0.01 for share, x in zip(shares, data, strict=True)]
    check("the bars have the length of what they show", all(right), shares)
    near = b.js("[...document.querySelectorAll('#limits li')].filter(x => x.innerText.includes('near its limit')).map(x => x.innerText.split(' ')[0])")
    check("the text names what is near its limit", near == [x["label"] for x in data if x["level"] == "warning"], near)


def live(b, daemon):
    """Makes the daemon send a request, and returns whether the page shows it."""
    daemon.ask("closest", "some key")
    return b.js("[...document.querySelectorAll('#out tbody tr td:nth-child(2)')].some(td => /[1-9]/.test(td.innerText))")


def real_node(b, daemon):
    b.open(daemon.url(), 1280, "light")
    updates(b, 3)
    b.judge("a real node")
    text = b.js("document.body.innerText")
    check("it says who and what", "/browser/kad/1.0.0" in text and "12D3KooW" in text)
    check("buckets are drawn", b.js("document.querySelectorAll('.cells .cell.v').length") == 2)
    check("the ring is drawn", b.js("document.querySelectorAll('.ring path').length") > 64)
    size = "(r => r.width * r.height)(document.querySelector('{}').getBoundingClientRect())"
    check("the routing table is larger than the ring", b.js(size.format("#buckets")) > b.js(size.format(".ring")))
    until("live rates", lambda: live(b, daemon))
    with urllib.request.urlopen(daemon.url() + "status.json") as answer:
        known = list(json.load(answer)["history"]["series"])
    charted = b.js("CHARTS.flatMap(c => c.lines.map(line => line[1]))")
    check("the node has every series that the page charts", set(charted) <= set(known), known)
    b.shot("status-real")
    clean(b, "a real node")
    b.send("POST", "/url", {"url": b.js("document.querySelector('#recent a').href")})
    check("a lookup leads to its explain page", b.js("document.querySelectorAll('td.when rect').length") > 0, b.js("document.title"))
    clean(b, "its explain page")


def silence(b, url, daemon):
    b.open(url, 1280, "light")
    updates(b, 1)
    daemon.process.send_signal(signal.SIGKILL)
    until("the title says NO ANSWER", lambda: b.js("document.title").startswith("NO ANSWER"))
    check("with the time of the data", "the data below is from" in b.js("document.getElementById('why').innerText"))
    b.judge("no answer")
    b.complaints()


def isolation(b, daemon, others):
    """Removes all peers of a daemon."""
    b.open(daemon.url(), 1280, "light")
    for other in others:
        other.process.send_signal(signal.SIGKILL)
    until("the heading says ISOLATED", lambda: b.js("document.querySelector('h1').innerText").startswith("ISOLATED since "))
    check("and in the title", b.js("document.title").startswith("ISOLATED since "))
    check("and in colour", b.js("getComputedStyle(document.getElementById('word')).color != getComputedStyle(document.body).color"))
    check("with a runbook", "#" in b.js("document.querySelector('#why a').href"))
    b.judge("isolated for real")
    b.shot("status-isolated-real")
    b.complaints()


def main():
    daemons = [Daemon("a")]
    try:
        daemons += [Daemon(name, "--bootstrap", daemons[0].addr) for name in ("b", "c")]
        until("two peers", lambda: json.loads(daemons[1].ask("status", "--json"))["verified_peers"] == 2)
        daemons[1].ask("provide", *(f"key {i}" for i in range(100)))
        with browser() as b:
            url = stand_in(daemons[1])
            for name in VERDICTS:
                verdict_page(b, url, name)
            keyboard(b, url)
            charts(b, url)
            phone(b, url)
            limits(b, url)
            real_node(b, daemons[1])
            silence(b, daemons[2].url(), daemons[2])
            isolation(b, daemons[1], (daemons[0], daemons[2]))
    finally:
        for d in daemons:
            d.process.kill()


main()
