//go:build force

package force

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	ds "github.com/ipfs/go-datastore"
	"github.com/stretchr/testify/require"

	"github.com/holdfast-dht/holdfast/pkg/records"
	"github.com/holdfast-dht/holdfast/storage"
)

// store is a directory in which writers are killed, with the model of its contents.
type store struct {
	t       *testing.T
	dir     string
	model   *model
	numbers map[int]int // number in the current writer -> number in the model
	round   int
	began   int // position in the model when the last writer began
	clock   int64
	opened  int
	checked int // number of backups checked
	lines   int
	flushes int // flushes of provider records into runs
	merges  int
}

// epochStart is the time at which the writers begin.
var epochStart = time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)

func newStore(t *testing.T, dir string) *store {
	return &store{t: t, dir: dir, model: newModel(), clock: epochStart.Unix()}
}

// command returns the command of the writer, run by the tracer if there is one.
func (s *store) command(tracer ...string) *victim {
	exe, err := os.Executable()
	require.NoError(s.t, err)
	args := append(tracer, exe)
	cmd := newVictim(args...)
	cmd.Env = append(os.Environ(), writerEnv+"="+s.dir, fmt.Sprint(roundEnv, "=", s.round), fmt.Sprint(beginEnv, "=", s.clock))
	cmd.Stderr = os.Stderr
	return cmd
}

// written is the output of a writer until its end.
type written struct {
	opened  bool
	errors  []string
	backups []string
	flushes int
	merges  int
}

// write runs a writer until it is killed or exits by itself, and updates the model. It calls
// started and opened, if set, once the writer runs and has opened the store.
func (s *store) write(cmd *victim, started, opened func()) written {
	s.t.Helper()
	s.round++
	s.began = s.model.order
	s.numbers = map[int]int{}
	out, err := cmd.StdoutPipe()
	require.NoError(s.t, err)
	require.NoError(s.t, cmd.Start())
	if started != nil {
		started()
	}
	var w written
	lines := bufio.NewReaderSize(out, 1<<20)
	for {
		line, err := lines.ReadString('\n')
		if err != nil {
			require.ErrorIs(s.t, err, io.EOF)
			break // a truncated line does not count
		}
		if line = strings.TrimSuffix(line, "\n"); line == "opened" {
			w.opened = true
			s.opened++
			if opened != nil {
				opened()
			}
			continue
		}
		s.line(line, &w)
	}
	cmd.reap()
	s.model.cut()
	s.flushes, s.merges = s.flushes+w.flushes, s.merges+w.merges
	return w
}

func (s *store) line(line string, w *written) {
	s.lines++
	verb, rest, _ := strings.Cut(line, " ")
	switch verb {
	case "begin":
		var number int
		var c change
		_, err := fmt.Sscan(rest, &number, &c.what, &c.stands, &c.n, &c.lo, &c.hi, &c.extends, &c.most)
		require.NoError(s.t, err, line)
		s.numbers[number] = s.model.begin(c)
	case "end":
		number, err := strconv.Atoi(rest)
		require.NoError(s.t, err)
		s.model.end(s.numbers[number])
		delete(s.numbers, number)
	case "sweep":
		limit, err := strconv.ParseInt(rest, 10, 64)
		require.NoError(s.t, err)
		s.model.sweep(limit)
	case "swept":
		s.model.sweepEnds()
	case "built":
		_, err := fmt.Sscan(rest, &w.flushes, &w.merges)
		require.NoError(s.t, err, line)
	case "clock":
		clock, err := strconv.ParseInt(rest, 10, 64)
		require.NoError(s.t, err)
		s.clock = clock
	case "backup":
		w.backups = append(w.backups, rest)
	case "error":
		w.errors = append(w.errors, rest)
	default: // output of the test binary itself
		s.t.Logf("writer: %s", line)
	}
}

// requireSound checks a closed store.
func requireSound(t *testing.T, dir string) {
	t.Helper()
	r, err := storage.Check(dir, nil)
	require.NoError(t, err)
	require.Empty(t, r.Problems)
}

// verify opens the store and checks for everything. With a clean close afterwards, the next
// writer finds the store clean; read-only, it finds the store as the kill left it.
func (s *store) verify(readOnly bool) {
	s.t.Helper()
	o := storeOptions()
	o.ReadOnly = readOnly
	db, err := storage.Open(s.dir, o)
	require.NoError(s.t, err, "a store always starts")
	require.Nil(s.t, db.Quarantined())
	require.Empty(s.t, s.compare(db))
	require.NoError(s.t, db.Close())
}

// maxOld bounds the provider records of earlier rounds that a comparison looks up. They are
// chosen at random.
const maxOld = 4000

// compare compares the store with the model and reports differences.
func (s *store) compare(db *storage.DB) (wrong []string) {
	old := 0
	for what, e := range s.model.entities {
		kind, key, _ := strings.Cut(what, ":")
		var err error
		switch kind {
		case "p":
			if e.is.order < s.began {
				if old++; old > maxOld {
					continue
				}
			}
			err = s.compareProvider(db, key, e)
		case "a":
			continue // checked together with the provider records
		default:
			err = s.compareAt(db, kind, key, e)
		}
		if err != nil {
			wrong = append(wrong, fmt.Sprintf("%s: %v; %+v", what, err, *e))
		}
		s.model.forget(e)
	}
	return wrong
}

var (
	errServed = errors.New("is served after its time")
	errLost   = errors.New("is lost")
	errBack   = errors.New("is not what it was or may be")
)

// found returns what the store contains of a subject at a time.
func found(db *storage.DB, at time.Time, kind, key string) (n int64, there bool, err error) {
	switch kind {
	case "v":
		v, err := db.Value(at, []byte(key))
		return lookedUp(err, func() (int64, error) { return strconv.ParseInt(string(v.Value[:19]), 10, 64) })
	case "k":
		p, err := db.Load(records.KindProvider, []byte(key))
		return lookedUp(err, func() (int64, error) { return p.Due.Unix(), nil })
	case "s":
		snap, err := db.LoadSnapshot()
		return lookedUp(err, func() (int64, error) { return snap.Taken.Unix(), nil })
	case "d":
		row, err := db.Datastore().Get(context.Background(), ds.NewKey(key))
		return lookedUp(err, func() (int64, error) { return strconv.ParseInt(string(row), 10, 64) })
	}
	panic("force: unknown kind " + kind)
}

func lookedUp(err error, number func() (int64, error)) (n int64, there bool, _ error) {
	if errors.Is(err, records.ErrNotFound) || errors.Is(err, ds.ErrNotFound) {
		return 0, false, nil
	}
	if err == nil {
		n, err = number()
	}
	return n, err == nil, err
}

// compareAt looks a subject up just before its expiry and at its expiry.
func (s *store) compareAt(db *storage.DB, kind, key string, e *entity) error {
	if hi := e.until(); hi > 0 && hi != never {
		if _, there, err := found(db, time.Unix(0, hi), kind, key); there || err != nil {
			return errors.Join(errServed, err)
		}
	}
	at := s.latest(e) - 1
	if e.is.stands {
		at = min(at, e.is.lo-1)
		for _, c := range e.maybe {
			if c.stands {
				at = min(at, c.lo-1)
			}
		}
	}
	n, there, err := found(db, time.Unix(0, at), kind, key)
	switch {
	case err != nil:
		return err
	case !there && s.model.must(e, at):
		return errLost
	case there && !e.allows(n, at):
		return fmt.Errorf("%w: %d", errBack, n)
	}
	s.model.settle(e, there, n, at)
	return nil
}

// latest returns the latest expiry that was requested for a subject that may be absent, or
// now.
func (s *store) latest(e *entity) int64 {
	if hi := e.until(); hi > 0 {
		return hi
	}
	return s.clock * 1e9
}

func (s *store) compareProvider(db *storage.DB, name string, e *entity) error {
	key, id, _ := strings.Cut(name, ":")
	if p, served, err := foundProvider(db, e.until(), key, id); err != nil {
		return err
	} else if served {
		return fmt.Errorf("%w: until %d, it is %d", errServed, p.Expires.Unix(), s.clock)
	}
	at := s.latest(e) - 1e9
	addrs := s.model.entities["a:"+id]
	if e.is.stands {
		if at = min(at, e.is.lo-1e9); addrs != nil && addrs.is.stands {
			at = min(at, addrs.is.lo-1e9)
		}
	}
	p, there, err := foundProvider(db, at, key, id)
	switch {
	case err != nil:
		return err
	case !there && s.model.must(e, at):
		return errLost
	case there && !e.is.stands && len(e.maybe) == 0:
		return errBack
	case there && addrs != nil && s.model.must(addrs, at) && len(p.Addrs) == 0:
		return fmt.Errorf("has lost its addresses; %+v", *addrs)
	}
	s.model.settle(e, there, 0, at)
	return nil
}

func foundProvider(db *storage.DB, at int64, key, id string) (p records.Provider, there bool, err error) {
	ps, err := db.Providers(nil, time.Unix(0, at), []byte(key), 10_000)
	for _, p = range ps {
		if string(p.ID) == id {
			return p, true, err
		}
	}
	return p, false, err
}

// restore checks and removes the backups.
func (s *store) restore(paths []string) {
	s.t.Helper()
	for _, path := range paths {
		f, err := os.Open(path)
		require.NoError(s.t, err)
		dir := s.t.TempDir()
		_, err = storage.Restore(dir, f, nil)
		f.Close()
		require.NoError(s.t, err)
		requireSound(s.t, dir)
		require.NoError(s.t, os.RemoveAll(dir))
		s.checked++
	}
	left, err := filepath.Glob(s.dir + ".backup-*")
	require.NoError(s.t, err)
	for _, path := range left {
		os.Remove(path)
	}
}
