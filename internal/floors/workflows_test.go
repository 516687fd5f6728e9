package floors

import (
	"fmt"
	"io/fs"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

// actionlint, which .ci/lint calls, checks the syntax of the workflows. These patterns find
// what the rules below are about.
var (
	runPattern     = regexp.MustCompile(`(?m)^ *(?:- )?run: (.*)$`)
	usesPattern    = regexp.MustCompile(`(?m)^ *(?:- )?uses: (.*)$`)
	matrixPattern  = regexp.MustCompile(`(?m)^ *script: \[(.*)\]$`)
	jobPattern     = regexp.MustCompile(`(?m)^  [a-z0-9-]+:$`)
	pinnedPattern  = regexp.MustCompile(`^[\w.-]+/[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$`)
	commandPattern = regexp.MustCompile(`^(?:sudo -E env "PATH=\$PATH" )?(?:make ([a-z0-9]+)|((?:\.ci|deploy|interop)/[^ ]+))(?: |$)`)
	matrixScript   = ".ci/${{ matrix.script }}"
)

// scriptsOf returns the scripts that the text of a workflow runs, and the lines that run
// something else.
func scriptsOf(text string) (scripts, others []string) {
	for _, m := range runPattern.FindAllStringSubmatch(text, -1) {
		command := strings.ReplaceAll(m[1], matrixScript, ".ci/MATRIX")
		c := commandPattern.FindStringSubmatch(command)
		switch {
		case c == nil:
			others = append(others, m[1])
		case c[1] != "":
			scripts = append(scripts, "make "+c[1])
		case c[2] != ".ci/MATRIX":
			scripts = append(scripts, c[2])
		}
	}
	for _, m := range matrixPattern.FindAllStringSubmatch(text, -1) {
		for _, name := range strings.Split(m[1], ", ") {
			scripts = append(scripts, ".ci/"+name)
		}
	}
	return scripts, others
}

// careless returns what is wrong with the text of a workflow.
func careless(module fs.FS, text string) []string {
	return slices.Concat(badRuns(module, text), badActions(module, text), unstated(text))
}

// badRuns returns the steps that do more than call a script or a target of the Makefile,
// which would be a second truth beside .ci/run, and those that call what does not exist.
func badRuns(module fs.FS, text string) (wrong []string) {
	scripts, others := scriptsOf(text)
	for _, o := range others {
		wrong = append(wrong, "runs no script: "+o)
	}
	makefile, _ := fs.ReadFile(module, "Makefile")
	for _, s := range scripts {
		target, isTarget := strings.CutPrefix(s, "make ")
		if isTarget && !slices.Contains(targets(string(makefile)), target) {
			wrong = append(wrong, "no such target: "+s)
		}
		if info, err := fs.Stat(module, s); !isTarget && (err != nil || info.Mode()&0o100 == 0) {
			wrong = append(wrong, "no such script: "+s)
		}
	}
	return wrong
}

// badActions returns the actions that are not pinned to a commit, because a tag can be moved,
// and the workflows of this repository that do not exist.
func badActions(module fs.FS, text string) (wrong []string) {
	for _, m := range usesPattern.FindAllStringSubmatch(text, -1) {
		if file, ok := strings.CutPrefix(m[1], "./"); ok {
			if _, err := fs.Stat(module, file); err != nil {
				wrong = append(wrong, err.Error())
			}
		} else if !pinnedPattern.MatchString(m[1]) {
			wrong = append(wrong, "not pinned to a commit, with its version: "+m[1])
		}
	}
	return wrong
}

// unstated returns what each workflow must state and this one does not: least permissions,
// concurrency, an end for each job, the version of Go in go.mod.
func unstated(text string) (wrong []string) {
	if !strings.Contains(text, "\npermissions:\n  contents: read\n") {
		wrong = append(wrong, "permissions are not \"contents: read\"")
	}
	if !strings.Contains(text, "\nconcurrency:\n") {
		wrong = append(wrong, "no concurrency")
	}
	_, jobs, _ := strings.Cut(text, "\njobs:\n")
	elsewhere := strings.Count(jobs, "uses: ./") // a job of another workflow ends there
	if n := len(jobPattern.FindAllString(jobs, -1)); n == 0 || n != strings.Count(jobs, "timeout-minutes: ")+elsewhere {
		wrong = append(wrong, "a job without timeout-minutes")
	}
	if strings.Contains(text, "go-version:") || strings.Count(text, "actions/setup-go@") != strings.Count(text, "go-version-file: go.mod") {
		wrong = append(wrong, "the version of Go is not that of go.mod")
	}
	return wrong
}

// workflow returns the text of a workflow.
func workflow(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile("../../.github/workflows/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestWorkflows(t *testing.T) {
	files, err := os.ReadDir("../../.github/workflows")
	if err != nil || len(files) == 0 {
		t.Fatalf("no workflows: %v", err)
	}
	for _, f := range files {
		for _, w := range careless(os.DirFS("../.."), workflow(t, f.Name())) {
			t.Errorf("%s: %s", f.Name(), w)
		}
	}
}

// called matches the scripts that .ci/run calls, each with what is before it in its line.
var called = regexp.MustCompile(`(?m)^([^#\n]*?)(\.ci/[a-z0-9]+)`)

// missing returns the scripts of .ci/run that the workflows do not run: those of the short
// form on every push, and in the night those that are called, or differ, in the full form.
func missing(module fs.FS, run, push, nightly string) (found []string) {
	onPush, _ := scriptsOf(push)
	atNight, _ := scriptsOf(nightly)
	if !strings.Contains(nightly, "\nenv:\n  HOLDFAST_CI: full\n") {
		found = append(found, "nightly: not in the full form")
	}
	for _, m := range called.FindAllStringSubmatch(strings.ReplaceAll(run, " && ", "\n"), -1) {
		before, script := m[1], m[2]
		text, _ := fs.ReadFile(module, script)
		onlyFull := strings.Contains(before, "if full;")
		if !onlyFull && !slices.Contains(onPush, script) {
			found = append(found, "push: "+script)
		}
		if (onlyFull || regexp.MustCompile(`\bfull (\|\||&&)|if full;`).Match(text)) && !slices.Contains(atNight, script) {
			found = append(found, "nightly: "+script)
		}
	}
	return found
}

// The workflows run what .ci/run does, so a change that passes there passes here.
func TestWorkflowsRunEverything(t *testing.T) {
	run, err := os.ReadFile("../../.ci/run")
	if err != nil {
		t.Fatal(err)
	}
	if n := len(called.FindAllString(string(run), -1)); n < 8 {
		t.Errorf("only %d scripts found in .ci/run", n)
	}
	for _, m := range missing(os.DirFS("../.."), string(run), workflow(t, "push.yml"), workflow(t, "nightly.yml")) {
		t.Error(m)
	}
}

func TestMissing(t *testing.T) {
	module := fstest.MapFS{".ci/race": {Data: []byte("full || x\n")}, ".ci/lint": {Data: []byte("fully\n")}}
	const run = ".ci/lint\n# .ci/none\nif full; then .ci/fuzz; fi\n.ci/race || exit\n"
	const full = "\nenv:\n  HOLDFAST_CI: full\n"
	for _, tt := range []struct{ push, nightly, want string }{
		{"script: [lint, race]", full + "script: [fuzz, race]", "[]"},
		{"script: [lint]\n- run: .ci/race", full + "script: [fuzz]\n- run: .ci/race all", "[]"},
		{"script: [lint, race]", "script: [fuzz, race]", "[nightly: not in the full form]"},
		{"script: [race]", full + "script: [fuzz, race]", "[push: .ci/lint]"},
		{"script: [lint, race]", full + "script: [race]", "[nightly: .ci/fuzz]"},
		{"script: [lint, race]", full + "script: [fuzz]", "[nightly: .ci/race]"},
	} {
		if got := fmt.Sprint(missing(module, run, tt.push, tt.nightly)); got != tt.want {
			t.Errorf("%q, %q: got %s, want %s", tt.push, tt.nightly, got, tt.want)
		}
	}
}

func TestCareless(t *testing.T) {
	const good = `name: x
permissions:
  contents: read
concurrency:
  group: x
jobs:
  other:
    uses: ./.github/workflows/y.yml
  check:
    timeout-minutes: 5
    strategy:
      matrix:
        script: [lint, test]
    steps:
      - uses: actions/setup-go@b7ad1dad31e06c5925ef5d2fc7ad053ef454303e # v7.0.0
        with:
          go-version-file: go.mod
      - run: .ci/${{ matrix.script }}
      - run: sudo -E env "PATH=$PATH" .ci/test
      - run: make release VERSION="$VERSION"
`
	script := &fstest.MapFile{Mode: 0o755}
	module := fstest.MapFS{
		".ci/lint": script, ".ci/test": script, ".ci/plain": {}, ".github/workflows/y.yml": {},
		"Makefile": {Data: []byte("release: ## x\n\tdeploy/release/build\n")},
	}
	for _, tt := range []struct{ old, new, want string }{
		{"", "", "[]"},
		{".ci/test\n", "go test ./...\n", `[runs no script: sudo -E env "PATH=$PATH" go test ./...]`},
		{"run: make", "run: |\n          make", "[runs no script: |]"},
		{".ci/test\n", ".ci/plain\n", "[no such script: .ci/plain]"},
		{"[lint,", "[none,", "[no such script: .ci/none]"},
		{"make release", "make publish", "[no such target: make publish]"},
		{"y.yml", "z.yml", "[open .github/workflows/z.yml: file does not exist]"},
		{"@b7ad1dad31e06c5925ef5d2fc7ad053ef454303e # v7.0.0", "@v7.0.0", "[not pinned to a commit, with its version: actions/setup-go@v7.0.0]"},
		{" # v7.0.0", "", "[not pinned to a commit, with its version: actions/setup-go@b7ad1dad31e06c5925ef5d2fc7ad053ef454303e]"},
		{"contents: read", "contents: write", `[permissions are not "contents: read"]`},
		{"concurrency:\n", "", "[no concurrency]"},
		{"    timeout-minutes: 5\n", "", "[a job without timeout-minutes]"},
		{"go-version-file: go.mod", "go-version: 1.26", "[the version of Go is not that of go.mod]"},
	} {
		if got := fmt.Sprint(careless(module, strings.Replace(good, tt.old, tt.new, 1))); got != tt.want {
			t.Errorf("%s for %s: got %s, want %s", tt.new, tt.old, got, tt.want)
		}
	}
}

// The platforms of .ci/cross are those of the releases.
func TestReleasedPlatformsAreBuilt(t *testing.T) {
	list := func(file, pattern string) []string {
		text, err := os.ReadFile(path.Join("../..", file))
		if err != nil {
			t.Fatal(err)
		}
		m := regexp.MustCompile(pattern).FindSubmatch(text)
		if m == nil {
			t.Fatalf("%s names no platforms", file)
		}
		names := strings.Fields(string(m[1]))
		slices.Sort(names)
		return names
	}
	built := list(".ci/cross", `(?m)^builds=\((.*)\)$`)
	if released := list("deploy/release/build", `(?m)^TARGETS=\$\{TARGETS:-(.*)\}$`); !slices.Equal(built, released) {
		t.Errorf(".ci/cross builds %q; deploy/release/build releases %q", built, released)
	}
}
