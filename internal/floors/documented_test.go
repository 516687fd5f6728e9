package floors

import (
	"go/ast"
	"path"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

// undocumented returns the packages without a package comment in doc.go or, for a
// program, beside its main function.
func undocumented(w *world) (found []finding) {
	for _, dir := range w.dirs() {
		p := w.pkgs[dir]
		if p.files[0].Name.Name != "main" && !slices.ContainsFunc(p.files, func(f *ast.File) bool { return w.isDoc(f) }) {
			found = append(found, finding{w.position(p.files[0].Name), "package " + dir + " has no doc.go"})
		}
	}
	return found
}

// isDoc reports whether f is a doc.go that begins with "Package" and its name.
func (w *world) isDoc(f *ast.File) bool {
	return path.Base(w.position(f).Filename) == "doc.go" && strings.HasPrefix(f.Doc.Text(), "Package "+f.Name.Name+" ")
}

func TestPackagesAreDocumented(t *testing.T) {
	w := thisModule(t)
	for _, f := range undocumented(w) {
		t.Error(f)
	}
}

func TestUndocumented(t *testing.T) {
	const missing = "pkg/kad/a.go:1: package pkg/kad has no doc.go"
	for name, tt := range map[string]struct {
		doc, code string
		want      []string
	}{
		"documented":          {"// Package kad is x.\npackage kad", "package kad", nil},
		"elsewhere":           {"", "// Package kad is x.\npackage kad", []string{missing[:12] + ":2" + missing[14:]}},
		"nowhere":             {"", "package kad", []string{missing}},
		"without a comment":   {"package kad", "package kad", []string{missing}},
		"of another name":     {"// Package kid is x.\npackage kad", "package kad", []string{missing}},
		"apart from the name": {"// Package kad is x.\n\npackage kad", "package kad", []string{missing}},
		"a program":           {"", "package main", nil},
	} {
		files := fstest.MapFS{"pkg/kad/a.go": {Data: []byte(tt.code)}}
		if tt.doc != "" {
			files["pkg/kad/doc.go"] = &fstest.MapFile{Data: []byte(tt.doc)}
		}
		w, err := load(files)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, f := range undocumented(w) {
			got = append(got, f.String())
		}
		if !slices.Equal(got, tt.want) {
			t.Errorf("%s: found %q, want %q", name, got, tt.want)
		}
	}
}
