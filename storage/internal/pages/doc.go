// Package pages reads bbolt files page by page with pread and trusts nothing in them. bbolt
// itself reads through a mapping and trusts its pages: on damaged ones it panics, faults or
// overflows the stack.
//
// Verify reports whether bbolt may open a file. A Reader recovers what is readable from a
// damaged file. Neither writes.
package pages
