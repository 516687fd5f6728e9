package rpc

import (
	"errors"
	"fmt"
	"strings"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/p2p/net/swarm"
	ma "github.com/multiformats/go-multiaddr"
)

// ErrUnresolved is the reason for an address that begins with a name (/dnsaddr, /dns4) if no
// address of the peer could be dialled: DNS did not answer, has no such name, or has only
// addresses of other peers under it.
var ErrUnresolved = errors.New("the name did not resolve to an address of this peer")

// DialError describes why a peer could not be dialled.
type DialError struct {
	Peer    peer.ID
	Reasons DialReasons // at least one
	err     error       // the error of libp2p
}

// DialReasons are the reasons why the addresses of a peer could not be dialled, in the order
// of the attempts. libp2p keeps 16.
type DialReasons []DialReason

// DialReason is the reason why one address could not be dialled.
type DialReason struct {
	Addr ma.Multiaddr // nil: the reason applies to the peer as a whole
	Err  error
}

// NewDialError interprets the error that libp2p returned for a dial of p, for example from
// the host's Connect. addrs are the addresses that were known; libp2p does not name those that
// it could not resolve.
func NewDialError(p peer.ID, err error, addrs ...ma.Multiaddr) *DialError {
	e := &DialError{Peer: p, err: err}
	var dial *swarm.DialError
	if !errors.As(err, &dial) {
		e.Reasons = DialReasons{{Err: err}}
		return e
	}
	for i := range dial.DialErrors {
		e.Reasons = append(e.Reasons, DialReason{Addr: dial.DialErrors[i].Address, Err: dial.DialErrors[i].Cause})
	}
	if dial.Skipped > 0 {
		e.Reasons = append(e.Reasons, DialReason{Err: fmt.Errorf("%d more addresses", dial.Skipped)})
	}
	if len(e.Reasons) == 0 && errors.Is(dial.Cause, swarm.ErrNoGoodAddresses) {
		e.Reasons = unresolved(addrs)
	}
	if len(e.Reasons) == 0 {
		e.Reasons = DialReasons{{Err: wholeReason(dial)}}
	}
	return e
}

// unresolved returns ErrUnresolved for each address that begins with a name. It skips relay
// addresses: their name may resolve, but libp2p does not dial them where the caller demands a
// direct connection.
func unresolved(addrs []ma.Multiaddr) (reasons DialReasons) {
	for _, a := range addrs {
		if isName(a) && !isRelayed(a) {
			reasons = append(reasons, DialReason{Addr: a, Err: ErrUnresolved})
		}
	}
	return reasons
}

// isRelayed reports whether a leads through a relay.
func isRelayed(a ma.Multiaddr) bool {
	_, err := a.ValueForProtocol(ma.P_CIRCUIT)
	return err == nil
}

// wholeReason returns why a dial failed that did not try any address.
func wholeReason(dial *swarm.DialError) error {
	if dial.Cause == nil {
		return dial
	}
	return dial.Cause
}

// isDialError reports whether err is libp2p's error of a failed dial.
func isDialError(err error) bool { return errors.As(err, new(*swarm.DialError)) }

// Error returns the peer and the reasons on one line.
func (e *DialError) Error() string { return "dial " + e.Peer.String() + ": " + e.Reasons.String() }

// Unwrap returns the error of libp2p.
func (e *DialError) Unwrap() error { return e.err }

// String returns the reasons on one line: "[address] reason; [address] reason".
func (r DialReasons) String() string {
	texts := make([]string, len(r))
	for i, x := range r {
		texts[i] = strings.Join(strings.Fields(x.Err.Error()), " ")
		if x.Addr != nil {
			texts[i] = "[" + x.Addr.String() + "] " + texts[i]
		}
	}
	return strings.Join(texts, "; ")
}
