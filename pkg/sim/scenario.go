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
// Times count from the end of the warmup. A # starts a comment. The variable actions
// lists the actions.
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
	phase            bool          // the action begins a phase
	act              func(w *World)
}

// ErrScenario is returned for text that is not a valid scenario.
var ErrScenario = errors.New("bad scenario")

//go:embed scenarios/*.txt
var shipped embed.FS

// Scenarios lists the names of the shipped scenarios.
func Scenarios() []string {
	files, _ := fs.Glob(shipped, "scenarios/*.txt") // the pattern is valid
	for i, f := range files {
		files[i] = strings.TrimSuffix(strings.TrimPrefix(f, "scenarios/"), ".txt")
	}
	return files
}

// ShippedScenario returns the shipped scenario with that name.
func ShippedScenario(name string) (*Scenario, error) {
	text, err := shipped.ReadFile("scenarios/" + name + ".txt")
	if err != nil {
		return nil, fmt.Errorf("%w: none is called %q; there are %s", ErrScenario, name, strings.Join(Scenarios(), ", "))
	}
	return ParseScenario(name, string(text))
}

// ParseScenario parses a scenario. Its errors name the line.
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
	step, words, err := readTimes(words)
	if err != nil {
		return err
	}
	if len(words) == 0 {
		return errors.New("an action is missing")
	}
	build, ok := actions[words[0]]
	if !ok {
		return fmt.Errorf("there is no action %q", words[0])
	}
	args := arguments{words: words[1:]}
	if step.act, err = build(&args); err == nil {
		err = args.end()
	}
	if err != nil {
		return fmt.Errorf("%s: %w", words[0], err)
	}
	step.Text, step.phase = strings.Join(words, " "), words[0] == "phase"
	s.Steps = append(s.Steps, step)
	return nil
}

// readTimes parses the times of a step and returns the words after them.
func readTimes(words []string) (step Step, rest []string, err error) {
	fields := map[string]*time.Duration{"at": &step.At, "every": &step.Every, "from": &step.At, "until": &step.Until}
	for len(words) >= 2 && fields[words[0]] != nil {
		d, err := parseTime(words[1])
		if err != nil {
			return step, nil, fmt.Errorf("%s %q: %w", words[0], words[1], err)
		}
		if words[0] == "every" && d == 0 {
			return step, nil, errors.New("every 0s never ends")
		}
		*fields[words[0]] = d
		words = words[2:]
	}
	if step.Until > 0 && step.Until < step.At {
		return step, nil, fmt.Errorf("until %s is before from %s", span(step.Until), span(step.At))
	}
	return step, words, nil
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

// arguments are the words after an action, and how many of them the action has read.
type arguments struct {
	words []string
	read  int
}

// at returns argument i, or false if there is none.
func (a *arguments) at(i int) (string, bool) {
	a.read = max(a.read, i+1)
	if i >= len(a.words) {
		return "", false
	}
	return a.words[i], true
}

// end returns an error if there are words that the action did not read.
func (a *arguments) end() error {
	if len(a.words) > a.read {
		return fmt.Errorf("unexpected words %q", strings.Join(a.words[a.read:], " "))
	}
	return nil
}

// count reads argument i as a number of at least 1, or returns def if it is missing.
func (a *arguments) count(i, def int) (int, error) {
	word, ok := a.at(i)
	if !ok {
		return def, nil
	}
	n, err := strconv.Atoi(word)
	if err != nil || n < 1 {
		return 0, fmt.Errorf("want a number, not %q", word)
	}
	return n, nil
}

// share reads argument i as a share between 0 and 1.
func (a *arguments) share(i int) (float64, error) {
	word, ok := a.at(i)
	if !ok {
		return 0, errors.New("a share is missing")
	}
	p, err := strconv.ParseFloat(word, 64)
	if err != nil || !(p > 0 && p <= 1) { // rejects NaN too
		return 0, fmt.Errorf("want a share above 0, at most 1, not %q", word)
	}
	return p, nil
}

// duration reads argument i as a time, or returns def if it is missing.
func (a *arguments) duration(i int, def time.Duration) (time.Duration, error) {
	word, ok := a.at(i)
	if !ok {
		return def, nil
	}
	d, err := parseTime(word)
	if err != nil {
		return 0, fmt.Errorf("%w, not %q", err, word)
	}
	return d, nil
}
