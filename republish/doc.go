// Package republish schedules when each published key is due.
//
// Schedule is a pure data structure owned by one goroutine: a heap of keys by due time.
// The same calls give the same order. At most MaxActive keys are active, that is, being
// published. Keys that are overdue after a restart are spread over time, the longest
// overdue first. The package reads no clock and sends nothing.
package republish
