// Package storage keeps a node's records, published keys and snapshots in three
// bbolt files.
//
// What it promises: a durable write that returned nil survives a crash at any
// instant; what expired is never served, whether or not it was removed yet;
// expiry drops whole epochs without touching what lives; damaged files never
// stop the node, they are moved aside and what can be read of them is taken over;
// and after a failed fsync of a file nothing more is acknowledged on it.
//
// What it refuses: a second process on the same directory (ErrLocked), files of
// another schema (ErrSchema), of another program or of another network
// (ErrForeign).
//
// Ownership: one committer goroutine does every write to a file, many to a
// transaction (group commit); reads go to bbolt directly. A DB is safe for
// concurrent use.
//
// # Layout
//
// Provider records, of which there are a thousand times more than of anything else,
// are in two files of their own, see package runs: their housekeeping then stands
// before nobody's commit. Everything else is in holdfast.db:
//
//	meta            schema, network, created; counters with the clean-shutdown mark
//	values          wire key -> received, expires, publisher, value
//	value_expiry    expires | wire key -> whose quotas count the value
//	value_accounts  peer, IP group or all -> number and bytes of their values
//	keystore        kad key | kind -> published key, its schedule and value
//	snapshot        number -> bucket with one row; the last three
//	ds              go-datastore key -> version, expires, value; see Datastore
//	dsx             expires | go-datastore key
//
// Rows carry a checksum (see disk.Seal), for bbolt has none of its own below the meta
// pages. Nothing in one file refers to another, except between the two of the
// provider records. They are moved aside, restored and compacted as one, see adopt.
package storage
