package floors

import (
	"io/fs"
	"os"
	"strings"
	"testing"
	"testing/fstest"
)

// licences are the files of the licences and a line of each.
var licences = map[string]string{
	"LICENSE-MIT":    "Permission is hereby granted, free of charge, to any person obtaining a copy",
	"LICENSE-APACHE": "Version 2.0, January 2004",
}

// unlicensed returns what is wrong with the licences: a file without its text, and places that
// do not name both files.
func unlicensed(module fs.FS, places ...string) (wrong []string) {
	for _, name := range []string{"LICENSE-MIT", "LICENSE-APACHE"} {
		if text, err := fs.ReadFile(module, name); err != nil || !strings.Contains(string(text), licences[name]) {
			wrong = append(wrong, name+" is not the licence")
		}
		for _, place := range places {
			if text, err := fs.ReadFile(module, place); err != nil || !strings.Contains(string(text), name) {
				wrong = append(wrong, place+" does not name "+name)
			}
		}
	}
	return wrong
}

// The licences are there, the pages that strangers read first name them, and releases have them.
func TestLicences(t *testing.T) {
	for _, w := range unlicensed(os.DirFS("../.."), "README.md", "CONTRIBUTING.md", "deploy/release/build") {
		t.Error(w)
	}
}

func TestUnlicensed(t *testing.T) {
	module := fstest.MapFS{
		"LICENSE-MIT":    {Data: []byte(licences["LICENSE-MIT"])},
		"LICENSE-APACHE": {Data: []byte("soon")},
		"README.md":      {Data: []byte("[Apache](LICENSE-APACHE)")},
	}
	want := "README.md does not name LICENSE-MIT; LICENSE-APACHE is not the licence"
	if got := strings.Join(unlicensed(module, "README.md"), "; "); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
