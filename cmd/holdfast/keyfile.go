package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/holdfast-dht/holdfast/internal/api"
)

// Bounds of a file of keys.
const (
	// maxFileKeys bounds the keys of one file, because all are in memory at once, about
	// 100 bytes each. It is more than one node can republish.
	maxFileKeys = 5_000_000
	// maxFileLine bounds a line in bytes, without its line end: twice the longest text of
	// a key.
	maxFileLine = 4 << 10
	// maxBadLines bounds the invalid lines that are shown.
	maxBadLines = 10
)

// keyFile is a file of keys, one per line. Blank lines and lines that begin with # are
// ignored. The file may begin with a byte order mark and have Windows line ends.
type keyFile struct {
	name   string // as on the command line
	keys   [][]byte
	wrong  []string // the first lines that are not keys, each with its error
	wrongs int      // number of all such lines
}

// read reads the file, or standard input for "-". A line that is not a key is an error.
// With skip set, it is ignored and listed on errs.
func (k *keyFlags) read(stdin io.Reader, errs io.Writer) (*keyFile, error) {
	in := stdin
	if k.file != "-" {
		f, err := os.Open(k.file)
		if err != nil {
			return nil, fmt.Errorf("keys: %w", err)
		}
		defer f.Close()
		in = f
	}
	f := &keyFile{name: k.file}
	if k.file == "-" {
		f.name = "standard input"
	}
	if err := f.read(in, maxFileKeys); err != nil {
		return nil, fmt.Errorf("%s: %w", f.name, err)
	}
	if f.wrongs > 0 && !k.skip {
		return nil, f.refusal()
	}
	if f.wrongs > 0 {
		fmt.Fprintf(errs, "holdfast: %s left out\n%s\n", f.wrongText(), f.list())
	}
	if len(f.keys) == 0 {
		return nil, fmt.Errorf("%s has no keys", f.name)
	}
	return f, nil
}

// wrongText returns how many lines are not keys.
func (f *keyFile) wrongText() string {
	if f.wrongs == 1 {
		return f.name + ": 1 line that is not a key"
	}
	return fmt.Sprintf("%s: %d lines that are not keys", f.name, f.wrongs)
}

func (f *keyFile) refusal() error {
	return fmt.Errorf("%s: nothing was done; correct the file, or ignore them with --skip-invalid\n%s", f.wrongText(), f.list())
}

// list returns the invalid lines that were kept.
func (f *keyFile) list() string {
	lines := f.wrong
	if more := f.wrongs - len(lines); more > 0 {
		lines = append(slices.Clone(lines), fmt.Sprintf("  and %d more", more))
	}
	return strings.Join(lines, "\n")
}

// utf8Mark is the byte order mark that some programs write at the start of a file.
const utf8Mark = "\ufeff"

// utf16Marks are the byte order marks of UTF-16, which is not supported.
var utf16Marks = [...]string{"\xff\xfe", "\xfe\xff"}

// read reads at most most keys and sorts them by their position in the keyspace, which is
// the order in which the daemon stores them.
func (f *keyFile) read(in io.Reader, most int) error {
	lines := bufio.NewReaderSize(in, maxFileLine+1)
	head, err := lines.Peek(len(utf8Mark))
	if err != nil && err != io.EOF {
		return err
	}
	for _, mark := range utf16Marks {
		if bytes.HasPrefix(head, []byte(mark)) {
			return errors.New("it is in UTF-16; save it as UTF-8")
		}
	}
	if string(head) == utf8Mark {
		_, _ = lines.Discard(len(utf8Mark)) // it is there, see above
	}
	for n := 1; ; n++ {
		line, err := lines.ReadSlice('\n')
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			f.refuse(n, fmt.Errorf("the line has more than %d bytes", maxFileLine))
			for errors.Is(err, bufio.ErrBufferFull) {
				_, err = lines.ReadSlice('\n')
			}
		case err == nil || err == io.EOF:
			f.take(n, line)
		}
		if len(f.keys) > most {
			return fmt.Errorf("it has more than %d keys; split it", most)
		}
		if err == io.EOF {
			f.keys = api.SortKeys(f.keys)
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// take parses one line.
func (f *keyFile) take(n int, line []byte) {
	text := strings.TrimSuffix(strings.TrimSuffix(string(line), "\n"), "\r")
	if seen := strings.TrimSpace(text); seen == "" || seen[0] == '#' {
		return
	}
	if !utf8.ValidString(text) || strings.ContainsRune(text, 0) {
		f.refuse(n, errors.New("the line is not text in UTF-8"))
		return
	}
	key, err := api.ParseContentKey(text)
	if err != nil {
		f.refuse(n, err)
		return
	}
	f.keys = append(f.keys, key)
}

func (f *keyFile) refuse(n int, err error) {
	if f.wrongs++; f.wrongs <= maxBadLines {
		f.wrong = append(f.wrong, fmt.Sprintf("  %s:%d: %v", f.name, n, err))
	}
}
