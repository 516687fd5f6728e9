// Package columns lays out what the command line prints: tables, names with values,
// and paragraphs.
//
// On a terminal no line is wider than it: a row that does not fit is folded, columns
// that do not fit beside the first ones stand below them, and long cells break between
// words, or before a slash of an address. Without a width (a pipe, a file) a row is one
// line, for the programs that read it.
//
// lipgloss and go-pretty do not serve here: on 120 columns the one breaks a peer ID in
// two, which nobody can copy, and the other cuts off the end of the row.
//
// Texts must be printable: callers clean what comes from other peers. One goroutine owns
// a value of this package.
package columns
