package storage

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/holdfast-dht/holdfast/pkg/kad"
	"github.com/holdfast-dht/holdfast/pkg/records"
)

// The contents of the file that the tests damage.
const (
	damagedValues    = 200
	damagedPublished = 1500
	damagedProviders = 3000
)

func valueAt(i int) []byte { return bytes.Repeat(fmt.Appendf(nil, "value %d;", i), 20) }

// fill writes what the tests look for afterwards and returns the file.
func fill(t *testing.T) []byte {
	dir := t.TempDir()
	db, err := Open(dir, Options{NoSync: true})
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
	}
	for i := range 3 {
		require.NoError(t, db.SaveSnapshot(records.Snapshot{
			Taken: start.Add(time.Duration(i) * time.Hour),
			Peers: []records.SnapshotPeer{{ID: "a", Addrs: [][]byte{make([]byte, 200)}}, {ID: "b"}},
		}))
	}
	s, err := db.Sizes()
	require.NoError(t, err)
	require.NoError(t, db.Close())
	b, err := os.ReadFile(db.Path())
	require.NoError(t, err)
	return b[:s.Used+s.Free]
}

// openDamaged opens a store whose file has the given contents.
func openDamaged(t *testing.T, contents []byte, o Options) (*DB, string) {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, FileName), contents, 0o600))
	o.NoSync = true
	db, err := Open(dir, o)
	require.NoError(t, err, "it always starts")
	return db, dir
}

// use reads and writes everything. Nothing may crash or hang, and what can be
// checked is right or absent.
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
	for name, contents := range map[string][]byte{
		"text":   []byte("this is not a database\n"),
		"noise":  noise,
		"zeroes": make([]byte, 50_000),
		"byte":   {0},
		"metas":  whole[:2*os.Getpagesize()],
		"page":   whole[:os.Getpagesize()],
	} {
		t.Run(name, func(t *testing.T) {
			var told *Quarantine
			db, dir := openDamaged(t, contents, Options{OnQuarantine: func(q Quarantine) { told = &q }})
			q := db.Quarantined()
			require.NotNil(t, q)
			require.Equal(t, q, told)
			require.ErrorIs(t, q.Reason, ErrCorrupt)
			require.Regexp(t, `holdfast\.db\.corrupt-\d+$`, q.Path)
			require.True(t, q.Incomplete)
			kept, err := os.ReadFile(q.Path)
			require.NoError(t, err)
			require.True(t, bytes.Equal(contents, kept), "the damaged file was changed")
			provide(t, db, start, "k", "p", time.Hour, true)
			require.NoError(t, db.Close())
			requireSound(t, dir)
			db = openTest(t, dir, Options{})
			require.Nil(t, db.Quarantined())
			require.EqualValues(t, 1, db.Stats().Records[records.KindProvider])
		})
	}
}

func TestTruncated(t *testing.T) {
	whole := fill(t)
	for i := range 16 {
		size := len(whole) * (i + 1) / 17
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			db, dir := openDamaged(t, whole[:size], Options{})
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

// TestFlippedBits damages single bits everywhere, seen at open or not.
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
		b := bytes.Clone(whole)
		at := rng.IntN(len(b))
		if i%2 == 0 { // headers and elements of a page hurt most
			at = at/4096*4096 + rng.IntN(96)
		}
		b[at] ^= 1 << rng.IntN(8)
		o := Options{}
		if i%4 >= 2 {
			o.verifyPages = 2 // as if the file were large
		}
		db, dir := openDamaged(t, b, o)
		values, published := use(t, db)
		if q := db.Quarantined(); q != nil {
			quarantined++
			require.GreaterOrEqual(t, published, damagedPublished*9/10, "bit at %d: %+v", at, q)
			require.GreaterOrEqual(t, values, damagedValues*8/10, "bit at %d: %+v", at, q)
		}
		_ = db.Close()
		// Whatever damage use has met is gone after the next start.
		db, err := Open(dir, Options{NoSync: true, verifyPages: wholeFile})
		require.NoError(t, err, "bit at %d", at)
		_, err = db.Check()
		require.NoError(t, err)
		use(t, db)
		require.NoError(t, db.Close(), "bit at %d", at)
	}
	t.Logf("%d of %d files moved aside at open", quarantined, n)
}

// TestDamagedRow meets damage in a row, which no look at the structure can see.
func TestDamagedRow(t *testing.T) {
	whole := fill(t)
	at := bytes.LastIndex(whole, valueAt(7))
	require.Positive(t, at)
	for i := bytes.Index(whole, valueAt(7)); i >= 0 && i <= at; i++ { // all copies, old pages too
		if bytes.HasPrefix(whole[i:], valueAt(7)) {
			whole[i+30] ^= 4
		}
	}
	var o observer
	db, dir := openDamaged(t, whole, Options{Observer: &o})
	require.Nil(t, db.Quarantined())
	_, err := db.Value(start, wideKey(7))
	require.ErrorIs(t, err, ErrCorrupt)
	require.Len(t, o.errors(), 1)
	_, err = db.Value(start, wideKey(8))
	require.NoError(t, err)
	require.NoError(t, db.Close())

	db, err = Open(dir, Options{NoSync: true})
	require.NoError(t, err)
	q := db.Quarantined()
	require.NotNil(t, q, "the mark of the last run asks for a whole check")
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

// TestSalvageIsWhole repairs an undamaged file: nothing is lost.
func TestSalvageIsWhole(t *testing.T) {
	db, dir := openDamaged(t, fill(t), Options{})
	before := db.Stats()
	require.NoError(t, db.Close())
	q, err := Repair(dir, Options{})
	require.NoError(t, err)
	require.False(t, q.Incomplete)
	require.Equal(t, before.Records, q.Records)
	require.Equal(t, before.Published, q.Published)
	require.Equal(t, 3, q.Snapshots)
	requireSound(t, dir)
	db = openTest(t, dir, Options{})
	values, published := use(t, db)
	require.Equal(t, damagedValues, values)
	require.Equal(t, damagedPublished, published)
}

// TestLostRoot cuts every way in: the published keys are found all the same.
func TestLostRoot(t *testing.T) {
	whole := fill(t)
	db, _ := openDamaged(t, whole, Options{})
	before := db.Stats()
	require.NoError(t, db.Close())
	clear(whole[:2*os.Getpagesize()])
	db, dir := openDamaged(t, whole, Options{})
	q := db.Quarantined()
	require.NotNil(t, q)
	require.EqualValues(t, damagedPublished, q.Published[0]+q.Published[1])
	require.EqualValues(t, damagedValues, q.Records[records.KindValue])
	require.GreaterOrEqual(t, q.Records[records.KindProvider], before.Records[records.KindProvider])
	require.Equal(t, 1, q.Snapshots)
	s, err := db.LoadSnapshot()
	require.NoError(t, err)
	require.True(t, s.Taken.Equal(start.Add(2*time.Hour)), "not the newest")
	require.NoError(t, db.Close())
	requireSound(t, dir)
}

// TestInterruptedQuarantine crashes between the two renames.
func TestInterruptedQuarantine(t *testing.T) {
	db, dir := openDamaged(t, fill(t), Options{})
	published := db.Stats().Published
	require.NoError(t, db.Close())
	path := filepath.Join(dir, FileName)
	require.NoError(t, os.Rename(path, path+salvageSuffix))
	require.NoError(t, os.WriteFile(path+".corrupt-1", []byte("x"), 0o600))
	db = openTest(t, dir, Options{})
	require.Equal(t, published, db.Stats().Published)

	// And before them: a half-filled new file beside the damaged one.
	db, dir = openDamaged(t, []byte("garbage"), Options{})
	require.NoError(t, db.Close())
	path = filepath.Join(dir, FileName)
	require.NoError(t, os.WriteFile(path+salvageSuffix, []byte("half"), 0o600))
	require.NoError(t, os.WriteFile(path, []byte("garbage"), 0o600))
	db = openTest(t, dir, Options{})
	require.NotNil(t, db.Quarantined())
	_, err := os.Stat(path + salvageSuffix)
	require.ErrorIs(t, err, os.ErrNotExist)
}

// TestCheckReportsDamage: the offline check names what Open would repair.
func TestCheckReportsDamage(t *testing.T) {
	whole := fill(t)
	dir := t.TempDir()
	path := filepath.Join(dir, FileName)
	require.NoError(t, os.WriteFile(path, whole[:len(whole)/2], 0o600))
	r, err := Check(dir)
	require.NoError(t, err)
	require.False(t, r.OK())
	_, err = Open(dir, Options{ReadOnly: true})
	require.ErrorIs(t, err, ErrCorrupt)
	_, _, err = Compact(dir)
	require.ErrorIs(t, err, ErrCorrupt)
	left, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Len(t, left, len(whole)/2, "a check changed the file")
}

// TestFileCutWhileOpen removes the file's end from under the running store, as a
// careless cp or a failing disk does: reads of lost pages fault.
func TestFileCutWhileOpen(t *testing.T) {
	db, dir := openDamaged(t, fill(t), Options{})
	require.NoError(t, os.Truncate(db.Path(), 3*int64(os.Getpagesize())))
	use(t, db)
	require.NotZero(t, db.log)
	_ = db.Close()
	db, err := Open(dir, Options{NoSync: true})
	require.NoError(t, err)
	use(t, db)
	require.NoError(t, db.Close())
}
