// Package explain shows the story of a lookup (api.Trace) to people: as text for a
// terminal, and as one HTML page that refers to nothing outside itself.
//
// It is pure: the same trace gives the same bytes. Everything in a trace that came
// from other peers is made harmless here.
package explain
