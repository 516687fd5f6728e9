//go:build force

package force

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/holdfast-dht/holdfast/pkg/records"
	"github.com/holdfast-dht/holdfast/storage"
)

// TestClockStore moves the clock of a store and checks each guarantee separately.
// (TestKillStore moves it at random.)
func TestClockStore(t *testing.T) {
	forced(t, 1, 1)
	dir := t.TempDir()
	now := epochStart
	db, err := storage.Open(dir, storeOptions())
	require.NoError(t, err)
	reopen := func() {
		require.NoError(t, db.Close())
		requireSound(t, dir)
		db, err = storage.Open(dir, storeOptions())
		require.NoError(t, err)
		require.Nil(t, db.Quarantined())
	}
	expiries := map[string]time.Time{}
	put := func(key string, ttl time.Duration) {
		expiries[key] = records.CapExpiry(now, now.Add(ttl))
		require.NoError(t, db.AddProvider(now, []byte(key), records.Provider{ID: "p", Expires: now.Add(ttl)}, true))
		require.NoError(t, db.PutValue(now, records.Value{Key: []byte(key), Value: []byte(key), Expires: now.Add(ttl)}, nil))
	}
	expire := func(at time.Time) {
		for more := true; more; {
			x, err := db.Expire(at)
			require.NoError(t, err)
			more = x.More
		}
	}
	// served counts the values and provider records that are served at a time, and compares
	// both with their expiries.
	served := func(at time.Time) (n int) {
		for key, expires := range expiries {
			ps, err := db.Providers(nil, at, []byte(key), 10)
			require.NoError(t, err)
			_, err = db.Value(at, []byte(key))
			if err == nil || len(ps) > 0 {
				require.True(t, at.Before(expires), "%s is served at %s, its time was over at %s", key, at, expires)
			}
			if err == nil && len(ps) == 1 {
				n++
			}
		}
		return n
	}
	for i := range 200 {
		put("k"+strconv.Itoa(i), time.Duration(i+1)*15*time.Minute)
	}
	require.Equal(t, 200-8, served(now.Add(2*time.Hour)))

	// A jump of less than an hour and back removes nothing.
	for _, jump := range []time.Duration{59 * time.Minute, -59 * time.Minute} {
		expire(now.Add(jump))
		reopen()
		require.Equal(t, 200, served(now), "after %s and back", jump)
	}
	// After a jump back, nothing lives longer, neither stored nor new records. A record that
	// expires more than its maximum lifetime plus an hour from now is kept but not served.
	back := now.Add(-48 * time.Hour)
	expire(back)
	require.Equal(t, 4, served(back))
	reopen()
	require.Equal(t, 200, served(now))
	then := now
	now = back
	put("at the wrong time", 48*time.Hour)
	require.ErrorIs(t, db.AddProvider(back, []byte("x"), records.Provider{ID: "p", Expires: back}, true), records.ErrExpired)
	now = then
	require.Equal(t, 200, served(now))
	// After a jump forward, expired records are not served, and new records live their full
	// time.
	ahead := now.Add(48 * time.Hour)
	expired := 0
	for _, e := range expiries {
		if !ahead.Before(e) {
			expired++
		}
	}
	require.Equal(t, len(expiries)-expired, served(ahead))
	expire(ahead)
	reopen()
	require.Equal(t, len(expiries)-expired, served(ahead))
	now = ahead
	put("in the future", time.Hour)
	now = then
	require.NotZero(t, served(now), "records with a longer life are still stored after the jump back")
	expire(now)
	require.NotZero(t, served(ahead))
	require.NoError(t, db.Close())
	requireSound(t, dir)
	t.Log("FORCE store: clock moved by 59 minutes and by 48 hours, both ways, with the store open and closed between: nothing expired served, nothing lost by less than an hour")
}

// clockEnv names the file that contains the offset of a daemon's clock in seconds.
const clockEnv = "HOLDFAST_FORCE_CLOCK"

// Linux has no namespace for the time of day, and Go reads it without a system call. The
// program is therefore built with a different time.Now, which adds the offset in a file. It
// reads the file again every 20 ms. The monotonic clock is not affected, as when an operator
// sets the time of day.
const clockSource = `package time

import (
	"sync/atomic"
	"syscall"
)

var clockOff atomic.Int64

func movedNow() (sec int64, nsec int32, mono int64) {
	sec, nsec, mono = runtimeNow()
	return sec + clockOff.Load(), nsec, mono
}

func init() {
	name, ok := syscall.Getenv("` + clockEnv + `")
	if !ok {
		return
	}
	readClock(name)
	go func() {
		for {
			Sleep(20 * Millisecond)
			readClock(name)
		}
	}()
}

func readClock(name string) {
	fd, err := open(name)
	if err != nil {
		panic("no clock: " + name)
	}
	defer closefd(fd)
	var buf [32]byte
	n, _ := read(fd, buf[:])
	var v, sign int64 = 0, 1
	for _, c := range buf[:max(n, 0)] {
		switch {
		case c == '-':
			sign = -1
		case c >= '0' && c <= '9':
			v = v*10 + int64(c-'0')
		}
	}
	clockOff.Store(sign * v)
}
`

// buildMovable builds the program with a clock that can be moved.
func buildMovable(t *testing.T) string {
	t.Helper()
	root, err := exec.Command("go", "env", "GOROOT").Output()
	require.NoError(t, err)
	src := filepath.Join(strings.TrimSpace(string(root)), "src", "time")
	file, err := os.ReadFile(filepath.Join(src, "time.go"))
	require.NoError(t, err)
	const line = "sec, nsec, mono := runtimeNow()"
	require.Equal(t, 1, strings.Count(string(file), line), "this version of Go has a different time.Now")
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		return path
	}
	overlay, err := json.Marshal(map[string]map[string]string{"Replace": {
		filepath.Join(src, "time.go"):  write("time.go", strings.Replace(string(file), line, "sec, nsec, mono := movedNow()", 1)),
		filepath.Join(src, "moved.go"): write("moved.go", clockSource),
	}})
	require.NoError(t, err)
	path := filepath.Join(dir, "holdfast")
	out, err := exec.Command("go", "build", "-overlay", write("overlay.json", string(overlay)), "-o", path, "../../../cmd/holdfast").CombinedOutput()
	require.NoError(t, err, "%s", out)
	return path
}

// TestClockDaemon moves the clock of a daemon, both while it runs and while it is stopped.
func TestClockDaemon(t *testing.T) {
	moves := forced(t, 0, 60)
	if moves == 0 {
		t.Skip("in the full form only: the standard library is recompiled")
	}
	rng := random(t)
	w := newWorld(t)
	w.moved = true
	h := newHome(w, rng, filepath.Join(t.TempDir(), "home"))
	h.model.keeps = true
	clock := filepath.Join(t.TempDir(), "clock")
	l := launch{program: buildMovable(t), env: []string{clockEnv + "=" + clock}}
	move := func(by time.Duration) {
		next := clock + ".next"
		require.NoError(t, os.WriteFile(next, []byte(strconv.Itoa(int(by/time.Second))), 0o600))
		require.NoError(t, os.Rename(next, clock))
		w.offset.Store(int64(by))
		h.model.sweep(w.now().Add(10*time.Minute - records.ExpireGrace).UnixNano())
	}
	move(0)
	p := h.start(l)
	running := 0
	for range moves {
		load := h.load(p, longTTL, false)
		pause(time.Duration(rng.IntN(1500)) * time.Millisecond)
		require.Empty(t, load.halt(time.Now()), "%s", p.logs)
		h.model.sweepEnds()
		off := []time.Duration{
			0, 50 * time.Minute, -50 * time.Minute, 48 * time.Hour, -48 * time.Hour, 49 * time.Hour, 96 * time.Hour, -96 * time.Hour,
		}[rng.IntN(8)]
		if rng.IntN(3) > 0 {
			running++
			move(off)
			until(t, "the daemon has read its clock", func() bool {
				o, err := p.api.Overview(t.Context())
				require.NoError(t, err)
				return o.Taken.Sub(w.now()).Abs() < 10*time.Second
			})
			pause(time.Duration(rng.IntN(2500)) * time.Millisecond) // expired records are removed every second
			require.NoError(t, w.verify(p, h.model, h.began), "moved to %s: %s", off, p.logs)
			continue
		}
		if rng.IntN(2) == 0 {
			p.signal(15)
			require.Zero(t, p.exited(), "%s", p.logs)
		}
		p.end()
		requireClean(t, h.dir)
		move(off)
		p = h.start(l)
	}
	p.end()
	requireClean(t, h.dir)
	t.Logf("FORCE daemon: clock moved %d times by up to 192 hours, %d of them while it ran: nothing expired served, nothing lost by less than an hour, %d writes answered", moves, running, h.model.answered)
}
