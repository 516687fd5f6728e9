package floors

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"
)

// ours returns the packages of the module that p imports.
func (w *world) ours(p *pkg) (dirs []string) {
	for _, to := range p.imports() {
		if dir, ok := strings.CutPrefix(to, module+"/"); ok {
			dirs = append(dirs, dir)
		}
	}
	return dirs
}

// imports returns the paths that the files of p import.
func (p *pkg) imports() (paths []string) {
	for _, file := range p.files {
		for _, imp := range file.Imports {
			to, _ := strconv.Unquote(imp.Path.Value)
			paths = append(paths, to)
		}
	}
	return paths
}

// heights returns the floor of each package: 0 if it imports no other of the module,
// otherwise one above the highest that it imports. There is no cycle, because the
// compiler allows none.
func (w *world) heights() map[string]int {
	height := map[string]int{}
	var climb func(dir string) int
	climb = func(dir string) int {
		if _, done := height[dir]; !done && w.pkgs[dir] != nil {
			h := 0
			for _, to := range w.ours(w.pkgs[dir]) {
				h = max(h, climb(to)+1)
			}
			height[dir] = h
		}
		return height[dir]
	}
	for _, dir := range w.dirs() {
		climb(dir)
	}
	return height
}

// row is a package in the table of docs/ARCHITECTURE.md.
type row struct {
	floor int
	core  bool
}

func (r row) String() string { return fmt.Sprintf("floor %d, core %t", r.floor, r.core) }

var rowPattern = regexp.MustCompile("(?m)^\\| (\\d+) \\| (core|) ?\\| `([^`]+)` \\|")

// rows returns the table of packages in the text of docs/ARCHITECTURE.md.
func rows(text string) map[string]row {
	found := map[string]row{}
	for _, m := range rowPattern.FindAllStringSubmatch(text, -1) {
		floor, _ := strconv.Atoi(m[1])
		found[m[3]] = row{floor, m[2] == "core"}
	}
	return found
}

// rows returns the table of packages that follows from the imports.
func (w *world) rows() map[string]row {
	built := map[string]row{}
	for dir, height := range w.heights() {
		_, f, _ := place(dir)
		built[dir] = row{height, f.pure && !forTests(dir)}
	}
	return built
}

// differences returns the wrong rows of a table of packages, and the missing ones.
func differences(said, built map[string]row) (wrong []string) {
	for _, dir := range slices.Sorted(maps.Keys(built)) {
		switch r, ok := said[dir]; {
		case !ok:
			wrong = append(wrong, fmt.Sprintf("%s is missing: %v", dir, built[dir]))
		case r != built[dir]:
			wrong = append(wrong, fmt.Sprintf("%s is %v, not %v", dir, built[dir], r))
		}
	}
	for _, dir := range slices.Sorted(maps.Keys(said)) {
		if _, ok := built[dir]; !ok {
			wrong = append(wrong, dir+" is no package")
		}
	}
	return wrong
}

// The table of packages in docs/ARCHITECTURE.md agrees with the imports.
func TestArchitectureHasFloors(t *testing.T) {
	w := thisModule(t)
	text := architecture(t)
	for _, wrong := range differences(rows(text), w.rows()) {
		t.Errorf("docs/ARCHITECTURE.md: %s", wrong)
	}
}

// Each way in which the table can be wrong is found.
func TestDifferences(t *testing.T) {
	w, err := load(fstest.MapFS{
		"pkg/kad/x.go":               {Data: []byte("package kad")},
		"pkg/wire/x.go":              {Data: []byte("package wire\nimport _ \"" + module + "/pkg/kad\"")},
		"pkg/records/x.go":           {Data: []byte("package records\nimport _ \"" + module + "/pkg/wire\"")},
		"pkg/records/mem/x.go":       {Data: []byte("package mem\nimport (_ \"" + module + "/pkg/kad\"; _ \"" + module + "/pkg/records\")")},
		"pkg/records/suitetest/x.go": {Data: []byte("package suitetest\nimport _ \"" + module + "/pkg/records\"")},
		"pkg/node/x.go":              {Data: []byte("package node\nimport _ \"" + module + "/pkg/kad\"")},
	})
	if err != nil {
		t.Fatal(err)
	}
	const right = "| floor | | package | |\n|---|---|---|---|\n" +
		"| 0 | core | `pkg/kad` | x |\n" +
		"| 1 | core | `pkg/wire` | x |\n" +
		"| 2 | core | `pkg/records` | x |\n" +
		"| 3 | core | `pkg/records/mem` | x |\n" +
		"| 3 | | `pkg/records/suitetest` | x |\n" +
		"| 1 | | `pkg/node` | x |\n"
	tests := []struct{ name, old, new, want string }{
		{"right", "", "", ""},
		{"same floor", "| 1 | core | `pkg/wire`", "| 0 | core | `pkg/wire`", "pkg/wire is floor 1, core true, not floor 0, core true"},
		{"too high", "| 1 | | `pkg/node`", "| 4 | | `pkg/node`", "pkg/node is floor 1, core false, not floor 4, core false"},
		{"not of the core", "| 1 | | `pkg/node`", "| 1 | core | `pkg/node`", "pkg/node is floor 1, core false, not floor 1, core true"},
		{"of the core", "| 0 | core |", "| 0 | |", "pkg/kad is floor 0, core true, not floor 0, core false"},
		{"missing", "| 0 | core | `pkg/kad` | x |\n", "", "pkg/kad is missing: floor 0, core true"},
		{"gone", "| 0 | core", "| 0 | | `pkg/attic` | x |\n| 0 | core", "pkg/attic is no package"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := differences(rows(strings.Replace(right, tt.old, tt.new, 1)), w.rows())
			if strings.Join(got, "\n") != tt.want {
				t.Errorf("found %q, want %q", got, tt.want)
			}
		})
	}
}
