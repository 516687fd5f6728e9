package runs

import (
	"bufio"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.etcd.io/bbolt"

	"github.com/holdfast-dht/holdfast/pkg/kad"
	"github.com/holdfast-dht/holdfast/pkg/records"
)

// crashChildEnv turns the test binary into a child that writes until it is killed. Its value
// is the directory. The second variable is the child's start time.
const (
	crashChildEnv = "HOLDFAST_RUNS_CRASH_CHILD"
	crashTimeEnv  = "HOLDFAST_RUNS_CRASH_TIME"
)

func crashOptions() Options {
	o := tiny()
	o.NoSync = false
	o.TableRecords = 200
	o.CommitWindow = 5 * time.Millisecond
	return o
}

// crashChild adds, republishes and removes records on a clock of its own, on which a record
// takes a second. It prints what was acknowledged: "a" and "A" before and after an addition,
// "r" and "R" before and after a removal.
func crashChild() {
	s, err := Open(os.Getenv(crashChildEnv), crashOptions())
	if err != nil {
		fmt.Println("E", err)
		os.Exit(1)
	}
	begin, _ := strconv.ParseInt(os.Getenv(crashTimeEnv), 10, 64)
	var clock atomic.Int64
	clock.Store(begin)
	var mu sync.Mutex
	say := func(format string, args ...any) {
		mu.Lock()
		defer mu.Unlock()
		fmt.Printf(format, args...) // unbuffered, so that nothing printed is lost
	}
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(begin), uint64(g)))
			for {
				now := time.Unix(clock.Add(5), 0)
				key, id := fmt.Sprint("k", g, "-", rng.IntN(500)), kad.PeerID(fmt.Sprint("p", rng.IntN(30)))
				if rng.IntN(10) == 0 {
					say("r %s %s 0 %d\n", key, id, now.Unix())
					_ = s.RemoveProvider(now, []byte(key), id)
					say("R %s %s 0 %d\n", key, id, now.Unix())
					continue
				}
				p := records.Provider{ID: id, Addrs: [][]byte{{1, 2, byte(g)}}, Expires: now.Add(time.Duration(1+rng.IntN(8*3600)) * time.Second)}
				say("a %s %s %d %d\n", key, id, p.Expires.Unix(), now.Unix())
				if err := s.AddProvider(now, []byte(key), p, true); err != nil {
					say("E %v\n", err)
				}
				say("A %s %s %d %d\n", key, id, p.Expires.Unix(), now.Unix())
			}
		})
	}
	wg.Go(func() {
		for {
			time.Sleep(3 * time.Millisecond)
			if _, err := s.Expire(time.Unix(clock.Load(), 0)); err != nil {
				say("E %v\n", err)
			}
		}
	})
	wg.Wait()
}

// acked is the state of a record according to the child's output.
type acked struct {
	known, doubt bool // doubt: a removal had begun
	expires      int64
}

type crashLedger struct {
	acked map[[2]string]*acked
	now   int64
	acks  int
}

// read parses the output of a child that was killed.
func (l *crashLedger) read(t *testing.T, r io.Reader) {
	sc := bufio.NewScanner(r)
	for sc.Scan() {
		var what, key, id string
		var expires, now int64
		n, _ := fmt.Sscan(sc.Text(), &what, &key, &id, &expires, &now)
		if what == "E" {
			t.Errorf("the child failed: %s", sc.Text())
		}
		if n < 5 {
			continue // the last line may be truncated
		}
		l.now = max(l.now, now)
		a := l.acked[[2]string{key, id}]
		if a == nil {
			a = &acked{}
			l.acked[[2]string{key, id}] = a
		}
		switch what {
		case "r":
			a.doubt = true
		case "R":
			*a = acked{}
			l.acks++
		case "A":
			if !a.known || a.expires < now {
				a.expires = 0
			}
			a.known, a.doubt, a.expires = true, false, max(a.expires, expires)
			l.acks++
		}
	}
}

// check compares the store with what was acknowledged.
func (l *crashLedger) check(t *testing.T, s *Store) {
	now := time.Unix(l.now, 0)
	for k, a := range l.acked {
		if !a.known || a.doubt || a.expires <= l.now {
			continue
		}
		list, err := s.Providers(nil, now, []byte(k[0]), 1000)
		require.NoError(t, err)
		found := false
		for _, p := range list {
			if string(p.ID) == k[1] {
				found = p.Expires.Unix() >= a.expires && len(p.Addrs) == 1
			}
		}
		require.True(t, found, "record %v until %d is lost", k, a.expires)
	}
}

// TestKill kills a writing process at random moments, repeatedly on the same files. Nothing
// acknowledged is lost, and the files are valid.
func TestKill(t *testing.T) {
	rounds, _ := strconv.Atoi(os.Getenv("HOLDFAST_KILLS"))
	if rounds == 0 {
		rounds = 8
	}
	dir := t.TempDir()
	l := &crashLedger{acked: make(map[[2]string]*acked), now: start.Unix()}
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	for round := range rounds {
		killChild(t, l, dir, time.Duration(10+rng.IntN(400))*time.Millisecond)
		s, err := Open(dir, crashOptions())
		require.NoError(t, err, "round %d", round)
		check(t, s)
		l.check(t, s)
		if round%3 == 0 {
			require.NoError(t, s.Close())
		} else {
			killed(t, s)
		}
		if t.Failed() {
			t.FailNow()
		}
	}
	t.Logf("%d rounds, %d acknowledged writes", rounds, l.acks)
}

func killChild(t *testing.T, l *crashLedger, dir string, after time.Duration) {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), crashChildEnv+"="+dir, fmt.Sprint(crashTimeEnv, "=", l.now))
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	timer := time.AfterFunc(after, func() { _ = cmd.Process.Kill() })
	defer timer.Stop()
	l.read(t, out)
	_ = cmd.Wait()
}

// TestCreationCutShort opens the files that a kill may leave during the first Open: bbolt has
// created them, but our buckets are missing.
func TestCreationCutShort(t *testing.T) {
	for _, names := range [][]string{{LogName}, {LogName, RunsName}} {
		dir := t.TempDir()
		for _, name := range names {
			empty, err := bbolt.Open(filepath.Join(dir, name), 0o600, &bbolt.Options{PageSize: PageSize})
			require.NoError(t, err)
			require.NoError(t, empty.Close())
		}
		s := open(t, dir, tiny())
		require.NoError(t, s.addAt(start, 1, true))
		checked(t, s)
	}
}

// TestFileMissing opens a store in which a file is missing or empty. This is damage at every
// attempt.
func TestFileMissing(t *testing.T) {
	for _, name := range []string{LogName, RunsName} {
		for _, lose := range []func(path string) error{
			os.Remove, func(path string) error { return os.Truncate(path, 0) },
		} {
			dir := t.TempDir()
			s := open(t, dir, tiny())
			require.NoError(t, s.addAt(start, 1, true))
			require.NoError(t, s.Rotate())
			require.NoError(t, s.Close())
			require.NoError(t, lose(filepath.Join(dir, name)))
			for range 2 {
				_, err := Open(dir, tiny())
				require.ErrorIs(t, err, ErrCorrupt)
			}
		}
	}
}

// killed closes a store without the steps of a clean close.
func killed(t testing.TB, s *Store) {
	s.closing.Do(func() {
		stop(s)
		require.NoError(t, s.log.Close(nil))
		require.NoError(t, s.runs.Close(nil))
	})
}

// stop ends the goroutines of a store.
func stop(s *Store) {
	s.closed.Store(true)
	s.queue.close()
	<-s.committed
	close(s.builder.stop)
	<-s.builder.done
}
