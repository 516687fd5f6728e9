package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/holdfast-dht/holdfast/internal/api"
	"github.com/holdfast-dht/holdfast/internal/disktest"
)

// A command whose result cannot be written fails: a script must not take a truncated
// result for a whole one.
func TestResultsOnAFullDisk(t *testing.T) {
	b := content()
	b.table = []api.TablePeer{{PeerID: somePeer}}
	b.peers = []api.PeerInfo{{PeerID: somePeer}}
	b.usage = []api.PeerUsage{{PeerID: somePeer}}
	b.published = []api.Published{{Key: []byte("k")}}
	s := shellWith(t, b)
	lines := []string{"version", "config default", "config print", "config print --origin", "config validate", "id --generate", "sim join", "sim join --all-alive"}
	for _, q := range answeredAtOnce() {
		lines = append(lines, q.line+" --api "+s.socket)
	}
	for _, line := range lines {
		for _, format := range []string{"", " --json"} {
			for _, space := range []int{0, 1} {
				var errs bytes.Buffer
				a := &app{in: strings.NewReader(""), out: &disktest.Full{Space: space}, errs: &errs, getenv: func(name string) string { return s.env[name] }}
				code := a.run(t.Context(), strings.Fields(line+format))
				require.Equal(t, exitFailed, code, "%s: %s", line+format, errs.String())
				require.Contains(t, errs.String(), syscall.ENOSPC.Error(), line+format)
				require.NoError(t, os.RemoveAll("saved"))
			}
		}
	}
}

// get --output writes the value to the file and nothing to standard output. An error names
// the file.
func TestGetOutput(t *testing.T) {
	b := content()
	b.value.Value = []byte("\x00binary\xff\n")
	s := shellWith(t, b)
	require.NoError(t, os.Mkdir("dir", 0o700))
	require.NoError(t, os.Symlink("nowhere/else", "dangling"))
	require.NoError(t, os.WriteFile("there", []byte("something that is longer"), 0o600))
	for _, flag := range []string{"--output", "-o"} {
		for _, file := range []string{"new", "there", "/dev/null"} {
			code, stdout, stderr := s.run("get k", flag, file)
			require.Zero(t, code, stderr)
			require.Empty(t, stdout+stderr)
			if file != "/dev/null" {
				have, err := os.ReadFile(file)
				require.NoError(t, err)
				require.Equal(t, b.value.Value, have, file)
			}
		}
	}
	code, stdout, stderr := s.run("get k --output new --json")
	require.Zero(t, code, stderr)
	require.Contains(t, stdout, `"value":"AGJpbmFyef8K"`)
	for file, says := range map[string]string{
		"dir": "is a directory", "none/f": "no such file or directory", "dangling": "no such file or directory", "there/f": "not a directory",
	} {
		code, stdout, stderr := s.run("get k", "--output", file)
		require.Equal(t, exitFailed, code, file)
		require.Empty(t, stdout)
		require.Contains(t, stderr, "holdfast: write the value: ", file)
		require.Contains(t, stderr, file+": "+says)
	}
}

// A file of output is opened before the daemon is asked. If the daemon then fails, a new
// file is removed and an old one is unchanged. Otherwise its whole content is replaced.
func TestOutputFile(t *testing.T) {
	b := content()
	s := shellWith(t, b)
	for _, line := range []string{"explain get k --html", "explain show 7 --html", "get k --output"} {
		require.NoError(t, os.WriteFile("old", []byte(long(1<<20)), 0o600))
		code, _, _ := s.run(line, "none/file")
		require.Equal(t, exitFailed, code, line)
		require.Empty(t, b.questions(), line)
		b.err = api.Errorf(api.CodeInternal, "the database fails")
		for _, file := range []string{"old", "new"} {
			code, _, stderr := s.run(line, file)
			require.Equal(t, exitFailed, code, stderr)
		}
		require.NoFileExists(t, "new", line)
		have, err := os.ReadFile("old")
		require.NoError(t, err)
		require.Equal(t, long(1<<20), string(have), line)
		b.err = nil
		for _, file := range []string{"old", "new"} {
			code, _, stderr := s.run(line, file)
			require.Zero(t, code, stderr)
		}
		have, err = os.ReadFile("old")
		require.NoError(t, err)
		want, err := os.ReadFile("new")
		require.NoError(t, err)
		require.Equal(t, want, have, line)
		require.NotEmpty(t, have, line)
		require.NoError(t, os.Remove("new"))
		b.questions()
	}
}

// If the page cannot be written, the command fails, names the file and does not print the
// trace.
func TestExplainPage(t *testing.T) {
	s := shellWith(t, content())
	for _, line := range []string{"explain get k", "explain show 7"} {
		code, stdout, stderr := s.run(line, "--html", "none/page.html")
		require.Equal(t, exitFailed, code)
		require.Equal(t, "holdfast: write the page: open none/page.html: no such file or directory\n", stderr)
		require.Empty(t, stdout)
		code, _, stderr = s.run(line, "--html", "page.html")
		require.Zero(t, code, stderr)
		page, err := os.ReadFile("page.html")
		require.NoError(t, err)
		require.Contains(t, string(page), "<!doctype html>")
	}
	code, _, stderr := s.run("explain show 8 --html other.html")
	require.Equal(t, exitNotFound, code)
	require.Contains(t, stderr, "lookup 8 is not among the last ones that the daemon keeps")
	require.NoFileExists(t, "other.html")
}

// Backups and bundles replace an existing file only with --force, and only by a whole new
// file.
func TestSaveTo(t *testing.T) {
	for _, command := range []string{"backup", "debug bundle"} {
		s := shellWith(t, content())
		require.NoError(t, os.Mkdir("dir", 0o700))
		require.NoError(t, os.WriteFile("target", []byte("of somebody"), 0o600))
		require.NoError(t, os.Symlink("target", "link"))
		require.NoError(t, os.Symlink("nowhere", "dangling"))
		for _, file := range []string{"keys", "dir", "link", "dangling"} {
			code, stdout, stderr := s.run(command, file)
			require.Equal(t, exitFailed, code)
			require.Equal(t, fmt.Sprintf("holdfast: %s already exists; choose another file, or replace it with --force\n", file), stderr)
			require.Empty(t, stdout)
		}
		for _, file := range []string{"keys", "link", "dangling", "new"} {
			code, stdout, stderr := s.run(command, "--force", file)
			require.Zero(t, code, stderr)
			require.Equal(t, "Saved 17 B to "+file+"\n", stdout)
			have, err := os.ReadFile(file)
			require.NoError(t, err)
			require.Equal(t, "all that there is", string(have))
		}
		have, err := os.ReadFile("target")
		require.NoError(t, err)
		require.Equal(t, "of somebody", string(have), "a link is replaced, not what it leads to")
		code, stdout, stderr := s.run(command, "more", "--json")
		require.Zero(t, code, stderr)
		require.Equal(t, "{\"bytes\":17,\"file\":\"more\"}\n", stdout)
		for file, says := range map[string]string{"dir": "file exists", "none/f": "no such file or directory", "keys/f": "not a directory"} {
			code, stdout, stderr := s.run(command, "--force", file)
			require.Equal(t, exitFailed, code, file)
			require.Equal(t, "holdfast: save "+file+": "+says+"\n", stderr)
			require.Empty(t, stdout)
		}
		left, err := filepath.Glob(".new-*")
		require.NoError(t, err)
		require.Empty(t, left)
	}
}

// For an unusable file of keys, the error has its name and the reason, and the daemon gets
// no key.
func TestUnusableFilesOfKeys(t *testing.T) {
	b := content()
	s := shellWith(t, b)
	require.NoError(t, os.Mkdir("dir", 0o700))
	for name, text := range map[string]string{
		"empty": "", "comments": "# nothing\n\n", "utf16": "\xff\xfek\x00", "wrong": "bafkreiNOTACID\nk\n", "long": strings.Repeat("k", maxFileLine+1),
		"terminal": "bafkrei\x1b[2J\n",
	} {
		require.NoError(t, os.WriteFile(name, []byte(text), 0o600))
	}
	for _, command := range []string{"provide", "unprovide"} {
		for file, says := range map[string]string{
			"none": "open none: no such file or directory", "dir": "read dir: is a directory", "empty": "empty has no keys", "comments": "comments has no keys",
			"utf16": "utf16: it is in UTF-16; save it as UTF-8", "wrong": "wrong: 1 line that is not a key: nothing was done", "long": "the line has more than",
			"terminal": "terminal:1: ", "keys/f": "not a directory", "/dev/null": "/dev/null has no keys",
		} {
			code, stdout, stderr := s.run(command, "--file", file)
			require.Equal(t, exitFailed, code, "%s: %s", file, stderr)
			require.Contains(t, stderr, says)
			require.NotContains(t, stderr, "\x1b")
			require.Empty(t, stdout)
			code, _, stderr = s.run(command, "--file", file, "--skip-invalid")
			if file == "wrong" {
				require.Zero(t, code, stderr)
				require.Contains(t, b.questions(), map[string]string{"provide": "ProvideLater 1", "unprovide": "UnprovideAll 1"}[command])
				continue
			}
			require.Equal(t, exitFailed, code, file)
			require.Empty(t, b.questions(), file)
		}
	}
}

// provide and unprovide need either keys or a file, and check all keys before they ask.
func TestKeysOrFile(t *testing.T) {
	b := content()
	s := shellWith(t, b)
	for _, command := range []string{"provide", "unprovide"} {
		for line, says := range map[string]string{
			"":                   "give either KEY... or --file FILE",
			"k --file keys":      "give either KEY... or --file FILE",
			"k --skip-invalid":   "--skip-invalid needs --file",
			"k bafkreiNOTACID":   `"bafkreiNOTACID" looks like a CID`,
			"k hex:zz l":         "is not hexadecimal",
			"k text: l":          `the key "text:" is empty`,
			"k " + long(81):      "has 81 bytes; the key of content has at most 80",
			"hex:" + long(2*81):  "is not hexadecimal",
			long(2*1024 + 6):     "the key has 2054 characters; at most 2053 are allowed",
			"--file= ":           "give either KEY... or --file FILE",
			"--skip-invalid=7 k": `--skip-invalid "7" is neither true nor false`,
		} {
			code, stdout, stderr := s.run(command + " " + line)
			require.Equal(t, exitUsage, code, "%s: %s", line, stderr)
			require.Contains(t, stderr, says)
			require.Contains(t, stderr, "See `holdfast "+command+" --help`.\n")
			require.Empty(t, stdout)
			require.Empty(t, b.questions(), "no key is taken before all are read")
		}
	}
}

func long(n int) string { return strings.Repeat("k", n) }

// A file with more keys than fit one request is sent in several requests. If the daemon
// rejects one, the command says how much is done and what to do.
func TestFileInParts(t *testing.T) {
	for keys, parts := range map[int]string{
		api.MaxKeys - 1:   "ProvideLater 8191; RepublishStatus",
		api.MaxKeys:       "ProvideLater 8192; RepublishStatus",
		api.MaxKeys + 1:   "ProvideLater 8192; ProvideLater 1; RepublishStatus",
		2*api.MaxKeys + 7: "ProvideLater 8192; ProvideLater 8192; ProvideLater 7; RepublishStatus",
	} {
		b := content()
		s := shellWith(t, b)
		s.stdin = manyKeys(keys)
		code, stdout, stderr := s.run("provide --file -")
		require.Zero(t, code, stderr)
		require.Equal(t, fmt.Sprintf("Provided %d keys\n", keys), stdout)
		require.Equal(t, parts, b.questions())
	}
	for command, says := range map[string]string{
		"provide":   "holdfast: 8192 of 8193 keys are handed over: the daemon keeps them and continues to announce them; `holdfast unprovide --file -` unprovides them; give the file again to hand over the rest\nholdfast: full\n",
		"unprovide": "holdfast: 8192 keys are unprovided; give the file again to unprovide the rest\nholdfast: full\n",
	} {
		s := shellWith(t, &filling{scripted: content()})
		s.stdin = manyKeys(api.MaxKeys + 1)
		code, stdout, stderr := s.run(command + " --file -")
		require.Equal(t, exitFailed, code)
		require.Equal(t, says, stderr)
		require.Empty(t, stdout)
	}
}

func manyKeys(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "key %d\n", i)
	}
	return b.String()
}

// filling is a daemon that accepts one request of keys.
type filling struct {
	*scripted
	taken int
}

func (f *filling) take() error {
	if f.taken++; f.taken > 1 {
		return api.Errorf(api.CodeTooLarge, "full")
	}
	return nil
}

func (f *filling) ProvideLater(_ context.Context, keys [][]byte) (h api.HandedOver, err error) {
	if err := f.take(); err != nil {
		return h, err
	}
	return api.HandedOver{New: len(keys)}, nil
}

func (f *filling) UnprovideAll(_ context.Context, keys [][]byte) (r api.Removed, err error) {
	if err := f.take(); err != nil {
		return r, err
	}
	return api.Removed{Keys: len(keys)}, nil
}
