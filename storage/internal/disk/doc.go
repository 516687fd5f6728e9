// Package disk has what the stores on bbolt share: an open file (File), what bbolt's
// errors and panics mean, and rows that carry a checksum, which bbolt has none of below
// its meta pages.
//
// It starts no goroutine and logs nothing. Damage is ErrCorrupt, whatever form it takes; a
// commit that finds no room is ErrFull and leaves the file as it was; after any
// other failed commit (ErrFailed) nothing is known of what the file holds.
package disk
