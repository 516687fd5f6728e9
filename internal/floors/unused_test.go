package floors

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

// unused returns the permissions of the tables that no file of w makes use of.
func unused(w *world) (permissions []string) {
	u := usage(w)
	report := func(permission string, used bool) {
		if !used {
			permissions = append(permissions, permission)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(floors)) {
		for _, to := range floors[name].imports {
			report(name+" may import "+to, u.ours[[2]string{name, to}])
		}
		for _, to := range floors[name].outside {
			report(name+" may import "+to, u.imports(name, to))
		}
	}
	for _, owned := range slices.Sorted(maps.Keys(owners)) {
		for _, name := range owners[owned] {
			report(name+" may import "+owned, u.imports(name, owned))
		}
	}
	for _, e := range exceptions {
		report(e.file+" may break "+e.rule, slices.ContainsFunc(u.broken, func(f finding) bool {
			return f.pos.Filename == e.file && f.rule == e.rule
		}))
	}
	return permissions
}

// uses is what the packages of a world import and break.
type uses struct {
	ours   map[[2]string]bool  // names in floors: from, to
	paths  map[string][]string // of a name in floors: all it imports
	broken []finding
}

func usage(w *world) uses {
	u := uses{map[[2]string]bool{}, map[string][]string{}, nil}
	for _, dir := range w.dirs() {
		p := w.pkgs[dir]
		name, _, _ := place(dir)
		u.paths[name] = append(u.paths[name], p.imports()...)
		for _, to := range w.ours(p) {
			target, _, _ := place(to)
			u.ours[[2]string{name, target}] = true
		}
		u.broken = append(u.broken, broken(w, p)...)
	}
	return u
}

// imports reports whether name imports the package to, or one below it.
func (u uses) imports(name, to string) bool {
	return slices.ContainsFunc(u.paths[name], func(p string) bool { return under(p, to) })
}

// A permission that nothing needs is taken back: otherwise the first to use it
// would not be asked why.
func TestNoUnusedPermission(t *testing.T) {
	w := thisModule(t)
	for _, permission := range unused(w) {
		t.Errorf("imports_test.go: no file needs that %s", permission)
	}
}

// A permission counts as used by the file that needs it, and by no other.
func TestUnused(t *testing.T) {
	const head = "package x\n"
	tests := []struct{ permission, file, src string }{
		{"pkg/lookup may import pkg/kad", "pkg/lookup/x.go", `import _ "` + module + `/pkg/kad"`},
		{"pkg/records may import pkg/kad", "pkg/records/storetest/x.go", `import _ "` + module + `/pkg/kad"`},
		{"pkg/wire may import google.golang.org/protobuf/encoding/protowire", "pkg/wire/x.go", `import _ "google.golang.org/protobuf/encoding/protowire"`},
		{"storage may import go.etcd.io/bbolt", "storage/runs/x.go", `import _ "go.etcd.io/bbolt/errors"`},
		{"pkg/records/mem.go may break import sync", "pkg/records/mem.go", `import _ "sync"`},
	}
	for _, tt := range tests {
		t.Run(tt.permission, func(t *testing.T) {
			for _, file := range []string{tt.file, "internal/explain/x.go"} {
				w, err := load(fstest.MapFS{
					file:           {Data: []byte(head + tt.src)},
					"pkg/kad/x.go": {Data: []byte(head)},
				})
				if err != nil {
					t.Fatal(err)
				}
				used := !slices.Contains(unused(w), tt.permission)
				if used != strings.HasPrefix(file, tt.file) {
					t.Errorf("used by %s: %t", file, used)
				}
			}
		})
	}
}
