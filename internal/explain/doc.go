// Package explain renders the trace of a lookup (api.Trace): as text for a terminal, and
// as one self-contained HTML page.
//
// It is pure: the same trace gives the same bytes. The package escapes everything in a
// trace that came from other peers.
package explain
