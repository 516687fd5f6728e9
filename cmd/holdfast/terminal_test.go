//go:build linux

package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/charmbracelet/x/ansi"
	"github.com/stretchr/testify/require"

	"github.com/holdfast-dht/holdfast/internal/api"
)

// terminal is a pseudo-terminal with a width, and the output written to it.
func terminal(t *testing.T, width int, write func(tty *os.File)) string {
	t.Helper()
	master, tty := openTerminal(t, width, 40)
	defer master.Close()
	done := make(chan string)
	go func() {
		var all bytes.Buffer
		_, _ = io.Copy(&all, master) // EIO when the other end is closed
		done <- all.String()
	}()
	write(tty)
	require.NoError(t, tty.Close())
	return strings.ReplaceAll(<-done, "\r\n", "\n")
}

// crowded is a node with peers that have many addresses, and with values that need
// attention.
type crowded struct{ api.Backend }

func addresses() (addrs []string) {
	for i := range 4 {
		addrs = append(addrs, fmt.Sprintf("/ip4/192.0.2.%d/tcp/40111", 101+i), fmt.Sprintf("/ip4/192.0.2.%d/udp/40111/quic-v1", 101+i))
	}
	return addrs
}

func (crowded) Status(context.Context) (api.Status, error) {
	return api.Status{
		State: "stopping", PeerID: somePeer, Mode: "auto", Reachability: "unknown", Starts: 9, UncleanStarts: 1, TablePeers: 1,
		PublishedKeys: 4, OverdueKeys: 3, UnannouncedFailed: 2, DBBytes: 95, DBMaxBytes: 100, DBFill: 0.95, ValueRecords: 1, ProviderRecords: 2,
		Refused: map[string]int64{"providers_per_key": 1200}, DiskFree: 4096, DiskTotal: 40 << 20, DiskFullSince: time.Now(), DataDir: "/var/lib/holdfast", MetricsAddr: "127.0.0.1:9474",
	}, nil
}

func (crowded) Table(context.Context) (peers []api.TablePeer, err error) {
	for cpl := range 12 {
		if cpl == 3 {
			continue // a gap
		}
		peers = append(peers, api.TablePeer{CPL: cpl, PeerID: somePeer, Addrs: addresses(), Verified: cpl != 2, LastSeen: time.Now()})
	}
	return peers, nil
}

func (crowded) Peers(context.Context) ([]api.PeerInfo, error) {
	return []api.PeerInfo{{PeerID: somePeer, Addrs: addresses(), Connected: true, Direction: "outbound", Agent: "kubo/0.40.0/"}, {PeerID: anotherPeer}}, nil
}

func (crowded) Closest(context.Context, []byte) ([]api.Peer, error) {
	return []api.Peer{{PeerID: somePeer, Addrs: addresses()}, {PeerID: anotherPeer}}, nil
}

func (crowded) FindProviders(_ context.Context, _ []byte, _ int, fn func(api.Peer) error) error {
	return fn(api.Peer{PeerID: somePeer, Addrs: addresses()})
}

func (crowded) Explain(context.Context, string, []byte) (api.Trace, error) {
	return api.Trace{Kind: "find_value", Key: []byte("k"), Outcome: "ok", End: "nearest", TookMs: 100, Asked: 2, Responded: 1, Failed: 1, Steps: []api.TraceStep{
		{PeerID: somePeer, Role: "lookup", State: "answered", EndedMs: 40, Named: 20, New: 20},
		{PeerID: anotherPeer, Role: "lookup", State: "failed", EndedMs: 90, Error: "dial tcp 192.0.2.1:4011: connect: connection refused"},
	}}, nil
}

// No line is wider than the terminal, and text that needs attention is coloured. NO_COLOR
// turns the colours off; a pipe has neither.
func TestTerminal(t *testing.T) {
	socket := socketOf(t, crowded{})
	env := map[string]string{"HOME": t.TempDir()}
	run := func(t *testing.T, out io.Writer, command string) {
		var errs bytes.Buffer
		a := &app{in: strings.NewReader(""), out: out, errs: &errs, getenv: func(name string) string { return env[name] }}
		require.Zero(t, a.run(t.Context(), append(strings.Fields(command), "--api", socket)), errs.String())
	}
	for _, c := range []struct {
		command string
		red     int // pieces that need attention, on a wide terminal
		lines   int // without one
	}{
		{"status", 7, 24}, {"table", 1, 12}, {"table --report", 7, 14}, {"peers", 0, 3}, {"closest k", 0, 2},
		{"find-providers k", 0, 1}, {"explain get k", 8, 12},
	} {
		t.Run(c.command, func(t *testing.T) {
			for width := 60; width <= 200; width += 10 {
				text := terminal(t, width, func(tty *os.File) { run(t, tty, c.command) })
				for line := range strings.SplitSeq(text, "\n") {
					require.LessOrEqual(t, ansi.StringWidth(line), width, "%s\n%s", line, text)
				}
				if width == 200 {
					require.Equal(t, c.red, strings.Count(text, "\x1b[31m"), text)
				}
			}
			env["NO_COLOR"] = "1"
			require.NotContains(t, terminal(t, 80, func(tty *os.File) { run(t, tty, c.command) }), "\x1b")
			delete(env, "NO_COLOR")
			var pipe bytes.Buffer
			run(t, &pipe, c.command)
			require.NotContains(t, pipe.String(), "\x1b")
			require.Equal(t, c.lines, strings.Count(pipe.String(), "\n"), pipe.String())
		})
	}
}

// Published keys that no peer took are in the numbers of keys.
func TestKeysThatWereNeverPublished(t *testing.T) {
	s, err := crowded{}.Status(t.Context())
	require.NoError(t, err)
	require.Equal(t, "4, 3 overdue, 2 never published: too few peers took them", publishedText(&s))
	s.UnannouncedFailed = 0
	require.Equal(t, "4, 3 overdue", publishedText(&s))
	r := api.RepublishStatus{Unannounced: 3, UnannouncedFailed: 2}
	require.Equal(t, "3, 2 of them tried: too few peers took them", unannouncedText(&r))
	r.UnannouncedFailed = 0
	require.Equal(t, "3", unannouncedText(&r))
}

// $COLUMNS is the width if the terminal does not report its own.
func TestWidth(t *testing.T) {
	env := map[string]string{}
	a := &app{getenv: func(name string) string { return env[name] }}
	terminal(t, 0, func(tty *os.File) {
		a.out = tty
		require.Equal(t, defaultWidth, a.width())
		env["COLUMNS"] = "61"
		require.Equal(t, 61, a.width())
		env["COLUMNS"] = "many"
		require.Equal(t, defaultWidth, a.width())
	})
	a.out = &bytes.Buffer{}
	require.Zero(t, a.width())
}
