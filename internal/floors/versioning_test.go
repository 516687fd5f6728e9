package floors

import (
	"fmt"
	"io/fs"
	"os"
	"regexp"
	"testing"
	"testing/fstest"
)

var (
	heldPattern   = regexp.MustCompile("`([\\w./]+_test\\.go)` (Test\\w+)")
	promisedParts = []string{"Go API", "command line", "JSON", "configuration", "metrics", "alerts, dashboard", "HTTP", "disk", "wire", "packages"}
)

// unheld returns what the text of docs/VERSIONING.md promises without a test: parts without
// a row, and tests that do not exist.
func unheld(module fs.FS, text string) (wrong []string) {
	for _, part := range promisedParts {
		row := regexp.MustCompile(`(?m)^\| ` + part + ` \|.*\|$`).FindString(text)
		if !regexp.MustCompile("`[\\w./]+`( Test\\w+)?[^|]* \\|$").MatchString(row) {
			wrong = append(wrong, "no row with a test for "+part)
		}
	}
	for _, m := range heldPattern.FindAllStringSubmatch(text, -1) {
		names, err := namesIn(module, m[1])
		switch {
		case err != nil:
			wrong = append(wrong, err.Error())
		case !names[m[2]]:
			wrong = append(wrong, fmt.Sprintf("%s has no %s", m[1], m[2]))
		}
	}
	return wrong
}

// Each part that docs/VERSIONING.md covers names the tests that hold it, and they exist.
func TestVersioning(t *testing.T) {
	text, err := os.ReadFile("../../docs/VERSIONING.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range unheld(os.DirFS("../.."), string(text)) {
		t.Errorf("docs/VERSIONING.md: %s", w)
	}
}

// make reference writes what follows from the code. It does not write what is promised:
// otherwise nobody would notice a broken promise.
func TestReferenceWritesNoPromise(t *testing.T) {
	makefile, err := os.ReadFile("../../Makefile")
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile(`(?m)^reference: .*\n\tUPDATE=1 go test .*-run '([^']+)'`).FindSubmatch(makefile)
	if m == nil {
		t.Fatal("Makefile: the target reference has no go test -run '...'")
	}
	for _, test := range []string{"TestExportedAPI", "TestPromisedCommands", "TestPromisedJSON", "TestPromisedKeys", "TestPromisedMetrics"} {
		if regexp.MustCompile(string(m[1])).MatchString(test) {
			t.Errorf("make reference runs %s, which then adds to its list", test)
		}
	}
}

func TestUnheld(t *testing.T) {
	text := ""
	for _, part := range promisedParts {
		text += "| " + part + " | all | none | some | `a/a_test.go` TestA |\n"
	}
	module := fstest.MapFS{"a/a_test.go": {Data: []byte("package a\nfunc TestA() {}")}}
	for name, tt := range map[string]struct {
		text, want string
	}{
		"held":           {text, "[]"},
		"no row":         {text[1:], "[no row with a test for Go API]"},
		"no test":        {text + "`a/a_test.go` TestB", "[a/a_test.go has no TestB]"},
		"no file":        {text + "`a/b_test.go` TestA", "[open a/b_test.go: file does not exist]"},
		"row without it": {regexp.MustCompile("(?m)^(. wire .*)`.*$").ReplaceAllString(text, "$1 |"), "[no row with a test for wire]"},
	} {
		if got := fmt.Sprint(unheld(module, tt.text)); got != tt.want {
			t.Errorf("%s: got %s, want %s", name, got, tt.want)
		}
	}
}
