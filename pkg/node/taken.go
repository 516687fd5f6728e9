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

// ErrProtocolTaken is returned by New if the host already has a node, or another stream
// handler, of the same protocol: only one of them would receive requests.
var ErrProtocolTaken = errors.New("the host already speaks the protocol")

// taken holds the protocols of open nodes by the network of their host, because a node in
// client mode has no stream handler that would show it.
var taken sync.Map

type takenKey struct {
	network  network.Network
	protocol protocol.ID
}

// takeProtocol reserves p on h until release is called.
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
