package storage

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/holdfast-dht/holdfast/pkg/kad"
	"github.com/holdfast-dht/holdfast/pkg/records"
	"github.com/holdfast-dht/holdfast/storage/runs"
)

const (
	childEnv = "HOLDFAST_STORAGE_CHILD" // the directory of the child's store
	roundEnv = "HOLDFAST_STORAGE_ROUND" // makes the child's keys unique
)

// roundLasts is how far a round advances the clock of the records.
const roundLasts = 1000 * time.Second

// child writes to the store in dir until it is killed, and prints each write once it has been
// acknowledged.
func child(dir string) int {
	db, err := Open(dir, Options{Options: runs.Options{CommitWindow: 5 * time.Millisecond}})
	if err != nil {
		fmt.Println("fatal", err)
		return 1
	}
	if os.Getenv(roundEnv) == "wait" {
		fmt.Println("ready", os.Getpid())
		_, _ = io.Copy(io.Discard, os.Stdin)
		return 0
	}
	round, _ := strconv.Atoi(os.Getenv(roundEnv))
	var mu sync.Mutex
	ack := func(err error, format string, args ...any) {
		mu.Lock()
		defer mu.Unlock()
		if err != nil {
			format, args = "fatal %v", []any{err}
		}
		fmt.Printf(format+"\n", args...)
	}
	var wg sync.WaitGroup
	for g := range 6 {
		wg.Go(func() { childWrites(db, g, round, ack) })
	}
	wg.Wait()
	return 0
}

func childWrites(db *DB, g, round int, ack func(error, string, ...any)) {
	for i := 1; ; i++ {
		n := round*1_000_000 + i
		now := start.Add(time.Duration(round)*roundLasts + time.Duration(i)*time.Millisecond)
		key := fmt.Sprintf("%d-%d", g, i%50)
		switch g {
		case 0:
			v := records.Value{Key: []byte(key), Value: fmt.Appendf(nil, "%09d", n), Expires: now.Add(40 * time.Hour)}
			ack(db.PutValue(now, v, newer), "value %s %d", key, n)
		case 1, 2:
			p := providerOf(strconv.Itoa(n%500), now.Add(30*time.Hour))
			ack(db.AddProvider(now, []byte(key), p, true), "provider %s %s", key, p.ID)
		case 3:
			err := db.Publish(records.Published{Key: fmt.Appendf(nil, "key-%d", n), Added: now})
			if i%3 != 0 {
				ack(err, "publish key-%d", n)
			} else { // the key may be gone before Unpublish returns
				ack(db.Unpublish(0, fmt.Appendf(nil, "key-%d", n)), "unpublish key-%d", n)
			}
			if i%20 == 0 {
				err := db.SaveSnapshot(records.Snapshot{Taken: now})
				ack(err, "snapshot %d", now.UnixNano())
			}
		case 4:
			for j := range 100 {
				_ = db.AddProvider(now, []byte{byte(j), byte(i)}, providerOf(strconv.Itoa(j), now.Add(time.Hour)), false)
			}
			_ = db.Flush()
		case 5:
			_, err := db.Expire(start.Add(time.Duration(i%3) * time.Hour))
			ack(err, "expire")
		}
	}
}

func newer(_, a, b []byte) bool { return string(b) > string(a) }

// acknowledged is what a killed child reported as durable.
type acknowledged struct {
	values    map[string]int
	providers map[[2]string]bool
	published map[string]bool
	snapshot  int64
	lines     int
}

func (a *acknowledged) add(t *testing.T, line string) {
	f := strings.Fields(line)
	a.lines++
	switch f[0] {
	case "value":
		n, err := strconv.Atoi(f[2])
		require.NoError(t, err)
		a.values[f[1]] = max(a.values[f[1]], n)
	case "provider":
		a.providers[[2]string{f[1], f[2]}] = true
	case "publish":
		a.published[f[1]] = true
	case "unpublish":
		a.published[f[1]] = false
	case "snapshot":
		n, err := strconv.ParseInt(f[1], 10, 64)
		require.NoError(t, err)
		a.snapshot = n
	case "expire":
	default:
		t.Fatalf("child: %s", line)
	}
}

// verify checks for everything acknowledged, at the time now.
func (a *acknowledged) verify(t *testing.T, db *DB, now time.Time) {
	for key, n := range a.values {
		v, err := db.Value(now, []byte(key))
		require.NoError(t, err)
		got, err := strconv.Atoi(string(v.Value))
		require.NoError(t, err)
		require.GreaterOrEqual(t, got, n, "value %s was rolled back", key)
	}
	for kp := range a.providers {
		ps, err := db.Providers(nil, now, []byte(kp[0]), 1000)
		require.NoError(t, err)
		found := false
		for _, p := range ps {
			found = found || string(p.ID) == kp[1]
			require.NotEmpty(t, p.Addrs)
		}
		require.True(t, found, "provider %s of %s is lost", kp[1], kp[0])
	}
	for key, there := range a.published {
		_, err := db.Load(records.KindProvider, []byte(key))
		if there {
			require.NoError(t, err, "published key %s is lost", key)
		} else {
			require.ErrorIs(t, err, records.ErrNotFound, "removed key %s came back", key)
		}
	}
	if a.snapshot != 0 {
		s, err := db.LoadSnapshot()
		require.NoError(t, err)
		require.GreaterOrEqual(t, s.Taken.UnixNano(), a.snapshot)
	}
}

func startChild(t *testing.T, dir, round string) (*exec.Cmd, *bufio.Scanner) {
	exe, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), childEnv+"="+dir, roundEnv+"="+round)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	if round == "wait" {
		in, err := cmd.StdinPipe()
		require.NoError(t, err)
		t.Cleanup(func() { in.Close() })
	}
	require.NoError(t, cmd.Start())
	return cmd, bufio.NewScanner(out)
}

// TestKill kills a writing process at random moments. Everything it had acknowledged is
// stored, and counters and indexes agree with the contents.
func TestKill(t *testing.T) {
	rounds := 20
	if testing.Short() {
		rounds = 3
	}
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	dir := t.TempDir()
	a := acknowledged{values: map[string]int{}, providers: map[[2]string]bool{}, published: map[string]bool{}}
	for round := range rounds {
		cmd, out := startChild(t, dir, strconv.Itoa(round))
		for n := 50 + rng.IntN(500); n > 0 && out.Scan(); n-- {
			a.add(t, out.Text())
		}
		require.NoError(t, cmd.Process.Kill())
		for out.Scan() {
			a.add(t, out.Text())
		}
		require.Error(t, cmd.Wait())
		requireSound(t, dir)
		db, err := Open(dir, Options{})
		require.NoError(t, err)
		require.False(t, db.CleanStart())
		require.Nil(t, db.Quarantined())
		a.verify(t, db, start.Add(time.Duration(round+1)*roundLasts))
		require.NoError(t, db.Close())
	}
	t.Logf("%d acknowledged writes in %d rounds", a.lines, rounds)
}

func TestLockedByAnotherProcess(t *testing.T) {
	dir := t.TempDir()
	cmd, out := startChild(t, dir, "wait")
	defer func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }()
	require.True(t, out.Scan())
	require.Equal(t, fmt.Sprint("ready ", cmd.Process.Pid), out.Text())

	for _, o := range []Options{{Options: runs.Options{LockTimeout: -1}}, {Options: runs.Options{LockTimeout: -1, ReadOnly: true}}} {
		_, err := Open(dir, o)
		require.ErrorIs(t, err, ErrLocked)
		var le *LockedError
		require.ErrorAs(t, err, &le)
		require.Equal(t, cmd.Process.Pid, le.PID)
		require.NotEmpty(t, le.Command)
		require.WithinDuration(t, time.Now(), le.Started, time.Hour)
		require.Contains(t, err.Error(), strconv.Itoa(cmd.Process.Pid))
	}
	_, err := Check(dir, nil)
	require.ErrorIs(t, err, ErrLocked)
	_, _, err = Compact(dir, nil)
	require.ErrorIs(t, err, ErrLocked)
	_, err = Restore(dir, strings.NewReader("x"), nil)
	require.ErrorIs(t, err, ErrLocked)

	require.NoError(t, cmd.Process.Kill())
	_ = cmd.Wait()
	db, err := Open(dir, Options{}) // the lock is released when its owner dies
	require.NoError(t, err)
	require.NoError(t, db.Close())
}

func peerID(s string) kad.PeerID {
	return kad.PeerID(s)
}

// wideKey returns keys that are spread like hashes.
func wideKey(i int) []byte { return binary.BigEndian.AppendUint64([]byte("key "), uint64(i)) }
