package storage

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"

	"go.etcd.io/bbolt"

	"github.com/holdfast-dht/holdfast/storage/internal/disk"
	"github.com/holdfast-dht/holdfast/storage/internal/pages"
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
	if id == "" || id == db.Origin().Node {
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

// Origin returns what the open file says. It is zero for a file that cannot be read.
func (db *DB) Origin() (o Origin) {
	_ = db.file.View(func(tx *bbolt.Tx) error {
		if meta := tx.Bucket(bucketMeta); meta != nil {
			o = originOf(meta.Get(keyNetwork), meta.Get(keyNode))
		}
		return nil
	})
	return o
}

// originIn returns what a file says, as far as it can be read. bbolt does not open the file, so
// it may be damaged. It is zero if there is no file.
func originIn(path string) Origin {
	f, err := os.Open(path)
	if err != nil {
		return Origin{}
	}
	defer f.Close()
	r, _ := pages.NewReader(f, filepath.Base(path), nil) // nil: nothing can be read
	if r == nil {
		return Origin{}
	}
	top, _ := r.Buckets()
	return readOrigin(r, top)
}

// readOrigin returns what the buckets of a file say, as far as they can be read.
func readOrigin(r *pages.Reader, top map[string]*pages.Element) Origin {
	var network, node []byte
	r.Rows(top[string(bucketMeta)], func(e *pages.Element) {
		switch {
		case bytes.Equal(e.Key, keyNetwork):
			network = clone(e.Value)
		case bytes.Equal(e.Key, keyNode):
			node = clone(e.Value)
		}
	})
	return originOf(network, node)
}

// originOf returns the origin of the stored names. It leaves out a damaged one.
func originOf(network, node []byte) Origin {
	return Origin{Network: printable(network, maxNetworkLen), Node: printable(node, maxProgramLen)}
}
