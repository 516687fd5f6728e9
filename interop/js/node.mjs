// A js-libp2p node with @libp2p/kad-dht that is driven over standard input and
// output, one JSON object per line. Request: {"id": 1, "op": "findPeer", ...};
// answer: {"id": 1, "ok": {...}} or {"id": 1, "error": "..."}. The first line
// printed is {"ready": {"peer": ..., "addrs": [...]}}. Bytes are sent as hex.
//
//   node --import ./node20.mjs node.mjs [--client]
import { createInterface } from 'node:readline'
import { noise } from '@chainsafe/libp2p-noise'
import { yamux } from '@chainsafe/libp2p-yamux'
import { generateKeyPair } from '@libp2p/crypto/keys'
import { identify } from '@libp2p/identify'
import { kadDHT, passthroughMapper } from '@libp2p/kad-dht'
import { peerIdFromString } from '@libp2p/peer-id'
import { ping } from '@libp2p/ping'
import { tcp } from '@libp2p/tcp'
import { multiaddr } from '@multiformats/multiaddr'
import { createIPNSRecord, marshalIPNSRecord, multihashToIPNSRoutingKey, unmarshalIPNSRecord } from 'ipns'
import { ipnsSelector } from 'ipns/selector'
import { ipnsValidator } from 'ipns/validator'
import { createLibp2p } from 'libp2p'
import { CID } from 'multiformats/cid'

const hex = (bytes) => Buffer.from(bytes).toString('hex')
const unhex = (text) => new Uint8Array(Buffer.from(text, 'hex'))
const print = (object) => process.stdout.write(JSON.stringify(object) + '\n')

const libp2p = await createLibp2p({
  addresses: { listen: ['/ip4/127.0.0.1/tcp/0'] },
  transports: [tcp()],
  connectionEncrypters: [noise()],
  streamMuxers: [yamux()],
  services: {
    identify: identify(),
    ping: ping(),
    dht: kadDHT({
      protocol: '/ipfs/kad/1.0.0',
      clientMode: process.argv.includes('--client'),
      peerInfoMapper: passthroughMapper,
      validators: { ipns: ipnsValidator },
      selectors: { ipns: ipnsSelector }
    })
  }
})
const dht = libp2p.services.dht

const info = (peer) => ({ peer: peer.id.toString(), addrs: peer.multiaddrs.map(String) })

// The events of one query, reduced to what the tests read.
async function collect (events) {
  const out = { answered: [], errors: [], providers: [], closest: [], value: null, peer: null }
  for await (const e of events) {
    switch (e.name) {
      case 'PEER_RESPONSE': out.answered.push(e.from.toString()); break
      case 'QUERY_ERROR': out.errors.push(`${e.from}: ${e.error.message}`); break
      case 'PROVIDER': out.providers.push(...e.providers.map(info)); break
      case 'FINAL_PEER': out.peer = info(e.peer); out.closest.push(e.peer.id.toString()); break
      case 'VALUE': out.value = hex(e.value); break
    }
  }
  return out
}

const ops = {
  async connect ({ addr }, options) {
    const c = await libp2p.dial(multiaddr(addr), options)
    return { connected: c.remotePeer.toString() }
  },
  async table () {
    return { size: dht.routingTable.size, mode: dht.getMode() }
  },
  async refresh (_, options) {
    await dht.refreshRoutingTable(options)
    return { size: dht.routingTable.size }
  },
  async ping ({ addr }, options) {
    return { ms: await libp2p.services.ping.ping(multiaddr(addr), options) }
  },
  async findPeer ({ peer }, options) {
    return await collect(dht.findPeer(peerIdFromString(peer), options))
  },
  async closest ({ key }, options) {
    return await collect(dht.getClosestPeers(unhex(key), options))
  },
  async provide ({ cid }, options) {
    return await collect(dht.provide(CID.parse(cid), options))
  },
  async findProviders ({ cid }, options) {
    return await collect(dht.findProviders(CID.parse(cid), options))
  },
  async put ({ key, value }, options) {
    return await collect(dht.put(unhex(key), unhex(value), options))
  },
  async get ({ key }, options) {
    return await collect(dht.get(unhex(key), options))
  },
  // Signs a new IPNS record; the caller puts it.
  async ipns ({ path, sequence }) {
    const key = await generateKeyPair('Ed25519')
    const record = await createIPNSRecord(key, path, sequence ?? 1, 3600 * 1000)
    return {
      key: hex(multihashToIPNSRoutingKey(key.publicKey.toMultihash())),
      value: hex(marshalIPNSRecord(record))
    }
  },
  // Parses and validates an IPNS record of another node.
  async checkIpns ({ key, value }) {
    await ipnsValidator(unhex(key), unhex(value))
    const record = unmarshalIPNSRecord(unhex(value))
    return { path: record.value, sequence: Number(record.sequence) }
  },
  async stop () {
    setImmediate(async () => {
      await libp2p.stop()
      process.exit(0)
    })
    return {}
  }
}

print({ ready: { peer: libp2p.peerId.toString(), addrs: libp2p.getMultiaddrs().map(String) } })

const lines = createInterface({ input: process.stdin })
lines.on('line', async (line) => {
  const request = JSON.parse(line)
  try {
    const ok = await ops[request.op](request, { signal: AbortSignal.timeout(request.ms ?? 60_000) })
    print({ id: request.id, ok })
  } catch (err) {
    print({ id: request.id, error: `${err.name}: ${err.message}`, stack: err.stack })
  }
})
lines.on('close', () => process.exit(0))
