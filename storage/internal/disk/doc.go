// Package disk contains what the bbolt stores share: an open file (File), the meaning of
// bbolt's errors and panics, and rows with a checksum. bbolt itself has checksums only in its
// meta pages.
//
// The package starts no goroutine and logs nothing. Damage of any form is ErrCorrupt. A
// commit that runs out of space returns records.ErrFull and leaves the file unchanged. After any
// other failed commit (ErrFailed) the content of the file is unknown.
package disk
