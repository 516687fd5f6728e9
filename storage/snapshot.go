package storage

import (
	"encoding/binary"

	"go.etcd.io/bbolt"

	"github.com/holdfast-dht/holdfast/pkg/kad"
	"github.com/holdfast-dht/holdfast/pkg/records"
	"github.com/holdfast-dht/holdfast/pkg/wire"
	"github.com/holdfast-dht/holdfast/storage/internal/disk"
)

// keptSnapshots is how many snapshots are kept, in case the newest is damaged.
const keptSnapshots = 3

// keySnapshot is the only row of a snapshot's bucket. Each snapshot has a bucket of its own,
// because bbolt rewrites whole leaves: otherwise each new snapshot would rewrite its
// neighbours.
var keySnapshot = []byte("snapshot")

// unusedOfPeer follows the ID of each peer. Earlier versions stored there when the peer last
// answered and its round-trip time, which no version has ever read.
var unusedOfPeer [16]byte

func encodeSnapshot(s *records.Snapshot) []byte {
	row := disk.NewRow(12 + 128*len(s.Peers))
	row = appendTime(row, s.Taken)
	row = binary.BigEndian.AppendUint32(row, uint32(len(s.Peers)))
	for i := range s.Peers {
		p := &s.Peers[i]
		row = append(row, byte(len(p.ID)))
		row = append(row, p.ID...)
		row = append(row, unusedOfPeer[:]...)
		row = append(row, byte(p.Scope))
		row = disk.AppendAddrs(row, p.Addrs)
	}
	row = disk.AppendAddrs(row, s.Own)
	return disk.Seal(bucketSnapshot, keySnapshot, row)
}

func decodeSnapshot(row []byte) (records.Snapshot, error) {
	payload, err := disk.Unseal(bucketSnapshot, keySnapshot, row)
	if err != nil {
		return records.Snapshot{}, err
	}
	d := disk.Decoder{B: payload}
	s := records.Snapshot{Taken: timeOf(&d)}
	n := int(d.Uint(4))
	d.Bad = d.Bad || n > records.MaxSnapshotPeers
	for i := 0; i < n && !d.Bad; i++ {
		p := records.SnapshotPeer{ID: kad.PeerID(d.Bytes(d.Byte()))}
		d.Bytes(len(unusedOfPeer))
		p.Scope, p.Addrs = wire.Scope(d.Byte()), d.Addrs()
		s.Peers = append(s.Peers, p)
	}
	if len(d.B) > 0 { // absent in snapshots of earlier versions
		s.Own = d.Addrs()
	}
	return s, d.End(bucketSnapshot)
}

// SaveSnapshot implements records.Snapshots. A snapshot that exceeds its bounds is truncated
// (see records.Snapshot.Trim).
func (db *DB) SaveSnapshot(s records.Snapshot) error {
	s = s.Trim()
	row := encodeSnapshot(&s)
	return db.do("save_snapshot", ownLimit, func(x *txn) error { return x.saveSnapshot(row) })
}

func (x *txn) saveSnapshot(row []byte) error {
	all, err := disk.BucketOf(x.tx, bucketSnapshot)
	if err != nil {
		return err
	}
	seq, err := all.NextSequence()
	if err != nil {
		return err
	}
	one, err := all.CreateBucket(binary.BigEndian.AppendUint64(nil, seq))
	if err != nil {
		return err
	}
	if err := one.Put(keySnapshot, row); err != nil {
		return err
	}
	names := snapshotNames(all)
	for len(names) > keptSnapshots {
		if err := all.DeleteBucket(names[0]); err != nil {
			return err
		}
		names = names[1:]
	}
	return nil
}

// snapshotNames returns the bucket names of the snapshots, oldest first.
func snapshotNames(all *bbolt.Bucket) (names [][]byte) {
	c := all.Cursor()
	for k, _ := c.First(); k != nil; k, _ = c.Next() {
		names = append(names, clone(k))
	}
	return names
}

// LoadSnapshot implements records.Snapshots. It returns the newest snapshot that decodes.
func (db *DB) LoadSnapshot() (s records.Snapshot, err error) {
	err = db.view("load_snapshot", func(tx *bbolt.Tx) error {
		all, err := disk.BucketOf(tx, bucketSnapshot)
		if err != nil {
			return err
		}
		c := all.Cursor()
		for k, _ := c.Last(); k != nil; k, _ = c.Prev() {
			one := all.Bucket(k)
			if one == nil {
				continue
			}
			if s, err = decodeSnapshot(one.Get(keySnapshot)); err == nil {
				return nil
			}
			_ = db.report("load_snapshot", err)
		}
		return records.ErrNotFound
	})
	if err != nil {
		return records.Snapshot{}, err
	}
	return s, nil
}
