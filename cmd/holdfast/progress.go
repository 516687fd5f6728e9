package main

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/charmbracelet/x/ansi"
	"github.com/dustin/go-humanize"

	"github.com/holdfast-dht/holdfast/internal/daemon"
)

// How often progress is shown. On a terminal one line is redrawn, elsewhere each update
// is a new line.
const (
	progressTerminal = 200 * time.Millisecond
	progressLog      = 10 * time.Second
)

// longestToGo bounds the time to go that is shown. A longer estimate is worthless, and one
// of 292 years overflows a time.Duration.
const longestToGo = 365 * 24 * time.Hour

// progress shows the progress of long work on standard error: how much is done, at what
// rate, and how long the rest takes. It shows nothing if the work ends before the first
// update. Its own goroutine shows it, so that stalled work is visible too; end stops the
// goroutine. Safe for concurrent use.
//
// progressbar and pb do not work here: without a terminal they write one endless line,
// and they have one total for the whole work, not steps that count pages, then records.
type progress struct {
	w        io.Writer
	terminal bool
	stop     chan struct{}
	stopped  sync.WaitGroup

	mu     sync.Mutex
	what   string
	text   func(n int64) string // formats an amount
	done   int64
	total  int64 // 0: unknown
	begun  time.Time
	before int64 // amount done at the start, which the rate does not count
	drawn  bool  // the cursor is at the end of a drawn line
}

// counted starts the progress of work on a number of things, such as keys.
func (a *app) counted(what string, total int) *progress {
	return newProgress(a.errs, isTerminal(a.errs), what, int64(total), humanize.Comma)
}

// measured starts the progress of work on a number of bytes; 0: unknown.
func (a *app) measured(what string, total int64) *progress {
	return newProgress(a.errs, isTerminal(a.errs), what, total, bytesText)
}

func newProgress(w io.Writer, terminal bool, what string, total int64, text func(int64) string) *progress {
	p := &progress{w: w, terminal: terminal, text: text, stop: make(chan struct{}), what: what, total: total, begun: time.Now()}
	p.stopped.Go(p.run)
	return p
}

func (p *progress) run() {
	every := progressLog
	if p.terminal {
		every = progressTerminal
	}
	t := time.NewTicker(every)
	defer t.Stop()
	for {
		select {
		case <-t.C:
			p.show()
		case <-p.stop:
			return
		}
	}
}

// at sets how much is done.
func (p *progress) at(done int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.done = done
}

// Write counts the bytes of b.
func (p *progress) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.done += int64(len(b))
	return len(b), nil
}

// set sets how much of which work is done. A different name, or less done than before,
// starts new work.
func (p *progress) set(what string, done, total int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.note(what, done, total)
}

func (p *progress) note(what string, done, total int64) {
	if what != p.what || done < p.done {
		p.what, p.begun, p.before = what, time.Now(), done
	}
	p.done, p.total = done, total
}

// step sets the progress of work on the database.
func (p *progress) step(s daemon.StoreProgress) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.text = humanize.Comma
	if s.Bytes {
		p.text = bytesText
	}
	p.note(s.Step, s.Done, s.Total)
}

// end stops the progress and leaves the cursor at the start of a line.
func (p *progress) end() {
	close(p.stop)
	p.stopped.Wait()
	if p.drawn {
		p.show() // the final state
		fmt.Fprintln(p.w)
	}
}

func (p *progress) show() {
	p.mu.Lock()
	defer p.mu.Unlock()
	line := p.line(time.Since(p.begun))
	if !p.terminal {
		fmt.Fprintln(p.w, line)
		return
	}
	p.drawn = true
	fmt.Fprint(p.w, "\r", p.fit(line, p.width()-1), ansi.EraseLineRight)
}

// width returns the width of the terminal.
func (p *progress) width() int {
	if width, _, ok := terminalSize(p.w); ok {
		return width
	}
	return defaultWidth
}

// fit shortens a line to a width. It cuts from the middle of the work's name first,
// because the amounts follow it.
func (p *progress) fit(line string, width int) string {
	const gap = "..."
	if over := ansi.StringWidth(line) - width; over > 0 {
		keep := max(0, ansi.StringWidth(p.what)-over-len(gap))
		line = ansi.Truncate(p.what, (keep+1)/2, "") + gap + tail(p.what, keep/2) + line[len(p.what):]
	}
	return ansi.Truncate(line, width, "")
}

// tail returns the end of a text, at most width columns wide.
func tail(text string, width int) string {
	end := ansi.TruncateLeft(text, ansi.StringWidth(text)-width, "")
	if ansi.StringWidth(end) > width { // the cut is inside a character of two columns
		end = ansi.TruncateLeft(end, 2, "")
	}
	return end
}

// line returns the line to show after the work has run for took.
func (p *progress) line(took time.Duration) string {
	if p.done == 0 && p.total == 0 {
		return p.what + ", " + span(took.Round(time.Second)) + " so far"
	}
	parts := []string{p.what + " " + p.text(p.done)}
	if p.total > 0 && p.done <= p.total { // the counter of a damaged file may be too low
		parts[0] += fmt.Sprintf(" of %s (%d %%)", p.text(p.total), 100*p.done/p.total)
	}
	rate := float64(p.done-p.before) / max(took.Seconds(), 1e-3)
	if rate > 0 {
		parts = append(parts, p.rate(rate))
	}
	if seconds := float64(p.total-p.done) / rate; seconds > 0 && seconds <= longestToGo.Seconds() {
		parts = append(parts, span(time.Duration(seconds*float64(time.Second)).Round(time.Second))+" to go")
	}
	return strings.Join(parts, ", ")
}

// rate formats an amount per second, with one decimal if it is small.
func (p *progress) rate(perSecond float64) string {
	if perSecond < 10 {
		return fmt.Sprintf("%.1f a second", perSecond)
	}
	return p.text(int64(perSecond)) + " a second"
}
