package storage

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/holdfast-dht/holdfast/pkg/kad"
	"github.com/holdfast-dht/holdfast/pkg/records"
	"github.com/holdfast-dht/holdfast/storage/internal/pages"
	"github.com/holdfast-dht/holdfast/storage/runs"
)

// Contents of the files that the tests damage.
const (
	damagedValues    = 200
	damagedPublished = 1500
	damagedProviders = 3000
)

func valueAt(i int) []byte { return bytes.Repeat(fmt.Appendf(nil, "value %d;", i), 20) }

// fileSet maps the names of a store's files to their contents.
type fileSet map[string][]byte

// with returns a copy of the set in which one file is replaced.
func (s fileSet) with(name string, contents []byte) fileSet {
	out := maps.Clone(s)
	out[name] = contents
	return out
}

func (s fileSet) clone() fileSet {
	out := make(fileSet)
	for name, b := range s {
		out[name] = bytes.Clone(b)
	}
	return out
}

// fill writes the records that the tests look for and returns the files.
func fill(t *testing.T) fileSet {
	dir := t.TempDir()
	db, err := Open(dir, Options{Options: runs.Options{NoSync: true}})
	require.NoError(t, err)
	for i := range damagedValues {
		require.NoError(t, db.PutValue(start, records.Value{Key: wideKey(i), Value: valueAt(i), Expires: start.Add(time.Hour)}, nil))
	}
	var ps []records.Published
	for i := range damagedPublished {
		ps = append(ps, records.Published{Kind: records.Kind(i % 2), Key: wideKey(i), Value: nil, Added: start, Due: start})
	}
	require.NoError(t, db.Publish(ps...))
	for i := range damagedProviders {
		provide(t, db, start, strconv.Itoa(i%700), strconv.Itoa(i%90), time.Duration(i%40+1)*time.Hour, false)
		if i == damagedProviders*2/3 { // these are in runs, the rest in the log
			require.NoError(t, db.providers.Rotate())
		}
	}
	for i := range 3 {
		require.NoError(t, db.SaveSnapshot(records.Snapshot{
			Taken: start.Add(time.Duration(i) * time.Hour),
			Peers: []records.SnapshotPeer{{ID: "a", Addrs: [][]byte{make([]byte, 200)}}, {ID: "b"}},
		}))
	}
	require.NoError(t, db.Close())
	set := make(fileSet)
	for _, name := range dbFiles {
		b, err := os.ReadFile(filepath.Join(dir, name))
		require.NoError(t, err)
		// Trim the tail of the file that has never been used.
		set[name] = bytes.TrimRight(b, "\x00")
		pages := (len(set[name]) + os.Getpagesize() - 1) / os.Getpagesize()
		set[name] = b[:pages*os.Getpagesize()]
	}
	return set
}

// openDamaged opens a store that consists of the given files.
func openDamaged(t *testing.T, set fileSet, o Options) (*DB, string) {
	t.Helper()
	dir := t.TempDir()
	set.write(t, dir)
	o.NoSync = true
	db, err := Open(dir, o)
	require.NoError(t, err, "a store always starts")
	return db, dir
}

func (set fileSet) write(t *testing.T, dir string) {
	t.Helper()
	for name, contents := range set {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), contents, 0o600))
	}
}

// use reads and writes everything. Nothing may crash or hang, and whatever can be checked is
// right or absent.
func use(t *testing.T, db *DB) (values, published int) {
	t.Helper()
	for i := range damagedValues {
		if v, err := db.Value(start, wideKey(i)); err == nil {
			require.Equal(t, valueAt(i), v.Value)
			values++
		}
	}
	_ = db.Range(kad.Prefix{}, func(p records.Published) bool {
		require.True(t, p.Added.Equal(start))
		published++
		return true
	})
	for i := range 700 {
		_, _ = db.Providers(nil, start, []byte(strconv.Itoa(i)), 20)
	}
	_, _ = db.LoadSnapshot()
	for i := range 30 {
		_ = db.AddProvider(start, []byte(strconv.Itoa(i*20)), providerOf(strconv.Itoa(i), start.Add(50*time.Hour)), i%3 == 0)
		_ = db.PutValue(start, records.Value{Key: wideKey(i * 7), Value: valueAt(i * 7), Expires: start.Add(2 * time.Hour)}, nil)
		_ = db.Done(0, wideKey(i*50), start, start)
	}
	_ = db.Publish(records.Published{Key: []byte("new"), Added: start})
	_ = db.SaveSnapshot(records.Snapshot{Taken: start})
	for i := range 5 {
		_, _ = db.Expire(start.Add(time.Duration(i) * 10 * time.Hour))
	}
	db.Stats()
	_, _ = db.Sizes()
	return values, published
}

func TestGarbage(t *testing.T) {
	whole := fill(t)
	rng := rand.New(rand.NewPCG(1, 1))
	noise := make([]byte, 100_000)
	for i := range noise {
		noise[i] = byte(rng.Uint32())
	}
	for _, file := range dbFiles {
		whole := whole[file]
		for name, contents := range map[string][]byte{
			"text":   []byte("this is not a database\n"),
			"noise":  noise,
			"zeroes": make([]byte, 50_000),
			"byte":   {0},
			"metas":  whole[:2*os.Getpagesize()],
			"page":   whole[:os.Getpagesize()],
		} {
			t.Run(file+"/"+name, func(t *testing.T) { testGarbage(t, file, contents) })
		}
	}
}

func testGarbage(t *testing.T, file string, contents []byte) {
	var told *Quarantine
	// The other files are empty too: the damage is total.
	first, dir := openDamaged(t, nil, Options{})
	require.NoError(t, first.Close())
	require.NoError(t, os.WriteFile(filepath.Join(dir, file), contents, 0o600))
	db, err := Open(dir, Options{Options: runs.Options{NoSync: true}, OnQuarantine: func(q Quarantine) { told = &q }})
	require.NoError(t, err)
	q := db.Quarantined()
	require.NotNil(t, q)
	require.Equal(t, q, told)
	require.ErrorIs(t, q.Reason, ErrCorrupt)
	require.Regexp(t, `\.db\.corrupt-\d+$`, q.Path)
	require.True(t, q.Incomplete)
	var kept []byte
	for _, path := range q.Files {
		if strings.HasPrefix(filepath.Base(path), file) {
			kept, err = os.ReadFile(path)
			require.NoError(t, err)
		}
	}
	require.True(t, bytes.Equal(contents, kept), "the damaged file was changed")
	provide(t, db, start, "k", "p", time.Hour, true)
	require.NoError(t, db.Close())
	requireSound(t, dir)
	db = openTest(t, dir, Options{})
	require.Nil(t, db.Quarantined())
	require.EqualValues(t, 1, db.Stats().Records[records.KindProvider])
}

func TestTruncated(t *testing.T) {
	whole := fill(t)
	for _, file := range dbFiles {
		whole := whole[file]
		for i := range 9 {
			size := len(whole) * (i + 1) / 10
			t.Run(fmt.Sprint(file, size), func(t *testing.T) {
				db, dir := openDamaged(t, fill(t).with(file, whole[:size]), Options{})
				require.NotNil(t, db.Quarantined())
				require.True(t, db.Quarantined().Incomplete)
				values, published := use(t, db)
				t.Logf("%d of %d pages: %d values, %d published keys, %d providers", size/4096, len(whole)/4096,
					values, published, db.Quarantined().Records[0])
				require.NoError(t, db.Close())
				requireSound(t, dir)
			})
		}
	}
}

// TestEmptied empties each file while the others remain: the result is not a new store.
func TestEmptied(t *testing.T) {
	for _, file := range dbFiles {
		t.Run(file, func(t *testing.T) {
			db, dir := openDamaged(t, fill(t).with(file, nil), Options{})
			q := db.Quarantined()
			require.NotNil(t, q)
			require.ErrorIs(t, q.Reason, ErrCorrupt)
			require.True(t, q.Incomplete)
			values, published := use(t, db)
			if file != FileName {
				require.Equal(t, damagedValues, values)
				require.Equal(t, damagedPublished, published)
			}
			require.NoError(t, db.Close())
			requireSound(t, dir)
			db = openTest(t, dir, Options{})
			require.Nil(t, db.Quarantined())
		})
	}
}

// isLeaf reports whether a bbolt page is a leaf, as the two bytes after its number say.
func isLeaf(page []byte) bool { return binary.NativeEndian.Uint16(page[8:]) == 2 }

// spansMuch reports whether a flipped bit at this offset makes a leaf claim 65,536 more pages
// or more. A start does not notice that in a large file, and when bbolt frees the leaf, it
// frees them all (see docs/FAULTS.md).
func spansMuch(file []byte, at int) bool {
	return isLeaf(file[at/4096*4096:]) && (at%4096 == 14 || at%4096 == 15)
}

// notOurs reports whether the file was taken for one of another program, store, network or
// version, because the bit was in its metadata.
func notOurs(err error) bool {
	return errors.Is(err, ErrForeign) || errors.Is(err, ErrSchema) || errors.Is(err, ErrNetwork)
}

func (set fileSet) requireUnchanged(t *testing.T, dir string) {
	t.Helper()
	for name, contents := range set {
		b, err := os.ReadFile(filepath.Join(dir, name))
		require.NoError(t, err)
		require.True(t, bytes.HasPrefix(b, contents), name)
	}
}

// TestFlippedBits damages single bits everywhere, whether or not they are noticed at open.
func TestFlippedBits(t *testing.T) {
	whole := fill(t)
	n := 60
	if testing.Short() {
		n = 30
	}
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	quarantined := 0
	for i := range n {
		file := dbFiles[rng.IntN(len(dbFiles))]
		b := bytes.Clone(whole[file])
		at := rng.IntN(len(b))
		if i%2 == 0 { // headers and elements of a page are the most sensitive
			at = at/4096*4096 + rng.IntN(96)
		}
		o := Options{Options: runs.Options{NoSync: true}}
		if i%4 >= 2 {
			o.verifyPages = 2 // as if the file were large
			if spansMuch(b, at) {
				continue
			}
		}
		b[at] ^= 1 << rng.IntN(8)
		set, dir := whole.with(file, b), t.TempDir()
		set.write(t, dir)
		db, err := Open(dir, o)
		if notOurs(err) {
			set.requireUnchanged(t, dir)
			continue
		}
		require.NoError(t, err, "%s: bit at %d", file, at)
		values, published := use(t, db)
		if q := db.Quarantined(); q != nil {
			quarantined++
			require.GreaterOrEqual(t, published, damagedPublished*9/10, "%s: bit at %d: %+v", file, at, q)
			require.GreaterOrEqual(t, values, damagedValues*8/10, "%s: bit at %d: %+v", file, at, q)
		}
		_ = db.Close()
		// The next start repairs whatever damage the reads found.
		db, err = Open(dir, Options{Options: runs.Options{NoSync: true}, verifyPages: pages.All})
		require.NoError(t, err, "bit at %d", at)
		_, err = db.Check()
		require.NoError(t, err)
		use(t, db)
		require.NoError(t, db.Close(), "bit at %d", at)
	}
	t.Logf("%d of %d files moved aside at open", quarantined, n)
}

// TestDamagedRow damages a row, which a check of the structure cannot detect.
func TestDamagedRow(t *testing.T) {
	set := fill(t).clone()
	whole := set[FileName]
	at := bytes.LastIndex(whole, valueAt(7))
	require.Positive(t, at)
	for i := bytes.Index(whole, valueAt(7)); i >= 0 && i <= at; i++ { // all copies, including those in old pages
		if bytes.HasPrefix(whole[i:], valueAt(7)) {
			whole[i+30] ^= 4
		}
	}
	var o observer
	db, dir := openDamaged(t, set, Options{Options: runs.Options{Observer: &o}})
	require.Nil(t, db.Quarantined())
	_, err := db.Value(start, wideKey(7))
	require.ErrorIs(t, err, ErrCorrupt)
	require.Len(t, o.errors(), 1)
	_, err = db.Value(start, wideKey(8))
	require.NoError(t, err)
	require.NoError(t, db.Close())

	db, err = Open(dir, Options{Options: runs.Options{NoSync: true}})
	require.NoError(t, err)
	q := db.Quarantined()
	require.NotNil(t, q, "the mark of the last run requests a full check")
	require.EqualValues(t, damagedValues-1, q.Records[records.KindValue])
	require.EqualValues(t, damagedPublished, q.Published[0]+q.Published[1])
	require.Equal(t, 3, q.Snapshots)
	_, err = db.Value(start, wideKey(7))
	require.ErrorIs(t, err, records.ErrNotFound)
	require.NoError(t, db.Close())
	requireSound(t, dir)

	db = openTest(t, dir, Options{})
	require.Nil(t, db.Quarantined())
}

// TestSalvageIsWhole repairs an undamaged file without losing anything.
func TestSalvageIsWhole(t *testing.T) {
	db, dir := openDamaged(t, fill(t), Options{})
	before := db.Stats()
	require.NoError(t, db.Close())
	q, err := Repair(dir, Options{})
	require.NoError(t, err)
	require.False(t, q.Incomplete)
	for _, path := range q.Files {
		require.Regexp(t, `\.db\.corrupt-\d+-recovered(-1)?$`, path)
	}
	require.Equal(t, before.Records, q.Records)
	require.Equal(t, before.Published, q.Published)
	require.Equal(t, 3, q.Snapshots)
	requireSound(t, dir)
	db = openTest(t, dir, Options{})
	values, published := use(t, db)
	require.Equal(t, damagedValues, values)
	require.Equal(t, damagedPublished, published)
}

// TestLostRoot destroys every root of the trees. The published keys, values and provider
// records are still found.
func TestLostRoot(t *testing.T) {
	whole := fill(t)
	db, _ := openDamaged(t, whole, Options{})
	before := db.Stats()
	require.NoError(t, db.Close())
	set := whole.clone()
	for _, b := range set {
		clear(b[:2*os.Getpagesize()])
	}
	db, dir := openDamaged(t, set, Options{})
	q := db.Quarantined()
	require.NotNil(t, q)
	require.Len(t, q.Files, len(dbFiles))
	require.EqualValues(t, damagedPublished, q.Published[0]+q.Published[1])
	require.EqualValues(t, damagedValues, q.Records[records.KindValue])
	require.EqualValues(t, before.Records[records.KindProvider], q.Records[records.KindProvider])
	require.Equal(t, 1, q.Snapshots)
	s, err := db.LoadSnapshot()
	require.NoError(t, err)
	require.True(t, s.Taken.Equal(start.Add(2*time.Hour)), "not the newest")
	require.NoError(t, db.Close())
	requireSound(t, dir)
}

// TestDamagedRun damages a block of a run, which a check of the structure cannot detect. The
// key has no answer, and the next start copies the other records.
func TestDamagedRun(t *testing.T) {
	set := fill(t).clone()
	b := set[runs.RunsName]
	hit := 0
	for at := 0; at < len(b); at += 4096 { // flips one bit of the first block in each leaf of a run
		if isLeaf(b[at:]) && binary.NativeEndian.Uint32(b[at+16+8:]) == 20 { // a key of 20 bytes
			b[at+1000] ^= 16
			hit++
		}
	}
	require.Positive(t, hit)
	var o observer
	db, dir := openDamaged(t, set, Options{Options: runs.Options{Observer: &o}})
	require.Nil(t, db.Quarantined())
	bad := 0
	for i := range 700 {
		if _, err := db.Providers(nil, start, []byte(strconv.Itoa(i)), 20); err != nil {
			require.ErrorIs(t, err, ErrCorrupt)
			bad++
		}
	}
	require.Positive(t, bad)
	require.Len(t, o.errors(), bad)
	before := db.Stats().Records[records.KindProvider]
	require.NoError(t, db.Close())
	db, err := Open(dir, Options{Options: runs.Options{NoSync: true}})
	require.NoError(t, err)
	q := db.Quarantined()
	require.NotNil(t, q, "the mark of the last run requests a full check")
	require.Len(t, q.Files, 2)
	require.True(t, q.Incomplete)
	require.Less(t, q.Records[records.KindProvider], before)
	require.Greater(t, q.Records[records.KindProvider], before/4)
	require.NoError(t, db.Close())
	requireSound(t, dir)
}

// TestCheckReportsDamage checks that the offline check reports what Open would repair.
func TestCheckReportsDamage(t *testing.T) {
	whole := fill(t)
	for _, file := range dbFiles {
		dir := t.TempDir()
		half := whole[file][:len(whole[file])/2]
		for name, b := range whole.with(file, half) {
			require.NoError(t, os.WriteFile(filepath.Join(dir, name), b, 0o600))
		}
		r, err := Check(dir, nil)
		require.NoError(t, err)
		require.False(t, r.OK(), file)
		require.Equal(t, []string{file}, r.Files)
		_, err = Open(dir, Options{Options: runs.Options{ReadOnly: true}})
		require.ErrorIs(t, err, ErrCorrupt)
		_, _, err = Compact(dir, nil)
		require.ErrorIs(t, err, ErrCorrupt)
		left, err := os.ReadFile(filepath.Join(dir, file))
		require.NoError(t, err)
		require.True(t, bytes.Equal(left, half), "a check changed the file")
	}
}

// TestFileCutWhileOpen truncates the file of a running store, as a careless cp or a failing
// disk does: reads of lost pages fault.
func TestFileCutWhileOpen(t *testing.T) {
	for _, file := range dbFiles {
		db, dir := openDamaged(t, fill(t), Options{})
		require.NoError(t, os.Truncate(filepath.Join(dir, file), 3*int64(os.Getpagesize())))
		use(t, db)
		_ = db.Close()
		db, err := Open(dir, Options{Options: runs.Options{NoSync: true}})
		require.NoError(t, err, file)
		use(t, db)
		require.NoError(t, db.Close(), file)
	}
}
