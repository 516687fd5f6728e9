package main

import (
	"io"
	"os"
	"strconv"

	"golang.org/x/term"

	"github.com/holdfast-dht/holdfast/internal/columns"
)

// defaultWidth is the width of a terminal that does not report its own.
const defaultWidth = 80

// isTerminal reports whether w is a terminal.
func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// terminalSize returns the size that a terminal reports.
func terminalSize(w io.Writer) (width, height int, ok bool) {
	f, ok := w.(*os.File)
	if !ok {
		return 0, 0, false
	}
	width, height, err := term.GetSize(int(f.Fd()))
	return width, height, err == nil && width > 0
}

// width returns the width of standard output: what the terminal reports, $COLUMNS or
// defaultWidth. It is 0 without a terminal: lines are then for programs and are not
// folded.
func (a *app) width() int {
	if !isTerminal(a.out) {
		return 0
	}
	if w, _, ok := terminalSize(a.out); ok {
		return w
	}
	if w, err := strconv.Atoi(a.getenv("COLUMNS")); err == nil && w > 0 {
		return w
	}
	return defaultWidth
}

// style returns the style of standard output: colours only on a terminal that supports
// them.
func (a *app) style() style {
	return style{on: isTerminal(a.out) && a.getenv("NO_COLOR") == "" && a.getenv("TERM") != "dumb"}
}

// field is a name and its value. An alarm is red on a terminal.
type field struct {
	name, value string
	alarm       bool
}

// fields prints names and values in two columns.
func (a *app) fields(fields []field) error {
	s := a.style()
	all := make([]columns.Field, len(fields))
	for i, f := range fields {
		all[i] = columns.Field{Name: f.name, Value: columns.Printable(f.value)}
		if f.alarm {
			all[i].Paint = s.red
		}
	}
	return columns.Fields(a.out, a.width(), all)
}

// table prints rows in aligned columns.
func (a *app) table(header []string, rows [][]string) error {
	return a.tableWith(header, rows, func(int, int) bool { return false })
}

// tableWith prints rows in aligned columns. Cells for which wrong returns true are
// coloured.
func (a *app) tableWith(header []string, rows [][]string, wrong func(row, column int) bool) error {
	for _, row := range append([][]string{header}, rows...) {
		for i, cell := range row {
			row[i] = columns.Printable(cell)
		}
	}
	s := a.style()
	t := columns.Table{Header: header, Rows: rows, Width: a.width(), Paint: func(row, column int, piece string) string {
		switch {
		case row < 0:
			return s.bold(piece)
		case wrong(row, column):
			return s.red(piece)
		}
		return piece
	}}
	return t.Write(a.out)
}

// words prints a peer and its addresses on one line. If the terminal is too narrow, the
// addresses are below the peer.
func (a *app) words(words []string) error {
	for i := range words {
		words[i] = columns.Printable(words[i])
	}
	return columns.Words(a.out, a.width(), words)
}
