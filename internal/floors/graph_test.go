package floors

import (
	"go/ast"
	"go/types"
	"slices"
)

// graph records which declarations of a module mention which others, outside tests. A
// declaration is a function, method, type, constant or variable of a package, or a field
// or method of a struct or interface type declared there.
type graph struct {
	w     *world
	names map[types.Object]string         // the declarations, as "pkg/kad.Key.String"
	from  map[types.Object][]types.Object // the declarations that each mentions
	roots []types.Object                  // main and init of each package
	meets []meeting
}

// meeting is a method that code calls through an interface.
type meeting struct {
	of     types.Object // the type that has the method
	method types.Object
	called types.Object // the method of an interface of the module; nil: an interface of another module, which may call it
}

func newGraph(w *world) *graph {
	g := &graph{w: w, names: map[types.Object]string{}, from: map[types.Object][]types.Object{}}
	for _, dir := range w.dirs() {
		p := w.pkgs[dir]
		r := reader{graph: g, pkg: p, info: w.typeCheck(p)}
		for _, file := range p.files {
			for _, d := range file.Decls {
				r.declaration(d)
			}
		}
	}
	g.meet()
	return g
}

// reach returns the declarations that are reachable from main, init and the given ones.
func (g *graph) reach(more ...types.Object) map[types.Object]bool {
	seen := map[types.Object]bool{}
	next := append(slices.Clone(g.roots), more...)
	for len(next) > 0 {
		for len(next) > 0 {
			o := next[len(next)-1]
			next = next[:len(next)-1]
			if !seen[o] {
				seen[o] = true
				next = append(next, g.from[o]...)
			}
		}
		for _, m := range g.meets {
			if !seen[m.method] && seen[m.of] && (m.called == nil || seen[m.called]) {
				next = append(next, m.method)
			}
		}
	}
	return seen
}

// reader adds the declarations of one package.
type reader struct {
	*graph
	pkg  *pkg
	info *types.Info
}

func (r *reader) declaration(d ast.Decl) {
	switch d := d.(type) {
	case *ast.FuncDecl:
		r.function(d)
	case *ast.GenDecl:
		for _, spec := range d.Specs {
			switch spec := spec.(type) {
			case *ast.TypeSpec:
				r.declare(spec.Name, "", spec)
				r.fields(spec.Name.Name, spec.Type)
			case *ast.ValueSpec:
				for _, name := range spec.Names {
					r.declare(name, "", spec)
				}
			}
		}
	}
}

func (r *reader) function(d *ast.FuncDecl) {
	of := ""
	if f, ok := r.info.Defs[d.Name].(*types.Func); ok && f.Signature().Recv() != nil {
		t := namedOf(f.Signature().Recv().Type())
		if t == nil {
			return
		}
		of = t.Obj().Name() + "."
	}
	o := r.declare(d.Name, of, d)
	if d.Recv == nil && (d.Name.Name == "init" || d.Name.Name == "main" && d.Name.Name == r.pkg.types.Name()) {
		r.roots = append(r.roots, o)
	}
}

// declare records the object of name, and what n mentions. A blank name, as in "var _ I =
// T{}", uses nothing.
func (r *reader) declare(name *ast.Ident, of string, n ast.Node) types.Object {
	if name.Name == "_" {
		return nil
	}
	o := r.info.Defs[name]
	if o == nil { // also declared for another operating system
		o = r.pkg.types.Scope().Lookup(name.Name)
	}
	if o == nil {
		return nil
	}
	if name.Name != "init" {
		r.names[o] = r.pkg.dir + "." + of + name.Name
	}
	if t := namedOf(o.Type()); t != nil {
		r.mention(o, t.Obj()) // the type of a constant or variable, if its declaration does not name it
	}
	m := mentions{reader: r, by: o, written: map[ast.Expr]bool{}}
	ast.Inspect(n, m.visit)
	return o
}

// fields names the fields or methods of the type t. A field with a tag counts as used,
// because readers of the encoded form read it.
func (r *reader) fields(of string, t ast.Expr) {
	var list *ast.FieldList
	switch t := t.(type) {
	case *ast.StructType:
		list = t.Fields
	case *ast.InterfaceType:
		list = t.Methods
	default:
		return
	}
	for _, f := range list.List {
		for _, name := range f.Names {
			if name.Name == "_" {
				continue
			}
			if f.Tag == nil {
				r.names[r.info.Defs[name]] = r.pkg.dir + "." + of + "." + name.Name
			}
			r.fields(of+"."+name.Name, element(f.Type))
		}
	}
}

// element returns the type at the end of pointers, slices and arrays.
func element(t ast.Expr) ast.Expr {
	switch t := t.(type) {
	case *ast.ArrayType:
		return element(t.Elt)
	case *ast.StarExpr:
		return element(t.X)
	}
	return t
}

func (g *graph) mention(by, o types.Object) {
	switch x := o.(type) {
	case *types.Func:
		o = x.Origin()
	case *types.Var:
		o = x.Origin()
	}
	if by != nil && by != o && o != nil && o.Pkg() != nil && under(o.Pkg().Path(), module) {
		g.from[by] = append(g.from[by], o)
	}
}

func namedOf(t types.Type) *types.Named {
	t = types.Unalias(t)
	if p, ok := t.(*types.Pointer); ok {
		t = types.Unalias(p.Elem())
	}
	named, _ := t.(*types.Named)
	if named == nil {
		return nil
	}
	return named.Origin()
}
