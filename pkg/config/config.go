package config

import (
	"cmp"
	"time"

	"github.com/holdfast-dht/holdfast/pkg/dht"
	"github.com/holdfast-dht/holdfast/pkg/records"
	"github.com/holdfast-dht/holdfast/pkg/wire"
	"github.com/holdfast-dht/holdfast/republish"
)

// Version is the version of the file format, the key config_version.
const Version = 1

// Bounds that Validate checks against.
const (
	// minInterval keeps background work from spinning.
	minInterval = time.Second
	// maxInterval keeps it from being forgotten.
	maxInterval = 24 * time.Hour
	// maxValueSize is the largest value that the database takes; its message
	// passes the 4 MiB frames that go-libp2p-kad-dht reads.
	maxValueSize = MiB
	// minDatabase is the smallest database that can do its housekeeping.
	minDatabase = 16 * MiB
	// maxQuota is more than any database has room for.
	maxQuota = 1_000_000_000
	// minMemory is the least that the resource manager of libp2p works with.
	minMemory = 16 * MiB
)

// Config is every setting. Tags: toml is the key, doc its comment, unit the unit
// if the type does not say it, reload "yes" if SIGHUP applies a change.
type Config struct {
	ConfigVersion int        `toml:"config_version" doc:"Version of this file's format."`
	Network       Network    `toml:"network" doc:"Which network the node belongs to and how it is reached."`
	Values        Values     `toml:"values" doc:"Which value records are accepted and for how long they live."`
	Storage       Storage    `toml:"storage" doc:"Where state is kept, and how much of it."`
	Quotas        Quotas     `toml:"quotas" doc:"Bounds on what others may have stored here, beside storage.max_bytes and values.max_size. At each of them what is new is refused, so that it is stored elsewhere; what is here stays, and may be renewed."`
	Republish     Republish  `toml:"republish" doc:"Renewal of what this node publishes. interval must be shorter than the lifetimes of records."`
	Refresh       Refresh    `toml:"refresh" doc:"Upkeep of the routing table."`
	Snapshot      Snapshot   `toml:"snapshot" doc:"Saving of the routing table, so that a restart needs no bootstrap peer."`
	API           API        `toml:"api" doc:"The admin socket that the command line talks to."`
	Metrics       Metrics    `toml:"metrics" doc:"Status page, Prometheus metrics and health over HTTP: /, /metrics, /healthz, /readyz."`
	RoutingAPI    RoutingAPI `toml:"routing_api" doc:"Lookups for others over HTTP: the delegated routing API /routing/v1 of IPFS."`
	Limits        Limits     `toml:"limits" doc:"Bounds on what the node uses."`
	Log           Log        `toml:"log" doc:"Logs on stderr."`
}

// Network says which network the node belongs to and how it is reached.
type Network struct {
	ProtocolPrefix string   `toml:"protocol_prefix" doc:"Prefix of the protocol: <prefix>/kad/1.0.0. \"/ipfs\" is the public network; a private network chooses its own."`
	Mode           string   `toml:"mode" doc:"\"server\" answers others, \"client\" only asks, \"auto\" serves while it is publicly reachable."`
	Listen         []string `toml:"listen" unit:"multiaddrs" doc:"Addresses to listen on. Port 0 means any free port."`
	Announce       []string `toml:"announce" unit:"multiaddrs" doc:"Addresses told to others instead of the detected ones, for a node behind a fixed port mapping. Empty: those detected."`
	Security       []string `toml:"security" unit:"names" doc:"Security protocols of TCP connections, in the order of preference when dialling: \"noise\", \"tls\". QUIC has TLS of its own. With TLS first, servers of py-libp2p 0.6 take this node for another peer and drop what it announces."`
	PortMapping    bool     `toml:"port_mapping" doc:"Ask the router for a mapping of the ports (UPnP, NAT-PMP), unless only loopback is listened on."`
	Bootstrap      []string `toml:"bootstrap" unit:"multiaddrs with /p2p/<peer ID>" reload:"yes" doc:"Peers asked when the routing table is empty. None are needed by a first node or after a restart."`
	BootstrapRole  string   `toml:"bootstrap_role" doc:"\"first\" for the node that a network begins with: it may be alone and is still ready. \"member\" for every other: a member that loses all its peers is isolated and not ready."`
}

// Values says which value records are accepted and for how long.
type Values struct {
	UnvalidatedNamespaces []string `toml:"unvalidated_namespaces" unit:"names" doc:"Namespaces accepted without a validator beside pk and ipns, for instance \"example\" for keys /example/...; leave empty on the public network."`
	RawKeys               bool     `toml:"raw_keys" doc:"Accept value keys without a namespace, for instance 32 raw bytes. Leave false on the public network."`
	DefaultTTL            Duration `toml:"default_ttl" doc:"Lifetime given to own values that name none. 0s: max_ttl."`
	MaxTTL                Duration `toml:"max_ttl" doc:"Longest lifetime of any value; at most 48h."`
	MaxSize               Size     `toml:"max_size" doc:"Largest value accepted. IPNS records have at most 10KiB."`
}

// Storage says where state is kept and how much of it.
type Storage struct {
	Path           string   `toml:"path" unit:"directory" doc:"Data directory: identity.key and the database. Empty: $STATE_DIRECTORY, $XDG_STATE_HOME/holdfast or ~/.local/state/holdfast. Flag: --data-dir."`
	MaxBytes       Size     `toml:"max_bytes" doc:"Largest size of the database; new records are refused before it is reached."`
	CompactAbove   Size     `toml:"compact_above" doc:"At start, a database larger than this of which more than half is free is rewritten without its free room, which takes a minute for some GiB. 0: never."`
	ProviderTTL    Duration `toml:"provider_ttl" doc:"How long a provider record is kept without being renewed; at most 48h."`
	ExpiryInterval Duration `toml:"expiry_interval" reload:"yes" doc:"How often expired records are removed from the database. They are never served in between."`
}

// Quotas are bounds on what others may have stored here.
type Quotas struct {
	Providers            int `toml:"providers" unit:"peers" doc:"Distinct peers that provider records name. A peer more is refused; the addresses of each cost about half a KiB."`
	RecordsPerProvider   int `toml:"records_per_provider" unit:"records" doc:"Provider records that name one peer. Of a peer with as many, new ones are refused."`
	ProvidersPerKey      int `toml:"providers_per_key" unit:"peers" doc:"Live providers of one key. A provider more is refused until one of them expires."`
	AddressesPerProvider int `toml:"addresses_per_provider" unit:"addresses" doc:"Addresses kept of a provider, at most 16. Of those it announces the first ones are kept; the record itself is stored."`

	Values             int  `toml:"values" unit:"values" doc:"Values that other peers have stored here. At the bound new ones are refused; a value that is here may still be renewed and replaced."`
	ValuesSize         Size `toml:"values_size" doc:"Size of those values together. 0: three quarters of the space that storage.max_bytes leaves for values."`
	ValuesPerPeer      int  `toml:"values_per_peer" unit:"values" doc:"Values that one peer has stored here."`
	ValuesSizePerPeer  Size `toml:"values_size_per_peer" doc:"Size of the values that one peer has stored here. 0: an eighth of that space."`
	ValuesPerGroup     int  `toml:"values_per_group" unit:"values" doc:"Values that the peers of one IP group have stored here: one IPv4 /16, one autonomous system of IPv6. Private addresses are in no group."`
	ValuesSizePerGroup Size `toml:"values_size_per_group" doc:"Size of the values that the peers of one IP group have stored here. 0: a quarter of that space."`
}

// Republish is the renewal of what this node publishes.
type Republish struct {
	Interval Duration `toml:"interval" reload:"yes" doc:"How often each published key is published again (kad-dht specification: 22h)."`
}

// Refresh is the upkeep of the routing table.
type Refresh struct {
	Interval Duration `toml:"interval" reload:"yes" doc:"How often each bucket is refreshed by a lookup."`
}

// Snapshot is the saving of the routing table.
type Snapshot struct {
	Interval Duration `toml:"interval" reload:"yes" doc:"How often the table is saved if it changed; it is also saved at stop."`
}

// API is the admin socket.
type API struct {
	Socket string `toml:"socket" unit:"path" doc:"Unix socket, mode 0660. Empty: $RUNTIME_DIRECTORY/holdfast.sock or <data directory>/holdfast.sock. Flag: --api."`
}

// Metrics is the listener for metrics and health.
type Metrics struct {
	Listen string `toml:"listen" unit:"host:port" doc:"Address, or \"off\". It has no authentication: keep it on a trusted network."`
}

// RoutingAPI is the listener for delegated routing.
type RoutingAPI struct {
	Listen           string `toml:"listen" unit:"host:port" doc:"Address, or \"off\". Usually 127.0.0.1:8474. It has no authentication: who reaches it can have this node look up providers, peers and IPNS records, and store IPNS records."`
	PrivateAddresses bool   `toml:"private_addresses" doc:"Tell private and loopback addresses to clients that ask from such an address, without a proxy and by IP address. Turn it on for the clients of a private network. Leave it off on the public one, and behind a reverse proxy: one that adds no header looks like a local client."`
}

// Limits are bounds on what the node uses.
type Limits struct {
	ConnectionsLow  int  `toml:"connections_low" unit:"connections" reload:"yes" doc:"Connections kept when those above connections_high are closed."`
	ConnectionsHigh int  `toml:"connections_high" unit:"connections" reload:"yes" doc:"Connections at which idle ones begin to be closed."`
	Memory          Size `toml:"memory" reload:"yes" doc:"Memory that libp2p may reserve for connections and streams. 0: an eighth of the machine's. A reload moves the bound of the node as a whole; those of single peers and protocols, which follow from it, move with a restart."`
}

// Log says what is logged and how.
type Log struct {
	Level  string `toml:"level" reload:"yes" doc:"debug, info, warn or error, and levels of subsystems: \"info,node=debug,libp2p=warn\"."`
	Format string `toml:"format" doc:"\"text\", \"json\", or \"auto\": text on a terminal and JSON otherwise."`
}

// The roles of a node in its network (network.bootstrap_role).
const (
	RoleMember = "member"
	RoleFirst  = "first"
)

// Off disables a listener.
const Off = "off"

// Default returns the configuration of a node that was told nothing. Numbers of the
// protocol and of the stores are those of the packages that own them.
func Default() Config {
	return Config{
		ConfigVersion: Version,
		Network: Network{
			ProtocolPrefix: wire.PublicPrefix,
			Mode:           "server",
			BootstrapRole:  RoleMember,
			Listen: []string{
				"/ip4/0.0.0.0/tcp/4011", "/ip4/0.0.0.0/udp/4011/quic-v1",
				"/ip6/::/tcp/4011", "/ip6/::/udp/4011/quic-v1",
			},
			Announce:    []string{},
			Security:    []string{"noise", "tls"},
			PortMapping: true,
			Bootstrap:   []string{},
		},
		Values: Values{UnvalidatedNamespaces: []string{}, MaxTTL: Duration{records.MaxTTL}, MaxSize: records.DefaultMaxValueSize},
		Storage: Storage{
			MaxBytes: records.DefaultMaxBytes, CompactAbove: GiB,
			ProviderTTL: Duration{records.MaxTTL}, ExpiryInterval: Duration{dht.ExpiryInterval},
		},
		Quotas: Quotas{
			Providers:            records.DefaultMaxProviders,
			RecordsPerProvider:   records.DefaultMaxRecordsPerProvider,
			ProvidersPerKey:      records.DefaultMaxProvidersPerKey,
			AddressesPerProvider: records.MaxAddressesPerProvider,
			Values:               records.DefaultMaxValues,
			ValuesPerPeer:        records.DefaultMaxValuesPerPeer,
			ValuesPerGroup:       records.DefaultMaxValuesPerGroup,
		},
		Republish:  Republish{Interval: Duration{republish.Interval}},
		Refresh:    Refresh{Interval: Duration{dht.RefreshInterval}},
		Snapshot:   Snapshot{Interval: Duration{dht.SnapshotInterval}},
		Metrics:    Metrics{Listen: "127.0.0.1:9474"},
		RoutingAPI: RoutingAPI{Listen: Off},
		Limits:     Limits{ConnectionsLow: 400, ConnectionsHigh: 600},
		Log:        Log{Level: "info,libp2p=error", Format: "auto"},
	}
}

// ValueTTL returns the lifetime of own values that name none.
func (v Values) ValueTTL() time.Duration {
	return cmp.Or(v.DefaultTTL.Duration, v.MaxTTL.Duration)
}
