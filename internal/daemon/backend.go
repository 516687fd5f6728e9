package daemon

import (
	"context"
	"encoding/base64"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"

	"github.com/holdfast-dht/holdfast/internal/api"
	"github.com/holdfast-dht/holdfast/internal/usage"
	"github.com/holdfast-dht/holdfast/pkg/kad"
	"github.com/holdfast-dht/holdfast/pkg/node"
	"github.com/holdfast-dht/holdfast/pkg/records"
)

var _ api.Backend = (*Backend)(nil)

// Backend is the api.Backend of a node in this process. Safe for concurrent use.
type Backend struct {
	node *node.Node
	logs *Logs
	// usage counts the cost of each peer; nil: not counted. held returns how many records
	// each peer has here; it is set if usage is.
	usage *usage.Account
	held  func([]kad.PeerID) ([]int, error)
	// overview returns the data of the status page; nil: this is no daemon.
	overview func(context.Context) (api.Overview, error)
	// health returns the health of the daemon; nil: this is no daemon.
	health func(context.Context) api.Health
	// describe adds the daemon's part of the status; nil: this is no daemon.
	describe func(*node.Status, *api.Status)
	// judge returns the verdict on the daemon; nil: this is no daemon.
	judge func(*node.Status, *api.Status) api.Verdict
	// bundle returns the files of a debug bundle; nil: not supported.
	bundle func() []bundleFile
	// backup writes a copy of the database; nil: there is no database.
	backup func(io.Writer) (int64, error)
}

// Identity implements api.Backend.
func (b *Backend) Identity(context.Context) (api.Identity, error) {
	h := b.node.Host()
	id := api.Identity{
		PeerID:   h.ID().String(),
		Addrs:    fullAddrs(h.ID(), h.Addrs()),
		Agent:    Agent(),
		Protocol: string(b.node.Protocol()),
	}
	if pub := h.Peerstore().PubKey(h.ID()); pub != nil {
		data, err := crypto.MarshalPublicKey(pub)
		if err != nil {
			return id, err
		}
		id.PublicKey = base64.StdEncoding.EncodeToString(data)
	}
	return id, nil
}

// Status implements api.Backend.
func (b *Backend) Status(context.Context) (api.Status, error) {
	s := b.node.Status()
	out := b.status(&s)
	if b.judge != nil {
		out.Verdict = b.judge(&s, &out)
	}
	return out, nil
}

func (b *Backend) status(s *node.Status) api.Status {
	out := api.Status{
		State: stateReady, PeerID: s.ID.String(), Mode: string(s.Mode), Serving: s.Serving,
		Reachability: strings.ToLower(s.Reachability), UptimeSeconds: s.Uptime.Seconds(),
		TablePeers: s.TablePeers, VerifiedPeers: s.VerifiedPeers, RestoredPeers: s.RestoredPeers,
		ConnectedPeers: s.Connected, Queries: s.Queries, NetworkSize: s.NetworkSize,
		ProviderRecords:   s.Records.Records[records.KindProvider],
		ValueRecords:      s.Records.Records[records.KindValue],
		PublishedKeys:     s.Records.Published[records.KindProvider] + s.Records.Published[records.KindValue],
		OverdueKeys:       s.Republish.Overdue,
		UnannouncedFailed: s.Republish.UnannouncedFailed,
		LastSnapshot:      s.LastSnapshot, LastExpiry: s.LastExpiry,
		LastRefresh: s.LastRefresh, LastRepublish: s.LastRepublish,
		Version: BuildInfo().Version, Refused: refusals(&s.Records),
	}
	if !s.IsolatedSince.IsZero() {
		out.State, out.IsolatedSince = stateIsolated, s.IsolatedSince
	}
	if b.describe != nil {
		b.describe(s, &out)
	}
	return out
}

func refusals(s *records.Stats) map[string]int64 {
	out := map[string]int64{}
	for q, n := range s.Refused {
		if n > 0 {
			out[records.Quota(q).String()] = n
		}
	}
	return out
}

// Health implements api.Backend.
func (b *Backend) Health(ctx context.Context) (api.Health, error) {
	if b.health == nil {
		return api.Health{Healthy: true, Ready: true}, nil
	}
	return b.health(ctx), nil
}

// Table implements api.Backend.
func (b *Backend) Table(context.Context) ([]api.TablePeer, error) {
	entries := b.node.Table()
	slices.SortStableFunc(entries, func(x, y node.TableEntry) int { return x.CPL - y.CPL })
	out := make([]api.TablePeer, len(entries))
	for i, e := range entries {
		out[i] = api.TablePeer{
			CPL: e.CPL, PeerID: e.ID.String(), Addrs: orEmpty(e.Addrs), Verified: e.Verified,
			LastSeen: e.LastSeen, Added: e.Added, RTTMs: milliseconds(e.RTT), Group: e.Group,
		}
	}
	return out, nil
}

// Peers implements api.Backend.
func (b *Backend) Peers(context.Context) ([]api.PeerInfo, error) {
	h := b.node.Host()
	all := map[string]*api.PeerInfo{}
	for _, e := range b.node.Table() {
		all[e.ID.String()] = &api.PeerInfo{PeerID: e.ID.String(), Addrs: orEmpty(e.Addrs), InTable: true}
	}
	for _, c := range h.Network().Conns() {
		id := c.RemotePeer().String()
		p := all[id]
		if p == nil {
			p = &api.PeerInfo{PeerID: id}
			all[id] = p
		}
		p.Connected, p.Direction = true, strings.ToLower(c.Stat().Direction.String())
		if len(p.Addrs) == 0 {
			p.Addrs = []string{c.RemoteMultiaddr().String()}
		}
		p.Agent = b.agentOf(c.RemotePeer())
	}
	out := make([]api.PeerInfo, 0, len(all))
	for _, p := range all {
		out = append(out, *p)
	}
	slices.SortFunc(out, func(x, y api.PeerInfo) int { return strings.Compare(x.PeerID, y.PeerID) })
	return out, nil
}

// Put implements api.Backend.
func (b *Backend) Put(ctx context.Context, key, value []byte, ttl time.Duration) (api.Stored, error) {
	publish := b.node.Publish
	if ttl != 0 {
		publish = func(ctx context.Context, key, value []byte) (node.StoreResult, error) {
			return b.node.PublishFor(ctx, key, value, ttl)
		}
	}
	res, err := publish(ctx, key, value)
	return stored(res), b.keyError(key, err)
}

// Get implements api.Backend.
func (b *Backend) Get(ctx context.Context, key []byte, quorum int) (api.Value, error) {
	res, err := b.node.Get(ctx, key, quorum)
	if err != nil {
		return api.Value{}, b.keyError(key, err)
	}
	return api.Value{Value: res.Value, Responders: res.Responders, Expires: res.Expires}, nil
}

// Unpublish implements api.Backend.
func (b *Backend) Unpublish(ctx context.Context, key []byte) error {
	return unpublishError(key, b.node.Unpublish(ctx, key))
}

// Provide implements api.Backend.
func (b *Backend) Provide(ctx context.Context, key []byte) (api.Stored, error) {
	res, err := b.node.ProvideKey(ctx, key)
	return stored(res), b.keyError(key, err)
}

// ProvideLater implements api.Backend.
func (b *Backend) ProvideLater(ctx context.Context, keys [][]byte) (api.HandedOver, error) {
	h, err := b.node.ProvideMany(ctx, keys)
	return api.HandedOver(h), nodeError(err)
}

// UnprovideAll implements api.Backend.
func (b *Backend) UnprovideAll(ctx context.Context, keys [][]byte) (api.Removed, error) {
	n, err := b.node.UnprovideMany(ctx, keys)
	return api.Removed{Keys: n}, nodeError(err)
}

// Unprovide implements api.Backend.
func (b *Backend) Unprovide(ctx context.Context, key []byte) error {
	return unpublishError(key, b.node.UnprovideKey(ctx, key))
}

// Provides implements api.Backend.
func (b *Backend) Provides(ctx context.Context, fn func(api.Published) error) error {
	var failed error
	err := b.node.Published(func(p records.Published) bool {
		if failed = ctx.Err(); failed == nil {
			failed = fn(api.Published{
				Key: p.Key, Kind: p.Kind.String(), Added: p.Added, Last: p.Last, Due: p.Due, Until: p.Until,
			})
		}
		return failed == nil
	})
	if err != nil {
		return nodeError(err)
	}
	return failed
}

// FindProviders implements api.Backend.
func (b *Backend) FindProviders(ctx context.Context, key []byte, count int, fn func(api.Peer) error) error {
	var failed error
	_, err := b.node.Providers(ctx, key, count, func(ai peer.AddrInfo) bool {
		failed = fn(apiPeer(ai))
		return failed == nil
	})
	if failed != nil {
		return failed
	}
	return b.keyError(key, err)
}

// FindPeer implements api.Backend.
func (b *Backend) FindPeer(ctx context.Context, peerID string) (api.Peer, error) {
	id, err := api.ParsePeer(peerID)
	if err != nil {
		return api.Peer{}, err
	}
	ai, err := b.node.FindPeer(ctx, id)
	if err != nil {
		return api.Peer{}, b.peerError(peerID, err)
	}
	return apiPeer(ai), nil
}

// Closest implements api.Backend.
func (b *Backend) Closest(ctx context.Context, key []byte) ([]api.Peer, error) {
	found, err := b.node.Closest(ctx, key)
	if err != nil {
		return nil, b.keyError(key, err)
	}
	out := make([]api.Peer, len(found))
	for i, ai := range found {
		out[i] = apiPeer(ai)
	}
	return out, nil
}

// Ping implements api.Backend.
func (b *Backend) Ping(ctx context.Context, target string) (api.Pong, error) {
	ai, err := parseTarget(target)
	if err != nil {
		return api.Pong{}, err
	}
	rtt, err := b.node.Ping(ctx, ai)
	if err != nil {
		return api.Pong{}, b.peerError(target, err)
	}
	return api.Pong{PeerID: ai.ID.String(), RTTMs: milliseconds(rtt)}, nil
}

func parseTarget(target string) (peer.AddrInfo, error) {
	if !strings.HasPrefix(target, "/") {
		id, err := api.ParsePeer(target)
		if err != nil {
			return peer.AddrInfo{}, api.Errorf(api.CodeInvalid, "%v, or /ip4/192.0.2.1/tcp/4011/p2p/12D3KooW...", err)
		}
		return peer.AddrInfo{ID: id}, nil
	}
	infos, err := ParseBootstrap([]string{target})
	if err != nil {
		return peer.AddrInfo{}, api.Errorf(api.CodeInvalid, "%v", err)
	}
	return infos[0], nil
}

// RepublishStatus implements api.Backend.
func (b *Backend) RepublishStatus(context.Context) (api.RepublishStatus, error) {
	s := b.node.Status()
	return republishStatus(&s), nil
}

func republishStatus(s *node.Status) api.RepublishStatus {
	r := &s.Republish
	out := api.RepublishStatus{
		Keys: r.Keys, Active: r.Active, OverdueKeys: r.Overdue,
		Regions: r.Keys, OverdueRegions: r.Overdue,
		CycleSeconds: r.Interval.Seconds(), NextDue: r.NextDue, LastSuccess: s.LastRepublish,
		Unannounced: r.Unannounced, UnannouncedFailed: r.UnannouncedFailed, Succeeded: r.Done, Failed: r.Failed, VerifiedPeers: s.VerifiedPeers,
		Holders: api.Holders(r.Holders), EndedTotal: r.EndedNum,
	}
	for _, e := range r.Ended {
		out.Ended = append(out.Ended, api.PublishEnd{Key: api.KeyText(e.Key), Kind: e.Kind.String(), At: e.At, Reason: e.Reason})
	}
	for _, f := range r.Failures {
		out.LastErrors = append(out.LastErrors, api.PublishError{Key: api.KeyText(f.Key), Kind: f.Kind.String(), At: f.At, Problem: f.Problem})
	}
	return out
}

// RepublishNow implements api.Backend.
func (b *Backend) RepublishNow(context.Context) error { return nodeError(b.node.RepublishNow()) }

// Backup implements api.Backend.
func (b *Backend) Backup(ctx context.Context, w io.Writer) error {
	if b.backup == nil {
		return api.Errorf(api.CodeUnsupported, "this node keeps its records in memory; there is nothing to back up")
	}
	_, err := b.backup(whileAsked{ctx, w})
	return err
}

// whileAsked fails writes once the caller has gone.
type whileAsked struct {
	ctx context.Context
	w   io.Writer
}

// Write implements io.Writer.
func (w whileAsked) Write(p []byte) (int, error) {
	if err := w.ctx.Err(); err != nil {
		return 0, err
	}
	return w.w.Write(p)
}

// LogLevels implements api.Backend.
func (b *Backend) LogLevels(context.Context) (map[string]string, error) { return b.logs.Levels(), nil }

// SetLogLevel implements api.Backend.
func (b *Backend) SetLogLevel(_ context.Context, subsystem, level string) error {
	if err := b.logs.Set(subsystem, level); err != nil {
		return api.Errorf(api.CodeInvalid, "%v", err)
	}
	return nil
}

func stored(r node.StoreResult) api.Stored {
	return api.Stored{StoredAt: r.StoredAt, Sent: r.Sent, Expires: r.Expires, TookMs: milliseconds(r.Took)}
}

func apiPeer(ai peer.AddrInfo) api.Peer {
	return api.Peer{PeerID: ai.ID.String(), Addrs: addrTexts(ai.Addrs)}
}

func addrTexts(addrs []ma.Multiaddr) []string {
	out := make([]string, len(addrs))
	for i, a := range addrs {
		out[i] = a.String()
	}
	return out
}

func orEmpty(list []string) []string {
	if list == nil {
		return []string{}
	}
	return list
}
