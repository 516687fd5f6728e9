// Package disk has what the stores on bbolt share: rows that carry a checksum, which
// bbolt has none of below its meta pages, and how its errors and panics are to be
// read.
//
// It keeps nothing and starts nothing. Damage is ErrCorrupt, whatever form it takes.
package disk
