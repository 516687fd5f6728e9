package storage

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/holdfast-dht/holdfast/storage/internal/disk"
)

// Files that replace others are first completed under staged names. Then a note records that
// they are complete and what happens to the old files. From that point on, the next Open
// completes the replacement after a crash: either all of the new files take their places, or
// none.
const (
	stagedSuffix = ".new"
	adoptName    = "adopt" // the note; it contains the suffix for the old files, or nothing if they are to be removed
)

// dbFiles are the names of all files of a store.
var dbFiles = append([]string{FileName}, providerFiles...)

// staged returns the path of a file before it is moved into place.
func staged(dir, name string) string { return filepath.Join(dir, name+stagedSuffix) }

// adopt moves the staged files into place. It keeps the old files of the given names under
// suffix, or under a numbered suffix if that is taken, and returns their paths. An empty
// suffix removes them. See also dropCopies.
func adopt(dir string, names []string, suffix string) (old []string, err error) {
	if suffix != "" {
		suffix = freeSuffix(dir, suffix)
	}
	note := filepath.Join(dir, adoptName)
	if err := writeFile(note+stagedSuffix, strings.NewReader(suffix)); err != nil {
		return nil, err
	}
	if err := disk.FirstErr(os.Rename(note+stagedSuffix, note), disk.SyncDir(dir)); err != nil {
		return nil, err
	}
	if err := finishAdoption(dir); err != nil {
		return nil, err
	}
	for _, name := range names {
		kept := filepath.Join(dir, name+suffix)
		if _, err := os.Lstat(kept); err == nil && suffix != "" {
			old = append(old, kept)
		}
	}
	return old, nil
}

// finishAdoption does what the note requests, if there is a note.
func finishAdoption(dir string) error {
	note := filepath.Join(dir, adoptName)
	suffix, err := os.ReadFile(note)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, name := range dbFiles {
		if _, err := os.Lstat(staged(dir, name)); err != nil {
			continue // already in place, or not to be replaced
		}
		path := filepath.Join(dir, name)
		if len(suffix) > 0 {
			err = os.Rename(path, path+string(suffix))
			if err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
		}
		if err := disk.FirstErr(os.Rename(staged(dir, name), path), removeMark(path)); err != nil {
			return err
		}
	}
	// The renames must be durable before the note is removed.
	if err := disk.SyncDir(dir); err != nil {
		return err
	}
	return disk.FirstErr(os.Remove(note), disk.SyncDir(dir))
}

// discardStaged removes staged files that a crash left incomplete.
func discardStaged(dir string) error {
	for _, name := range append([]string{adoptName}, dbFiles...) {
		if err := os.Remove(staged(dir, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// freeSuffix returns suffix, or suffix with a number if a file of the store already has it.
func freeSuffix(dir, suffix string) string {
	for free, i := suffix, 1; ; i++ {
		taken := false
		for _, name := range dbFiles {
			_, err := os.Lstat(filepath.Join(dir, name+free))
			taken = taken || err == nil
		}
		if !taken {
			return free
		}
		free = fmt.Sprintf("%s-%d", suffix, i)
	}
}
