package workload

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"time"
)

// Target is a store to measure.
type Target struct {
	Name string // of its column and its directory
	// Command returns a process that calls Serve with its standard input and output.
	Command func(ctx context.Context) *exec.Cmd
}

// Compare measures targets side by side, each in a process of its own and in a directory
// below dir. It creates these directories, which must not exist. After each step it calls
// progress, which may be nil, with the figures.
func Compare(ctx context.Context, cfg Config, dir string, targets []Target, progress func(step, target string, f []Figure)) (*Report, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	if progress == nil {
		progress = func(string, string, []Figure) {}
	}
	c := &comparison{cfg: cfg, progress: progress, report: &Report{Config: cfg}}
	defer c.kill()
	if err := c.begin(ctx, dir, targets); err != nil {
		return nil, err
	}
	for i, step := range cfg.ordered() {
		for j := range c.workers {
			// The targets take turns in going first.
			if err := c.measure(ctx, step, c.workers[(i+j)%len(c.workers)]); err != nil {
				return c.report, err
			}
		}
	}
	for _, w := range c.workers {
		if err := w.stop(); err != nil {
			return c.report, err
		}
	}
	return c.report, nil
}

// ordered returns the configured steps in the order of steps.
func (c *Config) ordered() []string {
	return slices.DeleteFunc(Steps(), func(s string) bool { return !slices.Contains(c.Steps, s) })
}

// comparison is the state of one call of Compare.
type comparison struct {
	cfg      Config
	report   *Report
	workers  []*worker
	progress func(step, target string, f []Figure)
}

// begin measures the disk and starts the processes.
func (c *comparison) begin(ctx context.Context, dir string, targets []Target) (err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	if c.report.Limits, err = measureLimits(dir); err != nil {
		return err
	}
	start := time.Now().Add(-fillSpan).Truncate(time.Second)
	for _, t := range targets {
		c.report.Stores = append(c.report.Stores, t.Name)
		w := &worker{target: t, cfg: c.cfg, dir: filepath.Join(dir, t.Name), state: state{Start: start, Now: start}}
		if err := os.Mkdir(w.dir, 0o700); err != nil {
			return err
		}
		c.workers = append(c.workers, w)
		if _, err := w.open(ctx); err != nil {
			return err
		}
	}
	return nil
}

// measure runs one step with one store.
func (c *comparison) measure(ctx context.Context, step string, w *worker) (err error) {
	var figures []Figure
	switch step {
	case "reopen":
		figures, err = w.reopen(ctx)
	case "kill":
		figures, err = w.killed(ctx)
	default:
		figures, err = w.ask(ctx, step)
	}
	if err != nil {
		return err
	}
	c.report.add(w.target.Name, figures)
	c.progress(step, w.target.Name, figures)
	return nil
}

// kill ends the processes that are still running.
func (c *comparison) kill() {
	for _, w := range c.workers {
		w.kill()
	}
}

// worker is the process that measures one store.
type worker struct {
	target  Target
	cfg     Config
	dir     string
	state   state
	cmd     *exec.Cmd // nil: no process is running
	in      io.WriteCloser
	replies *json.Decoder
}

// open starts a process and lets it open the store.
func (w *worker) open(ctx context.Context) (_ []Figure, err error) {
	cmd := w.target.Command(ctx)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", w.target.Name, err)
	}
	if w.in, err = cmd.StdinPipe(); err != nil {
		return nil, fmt.Errorf("%s: %w", w.target.Name, err)
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("%s: %w", w.target.Name, err)
	}
	w.cmd, w.replies = cmd, json.NewDecoder(out)
	return w.ask(ctx, askOpen)
}

// ask sends a request to the process and returns the figures of its reply.
func (w *worker) ask(ctx context.Context, step string) ([]Figure, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	var r reply
	err := json.NewEncoder(w.in).Encode(request{Step: step, Config: w.cfg, Dir: w.dir, State: w.state})
	if err == nil {
		err = w.replies.Decode(&r)
	}
	if err == nil && r.Error != "" {
		err = errors.New(r.Error)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %s: %w", w.target.Name, step, errors.Join(err, ctx.Err()))
	}
	w.state = r.State
	return r.Figures, nil
}

// stop lets the process close its store and exit.
func (w *worker) stop() error {
	cmd := w.cmd
	w.cmd = nil
	if err := errors.Join(w.in.Close(), cmd.Wait()); err != nil {
		return fmt.Errorf("%s: %w", w.target.Name, err)
	}
	return nil
}

func (w *worker) kill() {
	if w.cmd == nil {
		return
	}
	_ = w.cmd.Process.Kill()
	_ = w.cmd.Wait() // returns the error of the kill
	w.cmd = nil
}

// reopen measures opening the store after a clean stop.
func (w *worker) reopen(ctx context.Context) ([]Figure, error) {
	if err := w.stop(); err != nil {
		return nil, err
	}
	return w.openedAfter(ctx, "a clean stop")
}

// killed measures opening the store after the process was killed while it added records.
func (w *worker) killed(ctx context.Context) ([]Figure, error) {
	if _, err := w.ask(ctx, askLoad); err != nil {
		return nil, err
	}
	select {
	case <-time.After(w.cfg.Window / 3):
	case <-ctx.Done():
	}
	w.kill()
	return w.openedAfter(ctx, "kill -9")
}

func (w *worker) openedAfter(ctx context.Context, what string) ([]Figure, error) {
	figures, err := w.open(ctx)
	for i := range figures {
		figures[i].Name = fmt.Sprintf("open after %s: %s", what, figures[i].Name)
	}
	return figures, err
}
