package runs

import "github.com/holdfast-dht/holdfast/pkg/kad"

// Held returns how many records name each provider, live or not yet removed, as of
// all writes before it: the running counts that Options.MaxRecordsPerProvider
// is held against. It waits for a commit.
func (s *Store) Held(ids []kad.PeerID) ([]int, error) {
	held := make([]int, len(ids))
	var failed error
	err := s.call("held", func(x *txn) error {
		held, failed = held[:0], nil // it may be tried again
		for _, id := range ids {
			n, err := x.held(id)
			if err != nil {
				failed = err // damage of one row is no reason to undo the others' writes
			}
			held = append(held, n)
		}
		return nil
	})
	if err == nil && failed != nil {
		err = s.failed("held", failed)
	}
	return held, err
}

func (x *txn) held(id kad.PeerID) (int, error) {
	p, err := x.led.peers.byPeerID(x.tx, id)
	if p == nil || err != nil {
		return 0, err
	}
	if p.drops != x.led.drops {
		x.touch(p)
	}
	return p.total(), nil
}
