package dht

import (
	"time"

	"github.com/holdfast-dht/holdfast/pkg/records"
)

// Limits of the Machine.
const (
	// MaxRequests limits the requests in flight. Each purpose has places of its own, so
	// that peers that hang on requests of one purpose do not block the others.
	MaxRequests = MaxQueryRequests + MaxProbes + MaxSuspects + MaxLiveness
	// MaxQueryRequests limits the requests of queries in flight: the stores of eight
	// published keys at 20 peers each, and some lookups. Queries beyond it wait in order.
	MaxQueryRequests = 192
	// MaxQueries limits the running queries; Start refuses more.
	MaxQueries = 1024
	// MaxProbes limits the probes of candidates in flight.
	MaxProbes = 32
	// MaxSuspects limits the probes in flight of table peers that failed a request.
	MaxSuspects = 16
	// MaxLiveness limits the probes in flight of table peers that were silent for long.
	// Even if every probe hangs, that is 96 a minute and 4,128 in LivenessInterval, more
	// than any table holds.
	MaxLiveness = 16
	// MaxCandidates limits the peers that wait for a probe: a full snapshot.
	MaxCandidates = records.MaxSnapshotPeers
	// MaxFailedProbes limits the remembered peers that failed a probe lately.
	MaxFailedProbes = 4096
	// MaxPacedPeers limits the remembered peers that limit announcements. MaxPaced limits
	// the announcements that wait for one of them: nine minutes' worth. Announcements
	// beyond it count as refused.
	MaxPacedPeers = 256
	MaxPaced      = 512
	// PaceTries is how often one announcement is sent to such a peer at most.
	PaceTries = 3
	// FailedProbePause: lookups skip a peer for this long after a failed probe. Others still
	// name it, and each attempt costs a failed dial. It is not probed either, even if it
	// connects again; otherwise peers that never answer would take all places.
	FailedProbePause = time.Minute
	// MaxPausing limits the peers that wait for the end of their pause, about 100 bytes
	// each. A peer beyond it is found when it next connects or sends a request.
	MaxPausing = 1024
	// FailedProbeMemory: for this long after a failed probe, being named by others does not get
	// a peer probed again.
	FailedProbeMemory = 10 * time.Minute
	// MaxProviderBytes limits the memory of the providers that one query reports, until
	// its caller has read them: 80,000 providers with four addresses each.
	MaxProviderBytes = 32 << 20
	// MaxCloser limits the closer peers taken from one answer: 2k.
	MaxCloser = 2 * Replicas
)
