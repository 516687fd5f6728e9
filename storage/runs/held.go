package runs

import "github.com/holdfast-dht/holdfast/pkg/kad"

// Held returns how many records name each provider, live or expired but not yet removed, as
// of all earlier writes. These are the counts to which Options.MaxRecordsPerProvider applies.
// It waits for a commit.
func (s *Store) Held(ids []kad.PeerID) ([]int, error) {
	held := make([]int, len(ids))
	var failed error
	err := s.call("held", func(x *txn) error {
		held, failed = held[:0], nil // may be called again
		for _, id := range ids {
			n, err := x.held(id)
			if err != nil {
				failed = err // a damaged row is no reason to roll back other writes
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
	p, err := x.led.providers.load(x.tx, id)
	if p == nil || err != nil {
		return 0, err
	}
	if p.drops != x.led.drops {
		x.touch(p)
	}
	return p.total(), nil
}
