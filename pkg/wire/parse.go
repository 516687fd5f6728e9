package wire

import (
	"errors"
	"fmt"
	"io"
	"math"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/holdfast-dht/holdfast/pkg/kad"
)

// unknownType replaces every number of Message.type that does not fit in Type.
const unknownType = Type(math.MaxUint8)

// Parse decodes one message. The byte slices of the result alias b.
func Parse(b []byte) (*Message, error) {
	m := new(Message)
	if err := m.Parse(b); err != nil {
		return nil, err
	}
	return m, nil
}

// Parse decodes one message into m and reuses m's peer and address slices. Byte slices
// alias b, so a caller that keeps them copies them. Parse skips unknown fields, and
// peers and addresses beyond the limits. Type >= NumTypes means an unknown type. After
// an error the content of m is undefined.
func (m *Message) Parse(b []byte) error {
	*m = Message{CloserPeers: m.CloserPeers[:0], ProviderPeers: m.ProviderPeers[:0]}
	if len(b) == 0 {
		return ErrEmptyFrame
	}
	return m.parse(b, MaxProviderPeers)
}

// ParsePart decodes whole fields of a message that is read in parts (see
// FrameReader.Part) and adds them to m. It keeps all provider peers of the part: the
// caller limits the size of parts, and removes the peers from m between them.
func (m *Message) ParsePart(b []byte) error {
	return m.parse(b, max(MaxProviderPeers, len(b)/minPeerEntry))
}

// parse adds the fields in b to m, which keeps at most that many provider peers.
func (m *Message) parse(b []byte, providers int) error {
	var spare addrArena
	for len(b) > 0 {
		f, n := readField(b)
		if n < 0 {
			return ErrMalformed
		}
		b = b[n:]
		if err := m.set(&f, &spare, providers); err != nil {
			return err
		}
	}
	return nil
}

// WholeFields returns how many bytes at the start of b are whole fields of a message; it
// is negative if b is malformed.
func WholeFields(b []byte) int {
	whole := 0
	for whole < len(b) {
		_, n := readField(b[whole:])
		switch {
		case n > 0:
			whole += n
		case errors.Is(protowire.ParseError(n), io.ErrUnexpectedEOF):
			return whole
		default:
			return n
		}
	}
	return whole
}

// set stores one field of the message.
func (m *Message) set(f *field, spare *addrArena, providers int) (err error) {
	switch f.num {
	case fieldType:
		m.Type = Type(min(f.val, uint64(unknownType)))
		return f.want(protowire.VarintType)
	case fieldKey:
		m.Key = f.bytes
		return f.want(protowire.BytesType)
	case fieldRecord:
		if m.Record == nil {
			m.Record = new(Record)
		}
		if err := f.want(protowire.BytesType); err != nil {
			return err
		}
		return m.Record.parse(f.bytes)
	case fieldCloserPeers:
		m.CloserPeers, err = addPeer(m.CloserPeers, MaxCloserPeers, f, spare)
		return err
	case fieldProviderPeers:
		m.ProviderPeers, err = addPeer(m.ProviderPeers, providers, f, spare)
		return err
	case fieldWantsAck:
		m.WantsAck = true // py-libp2p sends bytes; a draft of the specification has an enum
	}
	return nil
}

// usualPeers is how many entries a list has room for at first. An answer names up to 20
// closer peers, and its target beside them. Most keys have one or two providers, and an
// announcement names one, so a longer list of them grows.
func usualPeers(num protowire.Number) int {
	if num == fieldCloserPeers {
		return 21
	}
	return 2
}

// addPeer appends the entry in f to peers, unless limit is reached or the entry has no
// usable peer ID.
func addPeer(peers []Peer, limit int, f *field, spare *addrArena) ([]Peer, error) {
	if err := f.want(protowire.BytesType); err != nil || len(peers) >= limit {
		return peers, err
	}
	if peers == nil {
		peers = make([]Peer, 0, usualPeers(f.num))
	}
	n := len(peers)
	if n < cap(peers) {
		peers = peers[:n+1]
	} else {
		peers = append(peers, Peer{})
	}
	if err := peers[n].parse(f.bytes, spare); err != nil {
		return peers[:n], err
	}
	if peers[n].ID == "" {
		peers = peers[:n]
	}
	return peers, nil
}

// parse decodes an entry into p and reuses p's old address slice, and its old ID string
// if the ID is the same.
func (p *Peer) parse(b []byte, spare *addrArena) error {
	old := p.ID
	addrs := spare.take(p.Addrs)
	*p = Peer{}
	for len(b) > 0 {
		f, n := readField(b)
		if n < 0 {
			return ErrMalformed
		}
		b = b[n:]
		switch f.num {
		case fieldPeerID:
			if err := f.want(protowire.BytesType); err != nil {
				return err
			}
			p.setID(f.bytes, old)
		case fieldPeerAddrs:
			if err := f.want(protowire.BytesType); err != nil {
				return err
			}
			if l := len(f.bytes); l > 0 && l <= MaxAddrLen && len(addrs) < MaxPeerAddrs {
				addrs = append(addrs, f.bytes)
			}
		case fieldPeerConnection:
			if err := f.want(protowire.VarintType); err != nil {
				return err
			}
			p.Connection = connectionOf(f.val)
		}
	}
	p.Addrs = addrs
	kept, _ := p.fit()
	p.Addrs = spare.give(addrs[:kept])
	return nil
}

// setID sets the ID, or leaves it empty if b is not a possible ID.
func (p *Peer) setID(b []byte, old kad.PeerID) {
	switch {
	case len(b) > MaxPeerIDLen:
		p.ID = ""
	case string(b) == string(old):
		p.ID = old
	default:
		p.ID = kad.PeerID(b)
	}
}

func connectionOf(v uint64) Connection {
	if v > uint64(CannotConnect) {
		return NotConnected
	}
	return Connection(v)
}

func (r *Record) parse(b []byte) error {
	for len(b) > 0 {
		f, n := readField(b)
		if n < 0 {
			return ErrMalformed
		}
		b = b[n:]
		if err := r.set(&f); err != nil {
			return err
		}
	}
	return nil
}

// set stores one field of the record. It skips fields 3 and 4, formerly author and
// signature, which py-libp2p sends with any wire type.
func (r *Record) set(f *field) error {
	switch f.num {
	case fieldRecordKey:
		r.Key = f.bytes
		return f.want(protowire.BytesType)
	case fieldRecordValue:
		r.Value = f.bytes
		return f.want(protowire.BytesType)
	case fieldRecordTimeReceived:
		if f.typ == protowire.BytesType && len(f.bytes) <= maxTimeReceived {
			r.TimeReceived = string(f.bytes) // py-libp2p sends a float, which is of no use
		}
	case fieldRecordPublisher:
		r.Publisher = f.bytes
		return f.want(protowire.BytesType)
	case fieldRecordTTL:
		r.TTL = uint32(min(f.val, math.MaxUint32))
		return f.want(protowire.VarintType)
	}
	return nil
}

// field is one decoded field: val for a varint, bytes for a byte string, neither for a
// fixed-width number.
type field struct {
	num   protowire.Number
	typ   protowire.Type
	val   uint64
	bytes []byte
}

// want returns ErrMalformed if the field has another wire type than typ.
func (f *field) want(typ protowire.Type) error {
	if f.typ != typ {
		return fmt.Errorf("%w: field %d has wire type %d", ErrMalformed, f.num, f.typ)
	}
	return nil
}

// isGroup is the length that readField returns for a group. It is not one of protowire's
// error codes.
const isGroup = -100

// readField decodes the first field of b and returns its length; it is negative if b is
// malformed or starts with a group.
func readField(b []byte) (f field, n int) {
	// Nearly every field is a byte string with a tag and a length of one byte.
	if len(b) >= 2 && b[0]>>3-1 < 15 && b[0]&7 == byte(protowire.BytesType) && int(b[1]) <= len(b)-2 && b[1] < 0x80 {
		n = 2 + int(b[1])
		return field{num: protowire.Number(b[0] >> 3), typ: protowire.BytesType, bytes: b[2:n:n]}, n
	}
	num, typ, n := protowire.ConsumeTag(b)
	if n < 0 {
		return f, n
	}
	f.num, f.typ = num, typ
	var v int
	switch typ {
	case protowire.VarintType:
		f.val, v = protowire.ConsumeVarint(b[n:])
	case protowire.BytesType:
		f.bytes, v = protowire.ConsumeBytes(b[n:])
	case protowire.Fixed32Type:
		_, v = protowire.ConsumeFixed32(b[n:])
	case protowire.Fixed64Type:
		_, v = protowire.ConsumeFixed64(b[n:])
	default:
		return f, isGroup
	}
	if v < 0 {
		return f, v
	}
	return f, n + v
}
