package runs

import (
	"bytes"
	"encoding/binary"
	"errors"
	"slices"

	"go.etcd.io/bbolt"
)

// merge combines several runs of an epoch into one, one segment per transaction. Until the
// last transaction, the output has no row and is garbage, and the inputs stay in use.
type merge struct {
	inputs []*run
	out    *run
	begun  bool        // the buckets of the output exist
	last   [idLen]byte // all records up to this one are in the output
	taken  int64       // records read from the inputs
}

// wanted reports whether all inputs are still in the view.
func (m *merge) wanted(v *view) bool {
	for _, r := range m.inputs {
		if !slices.Contains(v.runs, r) {
			return false
		}
	}
	return true
}

// chooseMerge returns the next merge, or nil: all runs of an epoch that is complete, or
// enough runs of one level.
func (b *builder) chooseMerge(v *view) *merge {
	for low := 0; low < len(v.runs); {
		high := low
		for high < len(v.runs) && v.runs[high].epoch == v.runs[low].epoch {
			high++
		}
		if inputs := b.mergeable(v.runs[low:high]); len(inputs) > 1 {
			level, copies := 0, int64(0)
			for _, r := range inputs {
				level, copies = max(level, r.level), copies+r.records
			}
			// If it does not fit now, it will fit after an epoch has been dropped.
			if fits(b.s.runs, copies*copyBytes) == nil {
				return &merge{inputs: inputs, out: newRun(0, inputs[0].epoch, min(level+1, 255))}
			}
		}
		low = high
	}
	return nil
}

// mergeable returns the runs of an epoch that should be merged into one.
func (b *builder) mergeable(runs []*run) []*run {
	if len(runs) < 2 {
		return nil
	}
	if b.flushes-b.written[runs[0].epoch.id] >= quietFlushes {
		return slices.Clone(runs)
	}
	var levels [256][]*run
	for _, r := range runs {
		levels[r.level] = append(levels[r.level], r)
		if l := levels[r.level]; len(l) == b.s.opts.shape.fan {
			return l
		}
	}
	return nil
}

// mergeSome merges up to one segment.
func (b *builder) mergeSome() error {
	m := b.merging
	var next merge
	var done bool
	defer b.s.ending.Store(false)
	err := b.s.runs.Update(func(tx *bbolt.Tx) (err error) {
		next, done = *m, false
		out := *m.out
		out.segments = slices.Clone(m.out.segments)
		next.out = &out
		if !next.begun {
			if next.out, err = b.newRun(tx, out.epoch, out.level); err != nil {
				return err
			}
			next.begun = true
		}
		done, err = b.mergeSegment(tx, &next)
		return err
	})
	switch {
	case errors.Is(err, ErrCorrupt):
		// A retry would fail again. The runs stay unmerged until the next open.
		b.discard([]*run{m.out}, nil)
		b.merging, b.broken = nil, true
		return err
	case err != nil:
		return err
	}
	*m = next
	if done {
		b.mergeDone()
	}
	return nil
}

// mergeSegment fills one segment of the output and reports whether it was the last.
func (b *builder) mergeSegment(tx *bbolt.Tx, m *merge) (done bool, err error) {
	ins := make([]*input, 0, len(m.inputs))
	for _, r := range m.inputs {
		in, err := newInput(tx, r, m)
		if err != nil {
			return false, lost(err)
		}
		if in.recs != nil {
			ins = append(ins, in)
		}
	}
	b.recs, b.arena = b.recs[:0], b.arena[:0]
	for len(ins) > 0 && len(b.recs) < b.s.opts.shape.segment {
		if ins, err = b.mergeOne(ins, m); err != nil {
			return false, err
		}
	}
	if len(b.recs) > 0 {
		if err := b.writeSegment(tx, m.out, b.recs); err != nil {
			return false, err
		}
	}
	if len(ins) > 0 {
		return false, nil
	}
	b.s.ending.Store(true)
	for _, r := range m.inputs {
		if err := deleteRun(tx, r.number); err != nil {
			return false, err
		}
	}
	return true, putRun(tx, m.out)
}

// mergeOne moves the smallest record of the inputs to b.recs, with the latest expiry of all
// its copies. It returns the inputs that have more records.
func (b *builder) mergeOne(ins []*input, m *merge) ([]*input, error) {
	least := ins[0]
	for _, in := range ins[1:] {
		if in.before(least) {
			least = in
		}
	}
	copy(m.last[:], least.recs[:idLen])
	prefix := least.prefix
	expires := uint32(removed)
	for i := 0; i < len(ins); {
		in := ins[i]
		if in.prefix != prefix || !bytes.Equal(in.recs[:idLen], m.last[:]) {
			i++
			continue
		}
		expires = max(expires, binary.BigEndian.Uint32(in.recs[idLen:]))
		m.taken++
		if err := in.next(); err != nil {
			return nil, err
		}
		if in.recs == nil {
			ins = slices.Delete(ins, i, i+1)
			continue
		}
		i++
	}
	if expires != removed {
		b.recs = append(b.recs, record{
			key: recordKey(m.last[:16]), number: binary.BigEndian.Uint32(m.last[16:]), expires: expires,
		})
	}
	return ins, nil
}

// mergeDone replaces the inputs with the output in the view. If the epoch was dropped
// meanwhile, the output is garbage.
func (b *builder) mergeDone() {
	m := b.merging
	b.merging = nil
	b.s.mergeCount.Add(1)
	ok := b.s.change(func(v *view) bool {
		if !v.remove(m.inputs) {
			return false
		}
		if m.out.records > 0 {
			v.add(m.out)
		}
		return true
	})
	if !ok || m.out.records == 0 {
		b.discard([]*run{m.out}, nil)
	}
}

// input reads a run in order.
type input struct {
	run    *run
	cursor *bbolt.Cursor
	recs   []byte // rest of the current block, starting at the next record; nil: the end
	prefix uint64 // prefix of the next record, for quick comparison
}

// newInput returns a reader of a run, positioned at the first record that is not in the
// output.
func newInput(tx *bbolt.Tx, r *run, m *merge) (*input, error) {
	b, err := r.open(tx)
	if err != nil {
		return nil, err
	}
	in := &input{run: r, cursor: b.Cursor()}
	k, v := in.cursor.Seek(m.last[:])
	if err := in.load(k, v); err != nil || in.recs == nil {
		return in, err
	}
	in.recs = in.recs[searchBlock(in.recs, &m.last)*recordLen:]
	in.prefix = binary.BigEndian.Uint64(in.recs)
	if bytes.Equal(in.recs[:idLen], m.last[:]) {
		return in, in.next()
	}
	return in, nil
}

func (in *input) load(k, v []byte) (err error) {
	in.recs = nil
	if k == nil {
		return nil
	}
	if in.recs, err = openBlock(in.run.number, k, v); err != nil {
		return in.run.damage(err)
	}
	in.prefix = binary.BigEndian.Uint64(in.recs)
	return nil
}

// next advances to the next record.
func (in *input) next() error {
	if in.recs = in.recs[recordLen:]; len(in.recs) == 0 {
		return in.load(in.cursor.Next())
	}
	in.prefix = binary.BigEndian.Uint64(in.recs)
	return nil
}

func (in *input) before(o *input) bool {
	if in.prefix != o.prefix {
		return in.prefix < o.prefix
	}
	return bytes.Compare(in.recs[:idLen], o.recs[:idLen]) < 0
}

// removeBatch bounds the removals per transaction: each changes a page or two.
const removeBatch = 256

// removeCopies marks the copies of removed records, in all runs and in the unfinished output
// of the current merge. Marking twice is harmless.
func (b *builder) removeCopies(removals []removal) error {
	for len(removals) > 0 {
		n := min(len(removals), removeBatch)
		err := b.s.runs.Update(func(tx *bbolt.Tx) error {
			for i := range removals[:n] {
				if err := b.removeCopy(tx, &removals[i]); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
		removals = removals[n:]
	}
	return nil
}

func (b *builder) removeCopy(tx *bbolt.Tx, x *removal) error {
	hash := b.s.seed.hash(&x.key)
	runs := b.s.view.Load().runs
	if b.merging != nil && b.merging.begun {
		runs = append(slices.Clone(runs), b.merging.out)
	}
	for _, r := range runs {
		if !r.maybe(&x.key, hash) {
			continue
		}
		err := r.removeCopy(tx, x)
		switch {
		case errors.Is(err, ErrCorrupt):
			b.s.report("remove_provider", err) // a damaged block is never served
		case errors.Is(err, errGone): // the run was dropped
		case err != nil:
			return err
		}
	}
	return nil
}

// removeCopy marks the copy of a record in the run as removed, if there is one.
func (r *run) removeCopy(tx *bbolt.Tx, x *removal) error {
	blocks, err := r.open(tx)
	if err != nil {
		return err
	}
	id := recordID(&x.key, x.number)
	k, v := blocks.Cursor().Seek(id[:])
	if k == nil {
		return nil
	}
	recs, err := openBlock(r.number, k, v)
	if err != nil {
		return r.damage(err)
	}
	at := searchBlock(recs, &id) * recordLen
	if !bytes.Equal(recs[at:at+idLen], id[:]) {
		return nil
	}
	block := slices.Clone(v)
	binary.BigEndian.PutUint32(block[blockHeader+at+idLen:], removed)
	sealBlock(r.number, block)
	blocks.FillPercent = 1
	return blocks.Put(slices.Clone(k), block)
}
