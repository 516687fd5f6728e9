//go:build force

package force

import (
	"context"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/holdfast-dht/holdfast/storage"
	"github.com/holdfast-dht/holdfast/storage/runs"
)

// givenUp is part of the log message after which nothing more is written.
const givenUp = "no more writes"

// filesOf maps the files of a data directory to the kinds of things in the model that need
// them.
var filesOf = []struct{ name, kinds string }{
	{storage.FileName, "vk"}, {runs.LogName, "p"}, {runs.RunsName, "p"},
}

// TestFailedFsync makes fsync of a file fail once, at its n-th call in a thread. The daemon
// logs this, is no longer healthy, acknowledges no more writes to the file and keeps
// answering reads; or it does not start, with an error. Then the power fails too, so that
// data that was not synced is really lost.
func TestFailedFsync(t *testing.T) {
	rounds := forced(t, 3, 25)
	rng := random(t)
	w := newWorld(t)
	d := newDisk(t, 1024)
	h := newHome(w, rng, filepath.Join(d.dir, "home"))
	h.start(launch{}).end()
	refusedStarts, refusedWrites := 0, 0
	for round := range rounds {
		file := filesOf[round%len(filesOf)]
		call := injected{call: "fdatasync", when: 1 + round/len(filesOf), fault: "error=EIO", file: file.name}
		p := h.start(launch{tracer: call.tracer(h.dir)})
		if !p.ready {
			refusedStarts++
			require.NotZero(t, p.exited())
			require.Contains(t, p.logs.String(), syscall.EIO.Error())
			require.NotContains(t, p.logs.String(), "goroutine ", "it crashed")
		} else {
			require.NoError(t, w.verify(p, h.model, h.began), "%s", p.logs)
			l := h.put(&load{d: p, ttl: longTTL, big: true})
			if h.failed(p, 8*time.Second) {
				refusedWrites++
				h.requireSilent(p, l, file.kinds)
			}
			d.cutPower()
			p.kill()
			<-p.ended
			l.halt(time.Time{})
			p.end()
			d.unmount()
			d.mount("")
		}
		requireClean(t, h.dir)
	}
	h.start(launch{}).end()
	requireClean(t, h.dir)
	t.Logf("FORCE daemon: fsync failed in %d runs: %d did not start, %d gave up writing, the others never came to that call; nothing acknowledged was lost", rounds, refusedStarts, refusedWrites)
}

// failed waits until the daemon has stopped writing, up to a limit.
func (h *home) failed(p *daemon, most time.Duration) bool {
	for began := time.Now(); time.Since(began) < most; pause(50 * time.Millisecond) {
		if strings.Contains(p.logs.String(), givenUp) {
			return true
		}
	}
	return false
}

// requireSilent checks that a daemon that has stopped writing to a file acknowledges no more
// writes of the kinds that need it, is not healthy, and still answers.
func (h *home) requireSilent(p *daemon, l *load, kinds string) {
	h.t.Helper()
	now := h.model.now()
	require.False(h.t, p.healthy())
	require.Positive(h.t, p.metric("holdfast_db_errors_total"))
	pause(500 * time.Millisecond)
	require.LessOrEqual(h.t, h.model.newestOf(kinds), now, "it acknowledges writes that it cannot make")
	h.requireReads(p, l)
}

// requireReads looks up some acknowledged records while nothing is written.
func (h *home) requireReads(p *daemon, l *load) {
	h.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for _, what := range h.model.choose(h.began, 100, "v:", "p:") {
		_, _, err := h.w.look(ctx, h.w.askers[0], h.model, what)
		require.NoError(h.t, err, what)
	}
}

// TestFullDisk fills a small disk under a daemon. The daemon keeps answering, refuses writes
// and counts them, can start again after a kill, and recovers when there is space again.
func TestFullDisk(t *testing.T) {
	rounds := forced(t, 1, 8)
	rng := random(t)
	w := newWorld(t)
	for range rounds {
		d := newDisk(t, 96)
		h := newHome(w, rng, filepath.Join(d.dir, "home"))
		room := launch{env: []string{"HOLDFAST_STORAGE__MAX_BYTES=1GiB"}} // more than the capacity of the disk
		p := h.start(room)
		l := h.load(p, longTTL, false)
		pause(time.Second)
		require.Empty(t, l.halt(time.Now()), "%s", p.logs)
		release := d.fill(1 + rng.IntN(12))
		l = h.put(&load{d: p, ttl: longTTL, big: true, fillers: 24, full: true})
		refused := func() bool {
			return p.metric("holdfast_db_writes_rejected_total") > 0 && p.metric("holdfast_db_errors_total") > 0
		}
		until(t, "writes are refused", refused)
		pause(500 * time.Millisecond)
		l.stop()
		l.wg.Wait()
		h.requireReads(p, l)
		require.NotContains(t, p.logs.String(), givenUp)
		require.True(t, p.healthy(), "a full disk does not make the daemon unhealthy")
		h.tellsFull(p)
		p.kill()
		l.finish()
		p.end()
		requireClean(t, h.dir)

		p = h.start(room) // still full
		h.requireReads(p, l)
		h.tellsFull(p)
		release()
		h.tellsSpace(p)
		l = h.put(&load{d: p, ttl: longTTL, full: true})
		h.heals(p)
		pause(time.Second)
		p.kill()
		l.finish()
		p.end()
		requireClean(t, h.dir)
		p = h.start(launch{})
		p.signal(syscall.SIGTERM)
		require.Zero(t, p.exited(), "%s", p.logs)
		requireClean(t, h.dir)
	}
	t.Logf("FORCE daemon: %d full disks: answered throughout, refused and counted, started while full, healed, nothing lost", rounds)
}

// tellsFull checks that everything an operator looks at says that the disk is full and how
// little space is left for the database.
func (h *home) tellsFull(p *daemon) {
	h.t.Helper()
	until(h.t, "it notices that the disk is full", func() bool { return p.metric("holdfast_disk_full") == 1 })
	require.Equal(h.t, 1, strings.Count(p.logs.String(), "the disk is full"), "%s", p.logs)
	s, err := p.status()
	require.NoError(h.t, err)
	require.False(h.t, s.DiskFullSince.IsZero())
	require.Less(h.t, s.DBMost, s.DBMaxBytes)
	require.LessOrEqual(h.t, s.DiskFree, int64(16<<20))
	require.Equal(h.t, float64(s.DiskTotal), p.metric("holdfast_disk_size_bytes"))
	code, body := p.page("/healthz")
	require.Equal(h.t, http.StatusOK, code)
	require.Contains(h.t, body, "disk full since")
	code, body = p.page("/status.json")
	require.Equal(h.t, http.StatusOK, code)
	require.Contains(h.t, body, `"disk_full_since"`)
	require.Contains(h.t, body, `"word":"DISK FULL"`)
	out, exit := command(h.t, h.dir, "status")
	require.Zero(h.t, exit, out)
	require.Contains(h.t, out, "FULL since")
	for i := 0; exit == 0 && i < 4096; i++ { // until the free pages of the file are used up
		key := "/example/no-space-" + strconv.Itoa(i)
		number := h.model.begin(own("value", key, true))
		if out, exit = command(h.t, h.dir, "put", key, strings.Repeat("x", 8<<10)); exit == 0 {
			h.model.end(number)
		}
	}
	require.NotZero(h.t, exit, "a key that cannot be stored")
	require.Contains(h.t, out, "the disk of the database is full")
}

// tellsSpace checks that everything reports the space again, without a write.
func (h *home) tellsSpace(p *daemon) {
	h.t.Helper()
	until(h.t, "it notices the space", func() bool { return p.metric("holdfast_disk_full") == 0 })
	require.Equal(h.t, 1, strings.Count(p.logs.String(), "the disk has space again"), "%s", p.logs)
	_, body := p.page("/healthz")
	require.Equal(h.t, "ok\n", body)
	s, err := p.status()
	require.NoError(h.t, err)
	require.True(h.t, s.DiskFullSince.IsZero())
}

// heals waits until a write of each kind is acknowledged again.
func (h *home) heals(p *daemon) {
	h.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	until(h.t, "it heals", func() bool {
		_, err := p.api.Provide(ctx, []byte("healed"))
		return err == nil
	})
	h.model.end(h.model.begin(own("provider", "healed", true)))
}

// TestReadOnly starts a daemon on files that it may not write. It reports this and leaves
// them unchanged.
func TestReadOnly(t *testing.T) {
	forced(t, 1, 1)
	rng := random(t)
	w := newWorld(t)
	d := newDisk(t, 256)
	h := newHome(w, rng, filepath.Join(d.dir, "home"))
	p := h.start(launch{})
	l := h.load(p, longTTL, false)
	time.AfterFunc(time.Second, p.kill)
	require.Empty(t, l.finish(), "%s", p.logs)
	p.end()
	before := names(t, h.dir)
	refuses := func(word error) {
		t.Helper()
		p := serve(t, h.dir, launch{})
		require.False(t, p.ready)
		require.NotZero(t, p.exited())
		require.Contains(t, p.logs.String(), word.Error())
		require.NotContains(t, p.logs.String(), "goroutine ", "it crashed")
		require.Equal(t, before, names(t, h.dir), "%s", p.logs)
	}

	require.NoError(t, syscall.Mount("", d.dir, "", syscall.MS_REMOUNT|syscall.MS_RDONLY, ""))
	refuses(syscall.EROFS)
	out, code := command(t, h.dir, "check")
	require.True(t, code == 0 || strings.Contains(out, syscall.EROFS.Error()), "%d: %s", code, out)
	require.NoError(t, syscall.Mount("", d.dir, "", syscall.MS_REMOUNT, ""))

	files, err := filepath.Glob(filepath.Join(h.dir, "*.db"))
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, f := range files {
		run(t, "chattr", "+i", f)
		refuses(syscall.EPERM)
		run(t, "chattr", "-i", f)
	}
	h.start(launch{}).end()
	requireClean(t, h.dir)
	t.Logf("FORCE daemon: read-only file system and %d read-only files: refused with a word, unchanged, whole afterwards", len(files))
}

// names lists a directory, without sockets.
func names(t *testing.T, dir string) (list []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	for _, e := range entries {
		if e.Type().IsRegular() {
			list = append(list, e.Name())
		}
	}
	return list
}

// TestTwoDaemons starts a second daemon, and the offline tools, in the directory of a running
// daemon. Each names the process that holds it, and the first daemon is not affected.
func TestTwoDaemons(t *testing.T) {
	forced(t, 1, 1)
	rng := random(t)
	h := newHome(newWorld(t), rng, filepath.Join(t.TempDir(), "home"))
	p := h.start(launch{})
	l := h.load(p, longTTL, false)
	pid := strconv.Itoa(p.Process.Pid)
	second := serve(t, h.dir, launch{})
	require.NotZero(t, second.exited())
	require.Contains(t, second.logs.String(), pid)
	backup := filepath.Join(t.TempDir(), "backup")
	out, code := command(t, h.dir, "backup", backup)
	require.Zero(t, code, out)
	for _, args := range [][]string{{"check"}, {"check", "--repair"}, {"compact"}, {"restore", backup}} {
		out, code := command(t, h.dir, args...)
		require.NotZero(t, code, args)
		require.Contains(t, out, pid, args)
	}
	p.kill()
	require.Empty(t, l.finish(), "%s", p.logs)
	p.end()
	requireClean(t, h.dir)
	h.start(launch{}).end()
	t.Logf("FORCE daemon: a second one, check, repair, compact and restore on a directory in use are refused, naming process %s", pid)
}
