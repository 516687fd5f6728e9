// Package columns lays out what the command line prints: tables, names with values,
// and paragraphs.
//
// For a terminal nothing is wider than its width: a row that does not fit is folded,
// columns that have no place beside the first ones stand below them, and long cells
// break between words, or before a slash of an address. Without a width (a pipe, a
// file) a row is one line, for the programs that read it.
//
// Texts are taken as printable; who prints texts of others makes them so. Values of
// this package are owned by one goroutine.
package columns
