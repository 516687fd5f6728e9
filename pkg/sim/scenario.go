package sim

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"
	"time"
)

// Scenario is what happens in a run, written as text, one statement a line:
//
//	OPTION VALUE                       an option, as the flag of that name
//	title TEXT                         what the report is called
//	at TIME ACTION [ARG...]            once
//	every TIME [from TIME] [until TIME] ACTION [ARG...]
//
// Times count from the end of the warmup. A # begins a comment. Actions: see
// actions.
type Scenario struct {
	Name  string
	Title string
	Steps []Step

	options [][2]string
}

// Step is an action and when it is taken.
type Step struct {
	At, Every, Until time.Duration // Every 0: once; Until 0: to the end
	Text             string        // the action as written
	act              func(w *World)
}

// ErrScenario is returned for a text that is no scenario.
var ErrScenario = errors.New("sim: bad scenario")

//go:embed scenarios/*.txt
var shipped embed.FS

// Scenarios lists the names of the scenarios that ship.
func Scenarios() []string {
	files, _ := fs.Glob(shipped, "scenarios/*.txt") // the pattern is well formed
	for i, f := range files {
		files[i] = strings.TrimSuffix(strings.TrimPrefix(f, "scenarios/"), ".txt")
	}
	return files
}

// ShippedScenario returns the scenario of that name.
func ShippedScenario(name string) (*Scenario, error) {
	text, err := shipped.ReadFile("scenarios/" + name + ".txt")
	if err != nil {
		return nil, fmt.Errorf("%w: none is called %q; there are %s", ErrScenario, name, strings.Join(Scenarios(), ", "))
	}
	return ParseScenario(name, string(text))
}

// ParseScenario reads a scenario; its errors name the line.
func ParseScenario(name, text string) (*Scenario, error) {
	s := &Scenario{Name: name, Title: name}
	for i, line := range strings.Split(text, "\n") {
		line, _, _ = strings.Cut(line, "#")
		words := strings.Fields(line)
		if len(words) == 0 {
			continue
		}
		if err := s.statement(words); err != nil {
			return nil, fmt.Errorf("%w: %s:%d: %w", ErrScenario, name, i+1, err)
		}
	}
	return s, nil
}

func (s *Scenario) statement(words []string) error {
	switch words[0] {
	case "title":
		s.Title = strings.Join(words[1:], " ")
		return nil
	case "at", "every":
		return s.step(words)
	}
	if len(words) != 2 {
		return fmt.Errorf("want an option and its value, at, every or title, not %q", strings.Join(words, " "))
	}
	var scratch Options
	if err := scratch.Set(words[0], words[1]); err != nil {
		return err
	}
	s.options = append(s.options, [2]string{words[0], words[1]})
	return nil
}

func (s *Scenario) step(words []string) error {
	var step Step
	fields := map[string]*time.Duration{"at": &step.At, "every": &step.Every, "from": &step.At, "until": &step.Until}
	for len(words) >= 2 {
		field, ok := fields[words[0]]
		if !ok {
			break
		}
		d, err := time.ParseDuration(words[1])
		if err != nil || d < 0 {
			return fmt.Errorf("want a time such as 90s or 22h, not %q", words[1])
		}
		*field, words = d, words[2:]
	}
	if len(words) == 0 {
		return errors.New("an action is missing")
	}
	build, ok := actions[words[0]]
	if !ok {
		return fmt.Errorf("there is no action %q", words[0])
	}
	act, err := build(arguments(words[1:]))
	if err != nil {
		return fmt.Errorf("%s: %w", words[0], err)
	}
	step.Text, step.act = strings.Join(words, " "), act
	s.Steps = append(s.Steps, step)
	return nil
}

// Apply sets the options that the scenario names.
func (s *Scenario) Apply(o *Options) error {
	for _, x := range s.options {
		if err := o.Set(x[0], x[1]); err != nil {
			return err
		}
	}
	return nil
}

// arguments are the words behind an action.
type arguments []string

// count reads argument i as a number from 1, def if it is not there.
func (a arguments) count(i, def int) (int, error) {
	if i >= len(a) {
		return def, nil
	}
	n, err := strconv.Atoi(a[i])
	if err != nil || n < 1 {
		return 0, fmt.Errorf("want a number, not %q", a[i])
	}
	return n, nil
}

// share reads argument i as a share between 0 and 1.
func (a arguments) share(i int) (float64, error) {
	if i >= len(a) {
		return 0, errors.New("a share is missing")
	}
	p, err := strconv.ParseFloat(a[i], 64)
	if err != nil || p <= 0 || p > 1 {
		return 0, fmt.Errorf("want a share above 0, at most 1, not %q", a[i])
	}
	return p, nil
}

func (a arguments) duration(i int, def time.Duration) (time.Duration, error) {
	if i >= len(a) {
		return def, nil
	}
	d, err := time.ParseDuration(a[i])
	if err != nil || d < 0 {
		return 0, fmt.Errorf("want a time, not %q", a[i])
	}
	return d, nil
}
