package main

import (
	"errors"

	"github.com/spf13/cobra"

	"github.com/holdfast-dht/holdfast/internal/config"
	"github.com/holdfast-dht/holdfast/internal/daemon"
)

func newConfig(a *app) *cobra.Command {
	cmd := group(&cobra.Command{
		Use:   "config",
		Short: "Show and check the configuration",
		Example: `  holdfast config default > /etc/holdfast/config.toml
  holdfast config print --origin`,
	})
	cmd.AddCommand(newConfigPrint(a), newConfigDefault(a), newConfigValidate(a))
	return cmd
}

// configPrintCommand is `holdfast config print`.
type configPrintCommand struct {
	*app
	origin bool
}

func newConfigPrint(a *app) *cobra.Command {
	c := &configPrintCommand{app: a}
	cmd := &cobra.Command{
		Use:     "print",
		Short:   "Print the configuration in effect",
		Long:    `Print the configuration in effect: defaults, file, environment and flags together.`,
		Example: `  HOLDFAST_NETWORK__MODE=client holdfast config print --origin`,
		Args:    exactly(),
		RunE:    c.run,
	}
	cmd.Flags().BoolVar(&c.origin, "origin", false, "show where each value comes from")
	return cmd
}

func (c *configPrintCommand) run(*cobra.Command, []string) error {
	loaded, err := c.checked()
	if err != nil {
		return err
	}
	if c.json {
		return c.printKeys(loaded)
	}
	return c.printf("%s", loaded.Print(c.origin))
}

func newConfigDefault(a *app) *cobra.Command {
	return &cobra.Command{
		Use:     "default",
		Short:   "Print every key with its default and meaning",
		Example: `  holdfast config default`,
		Args:    exactly(),
		RunE: func(*cobra.Command, []string) error {
			if a.json {
				return a.printKeys(&config.Loaded{Config: config.Default()})
			}
			return a.printf("%s", config.Render())
		},
	}
}

// configValidateCommand is `holdfast config validate`.
type configValidateCommand struct{ *app }

func newConfigValidate(a *app) *cobra.Command {
	c := &configValidateCommand{app: a}
	return &cobra.Command{
		Use:   "validate [FILE]",
		Short: "Check the configuration and report all errors",
		Long: `Check the configuration and report all errors: those of the file, of the environment and
of the flags. An error in the syntax of the file is reported without the others.`,
		Example: `  holdfast config validate /etc/holdfast/config.toml`,
		Args:    atMost("[FILE]"),
		RunE:    c.run,
	}
}

func (c *configValidateCommand) run(_ *cobra.Command, args []string) error {
	if len(args) == 1 {
		c.config = args[0]
	}
	loaded, err := c.checked()
	if err != nil {
		return err
	}
	if c.json {
		return c.printJSON(map[string]any{"valid": true, "file": loaded.File})
	}
	if loaded.File == "" {
		return c.printf("The configuration is valid (no file; defaults and environment)\n")
	}
	return c.printf("%s is valid\n", loaded.File)
}

// checked loads the configuration with all checks of serve.
func (a *app) checked(settings ...config.Setting) (*config.Loaded, error) {
	loaded, err := a.load(settings...)
	err = errors.Join(err, loaded.WithOrigins(daemon.Check(&loaded.Config)))
	if fromFlags(err) {
		err = usageError{err}
	}
	return loaded, err
}

// printKeys prints one key per line as JSON.
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
