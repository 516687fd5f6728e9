// Package verdict says in words whether a node is well: the worst problem first, why, since
// when, and which page says what to do.
//
// Of is a function of Facts, without a clock and without state. Facts that are conditions over
// time, such as for how long a key has been overdue, are measured by the caller.
package verdict
