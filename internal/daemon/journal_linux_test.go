package daemon

import (
	"bytes"
	"fmt"
	"os"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestOnJournal(t *testing.T) {
	f, err := os.CreateTemp(t.TempDir(), "")
	require.NoError(t, err)
	defer f.Close()
	info, err := f.Stat()
	require.NoError(t, err)
	stat := info.Sys().(*syscall.Stat_t)
	require.True(t, onJournal(f, fmt.Sprintf("%d:%d", stat.Dev, stat.Ino)))
	require.False(t, onJournal(f, fmt.Sprintf("%d:%d", stat.Dev, stat.Ino+1)))
	require.False(t, onJournal(f, ""))
	require.False(t, onJournal(&bytes.Buffer{}, "1:2"))
}
