package floors

// allowance is declarations that may stand without a use outside tests.
type allowance struct {
	names  string // as "pkg/kad.Key.String", separated by blanks
	reason string
}

// allowed is what users of the library call and the programs here do not. What nobody
// needs goes instead; so does an entry here that is not needed.
var allowed = []allowance{
	{"pkg/dht.StepWaiting", "the zero StepState"},
	{"pkg/kbucket.View.Nearest", "what Table.Nearest is, for those who hold a View"},
	{"pkg/lookup.Stats.Slow pkg/lookup.Stats.Waiting", "with the other counts they are the whole shortlist"},
	{"pkg/node.Node.Unprovide", "ends what Provide of routing.ContentRouting began"},
	{"pkg/node.StoreResult.Key pkg/node.ValueResult.Key", "a result names its key: it may be passed on without the call"},
	{"pkg/sim.World.Now pkg/sim.World.Violations", "what there is to look at between two calls of RunUntil"},
	{"pkg/wire.Connected pkg/wire.CanConnect", "values of the protocol's ConnectionType, which others send"},
	{"pkg/wire.Parse pkg/wire.ReadFrame", "a whole message from a stream, for programs that need no FrameReader"},
	{"storage.DB.Quarantined", "what a start has put aside, for programs that do not read the log"},
	{"storage.OpenDatastore", "a datastore for programs without a node"},
	{"storage.Report.Providers", "the result of Check is complete"},

	// Not of the library.
	{"pkg/api.ErrInvalid pkg/api.ErrNoPeers pkg/api.ErrTooLarge pkg/api.ErrTimeout pkg/api.ErrUnsupported", "each code of the admin socket has its error"},
	{"storage/workload.Window", "interop/bench, a module of its own, writes as often"},
	{"storage/runs.Open storage/runs.ErrLocked", "the store alone, as its tests and benchmarks open it"},
	{"storage/runs.Store.Pinned storage/runs.Store.Rotate", "the tests of package storage bring files into every state"},
	{"storage.DB.ProviderStats storage/runs.Stats.Epochs storage/runs.Stats.Tables storage/runs.Stats.Runs storage/runs.Stats.FilterBytes" +
		" storage/runs.Stats.Flushes storage/runs.Stats.Merges storage/runs.Contents.Copies storage/runs.Contents.Garbage",
		"the tests of storage, storage/runs and storage/force see by them what state the files are in"},
}
