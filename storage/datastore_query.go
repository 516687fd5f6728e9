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
	// dsSlice bounds the rows that a Query reads in one transaction and holds.
	dsSlice = 256
	// dsSliceBytes bounds their values in bytes, beyond the last one.
	dsSliceBytes = 1 << 20
)

// dsPlan is what of a query the tree does, and what is left to go-datastore.
type dsPlan struct {
	query  dsq.Query
	prefix []byte    // what keys begin with
	values bool      // rows are read with their values
	rest   dsq.Query // to be applied to the rows
}

// planQuery leaves order by key to the tree: keys are distinct, so that whatever
// comes after it orders nothing.
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

// filtersValues reports whether a filter may look at more than the key.
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

// results applies the rest of the query. Values that only a filter or an order
// needed are left out.
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

// entry makes an entry of a row, in fresh memory.
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

// slice appends the rows of the plan's prefix from a key on, at most n, and returns
// where to go on; nil: nowhere.
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

// Query implements datastore.Read; see Datastore for what it promises. By key is
// the order if none is asked for. With KeysOnly, filters and orders see the values
// all the same.
func (d *Datastore) Query(ctx context.Context, q dsq.Query) (dsq.Results, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	p := planQuery(q)
	w := &dsWalk{d: d, ctx: ctx, plan: &p, from: clone(p.prefix)}
	return p.results(dsq.Iterator{Next: w.next}), nil
}

// dsWalk is a query on its way.
type dsWalk struct {
	d    *Datastore
	ctx  context.Context // of Query; the interface has no other place for it
	plan *dsPlan
	rows []dsEntry // not yet returned
	from []byte    // where the next slice begins; nil: there is none
}

// next returns the next row that is live now. After an error there is nothing more.
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
