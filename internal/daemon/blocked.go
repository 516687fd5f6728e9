package daemon

import (
	"strings"
	"sync/atomic"

	rcmgr "github.com/libp2p/go-libp2p/p2p/host/resource-manager"
)

// blocked counts the connections and streams from peers that libp2p's resource manager refuses
// at a limit of the whole node or of a protocol. What it refuses to a single peer is not
// counted, nor is memory: rpc.ReasonMemory counts the requests that got none. Safe for
// concurrent use.
type blocked struct{ n atomic.Uint64 }

var _ rcmgr.TraceReporter = (*blocked)(nil)

// ConsumeEvent implements rcmgr.TraceReporter.
func (b *blocked) ConsumeEvent(e rcmgr.TraceEvt) {
	refused := e.Type == rcmgr.TraceBlockAddConnEvt || e.Type == rcmgr.TraceBlockAddStreamEvt
	if !refused || e.DeltaIn == 0 {
		return
	}
	scope, _, _ := strings.Cut(e.Name, ".span-")
	whole := scope == "system" || scope == "transient" || strings.HasPrefix(scope, "protocol:") && !strings.Contains(scope, ".peer:")
	if whole {
		b.n.Add(1)
	}
}
