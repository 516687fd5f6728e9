"""Takes a picture of the status page of a busy node: see .ci/picture."""

import json
import random
import sys
import time

from browser_driver import ENV, Daemon, browser, until

MINUTES = float(sys.argv[4])
NODES, EVERY = 16, 1.5  # seconds between two commands
WIDTH, HEIGHT = 1280, 1010
ENV.update(HOLDFAST_NETWORK__PROTOCOL_PREFIX="/example", HOLDFAST_VALUES__UNVALIDATED_NAMESPACES="example", HOLDFAST_REPUBLISH__INTERVAL="1h")


def command(dice, i):
    """Returns the next command of some user."""
    name = dice.randrange(max(1, i))
    return dice.choice(
        (
            ("provide", f"photo {i}"),
            ("find-providers", f"photo {name}"),
            ("find-providers", f"photo {name}"),
            ("put", f"/example/{i}", "x" * dice.randrange(50, 500)),
            ("get", f"/example/{name}"),
            ("closest", f"photo {name}"),
        )
    )


def main():
    dice = random.Random(1)
    daemons = [Daemon("0")]
    try:
        daemons += [Daemon(str(i), "--bootstrap", daemons[0].addr) for i in range(1, NODES)]
        watched = daemons[3]
        watched.ask("provide", *(f"album {i}" for i in range(600)))
        end = time.monotonic() + 60 * MINUTES
        i = 0
        while time.monotonic() < end:
            daemon = dice.choice(daemons + [watched] * 4)
            daemon.ask(*command(dice, i), check=False)  # what nobody stored is not found
            time.sleep(dice.uniform(0, 2 * EVERY))
            i += 1
        with browser() as b:
            b.open(watched.url(), WIDTH, "light")
            until("two updates", lambda: b.js("Number(document.body.dataset.updates) >= 2"))
            print(json.dumps(b.js("document.title"), ensure_ascii=False))
            b.shot("status", {"x": 0, "y": 0, "width": WIDTH, "height": HEIGHT, "scale": 1})
    finally:
        for d in daemons:
            d.process.kill()


main()
