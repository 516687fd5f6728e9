//go:build force

package force

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"
)

// disk is an ext4 file system in a file.
type disk struct {
	t     *testing.T
	image string
	dir   string // mount point
}

// newDisk creates and mounts a file system of a given size in MiB.
func newDisk(t *testing.T, size int) *disk {
	t.Helper()
	require.Zero(t, os.Getuid(), "only root may mount a file system")
	dir := t.TempDir()
	d := &disk{t: t, image: filepath.Join(dir, "image"), dir: filepath.Join(dir, "mounted")}
	require.NoError(t, os.Mkdir(d.dir, 0o700))
	require.NoError(t, os.WriteFile(d.image, nil, 0o600))
	require.NoError(t, os.Truncate(d.image, int64(size)<<20))
	run(t, "mkfs.ext4", "-q", "-F", d.image)
	d.mount("")
	t.Cleanup(func() { _ = syscall.Unmount(d.dir, syscall.MNT_DETACH) })
	return d
}

func run(t *testing.T, name string, args ...string) {
	t.Helper()
	out, err := exec.Command(name, args...).CombinedOutput()
	require.NoError(t, err, "%s %v: %s", name, args, out)
}

// mount mounts the disk with additional options, which replays the journal.
func (d *disk) mount(options string) {
	d.t.Helper()
	if options != "" {
		options = "," + options
	}
	run(d.t, "mount", "-t", "ext4", "-o", "loop"+options, d.image, d.dir)
}

// unmount unmounts the disk after killed processes have released it.
func (d *disk) unmount() {
	d.t.Helper()
	until(d.t, "unmount", func() bool {
		err := syscall.Unmount(d.dir, 0)
		require.True(d.t, err == nil || errors.Is(err, syscall.EBUSY), "unmount: %v", err)
		return err == nil
	})
}

// The ioctl that stops a file system at once (linux/fs.h: FS_IOC_SHUTDOWN), and its argument
// that discards the journal in memory.
const (
	shutdownIoctl = 0x8004587d
	noLogFlush    = 2
)

// cutPower stops the file system: nothing more reaches the disk, and every write and fsync
// fails.
func (d *disk) cutPower() {
	d.t.Helper()
	f, err := os.Open(d.dir)
	require.NoError(d.t, err)
	defer f.Close()
	flag := uint32(noLogFlush)
	_, _, errno := syscall.Syscall(syscall.SYS_IOCTL, f.Fd(), shutdownIoctl, uintptr(unsafe.Pointer(&flag)))
	require.Zero(d.t, errno, "FS_IOC_SHUTDOWN: %v", errno)
}

// fill uses all space except the given number of MiB, until release.
func (d *disk) fill(left int) (release func()) {
	d.t.Helper()
	var st syscall.Statfs_t
	require.NoError(d.t, syscall.Statfs(d.dir, &st))
	size := int64(st.Bavail)*st.Bsize - int64(left)<<20
	path := filepath.Join(d.dir, "ballast")
	f, err := os.Create(path)
	require.NoError(d.t, err)
	defer f.Close()
	require.NoError(d.t, syscall.Fallocate(int(f.Fd()), 0, 0, size), fmt.Sprint(size))
	return func() { require.NoError(d.t, os.Remove(path)) }
}
