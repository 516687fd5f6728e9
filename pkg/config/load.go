package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2"
)

// maxFileSize bounds the configuration file in bytes, against the wrong path.
const maxFileSize = 1 << 20

var (
	// ErrFile is returned when the file cannot be read or is not valid TOML.
	ErrFile = errors.New("cannot use the file")
	// ErrUnknownKey is returned for a key that no setting has.
	ErrUnknownKey = errors.New("unknown key")
	// ErrInvalid is returned when values violate a rule.
	ErrInvalid = errors.New("invalid configuration")
)

// Setting is a key given on the command line.
type Setting struct {
	Key   string   // "network.listen"
	Value string   // as text
	List  []string // instead of Value for a list
	Flag  string   // "--listen", its origin
}

// Sources says where Load reads from.
type Sources struct {
	File  string    // path of the TOML file; empty: none
	Env   []string  // as os.Environ
	Flags []Setting // in order, the last one wins
}

// Origin says where a key's value came from.
type Origin struct {
	Source string // "default", "file", "env" or "flag"
	Name   string // path, variable or flag
	Line   int    // in the file, from 1
}

// String returns the origin for people: "file /etc/holdfast/config.toml:12".
func (o Origin) String() string {
	switch o.Source {
	case "":
		return "default"
	case "file":
		return fmt.Sprintf("file %s:%d", o.Name, o.Line)
	}
	return o.Source + " " + o.Name
}

// Loaded is a configuration with the origin of each key.
type Loaded struct {
	Config  Config
	File    string // that was read; empty: none
	origins map[string]Origin
}

// Origin returns where the value of section.name came from.
func (l *Loaded) Origin(path string) Origin { return l.origins[path] }

// Load layers defaults, file, environment and flags, then validates; one error
// holds all that is wrong. It returns what it could load even then.
func Load(s Sources) (*Loaded, error) {
	l := &Loaded{Config: Default(), origins: map[string]Origin{}}
	var fileErr error
	if s.File != "" {
		if fileErr = l.readFile(s.File); fileErr != nil && !errors.Is(fileErr, ErrUnknownKey) {
			return l, fileErr
		}
	}
	wrongEnv, unknownEnv := l.readEnv(s.Env)
	wrongFlags, unknownFlags := l.readFlags(s.Flags)
	found := slices.Concat(wrongEnv, wrongFlags, l.Config.Validate())
	return l, errors.Join(fileErr, unknownEnv, unknownFlags, l.WithOrigins(found))
}

// Find returns the file to load: the flag, $HOLDFAST_CONFIG, or the first that
// exists of /etc/holdfast/config.toml and $XDG_CONFIG_HOME/holdfast/config.toml
// (~/.config if unset). Empty: none.
func Find(flag string, getenv func(string) string) string {
	if flag != "" {
		return flag
	}
	if f := getenv("HOLDFAST_CONFIG"); f != "" {
		return f
	}
	home := getenv("XDG_CONFIG_HOME")
	if home == "" && getenv("HOME") != "" {
		home = filepath.Join(getenv("HOME"), ".config")
	}
	places := []string{"/etc/holdfast/config.toml"}
	if home != "" {
		places = append(places, filepath.Join(home, "holdfast", "config.toml"))
	}
	for _, f := range places {
		if _, err := os.Stat(f); err == nil {
			return f
		}
	}
	return ""
}

func (l *Loaded) readFile(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrFile, err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxFileSize+1)) // a device or a pipe does not tell its size
	if err != nil {
		return fmt.Errorf("%w: %w", ErrFile, err)
	}
	if len(data) > maxFileSize {
		return fmt.Errorf("%w: %s has more than %d bytes: is it the right file?", ErrFile, path, maxFileSize)
	}
	return l.parse(path, data)
}

// parse reads one TOML document over the configuration; name is its path in
// errors and origins.
func (l *Loaded) parse(name string, data []byte) error {
	c := l.Config
	err := toml.NewDecoder(bytes.NewReader(data)).DisallowUnknownFields().Decode(&c)
	var unknown *toml.StrictMissingError
	if err != nil && !errors.As(err, &unknown) {
		return fileError(name, data, err)
	}
	l.Config, l.File = c, name
	for path, at := range places(data) { // order-free: each path has an origin of its own
		l.origins[path] = Origin{Source: "file", Name: name, Line: at.line}
	}
	if unknown != nil {
		return unknownKeys(name, unknown)
	}
	return nil
}

// unknownKeys names each with its place: "config.toml:12: netwrk.listen".
func unknownKeys(name string, err *toml.StrictMissingError) error {
	var all []error
	for i := range err.Errors {
		e := &err.Errors[i]
		row, _ := e.Position()
		path := strings.Join(e.Key(), ".")
		all = append(all, fmt.Errorf("%w: %s:%d: %s%s", ErrUnknownKey, name, row, path, suggest(path)))
	}
	return errors.Join(all...)
}

// fileError puts the place before the message and the line with a caret below.
func fileError(name string, data []byte, err error) error {
	var bad *toml.DecodeError
	if errors.As(err, &bad) {
		row, column := bad.Position()
		text, excerpt := strings.TrimPrefix(bad.Error(), "toml: "), bad.String()
		if wanted := mistyped(data, row); wanted != "" { // instead of the names of Go's types
			text, excerpt = wanted, strings.ReplaceAll(excerpt, text, wanted)
		}
		return fmt.Errorf("%w: %s:%d:%d: %s\n%s", ErrFile, name, row, column, text, excerpt)
	}
	// The decoder gives no place for a number where a duration must stand.
	found := places(data)
	for _, k := range keys {
		if at := found[k.Path()]; at.text != "" {
			if c := Default(); k.set(&c, at.text) != nil {
				return fmt.Errorf("%w: %s:%d: %s: %w", ErrFile, name, at.line, k.Path(), err)
			}
		}
	}
	return fmt.Errorf("%w: %s: %w", ErrFile, name, err)
}

// mistyped says what a key takes whose value has another type; "" if there is none up to
// the line of the decoder's error.
func mistyped(data []byte, row int) string {
	found := places(data)
	for _, k := range keys {
		at, ok := found[k.Path()]
		if kind, text := k.syntax(); ok && at.line <= row && text != "" && at.kind != kind {
			return k.Path() + " takes " + text
		}
	}
	return ""
}

// readEnv returns the values that cannot be used, and an error of all keys that no setting
// has.
func (l *Loaded) readEnv(env []string) (wrong Violations, unknown error) {
	var all []error
	for _, e := range slices.Sorted(slices.Values(env)) {
		name, value, _ := strings.Cut(e, "=")
		if !strings.HasPrefix(name, EnvPrefix) {
			continue
		}
		if !strings.Contains(name, "__") {
			if meant := meantEnv(name); meant != "" && value != "" {
				all = append(all, fmt.Errorf("%w: environment variable %s; did you mean %s, with two underscores?", ErrUnknownKey, name, meant))
			}
			continue // for another program
		}
		k, ok := keyByEnv(name)
		if !ok {
			path := strings.ToLower(strings.Replace(strings.TrimPrefix(name, EnvPrefix), "__", ".", 1))
			all = append(all, fmt.Errorf("%w: environment variable %s%s", ErrUnknownKey, name, suggest(path)))
			continue
		}
		wrong = append(wrong, l.set(k, value, Origin{Source: "env", Name: name})...)
	}
	return wrong, errors.Join(all...)
}

// readFlags returns what readEnv does.
func (l *Loaded) readFlags(flags []Setting) (wrong Violations, unknown error) {
	var all []error
	for _, f := range flags {
		k, ok := keyByPath(f.Key)
		origin := Origin{Source: "flag", Name: f.Flag}
		switch {
		case !ok:
			all = append(all, fmt.Errorf("%w: flag %s: %s", ErrUnknownKey, f.Flag, f.Key))
		case f.List != nil:
			k.field(&l.Config).Set(reflect.ValueOf(slices.Clone(f.List)))
			l.origins[f.Key] = origin
		default:
			wrong = append(wrong, l.set(k, f.Value, origin)...)
		}
	}
	return wrong, errors.Join(all...)
}

// set gives a key the value that text stands for, or returns why it cannot.
func (l *Loaded) set(k Key, text string, from Origin) Violations {
	l.origins[k.Path()] = from
	if err := k.set(&l.Config, text); err != nil {
		v := err.Violation(k.Path(), "is")
		v.Origin = from
		return Violations{v}
	}
	return nil
}
