// Package kbucket is the routing table: a plain data structure owned by one
// goroutine.
//
// It promises at most BucketSize peers for each common prefix length with our
// own key, at most MaxPerGroup peers of one IP group, and Nearest without
// allocation. It hands out verified peers only: those whose last exchange with
// us succeeded. It never talks to peers and knows no clock: callers pass the
// time and report what happened, ProbeDue and RefreshDue answer what to do.
//
// A peer that fails keeps its place while nobody else wants it, so an outage of
// our own uplink does not empty the table.
package kbucket
