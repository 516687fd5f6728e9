package wire

import "google.golang.org/protobuf/encoding/protowire"

// Field numbers of the protobuf messages (libp2p/specs kad-dht; 666 and 777 are
// rust-libp2p's).
const (
	fieldType          = 1
	fieldKey           = 2
	fieldRecord        = 3
	fieldCloserPeers   = 8
	fieldProviderPeers = 9
	fieldWantsAck      = 11

	fieldPeerID         = 1
	fieldPeerAddrs      = 2
	fieldPeerConnection = 3

	fieldRecordKey          = 1
	fieldRecordValue        = 2
	fieldRecordTimeReceived = 5
	fieldRecordPublisher    = 666
	fieldRecordTTL          = 777
)

// Append appends the encoded message, without a length prefix. It writes known
// fields in ascending order and leaves out empty ones.
func (m *Message) Append(dst []byte) []byte {
	if m.Type != 0 {
		dst = appendVarint(dst, fieldType, uint64(m.Type))
	}
	dst = appendBytes(dst, fieldKey, m.Key)
	if r := m.Record; r != nil {
		dst = protowire.AppendTag(dst, fieldRecord, protowire.BytesType)
		dst = protowire.AppendVarint(dst, uint64(r.size()))
		dst = r.append(dst)
	}
	dst = appendPeers(dst, fieldCloserPeers, m.CloserPeers)
	return appendPeers(dst, fieldProviderPeers, m.ProviderPeers)
}

// Size returns how many bytes Append appends.
func (m *Message) Size() int {
	n := sizeBytes(fieldKey, len(m.Key))
	if m.Type != 0 {
		n += sizeVarint(fieldType, uint64(m.Type))
	}
	if m.Record != nil {
		n += sizeNested(fieldRecord, m.Record.size())
	}
	return n + sizePeers(fieldCloserPeers, m.CloserPeers) + sizePeers(fieldProviderPeers, m.ProviderPeers)
}

// AppendPeer appends the encoded body of p, without field tag and length: what
// Peer.Raw holds. Addresses that would make it longer than MaxPeerEntry are left
// out. A Raw that is set is appended as it is.
func AppendPeer(dst []byte, p *Peer) []byte {
	if p.Raw != nil {
		return append(dst, p.Raw...)
	}
	n, _ := p.fit()
	return p.append(dst, n)
}

// append writes the fields of p with its first n addresses.
func (p *Peer) append(dst []byte, n int) []byte {
	if p.ID != "" {
		dst = protowire.AppendTag(dst, fieldPeerID, protowire.BytesType)
		dst = protowire.AppendString(dst, string(p.ID))
	}
	for _, a := range p.Addrs[:n] {
		dst = protowire.AppendTag(dst, fieldPeerAddrs, protowire.BytesType)
		dst = protowire.AppendBytes(dst, a)
	}
	if p.Connection != 0 {
		dst = appendVarint(dst, fieldPeerConnection, uint64(p.Connection))
	}
	return dst
}

// fit returns how many addresses fit in an entry of MaxPeerEntry bytes, and the size of
// the body with them.
func (p *Peer) fit() (addrs, size int) {
	size = sizeBytes(fieldPeerID, len(p.ID))
	if p.Connection != 0 {
		size += sizeVarint(fieldPeerConnection, uint64(p.Connection))
	}
	for i, a := range p.Addrs {
		n := sizeNested(fieldPeerAddrs, len(a))
		if size+n > MaxPeerEntry {
			return i, size
		}
		size += n
	}
	return len(p.Addrs), size
}

// size returns the length of the entry's body.
func (p *Peer) size() int {
	if p.Raw != nil {
		return len(p.Raw)
	}
	_, n := p.fit()
	return n
}

func appendPeers(dst []byte, num protowire.Number, peers []Peer) []byte {
	for i := range peers {
		p := &peers[i]
		dst = protowire.AppendTag(dst, num, protowire.BytesType)
		if p.Raw != nil {
			dst = protowire.AppendBytes(dst, p.Raw)
			continue
		}
		addrs, size := p.fit()
		dst = protowire.AppendVarint(dst, uint64(size))
		dst = p.append(dst, addrs)
	}
	return dst
}

func sizePeers(num protowire.Number, peers []Peer) int {
	n := 0
	for i := range peers {
		n += sizeNested(num, peers[i].size())
	}
	return n
}

func (r *Record) append(dst []byte) []byte {
	dst = appendBytes(dst, fieldRecordKey, r.Key)
	dst = appendBytes(dst, fieldRecordValue, r.Value)
	if r.TimeReceived != "" {
		dst = protowire.AppendTag(dst, fieldRecordTimeReceived, protowire.BytesType)
		dst = protowire.AppendString(dst, r.TimeReceived)
	}
	dst = appendBytes(dst, fieldRecordPublisher, r.Publisher)
	if r.TTL != 0 {
		dst = appendVarint(dst, fieldRecordTTL, uint64(r.TTL))
	}
	return dst
}

func (r *Record) size() int {
	n := sizeBytes(fieldRecordKey, len(r.Key)) + sizeBytes(fieldRecordValue, len(r.Value)) +
		sizeBytes(fieldRecordTimeReceived, len(r.TimeReceived)) + sizeBytes(fieldRecordPublisher, len(r.Publisher))
	if r.TTL != 0 {
		n += sizeVarint(fieldRecordTTL, uint64(r.TTL))
	}
	return n
}

func appendVarint(dst []byte, num protowire.Number, v uint64) []byte {
	return protowire.AppendVarint(protowire.AppendTag(dst, num, protowire.VarintType), v)
}

// appendBytes leaves out an empty field, as proto3 does.
func appendBytes(dst []byte, num protowire.Number, b []byte) []byte {
	if len(b) == 0 {
		return dst
	}
	return protowire.AppendBytes(protowire.AppendTag(dst, num, protowire.BytesType), b)
}

func sizeVarint(num protowire.Number, v uint64) int {
	return protowire.SizeTag(num) + protowire.SizeVarint(v)
}

// sizeBytes returns the size of a field of n bytes; 0 if it is empty.
func sizeBytes(num protowire.Number, n int) int {
	if n == 0 {
		return 0
	}
	return sizeNested(num, n)
}

// sizeNested returns the size of a field of n bytes that is written even if empty.
func sizeNested(num protowire.Number, n int) int {
	return protowire.SizeTag(num) + protowire.SizeBytes(n)
}
