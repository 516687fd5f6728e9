package runs

import (
	"cmp"
	"encoding/binary"
	"slices"

	"go.etcd.io/bbolt"

	"github.com/holdfast-dht/holdfast/storage/internal/disk"
)

// epoch contains the counters of the records whose newest copy expires in the same three
// hours.
type epoch struct {
	epochRef
	born    uint64 // the commit that created it
	records int64  // records whose newest copy is in this epoch
	newest  uint32 // latest expiry; no record is live at or after it
}

// state is the log's description of the whole store. Every commit writes it, so it is correct
// after any crash. Runs of an epoch that is not in the state are garbage: this is how an
// epoch is dropped.
type state struct {
	commitNo   uint64 // number of this commit
	gen        uint32 // generation of the log to which it wrote
	nextEpoch  uint32 // id of the next epoch
	nextNumber uint32 // number of the next provider
	providers  int64
	clean      bool // the files were closed properly
	epochs     []epoch
}

func (s *state) clone() state {
	c := *s
	c.epochs = slices.Clone(s.epochs)
	return c
}

// epoch returns the epoch with a number, or nil.
func (s *state) epoch(number uint32) *epoch {
	i, ok := s.search(number)
	if !ok {
		return nil
	}
	return &s.epochs[i]
}

func (s *state) search(number uint32) (int, bool) {
	return slices.BinarySearchFunc(s.epochs, number, func(e epoch, n uint32) int { return cmp.Compare(e.epoch, n) })
}

// open returns the epoch with a number, which it creates if needed.
func (s *state) open(number uint32) *epoch {
	i, ok := s.search(number)
	if !ok {
		s.epochs = slices.Insert(s.epochs, i, epoch{epochRef: epochRef{epoch: number, id: s.nextEpoch}, born: s.commitNo})
		s.nextEpoch++
	}
	return &s.epochs[i]
}

// has reports whether an epoch with this id exists.
func (s *state) has(id uint32) bool {
	return slices.ContainsFunc(s.epochs, func(e epoch) bool { return e.id == id })
}

// due returns the epochs in which every record expired at limit or before.
func (s *state) due(limit uint32) (due []epoch) {
	for _, e := range s.epochs {
		if e.newest <= limit {
			due = append(due, e)
		}
	}
	return due
}

// records returns how many records are stored.
func (s *state) records() (n int64) {
	for i := range s.epochs {
		n += s.epochs[i].records
	}
	return n
}

// encode returns the row of the state. With twenty epochs it has 600 bytes, so that the
// bucket still fits in its parent's page.
func (s *state) encode() []byte {
	row := disk.NewRow(64 + 28*len(s.epochs))
	row = binary.BigEndian.AppendUint64(row, s.commitNo)
	row = binary.BigEndian.AppendUint32(row, s.gen)
	row = binary.BigEndian.AppendUint32(row, s.nextEpoch)
	row = binary.BigEndian.AppendUint32(row, s.nextNumber)
	row = binary.BigEndian.AppendUint64(row, uint64(s.providers))
	clean := byte(0)
	if s.clean {
		clean = 1
	}
	row = append(row, clean)
	for i := range s.epochs {
		e := &s.epochs[i]
		row = binary.BigEndian.AppendUint32(row, e.epoch)
		row = binary.BigEndian.AppendUint32(row, e.id)
		row = binary.BigEndian.AppendUint64(row, e.born)
		row = binary.BigEndian.AppendUint64(row, uint64(e.records))
		row = binary.BigEndian.AppendUint32(row, e.newest)
	}
	return disk.Seal(bucketMeta, keyState, row)
}

func decodeState(row []byte) (s state, err error) {
	payload, err := disk.Unseal(bucketMeta, keyState, row)
	if err != nil {
		return s, err
	}
	d := disk.Decoder{B: payload}
	s = state{
		commitNo: d.Uint(8), gen: d.U32(), nextEpoch: d.U32(), nextNumber: d.U32(),
		providers: int64(d.Uint(8)), clean: d.Uint(1) == 1,
	}
	for len(d.B) > 0 {
		e := epoch{epochRef: epochRef{epoch: d.U32(), id: d.U32()}, born: d.Uint(8)}
		e.records, e.newest = int64(d.Uint(8)), d.U32()
		s.epochs = append(s.epochs, e)
	}
	return s, d.End(bucketMeta)
}

// loadState reads the state as of a transaction of the log.
func loadState(tx *bbolt.Tx) (state, error) {
	meta, err := disk.BucketOf(tx, bucketMeta)
	if err != nil {
		return state{}, err
	}
	return decodeState(meta.Get(keyState))
}

// store writes the state.
func (s *state) store(tx *bbolt.Tx) error {
	meta, err := disk.BucketOf(tx, bucketMeta)
	if err != nil {
		return err
	}
	return meta.Put(keyState, s.encode())
}
