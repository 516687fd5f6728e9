"""The calls of py-libp2p 0.4.0's Kademlia demo, with a text key.

That release decodes every value key as UTF-8, which the 32-byte key of its own demo
is not: the demo fails as a server before anything is sent, and as a client once it
has found the value. This does the same with keys that are text.

    python demo040.py server|client BOOTSTRAP
"""

import secrets
import sys

import trio
from multiaddr import Multiaddr

from libp2p import new_host
from libp2p.crypto.secp256k1 import create_new_key_pair
from libp2p.kad_dht.kad_dht import DHTMode, KadDHT
from libp2p.tools.async_service import background_trio_service
from libp2p.tools.utils import info_from_p2p_addr

KEY = b"holdfast interop key"
VALUE = b"Hello from py-libp2p 0.4.0"
CONTENT = b"holdfast interop content"


def say(text: str) -> None:
    print(text, flush=True)


async def serve(dht: KadDHT) -> None:
    await dht.put_value(KEY, VALUE)
    say("Stored value")
    if await dht.provider_store.provide(CONTENT):
        say("Successfully advertised as server")
    else:
        say("Failed to advertise")


async def ask(dht: KadDHT) -> None:
    value = await dht.get_value(KEY)
    say(f"Retrieved value: {value.decode()}" if value else "Failed to retrieve value")
    found = await dht.provider_store.find_providers(CONTENT)
    ids = [p.peer_id.pretty() for p in found]
    say(f"Found {len(ids)} servers for content: {ids}")


async def main(mode: str, bootstrap: str) -> None:
    host = new_host(key_pair=create_new_key_pair(secrets.token_bytes(32)))
    listen = Multiaddr("/ip4/127.0.0.1/tcp/0")
    async with host.run(listen_addrs=[listen]), trio.open_nursery() as nursery:
        nursery.start_soon(host.get_peerstore().start_cleanup_task, 60)
        for addr in host.get_addrs():
            say(f"listening on {addr}")
        peer = info_from_p2p_addr(Multiaddr(bootstrap))
        host.get_peerstore().add_addrs(peer.peer_id, peer.addrs, 3600)
        await host.connect(peer)
        dht = KadDHT(host, DHTMode.SERVER if mode == "server" else DHTMode.CLIENT)
        for peer_id in host.get_peerstore().peer_ids():
            await dht.routing_table.add_peer(peer_id)
        async with background_trio_service(dht):
            say(f"DHT service started in {mode.upper()} mode")
            await (serve if mode == "server" else ask)(dht)
            await trio.sleep_forever()


trio.run(main, sys.argv[1], sys.argv[2])
