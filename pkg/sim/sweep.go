package sim

import (
	"fmt"
	"io"
	"strings"
)

// Sweep is one scenario run with several values of one option.
type Sweep struct {
	Option string   `json:"option"`
	Values []string `json:"values"`
	Runs   []Report `json:"runs"`
}

// ParseSweep reads NAME=VALUE,VALUE...
func ParseSweep(text string) (*Sweep, error) {
	name, values, ok := strings.Cut(text, "=")
	s := &Sweep{Option: name, Values: strings.Split(values, ",")}
	if !ok || len(s.Values) < 2 {
		return nil, fmt.Errorf("%w: a sweep is NAME=VALUE,VALUE..., not %q", ErrOption, text)
	}
	for _, v := range s.Values {
		var o Options
		if err := o.Set(name, v); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// Run runs the scenario with every value. It calls run with the world of each run and its
// label.
func (s *Sweep) Run(o Options, scenario *Scenario, run func(w *World, label string) error) error {
	for _, v := range s.Values {
		if err := o.Set(s.Option, v); err != nil {
			return err
		}
		w := New(o, scenario)
		if err := run(w, s.Option+"="+v); err != nil {
			return err
		}
		s.Runs = append(s.Runs, *w.Report())
	}
	return nil
}

// Print writes a row for each phase of each run.
func (s *Sweep) Print(out io.Writer) error {
	p := &page{out: out}
	if len(s.Runs) > 0 {
		p.line("%s", s.Runs[0].Title)
		p.line("%s", s.Runs[0].Options)
	}
	p.table(s.table())
	for i := range s.Runs {
		for _, v := range s.Runs[i].Violations {
			p.line("VIOLATED with %s=%s: %s", s.Option, s.Values[i], v)
		}
	}
	return p.err
}

// sweepTexts is how many columns of a sweep's table are texts: value, phase, operation.
const sweepTexts = 3

// table has a row for each operation of each phase of each run, below the header.
func (s *Sweep) table() [][]string {
	rows := [][]string{{s.Option, "phase", "operation", "success", "recall", "p50 s", "p95 s", "messages", "stale", "complete", "requests/min", "bytes/s"}}
	for i := range s.Runs {
		for j := range s.Runs[i].Phases {
			rows = append(rows, s.rows(s.Values[i], &s.Runs[i].Phases[j])...)
		}
	}
	return rows
}

func (s *Sweep) rows(value string, x *Phase) (rows [][]string) {
	bytes := 0.0
	for _, t := range x.Traffic {
		bytes += t.Bytes
	}
	for i := range x.Ops {
		o := &x.Ops[i]
		recall := o.Recall
		if o.Kind == "find" || o.Kind == "get" {
			recall = o.Overlap
		}
		rows = append(rows, []string{
			value, x.Name, o.Kind, percent(o.Success), percent(recall), number(o.Took.P50), number(o.Took.P95), number(o.Messages.Mean),
			percent(x.Tables.Stale), percent(x.Tables.Complete), number(x.Load.Mean), number(round(bytes)),
		})
	}
	return rows
}
