// Package columns formats the output of the command line: tables, names with values, and
// paragraphs.
//
// No line is wider than the terminal. A row that does not fit is folded: columns that do
// not fit beside the first ones go below them, and long cells break between words or
// before a slash of an address. Without a width (a pipe, a file) every row is one line,
// for programs that read it.
//
// lipgloss and go-pretty do not work here: on 120 columns, lipgloss breaks a peer ID in
// two, so that it cannot be copied, and go-pretty cuts off the end of the row.
//
// Texts must be printable: callers pass text from other peers through Printable. One goroutine owns a
// value of this package.
package columns
