package deploytest

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// identityStep returns the shell script with which holdfast-backup.service saves the identity.
func identityStep(t *testing.T) string {
	t.Helper()
	unit, err := os.ReadFile("../systemd/holdfast-backup.service")
	require.NoError(t, err)
	lines := strings.ReplaceAll(string(unit), "\\\n", " ")
	found := regexp.MustCompile(`(?m)^ExecStart=/bin/sh -e?c '(.*)'$`).FindStringSubmatch(lines)
	require.NotNil(t, found)
	return found[1]
}

// runningNode starts a daemon with a new identity. It returns its program, its data directory
// and its private key.
func runningNode(t *testing.T) (program, dir, key string) {
	t.Helper()
	program = os.Getenv(binaryEnv)
	if program == "" {
		program = filepath.Join(t.TempDir(), "holdfast")
		output, err := exec.CommandContext(t.Context(), "go", "-C", "../..", "build", "-o", program, "./cmd/holdfast").CombinedOutput()
		require.NoError(t, err, "%s", output)
	}
	dir = t.TempDir()
	ctx, stop := context.WithCancel(context.Background())
	node := exec.CommandContext(ctx, program, "serve", "--data-dir", dir, "--listen", "/ip4/127.0.0.1/tcp/0", "--protocol-prefix", "/test")
	node.Env = []string{"HOLDFAST_METRICS__LISTEN=off"}
	stdout, err := node.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, node.Start())
	t.Cleanup(func() { stop(); _ = node.Wait() })
	ready, err := bufio.NewReader(stdout).ReadString('\n')
	require.NoError(t, err, ready)
	data, err := os.ReadFile(filepath.Join(dir, "identity.key"))
	require.NoError(t, err)
	return program, dir, string(data)
}

// TestBackupIdentity checks that the backup fails if the identity of the running node is not
// saved, and that root copies nothing but a regular file: the directory belongs to the node's
// user.
func TestBackupIdentity(t *testing.T) {
	program, dir, nodeKey := runningNode(t)
	for name, c := range map[string]struct {
		prepare func(t *testing.T, key, credentials string)
		saved   string // "" if nothing must be saved
		fails   bool
	}{
		"a key": {func(t *testing.T, key, _ string) { write(t, key, nodeKey) }, nodeKey, false},
		"of an earlier node": {func(t *testing.T, key, _ string) {
			output, err := exec.CommandContext(t.Context(), program, "id", "--generate", "--data-dir", filepath.Dir(key)).CombinedOutput()
			require.NoError(t, err, "%s", output)
		}, "", true},
		"not a key": {func(t *testing.T, key, _ string) { write(t, key, "not a key") }, "", true},
		"in the credential store": {func(t *testing.T, _, credentials string) {
			write(t, filepath.Join(credentials, "identity.key"), "another key")
		}, "", false},
		"nothing":   {func(*testing.T, string, string) {}, "", true},
		"empty":     {func(t *testing.T, key, _ string) { write(t, key, "") }, "", true},
		"directory": {func(t *testing.T, key, _ string) { require.NoError(t, os.Mkdir(key, 0o700)) }, "", true},
		"pipe":      {func(t *testing.T, key, _ string) { require.NoError(t, syscall.Mkfifo(key, 0o600)) }, "", true},
		"link": {func(t *testing.T, key, _ string) {
			write(t, key+".secret", "of another user")
			require.NoError(t, os.Symlink(key+".secret", key))
		}, "", true},
	} {
		t.Run(name, func(t *testing.T) {
			state, backups, credentials := t.TempDir(), t.TempDir(), t.TempDir()
			c.prepare(t, filepath.Join(state, "identity.key"), credentials)
			script := strings.ReplaceAll(identityStep(t), "/usr/local/bin/holdfast", program)
			err := saveIdentity(t, script, state, backups, credentials, "HOLDFAST_STORAGE__PATH="+dir)
			if c.fails {
				require.ErrorContains(t, err, "set STATE_DIRECTORY")
			} else {
				require.NoError(t, err)
			}
			saved, err := os.ReadFile(filepath.Join(backups, "identity.key"))
			require.Equal(t, c.saved == "", errors.Is(err, os.ErrNotExist), "%v", err)
			require.Equal(t, c.saved, string(saved))
			require.NoFileExists(t, filepath.Join(backups, "new.key"))
		})
	}
}

// TestBackupIdentityReplaced checks the copy without the check before it: the user could put a
// link or a pipe in the place of the key in between.
func TestBackupIdentityReplaced(t *testing.T) {
	check := regexp.MustCompile(`if test -L .*? fi;`)
	script := identityStep(t)
	require.Regexp(t, check, script)
	script = check.ReplaceAllString(script, "")
	for name, replace := range map[string]func(key string) error{
		"link": func(key string) error { return os.Symlink("/etc/passwd", key) },
		"pipe": func(key string) error { return syscall.Mkfifo(key, 0o600) },
	} {
		t.Run(name, func(t *testing.T) {
			state, backups := t.TempDir(), t.TempDir()
			require.NoError(t, replace(filepath.Join(state, "identity.key")))
			require.Error(t, saveIdentity(t, script, state, backups, ""))
			require.NoFileExists(t, filepath.Join(backups, "identity.key"))
			require.NoFileExists(t, filepath.Join(backups, "new.key"))
		})
	}
}

// saveIdentity runs a script as the unit does.
func saveIdentity(t *testing.T, script, state, backups, credentials string, env ...string) error {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "/bin/sh", "-ec", script)
	cmd.Env = append(env, "PATH=/usr/bin:/bin", "STATE_DIRECTORY="+state, "BACKUP_DIRECTORY="+backups, "CREDENTIALS_DIRECTORY="+credentials)
	output, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("%w: %s", err, output)
	}
	return nil
}

func write(t *testing.T, path, text string) {
	t.Helper()
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
}
