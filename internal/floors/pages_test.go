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

// pages are the Markdown files of the repository, by path from its root.
func pages(tree fs.FS) (map[string]string, error) {
	all := map[string]string{}
	err := fs.WalkDir(tree, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && slices.Contains([]string{".git", "dist", "testdata"}, d.Name()) {
			return fs.SkipDir
		}
		if path.Ext(name) == ".md" {
			text, err := fs.ReadFile(tree, name)
			all[name] = string(text)
			return err
		}
		return nil
	})
	return all, err
}

var (
	fenced   = regexp.MustCompile("(?ms)^```.*?^```$")
	linked   = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	heading  = regexp.MustCompile(`(?m)^#+ (.+)$`)
	anchored = regexp.MustCompile(`<a id="([^"]+)">`)
	notInID  = regexp.MustCompile(`[^\p{L}\p{N} _-]`)
)

// ownPages is the address of the pages on the web. Links to it are checked as relative ones.
const ownPages = "https://github.com/holdfast-dht/holdfast/blob/main/"

// links returns the targets of a page's links inside the repository: the path from its root,
// and the anchor.
func links(name, text string) (targets [][2]string) {
	for _, m := range linked.FindAllStringSubmatch(fenced.ReplaceAllString(text, ""), -1) {
		to, anchor, _ := strings.Cut(m[1], "#")
		own, isOwn := strings.CutPrefix(to, ownPages)
		switch {
		case isOwn:
			to = own
		case strings.Contains(to, "://") || strings.HasPrefix(to, "mailto:"):
			continue
		case to == "":
			to = name
		default:
			to = path.Join(path.Dir(name), to)
		}
		targets = append(targets, [2]string{to, anchor})
	}
	return targets
}

// anchors returns the anchors of a page, as GitHub forms them from its headings.
func anchors(text string) (ids []string) {
	text = fenced.ReplaceAllString(text, "")
	for _, m := range heading.FindAllStringSubmatch(text, -1) {
		id := notInID.ReplaceAllString(strings.ToLower(m[1]), "")
		ids = append(ids, strings.ReplaceAll(id, " ", "-"))
	}
	for _, m := range anchored.FindAllStringSubmatch(text, -1) {
		ids = append(ids, m[1])
	}
	return ids
}

// opening matches a page that begins with its title and a paragraph of one sentence.
var opening = regexp.MustCompile(`\A# [^\n]+\n\n[A-Z]([^\n|.]|\.\S)*\.\n\n`)

// strayPages returns what is wrong with the pages: dead links, pages in docs that the index
// does not lead to, guides that do not open with what they are for.
func strayPages(tree fs.FS) (wrong []string, err error) {
	all, err := pages(tree)
	if err != nil {
		return nil, err
	}
	reached := map[string]bool{}
	var follow func(name string)
	follow = func(name string) {
		if text, ok := all[name]; ok && !reached[name] {
			reached[name] = true
			for _, to := range links(name, text) {
				follow(to[0])
			}
		}
	}
	follow("docs/README.md")
	for name, text := range all {
		for _, to := range links(name, text) {
			if _, err := fs.Stat(tree, to[0]); err != nil {
				wrong = append(wrong, fmt.Sprintf("%s links to %s, which does not exist", name, to[0]))
			} else if to[1] != "" && !slices.Contains(anchors(all[to[0]]), to[1]) {
				wrong = append(wrong, fmt.Sprintf("%s links to %s#%s, which has no such heading", name, to[0], to[1]))
			}
		}
		if strings.HasPrefix(name, "docs/") && !reached[name] {
			wrong = append(wrong, fmt.Sprintf("docs/README.md does not lead to %s", name))
		}
		if strings.HasPrefix(name, "docs/guides/") && !opening.MatchString(text) {
			wrong = append(wrong, fmt.Sprintf("%s does not open with one sentence that says what it is for", name))
		}
	}
	slices.Sort(wrong)
	return wrong, nil
}

// walkFile lists the pages whose commands are run, and the blocks that are not.
const walkFile = "deploy/systemd/test/pages"

var (
	commands = regexp.MustCompile("(?ms)^```sh\n(.*?)^```$")
	indented = regexp.MustCompile(`(?m)^(    |\t)\S`)
)

// unwalked returns what is wrong with the list of walked pages: it must have each page for
// operators that has commands, and each of its exceptions must be the beginning of a block.
func unwalked(tree fs.FS) (wrong []string, err error) {
	list, err := fs.ReadFile(tree, walkFile)
	if err != nil {
		return nil, err
	}
	all, err := pages(tree)
	if err != nil {
		return nil, err
	}
	walked, page := map[string]bool{}, ""
	for line := range strings.Lines(string(list)) {
		line = strings.TrimSuffix(line, "\n")
		begins, why, isBlock := strings.Cut(strings.TrimPrefix(line, "  "), ": ")
		switch {
		case strings.HasPrefix(line, "#"):
		case !strings.HasPrefix(line, "  "):
			page = "docs/" + line
			walked[page] = true
			if !commands.MatchString(all[page]) {
				wrong = append(wrong, fmt.Sprintf("%s lists %s, which has no commands", walkFile, page))
			}
		case !isBlock || why == "":
			wrong = append(wrong, fmt.Sprintf("%s: %q gives no reason", walkFile, line))
		case !strings.Contains(all[page], "\n```sh\n"+begins):
			wrong = append(wrong, fmt.Sprintf("%s: no block of %s begins with %q", walkFile, page, begins))
		}
	}
	for name, text := range all {
		if name != "docs/OPERATIONS.md" && name != "docs/runbooks.md" && !strings.HasPrefix(name, "docs/guides/") {
			continue
		}
		if commands.MatchString(text) && !walked[name] {
			wrong = append(wrong, fmt.Sprintf("%s has commands and is not in %s", name, walkFile))
		}
		if indented.MatchString(fenced.ReplaceAllString(text, "")) {
			wrong = append(wrong, fmt.Sprintf("%s has an indented block; commands are in sh blocks, so that they are run", name))
		}
	}
	slices.Sort(wrong)
	return wrong, nil
}

// Every link of the pages leads somewhere, the index leads to every page in docs, and each
// guide opens with a sentence that says what it is for.
func TestPages(t *testing.T) {
	requireGood(t, strayPages)
}

// The commands of every page for operators are run, or the list of walked pages says why not.
func TestCommandsAreRun(t *testing.T) {
	requireGood(t, unwalked)
}

// requireGood fails for everything that is wrong with the repository.
func requireGood(t *testing.T, check func(fs.FS) ([]string, error)) {
	t.Helper()
	wrong, err := check(os.DirFS("../.."))
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range wrong {
		t.Error(w)
	}
}

func TestStrayPages(t *testing.T) {
	const guide = "docs/guides/a.md"
	const good = "# A\n\nHow to a.\n\n## Two words: `x`\n\n```sh\n# no heading [none](none.md)\n```\n<a id=\"old\"></a>\n"
	for _, tt := range []struct{ index, guide, want string }{
		{"[a](guides/a.md) [b](guides/a.md#two-words-x) [c](guides/a.md#old) [d](https://x.org/none) [e](" + ownPages + guide + "#a)", good, ""},
		{"[a](guides/a.md) [b](guides/b.md)", good, "docs/README.md links to docs/guides/b.md, which does not exist"},
		{"[a](guides/a.md) [b](" + ownPages + "b.md)", good, "docs/README.md links to b.md, which does not exist"},
		{"[a](guides/a.md#no-heading-nonenonemd)", good, "docs/README.md links to docs/guides/a.md#no-heading-nonenonemd, which has no such heading"},
		{"[a](guides/a.md)", good + "[x](#y)", "docs/guides/a.md links to docs/guides/a.md#y, which has no such heading"},
		{"none", good, "docs/README.md does not lead to docs/guides/a.md"},
		{"[a](guides/a.md)", "# A\n\n- a list.\n\n", "docs/guides/a.md does not open with one sentence that says what it is for"},
		{"[a](guides/a.md)", "# A\n\nOne. Two.\n\n", "docs/guides/a.md does not open with one sentence that says what it is for"},
	} {
		wrong, err := strayPages(fstest.MapFS{"docs/README.md": {Data: []byte(tt.index)}, guide: {Data: []byte(tt.guide)}})
		if got := strings.Join(wrong, "\n"); err != nil || got != tt.want {
			t.Errorf("index %q, guide %q: %q, %v; want %q", tt.index, tt.guide, got, err, tt.want)
		}
	}
}

func TestUnwalked(t *testing.T) {
	const block = "# A\n\n```sh\nrun this\n```\n"
	for _, tt := range []struct{ list, page, want string }{
		{"# why\nguides/a.md\n  run: a reason\n", block, ""},
		{"", "# A\n\n```toml\n    x = 1\n```\n", ""},
		{"", block, "docs/guides/a.md has commands and is not in " + walkFile},
		{"guides/a.md\n", "# A\n", walkFile + " lists docs/guides/a.md, which has no commands"},
		{"guides/a.md\n  run this: \n", block, walkFile + `: "  run this: " gives no reason`},
		{"guides/a.md\n  this: x\n", block, walkFile + `: no block of docs/guides/a.md begins with "this"`},
		{"", "# A\n\n    run this\n", "docs/guides/a.md has an indented block; commands are in sh blocks, so that they are run"},
	} {
		wrong, err := unwalked(fstest.MapFS{walkFile: {Data: []byte(tt.list)}, "docs/guides/a.md": {Data: []byte(tt.page)}})
		if got := strings.Join(wrong, "\n"); err != nil || got != tt.want {
			t.Errorf("list %q, page %q: %q, %v; want %q", tt.list, tt.page, got, err, tt.want)
		}
	}
}
