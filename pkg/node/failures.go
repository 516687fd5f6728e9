package node

import (
	"bytes"
	"fmt"
	"slices"
	"time"

	"github.com/holdfast-dht/holdfast/pkg/dht"
	"github.com/holdfast-dht/holdfast/pkg/records"
)

// maxFailures bounds how many failed publications are told of: what fails for one
// reason fails for many keys.
const maxFailures = 10

// PublishFailure is a published key that was not published, or that too few peers
// took, when it was last tried.
type PublishFailure struct {
	Kind    records.Kind
	Key     []byte
	At      time.Time
	Problem string
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
		return fmt.Sprintf("none of %d peers took it", p.Asked)
	}
	return fmt.Sprintf("only %d of %d peers took it", p.Holders, p.Asked)
}
