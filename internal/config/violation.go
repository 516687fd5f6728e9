package config

import (
	"fmt"
	"strings"
)

// Violation is one broken rule.
type Violation struct {
	Key    string // section.name
	What   string // what is wrong with the value: `is "boss"`
	Detail string // what is allowed, or what to do: "it is auto, client or server"; may be empty
	Origin Origin // where the value came from; the zero Origin is the default

	Others []string // keys whose values the rule compares with this one
}

// String returns the violation as one sentence.
func (v Violation) String() string {
	s := v.Key + " " + v.What
	if v.Detail != "" {
		s += "; " + v.Detail
	}
	if v.Origin.Source != "" {
		s += " (from " + v.Origin.String() + ")"
	}
	return s
}

// Violations are all broken rules. errors.Is(v, ErrInvalid) holds.
type Violations []Violation

// Error lists every violation, one a line.
func (v Violations) Error() string {
	lines := make([]string, len(v))
	for i, x := range v {
		lines[i] = ErrInvalid.Error() + ": " + x.String()
	}
	return strings.Join(lines, "\n")
}

// Unwrap returns ErrInvalid.
func (v Violations) Unwrap() error { return ErrInvalid }

// ValueError describes a bad value, independent of its key.
type ValueError struct {
	Value   string // as it was given
	Problem string // "is not a duration"
	Advice  string // `write for instance "22h"`; may be empty
}

// Error returns the three parts as one sentence.
func (e *ValueError) Error() string {
	s := fmt.Sprintf("%q %s", e.Value, e.Problem)
	if e.Advice != "" {
		s += "; " + e.Advice
	}
	return s
}

// Violation returns the violation of a key with this value. verb is "is", or "has" for an
// element of a list.
func (e *ValueError) Violation(key, verb string) Violation {
	return Violation{Key: key, What: fmt.Sprintf("%s %q, which %s", verb, e.Value, e.Problem), Detail: e.Advice}
}

// orNil keeps a nil *ValueError from becoming an error that is not nil.
func orNil(e *ValueError) error {
	if e == nil {
		return nil
	}
	return e
}
