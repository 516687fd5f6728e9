package floors

// allowance names declarations that may exist without a use outside tests.
type allowance struct {
	names  string // as "pkg/kad.Key.String", separated by blanks
	reason string
}

// allowed lists what users of the library call and the programs of this repository do
// not. Remove a declaration that has no user, and an entry that is not needed.
var allowed = []allowance{
	{"pkg/dht.StepWaiting", "the zero StepState"},
	{"pkg/kbucket.View.Nearest", "Table.Nearest for the holder of a View"},
	{"pkg/lookup.Stats.Slow pkg/lookup.Stats.Waiting", "together with the other counts they cover the whole shortlist"},
	{"pkg/node.Node.Unprovide", "ends what Provide of routing.ContentRouting began"},
	{"pkg/node.StoreResult.Key pkg/node.ValueResult.Key", "a result names its key: it may be passed on without the call"},
	{"pkg/sim.World.Now pkg/sim.World.Violations", "the state to read between two calls of RunUntil"},
	{"pkg/wire.Connected pkg/wire.CanConnect", "values of the protocol's ConnectionType, which other implementations send"},
	{"pkg/wire.Parse pkg/wire.ReadFrame", "a whole message from a stream, for programs that need no FrameReader"},
	{"storage.DB.Quarantined", "the files that the start has set aside, for programs that do not read the log"},
	{"storage.OpenDatastore", "a datastore for programs without a node"},
	{"storage.Restore", "for programs with one store, which restore only their own backups"},
	{"storage.Report.Providers", "the result of Check is complete"},

	// Not part of the library.
	{"internal/api.ErrInvalid internal/api.ErrNoPeers internal/api.ErrTooLarge internal/api.ErrTimeout internal/api.ErrUnsupported", "each code of the admin socket has its error"},
	{"internal/workload.Window", "interop/bench, a separate module, uses the same window"},
	{"storage/runs.Open storage/runs.ErrLocked", "tests and benchmarks open the store alone"},
	{"storage/runs.Store.Pinned storage/runs.Store.Rotate", "the tests of package storage use them to bring files into every state"},
	{"storage.DB.ProviderStats storage/runs.Stats.Epochs storage/runs.Stats.Tables storage/runs.Stats.Runs storage/runs.Stats.FilterBytes" +
		" storage/runs.Stats.Flushes storage/runs.Stats.Merges storage/runs.Contents.Copies storage/runs.Contents.Garbage",
		"the tests of storage, storage/runs and storage/internal/force use them to see the state of the files"},
}
