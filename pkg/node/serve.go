package node

import (
	"errors"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/multiformats/go-multihash"

	"github.com/holdfast-dht/holdfast/pkg/dht"
	"github.com/holdfast-dht/holdfast/pkg/kad"
	"github.com/holdfast-dht/holdfast/pkg/records"
	"github.com/holdfast-dht/holdfast/pkg/rpc"
	"github.com/holdfast-dht/holdfast/pkg/wire"
)

// serve answers one inbound request and has an unknown sender looked at.
func (n *Node) serve(in rpc.Inbound, req, resp *wire.Message) (bool, error) {
	n.meet(in.From, in.Now)
	r := dht.Request{From: kad.PeerID(in.From), Scope: in.Scope, Message: req}
	if req.Type == wire.PutValue {
		r.Group = rpc.GroupOf(in.Addr, in.Scope)
	}
	return n.handler.Handle(in.Now, r, resp)
}

// meet makes a sender that is not in the table a candidate: a peer that
// registered its handler after identify is seen in no other way. One that is in the
// table has given a sign of life.
func (n *Node) meet(p peer.ID, now time.Time) {
	id := kad.PeerID(p)
	if _, ok := n.view.Load().contacts[id]; ok {
		n.alive.Store(int64(now.Sub(n.started)))
		return
	}
	if n.met.lately(p, now) {
		return
	}
	n.tryDo(func(now time.Time, m *dht.Machine) { m.PeerFound(now, kad.NewPeer(id), false) })
}

// lastAsked is when a peer of the table last asked something. It has a monotonic
// reading, so that no change of the clock puts off the next heartbeat.
func (n *Node) lastAsked() time.Time { return n.started.Add(time.Duration(n.alive.Load())) }

// rejectReasons names the errors of the Handler for metrics.
var rejectReasons = []struct {
	err  error
	name string
}{
	{dht.ErrNoKey, "no_key"},
	{dht.ErrKeyTooLong, "key_too_long"},
	{dht.ErrNoRecord, "no_record"},
	{dht.ErrKeyMismatch, "key_mismatch"},
	{dht.ErrInvalidRecord, "invalid_record"},
	{dht.ErrNoProvider, "no_provider"},
	{dht.ErrUnknownType, rpc.ReasonUnknownType},
	{records.ErrOlder, "older_record"},
	{records.ErrTooLarge, rpc.ReasonTooLarge},
	{records.ErrQuota, "quota"},
	{records.ErrFull, "full"},
	{records.ErrBusy, "busy"},
	{records.ErrClosed, rpc.ReasonClosed},
}

// RejectReasons returns the reasons beside those of package rpc that a request
// may be refused for, as metrics label them.
func RejectReasons() []string {
	out := []string{reasonStorage}
	for _, r := range rejectReasons {
		out = append(out, r.name)
	}
	return out
}

// reasonStorage is for anything that is not the sender's doing.
const reasonStorage = "storage"

// rejectReason names why the Handler refused a request.
func rejectReason(err error) string {
	for _, r := range rejectReasons {
		if errors.Is(err, r.err) {
			return r.name
		}
	}
	return reasonStorage
}

// acksProvider reports whether an ADD_PROVIDER is answered though its request does
// not ask for it: py-libp2p before 0.3 waits for it, and is recognised by keys that
// are no multihash, which no other implementation sends.
func (n *Node) acksProvider(key []byte) bool {
	if !n.cfg.RawKeys {
		return false
	}
	_, err := multihash.Decode(key)
	return err != nil
}
