package daemon

import "github.com/libp2p/go-libp2p/p2p/net/swarm"

// blackHoles are libp2p's detectors of networks that drop UDP or IPv6. Once a hundred
// dials have failed, they let only one in a hundred through. They mistake an outage for
// such a network, and would go on blocking dials after its end.
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

// forget lets dials through again: a detector that blocks resets on one success.
func (b *blackHoles) forget() {
	b.udp.RecordResult(true)
	b.ipv6.RecordResult(true)
}
