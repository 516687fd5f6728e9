package workload

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/holdfast-dht/holdfast/pkg/records"
)

// serveEnv turns the test binary into a process that Compare controls.
const serveEnv = "HOLDFAST_WORKLOAD_SERVE"

func TestMain(m *testing.M) {
	if os.Getenv(serveEnv) != "" {
		if err := Serve(os.Stdin, os.Stdout, OpenNode); err != nil {
			panic(err)
		}
		return
	}
	os.Exit(m.Run())
}

func target(name string) Target {
	return Target{Name: name, Command: func(ctx context.Context) *exec.Cmd {
		cmd := exec.CommandContext(ctx, os.Args[0])
		cmd.Env = append(os.Environ(), serveEnv+"=1")
		return cmd
	}}
}

// small returns the config of a short run.
func small() Config {
	return Config{Records: 5000, Window: 60 * time.Millisecond, Callers: []int{1, 16}, Batches: []int{100}}
}

// TestCompare runs all steps with two stores.
func TestCompare(t *testing.T) {
	var done []string
	r, err := Compare(t.Context(), small(), t.TempDir(), []Target{target("a"), target("b")}, func(step, target string, f []Figure) {
		done = append(done, step+" "+target)
	})
	require.NoError(t, err)
	require.Len(t, done, 2*len(Steps()))
	require.Equal(t, []string{"fill a", "fill b", "ingest b", "ingest a"}, done[:4], "in turns")
	require.Greater(t, len(r.Rows), 30)
	for _, row := range r.Rows {
		require.Contains(t, row.Values, "a", row.Name)
		require.Contains(t, row.Values, "b", row.Name)
		if row.Unit == "records/s" || strings.HasPrefix(row.Name, "lookup") {
			require.Positive(t, row.Values["a"], row.Name)
		}
	}
	var table bytes.Buffer
	require.NoError(t, r.WriteTable(&table))
	require.Contains(t, table.String(), "x b")
	t.Log("\n" + table.String())
	_, err = json.Marshal(r)
	require.NoError(t, err)
}

func TestCompareSomeSteps(t *testing.T) {
	c := small()
	c.Steps = []string{"lookup", "fill"}
	r, err := Compare(t.Context(), c, t.TempDir(), []Target{target("a")}, nil)
	require.NoError(t, err)
	require.Equal(t, "fill, batches of 10,000", r.Rows[0].Name)
	require.Equal(t, "lookup, idle: miss p99", r.Rows[len(r.Rows)-1].Name)
	var table bytes.Buffer
	require.NoError(t, r.WriteTable(&table))

	dir := t.TempDir()
	c.Steps = []string{"lookup"}
	_, err = Compare(t.Context(), c, dir, []Target{target("a")}, nil)
	require.ErrorContains(t, err, "providers of record", "the fill was skipped")
	_, err = Compare(t.Context(), c, dir, []Target{target("a")}, nil)
	require.ErrorIs(t, err, os.ErrExist, "runs on an existing store")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = Compare(ctx, c, t.TempDir(), []Target{target("a")}, nil)
	require.ErrorIs(t, err, context.Canceled)
}

func TestConfig(t *testing.T) {
	c, err := Config{}.withDefaults()
	require.NoError(t, err)
	require.Equal(t, 1_000_000, c.Records)
	_, err = Config{Records: 1, Batches: []int{0}, Callers: []int{1 << 20}, Days: -1, Steps: []string{"dance"}}.withDefaults()
	require.EqualError(t, Config{Records: 1, Batches: []int{0}, Callers: []int{1 << 20}, Days: -1, Steps: []string{"dance"}}.Validate(), err.Error())
	for _, part := range []string{"1 records", "batch of 0", "callers", "negative", `"dance"`} {
		require.ErrorContains(t, err, part)
	}
}

// TestServeReports checks that an error of a store reaches Compare.
func TestServeReports(t *testing.T) {
	broken := errors.New("broken")
	in := `{"step":"open","config":{"records":1000}}
{"step":"dance"}
`
	var out bytes.Buffer
	require.NoError(t, Serve(strings.NewReader(in), &out, func(string) (Store, error) { return nil, broken }))
	require.Contains(t, out.String(), `"error":"broken"`)
	require.Contains(t, out.String(), "no store is open")
	require.Error(t, Serve(strings.NewReader("no JSON"), io.Discard, nil))
}

// TestData checks that the records are always the same, and that the expected number of keys
// has one provider.
func TestData(t *testing.T) {
	const n = 20_000
	d, again := newData(7, n), newData(7, n)
	now := time.Unix(1e9, 0)
	keys, peers := map[string]int{}, map[string]bool{}
	for i := range uint64(n) {
		var a, b ProviderRecord
		d.record(&a, i, now)
		again.record(&b, i, now)
		require.Equal(t, a, b)
		require.NoError(t, records.ValidateProvider(a.Key, &a.Provider))
		keys[string(a.Key)]++
		peers[string(a.Provider.ID)] = true
	}
	shared := 0
	for _, k := range keys {
		if k > 1 {
			shared++
		}
	}
	require.InDelta(t, n*9/10+n/100, len(keys), n/500)
	require.InDelta(t, n/100, shared, n/1000)
	require.InDelta(t, n/burst, len(peers), 2)
	require.Zero(t, d.arrival(0))
	require.Equal(t, fillSpan/2, d.arrival(n/2))
}

func TestSumCalls(t *testing.T) {
	require.EqualValues(t, 45, sumCalls(`% time     seconds  usecs/call     calls    errors syscall
------ ----------- ----------- --------- --------- ----------------
 99.83    0.010042         251        40           fdatasync
  0.17    0.000017           3         5         1 fsync
------ ----------- ----------- --------- --------- ----------------
100.00    0.010059         223        45         1 total
`))
	require.Zero(t, sumCalls(""))
}

func TestNumber(t *testing.T) {
	for want, v := range map[string]float64{
		"0.00": 0, "0.12": 0.123, "9.99": 9.99, "12.3": 12.34, "123": 123.4, "1,234": 1234, "1,234,567": 1234567, "-100": -100, "-1,000": -1000,
	} {
		require.Equal(t, want, number(v))
	}
	r := Row{Values: map[string]float64{"a": 200, "b": 100, "z": 0}}
	require.Equal(t, "2.00", r.ratio("a", "b"))
	require.Equal(t, "-", r.ratio("a", "z"))
	require.Equal(t, "-", r.ratio("a", "none"))
	r.Less = true
	require.Equal(t, "0.50", r.ratio("a", "b"))
}
