package floors

import (
	"fmt"
	"go/importer"
	"go/token"
	"go/types"
	"io"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"
)

// needless returns the declarations that only tests use, and the entries of list that are
// not needed.
func needless(g *graph, list []allowance) []finding {
	entries, found := g.entries(list)
	seen := g.reach(slices.Collect(maps.Values(entries))...)
	for o, name := range g.names {
		if !seen[o] && !forTests(strings.TrimPrefix(o.Pkg().Path(), module+"/")) {
			found = append(found, finding{g.w.fset.Position(o.Pos()), name + " has no use outside tests"})
		}
	}
	for name := range entries {
		others := maps.Clone(entries)
		delete(others, name)
		if g.reach(slices.Collect(maps.Values(others))...)[entries[name]] {
			found = append(found, finding{g.w.fset.Position(entries[name].Pos()), name + " is used: it needs no entry"})
		}
	}
	slices.SortFunc(found, func(a, b finding) int { return strings.Compare(a.String(), b.String()) })
	return found
}

// listed is the position of the list of allowances.
var listed = token.Position{Filename: "internal/floors/unused_allowed_test.go", Line: 11}

// entries looks up the declarations that list names.
func (g *graph) entries(list []allowance) (entries map[string]types.Object, found []finding) {
	byName := map[string]types.Object{}
	for o, name := range g.names {
		byName[name] = o
	}
	entries = map[string]types.Object{}
	for _, a := range list {
		for _, name := range strings.Fields(a.names) {
			if byName[name] == nil {
				found = append(found, finding{listed, name + " does not exist"})
				continue
			}
			entries[name] = byName[name]
		}
		if a.reason == "" {
			found = append(found, finding{listed, a.names + " has no reason"})
		}
	}
	return entries, found
}

func TestDeclared(t *testing.T) {
	w := thisModule(t)
	w.foreign = compiled(t, w)
	for _, f := range needless(newGraph(w), allowed) {
		t.Error(f)
	}
}

// compiled returns an importer of the compiled packages of other modules: those that w
// imports, and their dependencies.
func compiled(t *testing.T, w *world) types.Importer {
	list := []string{"list", "-export", "-deps", "-f", "{{.ImportPath}} {{.Export}}"}
	for _, p := range w.pkgs {
		for _, file := range p.files {
			for _, imp := range file.Imports {
				if from, _ := strconv.Unquote(imp.Path.Value); !under(from, module) && !slices.Contains(list, from) {
					list = append(list, from)
				}
			}
		}
	}
	out, err := exec.Command("go", list...).Output()
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	for line := range strings.Lines(string(out)) {
		p, file, _ := strings.Cut(strings.TrimSpace(line), " ")
		files[p] = file
	}
	return importer.ForCompiler(w.fset, "gc", func(p string) (io.ReadCloser, error) { return os.Open(files[p]) })
}

// unusedAt returns the findings of needless for names that a line of package kad
// declares.
func unusedAt(line int, names ...string) (want []string) {
	for _, name := range names {
		want = append(want, fmt.Sprintf("pkg/kad/x.go:%d: pkg/kad.%s has no use outside tests", line, name))
	}
	return want
}

// declaredRules has a case for each rule. src is package kad, main is the code of a
// program that imports it.
var declaredRules = []struct {
	name, src, main string
	allowed         []allowance
	want            []string
}{
	{"function", `func F() {}`, ``, nil, unusedAt(2, "F")},
	{"used function", `func F() {}`, `kad.F()`, nil, nil},
	{"used by what is not", `func F() { G() }; func G() {}`, ``, nil, unusedAt(2, "F", "G")},
	{"used by what is", `func F() { G() }; func G() {}`, `kad.F()`, nil, nil},
	{"recursion", `func F() { F() }`, ``, nil, unusedAt(2, "F")},
	{"init", `func F() {}; func init() { F() }`, ``, nil, nil},
	{"main of another name", `func main() {}`, ``, nil, unusedAt(2, "main")},
	{"type", `type T int`, ``, nil, unusedAt(2, "T")},
	{"type of a parameter", `type T int; func F(T) {}`, `kad.F(1)`, nil, nil},
	{"type that is proved to fit only", `type T int; func (T) Error() string { return "" }; var _ error = T(0)`, ``, nil, unusedAt(2, "T", "T.Error")},
	{"constant", "const A = 1", ``, nil, unusedAt(2, "A")},
	{"constants", "const (\n\tA = iota\n\tB\n)", `_ = kad.A`, nil, unusedAt(4, "B")},
	{"variable", `var V = F(); func F() int { return 1 }`, ``, nil, unusedAt(2, "F", "V")},
	{"generic function", `func F[K any](k K) K { return k }`, `kad.F(1)`, nil, nil},
	{"method", `type T int; func (T) M() {}`, `var t kad.T; _ = t`, nil, unusedAt(2, "T.M")},
	{"used method", `type T int; func (*T) M() {}`, `var t kad.T; t.M()`, nil, nil},
	{"method of a generic type", `type T[K any] struct{}; func (T[K]) M() {}; func (T[K]) N() {}`, `kad.T[int]{}.M()`, nil, unusedAt(2, "T.N")},
	{"promoted method", `type T int; func (T) M() {}; type U struct{ T }`, `kad.U{}.M()`, nil, nil},
	{"interface", `type I interface { M(); N() }; type T int; func (T) M() {}; func (T) N() {}`, `var i kad.I = kad.T(0); i.M()`, nil, unusedAt(2, "I.N", "T.N")},
	{"interface that the type does not satisfy", `type I interface { M(int) }; type T int; func (T) M() {}`, `var i kad.I; i.M(1); _ = kad.T(0)`, nil, unusedAt(2, "T.M")},
	{"interface of others", `import "io"; type T int; func (T) Close() error { return nil }; var C io.Closer = T(0)`, `_ = kad.C`, nil, nil},
	{"interface of nobody", `type T int; func (T) Close() error { return nil }`, `_ = kad.T(0)`, nil, unusedAt(2, "T.Close")},
	{"error", `type T int; func (T) Error() string { return "" }; func (T) Unwrap() error { return nil }`, `_ = kad.T(0)`, nil, nil},
	{"field", `type T struct { A int }`, `_ = kad.T{}.A`, nil, nil},
	{"field that is only written", `type T struct { A, b int }`, `t := kad.T{A: 1}; t.A = 2; t.A++; t.A += 3`, nil, unusedAt(2, "T.A", "T.b")},
	{"inner field", `type T struct { A struct { B int } }`, `var t kad.T; t.A.B = 1`, nil, unusedAt(2, "T.A.B")},
	{"embedded field", `type T struct { U }; type U struct { A int }`, `_ = kad.T{}.A`, nil, nil},
	{"field with a tag", "type T struct { A int `json:\"a\"` }", `_ = kad.T{}`, nil, nil},
	{"converted", `type T struct { A int }; type U struct { A int }`, `_ = kad.U(kad.T{}).A`, nil, nil},
	{"compared", `type T struct { A int }`, `_ = kad.T{A: 1} == kad.T{}`, nil, nil},
	{"key of a map", `type T struct { A int }; var V map[T]int`, `_ = kad.V`, nil, nil},
	{"comparable argument", `type T struct { A int }; type S[K comparable] struct{}`, `_ = kad.S[kad.T]{}`, nil, nil},
	{"printed", `import "fmt"; type T struct { U []*U }; type U struct { A int }; func F(t T) { fmt.Println(t) }`, `kad.F(kad.T{})`, nil, nil},
	{"printed in a literal", `import "fmt"; type T struct { A int }; func F(t T) { fmt.Println([]any{t}, map[string]any{"": t}) }`, `kad.F(kad.T{})`, nil, nil},
	{"allowed", `func F() { G() }; func G() {}`, ``, []allowance{{"pkg/kad.F", "the reason"}}, nil},
	{"allowed and used", `func F() {}; func G() {}`, `kad.F()`, []allowance{{"pkg/kad.F pkg/kad.G", "the reason"}}, []string{"pkg/kad/x.go:2: pkg/kad.F is used: it needs no entry"}},
	{"allowed and used by what is", `func F() { G() }; func G() {}`, ``, []allowance{{"pkg/kad.F", "the reason"}, {"pkg/kad.G", "the reason"}}, []string{"pkg/kad/x.go:2: pkg/kad.G is used: it needs no entry"}},
	{"allowed and gone", ``, ``, []allowance{{"pkg/kad.F", "the reason"}}, []string{"pkg/kad.F does not exist"}},
	{"allowed without a reason", `func F() {}`, ``, []allowance{{"pkg/kad.F", ""}}, []string{"pkg/kad.F has no reason"}},
}

func TestDeclaredRules(t *testing.T) {
	for _, tt := range declaredRules {
		t.Run(tt.name, func(t *testing.T) {
			w, err := load(fstest.MapFS{
				"pkg/kad/x.go":         {Data: []byte("package kad\n" + tt.src)},
				"pkg/kad/x_test.go":    {Data: []byte("package kad\nvar _, _, _ = F, G, T(0)")},
				"pkg/kad/kadtest/x.go": {Data: []byte("package kadtest\nimport \"" + module + "/pkg/kad\"\nfunc F() { kad.F() }")},
				"cmd/m/main.go":        {Data: []byte("package main\nimport \"" + module + "/pkg/kad\"\nfunc main() { " + tt.main + " }")},
			})
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, f := range needless(newGraph(w), tt.allowed) {
				got = append(got, strings.TrimPrefix(f.String(), "internal/floors/unused_allowed_test.go:11: "))
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("found %q, want %q", got, tt.want)
			}
		})
	}
}

// A name that two files declare, for two operating systems, is used if one of them uses
// it.
func TestDeclaredForSystems(t *testing.T) {
	w, err := load(fstest.MapFS{
		"cmd/m/main.go":      {Data: []byte("package main\nfunc main() { lock() }")},
		"cmd/m/lock_unix.go": {Data: []byte("//go:build unix\n\npackage main\nfunc lock() { flock() }\nfunc flock() {}")},
		"cmd/m/other.go":     {Data: []byte("//go:build !unix\n\npackage main\nfunc lock() { open() }\nfunc open() {}")},
	})
	if err != nil {
		t.Fatal(err)
	}
	if got := needless(newGraph(w), nil); len(got) != 0 {
		t.Errorf("found %v", got)
	}
}
