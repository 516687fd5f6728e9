// Package mutants injects bugs into the routing table and the lookup, one at a time,
// and demands that the simulator finds each. It has tests only.
package mutants
