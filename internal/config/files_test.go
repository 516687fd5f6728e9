package config

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// A relative path in the file is an error. In the environment and in flags it is relative to
// the directory in which the user works.
func TestRelativePaths(t *testing.T) {
	var paths []string
	for _, k := range Keys() {
		if !isFile(k.Unit) {
			continue
		}
		paths = append(paths, k.Path())
		for value, ok := range map[string]bool{"": true, "/data": true, "data": false, "./data": false, "../data": false, "~/data": false} {
			file := write(t, "["+k.Section+"]\n"+k.Name+" = '"+value+"'\n")
			l, err := Load(Sources{File: file})
			require.Equal(t, value, k.Raw(&l.Config))
			if ok {
				require.NoError(t, err, value)
			} else {
				require.EqualError(t, err, "invalid configuration: "+k.Path()+" is \""+value+"\"; write an absolute path: a relative one depends on the directory in which a command runs (from file "+file+":2)")
			}
			_, err = Load(Sources{File: file, Env: []string{k.Env() + "=data"}})
			require.NoError(t, err)
			_, err = Load(Sources{File: file, Flags: []Setting{{Key: k.Path(), Value: "data", Flag: "--x"}}})
			require.NoError(t, err)
		}
	}
	slices.Sort(paths)
	require.Equal(t, []string{"api.socket", "storage.path"}, paths)
}
