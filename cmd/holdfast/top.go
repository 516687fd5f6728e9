package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/charmbracelet/x/ansi"
	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/holdfast-dht/holdfast/internal/api"
)

// minTopInterval keeps top from causing load itself.
const minTopInterval = 200 * time.Millisecond

// topCommand is `holdfast top`.
type topCommand struct {
	*app
	interval time.Duration
	count    int
}

func newTop(a *app) *cobra.Command {
	c := &topCommand{app: a}
	cmd := &cobra.Command{
		Use:   "top",
		Short: "Watch the daemon: routing table, rates of requests and lookups, republishing",
		Long: `Watch the daemon: routing table, rates of requests and lookups, republishing of published
keys. Press q to quit. Without a terminal it prints one overview and exits; --json prints one
object for each.`,
		Example: `  holdfast top
  holdfast top --interval 1s --count 10 --json`,
		Args: exactly(),
		RunE: c.run,
	}
	cmd.Flags().DurationVar(&c.interval, "interval", 2*time.Second, "`time` between two updates")
	cmd.Flags().IntVar(&c.count, "count", 0, "exit after this many updates (0: when q is pressed)")
	return a.daemonFlags(cmd)
}

func (c *topCommand) run(cmd *cobra.Command, _ []string) error {
	if c.interval < minTopInterval {
		return usagef("--interval %s is under %s", c.interval, minTopInterval)
	}
	if c.count < 0 {
		return usagef("--count %d is negative", c.count)
	}
	return c.ask(cmd.Context(), func(ctx context.Context, b api.Backend) error {
		t := &top{topCommand: c, backend: b}
		if c.json || !isTerminal(c.out) {
			return t.print(ctx)
		}
		return t.watch(ctx)
	})
}

// top shows one overview after another. It draws from the top of the screen and waits for
// a key. A framework such as bubbletea would only add its own event loop.
type top struct {
	*topCommand
	backend api.Backend
	last    *api.Overview // nil: none yet
}

// print writes overviews one below the other: --count of them, or one. Rates need two
// overviews, so the first is printed after an interval.
func (t *top) print(ctx context.Context) error {
	for i := 0; i <= max(t.count, 1); i++ {
		o, err := t.backend.Overview(ctx)
		if err != nil {
			return err
		}
		switch {
		case i > 0 && t.json:
			err = t.printJSON(o)
		case i > 0:
			err = t.printf("%s\n", topText(&o, t.last, 100))
		}
		if err != nil {
			return err
		}
		t.last = &o
		if i == max(t.count, 1) {
			break
		}
		if err := pauseFor(ctx, t.interval, nil); err != nil {
			return err
		}
	}
	return nil
}

// watch draws over the terminal until q, ^C or the last update.
func (t *top) watch(ctx context.Context) error {
	keys, restore, err := rawKeys(os.Stdin)
	if err != nil {
		return err
	}
	defer restore()
	fmt.Fprint(t.out, ansi.SetModeAltScreenSaveCursor, ansi.HideCursor)
	defer fmt.Fprint(t.out, ansi.ShowCursor, ansi.ResetModeAltScreenSaveCursor)
	colours := t.style()
	for i := 0; t.count == 0 || i < t.count; i++ {
		o, err := t.backend.Overview(ctx)
		if err != nil {
			return err
		}
		t.draw(&o, colours)
		t.last = &o
		if err := pauseFor(ctx, t.interval, keys); errors.Is(err, errQuit) {
			return nil
		} else if err != nil {
			return err
		}
	}
	return nil
}

// draw fills the screen with one overview.
func (t *top) draw(o *api.Overview, s style) {
	width, height := 100, 40
	if w, h, ok := terminalSize(t.out); ok {
		width, height = w, h
	}
	fmt.Fprint(t.out, ansi.CursorHomePosition)
	for i, line := range topLines(o, t.last, width, s) {
		if i >= height-1 {
			break
		}
		fmt.Fprint(t.out, line, ansi.EraseLineRight, "\r\n")
	}
	fmt.Fprint(t.out, ansi.EraseScreenBelow)
}

// errQuit is the error of a pause that q ended.
var errQuit = errors.New("quit")

// pauseFor waits. It returns an error if the context or a key ends the wait.
func pauseFor(ctx context.Context, d time.Duration, keys <-chan byte) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	for {
		select {
		case <-timer.C:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		case k := <-keys:
			switch k {
			case 'q':
				return errQuit
			case 3: // ^C: the terminal is raw and sends no signal
				return errInterrupted
			}
		}
	}
}

// rawKeys puts the terminal into raw mode and returns a channel of its keys. The
// goroutine that reads them ends with the process.
func rawKeys(in *os.File) (<-chan byte, func(), error) {
	old, err := term.MakeRaw(int(in.Fd()))
	if err != nil {
		return nil, nil, fmt.Errorf("terminal: %w", err)
	}
	keys := make(chan byte)
	go func() {
		buf := make([]byte, 1)
		for {
			if n, err := in.Read(buf); n != 1 || err != nil {
				return
			}
			keys <- buf[0]
		}
	}()
	return keys, func() { _ = term.Restore(int(in.Fd()), old) }, nil
}
