package node

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/libp2p/go-libp2p/core/event"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"

	"github.com/holdfast-dht/holdfast/pkg/dht"
	"github.com/holdfast-dht/holdfast/pkg/kad"
	"github.com/holdfast-dht/holdfast/pkg/records"
	"github.com/holdfast-dht/holdfast/pkg/rpc"
	"github.com/holdfast-dht/holdfast/republish"
)

var (
	// ErrClosed is returned after Close.
	ErrClosed = errors.New("node closed")
	// ErrNoAnswer is returned when no peer is known (ErrNoPeers), or when none of the
	// peers that were asked answered.
	ErrNoAnswer = errors.New("no peer has answered")
	// ErrNoPeers is an ErrNoAnswer: the node knows no peer to ask.
	ErrNoPeers = fmt.Errorf("%w: none is known that could be asked", ErrNoAnswer)
	// ErrNotTaken is returned when peers answered but none stored the record.
	ErrNotTaken = errors.New("no peer took the record")
	// ErrNotFound is returned when peers answered and none had what was looked for.
	// errors.Is also reports it as routing.ErrNotFound.
	ErrNotFound error = notFoundError{}
	// ErrStuck is returned by Close when the store does not return in time. Its goroutine
	// is left running.
	ErrStuck = errors.New("the store is stuck")
)

// closeTimeout limits each wait of Close: one for the requests being served and two for
// the store, under ten seconds in total.
const closeTimeout = 3 * time.Second

// besideValue is the size in bytes that a message may have besides its value: the key
// twice, and peers, which other implementations do not trim to our limit.
const besideValue = 256 << 10

// besideInRecord is the size in bytes that a record may have besides its value: key,
// publisher and time.
const besideInRecord = records.MaxValueKeyLen + 1<<10

// Node is a DHT node on a libp2p host. Safe for concurrent use.
//
// The loop is a goroutine that owns the Machine. A turn of the loop takes these steps:
//
//  1. It runs up to callBatch calls of other goroutines, or Tick at the Machine's deadline.
//  2. It performs the Machine's output: it starts a goroutine for each request, cancels
//     requests that are no longer needed, passes results to the callers of queries, and
//     leaves disk work to the publisher and the cleaner.
//  3. It publishes a new view if the table or a contact has changed. Inbound requests are
//     answered from the view and the stores, without waiting for the loop.
//
// The loop never blocks: not on the network, not on the disk, and not on a caller. The
// result of a request or of disk work comes back as a call.
type Node struct {
	cfg       Config
	host      host.Host
	self      kad.Peer
	log       *slog.Logger
	started   time.Time
	valid     *validator
	handler   *dht.Handler
	client    *rpc.Client
	server    *rpc.Server
	publisher *publisher
	cleaner   *cleaner
	view      atomic.Pointer[view]
	events    event.Subscription
	ctx       context.Context // of all requests in flight; Close cancels it
	cancel    context.CancelFunc
	stop      chan struct{} // closed: the loop ends
	loopDone  chan struct{}
	workers   sync.WaitGroup
	calls     chan call
	once      sync.Once
	closeErr  error
	release   func() // releases the protocol on the host

	reachability  atomic.Int32
	natHidden     atomic.Bool // see scopeOf
	natTold       sync.Once
	interval      atomic.Int64 // republish interval in nanoseconds
	met           met
	bootstrapping atomic.Bool
	bootstrapped  atomic.Bool // the bootstrap peers were dialled, or there were none
	joining       joining
	lastDials     atomic.Pointer[[]BootstrapDial]
	dropped       atomic.Uint64                   // see tryDo
	over          [records.NumQuotas]atomic.Int64 // records that the handler refused or cut, by quota
	traces        traces
	unannounced   unannounced
	bootstraps    struct{ reached, failed, skipped atomic.Uint64 }
	alive         atomic.Int64 // when a peer of the table last sent a request: nanoseconds since started
	bypassing     atomic.Bool  // libp2p's dial backoff, see dialing

	// Owned by the loop.
	machine          *dht.Machine
	inflight         map[dht.RequestID]context.CancelFunc
	waiters          map[dht.QueryID]*waiter
	book             book
	own              own
	restored         int
	retried          int       // index in the snapshot of the first peer of the next retry
	redial           bool      // dial the bootstrap peers when the running attempt ends
	isolated         time.Time // start of the isolation that was logged; zero: not isolated
	bypass           time.Time // until when dials bypass the backoff
	savedGeneration  uint64    // generation of the table in the last snapshot
	snapshotsSkipped int       // since the last snapshot
}

// New starts a node on h and restores its last snapshot. The caller owns the host and
// closes it after the node. New returns ErrConfig or ErrProtocolTaken.
//
// The host needs a gate. Otherwise peers on public addresses could make it dial private
// addresses, through DNS names that resolve to them:
//
//	gate := rpc.NewGate(nil)
//	h, err := libp2p.New(libp2p.ConnectionGater(gate), libp2p.MultiaddrResolver(gate))
//	n, err := node.New(h, node.Config{Gate: gate})
//
// Other protocols on the host must call gate.Allow before they dial a private address.
func New(h host.Host, cfg Config) (*Node, error) {
	if err := cfg.setDefaults(); err != nil {
		return nil, err
	}
	release, err := takeProtocol(h, cfg.protocol())
	if err != nil {
		return nil, err
	}
	n := assemble(h, cfg, release)
	n.publisher, n.cleaner = newPublisher(n), newCleaner(n)
	if n.events, err = n.subscribe(); err != nil {
		n.cancel()
		n.release()
		return nil, errors.Join(err, n.closeWorkers())
	}
	n.noteOwnAddrs()
	if err := n.restore(); err != nil {
		n.log.Error("snapshot or published keys could not be read", "err", err)
	}
	go n.loop()
	n.workers.Add(1)
	go n.readEvents()
	n.server.SetServing(cfg.Mode == ModeServer)
	n.foundConnected()
	n.announceMoved()
	return n, nil
}

// assemble returns a node that has not started.
func assemble(h host.Host, cfg Config, release func()) *Node {
	n := &Node{
		cfg: cfg, host: h, release: release, log: cfg.Logger, started: time.Now(),
		self:     kad.NewPeer(kad.PeerID(h.ID())),
		stop:     make(chan struct{}),
		loopDone: make(chan struct{}),
		calls:    make(chan call, callQueue),
		inflight: make(map[dht.RequestID]context.CancelFunc),
		waiters:  make(map[dht.QueryID]*waiter),
		book:     newBook(),
		joining:  newJoining(),
	}
	n.interval.Store(int64(cfg.RepublishInterval))
	n.ctx, n.cancel = context.WithCancel(context.Background())
	n.valid = newValidator(h.Peerstore(), &cfg)
	n.machine = n.newMachine()
	n.view.Store(emptyView())
	n.handler = n.newHandler()
	n.client, n.server = n.newClient(), n.newServer()
	return n
}

func (n *Node) newClient() *rpc.Client {
	return rpc.NewClient(n.host, n.cfg.protocol(), rpc.ClientConfig{
		MaxReply: max(rpc.DefaultMaxReply, n.cfg.MaxValueSize+besideValue),
		MaxField: n.cfg.MaxValueSize + besideInRecord,
		Timeout:  cmp.Or(n.cfg.DHT.RequestTimeout, dht.RequestTimeout),
		Scope:    n.scopeOf,
	}, n.cfg.RPCObserver)
}

func (n *Node) newServer() *rpc.Server {
	return rpc.NewServer(n.host, []protocol.ID{n.cfg.protocol()}, n.serve, rpc.ServerConfig{
		MaxRequest:   max(rpc.DefaultMaxRequest, n.cfg.MaxValueSize+besideValue),
		MaxStreams:   n.cfg.MaxInboundStreams,
		CloseTimeout: closeTimeout,
		Reason:       rejectReason,
		Scope:        n.scopeOf,
	}, n.cfg.RPCObserver)
}

func (n *Node) newMachine() *dht.Machine {
	c := n.cfg.DHT
	c.Self, c.First, c.Heartbeat = n.self, n.cfg.First, true
	c.Select = n.valid.selects
	c.Observer = n.cfg.Observer
	c.Rand = rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64()))
	c.Republish.Interval = n.cfg.RepublishInterval
	return dht.New(c)
}

func (n *Node) newHandler() *dht.Handler {
	return dht.NewHandler(dht.HandlerConfig{
		Self:                    n.self.ID,
		Store:                   n.cfg.Store,
		Neighbours:              neighbours{n},
		Validate:                func(key, value []byte) error { return n.valid.Validate(string(key), value) },
		End:                     func(key, value []byte) time.Time { return n.valid.End(string(key), value) },
		Better:                  n.valid.replaces,
		Judge:                   n.judge,
		FilterAddrs:             rpc.InScope,
		Over:                    func(q records.Quota) { n.over[q].Add(1) },
		AckProvider:             n.acksProvider,
		Replicas:                n.cfg.DHT.Replicas,
		MaxValueTTL:             n.cfg.MaxValueTTL,
		ProviderTTL:             n.cfg.ProviderTTL,
		MaxValueSize:            n.cfg.MaxValueSize,
		MaxAddressesPerProvider: n.cfg.MaxAddressesPerProvider,
	})
}

// Close stops the node: it stops serving, saves the table, cancels requests and queries,
// and waits for the goroutines, ten seconds at most. It returns ErrStuck if the store
// does not return in that time. Further calls return the same error.
func (n *Node) Close() error {
	n.once.Do(func() {
		n.closeErr = errors.Join(n.server.Close(), n.lastSnapshot())
		close(n.stop)
		<-n.loopDone
		n.cancel()
		n.failWaiters()
		n.events.Close()
		n.workers.Wait()
		n.closeErr = errors.Join(n.closeErr, n.client.Close(), n.closeWorkers())
		n.release()
	})
	return n.closeErr
}

// closeWorkers ends the disk work; ErrStuck if the store does not return.
func (n *Node) closeWorkers() error { return closeWorkers(&n.publisher.worker, &n.cleaner.worker) }

// lastSnapshot saves the table if there is anything to save.
func (n *Node) lastSnapshot() error {
	done := make(chan error, 1)
	err := n.ask(func(now time.Time, m *dht.Machine) {
		if _, verified := m.Table().Len(); verified > 0 {
			n.cleaner.finalSnapshot(n.takeSnapshot(now), done)
			return
		}
		done <- nil
	})
	if err != nil {
		return err
	}
	select {
	case err := <-done:
		return err
	case <-time.After(closeTimeout):
		return fmt.Errorf("last snapshot: %w", ErrStuck)
	}
}

// failWaiters ends the queries that callers still wait for, after the loop has ended.
func (n *Node) failWaiters() {
	for _, w := range n.waiters {
		w.finish(dht.Result{Err: ErrClosed, Stats: dht.QueryStats{Outcome: dht.OutcomeCancelled}})
	}
}

// Host returns the libp2p host that the node runs on.
func (n *Node) Host() host.Host { return n.host }

// Protocol returns the protocol ID that the node serves and dials.
func (n *Node) Protocol() protocol.ID { return n.cfg.protocol() }

// foundConnected makes candidates of the peers that the host is already connected to.
func (n *Node) foundConnected() {
	for _, p := range n.host.Network().Peers() {
		if conn := n.connTo(p); conn != nil {
			n.allowOwn(conn, n.host.Peerstore().Addrs(p))
		}
		if n.speaks(p) {
			n.found(p)
		}
	}
}

// speaks reports whether the peer serves our protocol, as identify reported.
func (n *Node) speaks(p peer.ID) bool {
	got, err := n.host.Peerstore().SupportsProtocols(p, n.cfg.protocol())
	return err == nil && len(got) > 0
}

// found makes a candidate of a peer that serves our protocol.
func (n *Node) found(p peer.ID) {
	k := kad.NewPeer(kad.PeerID(p))
	_ = n.do(func(now time.Time, m *dht.Machine) { m.PeerFound(now, k, true) })
}

// republishItem names a published key in the schedule.
func republishItem(kind uint8, key []byte) republish.Item {
	return republish.Item{Key: kad.KeyOf(key), Kind: kind}
}

// SetBootstrap replaces the bootstrap peers and dials the new ones, at once or when the
// running attempt ends.
func (n *Node) SetBootstrap(peers []peer.AddrInfo) {
	_ = n.ask(func(time.Time, *dht.Machine) {
		n.cfg.Bootstrap = peers
		n.redial = len(peers) > 0 && !n.reach(0, 0)
		n.keepDials(n.bootstrapDials())
	})
}

// connected reports whether the host has a connection to p now.
func (n *Node) connected(p peer.ID) bool {
	return n.host.Network().Connectedness(p) == network.Connected
}
