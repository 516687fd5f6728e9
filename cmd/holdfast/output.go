package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/dustin/go-humanize/english"

	"github.com/holdfast-dht/holdfast/internal/api"
)

// printJSON prints one object on a line of its own.
func (a *app) printJSON(v any) error { return json.NewEncoder(a.out).Encode(v) }

// printLines prints items, each on a line of its own.
func printLines[T any](a *app, items []T) error {
	for i := range items {
		if err := a.printJSON(&items[i]); err != nil {
			return err
		}
	}
	return nil
}

// printf prints a result.
func (a *app) printf(format string, args ...any) error {
	_, err := fmt.Fprintf(a.out, format, args...)
	return err
}

// note prints to standard error what is neither a result nor an error.
func (a *app) note(format string, args ...any) {
	fmt.Fprintf(a.errs, "holdfast: "+format+"\n", args...)
}

// printPeer prints a peer on one line: ID and addresses.
func (a *app) printPeer(p api.Peer) error {
	if a.json {
		return a.printJSON(p)
	}
	return a.words(append([]string{p.PeerID}, p.Addrs...))
}

// ago returns how long ago t was, or "never" if it is zero.
func ago(t time.Time) string {
	if t.IsZero() {
		return "never"
	}
	return span(time.Since(t)) + " ago"
}

// until returns how far t is in the future, or "never" if it is zero.
func until(t time.Time) string {
	if t.IsZero() {
		return "never"
	}
	if d := time.Until(t); d > 0 {
		return "in " + span(d)
	}
	return "now"
}

// span formats a duration, rounded.
func span(d time.Duration) string {
	switch {
	case d > 0 && d < time.Millisecond:
		return "<1ms"
	case d < time.Second:
		return d.Round(time.Millisecond).String()
	case d.Round(time.Second) < time.Hour:
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

// counted formats a number of things, in the plural where needed. Unlike english.Plural
// it writes plain digits, because scripts read them.
func counted[N int | int64](n N, thing string) string {
	return fmt.Sprintf("%d %s", n, english.PluralWord(int(n), thing, ""))
}

func bytesText(n int64) string { return humanize.IBytes(uint64(max(n, 0))) }
