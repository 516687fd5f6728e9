// Package records defines what a DHT node stores: value records, provider records,
// published keys and snapshots, with their lifetimes, and the interfaces of the stores.
//
// Time enters only through arguments, and expiry is absolute. Mem is the in-memory twin of
// the stores; package storage has the stores on bbolt.
package records
