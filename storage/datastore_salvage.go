package storage

// datastore takes over the rows of the datastore that can be reached. It does not
// search the file for more: an old version of a row may be worse than none, and
// what the rows mean only their owner knows.
func (s *salvager) datastore(bucket *element) {
	if bucket == nil {
		return // there need be none
	}
	s.eachIn(bucket, func(e *element) {
		r, err := decodeDatastoreRow(e.key, e.value)
		if err != nil {
			s.incomplete = true
			return
		}
		o := keyedOp{clone(e.key), dsOp{value: clone(r.value), expires: r.expires}}
		s.apply(func(b *batch) error { return b.dsWrite([]keyedOp{o}) })
	})
}
