package node

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"sync"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/protocol"
)

// ErrProtocolTaken is returned by New for a host that already has a node, or another
// stream handler, of the same protocol. Each would take the other's requests.
var ErrProtocolTaken = errors.New("node: the host already speaks the protocol")

// taken holds the protocols of the nodes that are open, by the network of their
// host. A node in client mode has no stream handler that would show it.
var taken sync.Map

type takenKey struct {
	network  network.Network
	protocol protocol.ID
}

// takeProtocol claims p on h until release is called.
func takeProtocol(h host.Host, p protocol.ID) (release func(), err error) {
	fail := fmt.Errorf("%w: %s", ErrProtocolTaken, p)
	if slices.Contains(h.Mux().Protocols(), p) {
		return nil, fail
	}
	key := takenKey{h.Network(), p}
	if !reflect.TypeOf(key.network).Comparable() {
		return func() {}, nil
	}
	if _, used := taken.LoadOrStore(key, struct{}{}); used {
		return nil, fail
	}
	return func() { taken.Delete(key) }, nil
}
