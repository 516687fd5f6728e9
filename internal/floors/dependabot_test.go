package floors

import (
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

var ecosystemPattern = regexp.MustCompile(`(?m)^  - package-ecosystem: (\S+)\n    director(?:y|ies): \[?([^\]\n]*)`)

// unwatched returns the files with dependencies that .github/dependabot.yml does not cover:
// a new module gets no updates until its directory is there.
func unwatched(module fs.FS) (wrong []string, err error) {
	text, err := fs.ReadFile(module, ".github/dependabot.yml")
	if err != nil {
		return nil, err
	}
	covered := map[string]bool{}
	for _, m := range ecosystemPattern.FindAllStringSubmatch(string(text), -1) {
		for dir := range strings.SplitSeq(m[2], ", ") {
			covered[m[1]+" "+dir] = true
		}
	}
	ecosystems := map[string]string{"go.mod": "gomod", "package.json": "npm", "Dockerfile": "docker", "compose.yaml": "docker-compose"}
	err = fs.WalkDir(module, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && slices.Contains([]string{".git", "dist", "testdata", "node_modules"}, d.Name()) {
			return fs.SkipDir
		}
		need := ecosystems[d.Name()] + " " + path.Join("/", path.Dir(name))
		if strings.HasPrefix(name, ".github/workflows/") {
			need = "github-actions /"
		}
		if need[0] != ' ' && !covered[need] {
			wrong = append(wrong, fmt.Sprintf("%s: .github/dependabot.yml has no %s", name, need))
		}
		return nil
	})
	return wrong, err
}

// Dependabot covers every module, image and workflow.
func TestDependabot(t *testing.T) {
	requireGood(t, unwatched)
}

func TestUnwatched(t *testing.T) {
	const text = "version: 2\nupdates:\n  - package-ecosystem: gomod\n    directories: [/, /b]\n    schedule:\n  - package-ecosystem: docker\n    directory: /\n"
	module := fstest.MapFS{".github/dependabot.yml": {Data: []byte(text)}}
	for _, name := range []string{"go.mod", "b/go.mod", "b/testdata/go.mod", "Dockerfile", "c/go.mod", "b/package.json", ".github/workflows/w.yml"} {
		module[name] = &fstest.MapFile{}
	}
	wrong, err := unwatched(module)
	want := ".github/workflows/w.yml: .github/dependabot.yml has no github-actions /\n" +
		"b/package.json: .github/dependabot.yml has no npm /b\nc/go.mod: .github/dependabot.yml has no gomod /c"
	if got := strings.Join(wrong, "\n"); err != nil || got != want {
		t.Errorf("got %s, %v; want %s", got, err, want)
	}
}
