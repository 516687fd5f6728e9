package floors

import (
	"maps"
	"slices"
	"testing"
	"testing/fstest"
)

func TestModule(t *testing.T) {
	w := thisModule(t)
	for _, dir := range w.dirs() {
		for _, f := range check(w, w.pkgs[dir]) {
			t.Error(f)
		}
	}
}

// The table itself must not point upwards or contain a cycle.
func TestTableHasFloors(t *testing.T) {
	height := map[string]int{}
	var climb func(name string, seen []string) int
	climb = func(name string, seen []string) int {
		if slices.Contains(seen, name) {
			t.Fatalf("a circle: %v", append(seen, name))
		}
		if _, ok := floors[name]; !ok {
			t.Fatalf("%v has no floor", append(seen, name))
		}
		if _, ok := height[name]; !ok {
			for _, to := range floors[name].imports {
				height[name] = max(height[name], climb(to, append(seen, name))+1)
				if floors[name].pure && !floors[to].pure {
					t.Errorf("%s is below the I/O line, %s is not", name, to)
				}
			}
		}
		return height[name]
	}
	for _, name := range slices.Sorted(maps.Keys(floors)) {
		climb(name, nil)
	}
}

// Each rule must report what breaks it.
func TestChecker(t *testing.T) {
	const head = "package x\n"
	tests := []struct {
		name, file, src string
		want            []string
	}{
		{"clean", "pkg/kad/x.go", head + `import ("time"; "math/rand/v2"); func F(t time.Time, r *rand.Rand) time.Time { _ = rand.New(rand.NewPCG(1, 2)); return t }`, nil},
		{"lower floor", "pkg/lookup/x.go", head + `import _ "github.com/holdfast-dht/holdfast/pkg/kad"`, nil},
		{"same floor", "pkg/lookup/x.go", head + `import _ "github.com/holdfast-dht/holdfast/pkg/kbucket"`, []string{"pkg/lookup/x.go:2: import pkg/kbucket is not on a lower floor"}},
		{"upwards", "storage/x.go", head + `import _ "github.com/holdfast-dht/holdfast/pkg/node"`, []string{"storage/x.go:2: import pkg/node is not on a lower floor"}},
		{"subpackage", "pkg/records/storetest/x.go", head + `import (_ "github.com/holdfast-dht/holdfast/pkg/records"; _ "testing"; _ "sync")`, nil},
		{"no floor", "pkg/attic/x.go", head, []string{"pkg/attic/x.go:1: package pkg/attic has no floor"}},
		{"other module", "pkg/dht/x.go", head + `import _ "github.com/libp2p/go-libp2p/core/peer"`, []string{"pkg/dht/x.go:2: import github.com/libp2p/go-libp2p/core/peer below the I/O line"}},
		{"owner", "storage/x.go", head + `import _ "go.etcd.io/bbolt"`, nil},
		{"not the owner", "pkg/node/x.go", head + `import _ "go.etcd.io/bbolt"`, []string{"pkg/node/x.go:2: import go.etcd.io/bbolt belongs to others"}},
		{"lock", "pkg/dht/x.go", head + `import _ "sync/atomic"`, []string{"pkg/dht/x.go:2: import sync/atomic"}},
		{"lock of the mem twin", "pkg/records/mem.go", head + `import _ "sync"`, nil},
		{"lock beside the mem twin", "pkg/records/ttl.go", head + `import _ "sync"`, []string{"pkg/records/ttl.go:2: import sync"}},
		{"log", "republish/x.go", head + `import _ "log/slog"`, []string{"republish/x.go:2: import log/slog"}},
		{"os and net", "pkg/wire/x.go", head + `import (_ "os"; _ "net"; _ "net/netip")`, []string{"pkg/wire/x.go:2: import os", "pkg/wire/x.go:2: import net"}},
		{"edges are free", "pkg/node/x.go", head + `import ("sync"; "time"); var Mu sync.Mutex; func F() { go F(); _ = time.Now() }`, nil},
		{"clock", "pkg/kad/x.go", head + `import "time"; var f = time.Now`, []string{"pkg/kad/x.go:2: time.Now"}},
		{"renamed clock", "pkg/kad/x.go", head + `import tick "time"; func F() { <-tick.After(1) }`, []string{"pkg/kad/x.go:2: time.After"}},
		{"not the clock", "pkg/kad/x.go", head + `type T struct{ Now int }; func F(time T) int { return time.Now }`, nil},
		{"dot import", "pkg/kad/x.go", head + `import . "time"; var f = Now`, []string{"pkg/kad/x.go:2: dot import"}},
		{"global chance", "pkg/kad/x.go", head + `import "math/rand/v2"; func F() int { return rand.IntN(2) }`, []string{"pkg/kad/x.go:2: math/rand/v2.IntN"}},
		{"goroutine", "pkg/kad/x.go", head + `func F() { go F() }`, []string{"pkg/kad/x.go:2: go statement"}},
		{"select", "pkg/kad/x.go", head + `func F() { select {} }`, []string{"pkg/kad/x.go:2: select statement"}},
		{"print", "pkg/kad/x.go", head + `import "fmt"; func F() { fmt.Println() }`, []string{"pkg/kad/x.go:2: fmt.Println"}},
		{"map", "pkg/kad/x.go", head + `func F(m map[int]int) { for range m {} }`, []string{"pkg/kad/x.go:2: map order"}},
		{"named map", "pkg/kad/x.go", head + "type M map[int]int\ntype T struct{ m M }\nfunc F(t *T) {\n\tfor k := range t.m {\n\t\t_ = k\n\t}\n}", []string{"pkg/kad/x.go:5: map order"}},
		{"cloned map", "pkg/kad/x.go", head + "import \"maps\"\nfunc F(m map[int]int) {\n\tfor range maps.Clone(m) {\n\t}\n}", []string{"pkg/kad/x.go:4: map order"}},
		{"keys of a map", "pkg/kad/x.go", head + "import \"maps\"\nfunc F(m map[int]int) {\n\tfor range maps.Keys(m) {\n\t}\n}", []string{"pkg/kad/x.go:4: maps.Keys"}},
		{"slice", "pkg/kad/x.go", head + `func F(m []int) { for range m {} }`, nil},
		{"order-free", "pkg/kad/x.go", head + "func F(m map[int]int) (n int) {\n\t// order-free: a sum\n\tfor _, v := range m {\n\t\tn += v\n\t}\n\treturn n\n}", nil},
		{"order-free without reason", "pkg/kad/x.go", head + "func F(m map[int]int) {\n\tfor range m { // order-free:\n\t}\n}", []string{"pkg/kad/x.go:3: map order"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w, err := load(fstest.MapFS{tt.file: {Data: []byte(tt.src)}})
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, dir := range w.dirs() {
				for _, f := range check(w, w.pkgs[dir]) {
					got = append(got, f.String())
				}
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("found %q, want %q", got, tt.want)
			}
		})
	}
}

// The checker sees the map type of an imported package of the module.
func TestCheckerSeesImportedMaps(t *testing.T) {
	w, err := load(fstest.MapFS{
		"go.mod":               {Data: []byte("module " + module)},
		"interop/go.mod":       {Data: []byte("module other")},
		"interop/x.go":         {Data: []byte("package x")},
		"pkg/kad/testdata/x":   {Data: []byte("no Go")},
		"pkg/kad/x_test.go":    {Data: []byte("package x; func f() { go f() }")},
		"pkg/kad/x.go":         {Data: []byte("package kad; type M map[int]int")},
		"pkg/lookup/lookup.go": {Data: []byte("package lookup\nimport \"github.com/holdfast-dht/holdfast/pkg/kad\"\nfunc F(m kad.M) { for range m {} }")},
	})
	if err != nil {
		t.Fatal(err)
	}
	if dirs := w.dirs(); !slices.Equal(dirs, []string{"pkg/kad", "pkg/lookup"}) {
		t.Fatalf("packages = %v", dirs)
	}
	got := check(w, w.pkgs["pkg/lookup"])
	if len(got) != 1 || got[0].rule != "map order" {
		t.Fatalf("found %v", got)
	}
}
