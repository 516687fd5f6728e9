package floors

import (
	"fmt"
	"go/ast"
	"go/token"
	"go/types"
	"path"
	"slices"
	"strconv"
	"strings"
)

// finding is a broken rule.
type finding struct {
	pos  token.Position // file relative to the module
	rule string
}

func (f finding) String() string { return fmt.Sprintf("%s:%d: %s", f.pos.Filename, f.pos.Line, f.rule) }

// under reports whether p is prefix or a path below it.
func under(p, prefix string) bool { return p == prefix || strings.HasPrefix(p, prefix+"/") }

func underAny(p string, prefixes []string) bool {
	return slices.ContainsFunc(prefixes, func(prefix string) bool { return under(p, prefix) })
}

// place returns the floor of the directory dir: its own, or that of its nearest parent
// directory.
func place(dir string) (name string, f floor, ok bool) {
	for name = dir; name != "."; name = path.Dir(name) {
		if f, ok = floors[name]; ok {
			return name, f, true
		}
	}
	return "", floor{}, false
}

// forTests reports whether a package only serves tests, such as storetest. It may do
// whatever the tests of its parent may.
func forTests(dir string) bool { return strings.HasSuffix(dir, "test") }

// check returns the rules that a package breaks without an exception.
func check(w *world, p *pkg) []finding { return slices.DeleteFunc(broken(w, p), excepted) }

// broken returns the rules that a package breaks.
func broken(w *world, p *pkg) []finding {
	name, f, ok := place(p.dir)
	if !ok {
		return []finding{{w.position(p.files[0].Name), "package " + p.dir + " has no floor"}}
	}
	c := checker{w: w, pkg: p}
	for _, file := range p.files {
		for _, imp := range file.Imports {
			c.checkImport(imp, name, f)
		}
	}
	if f.pure && !forTests(p.dir) {
		c.info = w.typeCheck(p)
		for _, file := range p.files {
			c.checkPure(file)
		}
	}
	return c.found
}

func excepted(f finding) bool {
	for _, e := range exceptions {
		if e.file == f.pos.Filename && e.rule == f.rule {
			return true
		}
	}
	return false
}

type checker struct {
	w     *world
	pkg   *pkg
	info  *types.Info
	free  map[int]bool // lines with an order-free comment
	found []finding
}

func (c *checker) report(n ast.Node, rule string) {
	c.found = append(c.found, finding{c.w.position(n), rule})
}

func (c *checker) checkImport(imp *ast.ImportSpec, name string, f floor) {
	to, _ := strconv.Unquote(imp.Path.Value)
	dir, ours := strings.CutPrefix(to, module+"/")
	std := !strings.Contains(strings.Split(to, "/")[0], ".")
	switch pure := f.pure && !forTests(c.pkg.dir); {
	case ours:
		if target, _, _ := place(dir); target != name && !slices.Contains(f.imports, target) {
			c.report(imp, "import "+dir+" is not on a lower floor")
		}
	case std:
		if pure && underAny(to, bannedImports) && !underAny(to, allowedImports) {
			c.report(imp, "import "+to)
		}
	case pure && !underAny(to, f.outside):
		c.report(imp, "import "+to+" below the I/O line")
	default:
		for owned, by := range owners {
			if under(to, owned) && !slices.Contains(by, name) {
				c.report(imp, "import "+to+" belongs to others")
			}
		}
	}
	if imp.Name != nil && imp.Name.Name == "." {
		c.report(imp, "dot import")
	}
}

// checkPure reports what a pure package may not contain.
func (c *checker) checkPure(file *ast.File) {
	c.free = orderFree(c.w, file)
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.GoStmt:
			c.report(n, "go statement")
		case *ast.SelectStmt:
			c.report(n, "select statement")
		case *ast.SelectorExpr:
			c.checkSelector(n)
		case *ast.RangeStmt:
			if c.isMap(n.X) && !c.isFree(n) {
				c.report(n, "map order")
			}
		}
		return true
	})
}

func (c *checker) checkSelector(n *ast.SelectorExpr) {
	id, ok := n.X.(*ast.Ident)
	if !ok {
		return
	}
	imported, ok := c.info.Uses[id].(*types.PkgName)
	if !ok {
		return
	}
	from, name := imported.Imported().Path(), n.Sel.Name
	banned := slices.Contains(bannedNames[from], name)
	if from == "math/rand/v2" {
		banned = !slices.Contains(seededRand, name)
	}
	if from == "maps" && c.isFree(n) {
		return
	}
	if banned {
		c.report(n, from+"."+name)
	}
}

func (c *checker) isMap(e ast.Expr) bool {
	t := c.info.TypeOf(e)
	if t == nil {
		return false
	}
	_, is := t.Underlying().(*types.Map)
	return is
}

// isFree reports whether n's line, or the one above, says why the order does not matter.
func (c *checker) isFree(n ast.Node) bool {
	line := c.w.position(n).Line
	return c.free[line] || c.free[line-1]
}

// orderFree returns the lines of comments "// order-free: <reason>".
func orderFree(w *world, file *ast.File) map[int]bool {
	lines := map[int]bool{}
	for _, group := range file.Comments {
		for _, comment := range group.List {
			reason, ok := strings.CutPrefix(comment.Text, "// order-free:")
			if ok && strings.TrimSpace(reason) != "" {
				lines[w.position(comment).Line] = true
			}
		}
	}
	return lines
}
