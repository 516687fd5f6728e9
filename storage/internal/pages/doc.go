// Package pages reads bbolt files page by page, with pread, and believes nothing of what
// they say. bbolt itself reads through a mapping, takes its pages at their word and panics,
// faults or overflows the stack on those that lie.
//
// Verify says whether bbolt may open a file. A Reader takes out of a damaged file what can
// be read of it. Neither writes.
package pages
