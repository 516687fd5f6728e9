package wire

import "google.golang.org/protobuf/encoding/protowire"

// TrimTo drops peers and addresses until the message has at most limit bytes, and reports
// whether it has. Lists are ordered nearest first, so it drops in this order: the last
// addresses of the last closer peers, down to one each; the same for provider peers; whole
// closer peers from the end; whole provider peers from the end. It decodes Raw entries that
// must shrink. It never writes to address arrays, so they may be shared.
func (m *Message) TrimTo(limit int) bool {
	excess := m.Size() - limit
	if excess <= 0 {
		return true
	}
	excess = trimAddrs(m.CloserPeers, fieldCloserPeers, excess)
	excess = trimAddrs(m.ProviderPeers, fieldProviderPeers, excess)
	m.CloserPeers, excess = dropLast(m.CloserPeers, fieldCloserPeers, excess)
	m.ProviderPeers, excess = dropLast(m.ProviderPeers, fieldProviderPeers, excess)
	return excess <= 0
}

// trimAddrs drops addresses until the message is excess bytes shorter or each entry has
// at most one. It returns the excess that remains.
func trimAddrs(peers []Peer, num protowire.Number, excess int) int {
	for i := len(peers) - 1; i >= 0 && excess > 0; i-- {
		p := &peers[i]
		before := sizeNested(num, p.size())
		if p.Raw != nil {
			p.decodeRaw()
		}
		after := sizeNested(num, p.size())
		for len(p.Addrs) > 1 && before-after < excess {
			p.Addrs = p.Addrs[:len(p.Addrs)-1]
			after = sizeNested(num, p.size())
		}
		excess -= before - after
	}
	return excess
}

// dropLast drops whole entries from the end until the message is excess bytes shorter.
func dropLast(peers []Peer, num protowire.Number, excess int) ([]Peer, int) {
	for excess > 0 && len(peers) > 0 {
		last := len(peers) - 1
		excess -= sizeNested(num, peers[last].size())
		peers = peers[:last]
	}
	return peers, excess
}

// decodeRaw replaces Raw by the fields it encodes. A Raw that does not decode stays and
// can only be dropped as a whole.
func (p *Peer) decodeRaw() {
	var q Peer
	var spare addrArena
	if err := q.parse(p.Raw, &spare); err == nil && q.ID != "" {
		*p = q
	}
}
