package daemon

import (
	"go/ast"
	"go/parser"
	"go/token"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// computed are the packages that also register patterns that are not literals. Those of
// delegated are tested there; those of api are private to the command line.
var computed = []string{"api", "delegated"}

// registered returns the patterns that the packages of internal register with a mux, each
// with its package.
func registered(t *testing.T) map[string]string {
	t.Helper()
	files, err := filepath.Glob("../*/*.go")
	require.NoError(t, err)
	found := map[string]string{}
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		fset := token.NewFileSet()
		file, err := parser.ParseFile(fset, name, nil, parser.SkipObjectResolution)
		require.NoError(t, err)
		pkg := filepath.Base(filepath.Dir(name))
		ast.Inspect(file, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok || !registers(call) {
				return true
			}
			if lit, ok := call.Args[0].(*ast.BasicLit); ok {
				pattern, err := strconv.Unquote(lit.Value)
				require.NoError(t, err)
				found[pattern] = pkg
			} else {
				require.Contains(t, computed, pkg, "%s: the pattern is not a literal, so this test cannot compare it with docs/reference/http.md", fset.Position(call.Pos()))
			}
			return true
		})
	}
	return found
}

// registers reports whether a call is mux.Handle or mux.HandleFunc.
func registers(call *ast.CallExpr) bool {
	method, ok := call.Fun.(*ast.SelectorExpr)
	if !ok || method.Sel.Name != "Handle" && method.Sel.Name != "HandleFunc" {
		return false
	}
	on, ok := method.X.(*ast.Ident)
	return ok && on.Name == "mux"
}

// docs/reference/http.md lists every request that the metrics listener and the admin socket
// serve, and no other.
func TestHTTPReference(t *testing.T) {
	page, err := os.ReadFile("../../docs/reference/http.md")
	require.NoError(t, err)
	have := registered(t)
	require.Greater(t, len(have), 5)
	for pattern := range have {
		if pattern != "/" { // answers 404
			require.Contains(t, string(page), "`"+strings.TrimSuffix(pattern, "{$}")+"`", have[pattern])
		}
	}
	_, metrics, _ := strings.Cut(string(page), "## Metrics listener\n")
	metrics, _, _ = strings.Cut(metrics, "\n## ")
	rows := regexp.MustCompile("(?m)^\\| `(.+?)` \\|").FindAllStringSubmatch(string(page), -1)
	d := start(t, t.TempDir())
	for _, row := range rows {
		if strings.Contains(row[1], "/routing/v1/") {
			continue // see delegated
		}
		_, known := have[row[1]]
		_, root := have[row[1]+"{$}"] // exactly this path
		require.True(t, known || root, row[1])
		_, path, _ := strings.Cut(row[1], " ")
		if strings.Contains(metrics, row[0]) && !strings.Contains(path, "{") {
			code, _ := fetch(t, "http://"+d.web.addr+path)
			require.NotContains(t, []int{http.StatusNotFound, http.StatusMethodNotAllowed}, code, path)
		}
	}
}
