package main

import (
	"errors"
	"fmt"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"github.com/stretchr/testify/require"

	"github.com/holdfast-dht/holdfast/internal/api"
	"github.com/holdfast-dht/holdfast/internal/promisetest"
)

// promisedCommands returns every command, every flag with its type, and the exit codes.
// Hidden flags count: a deprecated one still works.
func promisedCommands() (all []string) {
	root := (&app{}).root()
	add := func(path string, flags *pflag.FlagSet) {
		flags.VisitAll(func(f *pflag.Flag) {
			all = append(all, fmt.Sprintf("%s --%s %s", path, f.Name, f.Value.Type()))
			if f.Shorthand != "" {
				all = append(all, fmt.Sprintf("%s -%s is --%s", path, f.Shorthand, f.Name))
			}
			if f.Annotations[cobra.BashCompOneRequiredFlag] != nil {
				all = append(all, fmt.Sprintf("%s needs --%s", path, f.Name))
			}
		})
	}
	add("holdfast", root.PersistentFlags())
	for _, cmd := range shown(root) {
		all = append(all, cmd.CommandPath())
		add(cmd.CommandPath(), cmd.LocalNonPersistentFlags())
	}
	return append(all, promisedCodes()...)
}

// promisedCodes returns the exit code of each kind of error, as the program maps it.
func promisedCodes() (all []string) {
	a := &app{cmd: &cobra.Command{}}
	for name, err := range map[string]error{
		"failed": errors.New("x"), "usage": usageError{errors.New("x")}, "not found": api.ErrNotFound, "no daemon": api.ErrNoDaemon, "interrupted": errInterrupted,
	} {
		all = append(all, fmt.Sprintf("exit code %d: %s", a.exitCode(err), name))
	}
	return all
}

// A changed line of the list breaks the scripts of a user.
func TestPromisedCommands(t *testing.T) {
	promisetest.Check(t, "testdata/commands.txt", promisedCommands())
}

// promisedFields returns the fields of a type with what JSON makes of them, and those below
// them: "verdict.causes[].word text".
func promisedFields(prefix string, typ reflect.Type) (all []string) {
	for i := range typ.NumField() {
		f := typ.Field(i)
		if embedded(f) {
			all = append(all, promisedFields(prefix, f.Type)...)
			continue
		}
		if jsonName(f) == "-" {
			continue
		}
		suffix, inner := elements(f.Type)
		name := prefix + jsonName(f) + suffix
		if inner.Kind() == reflect.Struct && inner != reflect.TypeFor[time.Time]() {
			all = append(all, promisedFields(name+".", inner)...)
		} else {
			all = append(all, name+" "+jsonType(inner))
		}
	}
	return all
}

// elements returns the type of the elements of lists and objects, with [] for each list and
// {} for each object.
func elements(typ reflect.Type) (suffix string, inner reflect.Type) {
	switch {
	case typ == reflect.TypeFor[[]byte]():
		return "", typ
	case typ.Kind() == reflect.Slice:
		suffix, inner = elements(typ.Elem())
		return "[]" + suffix, inner
	case typ.Kind() == reflect.Map:
		suffix, inner = elements(typ.Elem())
		return "{}" + suffix, inner
	case typ.Kind() == reflect.Pointer:
		return elements(typ.Elem())
	}
	return "", typ
}

// printedType returns the type of a value that was read from JSON, in the words of jsonType.
func printedType(v any) string {
	switch v.(type) {
	case string:
		return "text"
	case bool:
		return "true or false"
	case float64:
		return "number"
	case []any:
		return "list"
	}
	return "any"
}

// promisedJSON returns the fields that each command prints with --json, those of
// /status.json and those of errors. The fields of a type come from the type; the others come
// from what the commands print, or without a type from the table of answers.
func promisedJSON(t *testing.T) (all []string) {
	printed := printedObjects(t)
	for path, a := range answers {
		if a.lines {
			all = append(all, path+": one object a line")
		}
		for _, name := range strings.Fields(a.fields) {
			if v, ok := printed[path][name]; ok {
				name += " " + printedType(v)
			}
			all = append(all, path+": "+name)
		}
		for _, of := range a.of {
			all = append(all, promisedFields(path+": ", reflect.TypeOf(of))...)
		}
	}
	all = append(all, promisedFields("/status.json: ", reflect.TypeFor[api.Overview]())...)
	all = append(all, promisedFields("errors: ", reflect.TypeFor[failure]())...)
	for _, word := range append([]string{"usage", "interrupted", "failed"}, daemonReasons...) {
		all = append(all, "errors: reason is "+word)
	}
	return all
}

// A changed line of the list breaks a program that reads the output.
func TestPromisedJSON(t *testing.T) {
	list, err := filepath.Abs("testdata/json.txt") // the commands run in a directory of their own
	require.NoError(t, err)
	promisetest.Check(t, list, promisedJSON(t))
}
