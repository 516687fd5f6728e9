package main

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// If the disk fills up while get --output writes, the error says so. Only Linux has
// /dev/full.
func TestGetOutputOnAFullDisk(t *testing.T) {
	b := content()
	b.value.Value = []byte("value")
	code, stdout, stderr := shellWith(t, b).run("get k --output /dev/full")
	require.Equal(t, exitFailed, code)
	require.Empty(t, stdout)
	require.Equal(t, "holdfast: write the value: write /dev/full: no space left on device\n", stderr)
}

// Linux refuses connections to a file or a directory. Other systems say that it is no socket.
func TestReasonOfNoSocket(t *testing.T) {
	s := shellWith(t, nil)
	for _, at := range []string{"keys", "."} {
		code, _, stderr := s.runIn(t.Context(), "status", "--api", at)
		require.Equal(t, exitNoDaemon, code, at)
		require.Contains(t, stderr, "connection refused", at)
	}
}
