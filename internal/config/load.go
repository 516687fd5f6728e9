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

// maxFileSize bounds the configuration file in bytes, in case the path names another
// file.
const maxFileSize = 1 << 20

var (
	// ErrFile is returned when the file cannot be read or is not valid TOML.
	ErrFile = errors.New("cannot use the file")
	// ErrUnknownKey is returned for a key that does not exist.
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

// Sources are the inputs of Load.
type Sources struct {
	File  string    // path of the TOML file; empty: none
	Env   []string  // as os.Environ
	Flags []Setting // in order, the last one wins
}

// Origin is where the value of a key came from.
type Origin struct {
	Source string // "default", "file", "env" or "flag"
	Name   string // path, variable or flag
	Line   int    // in the file, from 1
}

// String returns the origin as readable text: "file /etc/holdfast/config.toml:12".
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
	File    string // path of the file; empty: none, or it has a value that could not be decoded
	origins map[string]Origin
	unread  map[string]bool // keys whose last value could not be decoded; Config has an earlier one
}

// Origin returns where the value of section.name came from.
func (l *Loaded) Origin(path string) Origin { return l.origins[path] }

// Load layers defaults, file, environment and flags, then validates. It returns one error
// with all problems, together with the configuration that it could load.
func Load(s Sources) (*Loaded, error) {
	l := &Loaded{Config: Default(), origins: map[string]Origin{}, unread: map[string]bool{}}
	var fileErr error
	if s.File != "" {
		var decoded bool
		if decoded, fileErr = l.readFile(s.File); !decoded {
			return l, fileErr
		}
	}
	wrongEnv, unknownEnv := l.readEnv(s.Env)
	wrongFlags, unknownFlags := l.readFlags(s.Flags)
	found := slices.Concat(wrongEnv, wrongFlags, l.applyPort(), l.checkFiles(), l.Config.Validate())
	return l, errors.Join(fileErr, unknownEnv, unknownFlags, l.WithOrigins(found))
}

// FileEnv is the environment variable that names the configuration file.
const FileEnv = "HOLDFAST_CONFIG"

// Find returns the file to load: the flag, $HOLDFAST_CONFIG, or the first that
// exists of /etc/holdfast/config.toml and $XDG_CONFIG_HOME/holdfast/config.toml
// (~/.config if unset). Empty: none.
func Find(flag string, getenv func(string) string) string {
	if flag != "" {
		return flag
	}
	if f := getenv(FileEnv); f != "" {
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

// readFile applies a file. decoded is false if nothing of it was applied.
func (l *Loaded) readFile(path string) (decoded bool, err error) {
	f, err := os.Open(path)
	if err != nil {
		return false, fmt.Errorf("%w: %w", ErrFile, err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxFileSize+1)) // a device or a pipe does not report its size
	if err != nil {
		return false, fmt.Errorf("%w: %w", ErrFile, err)
	}
	if len(data) > maxFileSize {
		return false, fmt.Errorf("%w: %s has more than %d bytes: is it the right file?", ErrFile, path, maxFileSize)
	}
	return l.parse(path, data)
}

// parse applies one TOML document to the configuration, without the values that cannot be
// decoded. It returns one error with all of them and all unknown keys. decoded is false if the
// document is not valid TOML, and nothing was applied. name is its path in errors and origins.
func (l *Loaded) parse(name string, data []byte) (decoded bool, err error) {
	var wrong []error
	for range len(keys) + 1 { // each key has at most one value
		c := l.Config
		err := toml.NewDecoder(bytes.NewReader(data)).DisallowUnknownFields().Decode(&c)
		var unknown *toml.StrictMissingError
		if err == nil || errors.As(err, &unknown) {
			l.apply(&c, name, data)
			if len(wrong) == 0 {
				l.File = name
			}
			return true, errors.Join(append(wrong, unknownKeys(name, unknown))...)
		}
		row, problem := fileError(name, data, err)
		wrong = append(wrong, problem)
		rest, removed := withoutValue(data, row)
		if !removed {
			break
		}
		l.setUnread(places(data), places(rest))
		data = rest
	}
	return false, errors.Join(wrong...)
}

// setUnread marks the keys that are not in a document any more after a value was removed. An
// inline table takes all keys of its section with it.
func (l *Loaded) setUnread(before, after map[string]place) {
	removed := func(path string) bool {
		_, was := before[path]
		_, is := after[path]
		return was && !is
	}
	for _, k := range keys {
		if removed(k.Path()) || removed(k.Section) {
			l.unread[k.Path()] = true
		}
	}
}

// apply takes over the configuration that a document gives.
func (l *Loaded) apply(c *Config, name string, data []byte) {
	l.Config = *c
	for path, at := range places(data) { // order-free: each path has its own origin
		l.origins[path] = Origin{Source: "file", Name: name, Line: at.line}
	}
}

// unknownKeys returns an error that names each unknown key with its line:
// "config.toml:12: netwrk.listen". err may be nil.
func unknownKeys(name string, err *toml.StrictMissingError) error {
	if err == nil {
		return nil
	}
	var all []error
	for i := range err.Errors {
		e := &err.Errors[i]
		row, _ := e.Position()
		path := strings.Join(e.Key(), ".")
		all = append(all, fmt.Errorf("%w: %s:%d: %s%s", ErrUnknownKey, name, row, path, suggest(path)))
	}
	return errors.Join(all...)
}

// fileError returns an error with the position before the message, and the line with a caret
// below it. row is that line, or 0 if it is not known.
func fileError(name string, data []byte, err error) (row int, _ error) {
	var bad *toml.DecodeError
	if errors.As(err, &bad) {
		row, column := bad.Position()
		text, excerpt := strings.TrimPrefix(bad.Error(), "toml: "), bad.String()
		if wanted := mistyped(data, row); wanted != "" { // instead of a message with Go type names
			text, excerpt = wanted, strings.ReplaceAll(excerpt, text, wanted)
		}
		return row, fmt.Errorf("%w: %s:%d:%d: %s\n%s", ErrFile, name, row, column, text, excerpt)
	}
	// The decoder gives no position for a number in place of a duration.
	found := places(data)
	for _, k := range keys {
		if at := found[k.Path()]; at.text != "" {
			c := Default()
			if bad := k.set(&c, at.text); bad != nil {
				return at.line, fmt.Errorf("%w: %s:%d: %s: %w", ErrFile, name, at.line, k.Path(), bad)
			}
		}
	}
	return 0, fmt.Errorf("%w: %s: %w", ErrFile, name, err)
}

// mistyped finds the value of the wrong type on a line up to that of the decoder's error,
// and returns what its key takes. It returns "" if there is none.
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

// readEnv applies the environment. It returns the invalid values, and an error with all
// unknown keys.
func (l *Loaded) readEnv(env []string) (wrong Violations, unknown error) {
	var all []error
	for _, e := range slices.Sorted(slices.Values(env)) {
		name, value, _ := strings.Cut(e, "=")
		if !strings.HasPrefix(name, envPrefix) {
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
			path := strings.ToLower(strings.Replace(strings.TrimPrefix(name, envPrefix), "__", ".", 1))
			all = append(all, fmt.Errorf("%w: environment variable %s%s", ErrUnknownKey, name, suggest(path)))
			continue
		}
		wrong = append(wrong, l.set(k, value, Origin{Source: "env", Name: name})...)
	}
	return wrong, errors.Join(all...)
}

// readFlags applies the flags. It returns the same as readEnv.
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
			l.origins[f.Key], l.unread[f.Key] = origin, false
		default:
			wrong = append(wrong, l.set(k, f.Value, origin)...)
		}
	}
	return wrong, errors.Join(all...)
}

// set parses text into a key, or returns why it cannot.
func (l *Loaded) set(k Key, text string, from Origin) Violations {
	err := k.set(&l.Config, text)
	l.origins[k.Path()], l.unread[k.Path()] = from, err != nil
	if err != nil {
		v := err.Violation(k.Path(), "is")
		v.Origin = from
		return Violations{v}
	}
	return nil
}
