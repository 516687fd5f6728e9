package runs

import (
	"encoding/binary"
	"fmt"

	"go.etcd.io/bbolt"

	"github.com/holdfast-dht/holdfast/storage/internal/disk"
)

// A generation of the log is a bucket of chunks in the order of their commits. A chunk
// contains the format, the CRC-32C of the rest, the generation, the commit number, and then
// entries. An entry contains a record (expires zero: it was removed) and the id of the epoch
// that contained its newest copy before (zero: there was none). With four-byte keys, four
// chunks fill a page (see blockRecords): 16 + 4*(16 + 4 + 17 + 35*28) = 4084.
const (
	logEntryLen  = recordLen + 4
	chunkEntries = 35
	chunkHeader  = 1 + 4 + 4 + 8
)

func appendLogEntry(b []byte, r *record, oldID uint32) []byte {
	return binary.BigEndian.AppendUint32(r.append(b), oldID)
}

// appendLog writes the entries of this commit.
func (x *txn) appendLog(entries []byte) error {
	if len(entries) == 0 {
		return nil
	}
	b, err := x.tx.CreateBucketIfNotExists(numbered(prefixLog, x.state.gen))
	if err != nil {
		return err
	}
	b.FillPercent = 1
	for len(entries) > 0 {
		part := entries[:min(len(entries), chunkEntries*logEntryLen)]
		entries = entries[len(part):]
		seq, err := b.NextSequence()
		if err != nil {
			return err
		}
		chunk := make([]byte, 5, chunkHeader+len(part))
		chunk[0] = disk.Format
		chunk = binary.BigEndian.AppendUint32(chunk, x.state.gen)
		chunk = binary.BigEndian.AppendUint64(chunk, x.state.commitNo)
		chunk = append(chunk, part...)
		binary.BigEndian.PutUint32(chunk[1:], disk.Sum(chunk[5:]))
		if err := b.Put(disk.U32(uint32(seq)), chunk); err != nil {
			return err
		}
	}
	return nil
}

// logEntry is a decoded entry.
type logEntry struct {
	record
	commitNo uint64
	oldID    uint32
}

// eachLogEntry calls fn for the entries of a generation, in order.
func eachLogEntry(tx *bbolt.Tx, gen uint32, fn func(e *logEntry) error) error {
	b, err := disk.BucketOf(tx, numbered(prefixLog, gen))
	if err != nil {
		return err
	}
	return b.ForEach(func(_, chunk []byte) error {
		if len(chunk) < chunkHeader || binary.BigEndian.Uint32(chunk[5:]) != gen {
			return fmt.Errorf("%w: generation %d of the log", ErrCorrupt, gen)
		}
		return eachOfChunk(chunk, fn)
	})
}

// eachOfChunk calls fn for the entries of a chunk.
func eachOfChunk(chunk []byte, fn func(e *logEntry) error) error {
	entries := len(chunk) - chunkHeader
	if entries <= 0 || entries%logEntryLen != 0 || chunk[0] != disk.Format ||
		binary.BigEndian.Uint32(chunk[1:]) != disk.Sum(chunk[5:]) {
		return fmt.Errorf("%w: chunk of the log", ErrCorrupt)
	}
	e := logEntry{commitNo: binary.BigEndian.Uint64(chunk[9:])}
	for at := chunk[chunkHeader:]; len(at) > 0; at = at[logEntryLen:] {
		e.record = recordAt(at, 0)
		e.oldID = binary.BigEndian.Uint32(at[recordLen:])
		if err := fn(&e); err != nil {
			return err
		}
	}
	return nil
}

// chore is the remaining work before a generation of the log can be deleted: its records must
// be in runs, and the tallies of the providers it names must be stored.
type chore struct {
	gen       uint32
	providers []*provider
}

// choreProviders bounds the tallies that one commit stores for chores: thirty pages.
const choreProviders = 256

// choreDue reports whether a commit could make progress with a chore.
func (s *Store) choreDue() bool {
	if len(s.led.chores) == 0 {
		return false
	}
	first := s.led.chores[0]
	return len(first.providers) > 0 || first.gen <= s.flushed.Load()
}

// doChores stores some tallies and deletes generations whose chores are complete.
func (x *txn) doChores() error {
	left := choreProviders
	for _, ch := range x.led.chores {
		for _, p := range ch.providers[:min(left, len(ch.providers))] {
			x.begun++
			if !p.dirty || p.gone {
				continue
			}
			left--
			if err := x.storeTally(p); err != nil {
				return err
			}
		}
		if x.begun < len(ch.providers) || ch.gen > x.store.flushed.Load() {
			return nil
		}
		if name := numbered(prefixLog, ch.gen); x.tx.Bucket(name) != nil {
			if err := x.tx.DeleteBucket(name); err != nil {
				return err
			}
		}
		x.ended, x.begun = x.ended+1, 0
	}
	return nil
}

// endChores updates the list of chores after doChores, once its work is durable.
func (x *txn) endChores() {
	x.led.chores = x.led.chores[x.ended:]
	if x.begun > 0 {
		x.led.chores[0].providers = x.led.chores[0].providers[x.begun:]
	}
}
