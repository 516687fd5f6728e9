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

// Config sets up a Node. Zero fields take the defaults said at each.
type Config struct {
	// ProtocolPrefix goes before "/kad/1.0.0"; "" is PublicPrefix.
	ProtocolPrefix string
	// Mode is the node's role; "" is ModeServer.
	Mode Mode
	// Bootstrap peers are dialled when the table is empty or low.
	Bootstrap []peer.AddrInfo
	// First says that this node may be alone, as the first node of a network is: it
	// is never isolated.
	First bool
	// Validators check and choose the values of further namespaces, by the namespace: one
	// word, the first of keys such as "/namespace/...". They count wherever those of pk and
	// ipns do, which they cannot replace: in what is put, found, served, corrected and
	// renewed. One that is an Ender as well tells when a value ends.
	Validators map[string]Validator
	// UnvalidatedNamespaces are accepted without validation, beside pk, ipns and those of
	// Validators.
	UnvalidatedNamespaces []string
	// RawKeys accepts value keys that have no /namespace/ form.
	RawKeys bool

	// Store, Keystore and Snapshots keep the node's state; nil: in memory, one
	// for all three.
	Store     records.Store
	Keystore  records.Keystore
	Snapshots records.Snapshots

	// MaxValueTTL caps the life of any value; 0 is 48 h.
	MaxValueTTL time.Duration
	// DefaultValueTTL is given to values stored without one; 0 is MaxValueTTL.
	DefaultValueTTL time.Duration
	// ProviderTTL is the life of a provider record; 0 is 48 h.
	ProviderTTL time.Duration
	// MaxValueSize bounds a value in bytes; 0 is 10 KiB.
	MaxValueSize int
	// MaxAddressesPerProvider bounds the addresses kept of a provider: the first ones of
	// its announcement. 0 is records.MaxAddressesPerProvider, which is also the most.
	MaxAddressesPerProvider int
	// MaxInboundStreams bounds the DHT streams that peers hold open; at the bound an
	// idle one makes room for a newcomer. 0 is rpc.DefaultMaxStreams. The resource
	// manager of the host must admit more.
	MaxInboundStreams int
	// RepublishInterval is how often published keys are renewed; 0 is
	// republish.Interval.
	RepublishInterval time.Duration

	// Gate is the connection gater and resolver of the host: see rpc.Gate. The node
	// tells it which private and loopback addresses it may dial. Nil: a name told by
	// a peer on a public address is dialled wherever it leads.
	Gate *rpc.Gate

	// DHT holds the protocol's numbers; Self, First, Heartbeat, Select, Observer, Rand and
	// Republish.Interval are set by the node.
	DHT dht.Config
	// Retrying is called before each attempt to reach somebody while no peer answers,
	// by the node's loop: it must not block. A host that holds back dials because
	// earlier ones failed is to forget that here. Nil: nothing.
	Retrying func()
	// Observer is told what the protocol does; nil: nobody.
	Observer dht.Observer
	// RPCObserver is told of each RPC; nil: nobody.
	RPCObserver rpc.Observer
	// Housekeeping is told of disk work; nil: nobody.
	Housekeeping HousekeepingObserver
	// Logger; nil discards.
	Logger *slog.Logger
}

// HousekeepingObserver is told of the node's disk work. Safe for concurrent use.
type HousekeepingObserver interface {
	// Snapshot reports a saved or failed snapshot.
	Snapshot(took time.Duration, peers int, err error)
	// Expired reports one run of expiry.
	Expired(took time.Duration, removed records.Expired, err error)
}

// ErrConfig wraps every violation that New finds.
var ErrConfig = errors.New("node: bad config")

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
		c.RPCObserver = rpc.NoObserver{}
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
			bad("namespace %s has the validator of the network", ns)
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

// ProtocolID returns the stream protocol of a network by its prefix.
func ProtocolID(prefix string) protocol.ID { return protocol.ID(prefix + "/kad/1.0.0") }

func (c *Config) protocol() protocol.ID { return ProtocolID(c.ProtocolPrefix) }

type nopHousekeeping struct{}

func (nopHousekeeping) Snapshot(time.Duration, int, error)            {}
func (nopHousekeeping) Expired(time.Duration, records.Expired, error) {}
