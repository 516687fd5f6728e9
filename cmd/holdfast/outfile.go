package main

import (
	"bufio"
	"errors"
	"io"
	"io/fs"
	"os"
)

// outFile is a file that a command opens before its work, so that a name that cannot be
// written costs no work. A nil *outFile is no file.
type outFile struct {
	file   *os.File
	remove bool // it did not exist and is not complete
}

// openOut opens a file and creates it if needed. It keeps the content of a file that
// exists, until write. It returns nil if path is empty.
func openOut(path string) (*outFile, error) {
	if path == "" {
		return nil, nil
	}
	_, err := os.Lstat(path)
	missing := errors.Is(err, fs.ErrNotExist)
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE, 0o666)
	if err != nil {
		return nil, err
	}
	return &outFile{f, missing}, nil
}

// write replaces the content of the file with what write writes, and closes it.
func (o *outFile) write(write func(io.Writer) error) error {
	if o == nil {
		return nil
	}
	if info, err := o.file.Stat(); err == nil && info.Mode().IsRegular() {
		if err := o.file.Truncate(0); err != nil {
			return err
		}
	}
	o.remove = false
	b := bufio.NewWriter(o.file)
	return errors.Join(write(b), b.Flush(), o.file.Close())
}

// discard closes the file if write did not, and removes it if openOut created it.
func (o *outFile) discard() {
	if o == nil {
		return
	}
	o.file.Close()
	if o.remove {
		os.Remove(o.file.Name())
	}
}
