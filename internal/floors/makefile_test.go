package floors

import (
	"fmt"
	"io/fs"
	"os"
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

// badTargets returns the targets without a line in "make help", and those with other commands
// than one of Go's or one script.
func badTargets(module fs.FS, makefile string) (wrong []string) {
	recipes := map[string]string{}
	for _, m := range recipePattern.FindAllStringSubmatch(makefile, -1) {
		if more := m[3]; more == "" {
			recipes[m[1]] = m[2]
		}
	}
	for _, name := range targets(makefile) {
		command, _, _ := strings.Cut(assigned.ReplaceAllString(recipes[name], ""), " ")
		_, err := fs.Stat(module, command)
		if name != "help" && command != "go" && (command == "" || err != nil) {
			wrong = append(wrong, fmt.Sprintf("%s: neither one go command nor one script: %q", name, recipes[name]))
		}
	}
	return wrong
}

// unknownTargets returns the targets that a page names and the Makefile does not have.
func unknownTargets(module fs.FS, makefile string) (wrong []string, err error) {
	names := targets(makefile)
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

// wrongTargets returns what is wrong with the Makefile of a repository.
func wrongTargets(module fs.FS) ([]string, error) {
	makefile, err := fs.ReadFile(module, "Makefile")
	if err != nil {
		return nil, err
	}
	unknown, err := unknownTargets(module, string(makefile))
	return append(badTargets(module, string(makefile)), unknown...), err
}

func TestMakefile(t *testing.T) {
	wrong, err := wrongTargets(os.DirFS("../.."))
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range wrong {
		t.Error(w)
	}
}

func TestWrongTargets(t *testing.T) {
	for _, tt := range []struct{ makefile, page, want string }{
		{"a: ## x\n\tgo build\n\nb: ## y\n\t.ci/b all\n", "`make a b`, then\n\n    X=1 make b   # y\n\n```sh\nmake c\n```\n", "[CONTRIBUTING.md: make c does not exist]"},
		{"a: ## x\n\tA=1 go build\n\nb: ## y\n\t.ci/b all\n", "`make a b`, then\n\n    X=1 make b   # y\n\nWe\nmake changes.", "[]"},
		{"a:\n\tgo build\n", "", `[a: neither one go command nor one script: ""]`},
		{"a: ## x\n\tgo build\n\tgo test\n", "", `[a: neither one go command nor one script: ""]`},
		{"a: ## x\n\trm -r dist\n", "", `[a: neither one go command nor one script: "rm -r dist"]`},
		{"a: ## x\n\t.ci/none\n", "", `[a: neither one go command nor one script: ".ci/none"]`},
	} {
		module := fstest.MapFS{"Makefile": {Data: []byte(tt.makefile)}, ".ci/b": {}, "CONTRIBUTING.md": {Data: []byte(tt.page)}}
		wrong, err := wrongTargets(module)
		if got := fmt.Sprint(wrong); err != nil || got != tt.want {
			t.Errorf("%q, %q: got %s %v, want %s", tt.makefile, tt.page, got, err, tt.want)
		}
	}
}
