//go:build force

package force

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/holdfast-dht/holdfast/internal/api"
)

const page = 4096

// damages are ways to damage a file. Each returns a description and the damaged file.
var damages = []func(rng *rand.Rand, file []byte) (string, []byte){
	func(rng *rand.Rand, file []byte) (string, []byte) {
		n := rng.IntN(len(file))
		return fmt.Sprint("cut to ", n), file[:n]
	},
	func(rng *rand.Rand, file []byte) (string, []byte) {
		at := rng.IntN(len(file))
		file[at] ^= 1 << rng.IntN(8)
		return fmt.Sprint("bit flipped at ", at), file
	},
	func(rng *rand.Rand, file []byte) (string, []byte) { // damage in headers has the worst effects
		at := rng.IntN(len(file)/page)*page + rng.IntN(64)
		file[at] ^= 1 << rng.IntN(8)
		return fmt.Sprint("bit flipped at ", at), file
	},
	func(rng *rand.Rand, file []byte) (string, []byte) {
		at := rng.IntN(len(file) / page)
		clear(file[at*page : (at+1)*page])
		return fmt.Sprint("page zeroed: ", at), file
	},
	func(rng *rand.Rand, file []byte) (string, []byte) {
		n := 2 + rng.IntN(20)
		for range n {
			file[rng.IntN(len(file))] ^= 1 << rng.IntN(8)
		}
		return fmt.Sprint("bits flipped: ", n), file
	},
	func(rng *rand.Rand, file []byte) (string, []byte) { // another page in its place, as a misdirected write leaves it
		from, to := rng.IntN(len(file)/page), rng.IntN(len(file)/page)
		copy(file[to*page:(to+1)*page], bytes.Clone(file[from*page:(from+1)*page]))
		return fmt.Sprintf("page %d in the place of %d", from, to), file
	},
	func(*rand.Rand, []byte) (string, []byte) { return "empty", nil },
	func(_ *rand.Rand, file []byte) (string, []byte) {
		clear(file[:2*page])
		return "no meta pages", file
	},
}

// filled creates a data directory with a few thousand records of every kind. Its daemon was
// stopped cleanly.
func filled(w *world, rng *rand.Rand, dir string) *home {
	h := newHome(w, rng, dir)
	for range 3 {
		d := h.start(launch{})
		l := h.load(d, longTTL, false)
		pause(time.Second)
		l.halt(time.Time{})
		d.signal(15)
		require.Zero(h.t, d.exited(), "%s", d.logs)
	}
	return h
}

// TestDamage damages a file of a stopped daemon. The next daemon starts, is the same peer,
// serves nothing that was never written, and accepts writes. Afterwards, at the latest after
// a repair, the files are valid.
func TestDamage(t *testing.T) {
	rounds := forced(t, 3, 80)
	step := 1 // step through the ways
	if rounds < len(damages) {
		step = len(damages) / rounds
	}
	rng := random(t)
	w := newWorld(t)
	whole := filled(w, rng, filepath.Join(t.TempDir(), "whole"))
	files, err := filepath.Glob(filepath.Join(whole.dir, "*.db"))
	require.NoError(t, err)
	published := whole.published(whole.dir)
	var moved, repaired, kept, of int
	for round := range rounds {
		h := newHome(w, rng, filepath.Join(t.TempDir(), "home"))
		copyHome(t, h.dir, whole.dir)
		h.id = whole.id
		hurt := damages[(round*step)%len(damages)]
		path := filepath.Join(h.dir, filepath.Base(files[round%len(files)]))
		file, err := os.ReadFile(path)
		require.NoError(t, err)
		used := min((len(bytes.TrimRight(file, "\x00"))/page+1)*page, len(file))
		what, hurtFile := hurt(rng, file[:used:used]) // the rest of the file is empty
		if len(hurtFile) == used {
			hurtFile = append(hurtFile, file[used:]...)
		}
		require.NoError(t, os.WriteFile(path, hurtFile, 0o600))
		what = filepath.Base(path) + " " + what

		if rng.IntN(4) == 0 { // killed during the salvage
			call := injected{call: []string{"rename,renameat,renameat2", "fdatasync", "pwrite64"}[rng.IntN(3)], when: 1 + rng.IntN(4), fault: "signal=SIGKILL"}
			serve(t, h.dir, launch{tracer: call.tracer(h.dir)}).end()
		}
		d := serve(t, h.dir, launch{})
		h.meet(d)
		aside := corrupt(t, h.dir)
		if aside > 0 {
			moved++
		}
		keys := h.count(d)
		kept, of = kept+keys, of+published
		whole.requireNothingNew(d, what)
		l := h.load(d, longTTL, false)
		pause(200 * time.Millisecond)
		l.halt(time.Time{})
		d.signal(15)
		d.exited()
		require.NotContains(t, d.logs.String(), "goroutine ", "it crashed: %s", what)

		h.published(h.dir)                                      // starts once more
		if out, code := command(t, h.dir, "check"); code != 0 { // damage that no read has found until now
			repaired++
			out2, code := command(t, h.dir, "check", "--repair")
			require.Zero(t, code, "%s: %s: %s", what, out, out2)
			requireClean(t, h.dir)
			h.published(h.dir)
		}
		t.Logf("%s: files moved aside %d, published keys kept %d of %d", what, aside, keys, published)
		require.NoError(t, os.RemoveAll(h.dir))
	}
	t.Logf("FORCE daemon: %d damaged files: always started, %d moved aside and salvaged at start, %d repaired by hand, %d of %d published keys kept", rounds, moved, repaired, kept, of)
}

// corrupt counts the files that were moved aside.
func corrupt(t *testing.T, dir string) (n int) {
	for _, name := range names(t, dir) {
		if strings.Contains(name, ".corrupt-") {
			n++
		}
	}
	return n
}

// count returns how many keys a daemon publishes.
func (h *home) count(d *daemon) (n int) {
	h.t.Helper()
	require.NoError(h.t, d.api.Provides(context.Background(), func(api.Published) error { n++; return nil }))
	return n
}

// published returns how many keys the daemon of a directory publishes.
func (h *home) published(dir string) int {
	h.t.Helper()
	d := serve(h.t, dir, launch{})
	d.requireReady()
	defer func() {
		d.signal(15)
		d.exited()
	}()
	return h.count(d)
}

// requireNothingNew checks values and provider records: everything found must have been
// written at some time.
func (h *home) requireNothingNew(d *daemon, hurt string) {
	h.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	a := h.w.askers[0]
	for _, what := range h.model.choose(0, 0, "v:") {
		e, _ := h.model.entity(what)
		n, there, err := a.value(ctx, strings.TrimPrefix(what, "v:"))
		if err == nil && there {
			require.LessOrEqual(h.t, n, max(e.is.n, h.most(&e)), "%s: %s", hurt, what)
			require.Positive(h.t, n, "%s: %s", hurt, what)
		}
	}
	for _, what := range h.model.choose(0, 0, "p:")[:200] {
		_, _, _ = h.w.look(ctx, a, h.model, what) // any answer, even an error
	}
}

func (h *home) most(e *entity) (n int64) {
	for _, c := range e.maybe {
		n = max(n, c.n)
	}
	return n
}
