package verdict

import "time"

// Facts are what a verdict is based on. A zero field is unknown, or is no problem.
type Facts struct {
	Now      time.Time
	Starting bool          // Start has not finished
	Stopping bool          // Close has begun
	Uptime   time.Duration // of the node

	TablePeers    int
	VerifiedPeers int
	NetworkSize   float64   // estimated number of servers
	SilentSince   time.Time // the node had peers, and none has answered since
	IsolatedSince time.Time // the same once it has lasted; zero for the first node of a network
	Asking        bool      // peers are being asked whether they serve the protocol
	LowSince      time.Time // fewer than LowTable peers have been verified since
	First         bool      // the node may be alone: it is the first of its network
	Bootstrap     Bootstrap
	RequestsIn    float64 // per second

	DiskFullSince  time.Time
	DiskFree       int64 // bytes
	DiskSize       int64 // bytes; 0: unknown
	DatabaseFailed bool  // it refuses all writes after a failed fsync
	DatabaseFill   float64
	DamagedFiles   int       // of the database, moved aside and not removed yet
	Unrecovered    int       // of them: may contain more than was recovered
	DamagedAt      time.Time // when the last of them was moved

	Refused          Refused
	Memory           int64 // held by the Go runtime, in bytes
	MemoryLimit      int64 // 0: unknown
	Descriptors      int
	DescriptorsLimit int // 0: unknown

	OverdueKeys  int
	OverdueSince time.Time // at least one key has been overdue since
	UntakenKeys  int       // published keys that were never published: too few peers stored them
	UntakenSince time.Time // there has been one, and a peer that answers, since

	ReloadFailedSince time.Time
	BuiltAt           time.Time     // date of the program's source
	ClockBack         time.Duration // by how much the clock was set back within the last hour
	ClockBackAt       time.Time
}

// Bootstrap describes the bootstrap peers and the last attempt to reach them.
type Bootstrap struct {
	Peers   int  // configured
	Over    bool // the first attempt is over
	Dialled int  // in the last attempt
	Failed  int  // of them, not reached
}

// hadPeer reports whether the node ever had a peer. One enters the table once it has answered.
func (f *Facts) hadPeer() bool {
	return f.VerifiedPeers > 0 || f.TablePeers > 0 || !f.SilentSince.IsZero()
}

// unreachable reports whether the last attempt reached none of them.
func (b *Bootstrap) unreachable() bool { return b.Dialled > 0 && b.Failed == b.Dialled }

// Refused counts the requests that the node refused for lack of capacity, within a window.
type Refused struct {
	Window   time.Duration
	Since    time.Time // such requests have been refused since, without a pause
	Requests uint64    // all requests of peers, refused or not

	Streams uint64 // too many streams were open
	Memory  uint64 // libp2p's memory limit was reached
	Busy    uint64 // too many writes waited for the database
	Libp2p  uint64 // connections and streams that libp2p's resource manager refused
	Queries uint64 // lookups of this node: too many were running
}

// Total returns the number of refused requests.
func (r *Refused) Total() uint64 { return r.Streams + r.Memory + r.Busy + r.Libp2p + r.Queries }
