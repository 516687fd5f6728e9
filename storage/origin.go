package storage

import (
	"fmt"

	"go.etcd.io/bbolt"

	"github.com/holdfast-dht/holdfast/storage/internal/disk"
	"github.com/holdfast-dht/holdfast/storage/runs"
)

// Origin is where the files of a store come from, as far as they say.
type Origin struct {
	Network string // see Options.Network
	Node    string // see NoteNode
}

// NoteNode stores which node uses the store, such as its peer ID, in at most 128 bytes. A
// backup contains it, so that RestoreIf can refuse that of another node. An empty id changes
// nothing.
func (db *DB) NoteNode(id string) error {
	if len(id) > maxProgramLen {
		return fmt.Errorf("note node: a name of %d bytes is longer than %d", len(id), maxProgramLen)
	}
	if id == "" || id == db.origin().Node {
		return nil
	}
	return db.do("note_node", ownLimit, func(x *txn) error { return x.noteNode(id) })
}

func (x *txn) noteNode(id string) error {
	meta, err := disk.BucketOf(x.tx, bucketMeta)
	if err != nil {
		return err
	}
	return meta.Put(keyNode, []byte(id))
}

// origin returns what the open file says. It is zero for a file that cannot be read.
func (db *DB) origin() (o Origin) {
	_ = db.file.View(func(tx *bbolt.Tx) error {
		if meta := tx.Bucket(bucketMeta); meta != nil {
			o = Origin{Network: string(meta.Get(keyNetwork)), Node: printable(meta.Get(keyNode), maxProgramLen)}
		}
		return nil
	})
	return o
}

// originIn returns what the files in dir say. It is zero if there are none, or they cannot be
// read.
func originIn(dir string) (o Origin) {
	_ = disk.Guard(func() error {
		db := newDB(dir, "", Options{Options: runs.Options{ReadOnly: true}}.WithDefaults())
		if err := db.openFile(); err != nil {
			return err
		}
		defer func() { _ = db.file.Close(nil) }()
		o = db.origin()
		return nil
	})
	return o
}
