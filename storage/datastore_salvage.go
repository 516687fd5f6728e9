package storage

import "github.com/holdfast-dht/holdfast/storage/internal/pages"

// datastore copies the datastore rows that can be reached. It does not search the file for
// lost ones: an old version of a row may be worse than none, and only the owner of the rows
// can judge that.
func (s *salvager) datastore(bucket *pages.Element) {
	if bucket == nil {
		return // no datastore was used
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
