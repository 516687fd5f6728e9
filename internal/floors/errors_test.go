package floors

import (
	"go/ast"
	"go/token"
	"path"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"
)

// operations are the packages that have the name of an operation of the node, with which
// errors are wrapped.
var operations = []string{"explain", "join", "lookup"}

// prefixed returns the errors whose text begins with the name of a package.
func prefixed(w *world) (found []finding) {
	var names []string
	for _, dir := range w.dirs() {
		if name := path.Base(dir); !slices.Contains(operations, name) {
			names = append(names, name)
		}
	}
	for _, dir := range w.dirs() {
		for _, file := range w.pkgs[dir].files {
			ast.Inspect(file, func(n ast.Node) bool {
				text, ok := errorText(n)
				if first, _, cut := strings.Cut(text, ": "); ok && cut && slices.Contains(names, first) {
					found = append(found, finding{w.position(n), strconv.Quote(text) + " begins with the name of a package"})
				}
				return true
			})
		}
	}
	return found
}

// errorText returns the text that n, a call of errors.New or fmt.Errorf, begins with.
func errorText(n ast.Node) (string, bool) {
	call, ok := n.(*ast.CallExpr)
	if !ok || len(call.Args) == 0 {
		return "", false
	}
	fn, ok := call.Fun.(*ast.SelectorExpr)
	if !ok || fn.Sel.Name != "New" && fn.Sel.Name != "Errorf" {
		return "", false
	}
	arg := call.Args[0]
	if sum, ok := arg.(*ast.BinaryExpr); ok {
		arg = sum.X
	}
	lit, ok := arg.(*ast.BasicLit)
	if !ok || lit.Kind != token.STRING {
		return "", false
	}
	text, err := strconv.Unquote(lit.Value)
	return text, err == nil
}

// The command line prints errors as they are, so their texts say what failed, not in
// which package.
func TestErrorsNameNoPackage(t *testing.T) {
	w := thisModule(t)
	for _, f := range prefixed(w) {
		t.Error(f)
	}
}

func TestPrefixed(t *testing.T) {
	w, err := load(fstest.MapFS{
		"storage/a.go":  {Data: []byte("package storage")},
		"pkg/node/a.go": {Data: []byte("package node")},
		"pkg/kad/a.go": {Data: []byte(`package kad
var a = errors.New("node: closed")
var b = fmt.Errorf("storage: "+format, args...)
var c = api.Errorf(code, "x")
var d = errors.New("node closed")
var e = log("storage: damage")
var f = errors.New("ping: timed out")
var g = errors.New("kad: no key")
`)},
	})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, f := range prefixed(w) {
		got = append(got, f.String())
	}
	want := []string{
		`pkg/kad/a.go:2: "node: closed" begins with the name of a package`,
		`pkg/kad/a.go:3: "storage: " begins with the name of a package`,
		`pkg/kad/a.go:8: "kad: no key" begins with the name of a package`,
	}
	if !slices.Equal(got, want) {
		t.Errorf("found %q, want %q", got, want)
	}
}
