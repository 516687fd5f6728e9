package promisetest

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// A promise that is not kept is a difference, and so is a new one.
func TestDifferences(t *testing.T) {
	for _, tt := range []struct{ promised, offered, want string }{
		{"a b", "b a", ""},
		{"a b", "a", "gone: b"},
		{"a", "a b", "new: b"},
		{"a=1 b", "a=2 b", "gone: a=1, new: a=2"},
	} {
		var got []string
		for _, d := range Differences(strings.Fields(tt.promised), strings.Fields(tt.offered)) {
			head, _, _ := strings.Cut(d, "\n")
			got = append(got, head)
		}
		if strings.Join(got, ", ") != tt.want {
			t.Errorf("%q offered for %q: got %q, want %q", tt.offered, tt.promised, got, tt.want)
		}
	}
}

// failures is a test that counts its failures.
type failures struct {
	testing.TB
	n int
}

func (f *failures) Helper()               {}
func (f *failures) Errorf(string, ...any) { f.n++ }

// UPDATE=1 adds to a list and removes nothing from it.
func TestUpdateAddsOnly(t *testing.T) {
	list := filepath.Join(t.TempDir(), "testdata", "list.txt")
	t.Setenv("UPDATE", "1")
	Check(t, list, []string{"a", "b"})
	f := &failures{TB: t}
	Check(f, list, []string{"a", "c"})
	if f.n != 1 {
		t.Errorf("%d failures, want 1", f.n)
	}
	text, err := os.ReadFile(list)
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Fields(string(text)); !slices.Equal(got, []string{"a", "b", "c"}) {
		t.Errorf("the list is %q", got)
	}
	t.Setenv("UPDATE", "")
	f.n = 0
	Check(f, list, []string{"b", "c", "d"})
	if f.n != 2 {
		t.Errorf("%d failures without UPDATE, want 2: one gone, one new", f.n)
	}
}

// A failure shows what differs, not the whole page.
func TestDifferent(t *testing.T) {
	for _, tt := range []struct{ have, want, shown string }{
		{"a\nb\nc", "a\nx\nc", "  file: b\n  code: x"},
		{"a\nb", "b\na", "  the same lines in another order"},
		{"", strings.Join(strings.Split("abcdefghijk", ""), "\n"), "  file: \n  code: a\n  code: b\n  code: c\n  code: d\n  code: e\n  code: f\n  code: g\n  code: h\n  code: i\n  and 2 more"},
	} {
		if got := different(tt.have, tt.want); got != tt.shown {
			t.Errorf("got %q, want %q", got, tt.shown)
		}
	}
}
