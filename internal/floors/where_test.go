package floors

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"
)

// ruleRow is a row of the section "Where is what": a rule, the file and the name that
// define it, and other files on the subject.
type ruleRow struct {
	rule, file, name string
	others           []string
}

var (
	rulePattern   = regexp.MustCompile("(?m)^\\| ([^|`]+) \\| `([^`]+)` \\| `([^`]+)` \\| (.*) \\|$")
	quotedPattern = regexp.MustCompile("`([^`]+)`")
)

// ruleRows returns the rows of the section "Where is what" in the text of
// docs/ARCHITECTURE.md.
func ruleRows(text string) (found []ruleRow) {
	_, section, _ := strings.Cut(text, "\n## Where is what\n")
	section, _, _ = strings.Cut(section, "\n## ")
	for _, m := range rulePattern.FindAllStringSubmatch(section, -1) {
		row := ruleRow{rule: m[1], file: m[2], name: m[3]}
		for _, other := range quotedPattern.FindAllStringSubmatch(m[4], -1) {
			row.others = append(row.others, other[1])
		}
		found = append(found, row)
	}
	return found
}

// lost returns the rows whose file or name does not exist.
func lost(module fs.FS, table []ruleRow) (found []string) {
	for _, r := range table {
		names, err := namesIn(module, r.file)
		switch {
		case err != nil:
			found = append(found, fmt.Sprintf("%s: %v", r.rule, err))
		case !names[r.name]:
			found = append(found, fmt.Sprintf("%s: %s has no %s", r.rule, r.file, r.name))
		}
		for _, other := range r.others {
			if _, err := fs.Stat(module, other); err != nil {
				found = append(found, fmt.Sprintf("%s: %v", r.rule, err))
			}
		}
	}
	return found
}

var wordPattern = regexp.MustCompile(`\w+`)

// namesIn returns the names that a row may give for a file: in Go its declarations, as
// "Name" or "Type.Name", and its string literals; otherwise its words.
func namesIn(module fs.FS, file string) (map[string]bool, error) {
	text, err := fs.ReadFile(module, file)
	if err != nil {
		return nil, err
	}
	names := map[string]bool{}
	if !strings.HasSuffix(file, ".go") {
		for _, word := range wordPattern.FindAllString(string(text), -1) {
			names[word] = true
		}
		return names, nil
	}
	tree, err := parser.ParseFile(token.NewFileSet(), file, text, parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	for _, d := range tree.Decls {
		addNames(names, d)
	}
	return names, nil
}

// addNames adds what d declares, and the string literals in it.
func addNames(names map[string]bool, d ast.Decl) {
	ast.Inspect(d, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncDecl:
			names[receiver(n)+n.Name.Name] = true
		case *ast.ValueSpec:
			for _, name := range n.Names {
				names[name.Name] = true
			}
		case *ast.TypeSpec:
			names[n.Name.Name] = true
			addFields(names, n)
		case *ast.BasicLit:
			if s, err := strconv.Unquote(n.Value); err == nil && n.Kind == token.STRING {
				names[s] = true
			}
		}
		return true
	})
}

func addFields(names map[string]bool, t *ast.TypeSpec) {
	if s, ok := t.Type.(*ast.StructType); ok {
		for _, f := range s.Fields.List {
			for _, name := range f.Names {
				names[t.Name.Name+"."+name.Name] = true
			}
		}
	}
}

// receiver returns "Type." for a method, and "" for a function.
func receiver(f *ast.FuncDecl) string {
	if f.Recv == nil {
		return ""
	}
	t := f.Recv.List[0].Type
	if star, ok := t.(*ast.StarExpr); ok {
		t = star.X
	}
	if id, ok := t.(*ast.Ident); ok {
		return id.Name + "."
	}
	return "?." // a generic type
}

// Each rule in the section "Where is what" of docs/ARCHITECTURE.md is where it says.
func TestWhereIsWhat(t *testing.T) {
	text := architecture(t)
	table := ruleRows(text)
	if len(table) < 10 {
		t.Errorf("docs/ARCHITECTURE.md: %d rows in the section, want at least 10", len(table))
	}
	for _, l := range lost(os.DirFS("../.."), table) {
		t.Errorf("docs/ARCHITECTURE.md: %s", l)
	}
}

// Each way in which a row can be wrong is found.
func TestLost(t *testing.T) {
	module := fstest.MapFS{
		"a.go":       {Data: []byte("package a\nconst (\n\tA = 1\n\tB = 2\n)\nvar v = \"metric_total\"\ntype T struct{ f, g int }\nfunc (t *T) M() { local := 1; _ = local }\nfunc F() {}\n")},
		"broken.go":  {Data: []byte("package")},
		"rules.yml":  {Data: []byte("- alert: Down\n")},
		"Dockerfile": {Data: []byte("HEALTHCHECK CMD x\n")},
	}
	tests := []struct{ file, name, others, want string }{
		{"a.go", "A", "", ""},
		{"a.go", "B", "", ""},
		{"a.go", "v", "", ""},
		{"a.go", "metric_total", "", ""},
		{"a.go", "T", "", ""},
		{"a.go", "T.g", "", ""},
		{"a.go", "T.M", "", ""},
		{"a.go", "F", "", ""},
		{"a.go", "M", "", "rule: a.go has no M"},
		{"a.go", "T.h", "", "rule: a.go has no T.h"},
		{"a.go", "local", "", "rule: a.go has no local"},
		{"a.go", "metric", "", "rule: a.go has no metric"},
		{"b.go", "A", "", "rule: open b.go: file does not exist"},
		{"broken.go", "A", "", "rule: broken.go:1:8: expected 'IDENT', found 'EOF'"},
		{"rules.yml", "Down", "", ""},
		{"rules.yml", "Dow", "", "rule: rules.yml has no Dow"},
		{"Dockerfile", "HEALTHCHECK", "", ""},
		{"a.go", "A", "`b.go`", "rule: open b.go: file does not exist"},
		{"a.go", "A", "more in `rules.yml`, `Dockerfile`", ""},
	}
	for _, tt := range tests {
		row := "\n## Where is what\n\n| | file | name |\n|---|---|---|\n| rule | `" + tt.file + "` | `" + tt.name + "` | " + tt.others + " |\n\n## Next\n\n| x | `y` | `z` |\n"
		table := ruleRows(row)
		if len(table) != 1 {
			t.Fatalf("%d rows in %q", len(table), row)
		}
		if got := strings.Join(lost(module, table), "\n"); !strings.HasPrefix(got, tt.want) || tt.want == "" && got != "" {
			t.Errorf("%+v: found %q", tt, got)
		}
	}
}
