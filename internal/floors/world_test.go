package floors

import (
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"testing"
)

// pkg is a package of the module: its files without tests, whatever their build
// constraints.
type pkg struct {
	dir   string // relative to the module
	files []*ast.File
	types *types.Package
	info  *types.Info
}

// world is the module as parsed.
type world struct {
	fset *token.FileSet
	pkgs map[string]*pkg // by directory

	foreign types.Importer // of packages that are not in pkgs; nil: the standard library only
}

// std reads the standard library once for all worlds.
var std = importer.ForCompiler(token.NewFileSet(), "source", nil)

func (w *world) position(n ast.Node) token.Position { return w.fset.Position(n.Pos()) }

// load parses a module. Packages appear and disappear: what is there is checked.
func load(module fs.FS) (*world, error) {
	fset := token.NewFileSet()
	w := &world{fset: fset, pkgs: map[string]*pkg{}}
	return w, fs.WalkDir(module, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			return enter(module, name)
		}
		if !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
			return nil
		}
		return w.parse(module, name)
	})
}

// thisModule loads this module.
func thisModule(t *testing.T) *world {
	t.Helper()
	w, err := load(os.DirFS("../.."))
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// architecture returns the text of docs/ARCHITECTURE.md.
func architecture(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../../docs/ARCHITECTURE.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// enter skips directories that are no part of the module.
func enter(module fs.FS, dir string) error {
	base := path.Base(dir)
	if dir == "." {
		return nil
	}
	if _, err := fs.Stat(module, path.Join(dir, "go.mod")); err == nil {
		return fs.SkipDir
	}
	if base == "testdata" || base == "interop" || strings.HasPrefix(base, ".") || strings.HasPrefix(base, "_") {
		return fs.SkipDir
	}
	return nil
}

func (w *world) parse(module fs.FS, name string) error {
	src, err := fs.ReadFile(module, name)
	if err != nil {
		return err
	}
	file, err := parser.ParseFile(w.fset, name, src, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return err
	}
	dir := path.Dir(name)
	if w.pkgs[dir] == nil {
		w.pkgs[dir] = &pkg{dir: dir}
	}
	w.pkgs[dir].files = append(w.pkgs[dir].files, file)
	return nil
}

// dirs returns the packages in order.
func (w *world) dirs() []string {
	var dirs []string
	for dir := range w.pkgs {
		dirs = append(dirs, dir)
	}
	slices.Sort(dirs)
	return dirs
}

// typeCheck returns what is known of the expressions of p. Errors are for the
// compiler to report: they leave gaps here.
func (w *world) typeCheck(p *pkg) *types.Info {
	if p.info == nil {
		p.info = &types.Info{Types: map[ast.Expr]types.TypeAndValue{}, Uses: map[*ast.Ident]types.Object{}, Defs: map[*ast.Ident]types.Object{}, Selections: map[*ast.SelectorExpr]*types.Selection{}, Instances: map[*ast.Ident]types.Instance{}}
		conf := types.Config{Importer: w, Error: func(error) {}}
		p.types, _ = conf.Check(module+"/"+p.dir, w.fset, p.files, p.info)
	}
	return p.info
}

// Import makes world an importer: our own packages from their files, the
// standard library from its source, and empty packages for the rest.
func (w *world) Import(from string) (*types.Package, error) {
	if dir, ours := strings.CutPrefix(from, module+"/"); ours && w.pkgs[dir] != nil {
		w.typeCheck(w.pkgs[dir])
		if t := w.pkgs[dir].types; t != nil {
			return t, nil
		}
	}
	switch {
	case w.foreign != nil:
		if p, err := w.foreign.Import(from); err == nil {
			return p, nil
		}
	case !strings.Contains(from, "."):
		return std.Import(from)
	}
	empty := types.NewPackage(from, path.Base(from))
	empty.MarkComplete()
	return empty, nil
}
