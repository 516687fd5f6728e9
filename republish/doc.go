// Package republish says which published key is due when.
//
// Schedule is a pure data structure owned by one goroutine: a heap of keys by
// due time. It promises the same order for the same calls, at most MaxActive
// keys in work, and that a pile of keys overdue after a restart is spread
// instead of fired together, the longest overdue first. It reads no clock and
// sends nothing.
package republish
