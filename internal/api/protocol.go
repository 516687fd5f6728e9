package api

import (
	"encoding/json"
	"time"
)

// Bounds of the admin protocol.
const (
	// maxBody bounds a request in bytes. MaxKeys keys of 80 bytes in base64 fit, and so
	// does the largest configurable value.
	maxBody = 16 << 20
	// MaxKeys bounds the keys of one request, to two transactions of the store.
	MaxKeys = 8192
	// maxChunk bounds one item of a backup in bytes.
	maxChunk = 256 << 10
	// maxRequests bounds the requests in progress.
	maxRequests = 64
	// maxLine bounds one line or answer that the client reads, in bytes.
	maxLine = 16 << 20
	// readTimeout bounds the reading of one request.
	readTimeout = 30 * time.Second
	// writeTimeout bounds each write to a client that may have stopped reading.
	writeTimeout = 30 * time.Second
)

// pathPrefix is the prefix of the path of every operation: POST /v1/<operation>.
const pathPrefix = "/v1/"

// Operations.
const (
	opIdentity        = "identity"
	opStatus          = "status"
	opHealth          = "health"
	opOverview        = "overview"
	opTable           = "table"
	opPeers           = "peers"
	opUsage           = "usage"
	opPut             = "put"
	opGet             = "get"
	opUnpublish       = "unpublish"
	opProvide         = "provide"
	opProvideLater    = "provide-later"
	opUnprovide       = "unprovide"
	opUnprovideAll    = "unprovide-all"
	opProvides        = "provides"
	opFindProviders   = "find-providers"
	opFindPeer        = "find-peer"
	opClosest         = "closest"
	opPing            = "ping"
	opExplain         = "explain"
	opTraces          = "traces"
	opRepublishStatus = "republish-status"
	opRepublishNow    = "republish-now"
	opBackup          = "backup"
	opDebugBundle     = "debug-bundle"
	opLogLevels       = "log-levels"
	opSetLogLevel     = "set-log-level"
)

// request holds the arguments of every operation; each uses a few.
type request struct {
	Key       []byte        `json:"key,omitempty"`
	Keys      [][]byte      `json:"keys,omitempty"`
	Value     []byte        `json:"value,omitempty"`
	TTL       time.Duration `json:"ttl,omitempty"` // nanoseconds
	Quorum    int           `json:"quorum,omitempty"`
	Count     int           `json:"count,omitempty"`
	Lookup    string        `json:"lookup,omitempty"`
	Peer      string        `json:"peer,omitempty"`
	Subsystem string        `json:"subsystem,omitempty"`
	Level     string        `json:"level,omitempty"`
}

// check rejects negative numbers, which are invalid for every operation.
func (r *request) check() error {
	switch {
	case r.Count < 0:
		return Errorf(CodeInvalid, "count is %d; it cannot be below 0", r.Count)
	case r.Quorum < 0:
		return Errorf(CodeInvalid, "quorum is %d; it cannot be below 0", r.Quorum)
	case r.TTL < 0:
		return Errorf(CodeInvalid, "ttl is %s; it cannot be below 0", r.TTL)
	}
	return nil
}

// line is one line of a streamed answer: an item, or the end.
type line struct {
	Item  json.RawMessage `json:"item,omitempty"`
	Error *Error          `json:"error,omitempty"`
	End   bool            `json:"end,omitempty"` // without it the stream was truncated
}

// failure is the answer of an operation that failed before its first item.
type failure struct {
	Error *Error `json:"error"`
}
