package floors

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

// paragraph is the one of docs/ARCHITECTURE.md that lists the public packages.
var paragraph = regexp.MustCompile(`(?m)^.* packages serve the users of the library: .*$`)

// public returns the packages that other modules can import: not commands, and not under
// an internal directory.
func public(w *world) (dirs []string) {
	for dir, p := range w.pkgs {
		if p.files[0].Name.Name != "main" && !slices.Contains(strings.Split(dir, "/"), "internal") {
			dirs = append(dirs, dir)
		}
	}
	slices.Sort(dirs)
	return dirs
}

// listedPublic returns the packages that text lists.
func listedPublic(text string) (dirs []string) {
	for _, m := range regexp.MustCompile("`([a-z/]+/[a-z/]+|storage|republish|metrics)`").FindAllStringSubmatch(paragraph.FindString(text), -1) {
		dirs = append(dirs, m[1])
	}
	slices.Sort(dirs)
	return dirs
}

func TestPublicPackages(t *testing.T) {
	w := thisModule(t)
	text := architecture(t)
	if got, want := public(w), listedPublic(text); !slices.Equal(got, want) {
		t.Errorf("docs/ARCHITECTURE.md lists the public packages %q; they are %q", want, got)
	}
}

func TestPublic(t *testing.T) {
	files := fstest.MapFS{}
	for dir, name := range map[string]string{"pkg/a": "a", "pkg/a/internal/b": "b", "internal/c": "c", "cmd/d": "main"} {
		files[dir+"/x.go"] = &fstest.MapFile{Data: fmt.Appendf(nil, "package %s", name)}
	}
	w, err := load(files)
	if err != nil {
		t.Fatal(err)
	}
	if got := public(w); !slices.Equal(got, []string{"pkg/a"}) {
		t.Errorf("public packages %q", got)
	}
}
