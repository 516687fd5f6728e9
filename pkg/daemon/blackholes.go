package daemon

import "github.com/libp2p/go-libp2p/p2p/net/swarm"

// blackHoles are libp2p's detectors of networks that swallow UDP or IPv6: once a
// hundred dials have failed, they let only one in a hundred pass. They take an outage
// for such a network, and would outlast it.
type blackHoles struct {
	udp, ipv6 *swarm.BlackHoleSuccessCounter
}

// newBlackHoles returns detectors with libp2p's own numbers.
func newBlackHoles() *blackHoles {
	detector := func(name string) *swarm.BlackHoleSuccessCounter {
		return &swarm.BlackHoleSuccessCounter{N: 100, MinSuccesses: 5, Name: name}
	}
	return &blackHoles{udp: detector("UDP"), ipv6: detector("IPv6")}
}

// forget lets dials pass again: to a detector that blocks, one success proves it
// wrong.
func (b *blackHoles) forget() {
	b.udp.RecordResult(true)
	b.ipv6.RecordResult(true)
}
