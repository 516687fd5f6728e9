package dht

import (
	"cmp"
	"errors"
	"fmt"
	"time"

	"github.com/holdfast-dht/holdfast/pkg/kad"
	"github.com/holdfast-dht/holdfast/pkg/records"
	"github.com/holdfast-dht/holdfast/pkg/wire"
)

// Errors of Handle. The driver resets the stream.
var (
	// ErrNoKey is returned for an empty key.
	ErrNoKey = errors.New("empty key")
	// ErrKeyTooLong is returned for a key longer than its limit.
	ErrKeyTooLong = errors.New("key too long")
	// ErrNoRecord is returned for a PUT_VALUE without a record.
	ErrNoRecord = errors.New("no record")
	// ErrKeyMismatch is returned when the message and its record have different keys.
	ErrKeyMismatch = errors.New("record is for another key")
	// ErrInvalidRecord is returned when a record fails validation.
	ErrInvalidRecord = errors.New("invalid record")
	// ErrNoProvider is returned for an ADD_PROVIDER that does not name its sender with
	// at least one usable address.
	ErrNoProvider = errors.New("no usable provider entry of the sender")
	// ErrUnknownType is returned for an unknown message type.
	ErrUnknownType = errors.New("unknown message type")
)

// MaxProvidersPerReply bounds the providers in one answer. Together with 20 closer
// peers it is close to 16 KiB, the most that rust-libp2p reads.
const MaxProvidersPerReply = 100

// Neighbours is where the Handler gets other peers from. Its implementation answers
// from an immutable view of the routing table.
type Neighbours interface {
	// Closer appends to dst the up to n verified peers nearest to target that have
	// addresses in the scope, nearest first, without this node and the asker.
	Closer(dst []wire.Peer, target kad.Key, n int, asker kad.PeerID, scope wire.Scope) []wire.Peer
	// Find returns one peer with its known addresses in the scope. It may be any peer:
	// also this node, the asker or a client. False if no address is known.
	Find(id kad.PeerID, scope wire.Scope) (wire.Peer, bool)
	// Said appends to dst the addresses in the scope that a peer has reported about
	// itself, if it is in the table or connected.
	Said(dst [][]byte, id kad.PeerID, scope wire.Scope) [][]byte
}

// HandlerConfig configures a Handler. Zero numbers mean the package's defaults.
type HandlerConfig struct {
	Self       kad.PeerID
	Store      records.Store
	Neighbours Neighbours
	// Validate checks a value against its key, including the namespace.
	Validate func(key, value []byte) error
	// End returns when a valid value expires by its own content; zero: never. Nil: no
	// value does.
	End func(key, value []byte) time.Time
	// Better chooses between a stored and an offered value.
	Better records.Better
	// Judge lowers the expiry of a stored value to the time until which it may be
	// served. Nil: every stored expiry is right.
	Judge func(v *records.Value)
	// FilterAddrs appends to dst the addresses of a peer that fit the scope: each once,
	// without the peer's own ID, and none that names another peer.
	FilterAddrs func(dst [][]byte, id kad.PeerID, addrs [][]byte, scope wire.Scope) [][]byte

	// KeyOf hashes the key of a request; nil: kad.KeyOf. A simulator caches hashes.
	KeyOf func(preimage []byte) kad.Key

	// AckProvider reports whether an ADD_PROVIDER for the key is answered even if the
	// request does not ask for it; nil: never.
	AckProvider func(key []byte) bool

	Replicas                int
	MaxValueTTL             time.Duration
	ProviderTTL             time.Duration
	MaxValueSize            int
	MaxProvidersPerReply    int
	MaxAddressesPerProvider int // of a provider; the first ones are kept
	MaxReply                int // bytes

	// Over is called when a quota cut or refused a record; nil: not called.
	Over func(records.Quota)
}

// Handler serves the six RPCs. It is safe for concurrent use if its parts are.
type Handler struct{ cfg HandlerConfig }

// NewHandler returns a Handler with the given parts.
func NewHandler(cfg HandlerConfig) *Handler {
	cfg.Replicas = cmp.Or(cfg.Replicas, Replicas)
	cfg.MaxValueSize = cmp.Or(cfg.MaxValueSize, records.DefaultMaxValueSize)
	cfg.MaxProvidersPerReply = cmp.Or(cfg.MaxProvidersPerReply, MaxProvidersPerReply)
	cfg.MaxAddressesPerProvider = cmp.Or(cfg.MaxAddressesPerProvider, records.MaxAddressesPerProvider)
	cfg.MaxReply = cmp.Or(cfg.MaxReply, wire.MaxReply)
	cfg.MaxValueTTL = cmp.Or(cfg.MaxValueTTL, records.MaxTTL)
	cfg.ProviderTTL = cmp.Or(cfg.ProviderTTL, records.MaxTTL)
	if cfg.Over == nil {
		cfg.Over = func(records.Quota) {}
	}
	if cfg.KeyOf == nil {
		cfg.KeyOf = kad.KeyOf
	}
	if cfg.End == nil {
		cfg.End = func(_, _ []byte) time.Time { return time.Time{} }
	}
	if cfg.Judge == nil {
		cfg.Judge = func(*records.Value) {}
	}
	return &Handler{cfg: cfg}
}

// Request is one inbound RPC.
type Request struct {
	From    kad.PeerID
	Scope   wire.Scope // of the connection it came on
	Group   string     // IP group of that connection, opaque; needed for PUT_VALUE only
	Message *wire.Message
}

// Handle serves one request. It fills resp and reports whether to send it. An error
// rejects the request.
func (h *Handler) Handle(now time.Time, req Request, resp *wire.Message) (reply bool, err error) {
	msg := req.Message
	resp.Type, resp.Key = msg.Type, msg.Key
	switch msg.Type {
	case wire.Ping:
		return true, nil
	case wire.FindNode:
		err = h.findNode(req, resp)
	case wire.GetValue:
		err = h.getValue(now, req, resp)
	case wire.PutValue:
		err = h.putValue(now, req, resp)
	case wire.GetProviders:
		err = h.getProviders(now, req, resp)
	case wire.AddProvider:
		ack := msg.WantsAck || h.cfg.AckProvider != nil && h.cfg.AckProvider(msg.Key)
		return ack, h.addProvider(now, req, ack)
	default:
		err = ErrUnknownType
	}
	if err != nil {
		return false, err
	}
	resp.TrimTo(h.cfg.MaxReply)
	return true, nil
}

func (h *Handler) findNode(req Request, resp *wire.Message) error {
	key := req.Message.Key
	if len(key) == 0 {
		return ErrNoKey
	}
	resp.CloserPeers = h.closer(resp.CloserPeers[:0], req)
	if len(resp.CloserPeers) > 0 && resp.CloserPeers[0].ID == kad.PeerID(key) {
		return nil // the peer itself is already first
	}
	id := req.From
	if string(key) != string(id) { // a probe asks for itself: no copy
		id = kad.PeerID(key)
	}
	if p, ok := h.cfg.Neighbours.Find(id, req.Scope); ok {
		resp.CloserPeers = append(resp.CloserPeers, wire.Peer{})
		copy(resp.CloserPeers[1:], resp.CloserPeers)
		resp.CloserPeers[0] = p
	}
	return nil
}

func (h *Handler) closer(dst []wire.Peer, req Request) []wire.Peer {
	return h.cfg.Neighbours.Closer(dst, h.cfg.KeyOf(req.Message.Key), h.cfg.Replicas, req.From, req.Scope)
}

func (h *Handler) getValue(now time.Time, req Request, resp *wire.Message) error {
	key := req.Message.Key
	if len(key) == 0 {
		return ErrNoKey
	}
	resp.CloserPeers = h.closer(resp.CloserPeers[:0], req)
	if len(key) > records.MaxValueKeyLen {
		return nil // no value can have such a key
	}
	v, err := h.cfg.Store.Value(now, key)
	switch {
	case errors.Is(err, records.ErrNotFound):
		return nil
	case err != nil:
		return err
	}
	h.cfg.Judge(&v)
	if ttl, ok := records.RemainingSeconds(now, v.Expires); ok {
		resp.Record = &wire.Record{
			Key: v.Key, Value: v.Value, Publisher: v.Publisher, TTL: ttl,
			TimeReceived: v.Received.UTC().Format(time.RFC3339Nano),
		}
	}
	return nil
}

func (h *Handler) putValue(now time.Time, req Request, resp *wire.Message) error {
	msg := req.Message
	switch {
	case len(msg.Key) == 0:
		return ErrNoKey
	case len(msg.Key) > records.MaxValueKeyLen:
		return ErrKeyTooLong
	case msg.Record == nil:
		return ErrNoRecord
	case string(msg.Key) != string(msg.Record.Key):
		return ErrKeyMismatch
	case len(msg.Record.Value) > h.cfg.MaxValueSize:
		h.cfg.Over(records.QuotaValueBytes)
		return fmt.Errorf("put value: %w", records.ErrTooLarge)
	}
	if err := h.cfg.Validate(msg.Key, msg.Record.Value); err != nil {
		return fmt.Errorf("%w: %w", ErrInvalidRecord, err)
	}
	v := records.Value{
		Key: msg.Key, Value: msg.Record.Value, Publisher: msg.Record.Publisher,
		Received: now, Expires: records.Expiry(now, records.WireTTL(msg.Record.TTL), h.cfg.MaxValueTTL),
		Ends:    h.cfg.End(msg.Key, msg.Record.Value),
		Account: records.Account{Peer: req.From, Group: req.Group},
	}
	if err := h.cfg.Store.PutValue(now, v, h.cfg.Better); err != nil {
		return err
	}
	resp.Record = &wire.Record{Key: v.Key, Value: v.Value, TTL: msg.Record.TTL}
	return nil
}

func (h *Handler) getProviders(now time.Time, req Request, resp *wire.Message) error {
	key := req.Message.Key
	if err := checkProviderKey(key); err != nil {
		return err
	}
	resp.CloserPeers = h.closer(resp.CloserPeers[:0], req)
	ps, err := h.cfg.Store.Providers(nil, now, key, h.cfg.MaxProvidersPerReply)
	if err != nil {
		return err
	}
	resp.ProviderPeers = resp.ProviderPeers[:0]
	for i := range ps {
		resp.ProviderPeers = append(resp.ProviderPeers, h.provider(&ps[i], req.Scope))
	}
	return nil
}

// provider returns a provider with its addresses: first those it reports about itself
// now, then those of its record, which may be a day old. If it has neither, or is this
// node, with the addresses known here.
func (h *Handler) provider(p *records.Provider, scope wire.Scope) wire.Peer {
	if p.ID != h.cfg.Self {
		addrs := append(h.cfg.Neighbours.Said(nil, p.ID, scope), p.Addrs...)
		if addrs = h.cfg.FilterAddrs(addrs[:0], p.ID, addrs, scope); len(addrs) > 0 {
			return wire.Peer{ID: p.ID, Addrs: addrs[:min(len(addrs), h.cfg.MaxAddressesPerProvider)]}
		}
	}
	if known, ok := h.cfg.Neighbours.Find(p.ID, scope); ok {
		return known
	}
	return wire.Peer{ID: p.ID}
}

// addProvider stores the sender's own provider record. If it will be acknowledged, the
// record is durable before.
func (h *Handler) addProvider(now time.Time, req Request, ack bool) error {
	msg := req.Message
	if err := checkProviderKey(msg.Key); err != nil {
		return err
	}
	for i := range msg.ProviderPeers {
		if msg.ProviderPeers[i].ID != req.From {
			continue
		}
		addrs := h.cfg.FilterAddrs(nil, req.From, msg.ProviderPeers[i].Addrs, req.Scope)
		if len(addrs) == 0 {
			continue
		}
		if len(addrs) > h.cfg.MaxAddressesPerProvider {
			h.cfg.Over(records.QuotaAddressesPerProvider)
			addrs = addrs[:h.cfg.MaxAddressesPerProvider]
		}
		p := records.Provider{
			ID: req.From, Addrs: addrs,
			Expires:     now.Add(h.cfg.ProviderTTL),
			AddrsExpire: now.Add(min(records.ProviderAddrTTL, h.cfg.ProviderTTL)),
		}
		err := h.cfg.Store.AddProvider(now, msg.Key, p, ack)
		if !ack && errors.Is(err, records.ErrBusy) {
			// The sender waits for the disk; otherwise its record would be lost. Its
			// stream is not read meanwhile.
			err = h.cfg.Store.AddProvider(now, msg.Key, p, true)
		}
		return err
	}
	return ErrNoProvider
}

func checkProviderKey(key []byte) error {
	switch {
	case len(key) == 0:
		return ErrNoKey
	case len(key) > records.MaxKeyLen:
		return ErrKeyTooLong
	}
	return nil
}
