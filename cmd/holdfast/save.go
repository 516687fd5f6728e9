package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// mayReplace refuses to write to a file that is there already, unless --force says so.
func mayReplace(file string, force bool) error {
	if _, err := os.Lstat(file); err == nil && !force {
		return fmt.Errorf("%s is there already; choose another file, or replace it with --force", file)
	}
	return nil
}

// saveTo writes a file beside its place first, so that an older one is replaced by
// a whole one only. Its errors name the file, not the temporary one.
func saveTo(path string, write func(io.Writer) error) (n int64, err error) {
	f, err := os.CreateTemp(filepath.Dir(path), ".new-*")
	if err != nil {
		return 0, fmt.Errorf("save %s: %w", path, withoutPath(err))
	}
	defer os.Remove(f.Name()) // no longer there once renamed
	err = write(pathless{f})
	info, statErr := f.Stat()
	err = errors.Join(err, withoutPath(statErr), withoutPath(f.Sync()), withoutPath(f.Close()))
	if err == nil {
		err = withoutPath(os.Rename(f.Name(), path))
	}
	if err != nil {
		return 0, fmt.Errorf("save %s: %w", path, err)
	}
	return info.Size(), nil
}

// pathless writes to a writer whose errors name a file that nobody knows.
type pathless struct{ io.Writer }

func (p pathless) Write(data []byte) (int, error) {
	n, err := p.Writer.Write(data)
	return n, withoutPath(err)
}

// withoutPath is the reason of an error of package os alone.
func withoutPath(err error) error {
	var path *fs.PathError
	var link *os.LinkError
	switch {
	case errors.As(err, &path):
		return path.Err
	case errors.As(err, &link):
		return link.Err
	}
	return err
}
