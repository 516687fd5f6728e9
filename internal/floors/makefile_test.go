package floors

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

var (
	targetPattern = regexp.MustCompile(`(?m)^([a-z0-9]+):`)
	recipePattern = regexp.MustCompile(`(?m)^([a-z0-9]+): ## \S.*\n\t(.*)\n(\t)?`)
	makePattern   = regexp.MustCompile("(?m)(?:`|^ {4})(?:[A-Z_]+=\\S+ )?make ([a-z][a-z0-9 ]*)")
	assigned      = regexp.MustCompile(`^([A-Z_]+=\S+ )+`) // variables before a command
	lineStart     = regexp.MustCompile(`(?m)^`)
)

// targets returns the targets of a Makefile.
func targets(makefile string) (names []string) {
	for _, m := range targetPattern.FindAllStringSubmatch(makefile, -1) {
		names = append(names, m[1])
	}
	return names
}

// misnamed returns what is wrong with the Makefile: targets without a line in "make help" or
// with more than one command, commands that are no script and not Go's, and targets that a
// page names and that do not exist.
func misnamed(module fs.FS) (wrong []string, err error) {
	makefile, err := fs.ReadFile(module, "Makefile")
	if err != nil {
		return nil, err
	}
	names := targets(string(makefile))
	recipes := map[string]string{}
	for _, m := range recipePattern.FindAllStringSubmatch(string(makefile), -1) {
		if m[3] == "" {
			recipes[m[1]] = m[2]
		}
	}
	for _, name := range names {
		command, _, _ := strings.Cut(assigned.ReplaceAllString(recipes[name], ""), " ")
		_, err := fs.Stat(module, command)
		if name != "help" && command != "go" && (command == "" || err != nil) {
			wrong = append(wrong, fmt.Sprintf("%s: neither one go command nor one script: %q", name, recipes[name]))
		}
	}
	all, err := pages(module)
	for page, text := range all {
		text = fenced.ReplaceAllStringFunc(text, func(block string) string { return lineStart.ReplaceAllString(block, "    ") })
		for _, m := range makePattern.FindAllStringSubmatch(text, -1) {
			for _, name := range strings.Fields(m[1]) {
				if !slices.Contains(names, name) {
					wrong = append(wrong, fmt.Sprintf("%s: make %s does not exist", page, name))
				}
			}
		}
	}
	slices.Sort(wrong)
	return wrong, err
}

func TestMakefile(t *testing.T) {
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	wrong, err := misnamed(os.DirFS(root))
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range wrong {
		t.Error(w)
	}
}

func TestMisnamed(t *testing.T) {
	for _, tt := range []struct{ makefile, page, want string }{
		{"a: ## x\n\tgo build\n\nb: ## y\n\t.ci/b all\n", "`make a b`, then\n\n    X=1 make b   # y\n\n```sh\nmake c\n```\n", "[CONTRIBUTING.md: make c does not exist]"},
		{"a: ## x\n\tA=1 go build\n\nb: ## y\n\t.ci/b all\n", "`make a b`, then\n\n    X=1 make b   # y\n\nWe\nmake changes.", "[]"},
		{"a:\n\tgo build\n", "", `[a: neither one go command nor one script: ""]`},
		{"a: ## x\n\tgo build\n\tgo test\n", "", `[a: neither one go command nor one script: ""]`},
		{"a: ## x\n\trm -r dist\n", "", `[a: neither one go command nor one script: "rm -r dist"]`},
		{"a: ## x\n\t.ci/none\n", "", `[a: neither one go command nor one script: ".ci/none"]`},
	} {
		module := fstest.MapFS{"Makefile": {Data: []byte(tt.makefile)}, ".ci/b": {}, "CONTRIBUTING.md": {Data: []byte(tt.page)}}
		wrong, err := misnamed(module)
		if got := fmt.Sprint(wrong); err != nil || got != tt.want {
			t.Errorf("%q, %q: got %s %v, want %s", tt.makefile, tt.page, got, err, tt.want)
		}
	}
}
