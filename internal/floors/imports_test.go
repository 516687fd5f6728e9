package floors

// module is the path of the module whose packages are checked.
const module = "github.com/holdfast-dht/holdfast"

// floor is what one package, and the packages below its directory, may do.
type floor struct {
	imports []string // packages of the module, by directory
	outside []string // packages of other modules, by path or a prefix of it; nil above the line: see owners
	pure    bool     // below the I/O line: standard library and outside only, and the bans hold
}

// floors lists the packages, bottom up. Add a new package here and to
// docs/ARCHITECTURE.md.
var floors = map[string]floor{
	"pkg/kad": {pure: true},

	"pkg/kbucket": {pure: true, imports: []string{"pkg/kad"}},
	"pkg/lookup":  {pure: true, imports: []string{"pkg/kad"}},
	"pkg/wire":    {pure: true, imports: []string{"pkg/kad"}, outside: []string{"google.golang.org/protobuf/encoding/protowire"}},
	"pkg/records": {pure: true, imports: []string{"pkg/kad", "pkg/wire"}}, // wire: the scope of a saved connection
	"republish":   {pure: true, imports: []string{"pkg/kad"}},

	"pkg/dht": {pure: true, imports: []string{"pkg/kad", "pkg/kbucket", "pkg/lookup", "pkg/wire", "pkg/records", "republish"}},

	"internal/config": {pure: true, imports: []string{"pkg/wire", "pkg/records", "republish", "pkg/dht"}, outside: []string{"github.com/pelletier/go-toml"}}, // for its defaults

	"pkg/rpc": {imports: []string{"pkg/kad", "pkg/wire"}},
	"storage": {imports: []string{"pkg/kad", "pkg/wire", "pkg/records"}},
	"pkg/sim": {imports: []string{"pkg/kad", "pkg/kbucket", "pkg/wire", "pkg/records", "republish", "pkg/dht", "internal/pagestyle"}},

	"internal/workload": {imports: []string{"pkg/kad", "pkg/records", "storage", "internal/cputime"}}, // measures stores

	"internal/usage": {imports: []string{"pkg/wire", "pkg/rpc"}}, // implements its Observer

	"pkg/node": {imports: []string{"pkg/kad", "pkg/kbucket", "pkg/wire", "pkg/records", "republish", "pkg/dht", "pkg/rpc"}},

	"internal/api":       {imports: []string{"pkg/kad", "pkg/records", "internal/verdict"}},
	"internal/delegated": {imports: []string{"pkg/wire", "pkg/records", "pkg/dht", "pkg/rpc", "pkg/node", "internal/httphost"}},
	"internal/explain":   {imports: []string{"pkg/kad", "internal/api", "internal/columns", "internal/pagestyle"}},

	"internal/statuspage": {imports: []string{"internal/api", "internal/explain", "internal/httphost", "internal/pagestyle"}},

	"metrics": {imports: []string{"pkg/dht", "pkg/wire", "pkg/records", "pkg/rpc", "storage", "pkg/node"}}, // reads a node and its database

	"internal/daemon": {imports: []string{
		"pkg/kad", "pkg/wire", "pkg/records", "pkg/dht",
		"internal/config", "pkg/rpc", "storage", "metrics", "pkg/node", "internal/api", "internal/delegated", "internal/usage", "internal/statuspage", "internal/memlimit", "internal/verdict",
		"internal/history", "internal/latency", "internal/cputime",
	}},

	"internal/rpcbench": {imports: []string{"pkg/kad", "pkg/wire", "pkg/records", "internal/config", "pkg/node", "internal/api", "internal/daemon"}},

	"cmd": {imports: []string{"internal/rpcbench", "internal/config", "internal/api", "internal/explain", "pkg/sim", "internal/join", "internal/daemon", "internal/workload", "internal/columns", "internal/verdict"}},

	"internal/join": {imports: []string{"pkg/kad", "pkg/kbucket", "pkg/lookup"}}, // the table and the lookup of the node

	"internal/columns":     {},
	"internal/cputime":     {},
	"internal/disktest":    {},
	"internal/dnstest":     {},
	"internal/promisetest": {},
	"internal/latency":     {},
	"internal/memlimit":    {},

	"internal/history":  {pure: true},
	"internal/verdict":  {pure: true, outside: []string{"github.com/dustin/go-humanize"}},
	"internal/httphost": {},
	"internal/floors":   {},

	"internal/pagestyle": {pure: true},

	"deploy/grafana/generate": {},
}

// owners says which packages may import a foreign module, so that a file format
// or a transport stays behind one door. Modules not listed are free.
var owners = map[string][]string{
	"github.com/ipfs/boxo":         {"pkg/node", "internal/delegated"},
	"github.com/ipfs/go-datastore": {"storage", "internal/daemon"},
	"github.com/libp2p/go-libp2p":  {"internal/dnstest", "pkg/rpc", "internal/usage", "pkg/node", "internal/api", "internal/delegated", "internal/daemon", "internal/rpcbench", "cmd"},
	"github.com/pelletier/go-toml": {"internal/config"},
	"github.com/prometheus":        {"metrics", "internal/delegated", "internal/daemon"},
	"github.com/slok":              {"internal/delegated"},
	"github.com/spf13/cobra":       {"cmd"},
	"go.etcd.io/bbolt":             {"storage"},
	"google.golang.org/protobuf":   {"pkg/wire"},
}

// bannedImports are the standard packages that bring a clock, a lock, the
// system or chance into a pure package; their subpackages too.
var bannedImports = []string{
	"C", "context", "crypto/rand", "log", "math/rand", "net", "os", "runtime", "sync", "syscall", "testing", "unsafe",
}

// allowedImports are taken out of bannedImports.
var allowedImports = []string{"math/rand/v2", "net/netip"}

// bannedNames are functions a pure package may not even mention.
var bannedNames = map[string][]string{
	"time": {"Now", "After", "Since", "Until", "NewTimer", "NewTicker", "Tick", "Sleep", "AfterFunc"},
	"fmt":  {"Print", "Printf", "Println", "Scan", "Scanf", "Scanln"},
	"maps": {"All", "Keys", "Values"}, // in map order; with an order-free comment only
}

// seededRand is what math/rand/v2 offers besides the global generator.
var seededRand = []string{"New", "NewPCG", "NewChaCha8", "NewZipf", "Rand", "Source", "PCG", "ChaCha8", "Zipf"}

// exceptions are single files that may break one rule.
var exceptions = []struct{ file, rule, reason string }{
	{"internal/config/load.go", "import os", "reads the configuration file"},
	{"internal/config/validate.go", "import net", "splits host and port of an address"},
	{"internal/config/levels.go", "import log/slog", "names the levels of the log"},
	{"pkg/records/mem.go", "import sync", "the in-memory twin of the stores is called by many goroutines, as the stores are"},
	{"pkg/records/mem.go", "map order", "expiry treats every record alone"},
	{"pkg/records/mem_providers.go", "map order", "expiry treats every record alone"},
	{"pkg/records/mem_keystore.go", "map order", "the keys are sorted before anybody sees them"},
}
