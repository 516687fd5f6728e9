package floors

import (
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// instances maps what the units of the only node on a machine say to what those of an
// instance say.
var instances = strings.NewReplacer(
	"/etc/holdfast/environment", "/etc/holdfast/%i.environment",
	"/var/lib/holdfast", "/var/lib/holdfast-%i",
	"/var/backups/holdfast", "/var/backups/holdfast-%i",
	"StateDirectory=holdfast", "StateDirectory=holdfast-%i",
	"RuntimeDirectory=holdfast", "RuntimeDirectory=holdfast-%i",
	":holdfast.identity.key", ":holdfast-%i.identity.key",
	"holdfast serve", "holdfast serve --config /etc/holdfast/%i.toml",
	"holdfast backup", "holdfast backup --config /etc/holdfast/%i.toml",
	"holdfast config validate", "holdfast config validate --config /etc/holdfast/%i.toml",
	"holdfast id)", "holdfast id --config /etc/holdfast/%i.toml)",
	"After=holdfast.service", "After=holdfast@%i.service",
	"After=network-online.target", "After=network-online.target\nAssertPathExists=/etc/holdfast/%i.toml",
	"libp2p networks", "libp2p networks (%i)",
	"Holdfast node", "Holdfast node %i",
)

// directives returns a unit without its comments and empty lines.
func directives(t *testing.T, name string) string {
	text, err := os.ReadFile("../../deploy/systemd/" + name)
	require.NoError(t, err)
	var kept []string
	for line := range strings.Lines(string(text)) {
		if line != "\n" && !strings.HasPrefix(line, "#") {
			kept = append(kept, line)
		}
	}
	return strings.Join(kept, "")
}

// The unit of an instance has the sandbox, the limits and the timeouts of the unit of the
// only node on a machine.
func TestUnitsOfInstances(t *testing.T) {
	for _, name := range []string{"holdfast.service", "holdfast-backup.service", "holdfast-backup.timer"} {
		base, kind, _ := strings.Cut(name, ".")
		require.Equal(t, instances.Replace(directives(t, name)), directives(t, base+"@."+kind), name)
	}
}
