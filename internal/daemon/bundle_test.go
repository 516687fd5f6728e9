package daemon

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/stretchr/testify/require"
)

func unpack(t *testing.T, bundle io.Reader) map[string]string {
	t.Helper()
	zip, err := gzip.NewReader(bundle)
	require.NoError(t, err)
	files := map[string]string{}
	for in := tar.NewReader(zip); ; {
		h, err := in.Next()
		if errors.Is(err, io.EOF) {
			return files
		}
		require.NoError(t, err)
		data, err := io.ReadAll(in)
		require.NoError(t, err)
		files[filepath.Base(h.Name)] = string(data)
	}
}

func TestDebugBundle(t *testing.T) {
	dir := t.TempDir()
	d := start(t, dir)
	_, err := d.Backend().Put(t.Context(), []byte("/example/k"), []byte("the value itself"), 0)
	require.NoError(t, err)
	var out bytes.Buffer
	require.NoError(t, d.Backend().DebugBundle(t.Context(), &out))
	files := unpack(t, &out)
	for name, says := range map[string]string{
		"README.txt": "goroutines.txt", "goroutines.txt": "node.(*Node).loop", "log.txt": "msg=ready", "config.toml": "[network]",
		"process.json": "descriptor_limit", "status.json": d.ID().String(), "overview.json": "ring", "usage.json": "[",
		"table.json": "[", "traces.jsonl": "store_value", "metrics.txt": "holdfast_build_info",
	} {
		require.Contains(t, files[name], says, name)
	}
	require.NotEmpty(t, files["heap.pb.gz"])
	require.Len(t, files, 12, "no .error")

	key, err := os.ReadFile(filepath.Join(dir, IdentityFile))
	require.NoError(t, err)
	private, err := crypto.UnmarshalPrivateKey(key)
	require.NoError(t, err)
	seed, err := private.Raw()
	require.NoError(t, err)
	for name, data := range files {
		require.NotContains(t, data, string(seed[:32]), name)
		require.NotContains(t, data, "the value itself", name)
	}
	require.NotContains(t, files["traces.jsonl"], "dGhlIHZhbHVlIGl0c2VsZg", "a value in base64")
}

// A part that fails or hangs affects only its own file.
func TestDebugBundleOfANodeThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hang := make(chan struct{})
		defer close(hang)
		var out bytes.Buffer
		before := time.Now()
		require.NoError(t, writeBundle(t.Context(), &out, before, []bundleFile{
			{"good.txt", func(_ context.Context, w io.Writer) error { _, err := io.WriteString(w, "good"); return err }},
			{"bad.txt", func(context.Context, io.Writer) error { return errors.New("broken") }},
			{"hung.txt", func(context.Context, io.Writer) error { <-hang; return nil }},
		}))
		require.Equal(t, bundleStep, time.Since(before))
		files := unpack(t, &out)
		require.Equal(t, "good", files["good.txt"])
		require.Equal(t, "broken\n", files["bad.txt.error"])
		require.Contains(t, files["hung.txt.error"], "no answer in time")
	})
}
