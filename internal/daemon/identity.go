package daemon

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strconv"

	"github.com/libp2p/go-libp2p/core/crypto"
)

// IdentityFile is the name of the key's file in the data directory and in
// $CREDENTIALS_DIRECTORY: a libp2p private key in its protobuf form.
const IdentityFile = "identity.key"

var (
	// ErrIdentity is returned when the key's file cannot be used. The file is never
	// replaced, because it determines the node's peer ID.
	ErrIdentity = errors.New("cannot use the identity")
	// ErrIdentityExists is returned by SaveIdentity when the directory has another key.
	ErrIdentityExists = errors.New("the data directory has another identity")
)

// NewIdentity generates a random Ed25519 key.
func NewIdentity() (crypto.PrivKey, error) {
	key, _, err := crypto.GenerateEd25519Key(rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("new identity: %w", err)
	}
	return key, nil
}

// SeededIdentity derives an Ed25519 key from a number. Anyone can derive the same key, so
// it is only for tests and examples.
func SeededIdentity(seed int64) (crypto.PrivKey, error) {
	sum := sha256.Sum256([]byte("holdfast identity seed " + strconv.FormatInt(seed, 10)))
	key, err := crypto.UnmarshalEd25519PrivateKey(ed25519.NewKeyFromSeed(sum[:]))
	if err != nil {
		return nil, fmt.Errorf("seeded identity: %w", err)
	}
	return key, nil
}

// loadIdentity reads the key from $CREDENTIALS_DIRECTORY, where systemd puts secrets, or
// from the data directory. The error is fs.ErrNotExist if neither has one.
func loadIdentity(dir string, getenv func(string) string) (crypto.PrivKey, error) {
	return ReadIdentity(identityPath(dir, getenv))
}

func identityPath(dir string, getenv func(string) string) string {
	if creds := getenv("CREDENTIALS_DIRECTORY"); creds != "" {
		path := filepath.Join(creds, IdentityFile)
		if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
			return path
		}
	}
	return filepath.Join(dir, IdentityFile)
}

// HasIdentity reports whether loadIdentity finds a key.
func HasIdentity(dir string, getenv func(string) string) bool {
	return exists(identityPath(dir, getenv))
}

// openIdentity returns the mode of the data directory's key if other users than its
// owner may read it. systemd protects the one in $CREDENTIALS_DIRECTORY.
func openIdentity(dir string) (mode fs.FileMode, open bool) {
	info, err := os.Stat(filepath.Join(dir, IdentityFile))
	if err != nil || runtime.GOOS == "windows" { // Windows does not have Unix file modes
		return 0, false
	}
	mode = info.Mode().Perm()
	return mode, mode&0o044 != 0
}

// ReadIdentity reads a key from a file.
func ReadIdentity(path string) (crypto.PrivKey, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrIdentity, err)
	}
	key, err := crypto.UnmarshalPrivateKey(data)
	if err != nil {
		return nil, fmt.Errorf("%w: %s is not a libp2p private key (%w); restore it from a backup, or move it away to start with a new peer ID", ErrIdentity, path, err)
	}
	return key, nil
}

// SaveIdentity writes the key into the data directory durably; a crash at any time leaves
// no partial file. The same key may be saved again; another key is rejected with
// ErrIdentityExists.
func SaveIdentity(dir string, key crypto.PrivKey) error {
	path := filepath.Join(dir, IdentityFile)
	if old, err := ReadIdentity(path); err == nil && old.Equals(key) {
		return nil
	} else if err == nil {
		return fmt.Errorf("%w: %s; move it away first", ErrIdentityExists, path)
	} else if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	data, err := crypto.MarshalPrivateKey(key)
	if err != nil {
		return fmt.Errorf("save identity: %w", err)
	}
	if err := writeFile(path, data); err != nil {
		return fmt.Errorf("save identity: %w", err)
	}
	return giveBack(dir)
}

// writeFile creates path with data and mode 0600, completely or not at all.
func writeFile(path string, data []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".new-*") // mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // it does not exist after the rename
	_, err = f.Write(data)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

// identity returns the key of the data directory. It creates one if there is none.
func identity(dir string, getenv func(string) string) (key crypto.PrivKey, created bool, err error) {
	key, err = loadIdentity(dir, getenv)
	if !errors.Is(err, fs.ErrNotExist) {
		return key, false, err
	}
	if key, err = NewIdentity(); err != nil {
		return nil, false, err
	}
	return key, true, SaveIdentity(dir, key)
}
