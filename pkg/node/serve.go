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

// serve answers one inbound request and reports its sender to the loop.
func (n *Node) serve(in rpc.Inbound, req, resp *wire.Message) (bool, error) {
	n.meet(in.From, in.Now)
	r := dht.Request{From: kad.PeerID(in.From), Scope: in.Scope, Message: req}
	if req.Type == wire.PutValue {
		r.Group = rpc.GroupOf(in.Addr, in.Scope)
	}
	return n.handler.Handle(in.Now, r, resp)
}

// meet makes a candidate of a sender that is not in the table: a peer that registered its
// protocol handler after identify can be found in no other way. A sender in the table
// proves that the network is up.
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

// lastAsked returns when a peer of the table last sent a request. The time has a monotonic
// reading, so that a change of the clock does not delay the next heartbeat.
func (n *Node) lastAsked() time.Time { return n.started.Add(time.Duration(n.alive.Load())) }

// The reasons for which a node refuses requests, in addition to those of package rpc, as
// metrics label them.
const (
	ReasonNoKey      = "no_key"
	ReasonLongKey    = "key_too_long"
	ReasonNoRecord   = "no_record"
	ReasonMismatch   = "key_mismatch"      // the record is for another key than the request
	ReasonNamespace  = "unknown_namespace" // this node accepts no values under such keys
	ReasonInvalid    = "invalid_record"
	ReasonNoProvider = "no_provider"
	ReasonOlder      = "older_record"
	ReasonQuota      = "quota"
	ReasonFull       = "full"
	ReasonBusy       = "busy"
	ReasonStorage    = "storage" // all errors that the sender does not cause
)

// rejectReasons maps the Handler's errors to the labels of metrics.
var rejectReasons = []struct {
	err  error
	name string
}{
	{dht.ErrNoKey, ReasonNoKey},
	{dht.ErrKeyTooLong, ReasonLongKey},
	{dht.ErrNoRecord, ReasonNoRecord},
	{dht.ErrKeyMismatch, ReasonMismatch},
	{ErrInvalidKey, ReasonNamespace}, // it is an ErrInvalidRecord too
	{dht.ErrInvalidRecord, ReasonInvalid},
	{dht.ErrNoProvider, ReasonNoProvider},
	{dht.ErrUnknownType, rpc.ReasonUnknownType},
	{records.ErrOlder, ReasonOlder},
	{records.ErrTooLarge, rpc.ReasonTooLarge},
	{records.ErrQuota, ReasonQuota},
	{records.ErrFull, ReasonFull},
	{records.ErrBusy, ReasonBusy},
	{records.ErrClosed, rpc.ReasonClosed},
}

// RejectReasons returns the reasons for which a node refuses requests. They include some
// reasons of package rpc.
func RejectReasons() []string {
	out := []string{ReasonStorage}
	for _, r := range rejectReasons {
		out = append(out, r.name)
	}
	return out
}

// rejectReason returns the reason for an error of the Handler.
func rejectReason(err error) string {
	for _, r := range rejectReasons {
		if errors.Is(err, r.err) {
			return r.name
		}
	}
	return ReasonStorage
}

// acksProvider reports whether an ADD_PROVIDER gets an answer although its field 11 is
// absent. py-libp2p before 0.3 waits for one. Its keys are not multihashes, and no other
// implementation sends such keys.
func (n *Node) acksProvider(key []byte) bool {
	if !n.cfg.RawKeys {
		return false
	}
	_, err := multihash.Decode(key)
	return err != nil
}
