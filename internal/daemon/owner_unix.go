//go:build unix

package daemon

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// giveBack changes the owner of the files that root has created in a data directory to
// the directory's owner. The daemon runs as that user and could not open them otherwise.
func giveBack(dir string) error {
	owner, err := os.Stat(dir)
	if err != nil || os.Geteuid() != 0 {
		return err
	}
	to, ok := owner.Sys().(*syscall.Stat_t)
	if !ok || to.Uid == 0 {
		return nil
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("owner of the data directory's files: %w", err)
	}
	for _, e := range entries {
		if err := giveFile(filepath.Join(dir, e.Name()), to); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("owner of the data directory's files: %w", err)
		}
	}
	return nil
}

// giveFile changes the owner of a file. It skips links, because the directory's owner
// could use them to get files of root.
func giveFile(path string, to *syscall.Stat_t) error {
	info, err := os.Lstat(path)
	if err != nil {
		return err
	}
	have, ok := info.Sys().(*syscall.Stat_t)
	if !ok || !info.Mode().IsRegular() || have.Uid != 0 || have.Nlink != 1 {
		return nil
	}
	return os.Lchown(path, int(to.Uid), int(to.Gid))
}
