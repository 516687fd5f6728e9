// Package force has no code: its tests prove by force what package storage and
// the daemon on it promise. They kill processes at random moments and at chosen
// system calls, cut the power of a file system, let fsync fail, fill disks, damage
// files and move the clock, and after each look for everything that had been
// acknowledged or shown before.
//
// They need root, loop devices, mkfs.ext4 and strace, and take minutes: run them
// with storage/force/run, which sets the build tag force.
//
// A model holds what the process under test was asked to do and what it has
// answered. What was answered must be there; what was asked without an answer may
// be there; anything else may not. See model in the tests.
package force
