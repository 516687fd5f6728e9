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
	{"Functions of package dht", ".", func(f *ast.FuncDecl) bool { return f.Recv == nil && !returns(f, "Option") }},
	{"Package dual", "dual", func(f *ast.FuncDecl) bool { return f.Recv == nil || receiver(f) == "DHT" }},
	{"Package fullrt", "fullrt", func(f *ast.FuncDecl) bool { return f.Recv == nil || receiver(f) == "FullRT" }},
	{"Package crawler", "crawler", func(f *ast.FuncDecl) bool { return f.Recv == nil || receiver(f) == "DefaultCrawler" }},
}

// TestMigratingNamesAll compares docs/MIGRATING.md with the source of the version that
// this module requires: each exported option, method and function has a row, and no row
// names anything else. A row without a counterpart has a reason.
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
			require.NotEqual(t, "none", r[1], "%s: a reason is missing", r[0])
		}
		slices.Sort(theirs)
		slices.Sort(ours)
		require.NotEmpty(t, theirs, s.title)
		require.Equal(t, theirs, ours, s.title)
	}
}

// TestMigratingNamesExist checks that every name of Holdfast on the page exists.
func TestMigratingNamesExist(t *testing.T) {
	b, err := os.ReadFile("../docs/MIGRATING.md")
	require.NoError(t, err)
	page := shellOrGo.ReplaceAllString(string(b), "")
	known := ourNames(t)
	names := named.FindAllStringSubmatch(page, -1)
	for _, m := range names {
		require.Contains(t, known, inPackage(m[1]), "%s does not exist", m[1])
	}
	require.Greater(t, len(names), 100)
	count := 0
	for _, m := range fieldsOf.FindAllStringSubmatch(page, -1) {
		for _, f := range word.FindAllStringSubmatch(m[2], -1) {
			require.Contains(t, known, fieldIn(known, inPackage(m[1]), f[1]), "%s has no field %s", m[1], f[1])
			count++
		}
	}
	require.Greater(t, count, 15)
}

// TestMigratingFindsWhatIsWrong checks that a name and a field that do not exist are found.
func TestMigratingFindsWhatIsWrong(t *testing.T) {
	known := ourNames(t)
	require.NotContains(t, known, "node.Node.Nothing")
	require.Contains(t, known, fieldIn(known, "node.Config.DHT", "ExpiryInterval"))
	require.NotContains(t, known, fieldIn(known, "node.Config.DHT", "ExpireInterval"))
	require.Contains(t, known, fieldIn(known, "kbucket.Config", "MaxPerGroup"))
	require.NotContains(t, known, fieldIn(known, "kbucket.Config", "MaxPerSubnet"))
	require.Equal(t, "dht.Config", known["node.Config.DHT"])
	m := fieldsOf.FindStringSubmatch("`Node.Status`, fields `Mode` (as configured) and `Serving`; more")
	require.Equal(t, [][]string{{"`Mode`", "Mode"}, {"`Serving`", "Serving"}}, word.FindAllStringSubmatch(m[2], -1))
}

var (
	shellOrGo = regexp.MustCompile("(?s)```.*?```")
	named     = regexp.MustCompile("`((?:Node|dht|kad|kbucket|node|records|republish|rpc|storage|wire)\\.[A-Z][\\w.]*)`")
	fieldsOf  = regexp.MustCompile("`([\\w.]+)`, fields? (`\\w+`(?:(?: \\([^)]*\\))?(?:,| and) `\\w+`)*)")
	word      = regexp.MustCompile("`(\\w+)`")
)

// inPackage returns the name of a method of Node with its package, other names as they are.
func inPackage(name string) string {
	if strings.HasPrefix(name, "Node.") {
		return "node." + name
	}
	return name
}

// fieldIn returns the whole name of a field of what name is: a type, or a field or a method
// whose type or result has it.
func fieldIn(known map[string]string, name, field string) string {
	if t := known[name]; t != "" {
		name = t
	}
	return name + "." + field
}

// ourNames returns the exported names of Holdfast's packages, each with its package. Those of
// fields and methods lead to the type they have or return, if that is ours.
func ourNames(t *testing.T) map[string]string {
	dirs := map[string]string{
		"node": "pkg/node", "dht": "pkg/dht", "kad": "pkg/kad", "kbucket": "pkg/kbucket", "records": "pkg/records",
		"republish": "republish", "rpc": "pkg/rpc", "storage": "storage", "wire": "pkg/wire",
	}
	known := map[string]string{}
	for pkg, dir := range dirs {
		for _, d := range declarations(t, filepath.Join("..", dir)) {
			for name, is := range exported(d) {
				known[pkg+"."+name] = typeName(pkg, is)
			}
		}
	}
	return known
}

// typeName returns the name of a type with its package, or "" if it has none. For a list
// or a pointer it is the name of the element.
func typeName(pkg string, x ast.Expr) string {
	switch x := x.(type) {
	case *ast.StarExpr:
		return typeName(pkg, x.X)
	case *ast.ArrayType:
		return typeName(pkg, x.Elt)
	case *ast.Ident:
		return pkg + "." + x.Name
	case *ast.SelectorExpr:
		return x.X.(*ast.Ident).Name + "." + x.Sel.Name
	}
	return ""
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

// declarations returns the declarations of the Go files in dir, without tests.
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

// exported returns the exported names of a declaration, fields and methods with their type.
// Each leads to the type of the field or the first result, nil if it has none.
func exported(d ast.Decl) map[string]ast.Expr {
	names := map[string]ast.Expr{}
	switch d := d.(type) {
	case *ast.FuncDecl:
		name := d.Name.Name
		if r := receiver(d); r != "" {
			name = r + "." + name
		}
		names[name] = nil
		if r := d.Type.Results; r != nil {
			names[name] = r.List[0].Type
		}
	case *ast.GenDecl:
		for _, s := range d.Specs {
			switch s := s.(type) {
			case *ast.ValueSpec:
				for _, n := range s.Names {
					names[n.Name] = nil
				}
			case *ast.TypeSpec:
				names[s.Name.Name] = nil
				fields(s, names)
			}
		}
	}
	return names
}

// fields adds the fields of a struct to names.
func fields(s *ast.TypeSpec, names map[string]ast.Expr) {
	x, ok := s.Type.(*ast.StructType)
	if !ok {
		return
	}
	for _, f := range x.Fields.List {
		for _, n := range f.Names {
			names[s.Name.Name+"."+n.Name] = f.Type
		}
	}
}

// receiver returns the type a method belongs to, or "" for a function.
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
