package daemon

import (
	"strings"
	"sync/atomic"

	rcmgr "github.com/libp2p/go-libp2p/p2p/host/resource-manager"
)

// blocked counts what libp2p's resource manager refuses at a limit of the whole node or of a
// protocol. What it refuses to a single peer is not counted. Safe for concurrent use.
type blocked struct{ n atomic.Uint64 }

var _ rcmgr.TraceReporter = (*blocked)(nil)

// ConsumeEvent implements rcmgr.TraceReporter.
func (b *blocked) ConsumeEvent(e rcmgr.TraceEvt) {
	switch e.Type {
	case rcmgr.TraceBlockAddConnEvt, rcmgr.TraceBlockAddStreamEvt, rcmgr.TraceBlockReserveMemoryEvt:
	default:
		return
	}
	scope, _, _ := strings.Cut(e.Name, ".span-")
	whole := scope == "system" || scope == "transient" || strings.HasPrefix(scope, "protocol:") && !strings.Contains(scope, ".peer:")
	if whole {
		b.n.Add(1)
	}
}
