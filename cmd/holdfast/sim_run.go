package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/dustin/go-humanize/english"
	"github.com/spf13/cobra"

	"github.com/holdfast-dht/holdfast/pkg/sim"
)

// simRunCommand is `holdfast sim run`.
type simRunCommand struct {
	*app
	scenario string
	sweep    string
	html     string
	svg      string
	trace    string
	replay   string

	page, plots *outFile // html and svg
}

func newSimRun(a *app) *cobra.Command {
	s := &simRunCommand{app: a}
	cmd := &cobra.Command{
		Use:   "run",
		Short: "Simulate a network and report the results",
		Long: `Simulate a network and report the results.

A scenario describes the events: one of ` + wrapped(sim.Scenarios(), 84) + `
or a file (see docs/SIMULATOR.md). Flags override the options of the scenario.`,
		Example: `  holdfast sim run --scenario restart --html restart.html
  holdfast sim run --nodes 1000 --churn weibull --sweep refresh=10m,1h`,
		Args: exactly(),
		RunE: s.run,
	}
	f := cmd.Flags()
	for _, o := range sim.Settings() {
		f.String(o.Name, o.Default, o.Help)
	}
	f.StringVar(&s.scenario, "scenario", "steady", "`name or file` of the scenario")
	_ = cmd.RegisterFlagCompletionFunc("scenario", cobra.FixedCompletions(sim.Scenarios(), cobra.ShellCompDirectiveDefault)) // the flag exists
	f.StringVar(&s.sweep, "sweep", "", "run once for each value: `name=value,value...`")
	f.StringVar(&s.html, "html", "", "write the report with plots to this `file`")
	f.StringVar(&s.svg, "svg", "", "write the plots of a sweep to this `file`")
	f.StringVar(&s.trace, "trace", "", "write every event to this `file`")
	f.StringVar(&s.replay, "replay", "", "compare every event with this `file`")
	return cmd
}

// wrapped joins words with commas, in lines of a width.
func wrapped(words []string, width int) string {
	var b strings.Builder
	col := 34
	for i, w := range words {
		if i < len(words)-1 {
			w += ","
		}
		if col+len(w)+1 > width {
			b.WriteString("\n")
			col = 0
		} else if i > 0 {
			b.WriteString(" ")
		}
		b.WriteString(w)
		col += len(w) + 1
	}
	return b.String()
}

func (s *simRunCommand) run(cmd *cobra.Command, _ []string) error {
	scenario, opts, err := s.options(cmd)
	if err != nil {
		return usageError{err}
	}
	// Nearly all memory is live and full of pointers, so collections are expensive. Let
	// the garbage grow to four times the live memory before a collection, within a limit.
	debug.SetGCPercent(400)
	debug.SetMemoryLimit(simMemory)
	if s.sweep != "" {
		return s.runSweep(cmd.Context(), scenario, opts)
	}
	return s.runOnce(cmd.Context(), scenario, opts)
}

func (s *simRunCommand) runOnce(ctx context.Context, scenario *sim.Scenario, opts sim.Options) error {
	if s.svg != "" {
		return usagef("--svg needs --sweep; --html has the plots of one run")
	}
	if err := s.open(); err != nil {
		return err
	}
	defer s.discard()
	w := sim.New(opts, scenario)
	if err := s.play(ctx, w, opts.Nodes); err != nil {
		return err
	}
	r := w.Report()
	if err := printSimulated(s.app, r); err != nil {
		return err
	}
	if err := s.page.write(r.HTML); err != nil {
		return err
	}
	return broken(*r)
}

// open opens the files of the report.
func (s *simRunCommand) open() (err error) {
	if s.page, err = openOut(s.html); err != nil {
		return err
	}
	if s.plots, err = openOut(s.svg); err != nil {
		s.page.discard()
	}
	return err
}

func (s *simRunCommand) discard() {
	s.page.discard()
	s.plots.discard()
}

// broken returns the error of runs that broke invariants.
func broken(runs ...sim.Report) error {
	n := 0
	for i := range runs {
		n += len(runs[i].Violations)
	}
	if n == 0 {
		return nil
	}
	return fmt.Errorf("%s %s broken, see the report", counted(n, "invariant"), english.PluralWord(n, "was", "were"))
}

// simMemory is the memory above which garbage is collected more often, in bytes: 100,000
// nodes must fit in a machine with 8 GB.
const simMemory = 6 << 30

// options reads the scenario and overrides its options with the flags.
func (s *simRunCommand) options(cmd *cobra.Command) (*sim.Scenario, sim.Options, error) {
	opts := sim.DefaultOptions()
	scenario, err := loadScenario(s.scenario)
	if err != nil {
		return nil, opts, err
	}
	if err := scenario.Apply(&opts); err != nil {
		return nil, opts, err
	}
	for _, o := range sim.Settings() {
		if f := cmd.Flags().Lookup(o.Name); f.Changed {
			if err := opts.Set(o.Name, f.Value.String()); err != nil {
				return nil, opts, err
			}
		}
	}
	return scenario, opts, nil
}

// loadScenario loads a shipped scenario by name, or a file if the name has a path
// separator or an extension.
func loadScenario(name string) (*sim.Scenario, error) {
	if !strings.ContainsAny(name, "/.") {
		return sim.ShippedScenario(name)
	}
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	return sim.ParseScenario(filepath.Base(name), string(text))
}

// play runs a world to its end, with progress and a trace.
func (s *simRunCommand) play(ctx context.Context, w *sim.World, nodes int) (err error) {
	if s.trace != "" {
		f, err := os.Create(s.trace)
		if err != nil {
			return err
		}
		defer f.Close()
		w.TraceTo(f)
	}
	if s.replay != "" {
		f, err := os.Open(s.replay)
		if err != nil {
			return err
		}
		defer f.Close()
		w.CompareTo(f)
	}
	begun := time.Now()
	p := s.simulated(w.End())
	err = w.Run(func(now time.Duration) error {
		p.at(int64(now))
		return ctx.Err()
	})
	p.end()
	if err != nil {
		return err
	}
	s.printCost(w, nodes, time.Since(begun).Seconds())
	return w.FinishTrace()
}

// simulated starts the progress of a simulation that lasts until end.
func (a *app) simulated(end time.Duration) *progress {
	return newProgress(a.errs, isTerminal(a.errs), "simulated", int64(end), func(n int64) string { return span(time.Duration(n)) })
}

// printCost prints the cost of a simulation that took spent seconds. These figures depend
// on the machine, so they are not part of the report.
func (s *simRunCommand) printCost(w *sim.World, nodes int, spent float64) {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	fmt.Fprintf(s.errs, "%s nodes, %s simulated in %.1f s: %.0f times real time; %s a node, %s events a second\n",
		humanize.Comma(int64(nodes)), span(w.End()), spent, w.End().Seconds()/spent,
		humanize.Bytes(m.HeapAlloc/uint64(nodes)), humanize.SIWithDigits(float64(w.Events())/spent, 1, ""))
}

func (s *simRunCommand) runSweep(ctx context.Context, scenario *sim.Scenario, opts sim.Options) error {
	if s.trace != "" || s.replay != "" {
		return usagef("--trace and --replay cannot be used with --sweep")
	}
	sweep, err := sim.ParseSweep(s.sweep)
	if err != nil {
		return usageError{err}
	}
	if err := s.open(); err != nil {
		return err
	}
	defer s.discard()
	err = sweep.Run(opts, scenario, func(w *sim.World, label string) error {
		fmt.Fprintln(s.errs, label)
		return s.play(ctx, w, opts.Nodes)
	})
	if err != nil {
		return err
	}
	return s.endSweep(sweep)
}

// endSweep prints the report of a sweep after its runs.
func (s *simRunCommand) endSweep(sweep *sim.Sweep) error {
	if err := printSimulated(s.app, sweep); err != nil {
		return err
	}
	if err := errors.Join(s.page.write(sweep.HTML), s.plots.write(sweep.SVG)); err != nil {
		return err
	}
	return broken(sweep.Runs...)
}
