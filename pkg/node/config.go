package node

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"

	"github.com/holdfast-dht/holdfast/pkg/dht"
	"github.com/holdfast-dht/holdfast/pkg/records"
	"github.com/holdfast-dht/holdfast/pkg/rpc"
	"github.com/holdfast-dht/holdfast/pkg/wire"
	"github.com/holdfast-dht/holdfast/republish"
)

// PublicPrefix is the protocol prefix of the public Amino network.
const PublicPrefix = wire.PublicPrefix

// Config sets up a Node. A zero field means the default that its comment names.
type Config struct {
	// ProtocolPrefix goes before "/kad/1.0.0"; "" is PublicPrefix.
	ProtocolPrefix string
	// Mode is the node's role; "" is ModeServer.
	Mode Mode
	// Bootstrap peers are dialled when the table is empty or low.
	Bootstrap []peer.AddrInfo
	// First marks the first node of a network, which may be alone: it never counts as
	// isolated.
	First bool
	// Validators check and select the values of further namespaces. The map key is the
	// namespace, a word without slashes: "name" for keys such as "/name/...". The node
	// uses them for values that are published, found, received, corrected and republished.
	// The validators of pk and ipns cannot be replaced. A validator may also be an Ender.
	Validators map[string]Validator
	// UnvalidatedNamespaces are further namespaces whose values are accepted without
	// validation.
	UnvalidatedNamespaces []string
	// RawKeys accepts value keys that have no /namespace/ form.
	RawKeys bool

	// Store, Keystore and Snapshots hold the node's state. Set all three or none; nil:
	// one records.Mem.
	Store     records.Store
	Keystore  records.Keystore
	Snapshots records.Snapshots

	// MaxValueTTL limits the lifetime of any value; 0 means 48 h, the maximum.
	MaxValueTTL time.Duration
	// DefaultValueTTL is the lifetime of values stored without one; 0 means MaxValueTTL.
	DefaultValueTTL time.Duration
	// ProviderTTL is the lifetime of a provider record; 0 means 48 h, the maximum.
	ProviderTTL time.Duration
	// MaxValueSize limits a value in bytes; 0 means 10 KiB.
	MaxValueSize int
	// MaxAddressesPerProvider limits the addresses stored for a provider: the first ones
	// of its ADD_PROVIDER. 0 means records.MaxAddressesPerProvider, the maximum.
	MaxAddressesPerProvider int
	// MaxInboundStreams limits the DHT streams that peers hold open. At the limit a new
	// stream closes an idle one. 0 means rpc.DefaultMaxStreams. The host's resource
	// manager must admit more.
	MaxInboundStreams int
	// RepublishInterval is the time from one publication of a key to the next; 0 means
	// republish.Interval.
	RepublishInterval time.Duration

	// Gate is the connection gater and resolver of the host, see rpc.Gate. The node
	// tells it which private and loopback addresses may be dialled. Nil: DNS addresses
	// from peers on public addresses are dialled even if they resolve to private ones.
	Gate *rpc.Gate

	// DHT holds the parameters of the protocol. The node sets Self, First, Heartbeat,
	// Select, Observer, Rand and Republish.Interval.
	DHT dht.Config
	// Retrying is called before each attempt to reach a peer while no peer answers. The
	// loop calls it, so it must not block. A host with a dial backoff should clear it
	// here. May be nil.
	Retrying func()
	// Observer observes the protocol. May be nil.
	Observer dht.Observer
	// RPCObserver observes each RPC. May be nil.
	RPCObserver rpc.Observer
	// Housekeeping observes the disk work. May be nil.
	Housekeeping HousekeepingObserver
	// Logger receives the node's log; nil discards it.
	Logger *slog.Logger
}

// HousekeepingObserver observes the node's disk work. Safe for concurrent use.
type HousekeepingObserver interface {
	// Snapshot is called after a snapshot was saved or could not be.
	Snapshot(took time.Duration, peers int, err error)
	// Expired is called after each run of expiry.
	Expired(took time.Duration, removed records.Expired, err error)
}

// ErrConfig is returned by New for a Config with violations; the error names them all.
var ErrConfig = errors.New("bad config")

func (c *Config) setDefaults() error {
	c.ProtocolPrefix = cmp.Or(c.ProtocolPrefix, PublicPrefix)
	c.Mode = cmp.Or(c.Mode, ModeServer)
	c.MaxValueTTL = cmp.Or(c.MaxValueTTL, records.MaxTTL)
	c.DefaultValueTTL = cmp.Or(c.DefaultValueTTL, c.MaxValueTTL)
	c.ProviderTTL = cmp.Or(c.ProviderTTL, records.MaxTTL)
	c.RepublishInterval = cmp.Or(c.RepublishInterval, republish.Interval)
	c.MaxValueSize = cmp.Or(c.MaxValueSize, records.DefaultMaxValueSize)
	c.MaxAddressesPerProvider = cmp.Or(c.MaxAddressesPerProvider, records.MaxAddressesPerProvider)
	if c.Store == nil {
		mem := records.NewMem(nil)
		c.Store, c.Keystore, c.Snapshots = mem, mem, mem
	}
	if c.RPCObserver == nil {
		c.RPCObserver = rpc.NopObserver{}
	}
	if c.Housekeeping == nil {
		c.Housekeeping = nopHousekeeping{}
	}
	if c.Retrying == nil {
		c.Retrying = func() {}
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c.validate()
}

func (c *Config) validate() error {
	var errs []error
	bad := func(format string, args ...any) {
		errs = append(errs, fmt.Errorf("%w: "+format, append([]any{ErrConfig}, args...)...))
	}
	if !strings.HasPrefix(c.ProtocolPrefix, "/") || strings.HasSuffix(c.ProtocolPrefix, "/") {
		bad("protocol prefix %q must begin with / and not end with it", c.ProtocolPrefix)
	}
	switch c.Mode {
	case ModeAuto, ModeClient, ModeServer:
	default:
		bad("mode %q is none of auto, client, server", c.Mode)
	}
	if c.Keystore == nil || c.Snapshots == nil {
		bad("Store, Keystore and Snapshots go together")
	}
	if c.MaxValueTTL > records.MaxTTL || c.ProviderTTL > records.MaxTTL {
		bad("no record may live longer than %s", records.MaxTTL)
	}
	if c.DefaultValueTTL > c.MaxValueTTL {
		bad("default TTL %s is over the maximum %s", c.DefaultValueTTL, c.MaxValueTTL)
	}
	if c.MaxAddressesPerProvider < 1 || c.MaxAddressesPerProvider > records.MaxAddressesPerProvider {
		bad("%d addresses of a provider are not from 1 to %d", c.MaxAddressesPerProvider, records.MaxAddressesPerProvider)
	}
	if c.RepublishInterval >= c.ProviderTTL {
		bad("republish interval %s must be under the provider TTL %s", c.RepublishInterval, c.ProviderTTL)
	}
	c.validateNamespaces(bad)
	if c.ProtocolPrefix == PublicPrefix && c.DHT.Replicas != 0 && c.DHT.Replicas != dht.Replicas {
		bad("the public network has k = %d", dht.Replicas)
	}
	return errors.Join(errs...)
}

func (c *Config) validateNamespaces(bad func(format string, args ...any)) {
	validated := slices.Sorted(maps.Keys(c.Validators))
	for _, ns := range validated {
		switch {
		case slices.Contains(ownNamespaces, ns):
			bad("namespace %q: its validator cannot be replaced", ns)
		case slices.Contains(c.UnvalidatedNamespaces, ns):
			bad("namespace %q has a validator and is unvalidated", ns)
		case c.Validators[ns] == nil:
			bad("namespace %q has a nil validator", ns)
		}
	}
	for _, ns := range slices.Concat(validated, c.UnvalidatedNamespaces) {
		if ns == "" || strings.Contains(ns, "/") {
			bad("namespace %q must be one word without /", ns)
		}
	}
}

// ProtocolID returns the stream protocol of the network with the given prefix.
func ProtocolID(prefix string) protocol.ID { return protocol.ID(prefix + "/kad/1.0.0") }

func (c *Config) protocol() protocol.ID { return ProtocolID(c.ProtocolPrefix) }

type nopHousekeeping struct{}

func (nopHousekeeping) Snapshot(time.Duration, int, error)            {}
func (nopHousekeeping) Expired(time.Duration, records.Expired, error) {}
