"""Takes a picture of the status page of a busy node: see .ci/picture."""

import json
import random
import sys
import time

from browser_driver import ENV, Daemon, browser, until

MINUTES = float(sys.argv[4])
NODES, EVERY = 16, 1.5  # seconds between two commands
WIDTH = 1280
ENV.update(HOLDFAST_NETWORK__PROTOCOL_PREFIX="/example", HOLDFAST_VALUES__UNVALIDATED_NAMESPACES="example", HOLDFAST_REPUBLISH__INTERVAL="1h")


def command(dice, stored):
    """Returns the next command of some user; stored has the numbers of what was stored before."""
    i = len(stored)
    if i < 20 or dice.random() < 0.4:
        stored.append(i)
        return ("provide", *(f"photo {i}.{n}" for n in range(5))) if i % 3 else ("put", f"/example/{i}", "x" * dice.randrange(50, 500))
    old = dice.choice(stored)
    return ("find-providers", f"photo {old}.{dice.randrange(6)}") if old % 3 else ("get", f"/example/{old}")


def main():
    dice = random.Random(1)
    daemons = [Daemon("0")]
    try:
        daemons += [Daemon(str(i), "--bootstrap", daemons[0].addr) for i in range(1, NODES)]
        watched = daemons[3]
        end = time.monotonic() + 60 * MINUTES
        stored = []
        while time.monotonic() < end:
            dice.choice(daemons + [watched] * 4).ask(*command(dice, stored), check=False)  # some of it is not found
            time.sleep(dice.uniform(0, 2 * EVERY))
        with browser() as b:
            b.open(watched.url(), WIDTH, "light")
            until("two updates", lambda: b.js("Number(document.body.dataset.updates) >= 2"))
            print(json.dumps(b.js("document.title"), ensure_ascii=False))
            height = b.js("document.querySelector('.columns').getBoundingClientRect().bottom")
            b.shot("status", {"x": 0, "y": 0, "width": WIDTH, "height": height, "scale": 1})
    finally:
        for d in daemons:
            d.process.kill()


main()
