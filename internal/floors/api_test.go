package floors

import (
	"fmt"
	"go/ast"
	"go/printer"
	"go/token"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/holdfast-dht/holdfast/internal/promisetest"
)

// exported returns the exported API of the public packages, a line for each name: functions
// and methods with the types of their parameters and results, types, and the exported fields
// of structs and methods of interfaces with theirs. Values and unexported parts are left out,
// because they may change.
func exported(w *world) (lines []string) {
	for _, dir := range public(w) {
		a := api{dir: dir, fset: w.fset}
		for _, file := range w.pkgs[dir].files {
			for _, d := range file.Decls {
				a.declaration(d)
			}
		}
		slices.Sort(a.lines)
		lines = append(lines, slices.Compact(a.lines)...)
	}
	return lines
}

// api collects the lines of a package.
type api struct {
	dir   string
	fset  *token.FileSet
	lines []string
}

func (a *api) add(format string, args ...any) {
	a.lines = append(a.lines, a.dir+": "+fmt.Sprintf(format, args...))
}

func (a *api) declaration(d ast.Decl) {
	switch d := d.(type) {
	case *ast.FuncDecl:
		switch {
		case !d.Name.IsExported():
		case d.Recv == nil:
			a.add("func %s%s", d.Name.Name, a.signature(d.Type))
		default:
			if on := a.text(d.Recv.List[0].Type); ast.IsExported(strings.TrimPrefix(on, "*")) {
				a.add("method (%s) %s%s", on, d.Name.Name, a.signature(d.Type))
			}
		}
	case *ast.GenDecl:
		for _, s := range d.Specs {
			switch s := s.(type) {
			case *ast.TypeSpec:
				if s.Name.IsExported() {
					a.typed(s)
				}
			case *ast.ValueSpec:
				a.values(d.Tok, s)
			}
		}
	}
}

func (a *api) values(kind token.Token, s *ast.ValueSpec) {
	for _, name := range s.Names {
		switch {
		case !name.IsExported():
		case s.Type != nil:
			a.add("%s %s %s", kind, name.Name, a.text(s.Type))
		default:
			a.add("%s %s", kind, name.Name)
		}
	}
}

// typed adds a type and what it consists of.
func (a *api) typed(s *ast.TypeSpec) {
	name := "type " + s.Name.Name
	if s.TypeParams != nil {
		name += "[" + strings.Join(a.types(s.TypeParams), ", ") + "]"
	}
	if s.Assign.IsValid() {
		name += " ="
	}
	switch t := s.Type.(type) {
	case *ast.StructType:
		a.add("%s struct", name)
		a.members(name+" struct,", t.Fields)
	case *ast.InterfaceType:
		a.add("%s interface", name)
		a.members(name+" interface,", t.Methods)
	default:
		a.add("%s %s", name, a.text(t))
	}
}

// members adds the exported fields of a struct, or all methods of an interface.
func (a *api) members(of string, list *ast.FieldList) {
	for _, f := range list.List {
		if len(f.Names) == 0 {
			a.add("%s embeds %s", of, a.text(f.Type))
		}
		for _, name := range f.Names {
			if method, ok := f.Type.(*ast.FuncType); ok && strings.HasSuffix(of, "interface,") {
				a.add("%s %s%s", of, name.Name, a.signature(method))
			} else if name.IsExported() {
				a.add("%s %s %s", of, name.Name, a.text(f.Type))
			}
		}
	}
}

// signature returns the parameters and results of a function, without their names.
func (a *api) signature(t *ast.FuncType) string {
	text := "(" + strings.Join(a.types(t.Params), ", ") + ")"
	if t.TypeParams != nil {
		text = "[" + strings.Join(a.types(t.TypeParams), ", ") + "]" + text
	}
	switch results := a.types(t.Results); len(results) {
	case 0:
		return text
	case 1:
		return text + " " + results[0]
	default:
		return text + " (" + strings.Join(results, ", ") + ")"
	}
}

// types returns the type of each field, once for each of its names.
func (a *api) types(list *ast.FieldList) (types []string) {
	if list == nil {
		return nil
	}
	for _, f := range list.List {
		for range max(1, len(f.Names)) {
			types = append(types, a.text(f.Type))
		}
	}
	return types
}

// text returns a type in one line.
func (a *api) text(t ast.Expr) string {
	if f, ok := t.(*ast.FuncType); ok {
		return "func" + a.signature(f)
	}
	var b strings.Builder
	if err := printer.Fprint(&b, a.fset, t); err != nil {
		panic(err)
	}
	return strings.Join(strings.Fields(b.String()), " ")
}

// A changed line in testdata/api.txt breaks programs that use the library, and a new one is
// a promise: see docs/VERSIONING.md.
func TestExportedAPI(t *testing.T) {
	promisetest.Check(t, "testdata/api.txt", exported(thisModule(t)))
}

func TestExported(t *testing.T) {
	const src = `package kad
import "time"
const A, b = 1, 2
var C time.Time
type (
	D struct { E, f int; time.Time; G func(a, b int) (err error) }
	H interface { I(n int) string; j() }
	K[T any] []T
	L = D
	m struct { N int }
)
func O[T any](p, q T, r ...int) (T, error) { return p, nil }
func (d *D) S(
	a struct { X int },
) {}
func (K[T]) U() {}
func (m) V() {}
func w() {}
`
	w, err := load(fstest.MapFS{"pkg/kad/a.go": {Data: []byte(src)}, "internal/x/x.go": {Data: []byte("package x; func X() {}")}})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"const A", "func O[any](T, T, ...int) (T, error)",
		"method (*D) S(struct{ X int })", "method (K[T]) U()",
		"type D struct", "type D struct, E int", "type D struct, G func(int, int) error", "type D struct, embeds time.Time",
		"type H interface", "type H interface, I(int) string", "type H interface, j()",
		"type K[any] []T", "type L = D", "var C time.Time",
	}
	for i := range want {
		want[i] = "pkg/kad: " + want[i]
	}
	if got := exported(w); !slices.Equal(got, want) {
		t.Errorf("got %q\nwant %q", got, want)
	}
}
