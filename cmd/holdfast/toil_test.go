//go:build linux

package main

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/holdfast-dht/holdfast/internal/api"
	"github.com/holdfast-dht/holdfast/storage"
	"github.com/holdfast-dht/holdfast/storage/runs"
)

// toil is a daemon that announces one key a second and saves slowly.
type toil struct {
	api.Backend
	begun time.Time
}

const toilKeys = 25

func (b *toil) RepublishStatus(context.Context) (api.RepublishStatus, error) {
	left := max(0, toilKeys-int(time.Since(b.begun).Seconds()))
	return api.RepublishStatus{Keys: toilKeys, Unannounced: left, Active: left, Succeeded: uint64(toilKeys - left), VerifiedPeers: 1}, nil
}

func (b *toil) ProvideLater(_ context.Context, keys [][]byte) (api.HandedOver, error) {
	return api.HandedOver{New: len(keys)}, nil
}

func (b *toil) Backup(_ context.Context, w io.Writer) error {
	_, err := w.Write(make([]byte, 1<<20))
	time.Sleep(progressLog + time.Second)
	return err
}

// Commands that wait for the daemon show its progress.
func TestCommandsShowProgress(t *testing.T) {
	for name, c := range map[string]struct {
		run   func(ctx context.Context, a *app, b api.Backend) error
		shows string
	}{
		"provide": {func(ctx context.Context, a *app, b api.Backend) error {
			return (&bulk{app: a, file: "f", keys: make([][]byte, toilKeys)}).provide(ctx, b)
		}, `^announced \d+ of 25 \(\d+ %\), [\d.]+ a second, \d+s to go\n`},
		"republish now": {func(ctx context.Context, a *app, b api.Backend) error {
			return (&republishNowCommand{app: a}).untilTried(ctx, b, &api.RepublishStatus{})
		}, `^republished \d+ of 25 \(\d+ %\), [\d.]+ a second, \d+s to go\n`},
		"backup": {func(ctx context.Context, a *app, b api.Backend) error {
			return (&backupCommand{app: a}).run(ctx, b, []string{filepath.Join(t.TempDir(), "f")})
		}, `^saved 1\.0 MiB, \d+ KiB a second\n`},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var errs bytes.Buffer
				require.NoError(t, c.run(t.Context(), &app{out: io.Discard, errs: &errs}, &toil{begun: time.Now()}))
				require.Regexp(t, c.shows, errs.String())
			})
		})
	}
}

// A restarted daemon counts from zero, so the command cannot know the results of the
// keys.
func TestWaitForADaemonThatIsRestarted(t *testing.T) {
	for _, before := range []api.RepublishStatus{{Succeeded: toilKeys + 1}, {Failed: 1}} {
		synctest.Test(t, func(t *testing.T) {
			var out, errs bytes.Buffer
			a := &app{out: &out, errs: &errs}
			err := (&republishNowCommand{app: a}).untilTried(t.Context(), &toil{begun: time.Now()}, &before)
			require.ErrorContains(t, err, "the daemon was restarted meanwhile")
			require.Empty(t, out.String()+errs.String())
		})
	}
}

// Ctrl-C ends a command that reads standard input, and one on the database of a stopped
// daemon, here while it waits for the lock of the database.
func TestInterruptedWork(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "holdfast.db"), nil, 0o600))
	backup := filepath.Join(dir, "backup")
	require.NoError(t, os.WriteFile(backup, nil, 0o600))
	lock, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_RDWR|os.O_CREATE, 0o600)
	require.NoError(t, err)
	defer lock.Close()
	require.NoError(t, unix.Flock(int(lock.Fd()), unix.LOCK_EX))
	for _, command := range []string{"put k -", "provide --file -", "unprovide --file -", "check", "check --repair", "compact", "restore " + backup} {
		t.Run(command, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				in, keyboard := io.Pipe()
				ctx, cancel := context.WithCancel(t.Context())
				defer time.AfterFunc(time.Millisecond, cancel).Stop()
				var errs bytes.Buffer
				a := &app{in: in, out: io.Discard, errs: &errs, getenv: func(string) string { return "" }}
				start := time.Now()
				code := a.run(ctx, append(strings.Fields(command), "--data-dir", dir))
				require.Equal(t, exitInterrupted, code, errs.String())
				require.Equal(t, time.Millisecond, time.Since(start))
				require.Equal(t, "holdfast: interrupted\n", errs.String())
				require.NoError(t, keyboard.Close())
				time.Sleep(time.Minute) // the work ends
			})
		})
	}
}

// Commands on the database of a stopped daemon show their steps, here after they have
// waited for the lock of the database.
func TestDatabaseCommandsShowProgress(t *testing.T) {
	for command, shows := range map[string]string{
		"check":      `(?s)\ropening the database, 0s so far.*\rcounting provider records, `,
		"compact":    `(?s)\ropening the database, 0s so far.*\rsyncing \S+ to disk, `,
		"restore b.": `(?s)\rreading b\. 0 B of .*\rcounting provider records, `,
	} {
		t.Run(command, func(t *testing.T) {
			dir := t.TempDir()
			t.Chdir(dir)
			db, err := storage.Open(dir, storage.Options{Options: runs.Options{NoSync: true}})
			require.NoError(t, err)
			_, err = saveTo("b.", func(w io.Writer) error { _, err := db.Backup(w); return err })
			require.NoError(t, err)
			require.NoError(t, db.Close())
			lock, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_RDWR|os.O_CREATE, 0o600)
			require.NoError(t, err)
			require.NoError(t, unix.Flock(int(lock.Fd()), unix.LOCK_EX))
			shown := terminal(t, 200, func(tty *os.File) {
				synctest.Test(t, func(t *testing.T) {
					go func() {
						time.Sleep(2*progressTerminal + progressTerminal/2)
						_ = lock.Close()
					}()
					a := &app{in: strings.NewReader(""), out: io.Discard, errs: tty, getenv: func(string) string { return "" }}
					code := a.run(t.Context(), append(strings.Fields(command), "--data-dir", dir))
					require.Zero(t, code)
				})
			})
			require.Regexp(t, shows, shown)
		})
	}
}
