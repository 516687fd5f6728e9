package storage

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	ds "github.com/ipfs/go-datastore"
	dsq "github.com/ipfs/go-datastore/query"
	"github.com/stretchr/testify/require"
)

// datastoreChildEnv contains the directory of the child's datastore and its round.
const datastoreChildEnv = "HOLDFAST_DATASTORE_CHILD"

// TestDatastoreCrashChild is the child process of TestDatastoreCrash. It writes until it is
// killed, and prints what has been acknowledged.
func TestDatastoreCrashChild(t *testing.T) {
	dir, round, ok := strings.Cut(os.Getenv(datastoreChildEnv), "#")
	if !ok {
		t.Skip("not a child process")
	}
	d, err := OpenDatastore(dir, Options{})
	require.NoError(t, err)
	for g := range 4 {
		go datastoreChildWrites(d, g, round)
	}
	select {}
}

func datastoreChildWrites(d *Datastore, g int, round string) {
	ctx := context.Background()
	for i := 0; ; i++ {
		key := ds.NewKey(fmt.Sprintf("/%d/%s/%d", g, round, i))
		value := []byte(key.String())
		var err error
		switch g {
		case 0:
			err = d.Put(ctx, key, value)
		case 1:
			err = d.PutWithTTL(ctx, key, value, time.Hour)
		case 2:
			var b ds.Batch
			if b, err = d.Batch(ctx); err != nil {
				break
			}
			for j := range 20 {
				_ = b.Put(ctx, key.ChildString(fmt.Sprint(j)), value)
			}
			err = b.Commit(ctx)
		case 3:
			var x ds.Txn
			if x, err = d.NewTransaction(ctx, false); err != nil {
				break
			}
			_, _ = x.Has(ctx, key)
			_ = x.Put(ctx, key.ChildString("a"), value)
			_ = x.Put(ctx, key.ChildString("b"), value)
			err = x.Commit(ctx)
		}
		if err != nil {
			fmt.Println("fatal", err)
			os.Exit(1)
		}
		fmt.Println("acked", key)
	}
}

// TestDatastoreCrash kills writers. Everything acknowledged is stored, a batch or a
// transaction is stored completely or not at all, and the file is valid.
func TestDatastoreCrash(t *testing.T) {
	dir := t.TempDir()
	rounds := 12
	if testing.Short() {
		rounds = 3
	}
	acked := map[string]bool{}
	for round := range rounds {
		cmd := exec.Command(os.Args[0], "-test.run", "^TestDatastoreCrashChild$")
		cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%s#%d", datastoreChildEnv, dir, round))
		out, err := cmd.StdoutPipe()
		require.NoError(t, err)
		require.NoError(t, cmd.Start())
		most := 1 + rand.IntN(400)
		lines := bufio.NewScanner(out)
		for n := 0; lines.Scan(); n++ {
			if n == most {
				require.NoError(t, cmd.Process.Kill())
			}
			key, ok := strings.CutPrefix(lines.Text(), "acked ")
			require.True(t, ok, lines.Text())
			acked[key] = true
		}
		_ = cmd.Wait()
		requireSound(t, dir)
		requireAcknowledged(t, dir, acked)
	}
	t.Logf("%d writes acknowledged in %d rounds", len(acked), rounds)
}

func requireAcknowledged(t *testing.T, dir string, acked map[string]bool) {
	t.Helper()
	d, err := OpenDatastore(dir, Options{})
	require.NoError(t, err)
	defer d.Close()
	require.NoError(t, d.Check(t.Context()))
	parts := map[string]int{} // rows of each write
	for k, v := range contents(t, d, dsq.Query{}) {
		require.True(t, strings.HasPrefix(k, v))
		parts[v]++
	}
	want := map[byte]int{'0': 1, '1': 1, '2': 20, '3': 2}
	for k, n := range parts {
		require.Equal(t, want[k[1]], n, "%s is not whole", k)
	}
	for k := range acked {
		require.NotZero(t, parts[k], "%s is acknowledged and lost", k)
	}
}
