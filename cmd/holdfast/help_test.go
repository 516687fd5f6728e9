package main

import (
	"testing"
	"time"

	"github.com/spf13/cobra"
	"github.com/stretchr/testify/require"

	"github.com/holdfast-dht/holdfast/internal/config"
)

// Every command has a description and an example.
func TestEveryCommandHasAnExample(t *testing.T) {
	var check func(cmd *cobra.Command)
	check = func(cmd *cobra.Command) {
		require.NotEmpty(t, cmd.Short, cmd.CommandPath())
		require.NotEmpty(t, cmd.Example, cmd.CommandPath())
		for _, c := range cmd.Commands() {
			check(c)
		}
	}
	check((&app{}).root())
}

// The help lists every command in a group.
func TestEveryCommandHasAGroup(t *testing.T) {
	root := (&app{}).root()
	for _, cmd := range root.Commands() {
		require.True(t, root.ContainsGroup(cmd.GroupID) && cmd.GroupID != "", cmd.Name())
	}
	require.NotContains(t, root.UsageString(), "Additional Commands")
}

// holdfast.toml(5) describes every key, and none of its text is parsed as a roff request.
func TestConfigManual(t *testing.T) {
	page := configManual(time.Unix(0, 0).UTC())
	for _, k := range config.Keys() {
		require.Contains(t, page, ".TP\n\\fB"+roff(k.Name)+"\\fP = ", k.Path())
		require.Contains(t, page, "\n"+roff(k.Doc)+"\n", k.Path())
		require.Contains(t, page, k.Env(), k.Path())
		require.Contains(t, page, roff(k.Example), k.Path())
	}
	require.Equal(t, `\&.x \e \-\-y`, roff(`.x \ --y`))
}
