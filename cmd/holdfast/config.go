package main

import (
	"errors"

	"github.com/spf13/cobra"

	"github.com/holdfast-dht/holdfast/pkg/config"
	"github.com/holdfast-dht/holdfast/pkg/daemon"
)

func (a *app) configCommand() *cobra.Command {
	cmd := group(&cobra.Command{
		Use:   "config",
		Short: "Show and check the configuration",
		Example: `  holdfast config default > /etc/holdfast/config.toml
  holdfast config print --origin`,
	})
	var origin bool
	print := &cobra.Command{
		Use:     "print",
		Short:   "Print the configuration in effect",
		Long:    `Print the configuration in effect: defaults, file, environment and flags together.`,
		Example: `  HOLDFAST_NETWORK__MODE=client holdfast config print --origin`,
		Args:    exactly(),
		RunE:    func(*cobra.Command, []string) error { return a.printConfig(origin) },
	}
	print.Flags().BoolVar(&origin, "origin", false, "say where each value comes from")
	cmd.AddCommand(print,
		&cobra.Command{
			Use:     "default",
			Short:   "Print every key with its default and meaning",
			Example: `  holdfast config default`,
			Args:    exactly(),
			RunE: func(*cobra.Command, []string) error {
				if a.json {
					c := config.Default()
					return a.printKeys(&config.Loaded{Config: c})
				}
				return a.printf("%s", config.Render())
			},
		},
		&cobra.Command{
			Use:     "validate [FILE]",
			Short:   "Check the configuration and report everything that is wrong",
			Example: `  holdfast config validate /etc/holdfast/config.toml`,
			Args:    atMost("[FILE]"),
			RunE:    func(_ *cobra.Command, args []string) error { return a.validateConfig(args) },
		})
	return cmd
}

// checked loads the configuration with every check that serve makes.
func (a *app) checked(settings ...config.Setting) (*config.Loaded, error) {
	loaded, err := a.load(settings...)
	err = errors.Join(err, loaded.WithOrigins(daemon.Check(&loaded.Config)))
	if fromFlags(loaded, err) {
		err = usageError{err}
	}
	return loaded, err
}

func (a *app) validateConfig(args []string) error {
	if len(args) == 1 {
		a.config = args[0]
	}
	loaded, err := a.checked()
	if err != nil {
		return err
	}
	if a.json {
		return a.printJSON(map[string]any{"valid": true, "file": loaded.File})
	}
	if loaded.File == "" {
		return a.printf("The configuration is valid (no file; defaults and environment)\n")
	}
	return a.printf("%s is valid\n", loaded.File)
}

func (a *app) printConfig(origin bool) error {
	loaded, err := a.checked()
	if err != nil {
		return err
	}
	if a.json {
		return a.printKeys(loaded)
	}
	return a.printf("%s", loaded.Print(origin))
}

// printKeys prints one key a line as JSON.
func (a *app) printKeys(l *config.Loaded) error {
	for _, k := range config.Keys() {
		err := a.printJSON(struct {
			Key     string `json:"key"`
			Value   any    `json:"value"`
			Origin  string `json:"origin"`
			Unit    string `json:"unit"`
			Reloads bool   `json:"reloads"`
			Env     string `json:"env"`
		}{k.Path(), k.Raw(&l.Config), l.Origin(k.Path()).String(), k.Unit, k.Reload, k.Env()})
		if err != nil {
			return err
		}
	}
	return nil
}
