package floors

import (
	"go/ast"
	"go/types"
)

// errorMethods are the methods that package errors calls without a named interface.
var errorMethods = []string{"Is", "As", "Unwrap"}

// meet pairs the methods of the module's types with those of the interfaces that they
// satisfy.
func (g *graph) meet() {
	ours, others := g.interfaces()
	for o := range g.names {
		t, ok := o.(*types.TypeName)
		if !ok || t.IsAlias() {
			continue
		}
		methods := types.NewMethodSet(t.Type())
		if !types.IsInterface(t.Type()) {
			methods = types.NewMethodSet(types.NewPointer(t.Type()))
		}
		for _, name := range errorMethods {
			if s := methods.Lookup(t.Pkg(), name); s != nil {
				g.meets = append(g.meets, meeting{of: t, method: s.Obj().(*types.Func).Origin()})
			}
		}
		for _, i := range append(ours, others...) {
			if t.Type().Underlying() != i.Underlying() && satisfies(methods, i) {
				g.meetAll(t, methods, i)
			}
		}
	}
}

func (g *graph) meetAll(t *types.TypeName, methods *types.MethodSet, i types.Type) {
	for m := range i.Underlying().(*types.Interface).Methods() {
		meet := meeting{of: t, method: methods.Lookup(m.Pkg(), m.Name()).Obj().(*types.Func).Origin()}
		if m.Pkg() != nil && under(m.Pkg().Path(), module) {
			meet.called = m.Origin()
		}
		g.meets = append(g.meets, meet)
	}
}

// satisfies reports whether the methods include those of i. For an interface with type
// parameters it compares only names.
func satisfies(methods *types.MethodSet, i types.Type) bool {
	named, _ := i.(*types.Named)
	generic := named != nil && named.TypeParams().Len() > 0
	for m := range i.Underlying().(*types.Interface).Methods() {
		s := methods.Lookup(m.Pkg(), m.Name())
		if s == nil || !generic && !types.Identical(s.Type(), m.Type()) {
			return false
		}
	}
	return true
}

// interfaces returns the interfaces of the module, and the exported interfaces of the
// packages that it imports.
func (g *graph) interfaces() (ours, others []types.Type) {
	imported := map[*types.Package]bool{}
	for _, dir := range g.w.dirs() {
		p := g.w.pkgs[dir]
		for e, t := range p.info.Types {
			if _, ok := e.(*ast.InterfaceType); ok {
				ours = append(ours, t.Type)
			}
		}
		for _, from := range p.types.Imports() {
			imported[from] = !under(from.Path(), module)
		}
	}
	others = append(others, types.Universe.Lookup("error").Type())
	for p, foreign := range imported {
		for _, name := range p.Scope().Names() {
			if o, ok := p.Scope().Lookup(name).(*types.TypeName); ok && foreign && o.Exported() && types.IsInterface(o.Type()) {
				others = append(others, o.Type())
			}
		}
	}
	return ours, others
}
