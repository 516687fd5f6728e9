// Package force contains no code. Its tests force failures to check the guarantees of package
// storage and of the daemon. They kill processes at random moments and at selected system
// calls, cut the power of a file system, make fsync fail, fill disks, damage files and move
// the clock. After each failure they look for everything that was acknowledged or visible
// before.
//
// They need root, loop devices, mkfs.ext4 and strace, and take minutes. Run them with
// storage/internal/force/run, which sets the build tag force.
//
// A model contains the requests to the process under test and its answers. A write that was
// answered must be present, a write without an answer may be present, and nothing else may
// be. See model in the tests.
package force
