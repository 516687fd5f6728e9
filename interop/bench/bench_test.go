package main

import (
	"context"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/holdfast-dht/holdfast/internal/workload"
	"github.com/holdfast-dht/holdfast/pkg/kad"
	"github.com/holdfast-dht/holdfast/pkg/records"
)

func TestMain(m *testing.M) {
	if os.Getenv(serveEnv) != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

// TestStores checks that every store works as a provider store.
func TestStores(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	record := func(key, peer string) workload.ProviderRecord {
		p := records.Provider{ID: kad.PeerID(peer), Expires: now.Add(records.MaxTTL)}
		return workload.ProviderRecord{Key: []byte(key), Provider: p}
	}
	for _, s := range stores {
		t.Run(s.name, func(t *testing.T) {
			dir := t.TempDir()
			store, err := s.open(dir)
			must(t, err)
			must(t, store.Add(now, []workload.ProviderRecord{record("a", "p"), record("a", "q"), record("ab", "p"), record("b", "p")}))
			c := record("c", "p")
			must(t, store.Put(now, &c))
			d := record("d", "p")
			must(t, store.Queue(now, &d))
			must(t, store.Sync())
			want := func(now time.Time, key string, n int) {
				t.Helper()
				got, err := store.Lookup(now, []byte(key))
				must(t, err)
				if got != n {
					t.Fatalf("%d providers of %q, not %d", got, key, n)
				}
			}
			for key, n := range map[string]int{"a": 2, "ab": 1, "b": 1, "c": 1, "d": 1, "abc": 0} {
				want(now, key, n)
			}
			want(now.Add(records.MaxTTL-time.Second), "a", 2)
			want(now.Add(records.MaxTTL), "a", 0)
			must(t, store.Close())
			store, err = s.open(dir)
			must(t, err)
			want(now, "d", 1)
			removed, err := store.Expire(now.Add(records.MaxTTL + 12*time.Hour))
			must(t, err)
			if removed != 6 {
				t.Fatalf("%d records removed, not 6", removed)
			}
			must(t, store.Close())
		})
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// TestCompare runs a small amount of every step of the work with all stores.
func TestCompare(t *testing.T) {
	var targets []workload.Target
	for _, s := range stores {
		targets = append(targets, workload.Target{Name: s.name, Command: func(ctx context.Context) *exec.Cmd {
			cmd := exec.CommandContext(ctx, os.Args[0])
			cmd.Env = append(os.Environ(), serveEnv+"="+s.name)
			return cmd
		}})
	}
	cfg := workload.Config{Records: 3000, Window: 50 * time.Millisecond, Batches: []int{100}, Callers: []int{8}}
	r, err := workload.Compare(t.Context(), cfg, t.TempDir(), targets, nil)
	must(t, err)
	for _, row := range r.Rows {
		if len(row.Values) != len(stores) {
			t.Errorf("%s is missing a store: %v", row.Name, row.Values)
		}
	}
	must(t, r.WriteTable(t.Output()))
}
