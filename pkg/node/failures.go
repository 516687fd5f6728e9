package node

import (
	"bytes"
	"fmt"
	"slices"
	"time"

	"github.com/holdfast-dht/holdfast/pkg/dht"
	"github.com/holdfast-dht/holdfast/pkg/records"
)

// maxFailures limits the failed publications that are kept, and those that ended. More of
// them would mostly repeat the same reason.
const maxFailures = 10

// PublishFailure is a key whose last publication failed or was stored by too few peers.
type PublishFailure struct {
	Kind    records.Kind
	Key     []byte
	At      time.Time
	Problem string
}

// PublishEnd is a key whose publication has ended by itself.
type PublishEnd struct {
	Kind   records.Kind
	Key    []byte
	At     time.Time
	Reason string
}

// ends holds the last keys whose publication ended by itself, newest first, and their
// number since the start.
type ends struct {
	last []PublishEnd
	n    int
}

func (e *ends) add(x PublishEnd) {
	e.n++
	e.last = slices.Insert(e.last, 0, x)
	e.last = e.last[:min(len(e.last), maxFailures)]
}

// failures holds the last failed publications, newest first, at most one for each key.
type failures []PublishFailure

func (f *failures) add(x PublishFailure) {
	f.forget(x.Kind, x.Key)
	*f = slices.Insert(*f, 0, x)
	*f = (*f)[:min(len(*f), maxFailures)]
}

// forget removes the failure of a key.
func (f *failures) forget(kind records.Kind, key []byte) {
	*f = slices.DeleteFunc(*f, func(x PublishFailure) bool { return x.Kind == kind && bytes.Equal(x.Key, key) })
}

// problem describes why a publication failed.
func problem(p *dht.Published) string {
	switch {
	case p.Asked == 0:
		return "no peer found to store it at"
	case p.Holders == 0:
		return fmt.Sprintf("no peer took it (%d asked)", p.Asked)
	}
	return fmt.Sprintf("only %d of %d peers took it", p.Holders, p.Asked)
}
