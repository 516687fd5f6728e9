package floors

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"
)

// packedConfig is the configuration file that the deb and the rpm install.
const packedConfig = "# Settings of the node that differ from the defaults. `holdfast config default` and\n" +
	"# /usr/share/doc/holdfast/config.toml have all settings with their meaning.\n" +
	"config_version = 1\n"

// A package installs the same configuration file in every version. If it changed, dpkg would
// ask an operator who edited the file which of both to keep, and an unattended upgrade would
// stop at the question.
func TestPackedConfigurationNeverChanges(t *testing.T) {
	have, err := os.ReadFile("../../deploy/release/config.toml")
	require.NoError(t, err)
	require.Equal(t, packedConfig, string(have))
}
