package runs

import "github.com/holdfast-dht/holdfast/pkg/kad"

// Held returns how many records name each provider, live or not yet removed, as of
// all writes before it: the running counts that Options.MaxRecordsPerProvider
// is held against. It waits for a commit.
func (s *Store) Held(ids []kad.PeerID) ([]int, error) {
	held := make([]int, len(ids))
	var failed error
	err := s.call("held", func(c *commit) error {
		held, failed = held[:0], nil // it may be tried again
		for _, id := range ids {
			n, err := c.held(id)
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

func (c *commit) held(id kad.PeerID) (int, error) {
	p, err := c.led.peers.byPeerID(c.tx, id)
	if p == nil || err != nil {
		return 0, err
	}
	if p.drops != c.led.drops {
		c.touch(p)
	}
	return p.total(), nil
}
