package promisetest

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// Check fails the test for each line of the list that the program no longer offers, and for
// each line that is new. UPDATE=1 adds new lines to the list. It never removes one: whoever
// breaks a promise deletes its line by hand.
func Check(t testing.TB, list string, offered []string) {
	t.Helper()
	promised, err := read(list)
	if err != nil {
		t.Fatal(err)
	}
	if os.Getenv("UPDATE") != "" {
		promised = slices.Compact(slices.Sorted(slices.Values(slices.Concat(promised, offered))))
		if err := write(list, promised); err != nil {
			t.Fatal(err)
		}
	}
	for _, line := range Differences(promised, offered) {
		t.Errorf("%s: %s", list, line)
	}
}

// Differences returns what a change of the offer means for a list, a line for each difference.
func Differences(promised, offered []string) (found []string) {
	for _, line := range promised {
		if !slices.Contains(offered, line) {
			found = append(found, "gone: "+line+"\n\tdocs/VERSIONING.md promises it to users: keep it. If a release may break it, delete this line from the list and say in CHANGELOG.md how to move.")
		}
	}
	for _, line := range offered {
		if !slices.Contains(promised, line) {
			found = append(found, "new: "+line+"\n\tA release promises it (docs/VERSIONING.md): UPDATE=1 adds it to the list.")
		}
	}
	return found
}

// mostShown is how many different lines of a page a failure shows.
const mostShown = 10

// Page fails the test if a file differs from what the program writes, and shows the lines
// that differ. make reference writes it.
func Page(t testing.TB, file, want string) {
	t.Helper()
	have, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if string(have) == want {
		return
	}
	t.Errorf("%s differs from the code:\n%s\n`make reference` writes it again; then read its diff.", file, different(string(have), want))
}

// different returns the first lines that only one of two texts has.
func different(have, want string) string {
	was, is := strings.Split(have, "\n"), strings.Split(want, "\n")
	var found []string
	only := func(mark string, lines, others []string) {
		for _, line := range lines {
			if !slices.Contains(others, line) {
				found = append(found, mark+line)
			}
		}
	}
	only("  file: ", was, is)
	only("  code: ", is, was)
	switch more := len(found) - mostShown; {
	case len(found) == 0:
		return "  the same lines in another order"
	case more > 0:
		return strings.Join(found[:mostShown], "\n") + fmt.Sprintf("\n  and %d more", more)
	}
	return strings.Join(found, "\n")
}

// read returns the lines of a list. A list that does not exist is empty.
func read(list string) ([]string, error) {
	text, err := os.ReadFile(list)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	return strings.FieldsFunc(string(text), func(r rune) bool { return r == '\n' }), nil
}

func write(list string, lines []string) error {
	if err := os.MkdirAll(filepath.Dir(list), 0o755); err != nil {
		return err
	}
	return os.WriteFile(list, []byte(strings.Join(lines, "\n")+"\n"), 0o644)
}
