// Package storage keeps a node's records, published keys and snapshots in one
// bbolt file.
//
// What it promises: a durable write that returned nil survives a crash at any
// instant; what expired is never served, whether or not it was removed yet;
// expiry drops whole epochs without touching what lives; a damaged file never
// stops the node, it is moved aside and what can be read of it is taken over;
// and after a failed fsync nothing more is acknowledged.
//
// What it refuses: a second process on the same directory (ErrLocked), files of a
// newer schema (ErrSchema), of another program or of another network
// (ErrForeign).
//
// Ownership: one committer goroutine does every write, many to a transaction
// (group commit); reads go to bbolt directly. A DB is safe for concurrent use.
//
// # Layout
//
//	meta            schema, network, created; counters with the clean-shutdown mark
//	values          wire key -> received, expires, publisher, value
//	value_expiry    expires | wire key
//	keystore        kad key | kind -> published key, its schedule and value
//	snapshot        number -> bucket with one row; the last three
//	providers       epoch of expiry -> bucket of key[16] | provider number -> expires
//	provider_epochs epoch -> records, superseded copies, newest expiry
//	provider_ids    peer ID -> provider number, epoch of its newest record
//	provider_addrs  provider number -> peer ID, addresses and their expiry
//	provider_last   epoch of the newest record | provider number
//	ds              go-datastore key -> version, expires, value; see Datastore
//	dsx             expires | go-datastore key
//
// A provider record is filed under the first 16 bytes of SHA-256(wire key): 24
// bytes a record whatever the key, and lookups bring the whole key anyway. Two
// keys that agree in 128 bits would share their providers, which any peer can
// bring about more cheaply by announcing itself. Rows that stand alone carry a
// checksum (see seal), for bbolt has none of its own below the meta pages.
package storage
