package floors

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

// boundName matches the name of a constant or a field that is a bound.
var boundName = regexp.MustCompile(`^[mM]ax[A-Z]`)

// bounds returns the constants and the fields of p with the name of a bound.
func bounds(p *pkg) (names []*ast.Ident) {
	for _, file := range p.files {
		ast.Inspect(file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.FuncDecl:
				return false
			case *ast.GenDecl:
				return n.Tok == token.CONST || n.Tok == token.TYPE
			case *ast.ValueSpec:
				names = append(names, n.Names...)
			case *ast.Field:
				names = append(names, n.Names...)
			}
			return true
		})
	}
	return slices.DeleteFunc(names, func(n *ast.Ident) bool { return !boundName.MatchString(n.Name) })
}

// tested returns, for each directory, the names that its tests mention. A package that
// only serves tests counts as tests of its parent.
func tested(module fs.FS) (map[string]map[string]bool, error) {
	names := map[string]map[string]bool{}
	return names, fs.WalkDir(module, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			return enter(module, name)
		}
		dir := path.Dir(name)
		if forTests(dir) {
			dir = path.Dir(dir)
		} else if !strings.HasSuffix(name, "_test.go") {
			return nil
		}
		if !strings.HasSuffix(name, ".go") {
			return nil
		}
		src, err := fs.ReadFile(module, name)
		if err != nil {
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, src, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		if names[dir] == nil {
			names[dir] = map[string]bool{}
		}
		ast.Inspect(file, func(n ast.Node) bool {
			if id, ok := n.(*ast.Ident); ok {
				names[dir][id.Name] = true
			}
			return true
		})
		return nil
	})
}

// untested returns the bounds that no test of their package mentions.
func untested(module fs.FS) (found []string, err error) {
	w, err := load(module)
	if err != nil {
		return nil, err
	}
	names, err := tested(module)
	if err != nil {
		return nil, err
	}
	for _, dir := range slices.Sorted(maps.Keys(w.pkgs)) {
		if forTests(dir) {
			continue
		}
		for _, n := range bounds(w.pkgs[dir]) {
			if !names[dir][n.Name] {
				found = append(found, fmt.Sprintf("%s:%d: no test of %s names %s", w.position(n).Filename, w.position(n).Line, dir, n.Name))
			}
		}
	}
	return found, nil
}

// A test of its package names every bound, and must reach it.
func TestBoundsAreTested(t *testing.T) {
	found, err := untested(os.DirFS("../.."))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range found {
		t.Error(f)
	}
}

func TestUntested(t *testing.T) {
	found, err := untested(fstest.MapFS{
		"pkg/kad/x.go":               {Data: []byte("package kad\nconst MaxA = 1\nconst (\n\tmaxB = 2\n\tmaxC, other = 3, 4\n)\ntype T struct {\n\tMaxD int\n\tMaxE int\n}\nfunc f(maxF int) { const maxG = 1 }\nconst maximal = 1")},
		"pkg/kad/x_test.go":          {Data: []byte("package kad\n// maxC\nvar _ = []int{MaxA, T{MaxD: 1}.x}")},
		"pkg/records/x.go":           {Data: []byte("package records\nconst MaxA = 1\nconst MaxB = 1")},
		"pkg/records/suitetest/x.go": {Data: []byte("package suitetest\nconst MaxZ = records.MaxB")},
	})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"pkg/kad/x.go:4: no test of pkg/kad names maxB",
		"pkg/kad/x.go:5: no test of pkg/kad names maxC",
		"pkg/kad/x.go:9: no test of pkg/kad names MaxE",
		"pkg/records/x.go:2: no test of pkg/records names MaxA",
	}
	if !slices.Equal(found, want) {
		t.Errorf("found %q, want %q", found, want)
	}
}
