// Package kbucket is the routing table: a plain data structure owned by one
// goroutine.
//
// A table holds at most BucketSize peers for each common prefix length with the node's
// own key, and at most MaxPerGroup peers of one IP group. Nearest does not allocate. It
// returns verified peers only: those whose last exchange with this node succeeded.
//
// The table never talks to peers and has no clock. Callers pass the time and report
// what happened; ProbeDue and RefreshDue return what to do.
//
// A peer that fails keeps its place until another peer needs it, so an outage of the
// node's own uplink does not empty the table.
package kbucket
