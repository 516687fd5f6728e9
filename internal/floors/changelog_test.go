package floors

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var (
	releasePattern  = regexp.MustCompile(`^## \[(Unreleased\]|\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?\] - \d{4}-\d\d-\d\d)$`)
	releasedPattern = regexp.MustCompile(`(?m)^## \[\d`)
	kindsOfChange   = []string{"### Added", "### Changed", "### Deprecated", "### Removed", "### Fixed", "### Security"}
	firstKinds      = []string{"### Added", "### Security"} // nothing is released that another could change
)

// misplaced returns the lines of a changelog that do not have the form of Keep a Changelog
// 1.1.0: sections of versions that begin with Unreleased, in them the kinds of change in
// their order, each once and with entries of one line, and at the end a link for each version.
// The first version has only firstKinds.
func misplaced(text string) (wrong []string) {
	var version, kind string
	entries := map[string]bool{} // subject of an entry
	kinds := kindsOfChange
	if !releasedPattern.MatchString(text) {
		kinds = firstKinds
	}
	for n, line := range strings.Split(text, "\n") {
		bad := func(why string) { wrong = append(wrong, fmt.Sprintf("%d: %s: %.40s", n+1, why, line)) }
		switch {
		case strings.HasPrefix(line, "## "):
			if !releasePattern.MatchString(line) || version == "" && line != "## [Unreleased]" {
				bad("no version")
			}
			version, kind = strings.Trim(strings.Fields(line)[1], "[]"), ""
			if !strings.Contains(text, "\n["+version+"]: https://") {
				bad("no link")
			}
		case strings.HasPrefix(line, "### "):
			if version == "" || slices.Index(kinds, line) <= slices.Index(kinds, kind) {
				bad(fmt.Sprintf("out of order, or none of %q", kinds))
			}
			kind = line
		case strings.HasPrefix(line, "- "):
			if kind == "" {
				bad("entry without a kind of change")
			}
			if entries[subject(line)] {
				bad("twice")
			}
			entries[subject(line)] = true
		case line != "" && kind != "" && !strings.HasPrefix(line, "["):
			bad("neither an entry nor a heading")
		}
	}
	return wrong
}

// leastSubject is the length above which the words before a colon are the subject of an
// entry. Shorter ones, such as "Library", are common to several.
const leastSubject = 30

// subject returns the words of an entry before its first colon or full stop: an entry that
// was written again with more words has the same.
func subject(entry string) string {
	for i, c := range entry {
		if i > leastSubject && (c == ':' || c == '.' && strings.HasPrefix(entry[i:]+" ", ". ")) {
			return entry[:i]
		}
	}
	return entry
}

func TestChangelog(t *testing.T) {
	text, err := os.ReadFile("../../CHANGELOG.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range misplaced(string(text)) {
		t.Errorf("CHANGELOG.md:%s", m)
	}
}

func TestMisplaced(t *testing.T) {
	const head, links = "# Changelog\n\n## [Unreleased]\n\n", "\n[Unreleased]: https://x\n[0.1.0]: https://y\n"
	for _, tt := range []struct{ body, want string }{
		{"Words.\n\n### Added\n\n- a\n- b\n\n### Fixed\n\n- c\n\n## [0.1.0] - 2026-12-01\n\n### Added\n\n- d\n", "[]"},
		{"### Security\n- a\n### Added\n", "[7: out of order, or none of [\"### Added\" \"### Security\"]: ### Added]"},
		{"### Added\n- a\n### Added\n", "[7: out of order, or none of [\"### Added\" \"### Security\"]: ### Added]"},
		{"### Fixed\n", "[5: out of order, or none of [\"### Added\" \"### Security\"]: ### Fixed]"},
		{"- a\n", "[5: entry without a kind of change: - a]"},
		{"### Added\n- a\n  more\n", "[7: neither an entry nor a heading:   more]"},
		{"### Added\n- a\n## [0.1.0] - 2026-12-01\n### Added\n- a\n", "[9: twice: - a]"},
		{"### Added\n- The status page of a node shows x.\n- The status page of a node shows x. It shows y.\n", "[7: twice: - The status page of a node shows x. It ]"},
		{"## 0.1.0\n", "[5: no version: ## 0.1.0]"},
		{"## [0.1.0]\n", "[5: no version: ## [0.1.0]]"},
		{"## [0.2.0] - 2026-12-01\n", "[5: no link: ## [0.2.0] - 2026-12-01]"},
	} {
		if got := fmt.Sprint(misplaced(head + tt.body + links)); got != tt.want {
			t.Errorf("%q: got %s, want %s", tt.body, got, tt.want)
		}
	}
	if got := misplaced("# Changelog\n\n## [0.1.0] - 2026-12-01\n" + links); len(got) != 1 {
		t.Errorf("without Unreleased: %q", got)
	}
}

// .ci/notes prints the entries of one version, which become the text of its release.
func TestReleaseNotes(t *testing.T) {
	const changelog = "# Changelog\n\n## [Unreleased]\n\n- a\n\n## [0.2.0] - 2027-01-02\n\n### Added\n\n- b\n\n" +
		"## [0.2.0-rc.1] - 2027-01-01\n\nWords.\n\n### Fixed\n\n- c\n\n## [0.1.0] - 2026-12-01\n\n[0.1.0]: https://y\n"
	file := filepath.Join(t.TempDir(), "CHANGELOG.md")
	if err := os.WriteFile(file, []byte(changelog), 0o600); err != nil {
		t.Fatal(err)
	}
	for version, want := range map[string]string{
		"v0.2.0":      "### Added\n\n- b",
		"v0.2.0-rc.1": "Words.\n\n### Fixed\n\n- c",
		"v0.1.0":      "", // no entries
		"v0.2":        "",
		"Unreleased":  "",
	} {
		notes, err := exec.Command("../../.ci/notes", version, file).Output()
		if (err == nil) != (want != "") || err == nil && strings.TrimSpace(string(notes)) != want {
			t.Errorf("%s: got %q, %v; want %q", version, notes, err, want)
		}
	}
	if out, err := exec.Command("../../.ci/notes").CombinedOutput(); err == nil || !strings.HasPrefix(string(out), "usage: ") {
		t.Errorf("without a version: %q, %v", out, err)
	}
}
