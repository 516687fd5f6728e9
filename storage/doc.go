// Package storage keeps a node's records, published keys and snapshots in three bbolt files.
//
// What it guarantees:
//
//   - A durable write that returned nil survives a crash at any instant.
//   - An expired record is never served, whether or not it has been removed.
//   - Expiry drops whole epochs of provider records without touching live ones.
//   - Damaged files never stop the node. They are moved aside, and everything readable in
//     them is copied into new files.
//   - After a failed fsync of a file, no more writes to it are acknowledged.
//
// What it refuses: a second process in the same directory (ErrLocked), files of another
// schema (ErrSchema), and files of another program or network (ErrForeign).
//
// Ownership: each file has one committer goroutine that does all its writes, many per
// transaction (group commit). Reads go to bbolt directly. A DB is safe for concurrent use.
//
// # Layout
//
// Provider records are a thousand times more numerous than everything else. They have two
// files of their own (see package runs), so that their maintenance never delays another
// commit. Everything else is in holdfast.db:
//
//	meta            schema, network, created, program, node; counters with the clean-shutdown mark
//	values          wire key -> received, expires, publisher, value
//	value_expiry    expires | wire key -> whose quotas count the value
//	value_accounts  peer, IP group or all -> number and bytes of their values
//	keystore        kad key | kind -> published key, its schedule and value
//	snapshot        number -> bucket with one row; the last three
//	ds              go-datastore key -> version, expires, value; see Datastore
//	dsx             expires | go-datastore key
//
// Rows carry a checksum (see disk.Seal), because bbolt itself has checksums only in its meta
// pages. No file refers to another, except the two files of the provider records, which are
// moved aside, restored and compacted together (see adopt).
package storage
