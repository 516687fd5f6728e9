package storage

import "github.com/holdfast-dht/holdfast/storage/internal/pages"

// datastore takes over the rows of the datastore that can be reached. It does not
// search the file for more: an old version of a row may be worse than none, and
// what the rows mean only their owner knows.
func (s *salvager) datastore(bucket *pages.Element) {
	if bucket == nil {
		return // there need be none
	}
	s.pages.Rows(bucket, func(e *pages.Element) {
		r, err := decodeDatastoreRow(e.Key, e.Value)
		if err != nil {
			s.incomplete = true
			return
		}
		o := keyedOp{clone(e.Key), dsOp{value: clone(r.value), expires: r.expires}}
		s.apply(func(x *txn) error { return x.dsWrite([]keyedOp{o}) })
	})
}
