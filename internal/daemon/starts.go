package daemon

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	ds "github.com/ipfs/go-datastore"
)

// startsKey is the key of the history in the datastore of the database.
var startsKey = ds.NewKey("/daemon/starts")

// keptStarts bounds the starts that the history has details of.
const keptStarts = 10

// startNote is one start of the daemon.
type startNote struct {
	At      time.Time `json:"at"`
	Version string    `json:"version"`
	Clean   bool      `json:"clean"` // the previous run had closed the database, or there was none
}

// starts is the history of a data directory. A growing count of unclean starts means that
// the node crashes or is killed, which its uptime alone does not show.
type starts struct {
	Count   int64       `json:"count"`
	Unclean int64       `json:"unclean"`
	Last    []startNote `json:"last"` // the newest last
}

// add records a start.
func (s *starts) add(n startNote) {
	s.Count++
	if !n.Clean {
		s.Unclean++
	}
	s.Last = append(s.Last, n)
	s.Last = s.Last[max(len(s.Last)-keptStarts, 0):]
}

// previous returns when the start before this one was, or zero if it is not known.
func (s *starts) previous() time.Time {
	if len(s.Last) < 2 {
		return time.Time{}
	}
	return s.Last[len(s.Last)-2].At
}

// noteStart adds this start to the history in store and returns the history. It replaces
// a history that cannot be decoded.
func noteStart(ctx context.Context, store ds.Datastore, n startNote) (s starts, err error) {
	row, err := store.Get(ctx, startsKey)
	switch {
	case err == nil:
		if json.Unmarshal(row, &s) != nil {
			s = starts{}
		}
	case !errors.Is(err, ds.ErrNotFound):
		return s, fmt.Errorf("history of starts: %w", err)
	}
	s.add(n)
	row, err = json.Marshal(&s)
	if err == nil {
		err = store.Put(ctx, startsKey, row)
	}
	if err != nil {
		return s, fmt.Errorf("history of starts: %w", err)
	}
	return s, nil
}

// countStart records this start. If that fails, for example because the disk is full, the
// node starts anyway.
func (d *Daemon) countStart() {
	var err error
	n := startNote{At: d.started.UTC(), Version: BuildInfo().Version, Clean: d.clean}
	if d.starts, err = noteStart(d.ctx, d.store.Datastore(), n); err != nil {
		d.log.Warn("history of starts not saved", "err", err)
	}
}
