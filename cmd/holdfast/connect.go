package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"github.com/spf13/cobra"

	"github.com/holdfast-dht/holdfast/internal/api"
	"github.com/holdfast-dht/holdfast/internal/config"
	"github.com/holdfast-dht/holdfast/internal/daemon"
)

// load reads the configuration. settings are those of the command's own flags.
func (a *app) load(settings ...config.Setting) (*config.Loaded, error) {
	loaded, err := config.Load(a.sources(settings...))
	if a.verbose {
		loaded.Config.Log.Level += ",rpc=debug"
	}
	if a.config != "" && errors.Is(err, fs.ErrNotExist) || fromFlags(err) {
		err = usageError{err}
	}
	return loaded, err
}

// fromFlags reports whether a flag caused one of the violations.
func fromFlags(err error) bool {
	var found config.Violations
	if !errors.As(err, &found) {
		return false
	}
	return slices.ContainsFunc(found, func(v config.Violation) bool { return v.Origin.Source == "flag" })
}

func (a *app) sources(settings ...config.Setting) config.Sources {
	add := func(value, key, flag string) {
		if value != "" {
			settings = append(settings, config.Setting{Key: key, Value: value, Flag: flag})
		}
	}
	add(a.dataDir, "storage.path", "--data-dir")
	add(a.socket, "api.socket", "--api")
	add(a.prefix, "network.protocol_prefix", "--protocol-prefix")
	if len(a.bootstrap) > 0 {
		settings = append(settings, config.Setting{Key: "network.bootstrap", List: a.bootstrap, Flag: "--bootstrap"})
	}
	if len(a.namespace) > 0 {
		settings = append(settings, config.Setting{Key: "values.unvalidated_namespaces", List: a.namespace, Flag: "--namespace"})
	}
	if a.rawKeys {
		add("true", "values.raw_keys", "--raw-keys")
	}
	return config.Sources{File: config.Find(a.config, a.getenv), Env: a.environ, Flags: settings}
}

// newLogs returns the logs of this process, on stderr.
func (a *app) newLogs(c *config.Config) (*daemon.Logs, error) {
	format := c.Log.Format
	if format == "auto" {
		format = "json"
		if isTerminal(a.errs) {
			format = "text"
		}
	}
	logs, err := daemon.NewLogs(a.errs, format, c.Log.Level)
	if err != nil {
		return nil, err
	}
	logs.CaptureLibraries()
	return logs, nil
}

// with returns the RunE of a command that only asks the node.
func (a *app) with(run func(ctx context.Context, b api.Backend, args []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		return a.ask(cmd.Context(), func(ctx context.Context, b api.Backend) error { return run(ctx, b, args) })
	}
}

// ask runs work with a node: a short-lived node if the command line has bootstrap
// addresses, otherwise the daemon. --timeout bounds it.
func (a *app) ask(ctx context.Context, work func(ctx context.Context, b api.Backend) error) error {
	if a.timeout < 0 {
		return usagef("--timeout is %s; it is 0 or more", a.timeout)
	}
	if a.timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, a.timeout, errGaveUp)
		defer cancel()
	}
	b, closeBackend, err := a.backend(ctx)
	if err != nil {
		return a.gaveUp(ctx, err)
	}
	defer closeBackend()
	return a.gaveUp(ctx, work(ctx, b))
}

// errGaveUp is the cause of a context that --timeout has ended. It wraps DeadlineExceeded
// and differs from it, so that it can be recognised also where code returns the cause of
// a context instead of its error.
var errGaveUp = fmt.Errorf("%w", context.DeadlineExceeded)

// gaveUp returns an error that says that --timeout ended the command, if it did, and what
// the command was doing, if known.
func (a *app) gaveUp(ctx context.Context, err error) error {
	switch {
	case !errors.Is(err, context.DeadlineExceeded) || !errors.Is(context.Cause(ctx), errGaveUp):
		return err
	case err == context.DeadlineExceeded: //nolint:errorlint // the question is whether something wraps it
		return fmt.Errorf("gave up after %s (--timeout)", a.timeout)
	}
	return fmt.Errorf("gave up after %s (--timeout): %w", a.timeout, err)
}

// finder finds the node that the command is for.
func (a *app) finder(l *config.Loaded) daemon.Finder {
	return daemon.Finder{Config: &l.Config, File: a.sources().File, Getenv: a.getenv, Root: a.systemRoot}
}

// loadWithoutFile loads the configuration without its file, for commands that ask a daemon
// while its file is broken: they need only the socket. partial is what could be loaded of
// the file. The error stays if the file is not the cause, if there is no file, or if only
// its unreadable content can say where the node is: the command must not ask another node.
func (a *app) loadWithoutFile(partial *config.Loaded, broken error) (*config.Loaded, error) {
	s := a.sources()
	if s.File == "" || errors.Is(broken, fs.ErrNotExist) {
		return nil, broken
	}
	s.File = ""
	loaded, err := config.Load(s)
	if err != nil {
		return nil, broken
	}
	before := loaded.Config
	loaded.Config.API.Socket = cmp.Or(before.API.Socket, partial.Config.API.Socket)
	loaded.Config.Storage.Path = cmp.Or(before.Storage.Path, partial.Config.Storage.Path)
	if partial.File == "" && a.finder(loaded).Elsewhere() {
		return nil, broken
	}
	without := "without the configuration file"
	if loaded.Config.API.Socket != before.API.Socket || loaded.Config.Storage.Path != before.Storage.Path {
		without = "with only storage.path and api.socket of the configuration file"
	}
	fmt.Fprintf(a.errs, "holdfast: continuing %s: %s\n", without, message(broken))
	return loaded, nil
}

// advice returns what to do when no daemon answers at socket.
func (a *app) advice(f daemon.Finder, socket string) string {
	if daemon.Denied(socket) {
		return "; only root and its group may use it: `usermod -aG holdfast USER` adds a user to the group holdfast from the next login, or use sudo"
	}
	if unit := f.Unit(); unit != "" {
		return fmt.Sprintf("; `systemctl status %s` shows why, `systemctl start %[1]s` starts it", unit)
	}
	text := "; start one with `holdfast serve`"
	has := func(name string) bool {
		f := a.cmd.Flags().Lookup(name)
		return f != nil && !f.Hidden
	}
	named := "--data-dir"
	if has("api") {
		named = "--api or --data-dir"
	}
	if has("bootstrap") {
		return text + ", name its socket with " + named + ", or use --bootstrap ADDR"
	}
	return text + ", or name its socket with " + named
}

// backend returns the node to ask, and a function that releases it.
func (a *app) backend(ctx context.Context) (api.Backend, func(), error) {
	if len(a.bootstrap) > 0 {
		if _, err := daemon.ParseBootstrap(a.bootstrap); err != nil {
			return nil, nil, usageError{err}
		}
	}
	loaded, err := a.load()
	if err != nil && !a.alone() {
		loaded, err = a.loadWithoutFile(loaded, err)
	}
	if err != nil {
		return nil, nil, err
	}
	if !a.alone() {
		f := a.finder(loaded)
		socket, err := f.Socket()
		if err != nil {
			return nil, nil, err
		}
		c := api.NewClient(socket)
		c.Advice = a.advice(f, socket)
		return c, c.Close, nil
	}
	// A short-lived node logs little, because the result or the error says what matters.
	if loaded.Origin("log.level").Source == "" && !a.verbose {
		loaded.Config.Log.Level = "warn,libp2p=error"
	}
	logs, err := a.newLogs(&loaded.Config)
	if err != nil {
		return nil, nil, err
	}
	c, err := daemon.StartClient(ctx, loaded.Config, a.bootstrap, logs)
	if err != nil {
		return nil, nil, err
	}
	return c, func() { _ = c.Close() }, nil // the connection was for this command only
}
