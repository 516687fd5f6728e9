package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"github.com/stretchr/testify/require"

	"github.com/holdfast-dht/holdfast/internal/config"
)

// goProse matches the error texts of Go's own packages, pflag and cobra.
var goProse = regexp.MustCompile(`strconv|time: |invalid syntax|invalid argument|parse error|bare "|arg\(s\)|unmarshal|%!`)

// anyText are the flags that accept any text, such as paths.
var anyText = map[string]bool{
	"config": true, "data-dir": true, "api": true, "addr-file": true, "dir": true, "file": true,
	"html": true, "identity": true, "output": true, "replay": true, "svg": true, "trace": true,
}

// badValue is a bad value for all other flags: not a number, a duration, an address, a
// name or a list.
const badValue = `/oo ps"`

// words are valid arguments, by their name in the usage of a command.
var words = map[string]string{
	"KEY": "hex:00", "VALUE": "v", "FILE": "f", "DIR": "d", "ID": "1",
	"PEERID": "12D3KooWEyoppNCUx8Yx66oV9fJnriXwCcXwDDUA2kj6vnc6iDEp",
}

// runIn runs a command line isolated from the files and the environment of this machine.
func runIn(t *testing.T, args ...string) (code int, stderr string) {
	t.Helper()
	dir := t.TempDir()
	t.Chdir(dir)
	env := map[string]string{"HOME": filepath.Join(dir, "home")}
	var out, errs bytes.Buffer
	a := &app{in: strings.NewReader(""), out: &out, errs: &errs, getenv: func(name string) string { return env[name] }}
	code = a.run(context.Background(), args)
	return code, errs.String()
}

// eachCommand calls f with every command, hidden ones included.
func eachCommand(cmd *cobra.Command, f func(*cobra.Command)) {
	f(cmd)
	for _, c := range cmd.Commands() {
		eachCommand(c, f)
	}
}

// line is a command line of a command, with valid arguments.
func line(cmd *cobra.Command) []string {
	args := strings.Fields(cmd.CommandPath())[1:]
	for _, word := range strings.Fields(cmd.Use)[1:] {
		if word == "|" {
			break
		}
		if fit, ok := words[strings.TrimSuffix(word, "...")]; ok {
			args = append(args, fit)
		}
	}
	return args
}

// A bad value of any flag of any command is a usage error with our own text.
func TestEveryFlagRefusesABadValue(t *testing.T) {
	eachCommand((&app{}).root(), func(cmd *cobra.Command) {
		if !cmd.Runnable() || cmd.HasSubCommands() {
			return
		}
		cmd.InheritedFlags() // adds them
		cmd.Flags().VisitAll(func(f *pflag.Flag) {
			if anyText[f.Name] {
				return
			}
			args := append(line(cmd), "--"+f.Name+"="+badValue)
			t.Run(strings.Join(args, " "), func(t *testing.T) {
				code, stderr := runIn(t, args...)
				require.Equal(t, exitUsage, code, stderr)
				require.NotRegexp(t, goProse, stderr)
				require.Contains(t, stderr, "See `holdfast")
			})
		})
	})
}

// A duration that is too long is not called something else.
func TestTooLongDuration(t *testing.T) {
	eachCommand((&app{}).root(), func(cmd *cobra.Command) {
		cmd.Flags().VisitAll(func(f *pflag.Flag) {
			if f.Value.Type() != "duration" || !cmd.Runnable() {
				return
			}
			code, stderr := runIn(t, append(line(cmd), "--"+f.Name+"=2562048h")...)
			require.Equal(t, exitUsage, code, stderr)
			require.Contains(t, stderr, "--"+f.Name+` "2562048h" is too long: the longest duration is `+config.LongestDuration)
			require.NoError(t, f.Value.Set(config.LongestDuration))
			require.Error(t, f.Value.Set("2562048h"))
		})
	})
}

// A command that only groups others gives a usage error on its own, and suggests the
// subcommand that was meant.
func TestGroups(t *testing.T) {
	groups := 0
	eachCommand((&app{}).root(), func(cmd *cobra.Command) {
		if !cmd.HasSubCommands() || !cmd.HasParent() {
			return
		}
		groups++
		args := strings.Fields(cmd.CommandPath())[1:]
		code, stderr := runIn(t, args...)
		require.Equal(t, exitUsage, code, args)
		require.Contains(t, stderr, "needs one of: ")
		name := cmd.Commands()[0].Name()
		code, stderr = runIn(t, append(args, name+"x")...)
		require.Equal(t, exitUsage, code, args)
		require.Contains(t, stderr, `unknown command "`+name+`x" for`)
		require.Contains(t, stderr, "did you mean "+name)
	})
	require.Equal(t, 8, groups)
}

// Every command with a fixed number of arguments names an extra argument in its error.
func TestUnexpectedArgument(t *testing.T) {
	eachCommand((&app{}).root(), func(cmd *cobra.Command) {
		if !cmd.Runnable() || cmd.HasSubCommands() || cmd.Name() == "provide" || cmd.Name() == "unprovide" || cmd.Name() == "help" {
			return
		}
		args := append(strings.Fields(cmd.CommandPath())[1:], "a", "b", "c")
		code, stderr := runIn(t, args...)
		require.Equal(t, exitUsage, code, "%v: %s", args, stderr)
		require.Regexp(t, `^holdfast: unexpected argument "[abc]": `+"`"+cmd.CommandPath()+"` takes ", stderr)
	})
}

func TestUnknownCommand(t *testing.T) {
	for _, c := range []struct{ args, says string }{
		{"statsu", "unknown command \"statsu\" for `holdfast`; did you mean status?"},
		{"explain gte", "unknown command \"gte\" for `holdfast explain`; did you mean get?"},
		{"help explain gte", "unknown command \"gte\" for `holdfast explain`; did you mean get?"},
		{"help statsu", "did you mean status?"},
		{"quux", "unknown command \"quux\" for `holdfast`\n"},
	} {
		code, stderr := runIn(t, strings.Fields(c.args)...)
		require.Equal(t, exitUsage, code, c.args)
		require.Contains(t, stderr, c.says)
	}
}

// With --json, an error is one JSON object, wherever the flag is.
func TestErrorsAsJSON(t *testing.T) {
	for _, c := range []struct {
		args string
		want failure
	}{
		{"--json statsu", failure{"unknown command \"statsu\" for `holdfast`; did you mean status?", exitUsage, "usage"}},
		{"status --bogus --json", failure{"unknown flag: --bogus", exitUsage, "usage"}},
		{"status --json --data-dir none", failure{Code: exitNoDaemon, Reason: "no_daemon"}},
		{"check --json --data-dir none", failure{Code: exitFailed, Reason: "failed"}},
	} {
		code, stderr := runIn(t, strings.Fields(c.args)...)
		var have failure
		require.NoError(t, json.Unmarshal([]byte(stderr), &have), stderr)
		require.NotEmpty(t, have.Error)
		if c.want.Error == "" {
			c.want.Error = have.Error
		}
		require.Equal(t, c.want, have)
		require.Equal(t, c.want.Code, code)
		require.Equal(t, 1, strings.Count(stderr, "\n"))
	}
}

// The advice of a command when no daemon answers names only flags that the command has.
func TestAdviceFits(t *testing.T) {
	for args, says := range map[string]string{
		"get k":         "; start one with `holdfast serve`, name its socket with --api or --data-dir, or use --bootstrap ADDR\n",
		"status":        "; start one with `holdfast serve`, or name its socket with --api or --data-dir\n",
		"backup f":      "; start one with `holdfast serve`, or name its socket with --api or --data-dir\n",
		"log level":     "; start one with `holdfast serve`, or name its socket with --api or --data-dir\n",
		"debug bundle":  "; start one with `holdfast serve`, or name its socket with --api or --data-dir\n",
		"health":        "--data-dir\n",
		"unprovide k":   "; start one with `holdfast serve`, or name its socket with --api or --data-dir\n",
		"explain get k": "or use --bootstrap ADDR\n",
	} {
		code, stderr := runIn(t, append(strings.Fields(args), "--data-dir", "none")...)
		require.Equal(t, exitNoDaemon, code, stderr)
		require.True(t, strings.HasSuffix(stderr, says), "%s: %s", args, stderr)
	}
}

// Flags that a command does not need are accepted as before, and not shown in its help.
func TestIdleFlags(t *testing.T) {
	code, stderr := runIn(t, "status", "--data-dir", "none", "--namespace", "example", "--raw-keys")
	require.Equal(t, exitNoDaemon, code)
	require.Contains(t, stderr, "holdfast: --namespace is not for `holdfast status`; a later version will refuse it\n")
	require.Contains(t, stderr, "holdfast: --raw-keys is not for `holdfast status`;")
	for _, c := range []struct {
		args         string
		shown, idles []string
	}{
		{"status", []string{"api", "timeout"}, []string{"bootstrap", "protocol-prefix", "namespace", "raw-keys", "verbose"}},
		{"closest", []string{"bootstrap", "protocol-prefix", "verbose"}, []string{"namespace", "raw-keys"}},
		{"get", []string{"bootstrap", "protocol-prefix", "verbose", "namespace", "raw-keys"}, nil},
	} {
		cmd, _, err := (&app{}).root().Find(strings.Fields(c.args))
		require.NoError(t, err)
		usage := cmd.UsageString()
		for _, name := range c.shown {
			require.Contains(t, usage, "--"+name, c.args)
		}
		for _, name := range c.idles {
			require.NotContains(t, usage, "--"+name, c.args)
			require.NotNil(t, cmd.Flags().Lookup(name), c.args)
		}
	}
}

// A command that is interrupted while the daemon does not answer exits with 130.
func TestInterrupted(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", socket)
	require.NoError(t, err)
	defer l.Close()
	for _, args := range []string{"provide k", "provide --file keys", "put k v", "get k", "find-providers k", "closest k", "status", "republish now", "backup b", "top"} {
		dir := t.TempDir()
		t.Chdir(dir)
		require.NoError(t, os.WriteFile("keys", []byte("one\ntwo\n"), 0o600))
		ctx, cancel := context.WithCancel(t.Context())
		go func() {
			c, err := l.Accept()
			if err == nil {
				defer c.Close()
				_, _ = c.Read(make([]byte, 1))
				cancel()
				_, _ = io.Copy(io.Discard, c) // until the command closes it
			}
		}()
		var out, errs bytes.Buffer
		a := &app{in: strings.NewReader(""), out: &out, errs: &errs, getenv: func(string) string { return dir }}
		code := a.run(ctx, append(strings.Fields(args), "--api", socket))
		require.Equal(t, exitInterrupted, code, "%s: %s", args, errs.String())
		require.Contains(t, errs.String(), "holdfast: interrupted\n")
		if args == "provide --file keys" {
			require.Contains(t, errs.String(), "holdfast: the daemon did not confirm that it stored the keys; `holdfast unprovide --file keys` unprovides them\n")
		}
		cancel()
	}
}
