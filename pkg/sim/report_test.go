package sim

import (
	"bytes"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/holdfast-dht/holdfast/internal/disktest"
	"github.com/holdfast-dht/holdfast/pkg/dht"
	"github.com/holdfast-dht/holdfast/pkg/wire"
)

// measured is a phase with every measure set to a number that is easy to check.
func measured() *phase {
	p := &phase{name: "busy", from: 10 * time.Minute, to: 40 * time.Minute}
	for k := range p.ops {
		s := &p.ops[k]
		s.count, s.succeeded, s.refused, s.failed = 4, 3, k, 1
		for _, x := range []int64{1, 2, 3, 10} {
			s.took.add(x * 100_000)
			s.messages.add(x)
			s.hops.add(x)
			s.firstHop.add(x - 1)
			s.rounds.add(x + 1)
			s.stored.add(20)
		}
		if opKind(k) == opFind {
			s.first.add(50_000)
		}
		s.recall.add(19, 20)
		s.overlap.add(1, 3)
	}
	p.roles[dht.RoleLookup] = struct{ sent, failed int64 }{200, 1}
	p.roles[dht.RoleProbe] = struct{ sent, failed int64 }{3, 3}
	p.traffic[wire.FindNode] = traffic{requests: 1000, requestBytes: 36_000, answers: 990, answerBytes: 1_764_000}
	p.traffic[wire.AddProvider] = traffic{requests: 20, requestBytes: 1800}
	p.republished = struct{ keys, asked, stores, replicas int64 }{keys: 5, asked: 110, stores: 100, replicas: 95}
	p.joined.add(1_500_000)
	p.restored.add(2_000_000)
	p.tables.peers.add(100)
	p.tables.peers.add(51)
	p.tables.stale.add(1, 8)
	p.tables.complete.add(99, 100)
	p.size.servers, p.size.nodes, p.size.bias, p.size.sigma = 10, 9, -0.01, 0.1
	for i := range int64(10) {
		p.load.served.add(30 * i)
	}
	p.records.contents, p.records.lost = 2, 1
	p.records.holders.add(20)
	p.records.holders.add(0)
	return p
}

// worldOf is a world whose report has the given phases.
func worldOf(phases ...*phase) *World {
	o := DefaultOptions()
	o.Nodes = 10
	return &World{
		opts: o, scenario: &Scenario{Name: "made-up", Title: "Made up"}, phases: phases, events: 12345,
		trace:  trace{fingerprint: 0xfeed},
		series: []Point{{Hours: 0.25, Servers: 10, Success: -1, Holders: -1}, {Hours: 0.5, Servers: 9, Success: 0.5, Messages: 30, Holders: 19.5, Lost: 1, Stale: 0.125}},
	}
}

// The report of a phase. The numbers in the golden files were calculated by hand.
func TestReportOfAPhase(t *testing.T) {
	w := worldOf(measured())
	w.violations = []string{"1m0s node 3: it broke"}
	r := w.Report()
	require.Equal(t, int64(1020), r.Requests)

	var out strings.Builder
	require.NoError(t, r.Print(&out))
	file(t, "report/text.txt", out.String())

	r.Phases[0].Ops = slices.DeleteFunc(r.Phases[0].Ops, func(o Op) bool { return o.Kind != "find" }) // one shows all fields
	text, err := json.MarshalIndent(r, "", " ")
	require.NoError(t, err)
	file(t, "report/json.txt", string(text)+"\n")
	var again Report
	require.NoError(t, json.Unmarshal(text, &again))
	require.Equal(t, *r, again, "nothing is lost on the way")
}

// file compares with a golden file under testdata; -rewrite writes it.
func file(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", filepath.FromSlash(name))
	if *rewrite {
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, []byte(got), 0o644))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, string(want), got, "go test ./pkg/sim -rewrite writes it again")
}

// A phase in which nothing happened has no rows, and no numbers that JSON cannot
// represent.
func TestReportOfNothing(t *testing.T) {
	for _, p := range []*phase{{}, {name: "x", to: time.Hour}, {records: recordStats{contents: 1}}} {
		r := worldOf(p).Report()
		text, err := json.Marshal(r)
		require.NoError(t, err)
		require.NotContains(t, string(text), "null", "an empty list is a list")
		finite(t, reflect.ValueOf(r.Phases[0]))
		var out strings.Builder
		require.NoError(t, r.Print(&out))
		require.NotContains(t, out.String(), "NaN")
		require.NotContains(t, out.String(), "operation", "no table without a row")
	}
}

func finite(t *testing.T, v reflect.Value) {
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			finite(t, v.Field(i))
		}
	case reflect.Pointer:
		if !v.IsNil() {
			finite(t, v.Elem())
		}
	case reflect.Float64:
		require.False(t, math.IsNaN(v.Float()) || math.IsInf(v.Float(), 0))
	}
}

// Rates divide by the length of the phase, and those per server by the servers at its
// end.
func TestRatesFollowTheLengthOfThePhase(t *testing.T) {
	long, short := measured(), measured()
	long.to = long.from + 2*(short.to-short.from)
	long.size.servers = 2 * short.size.servers
	a, b := worldOf(short).Report().Phases[0], worldOf(long).Report().Phases[0]
	require.Equal(t, a.Load.Mean, 2*b.Load.Mean)
	require.Equal(t, a.Load.Gini, b.Load.Gini)
	require.Equal(t, a.Traffic[0].Bytes, 4*b.Traffic[0].Bytes)
	require.Equal(t, a.Republished.PerServer, 2*b.Republished.PerServer)
	require.Equal(t, a.Republished.Messages, b.Republished.Messages)
	require.Equal(t, a.Ops, b.Ops)
}

// The text names phases only if there are several.
func TestOnePhaseHasNoName(t *testing.T) {
	one, two := measured(), measured()
	two.name, two.from, two.to = "quiet", one.to, one.to+time.Hour
	var out strings.Builder
	require.NoError(t, worldOf(one).Report().Print(&out))
	require.Contains(t, out.String(), "\n\n0.5 h from 0 h, 10 servers at its end\n")
	out.Reset()
	require.NoError(t, worldOf(one, two).Report().Print(&out))
	require.Contains(t, out.String(), "\n\nbusy: 0.5 h from 0 h, 10 servers at its end\n")
	require.Contains(t, out.String(), "\n\nquiet: 1 h from 0.5 h, 10 servers at its end\n")
}

// Wherever the disk fills up, writing returns the error.
func TestReportsOnAFullDisk(t *testing.T) {
	r := worldOf(measured(), measured()).Report()
	r.Violations = []string{"one"}
	s := &Sweep{Option: "alpha", Values: []string{"1", "2"}, Runs: []Report{*r, *r}}
	disktest.RequireError(t, r.Print, r.HTML, s.Print, s.HTML, s.SVG)
}

func TestNumber(t *testing.T) {
	for x, want := range map[float64]string{
		0: "0", 1: "1", -3: "-3", 0.5: "0.5", 1.0 / 3: "0.3333", 1234.56: "1235", 12345: "12345", 100000: "100000", 1e-5: "1e-05",
	} {
		require.Equal(t, want, number(x))
	}
	require.Equal(t, "50 %", percent(0.5))
	require.Equal(t, "99.99 %", percent(0.99991))
	require.Equal(t, "100 %", percent(1))
	require.Equal(t, "33.33 %", percent(1.0/3))
	require.Equal(t, "1 server", counted(1, "server"))
	require.Equal(t, "0 servers", counted(0, "server"))
	require.Equal(t, "100000 keys", counted(int64(100000), "key"), "plain digits")
}

// Columns line up, and no line ends in blanks.
func TestTable(t *testing.T) {
	var out bytes.Buffer
	p := &page{out: &out}
	p.table([][]string{{"name", "n", "last"}, {"a", "12345", ""}, {"longer name", "", "x"}})
	require.NoError(t, p.err)
	require.Equal(t, "name         n      last\na            12345\nlonger name         x\n", out.String())
	out.Reset()
	p.table([][]string{{"a header without a row"}})
	require.Empty(t, out.String())
}
