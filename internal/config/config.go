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
	// minInterval keeps background work from running all the time.
	minInterval = time.Second
	// maxInterval keeps it from never running.
	maxInterval = 24 * time.Hour
	// maxValueSize is the largest value that the database stores. Its message fits in the
	// 4 MiB that go-libp2p-kad-dht reads.
	maxValueSize = MiB
	// minDatabase is the smallest database that has space for its own maintenance.
	minDatabase = 16 * MiB
	// maxQuota is more than any database can hold.
	maxQuota = 1_000_000_000
	// maxConnectionsPerAddress is more than the file descriptors of a machine.
	maxConnectionsPerAddress = 1_000_000
	// minMemory is the least memory that libp2p's resource manager can work with.
	minMemory = 16 * MiB
)

// Config is every setting. Tags: toml is the key, doc its comment, example a value in
// TOML where the default does not show the format, unit the unit if the type does not say
// it, reload "yes" if a reload (SIGHUP) applies a change.
type Config struct {
	ConfigVersion int        `toml:"config_version" doc:"Version of this file's format."`
	Network       Network    `toml:"network" doc:"Which network the node belongs to and how it is reached."`
	Values        Values     `toml:"values" doc:"Which value records are accepted and how long they live."`
	Storage       Storage    `toml:"storage" doc:"Where the node keeps its state, and how much of it."`
	Quotas        Quotas     `toml:"quotas" doc:"Limits on what other peers may store here, besides storage.max_bytes and values.max_size. At a limit, new records are refused and go to other nodes; stored records stay and can be republished."`
	Republish     Republish  `toml:"republish" doc:"Republishing of the keys that this node publishes. interval must be shorter than the lifetimes of records."`
	Refresh       Refresh    `toml:"refresh" doc:"Upkeep of the routing table."`
	Snapshot      Snapshot   `toml:"snapshot" doc:"Saving of the routing table, so that a restart needs no bootstrap peer."`
	API           API        `toml:"api" doc:"The admin socket, which the command line talks to."`
	Metrics       Metrics    `toml:"metrics" doc:"Status page, Prometheus metrics and health over HTTP: /, /metrics, /healthz, /readyz."`
	RoutingAPI    RoutingAPI `toml:"routing_api" doc:"Lookups for other programs over HTTP: the delegated routing API /routing/v1 of IPFS."`
	Limits        Limits     `toml:"limits" doc:"Limits on the resources that the node uses."`
	Log           Log        `toml:"log" doc:"Logs on stderr."`
}

// Network says which network the node belongs to and how it is reached.
type Network struct {
	ProtocolPrefix string   `toml:"protocol_prefix" doc:"Prefix of the protocol ID <prefix>/kad/1.0.0. \"/ipfs\" is the public network; a private network chooses its own."`
	Mode           string   `toml:"mode" doc:"\"server\" answers requests, \"client\" only sends them, \"auto\" is a server while the node is publicly reachable."`
	Port           int      `toml:"port" unit:"port" doc:"Port of every address in listen, TCP and UDP. 0: any free port. Set either this key or the ports in listen: if both differ from their defaults, they must agree. HOLDFAST_NETWORK__PORT and --port override the ports of listen in the file."`
	Listen         []string `toml:"listen" unit:"multiaddrs" doc:"Addresses to listen on. Port 0 is any free port."`
	Announce       []string `toml:"announce" unit:"multiaddrs" doc:"Addresses announced to other peers instead of the detected ones, for a node behind a fixed port mapping. Empty: the detected ones." example:"[\"/ip4/203.0.113.7/tcp/4011\", \"/ip4/203.0.113.7/udp/4011/quic-v1\"]"`
	Security       []string `toml:"security" unit:"names" doc:"Security protocols of TCP connections, the preferred one first: \"noise\", \"tls\". QUIC has its own TLS. With TLS first, py-libp2p 0.6 servers mistake this node for another peer and drop its provider records."`
	PortMapping    bool     `toml:"port_mapping" doc:"Ask the router to map the ports (UPnP, NAT-PMP), unless the node listens on loopback only."`
	Bootstrap      []string `toml:"bootstrap" unit:"multiaddrs with /p2p/<peer ID>" reload:"yes" doc:"Peers to contact when the routing table is empty, with their peer IDs. The first node of a network needs none, and no node needs one after a restart." example:"[\"/ip4/192.0.2.1/tcp/4011/p2p/12D3KooWEyoppNCUx8Yx66oV9fJnriXwCcXwDDUA2kj6vnc6iDEp\"]"`
	BootstrapRole  string   `toml:"bootstrap_role" doc:"\"first\" is for the first node of a network, which is ready even when it has no peers. \"member\" is for every other node, which is isolated and not ready when it loses all its peers."`
}

// Values says which value records are accepted and for how long.
type Values struct {
	UnvalidatedNamespaces []string `toml:"unvalidated_namespaces" unit:"names" doc:"Namespaces that are accepted without a validator, besides pk and ipns: \"example\" accepts the keys that begin with /example/. Leave it empty on the public network." example:"[\"example\"]"`
	RawKeys               bool     `toml:"raw_keys" doc:"Accept value keys without a namespace, such as 32 raw bytes. Leave it false on the public network."`
	DefaultTTL            Duration `toml:"default_ttl" doc:"Lifetime of the node's own values when none is given. 0s: max_ttl."`
	MaxTTL                Duration `toml:"max_ttl" doc:"Longest lifetime of any value; at most 48h."`
	MaxSize               Size     `toml:"max_size" doc:"Largest value accepted. IPNS records have at most 10KiB."`
}

// Storage says where state is kept and how much of it.
type Storage struct {
	Path           string   `toml:"path" unit:"directory" doc:"Data directory, with identity.key and the database; an absolute path. Empty: $STATE_DIRECTORY, $XDG_STATE_HOME/holdfast or ~/.local/state/holdfast. Flag: --data-dir."`
	MaxBytes       Size     `toml:"max_bytes" doc:"Largest size of the database. New records are refused before it is reached."`
	CompactAbove   Size     `toml:"compact_above" doc:"A database that is larger than this and more than half free is compacted at start, which takes about a minute for a few GiB. 0: never."`
	ProviderTTL    Duration `toml:"provider_ttl" doc:"How long a provider record is kept unless it is republished; at most 48h."`
	ExpiryInterval Duration `toml:"expiry_interval" reload:"yes" doc:"How often expired records are removed from the database. They are never served in between."`
}

// Quotas are limits on what other peers may store here.
type Quotas struct {
	Providers            int `toml:"providers" unit:"peers" doc:"How many peers may have provider records here. At the limit, records of other peers are refused. The addresses of each peer take about half a KiB."`
	RecordsPerProvider   int `toml:"records_per_provider" unit:"records" doc:"How many provider records one peer may have here. At the limit, new records of that peer are refused."`
	ProvidersPerKey      int `toml:"providers_per_key" unit:"peers" doc:"How many live providers a key may have. At the limit, new providers are refused until one expires."`
	AddressesPerProvider int `toml:"addresses_per_provider" unit:"addresses" doc:"How many addresses of a provider are kept; at most 16. Of a longer list, the first ones are kept and the rest is dropped."`

	Values             int  `toml:"values" unit:"values" doc:"How many values other peers may store here. At the limit, new ones are refused; stored values can still be republished and replaced."`
	ValuesSize         Size `toml:"values_size" doc:"Total size of the values that other peers may store here. 0: three quarters of the space that storage.max_bytes leaves for values."`
	ValuesPerPeer      int  `toml:"values_per_peer" unit:"values" doc:"How many values one peer may store here."`
	ValuesSizePerPeer  Size `toml:"values_size_per_peer" doc:"Total size of the values that one peer may store here. 0: an eighth of the space for values."`
	ValuesPerGroup     int  `toml:"values_per_group" unit:"values" doc:"How many values the peers of one IP group may store here. A group is an IPv4 /16 or an autonomous system of IPv6. Private addresses are in no group."`
	ValuesSizePerGroup Size `toml:"values_size_per_group" doc:"Total size of the values that the peers of one IP group may store here. 0: a quarter of the space for values."`
}

// Republish is the republishing of the keys that this node publishes.
type Republish struct {
	Interval Duration `toml:"interval" reload:"yes" doc:"How often each published key is published again (kad-dht specification: 22h)."`
}

// Refresh is the upkeep of the routing table.
type Refresh struct {
	Interval Duration `toml:"interval" reload:"yes" doc:"How often each bucket is refreshed by a lookup."`
}

// Snapshot is the saving of the routing table.
type Snapshot struct {
	Interval Duration `toml:"interval" reload:"yes" doc:"How often the table is saved if it has changed. It is also saved when the node stops."`
}

// API is the admin socket.
type API struct {
	Socket string `toml:"socket" unit:"path" doc:"Absolute path of the unix socket, which has mode 0660. Empty: $RUNTIME_DIRECTORY/holdfast.sock or <data directory>/holdfast.sock. Flag: --api."`
}

// Metrics is the listener for metrics and health.
type Metrics struct {
	Listen string `toml:"listen" unit:"host:port" doc:"Address, or \"off\". Without this key the daemon uses a free port of 127.0.0.1 if 9474 is taken; its log and status show which. There is no authentication: keep it on a trusted network."`
}

// RoutingAPI is the listener for delegated routing.
type RoutingAPI struct {
	Listen           string `toml:"listen" unit:"host:port" doc:"Address, or \"off\". There is no authentication: any client that reaches it can make this node look up providers, peers and IPNS records, and store IPNS records." example:"\"127.0.0.1:8474\""`
	PrivateAddresses bool   `toml:"private_addresses" doc:"Return private and loopback addresses to clients that connect from such an address, by IP address and without a proxy. Turn it on for the clients of a private network. Leave it off on the public network and behind a reverse proxy: requests through a proxy that adds no header look like those of a local client."`
}

// Limits bound the resources that the node uses.
type Limits struct {
	ConnectionsLow        int  `toml:"connections_low" unit:"connections" reload:"yes" doc:"When there are more than connections_high, idle connections are closed until this many are left."`
	ConnectionsHigh       int  `toml:"connections_high" unit:"connections" reload:"yes" doc:"Idle connections are closed when there are more than this."`
	ConnectionsPerAddress int  `toml:"connections_per_address" unit:"connections" doc:"Open connections with one public IPv4 address or one IPv6 /56 network, in both directions; eight times as many with a /48. Further ones are refused, so that one host cannot take the connections of all. All peers behind a NAT have one address: raise this if more of yours share one. Private, shared (100.64.0.0/10), link-local and loopback addresses have no limit."`
	Memory                Size `toml:"memory" reload:"yes" doc:"Memory that libp2p may reserve for connections and streams. 0: an eighth of the machine's memory. A reload changes the limit of the whole node; the limits of single peers and protocols, which derive from it, change only with a restart."`
}

// Log says what is logged and how.
type Log struct {
	Level  string `toml:"level" reload:"yes" doc:"debug, info, warn or error, optionally followed by levels of subsystems."`
	Format string `toml:"format" doc:"\"text\", \"json\", or \"auto\": text on a terminal and JSON otherwise."`
}

// The roles of a node in its network (network.bootstrap_role).
const (
	RoleMember = "member"
	RoleFirst  = "first"
)

// Off disables a listener.
const Off = "off"

// Default returns the default configuration. The defaults of the protocol and of the
// stores come from the packages that own them.
func Default() Config {
	return Config{
		ConfigVersion: Version,
		Network: Network{
			ProtocolPrefix: wire.PublicPrefix,
			Mode:           "server",
			BootstrapRole:  RoleMember,
			Port:           DefaultPort,
			Listen:         withPort([]string{"/ip4/0.0.0.0/tcp/0", "/ip4/0.0.0.0/udp/0/quic-v1", "/ip6/::/tcp/0", "/ip6/::/udp/0/quic-v1"}, DefaultPort),
			Announce:       []string{},
			Security:       []string{"noise", "tls"},
			PortMapping:    true,
			Bootstrap:      []string{},
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
		Limits:     Limits{ConnectionsLow: 400, ConnectionsHigh: 600, ConnectionsPerAddress: 64},
		Log:        Log{Level: "info,libp2p=error", Format: "auto"},
	}
}

// ValueTTL returns the lifetime of own values that do not set one.
func (v Values) ValueTTL() time.Duration {
	return cmp.Or(v.DefaultTTL.Duration, v.MaxTTL.Duration)
}
