// Package mutants injects bugs into the routing table and the lookup, one at a time, and
// tests that the simulator finds each. It has only tests.
package mutants
