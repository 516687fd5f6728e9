// Package records says what a DHT stores: value records, provider records and
// published keys, with their lifetimes, and the interfaces of what keeps them.
//
// It promises that time enters only through arguments and that expiry is
// absolute. It holds the in-memory twin of the stores; bbolt is package storage.
package records
