package disktest

import (
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestFull(t *testing.T) {
	f := &Full{Space: 5}
	for _, c := range []struct {
		text  string
		wrote int
		err   error
	}{
		{"abc", 3, nil}, {"", 0, nil}, {"def", 2, syscall.ENOSPC}, {"g", 0, syscall.ENOSPC}, {"", 0, nil},
	} {
		n, err := f.Write([]byte(c.text))
		require.Equal(t, c.wrote, n, c.text)
		require.Equal(t, c.err, err, c.text)
	}
}
