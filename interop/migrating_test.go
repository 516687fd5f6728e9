package interop

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// sections are the tables of docs/MIGRATING.md and the names of go-libp2p-kad-dht that
// belong in the first column of each.
var sections = []struct {
	title, dir string
	belongs    func(f *ast.FuncDecl) bool
}{
	{"Options", ".", func(f *ast.FuncDecl) bool { return returns(f, "Option") }},
	{"Methods of IpfsDHT", ".", func(f *ast.FuncDecl) bool { return receiver(f) == "IpfsDHT" }},
	{"Functions and types of package dht", ".", func(f *ast.FuncDecl) bool { return f.Recv == nil && !returns(f, "Option") }},
	{"Package dual", "dual", func(f *ast.FuncDecl) bool { return f.Recv == nil || receiver(f) == "DHT" }},
	{"Package fullrt", "fullrt", func(f *ast.FuncDecl) bool { return f.Recv == nil || receiver(f) == "FullRT" }},
	{"Package crawler", "crawler", func(f *ast.FuncDecl) bool { return f.Recv == nil || receiver(f) == "DefaultCrawler" }},
}

// TestMigratingNamesAll compares docs/MIGRATING.md with the source of the version that
// this module requires: each exported option, method and function has a row, and no row
// names anything else.
func TestMigratingNamesAll(t *testing.T) {
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/libp2p/go-libp2p-kad-dht").Output()
	require.NoError(t, err)
	rows := migratingRows(t)
	for _, s := range sections {
		var theirs, ours []string
		for _, d := range declarations(t, filepath.Join(strings.TrimSpace(string(out)), s.dir)) {
			if f, ok := d.(*ast.FuncDecl); ok && f.Name.IsExported() && s.belongs(f) {
				theirs = append(theirs, f.Name.Name)
			}
		}
		for _, r := range rows[s.title] {
			ours = append(ours, strings.Trim(r[0], "`"))
		}
		slices.Sort(theirs)
		slices.Sort(ours)
		require.NotEmpty(t, theirs, s.title)
		require.Equal(t, theirs, ours, s.title)
	}
}

// TestMigratingNamesExist checks that the second columns name only what Holdfast has.
func TestMigratingNamesExist(t *testing.T) {
	dirs := map[string]string{
		"node": "pkg/node", "dht": "pkg/dht", "kad": "pkg/kad", "kbucket": "pkg/kbucket", "records": "pkg/records",
		"republish": "republish", "rpc": "pkg/rpc", "storage": "storage", "wire": "pkg/wire",
	}
	known := map[string]bool{}
	for name, dir := range dirs {
		for _, d := range declarations(t, filepath.Join("..", dir)) {
			for _, x := range exported(d) {
				known[name+"."+x] = true
			}
		}
	}
	named := regexp.MustCompile("`((?:Node|[a-z]+)\\.[A-Z][\\w.]*)`")
	count := 0
	for title, rows := range migratingRows(t) {
		for _, r := range rows {
			for _, m := range named.FindAllStringSubmatch(r[1], -1) {
				name := m[1]
				if strings.HasPrefix(name, "Node.") {
					name = "node." + name
				}
				require.True(t, known[name], "%s: %s does not exist", title, m[1])
				count++
			}
		}
	}
	require.Greater(t, count, 100)
}

// migratingRows returns the rows of the tables of docs/MIGRATING.md by section: two cells
// each.
func migratingRows(t *testing.T) map[string][][2]string {
	b, err := os.ReadFile("../docs/MIGRATING.md")
	require.NoError(t, err)
	rows, title := map[string][][2]string{}, ""
	for line := range strings.Lines(string(b)) {
		line = strings.TrimSpace(line)
		if h, ok := strings.CutPrefix(line, "## "); ok {
			title = h
		}
		if cells := strings.Split(line, " | "); strings.HasPrefix(line, "| `") {
			require.Len(t, cells, 2, line)
			rows[title] = append(rows[title], [2]string{strings.TrimPrefix(cells[0], "| "), strings.TrimSuffix(cells[1], " |")})
		}
	}
	return rows
}

// declarations returns those of the Go files in dir, without tests.
func declarations(t *testing.T, dir string) (all []ast.Decl) {
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	require.NoError(t, err)
	require.NotEmpty(t, files, dir)
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		require.NoError(t, err)
		all = append(all, f.Decls...)
	}
	return all
}

// exported returns the exported names of a declaration; fields and methods with their type.
func exported(d ast.Decl) (names []string) {
	switch d := d.(type) {
	case *ast.FuncDecl:
		if r := receiver(d); r != "" {
			return []string{r + "." + d.Name.Name}
		}
		return []string{d.Name.Name}
	case *ast.GenDecl:
		for _, s := range d.Specs {
			switch s := s.(type) {
			case *ast.ValueSpec:
				for _, n := range s.Names {
					names = append(names, n.Name)
				}
			case *ast.TypeSpec:
				names = append(names, s.Name.Name)
				if st, ok := s.Type.(*ast.StructType); ok {
					for _, f := range st.Fields.List {
						for _, n := range f.Names {
							names = append(names, s.Name.Name+"."+n.Name)
						}
					}
				}
			}
		}
	}
	return names
}

// receiver returns the type a method belongs to, "" for a function.
func receiver(f *ast.FuncDecl) string {
	if f.Recv == nil {
		return ""
	}
	x := f.Recv.List[0].Type
	if p, ok := x.(*ast.StarExpr); ok {
		x = p.X
	}
	id, ok := x.(*ast.Ident)
	if !ok {
		return ""
	}
	return id.Name
}

// returns reports whether the only result of a function is of that type.
func returns(f *ast.FuncDecl, name string) bool {
	if f.Recv != nil || f.Type.Results == nil || len(f.Type.Results.List) != 1 {
		return false
	}
	id, ok := f.Type.Results.List[0].Type.(*ast.Ident)
	return ok && id.Name == name
}
