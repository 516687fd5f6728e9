package floors

import (
	"go/ast"
	"go/token"
	"go/types"
	"slices"
)

// mentions collects what one declaration uses. Assigning to a field, or naming it in a
// literal, is not a use.
type mentions struct {
	*reader
	by      types.Object
	written map[ast.Expr]bool
}

// reflecting are packages whose functions read the fields of their arguments by
// reflection, or compare them as a whole, as sync.Map compares keys.
var reflecting = []string{"encoding", "fmt", "html/template", "sync", "github.com/pelletier/go-toml"}

func (m *mentions) visit(n ast.Node) bool {
	switch n := n.(type) {
	case *ast.AssignStmt:
		for _, l := range n.Lhs {
			m.written[ast.Unparen(l)] = true
		}
	case *ast.IncDecStmt:
		m.written[ast.Unparen(n.X)] = true
	case *ast.SelectorExpr:
		if s := m.info.Selections[n]; s != nil && s.Kind() == types.FieldVal && !m.written[n] {
			m.mention(m.by, s.Obj())
		}
	case *ast.Ident:
		if v, ok := m.info.Uses[n].(*types.Var); !ok || !v.IsField() {
			m.mention(m.by, m.info.Uses[n])
		}
		m.compared(n)
	case *ast.BinaryExpr:
		if n.Op == token.EQL || n.Op == token.NEQ {
			m.whole(m.info.TypeOf(n.X), nil)
		}
	case *ast.MapType:
		m.whole(m.info.TypeOf(n.Key), nil)
	case *ast.CallExpr:
		m.call(n)
	}
	return true
}

// compared finds type arguments of comparable type parameters.
func (m *mentions) compared(n *ast.Ident) {
	inst, ok := m.info.Instances[n]
	if !ok {
		return
	}
	var params *types.TypeParamList
	switch t := m.info.Uses[n].Type().(type) {
	case *types.Named:
		params = t.Origin().TypeParams()
	case *types.Signature:
		params = t.TypeParams()
	}
	for i := range min(params.Len(), inst.TypeArgs.Len()) {
		if params.At(i).Constraint().Underlying().(*types.Interface).IsComparable() {
			m.whole(inst.TypeArgs.At(i), nil)
		}
	}
}

// call finds structs that are read as a whole: converted, or passed to a package that
// uses reflection.
func (m *mentions) call(n *ast.CallExpr) {
	if m.info.Types[n.Fun].IsType() {
		if len(n.Args) == 1 && !types.IsInterface(m.info.TypeOf(n.Fun)) {
			m.whole(m.info.TypeOf(n.Args[0]), nil)
		}
		return
	}
	f := ast.Unparen(n.Fun)
	if s, ok := f.(*ast.SelectorExpr); ok {
		f = s.Sel
	}
	id, ok := f.(*ast.Ident)
	if !ok || m.info.Uses[id] == nil || m.info.Uses[id].Pkg() == nil || !underAny(m.info.Uses[id].Pkg().Path(), reflecting) {
		return
	}
	for _, arg := range n.Args {
		m.whole(m.info.TypeOf(arg), nil)
		if lit, ok := arg.(*ast.CompositeLit); ok {
			m.literal(lit)
		}
	}
}

// literal visits the values of a literal, because the literal's type may hide theirs
// (any).
func (m *mentions) literal(lit *ast.CompositeLit) {
	for _, e := range lit.Elts {
		if pair, ok := e.(*ast.KeyValueExpr); ok {
			e = pair.Value
		}
		m.whole(m.info.TypeOf(e), nil)
	}
}

// whole mentions all fields of a struct type, and of the types within.
func (m *mentions) whole(t types.Type, outer []types.Type) {
	if t == nil || slices.Contains(outer, t) {
		return
	}
	outer = append(outer, t)
	switch t := t.Underlying().(type) {
	case *types.Pointer:
		m.whole(t.Elem(), outer)
	case *types.Slice:
		m.whole(t.Elem(), outer)
	case *types.Array:
		m.whole(t.Elem(), outer)
	case *types.Map:
		m.whole(t.Elem(), outer)
	case *types.Struct:
		for f := range t.Fields() {
			m.mention(m.by, f)
			m.whole(f.Type(), outer)
		}
	}
}
