package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"

	"github.com/dustin/go-humanize"
)

// isTerminal reports whether w is a terminal.
func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// printJSON prints one object on a line of its own.
func (a *app) printJSON(v any) error { return json.NewEncoder(a.out).Encode(v) }

// printf prints a result.
func (a *app) printf(format string, args ...any) error {
	_, err := fmt.Fprintf(a.out, format, args...)
	return err
}

// table prints rows in aligned columns.
func (a *app) table(header []string, rows [][]string) error {
	w := tabwriter.NewWriter(a.out, 0, 0, 2, ' ', 0)
	for _, row := range append([][]string{header}, rows...) {
		for i, cell := range row {
			row[i] = clean(cell)
		}
		fmt.Fprintln(w, strings.TrimRight(strings.Join(row, "\t"), "\t"))
	}
	return w.Flush()
}

// fields prints names and values in two columns.
func (a *app) fields(pairs ...string) error {
	w := tabwriter.NewWriter(a.out, 0, 0, 2, ' ', 0)
	for i := 0; i+1 < len(pairs); i += 2 {
		fmt.Fprintf(w, "%s:\t%s\n", pairs[i], clean(pairs[i+1]))
	}
	return w.Flush()
}

// clean makes text from other peers safe for a terminal.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, s)
}

// ago says how long ago t was, "never" if it is zero.
func ago(t time.Time) string {
	if t.IsZero() {
		return "never"
	}
	return span(time.Since(t)) + " ago"
}

// until says in how long t will be, "never" if it is zero.
func until(t time.Time) string {
	if t.IsZero() {
		return "never"
	}
	if d := time.Until(t); d > 0 {
		return "in " + span(d)
	}
	return "now"
}

// span rounds a duration for people.
func span(d time.Duration) string {
	switch {
	case d > 0 && d < time.Millisecond:
		return "<1ms"
	case d < time.Second:
		return d.Round(time.Millisecond).String()
	case d < time.Hour:
		return d.Round(time.Second).String()
	}
	return strings.TrimSuffix(d.Round(time.Minute).String(), "0s")
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

func bytesText(n int64) string { return humanize.IBytes(uint64(max(n, 0))) }

// progress prints how far long work has come, on a terminal only.
func (a *app) progress(what string, done, total int) {
	if isTerminal(a.errs) {
		end := ""
		if done == total {
			end = "\n"
		}
		fmt.Fprintf(a.errs, "\r%s %s of %s%s", what, humanize.Comma(int64(done)), humanize.Comma(int64(total)), end)
	}
}
