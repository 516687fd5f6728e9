//go:build force

package force

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/p2p/net/swarm"
	"github.com/libp2p/go-libp2p/p2p/security/noise"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/holdfast-dht/holdfast/pkg/kad"
	"github.com/holdfast-dht/holdfast/pkg/records"
	"github.com/holdfast-dht/holdfast/pkg/wire"
	"github.com/holdfast-dht/holdfast/storage"
	"github.com/holdfast-dht/holdfast/storage/runs"
)

// holding is a daemon with many provider records.
type holding struct {
	t      *testing.T
	w      *world
	dir    string
	n      int // records
	peers  int // connections
	listen string
	ai     *peer.AddrInfo
}

// holders is the number of peers with records.
const holders = 20_000

func heldKey(i int) []byte {
	sum := sha256.Sum256(binary.BigEndian.AppendUint64(nil, uint64(i)))
	return append([]byte{0x12, 0x20}, sum[:]...)
}

func heldProvider(i int, now time.Time) records.Provider {
	id := fmt.Sprintf("\x00\x24\x08\x01\x12\x20%032d", i%holders)
	p := records.Provider{ID: kad.PeerID(id), Expires: now.Add(records.MaxTTL)}
	for port := range 4 {
		p.Addrs = append(p.Addrs, []byte{4, 10, byte(i >> 8), byte(i), 1, 6, 16, byte(port)})
	}
	return p
}

// fill stores the records of the last 47 hours.
func (h *holding) fill() (took time.Duration) {
	h.t.Helper()
	const batch = 10_000
	db, err := storage.Open(h.dir, storage.Options{Network: prefix})
	require.NoError(h.t, err)
	began := time.Now()
	for i := 0; i < h.n; i += batch {
		now := began.Add(-47 * time.Hour / time.Duration(h.n) * time.Duration(h.n-i))
		var recs []runs.ProviderRecord
		for j := i; j < min(i+batch, h.n); j++ {
			recs = append(recs, runs.ProviderRecord{Key: heldKey(j), Provider: heldProvider(j, now)})
		}
		_, err := db.AddProviders(now, recs, true)
		require.NoError(h.t, err)
	}
	took = time.Since(began)
	require.EqualValues(h.t, h.n, db.Stats().Records[records.KindProvider])
	require.NoError(h.t, db.Close())
	return took
}

// start starts the daemon and returns the time from before exec to the first answers to
// GET_PROVIDERS and to FIND_NODE.
func (h *holding) start() (d *daemon, providers, node time.Duration) {
	h.t.Helper()
	var wg sync.WaitGroup
	began := time.Now()
	if h.ai != nil {
		key := heldKey(int(began.UnixNano()>>10) % h.n)
		ask := func(a *asker, took *time.Duration, msg *wire.Message, good func(*wire.Message) bool) {
			a.meet(h.ai)
			wg.Go(func() {
				for time.Since(began) < patience {
					a.host.Network().(*swarm.Swarm).Backoff().Clear(a.to)
					resp, err := a.ask(h.t.Context(), msg)
					if err == nil && good(resp) {
						*took = time.Since(began)
						return
					}
					pause(2 * time.Millisecond)
				}
			})
		}
		ask(h.w.askers[0], &providers, &wire.Message{Type: wire.GetProviders, Key: key},
			func(m *wire.Message) bool { return len(m.ProviderPeers) == 1 })
		ask(h.w.askers[1], &node, &wire.Message{Type: wire.FindNode, Key: key}, func(*wire.Message) bool { return true })
	}
	d = serve(h.t, h.dir, launch{args: h.w.bootstrap(), listen: h.listen, env: []string{
		"HOLDFAST_STORAGE__MAX_BYTES=8GiB", fmt.Sprint("HOLDFAST_LIMITS__CONNECTIONS_HIGH=", max(600, h.peers)),
	}})
	d.requireReady()
	wg.Wait()
	if h.ai == nil {
		ai, err := peer.AddrInfoFromString(d.addr)
		require.NoError(h.t, err)
		h.ai = ai
	} else {
		require.True(h.t, providers > 0 && node > 0, "no answer within %s", patience)
	}
	return d, providers, node
}

// forget evicts the files from the page cache.
func (h *holding) forget() {
	h.t.Helper()
	files, err := filepath.Glob(filepath.Join(h.dir, "*.db"))
	require.NoError(h.t, err)
	for _, name := range files {
		f, err := os.Open(name)
		require.NoError(h.t, err)
		require.NoError(h.t, f.Sync())
		require.NoError(h.t, unix.Fadvise(int(f.Fd()), 0, 0, unix.FADV_DONTNEED))
		require.NoError(h.t, f.Close())
	}
}

// bytes returns the length of the files.
func (h *holding) bytes() (sum int64) {
	files, err := filepath.Glob(filepath.Join(h.dir, "*.db"))
	require.NoError(h.t, err)
	for _, name := range files {
		info, err := os.Stat(name)
		require.NoError(h.t, err)
		sum += info.Size()
	}
	return sum
}

// memory returns the memory of a process in MiB: anonymous memory, and pages of files.
func memory(t *testing.T, pid int) (anon, file int) {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	require.NoError(t, err)
	for line := range strings.Lines(string(text)) {
		name, rest, _ := strings.Cut(line, ":")
		if name != "RssAnon" && name != "RssFile" {
			continue
		}
		kib, err := strconv.Atoi(strings.Fields(rest)[0])
		require.NoError(t, err)
		if name == "RssAnon" {
			anon = kib >> 10
		} else {
			file = kib >> 10
		}
	}
	return anon, file
}

// connect connects more peers to the daemon.
func (h *holding) connect(n int) (all []*asker) {
	h.t.Helper()
	for range n {
		host, err := libp2p.New(libp2p.NoListenAddrs, libp2p.Security(noise.ID, noise.New), libp2p.DisableRelay(), libp2p.DisableMetrics())
		require.NoError(h.t, err)
		h.t.Cleanup(func() { host.Close() })
		a := newAsker(host)
		a.addrs = h.w.askers[0].addrs
		a.meet(h.ai)
		_, err = a.ask(h.t.Context(), &wire.Message{Type: wire.FindNode, Key: heldKey(n)})
		require.NoError(h.t, err)
		all = append(all, a)
	}
	return all
}

// busy has peers request and announce records for a time, and returns the maximum anonymous
// memory of the daemon meanwhile.
func (h *holding) busy(d *daemon, peers []*asker, seed uint64, most time.Duration) (anon, asked int) {
	h.t.Helper()
	ctx, stop := context.WithTimeout(h.t.Context(), most)
	defer stop()
	var wg sync.WaitGroup
	var count atomic.Int64
	for g := range 16 {
		rng := rand.New(rand.NewPCG(seed, uint64(g)))
		wg.Go(func() {
			for ctx.Err() == nil {
				a := peers[rng.IntN(len(peers))]
				msg := &wire.Message{Type: wire.GetProviders, Key: heldKey(rng.IntN(h.n))}
				if resp, err := a.ask(ctx, msg); err == nil {
					count.Add(1)
					if len(resp.ProviderPeers) == 0 {
						h.t.Errorf("%x: %v", msg.Key, errLost)
					}
				}
				_, _ = a.client.Notify(ctx, a.to, (&load{}).announcement(a, fmt.Sprint("more ", rng.IntN(1_000_000))))
			}
		})
	}
	for ctx.Err() == nil {
		now, _ := memory(h.t, d.Process.Pid)
		anon = max(anon, now)
		pause(50 * time.Millisecond)
	}
	wg.Wait()
	return anon, int(count.Load())
}

// restart is a way to stop a daemon and start the next one.
type restart struct {
	name         string
	clean, cache bool
}

var restarts = []restart{
	{"a clean stop", true, true}, {"a clean stop, files not cached", true, false},
	{"kill -9", false, true}, {"kill -9, files not cached", false, false},
}

// restart restarts a daemon several times, logs the time to the first answers, and returns
// the last daemon.
func (h *holding) restart(d *daemon, way restart, rounds int) *daemon {
	h.t.Helper()
	providers, nodes := make([]time.Duration, rounds), make([]time.Duration, rounds)
	for i := range rounds {
		if way.clean {
			d.signal(15)
			require.Zero(h.t, d.exited(), "%s", d.logs)
		} else {
			h.busy(d, h.w.askers[:2], uint64(i), 200*time.Millisecond)
		}
		d.end()
		if !way.cache {
			h.forget()
		}
		d, providers[i], nodes[i] = h.start()
	}
	slices.Sort(providers)
	slices.Sort(nodes)
	h.t.Logf("FORCE holding: from exec after %s, median and longest of %d: first answer to GET_PROVIDERS %s, %s; to FIND_NODE %s, %s", way.name, rounds,
		providers[rounds/2].Round(time.Millisecond), providers[rounds-1].Round(time.Millisecond),
		nodes[rounds/2].Round(time.Millisecond), nodes[rounds-1].Round(time.Millisecond))
	return d
}

// freePort returns an address without a listener.
func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	return fmt.Sprintf("/ip4/127.0.0.1/tcp/%d", l.Addr().(*net.TCPAddr).Port)
}

// The environment variables that set how many records and connections TestHolding has, to
// size a machine.
const (
	recordsEnv = "HOLDFAST_FORCE_RECORDS"
	peersEnv   = "HOLDFAST_FORCE_PEERS"
)

// sized returns the number in an environment variable, or usual if it is not set.
func sized(t *testing.T, env string, usual int) int {
	t.Helper()
	text := os.Getenv(env)
	if text == "" {
		return usual
	}
	n, err := strconv.Atoi(text)
	require.NoError(t, err, env)
	require.Positive(t, n, env)
	return n
}

// TestHolding serves a directory with ten million provider records and logs what that costs:
// file sizes, memory, and the time from exec to the first answers, after a clean stop and
// after kill -9, with and without the files in the page cache.
func TestHolding(t *testing.T) {
	n, peers := sized(t, recordsEnv, forced(t, 100_000, 10_000_000)), sized(t, peersEnv, forced(t, 10, 500))
	rounds, seconds := forced(t, 1, 5), forced(t, 1, 60)
	h := &holding{t: t, n: n, peers: peers, dir: filepath.Join(t.TempDir(), "home"), listen: freePort(t), w: newWorld(t)}
	took := h.fill()
	t.Logf("FORCE holding: %d records stored in %s, %.1f bytes of file a record", n, took.Round(time.Millisecond), float64(h.bytes())/float64(n))
	d, _, _ := h.start()
	idle, file := memory(t, d.Process.Pid)
	most, asked := h.busy(d, h.connect(peers), 0, time.Duration(seconds)*time.Second)
	after, fileAfter := memory(t, d.Process.Pid)
	t.Logf("FORCE holding: memory of its own %d MiB once ready (%d MiB of files); with %d connections at most %d MiB, then %d MiB (%d MiB of files), %d lookups answered in %d s",
		idle, file, peers, most, after, fileAfter, asked, seconds)
	for _, way := range restarts {
		d = h.restart(d, way, rounds)
	}
	s, err := d.status()
	require.NoError(t, err)
	require.GreaterOrEqual(t, s.ProviderRecords, int64(n))
	d.end()
	requireClean(t, h.dir)
}
