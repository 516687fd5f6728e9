package storage

import (
	"bytes"
	"context"
	"slices"

	ds "github.com/ipfs/go-datastore"
	dsq "github.com/ipfs/go-datastore/query"
	"go.etcd.io/bbolt"
)

const (
	// dsSlice bounds the rows that a Query reads per transaction and holds in memory.
	dsSlice = 256
	// dsSliceBytes bounds the values of a slice in bytes, not counting the last one.
	dsSliceBytes = 1 << 20
)

// dsPlan splits a query into the part that the tree answers and the rest that go-datastore
// applies.
type dsPlan struct {
	query  dsq.Query
	prefix []byte    // prefix of the keys
	values bool      // rows are read including their values
	rest   dsq.Query // what go-datastore applies to the rows
}

// planQuery lets the tree sort by key. Keys are distinct, so any further order has no effect.
func planQuery(q dsq.Query) dsPlan {
	p := dsPlan{query: q, rest: q}
	if prefix := ds.NewKey(q.Prefix).String(); prefix != "/" {
		p.prefix = []byte(prefix + "/")
	}
	p.rest.Prefix = ""
	if len(q.Orders) > 0 {
		switch q.Orders[0].(type) {
		case dsq.OrderByKey, *dsq.OrderByKey:
			p.rest.Orders = nil
		}
	}
	p.values = !q.KeysOnly || slices.ContainsFunc(q.Filters, filtersValues) || slices.ContainsFunc(p.rest.Orders, ordersValues)
	return p
}

// filtersValues reports whether a filter may read more than the key.
func filtersValues(f dsq.Filter) bool {
	switch f.(type) {
	case dsq.FilterKeyCompare, *dsq.FilterKeyCompare, dsq.FilterKeyPrefix, *dsq.FilterKeyPrefix:
		return false
	}
	return true
}

func ordersValues(o dsq.Order) bool {
	switch o.(type) {
	case dsq.OrderByKey, *dsq.OrderByKey, dsq.OrderByKeyDescending, *dsq.OrderByKeyDescending:
		return false
	}
	return true
}

// results applies the rest of the query. It removes values that only a filter or an order
// needed.
func (p *dsPlan) results(rows dsq.Iterator) dsq.Results {
	r := dsq.NaiveQueryApply(p.rest, dsq.ResultsFromIterator(p.query, rows))
	if !p.query.KeysOnly || !p.values {
		return r
	}
	return dsq.ResultsFromIterator(p.query, dsq.Iterator{
		Next: func() (dsq.Result, bool) {
			e, ok := r.NextSync()
			e.Value = nil
			return e, ok
		},
		Close: r.Close,
	})
}

// dsEntry is a row as a query returns it.
type dsEntry struct {
	dsq.Entry
	row dsRow // without its value
}

// entry returns a row as an entry that does not alias it.
func (p *dsPlan) entry(key []byte, r *dsRow) dsEntry {
	e := dsEntry{Entry: dsq.Entry{Key: string(key), Size: len(r.value)}, row: *r}
	e.row.value = nil
	if p.values {
		e.Value = clone(r.value)
	}
	if p.query.ReturnExpirations {
		e.Expiration = fromNanos(r.expires)
	}
	return e
}

// slice appends at most n rows with the plan's prefix, starting at the key from. next is the
// key at which to continue, or nil at the end.
func (p *dsPlan) slice(t *dsTx, dst []dsEntry, from []byte, n int) (rows []dsEntry, next []byte, err error) {
	if t.rows == nil {
		return dst, nil, nil
	}
	c := t.rows.Cursor()
	size := 0
	for k, v := c.Seek(from); k != nil && bytes.HasPrefix(k, p.prefix); k, v = c.Next() {
		if n == 0 || size > dsSliceBytes {
			return dst, clone(k), nil
		}
		r, err := decodeDatastoreRow(k, v)
		if err != nil {
			return dst, nil, err
		}
		e := p.entry(k, r)
		dst = append(dst, e)
		n, size = n-1, size+len(e.Value)
	}
	return dst, nil, nil
}

// Query implements datastore.Read (see Datastore for its guarantees). The default order is by
// key. With KeysOnly, filters and orders still see the values.
func (d *Datastore) Query(ctx context.Context, q dsq.Query) (dsq.Results, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	p := planQuery(q)
	w := &dsWalk{d: d, ctx: ctx, plan: &p, from: clone(p.prefix)}
	return p.results(dsq.Iterator{Next: w.next}), nil
}

// dsWalk is a running query.
type dsWalk struct {
	d    *Datastore
	ctx  context.Context // context of Query; the iterator interface has no parameter for it
	plan *dsPlan
	rows []dsEntry // not yet returned
	from []byte    // where the next slice begins; nil: there is none
}

// next returns the next row that is live now. It ends after an error.
func (w *dsWalk) next() (dsq.Result, bool) {
	for {
		if err := w.ctx.Err(); err != nil && (w.from != nil || len(w.rows) > 0) {
			return w.fail(err), true
		}
		if len(w.rows) == 0 {
			if w.from == nil {
				return dsq.Result{}, false
			}
			if err := w.read(); err != nil {
				return w.fail(err), true
			}
			continue
		}
		e := &w.rows[0]
		w.rows = w.rows[1:]
		if e.row.live(w.d.now()) {
			return dsq.Result{Entry: e.Entry}, true
		}
	}
}

func (w *dsWalk) fail(err error) dsq.Result {
	w.rows, w.from = nil, nil
	return dsq.Result{Error: err}
}

// read reads the next slice.
func (w *dsWalk) read() error {
	return w.d.db.view("datastore_query", func(tx *bbolt.Tx) error {
		t, err := openDatastoreTx(tx)
		if err != nil {
			return err
		}
		w.rows, w.from, err = w.plan.slice(&t, nil, w.from, dsSlice)
		return err
	})
}
