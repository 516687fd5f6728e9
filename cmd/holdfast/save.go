package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// mayReplace returns an error if a file exists, unless force is set.
func mayReplace(file string, force bool) error {
	if _, err := os.Lstat(file); err == nil && !force {
		return fmt.Errorf("%s already exists; choose another file, or replace it with --force", file)
	}
	return nil
}

// saveTo writes a temporary file beside the file first, so that an old file is only
// replaced by a complete one. Its errors name the file, not the temporary one.
func saveTo(path string, write func(io.Writer) error) (n int64, err error) {
	f, err := os.CreateTemp(filepath.Dir(path), ".new-*")
	if err != nil {
		return 0, fmt.Errorf("save %s: %w", path, withoutPath(err))
	}
	defer os.Remove(f.Name()) // it does not exist after the rename
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

// pathless removes the path from write errors, because it is that of the temporary file.
type pathless struct{ io.Writer }

func (p pathless) Write(data []byte) (int, error) {
	n, err := p.Writer.Write(data)
	return n, withoutPath(err)
}

// withoutPath returns the reason of an error of package os, without its path.
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
