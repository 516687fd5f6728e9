package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/dustin/go-humanize"
	"golang.org/x/term"
)

// How often progress is shown: on a terminal one line is drawn again, elsewhere each
// time is a line of its own.
const (
	progressTerminal = 200 * time.Millisecond
	progressLog      = 10 * time.Second
)

// progress shows on standard error how far long work has come: how much of it is
// done, at what rate, and how long the rest takes. Nothing is shown of work that is
// done before the first time. A goroutine of its own shows it, so that work that
// stalls is seen too; end stops it. Safe for concurrent use.
type progress struct {
	w        io.Writer
	terminal bool
	text     func(n int64) string // how an amount is written
	stop     chan struct{}
	stopped  sync.WaitGroup

	mu    sync.Mutex
	what  string
	done  int64
	total int64 // 0: not known
	begun time.Time
	drawn bool // a line of the terminal is not ended yet
}

// counted begins the progress of work on a number of things, such as keys.
func (a *app) counted(what string, total int) *progress {
	return newProgress(a.errs, isTerminal(a.errs), what, int64(total), humanize.Comma)
}

// measured begins the progress of work on a number of bytes; 0: not known.
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

// at notes how much is done.
func (p *progress) at(done int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.done = done
}

// timed begins the progress of work of which only the time that it takes is known.
func (a *app) timed(what string) *progress { return a.measured(what, 0) }

// Write counts the bytes of data that passes by.
func (p *progress) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.done += int64(len(b))
	return len(b), nil
}

// reading counts what is read from r. After its end the work goes on as next, of
// which only the time is known.
func (p *progress) reading(r io.Reader, next string) io.Reader {
	return readerFunc(func(b []byte) (int, error) {
		n, err := r.Read(b)
		_, _ = p.Write(b[:n]) // counts
		if err == io.EOF {
			p.set(next, 0, 0)
		}
		return n, err
	})
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(b []byte) (int, error) { return f(b) }

// set notes how much is done of which work; another name begins other work.
func (p *progress) set(what string, done, total int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if what != p.what {
		p.what, p.begun = what, time.Now()
	}
	p.done, p.total = done, total
}

// end stops showing and leaves the cursor at the beginning of a line.
func (p *progress) end() {
	close(p.stop)
	p.stopped.Wait()
	if p.drawn {
		p.show() // as it is at the end
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
	if width := terminalWidth(p.w); len(line) >= width {
		line = line[:width-1]
	}
	fmt.Fprint(p.w, "\r", line, "\x1b[K")
}

// line is what is shown after the work has taken that long.
func (p *progress) line(took time.Duration) string {
	if p.done == 0 && p.total == 0 {
		return p.what + ", " + span(took.Round(time.Second)) + " so far"
	}
	parts := []string{p.what + " " + p.text(p.done)}
	if p.total > 0 {
		parts[0] += fmt.Sprintf(" of %s (%d %%)", p.text(p.total), 100*p.done/p.total)
	}
	rate := float64(p.done) / max(took.Seconds(), 1e-3)
	if p.done > 0 {
		parts = append(parts, p.rate(rate))
	}
	if left := p.total - p.done; p.done > 0 && left > 0 {
		parts = append(parts, span(time.Duration(float64(left)/rate*float64(time.Second)).Round(time.Second))+" to go")
	}
	return strings.Join(parts, ", ")
}

// rate writes an amount a second; a slow one with a digit after the point.
func (p *progress) rate(perSecond float64) string {
	if perSecond < 10 {
		return fmt.Sprintf("%.1f a second", perSecond)
	}
	return p.text(int64(perSecond)) + " a second"
}

// terminalWidth is how many columns a terminal has, 80 if it does not say.
func terminalWidth(w io.Writer) int {
	if f, ok := w.(*os.File); ok {
		if width, _, err := term.GetSize(int(f.Fd())); err == nil && width > 0 {
			return width
		}
	}
	return 80
}
