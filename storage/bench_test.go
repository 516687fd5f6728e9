package storage

import (
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/holdfast-dht/holdfast/pkg/records"
	"github.com/holdfast-dht/holdfast/storage/runs"
)

// benchDB returns a store with n provider records of 1,000 providers, spread over 40 hours.
func benchDB(b *testing.B, n int) *DB {
	db, err := Open(b.TempDir(), Options{Options: runs.Options{MaxPending: 1 << 30}})
	require.NoError(b, err)
	b.Cleanup(func() { require.NoError(b, db.Close()) })
	for i := range n {
		ingest(b, db, i)
		if i%10_000 == 0 {
			require.NoError(b, db.Flush())
		}
	}
	require.NoError(b, db.Flush())
	return db
}

func ingest(b *testing.B, db *DB, i int) {
	ttl := 8*time.Hour + time.Duration(i%40)*time.Hour
	if err := db.AddProvider(start, wideKey(i), providerOf(strconv.Itoa(i%1000), start.Add(ttl)), false); err != nil {
		b.Fatal(err)
	}
}

// BenchmarkIngest queues provider records in batches of a thousand and waits for each batch.
func BenchmarkIngest(b *testing.B) {
	db := benchDB(b, 100_000)
	i := 100_000
	for b.Loop() {
		ingest(b, db, i)
		if i++; i%1000 == 0 {
			require.NoError(b, db.Flush())
		}
	}
	require.NoError(b, db.Flush())
}

// BenchmarkDurable has callers that wait for each record, 64 per processor.
func BenchmarkDurable(b *testing.B) {
	db := benchDB(b, 10_000)
	b.SetParallelism(32)
	b.RunParallel(func(pb *testing.PB) {
		for i := 0; pb.Next(); i++ {
			err := db.AddProvider(start, wideKey(i), providerOf("p", start.Add(time.Hour)), true)
			if err != nil {
				b.Error(err)
			}
		}
	})
}

func BenchmarkLookup(b *testing.B) {
	db := benchDB(b, 200_000)
	for _, c := range []struct {
		name  string
		first int
	}{{"Hit", 0}, {"Miss", 1 << 30}} {
		b.Run(c.name, func(b *testing.B) {
			var dst []records.Provider
			i := 0
			for b.Loop() {
				i = (i + 7919) % 200_000
				dst, _ = db.Providers(dst[:0], start, wideKey(c.first+i), 20)
			}
		})
	}
}

// BenchmarkExpire drops an epoch of 2,000 records while 200,000 others are stored.
func BenchmarkExpire(b *testing.B) {
	db := benchDB(b, 200_000)
	for i := 0; b.Loop(); i++ {
		b.StopTimer()
		now := start.Add(time.Duration(i-1000) * 3 * time.Hour)
		for j := range 2000 {
			require.NoError(b, db.AddProvider(now, wideKey(j), providerOf("p", now.Add(time.Minute)), false))
		}
		require.NoError(b, db.Flush())
		b.StartTimer()
		for more := true; more; {
			out, err := db.Expire(now.Add(2 * time.Hour))
			require.NoError(b, err)
			more = out.More
		}
	}
}

func BenchmarkValue(b *testing.B) {
	db := benchDB(b, 0)
	for i := range 5000 {
		v := records.Value{Key: wideKey(i), Value: make([]byte, 400), Expires: start.Add(time.Hour)}
		require.NoError(b, db.PutValue(start, v, nil))
	}
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		i = (i + 7) % 5000
		if _, err := db.Value(start, wideKey(i)); err != nil {
			b.Fatal(err)
		}
	}
}
