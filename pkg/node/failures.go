package node

import (
	"bytes"
	"fmt"
	"slices"
	"time"

	"github.com/holdfast-dht/holdfast/pkg/dht"
	"github.com/holdfast-dht/holdfast/pkg/records"
)

// maxFailures bounds how many publications are told of that failed, and how many that
// ended: what happens for one reason happens to many keys.
const maxFailures = 10

// PublishFailure is a published key that was not published, or that too few peers
// took, when it was last tried.
type PublishFailure struct {
	Kind    records.Kind
	Key     []byte
	At      time.Time
	Problem string
}

// PublishEnd is a published key that is not published any more.
type PublishEnd struct {
	Kind   records.Kind
	Key    []byte
	At     time.Time
	Reason string
}

// ends are the last publications that ended by themselves, newest first, and how many
// there were since the start.
type ends struct {
	last []PublishEnd
	n    int
}

func (e *ends) add(x PublishEnd) {
	e.n++
	e.last = slices.Insert(e.last, 0, x)
	e.last = e.last[:min(len(e.last), maxFailures)]
}

// failures are the last ones, newest first. Owned by whoever owns the list.
type failures []PublishFailure

func (f *failures) add(x PublishFailure) {
	f.forget(x.Kind, x.Key)
	*f = slices.Insert(*f, 0, x)
	*f = (*f)[:min(len(*f), maxFailures)]
}

// forget drops that of a key that was published since.
func (f *failures) forget(kind records.Kind, key []byte) {
	*f = slices.DeleteFunc(*f, func(x PublishFailure) bool { return x.Kind == kind && bytes.Equal(x.Key, key) })
}

// problem says why a publication failed.
func problem(p *dht.Published) string {
	switch {
	case p.Asked == 0:
		return "no peer found to store it at"
	case p.Holders == 0:
		return fmt.Sprintf("no peer took it (%d asked)", p.Asked)
	}
	return fmt.Sprintf("only %d of %d peers took it", p.Holders, p.Asked)
}
